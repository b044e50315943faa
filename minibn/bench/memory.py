"""Memory: which arrays a cell keeps for its backward, and how much there is at most."""

import tracemalloc
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import minibn


def measure_memory(cell, x, dh):
    """One forward and backward of a cell that has not run yet, so that what it reuses later is counted now.

    Parameters
    ----------
    cell : layer, on the host
    x : ndarray of shape (T, N, D)
    dh : ndarray of shape (T, N, H)

    Returns
    -------
    dict
        "kept": rows as of `kept_arrays`; "kept_bytes": their sum; "peak_bytes": the most that Python and NumPy
        held at once beyond x, dh and the parameters (tracemalloc). The two to compare with each other.
    """
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        h, cache = cell.forward(x)
        kept = kept_arrays(cache, exclude=(x, *cell.params.values()))
        cell.backward(dh, cache)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return {"kept": kept, "kept_bytes": sum(row["bytes"] for row in kept), "peak_bytes": peak - before}


def kept_arrays(cache, exclude=()):
    """The arrays that a cache holds on to, large ones first.

    Views count as the array whose memory they share, once. Arrays with the same names and shape (those of each time
    step) make one row.

    Parameters
    ----------
    cache : object
        Of minibn: its attributes, and all that is in them.
    exclude : sequence of ndarray
        What the caller owns.

    Returns
    -------
    list of dict
        "names", "shape", "count", "bytes" (of all of them together).
    """
    owners, names, seen = {}, {}, set()
    own = {id(_owner(array)) for array in exclude}

    def visit(value, name):
        if isinstance(value, np.ndarray):
            owner = _owner(value)
            if id(owner) not in own:
                owners[id(owner)] = owner
                names.setdefault(id(owner), {})[name] = None           # a dict: an ordered set
            return
        if id(value) in seen:
            return
        seen.add(id(value))
        for key, part in _parts(value, name):
            visit(part, key)

    visit(cache, "")
    rows = Counter((", ".join(names[key]), owner.shape, owner.nbytes) for key, owner in owners.items())
    found = [{"names": text, "shape": list(shape), "count": count, "bytes": count * size}
             for (text, shape, size), count in rows.items()]
    return sorted(found, key=lambda row: -row["bytes"])


def _owner(array):
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _parts(value, name):
    """What is inside a container or an object of minibn, with names."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        term = name.removesuffix("bn") if name.endswith("_bn") else ""        # h_bn.hat is called h_hat
        return ((term + field, part) for field, part in zip(value._fields, value, strict=True))
    if isinstance(value, list | tuple):
        return ((name, part) for part in value)
    if isinstance(value, Mapping):
        return ((str(key), part) for key, part in value.items())
    if not isinstance(value, type) and type(value).__module__.split(".")[0] == minibn.__name__:
        slots = [slot for base in type(value).__mro__ for slot in getattr(base, "__slots__", ())]
        return [*getattr(value, "__dict__", {}).items(),
                *((slot, getattr(value, slot)) for slot in slots if hasattr(value, slot))]
    return ()


def resident_bytes():
    """(now, at most so far) of this process as the operating system sees it; None where it cannot be asked."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii", errors="replace").splitlines())
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
