"""The same mathematics as the equations, made fast: one call for a whole sequence and direction.

A kernel runs a cell's whole layer, input term included. For each cell there is a pair

    stored = forward(call)                       h_1 .. h_T and whatever the backward wants to have kept
    dx, dstate, grads = backward(dh, call, stored)

in ``minibn.kernels.NAME`` for NumPy arrays, where NAME is the `kernel` of the cell's declaration, and one in
`minibn.kernels.cuda` for CuPy arrays: the arrays decide which one runs. ``stored`` is a `minibn.kernels.call.Stored`.
For NumPy ``forward`` is a generator of h_t that returns ``stored``. It looks symbols (T, N) up step by step: later ones
need not be known when h_t is yielded.
``dx`` (T, N, D), or None for integer x; ``dstate`` are the gradients (N, H) of the initial states; ``grads`` those of
all other parameters. A backward changes neither `dh` nor `stored`, and may be called again.

The readable code is the oracle of the fast code: every quantity that is not stored is recomputed by the equations,
and the tests hold the two against each other.
"""

from importlib import import_module

import numpy as np

from minibn.backend import array_module
from minibn.cells import CELLS
from minibn.kernels import workspace
from minibn.kernels.call import Call, Stored
from minibn.kernels.workspace import STORE

__all__ = ["STORE", "Call", "Stored", "backward", "forward", "free_workspaces", "keep", "steps", "takes"]

ON_HOST = {cell.kernel: import_module(f"{__name__}.{cell.kernel}") for cell in CELLS.values() if cell.kernel}


def takes(call, terms):
    """Whether a kernel runs such a call: statistics of all terms or of none; of whatever rows on the host alone.

    There every live row must be counted: a kernel gives all rows but the dead ones the same share in a statistic.
    """
    if call.given is not None and len(call.given) < len(terms):
        return False
    if call.counted is None:
        return True
    return array_module(call.x) is np and call.mask is not None and not (call.mask & ~call.counted).any()


def forward(name, call):
    """Run the kernel of that name over the whole sequence; returns `Stored`."""
    if array_module(call.x) is not np:
        return _cuda().forward(name, call)
    each = steps(name, call)
    while True:
        try:
            next(each)
        except StopIteration as end:
            return end.value


def steps(name, call):
    """The same on the host, step by step: a generator of h_t (N, H) that returns `Stored`."""
    return ON_HOST[name].forward(call)


def backward(name, dh, call, stored):
    """Back-propagate `dh` (T, N, H); returns dx, the gradients of the initial states, and the others."""
    on_host = array_module(call.x) is np
    return ON_HOST[name].backward(dh, call, stored) if on_host else _cuda().backward(name, dh, call, stored)


def keep(array):
    """A copy of an array, for the cache of a forward pass."""
    if type(array) is not np.ndarray:           # CuPy's, or of a subclass that watches what is done with it
        return array.copy()
    copy = workspace.empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def free_workspaces():
    """Give back the memory that the kernels keep to use again. What somebody still holds is not touched."""
    STORE.clear()


def _cuda():
    try:
        from minibn.kernels import cuda
    except ImportError as error:
        raise ValueError("engine: 'kernels' has no kernels for CuPy arrays here; use engine='equations'") from error
    return cuda
