r"""Eq. 1, the tanh RNN:   h_t = tanh(W_h h_{t-1} + W_x x_t + b)."""

from typing import NamedTuple

from minibn.backend import array_module
from minibn.equations.activations import dtanh
from minibn.equations.quantities import Quantity
from minibn.equations.recurrence import unroll_backward, unroll_forward
from minibn.errors import brief

QUANTITIES = {
    "x_term": Quantity(r"W_x x_t", "1", "N H"),
    "h_linear": Quantity(r"W_h h_{t-1}", "1", "N H"),
    "h_tilde": Quantity(r"W_h h_{t-1} + W_x x_t + b", "1", "N H"),
    "h": Quantity(r"h_t", "1", "N H"),
}


class RNNStep(NamedTuple):
    """The quantities of one step."""

    x_term: object      # (N, H)
    h_prev: object      # (N, H)
    W_h: object         # (H, H)
    h_linear: object    # (N, H)
    h_tilde: object     # (N, H)
    h: object           # (N, H)

    __repr__ = brief


class RNNStepGradients(NamedTuple):
    """Total derivatives with respect to every quantity and parameter of one step."""

    x_term: object
    h_prev: object
    h_linear: object
    h_tilde: object
    h: object
    W_h: object
    b: object

    __repr__ = brief


def rnn_step_forward(x_term, h_prev, W_h, b):
    """One step of Eq. 1.

    Parameters
    ----------
    x_term : ndarray of shape (N, H)
        W_x x_t, see `minibn.equations.input_term`.
    h_prev : ndarray of shape (N, H)
    W_h : ndarray of shape (H, H)
    b : ndarray of shape (H,)

    Returns
    -------
    state : tuple (h,)
    cache : RNNStep
    """
    xp = array_module(x_term)
    h_linear = h_prev @ W_h                                           # (N, H)
    h_tilde = h_linear + x_term + b                                   # (N, H)
    h = xp.tanh(h_tilde)                                              # (N, H)
    return (h,), RNNStep(x_term, h_prev, W_h, h_linear, h_tilde, h)


def rnn_step_backward(dh, cache):
    """Backward of one step; `dh` (N, H) is the total derivative with respect to h_t."""
    dh_tilde = dh * dtanh(cache.h)                                    # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dx_term = dh_tilde                                                # (N, H)
    dh_linear = dh_tilde                                              # (N, H)
    dW_h = cache.h_prev.T @ dh_linear                                 # (H, H)
    dh_prev = dh_linear @ cache.W_h.T                                 # (N, H)
    return RNNStepGradients(dx_term, dh_prev, dh_linear, dh_tilde, dh, dW_h, db)


def rnn_forward(x_term, h_0, W_h, b, mask=None):
    """Eq. 1 over a whole sequence.

    Parameters
    ----------
    x_term : ndarray of shape (T, N, H)
    h_0 : ndarray of shape (N, H)
    W_h, b : see `rnn_step_forward`
    mask : bool ndarray of shape (T, N), optional
        Padded examples keep h.

    Returns
    -------
    SequenceCache
    """
    def step(t, h_prev):
        return rnn_step_forward(x_term[t], h_prev, W_h, b)

    return unroll_forward(step, len(x_term), (h_0,), mask)


def rnn_backward(dh, cache, observe=None):
    """Back-propagation through time; see `minibn.equations.recurrence.unroll_backward` for what it returns."""
    return unroll_backward(rnn_step_backward, dh, cache, ("W_h", "b"), observe)
