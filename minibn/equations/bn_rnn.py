r"""The batch-normalized tanh RNN, in two forms.

One batch norm on the sum (the RNN of Figure 1(a)):    h_t = tanh(BN(W_h h_{t-1} + W_x x_t; gamma, b))
One for each term (Eq. 6 for a plain RNN):             h_t = tanh(BN(W_h h_{t-1}; gamma_h) + BN(W_x x_t; gamma_x) + b)

In the second form ``x_term`` arrives normalized from `minibn.equations.input_term`.
"""

from typing import NamedTuple

from minibn.backend import array_module
from minibn.equations.activations import dtanh
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.equations.quantities import Quantity, normalized
from minibn.equations.recurrence import at_step, unroll_backward, unroll_forward
from minibn.equations.rnn import QUANTITIES as RNN_QUANTITIES
from minibn.errors import brief

SUM_QUANTITIES = {
    "x_term": Quantity(r"W_x x_t", "1", "N H"),
    "h_linear": Quantity(r"W_h h_{t-1}", "1", "N H"),
    "sum": Quantity(r"W_h h_{t-1} + W_x x_t", "1", "N H"),
    **normalized("sum", r"W_h h_{t-1} + W_x x_t", "5", "H"),
    "h_tilde": Quantity(r"\mathrm{BN}(W_h h_{t-1} + W_x x_t; \gamma, b)", "5", "N H"),
    "h": Quantity(r"h_t", "1", "N H"),
}
TWO_TERM_QUANTITIES = {
    "x_term": Quantity(r"\mathrm{BN}(W_x x_t; \gamma_x, 0)", "6", "N H"),
    "h_linear": RNN_QUANTITIES["h_linear"],
    **normalized("h", r"W_h h_{t-1}", "5", "H"),
    "h_term": Quantity(r"\mathrm{BN}(W_h h_{t-1}; \gamma_h, 0)", "6", "N H"),
    "h_tilde": Quantity(r"\tilde{h}_t", "6", "N H"),
    "h": RNN_QUANTITIES["h"],
}


class BNRNNStep(NamedTuple):
    """The quantities of one step with one batch norm on the sum."""

    x_term: object      # (N, H)
    h_prev: object      # (N, H)
    W_h: object         # (H, H)
    h_linear: object    # (N, H)
    sum: object         # (N, H)
    sum_bn: object      # BatchNormCache: sum_mean, sum_variance, sum_inv_std, sum_hat
    h_tilde: object     # (N, H)
    h: object           # (N, H)

    __repr__ = brief


class BNRNNStepGradients(NamedTuple):
    """Total derivatives with respect to every quantity and parameter of one step."""

    x_term: object
    h_prev: object
    h_linear: object
    sum: object
    sum_bn: object      # BatchNormGradients
    h_tilde: object
    h: object
    W_h: object
    gamma: object
    b: object

    __repr__ = brief


def bn_rnn_step_forward(x_term, h_prev, W_h, gamma, b, eps, mask=None, statistics=None):
    """One step of the RNN of Figure 1(a).

    Parameters
    ----------
    x_term : ndarray of shape (N, H)
        W_x x_t.
    h_prev : ndarray of shape (N, H)
    W_h : ndarray of shape (H, H)
    gamma, b : ndarray of shape (H,)
        b is the beta of the one batch norm.
    eps : float
    mask : bool ndarray of shape (N,), optional
        The live examples, over which the batch statistics are taken.
    statistics : dict, optional
        Given statistics: "sum".

    Returns
    -------
    state : tuple (h,)
    cache : BNRNNStep
    """
    xp = array_module(x_term)
    given = statistics or {}
    h_linear = h_prev @ W_h                                           # (N, H)
    total = h_linear + x_term                                         # (N, H)
    h_tilde, sum_bn = batch_norm_forward(total, gamma, b, eps, mask, given.get("sum"))
    h = xp.tanh(h_tilde)                                              # (N, H)
    return (h,), BNRNNStep(x_term, h_prev, W_h, h_linear, total, sum_bn, h_tilde, h)


def bn_rnn_step_backward(dh, cache):
    """Backward of one step; `dh` (N, H) is the total derivative with respect to h_t."""
    dh_tilde = dh * dtanh(cache.h)                                    # (N, H)
    dsum_bn = batch_norm_backward(dh_tilde, cache.sum_bn)
    dtotal = dsum_bn.a                                                # (N, H)
    dx_term = dtotal                                                  # (N, H)
    dh_linear = dtotal                                                # (N, H)
    dW_h = cache.h_prev.T @ dh_linear                                 # (H, H)
    dh_prev = dh_linear @ cache.W_h.T                                 # (N, H)
    return BNRNNStepGradients(dx_term, dh_prev, dh_linear, dtotal, dsum_bn, dh_tilde, dh,
                              dW_h, dsum_bn.gamma, dsum_bn.beta)


class BNRNNTwoTermStep(NamedTuple):
    """The quantities of one step with a batch norm for each term."""

    x_term: object      # (N, H)
    h_prev: object      # (N, H)
    W_h: object         # (H, H)
    h_linear: object    # (N, H)
    h_bn: object        # BatchNormCache: h_mean, h_variance, h_inv_std, h_hat
    h_term: object      # (N, H)
    h_tilde: object     # (N, H)
    h: object           # (N, H)

    __repr__ = brief


class BNRNNTwoTermStepGradients(NamedTuple):
    """Total derivatives with respect to every quantity and parameter of one step."""

    x_term: object
    h_prev: object
    h_linear: object
    h_bn: object        # BatchNormGradients
    h_term: object
    h_tilde: object
    h: object
    W_h: object
    gamma_h: object
    b: object

    __repr__ = brief


def bn_rnn_two_term_step_forward(x_term, h_prev, W_h, gamma_h, b, eps, mask=None, statistics=None):
    """One step of the two-term form; parameters as in `bn_rnn_step_forward`, statistics "h"."""
    xp = array_module(x_term)
    given = statistics or {}
    h_linear = h_prev @ W_h                                           # (N, H)
    h_term, h_bn = batch_norm_forward(h_linear, gamma_h, 0.0, eps, mask, given.get("h"))
    h_tilde = h_term + x_term + b                                     # (N, H)
    h = xp.tanh(h_tilde)                                              # (N, H)
    return (h,), BNRNNTwoTermStep(x_term, h_prev, W_h, h_linear, h_bn, h_term, h_tilde, h)


def bn_rnn_two_term_step_backward(dh, cache):
    """Backward of one step; `dh` (N, H) is the total derivative with respect to h_t."""
    dh_tilde = dh * dtanh(cache.h)                                    # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dx_term = dh_tilde                                                # (N, H)
    dh_term = dh_tilde                                                # (N, H)
    dh_bn = batch_norm_backward(dh_term, cache.h_bn)
    dh_linear = dh_bn.a                                               # (N, H)
    dW_h = cache.h_prev.T @ dh_linear                                 # (H, H)
    dh_prev = dh_linear @ cache.W_h.T                                 # (N, H)
    return BNRNNTwoTermStepGradients(dx_term, dh_prev, dh_linear, dh_bn, dh_term, dh_tilde, dh,
                                     dW_h, dh_bn.gamma, db)


def bn_rnn_forward(x_term, h_0, W_h, gamma, b, eps, mask=None, statistics=None):
    """The RNN of Figure 1(a) over a whole sequence.

    Parameters
    ----------
    x_term : ndarray of shape (T, N, H)
    h_0 : ndarray of shape (N, H)
    W_h, gamma, b, eps : see `bn_rnn_step_forward`
    mask : bool ndarray of shape (T, N), optional
    statistics : dict, optional
        Given statistics "sum", each array of shape (T, 1, H).

    Returns
    -------
    SequenceCache
    """
    def step(t, h_prev):
        return bn_rnn_step_forward(x_term[t], h_prev, W_h, gamma, b, eps, *at_step(t, mask, statistics))

    return unroll_forward(step, len(x_term), (h_0,), mask)


def bn_rnn_backward(dh, cache, observe=None):
    """Back-propagation through time; see `minibn.equations.recurrence.unroll_backward` for what it returns."""
    return unroll_backward(bn_rnn_step_backward, dh, cache, ("W_h", "gamma", "b"), observe)


def bn_rnn_two_term_forward(x_term, h_0, W_h, gamma_h, b, eps, mask=None, statistics=None):
    """The two-term form over a whole sequence; parameters as in `bn_rnn_forward`, statistics "h"."""
    def step(t, h_prev):
        return bn_rnn_two_term_step_forward(x_term[t], h_prev, W_h, gamma_h, b, eps, *at_step(t, mask, statistics))

    return unroll_forward(step, len(x_term), (h_0,), mask)


def bn_rnn_two_term_backward(dh, cache, observe=None):
    """Back-propagation through time; see `minibn.equations.recurrence.unroll_backward` for what it returns."""
    return unroll_backward(bn_rnn_two_term_step_backward, dh, cache, ("W_h", "gamma_h", "b"), observe)
