r"""Eqs. 6-8, the batch-normalized LSTM, gate blocks in the paper's order f, i, o, g.

    (f~; i~; o~; g~)_t = BN(W_h h_{t-1}; gamma_h, 0) + BN(W_x x_t; gamma_x, 0) + b   (6)
    c_t = sigmoid(f~_t) * c_{t-1} + sigmoid(i~_t) * tanh(g~_t)                       (7)
    h_t = sigmoid(o~_t) * tanh(BN(c_t; gamma_c, beta_c))                             (8)

BN(W_x x_t) arrives as ``x_term`` from `minibn.equations.input_term`. Eq. 7 is Eq. 3: c_t itself is carried on
without normalization, so that the gradient along the cell is scaled by the forget gate alone.
"""

from typing import NamedTuple

from minibn.backend import array_module
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.equations.lstm import (
    GATE_QUANTITIES,
    cell_backward,
    cell_forward,
    gate_blocks,
    output_backward,
    output_forward,
)
from minibn.equations.quantities import Quantity, normalized
from minibn.equations.recurrence import at_step, unroll_backward, unroll_forward
from minibn.errors import brief

QUANTITIES = {
    "x_term": Quantity(r"\mathrm{BN}(W_x x_t; \gamma_x, 0)", "6", "N 4H"),
    "h_linear": Quantity(r"W_h h_{t-1}", "6", "N 4H"),
    **normalized("h", r"W_h h_{t-1}", "5", "4H"),
    "h_term": Quantity(r"\mathrm{BN}(W_h h_{t-1}; \gamma_h, 0)", "6", "N 4H"),
    **{name: row._replace(equation={"2": "6", "3": "7", "4": "8"}[row.equation])
       for name, row in GATE_QUANTITIES.items()},
    **normalized("c", r"c_t", "5", "H"),
    "c_term": Quantity(r"\mathrm{BN}(c_t; \gamma_c, \beta_c)", "8", "N H"),
    "tanh_c": Quantity(r"\tanh(\mathrm{BN}(c_t; \gamma_c, \beta_c))", "8", "N H"),
    "h": Quantity(r"h_t", "8", "N H"),
}


class BNLSTMStep(NamedTuple):
    """The quantities of one step."""

    x_term: object      # (N, 4H)
    h_prev: object      # (N, H)
    c_prev: object      # (N, H)
    W_h: object         # (H, 4H)
    h_linear: object    # (N, 4H)
    h_bn: object        # BatchNormCache: h_mean, h_variance, h_inv_std, h_hat
    h_term: object      # (N, 4H)
    f_tilde: object     # (N, H), as all below
    i_tilde: object
    o_tilde: object
    g_tilde: object
    f: object
    i: object
    g: object
    c: object
    c_bn: object        # BatchNormCache: c_mean, c_variance, c_inv_std, c_hat
    c_term: object
    o: object
    tanh_c: object
    h: object

    __repr__ = brief


class BNLSTMStepGradients(NamedTuple):
    """Total derivatives with respect to every quantity and parameter of one step."""

    x_term: object
    h_prev: object
    c_prev: object
    h_linear: object
    h_bn: object        # BatchNormGradients
    h_term: object
    f_tilde: object
    i_tilde: object
    o_tilde: object
    g_tilde: object
    f: object
    i: object
    g: object
    c: object
    c_bn: object        # BatchNormGradients
    c_term: object
    o: object
    tanh_c: object
    h: object
    W_h: object
    b: object
    gamma_h: object
    gamma_c: object
    beta_c: object

    __repr__ = brief


def bn_gates_forward(x_term, h_prev, W_h, b, gamma_h, eps, mask=None, statistics=None):
    """Eq. 6. Returns W_h h_{t-1} and its batch norm (N, 4H) with its cache, and f~, i~, o~, g~ (N, H)."""
    h_linear = h_prev @ W_h                                           # (N, 4H)
    h_term, h_bn = batch_norm_forward(h_linear, gamma_h, 0.0, eps, mask, statistics)     # (N, 4H)
    tilde = h_term + x_term + b                                       # (N, 4H)
    return h_linear, h_bn, h_term, *gate_blocks(tilde)


def bn_gates_backward(df_tilde, di_tilde, do_tilde, dg_tilde, h_prev, W_h, h_bn):
    """Backward of Eq. 6. Returns the gradients of x_term, h_term, its batch norm, h_prev, W_h and b."""
    xp = array_module(df_tilde)
    dtilde = xp.concatenate([df_tilde, di_tilde, do_tilde, dg_tilde], axis=1)     # (N, 4H)
    db = dtilde.sum(axis=0)                                           # (4H,)
    dx_term = dtilde                                                  # (N, 4H)
    dh_term = dtilde                                                  # (N, 4H)
    dh_bn = batch_norm_backward(dh_term, h_bn)
    dh_linear = dh_bn.a                                               # (N, 4H)
    dW_h = h_prev.T @ dh_linear                                       # (H, 4H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return dx_term, dh_term, dh_bn, dh_linear, dh_prev, dW_h, db


def bn_lstm_step_forward(x_term, h_prev, c_prev, W_h, b, gamma_h, gamma_c, beta_c, eps, mask=None, statistics=None):
    """One step of Eqs. 6-8.

    Parameters
    ----------
    x_term : ndarray of shape (N, 4H)
        BN(W_x x_t; gamma_x, 0), see `minibn.equations.input_term`.
    h_prev, c_prev : ndarray of shape (N, H)
    W_h : ndarray of shape (H, 4H)
    b, gamma_h : ndarray of shape (4H,)
    gamma_c, beta_c : ndarray of shape (H,)
    eps : float
    mask : bool ndarray of shape (N,), optional
        The live examples, over which the batch statistics are taken.
    statistics : dict, optional
        Given statistics "h" of arrays (1, 4H) and "c" of arrays (1, H).

    Returns
    -------
    state : tuple (h, c)
    cache : BNLSTMStep
    """
    given = statistics or {}
    h_linear, h_bn, h_term, f_tilde, i_tilde, o_tilde, g_tilde = bn_gates_forward(
        x_term, h_prev, W_h, b, gamma_h, eps, mask, given.get("h"))                          # Eq. 6
    f, i, g, c = cell_forward(f_tilde, i_tilde, g_tilde, c_prev)                             # Eq. 7
    c_term, c_bn = batch_norm_forward(c, gamma_c, beta_c, eps, mask, given.get("c"))         # Eq. 8
    o, tanh_c, h = output_forward(o_tilde, c_term)                                           # Eq. 8
    return (h, c), BNLSTMStep(x_term, h_prev, c_prev, W_h, h_linear, h_bn, h_term,
                              f_tilde, i_tilde, o_tilde, g_tilde, f, i, g, c, c_bn, c_term, o, tanh_c, h)


def bn_lstm_step_backward(dh, dc, cache):
    """Backward of one step.

    Parameters
    ----------
    dh, dc : ndarray of shape (N, H)
        Gradients with respect to h_t, and to c_t as far as it comes from step t+1.
    cache : BNLSTMStep

    Returns
    -------
    BNLSTMStepGradients
        Its ``c`` is the total derivative: the part from step t+1 along the unnormalized cell, and the part
        through BN(c_t) and h_t, where every example of the batch contributes.
    """
    do, dtanh_c, do_tilde, dc_term = output_backward(dh, cache.o, cache.tanh_c)              # Eq. 8
    dc_bn = batch_norm_backward(dc_term, cache.c_bn)                                         # Eq. 8
    dc = dc + dc_bn.a
    df, di, dg, df_tilde, di_tilde, dg_tilde, dc_prev = cell_backward(
        dc, cache.f, cache.i, cache.g, cache.c_prev)                                         # Eq. 7
    dx_term, dh_term, dh_bn, dh_linear, dh_prev, dW_h, db = bn_gates_backward(
        df_tilde, di_tilde, do_tilde, dg_tilde, cache.h_prev, cache.W_h, cache.h_bn)         # Eq. 6
    return BNLSTMStepGradients(dx_term, dh_prev, dc_prev, dh_linear, dh_bn, dh_term,
                               df_tilde, di_tilde, do_tilde, dg_tilde, df, di, dg, dc, dc_bn, dc_term,
                               do, dtanh_c, dh, dW_h, db, dh_bn.gamma, dc_bn.gamma, dc_bn.beta)


def bn_lstm_forward(x_term, h_0, c_0, W_h, b, gamma_h, gamma_c, beta_c, eps, mask=None, statistics=None):
    """Eqs. 6-8 over a whole sequence.

    Parameters
    ----------
    x_term : ndarray of shape (T, N, 4H)
    h_0, c_0 : ndarray of shape (N, H)
    W_h, b, gamma_h, gamma_c, beta_c, eps : see `bn_lstm_step_forward`
    mask : bool ndarray of shape (T, N), optional
        Padded examples keep h and c.
    statistics : dict, optional
        Given statistics "h" of arrays (T, 1, 4H) and "c" of arrays (T, 1, H).

    Returns
    -------
    SequenceCache
    """
    def step(t, h_prev, c_prev):
        return bn_lstm_step_forward(x_term[t], h_prev, c_prev, W_h, b, gamma_h, gamma_c, beta_c, eps,
                                    *at_step(t, mask, statistics))

    return unroll_forward(step, len(x_term), (h_0, c_0), mask)


def bn_lstm_backward(dh, cache, observe=None):
    """Back-propagation through time; see `minibn.equations.recurrence.unroll_backward` for what it returns."""
    return unroll_backward(bn_lstm_step_backward, dh, cache, ("W_h", "b", "gamma_h", "gamma_c", "beta_c"), observe)
