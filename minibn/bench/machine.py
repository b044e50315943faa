"""Which machine, which versions, when: without them a time means nothing."""

import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import minibn
from minibn.bench.workers import available_cores

LIBRARIES = ("numpy", "cupy", "torch", "jax", "jaxlib")
CUPY_WHEELS = ("cupy-cuda12x", "cupy-cuda13x")


def describe_machine(threads, device="cpu"):
    """What the header of a report says.

    Parameters
    ----------
    threads : int
        Of each entrant.
    device : {"cpu", "cuda"}

    Returns
    -------
    dict
        "processor", "avx512" (whether it has it; None where the system does not say), "cores" (those this process may
        use), "threads", "load" (of the last minute; None likewise), "system", "python", "versions", "blas",
        "blas_core" (the processor that OpenBLAS takes this one for; None for others), "gpu" (None on the CPU), "date".
    """
    return {
        "processor": _processor(),
        "avx512": _avx512(),
        "cores": available_cores(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"minibn": minibn.__version__, **_versions()},
        "blas": _blas(),
        "blas_core": _blas_core(),
        "gpu": _gpu() if device == "cuda" else None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor():
    """The model of the processor, as far as the system tells."""
    if name := _cpuinfo("model name"):
        return name
    if platform.system() == "Darwin":
        import subprocess

        asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        if asked.returncode == 0:
            return asked.stdout.strip()
    return platform.processor() or platform.machine()


def _avx512():
    flags = _cpuinfo("flags")
    return None if flags is None else "avx512f" in flags.split()


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
    for name in (*LIBRARIES, *CUPY_WHEELS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _blas():
    """The library behind NumPy's matrix products."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _blas_core():
    """OpenBLAS decides when it is loaded which processor's kernels it runs, and says so if it is asked to."""
    import subprocess

    said = subprocess.run([sys.executable, "-c", "import numpy"], capture_output=True, text=True,
                          env={**os.environ, "OPENBLAS_VERBOSE": "2"}).stderr
    found = re.search(r"^Core: (\w+)$", said, re.MULTILINE)
    return found and found[1]


def _gpu():
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
