"""The same mathematics as the equations, made fast: one call for a whole sequence and direction.

A kernel runs a cell's whole layer, input term included. For each cell there is a pair

    stored = forward(call)                       h_1 .. h_T and whatever the backward wants to have kept
    dx, dstate, grads = backward(dh, call, stored)

and the table `CELLS` of this module (NumPy) and of `minibn.kernels.cuda` (CuPy) names the pair by the cell. Which of
the two runs is decided by the arrays. ``stored`` is a `minibn.kernels.call.Stored`; ``dx`` (T, N, D), or None for
integer x; ``dstate`` are the gradients (N, H) of the initial states; ``grads`` those of all other parameters. A
backward changes neither `dh` nor `stored`, and may be called again.

The readable code is the oracle of the fast code: every quantity that is not stored is recomputed by the equations,
and the tests hold the two against each other.
"""

import numpy as np

from minibn.backend import array_module
from minibn.kernels import bn_lstm, bn_rnn, bn_rnn_two_term, lstm, rnn, workspace
from minibn.kernels.call import Call, Stored
from minibn.kernels.workspace import STORE

__all__ = ["CELLS", "STORE", "Call", "Stored", "backward", "forward", "free_workspaces", "keep"]

CELLS = {
    "rnn": (rnn.forward, rnn.backward),
    "bn_rnn": (bn_rnn.forward, bn_rnn.backward),
    "bn_rnn_two_term": (bn_rnn_two_term.forward, bn_rnn_two_term.backward),
    "lstm": (lstm.forward, lstm.backward),
    "bn_lstm": (bn_lstm.forward, bn_lstm.backward),
}


def forward(cell, call):
    """Run `cell`, a name in `CELLS`, over the whole sequence; returns `Stored`."""
    return _table(call.x)[cell][0](call)


def backward(cell, dh, call, stored):
    """Back-propagate `dh` (T, N, H) through `cell`; returns dx, the gradients of the initial states, and the others."""
    return _table(call.x)[cell][1](dh, call, stored)


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


def _table(x):
    if array_module(x) is np:
        return CELLS
    try:
        from minibn.kernels.cuda import CELLS as on_device
    except ImportError as error:
        raise ValueError("engine: 'kernels' has no kernels for CuPy arrays here; use engine='equations'") from error
    return on_device
