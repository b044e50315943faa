"""What a run was made with: versions, commit, machine, command."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import minibn

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def made_with(config):
    """Circumstances, for the record: nothing reads them back."""
    program = Path(sys.argv[0]).name        # without the folder that it lies in
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
        "command": shlex.join(["minibn" if program == "__main__.py" else program, *sys.argv[1:]]),
        "data_sha256": config.data_checksums(),
    }


def _commit():
    """The commit of the checkout this package lies in, or None: it may be installed without one."""
    checkout = Path(minibn.__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return None
    import subprocess  # a browser's Python lacks it, and has no checkout

    try:
        found = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True,
                               timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
