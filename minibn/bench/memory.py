"""Memory: which arrays a cell keeps for its backward, and how much there is at most."""

import tracemalloc
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import minibn


def measure_memory(layer, x, dh):
    """One forward and backward, on the host, of a layer that has not run yet: what it reuses later is counted now.

    Returns
    -------
    dict
        "kept": rows as of `kept_arrays`; "kept_bytes": their sum; "returned_bytes": of h, dx and the gradients, which
        are the caller's; "peak_bytes": the most that Python and NumPy held at once beyond x, dh and the parameters
        (tracemalloc).
    """
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        h, cache = layer.forward(x)
        kept = kept_arrays(cache, exclude=(x, *layer.params.values()))
        dx, grads = layer.backward(dh, cache)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return {"kept": kept, "kept_bytes": sum(row["bytes"] for row in kept),
            "returned_bytes": sum(array.nbytes for array in (h, dx, *grads.values())), "peak_bytes": peak - before}


def kept_arrays(cache, exclude=()):
    """The arrays that a cache of minibn holds on to, large ones first; those that the caller owns are excluded.

    Views count as the array whose memory they share, once. Arrays with the same names and shape (those of each time
    step) make one row.

    Returns
    -------
    list of dict
        "names", "shape", "count", "bytes" (of all of them together).
    """
    owners, seen = {}, {id(_owner(array)) for array in exclude}       # owners: id -> the array, its names in order

    def visit(value, name):
        if isinstance(value, np.ndarray):
            owner = _owner(value)
            if id(owner) not in seen:
                owners.setdefault(id(owner), (owner, {}))[1][name] = None
        elif id(value) not in seen:
            seen.add(id(value))
            for key, part in _parts(value, name):
                visit(part, key)

    visit(cache, "")
    rows = Counter((", ".join(names), owner.shape, owner.nbytes) for owner, names in owners.values())
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
