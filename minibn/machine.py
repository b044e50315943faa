"""What something was made with, and on which machine: the record of a run, the header of a benchmark."""

import os
import platform
import re
import shlex
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import minibn

__all__ = ["THREAD_VARIABLES", "available_cores", "describe_machine", "environment", "made_with"]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LIBRARIES = ("numpy", "cupy", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax", "jaxlib")


def made_with():
    """Versions, commit, machine, command, in a moment and as plain values. For the record: nothing reads them back."""
    return {
        "minibn": minibn.__version__,
        "commit": _commit(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "blas_core": os.environ.get("OPENBLAS_CORETYPE"),       # as asked for; None: as OpenBLAS chose
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([_program(), *sys.argv[1:]]),
    }


def describe_machine(threads, device="cpu"):
    """What a time means nothing without.

    Parameters
    ----------
    threads : sequence of int
        Of each process that is timed, one after the other.
    device : {"cpu", "cuda"}

    Returns
    -------
    dict
        All of `made_with`, and "processor", "avx512" (whether it has it; None where the system does not say), "cores"
        (those this process may use), "threads", "load" (of the last minute; None likewise), "versions", "blas",
        "blas_core" (the processor that OpenBLAS takes this one for; None for others), "gpu" (None on the CPU).
    """
    flags, blas = _cpuinfo("flags"), np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        **made_with(),
        "processor": _processor(),
        "avx512": None if flags is None else "avx512f" in flags.split(),
        "cores": available_cores(),
        "threads": list(threads),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {"minibn": minibn.__version__, **_versions()},
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "blas_core": _blas_core(),
        "gpu": _gpu() if device == "cuda" else None,
    }


def available_cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@contextmanager
def environment(settings):
    """These variables for the processes that are started meanwhile: libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _program():
    """How this process was started, without the folder that the program lies in."""
    name = Path(sys.argv[0]).name
    return "minibn" if name == "__main__.py" else name


def _commit():
    """The commit of the checkout this package lies in, or None: it may be installed without one."""
    checkout = Path(minibn.__file__).resolve().parent.parent
    return _output("git", "-C", str(checkout), "rev-parse", "HEAD") if (checkout / ".git").exists() else None


def _output(*command, stream="stdout", **environment):
    """What a command prints, or None where it cannot be run."""
    import subprocess  # a browser's Python lacks it

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True,
                              env={**os.environ, **environment})
    except (OSError, subprocess.SubprocessError):
        return None
    return getattr(done, stream).strip()


def _processor():
    """The model of the processor, as far as the system tells."""
    name = _cpuinfo("model name")
    if name is None and platform.system() == "Darwin":
        name = _output("sysctl", "-n", "machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine()


def _cpuinfo(field):
    """What Linux says of the first processor; None where it says nothing."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return None


def _versions():
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _blas_core():
    """OpenBLAS decides when it is loaded which processor's kernels it runs, and says so if it is asked to."""
    said = _output(sys.executable, "-c", "import numpy", stream="stderr", OPENBLAS_VERBOSE="2")
    found = re.search(r"^Core: (\w+)$", said or "", re.MULTILINE)
    return found and found[1]


def _gpu():
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
