r"""Eqs. 2-4, the LSTM, gate blocks in the paper's order f, i, o, g.

    (f~; i~; o~; g~)_t = W_h h_{t-1} + W_x x_t + b               (2)
    c_t = sigmoid(f~_t) * c_{t-1} + sigmoid(i~_t) * tanh(g~_t)   (3)
    h_t = sigmoid(o~_t) * tanh(c_t)                              (4)

The authors' baseline has a trainable offset inside the output tanh, tanh(c_t + beta_c); with the default
beta_c = 0 the equations are the paper's.
"""

from typing import NamedTuple

from minibn.backend import array_module
from minibn.equations.activations import dsigmoid, dtanh, sigmoid
from minibn.equations.quantities import Quantity
from minibn.equations.recurrence import unroll_backward, unroll_forward
from minibn.errors import brief

GATES = "fiog"

GATE_QUANTITIES = {
    **{f"{gate}_tilde": Quantity(rf"\tilde{{{gate}}}_t", "2", "N H") for gate in GATES},
    **{gate: Quantity(rf"\sigma(\tilde{{{gate}}}_t)", "3", "N H") for gate in "fi"},
    "o": Quantity(r"\sigma(\tilde{o}_t)", "4", "N H"),
    "g": Quantity(r"\tanh(\tilde{g}_t)", "3", "N H"),
    "c": Quantity(r"c_t", "3", "N H"),
}
QUANTITIES = {
    "x_term": Quantity(r"W_x x_t", "2", "N 4H"),
    "h_linear": Quantity(r"W_h h_{t-1}", "2", "N 4H"),
    **GATE_QUANTITIES,
    "c_term": Quantity(r"c_t + \beta_c", "4", "N H"),
    "tanh_c": Quantity(r"\tanh(c_t + \beta_c)", "4", "N H"),
    "h": Quantity(r"h_t", "4", "N H"),
}


class LSTMStep(NamedTuple):
    """The quantities of one step."""

    x_term: object      # (N, 4H)
    h_prev: object      # (N, H)
    c_prev: object      # (N, H)
    W_h: object         # (H, 4H)
    h_linear: object    # (N, 4H)
    f_tilde: object     # (N, H), as all below
    i_tilde: object
    o_tilde: object
    g_tilde: object
    f: object
    i: object
    g: object
    c: object
    c_term: object
    o: object
    tanh_c: object
    h: object

    __repr__ = brief


class LSTMStepGradients(NamedTuple):
    """Total derivatives with respect to every quantity and parameter of one step."""

    x_term: object
    h_prev: object
    c_prev: object
    h_linear: object
    f_tilde: object
    i_tilde: object
    o_tilde: object
    g_tilde: object
    f: object
    i: object
    g: object
    c: object
    c_term: object
    o: object
    tanh_c: object
    h: object
    W_h: object
    b: object
    beta_c: object

    __repr__ = brief


def gate_blocks(tilde):
    """The blocks f~, i~, o~, g~ (N, H) of the stacked pre-activations (N, 4H)."""
    H = tilde.shape[-1] // 4
    return tuple(tilde[..., k * H:(k + 1) * H] for k in range(4))


def gates_forward(x_term, h_prev, W_h, b):
    """Eq. 2. Returns W_h h_{t-1} (N, 4H) and f~, i~, o~, g~ (N, H)."""
    h_linear = h_prev @ W_h                                           # (N, 4H)
    tilde = h_linear + x_term + b                                     # (N, 4H)
    return h_linear, *gate_blocks(tilde)


def gates_backward(df_tilde, di_tilde, do_tilde, dg_tilde, h_prev, W_h):
    """Backward of Eq. 2. Returns the gradients of x_term, h_linear, h_prev, W_h and b."""
    xp = array_module(df_tilde)
    dtilde = xp.concatenate([df_tilde, di_tilde, do_tilde, dg_tilde], axis=1)     # (N, 4H)
    db = dtilde.sum(axis=0)                                           # (4H,)
    dx_term = dtilde                                                  # (N, 4H)
    dh_linear = dtilde                                                # (N, 4H)
    dW_h = h_prev.T @ dh_linear                                       # (H, 4H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return dx_term, dh_linear, dh_prev, dW_h, db


def cell_forward(f_tilde, i_tilde, g_tilde, c_prev):
    """Eq. 3, which is Eq. 7 too. Returns f, i, g, c_t (N, H)."""
    f = sigmoid(f_tilde)                                              # (N, H)
    i = sigmoid(i_tilde)                                              # (N, H)
    g = array_module(g_tilde).tanh(g_tilde)                           # (N, H)
    c = f * c_prev + i * g                                            # (N, H)
    return f, i, g, c


def cell_backward(dc, f, i, g, c_prev):
    """Backward of Eq. 3. Returns the gradients of f, i, g, f~, i~, g~ and c_prev."""
    dc_prev = dc * f                                                  # (N, H)
    df = dc * c_prev                                                  # (N, H)
    di = dc * g                                                       # (N, H)
    dg = dc * i                                                       # (N, H)
    dg_tilde = dg * dtanh(g)                                          # (N, H)
    di_tilde = di * dsigmoid(i)                                       # (N, H)
    df_tilde = df * dsigmoid(f)                                       # (N, H)
    return df, di, dg, df_tilde, di_tilde, dg_tilde, dc_prev


def output_forward(o_tilde, c_term):
    """Eq. 4; Eq. 8 with c_term = BN(c_t). Returns o, tanh(c_term), h_t (N, H)."""
    o = sigmoid(o_tilde)                                              # (N, H)
    tanh_c = array_module(c_term).tanh(c_term)                        # (N, H)
    h = o * tanh_c                                                    # (N, H)
    return o, tanh_c, h


def output_backward(dh, o, tanh_c):
    """Backward of Eq. 4. Returns the gradients of o, tanh(c_term), o~ and c_term."""
    dtanh_c = dh * o                                                  # (N, H)
    do = dh * tanh_c                                                  # (N, H)
    dc_term = dtanh_c * dtanh(tanh_c)                                 # (N, H)
    do_tilde = do * dsigmoid(o)                                       # (N, H)
    return do, dtanh_c, do_tilde, dc_term


def lstm_step_forward(x_term, h_prev, c_prev, W_h, b, beta_c=0.0):
    """One step of Eqs. 2-4.

    Parameters
    ----------
    x_term : ndarray of shape (N, 4H)
        W_x x_t, see `minibn.equations.input_term`.
    h_prev, c_prev : ndarray of shape (N, H)
    W_h : ndarray of shape (H, 4H)
    b : ndarray of shape (4H,)
    beta_c : ndarray of shape (H,) or 0.0
        Offset inside the output tanh (the authors' baseline).

    Returns
    -------
    state : tuple (h, c)
    cache : LSTMStep
    """
    h_linear, f_tilde, i_tilde, o_tilde, g_tilde = gates_forward(x_term, h_prev, W_h, b)     # Eq. 2
    f, i, g, c = cell_forward(f_tilde, i_tilde, g_tilde, c_prev)                             # Eq. 3
    c_term = c + beta_c
    o, tanh_c, h = output_forward(o_tilde, c_term)                                           # Eq. 4
    return (h, c), LSTMStep(x_term, h_prev, c_prev, W_h, h_linear, f_tilde, i_tilde, o_tilde, g_tilde,
                            f, i, g, c, c_term, o, tanh_c, h)


def lstm_step_backward(dh, dc, cache):
    """Backward of one step.

    Parameters
    ----------
    dh, dc : ndarray of shape (N, H)
        Gradients with respect to h_t, and to c_t as far as it comes from step t+1.
    cache : LSTMStep

    Returns
    -------
    LSTMStepGradients
        Its ``c`` is the total derivative: the part from step t+1 and the part through h_t.
    """
    do, dtanh_c, do_tilde, dc_term = output_backward(dh, cache.o, cache.tanh_c)              # Eq. 4
    dbeta_c = dc_term.sum(axis=0)                                                            # (H,)
    dc = dc + dc_term
    df, di, dg, df_tilde, di_tilde, dg_tilde, dc_prev = cell_backward(
        dc, cache.f, cache.i, cache.g, cache.c_prev)                                         # Eq. 3
    dx_term, dh_linear, dh_prev, dW_h, db = gates_backward(
        df_tilde, di_tilde, do_tilde, dg_tilde, cache.h_prev, cache.W_h)                     # Eq. 2
    return LSTMStepGradients(dx_term, dh_prev, dc_prev, dh_linear, df_tilde, di_tilde, do_tilde, dg_tilde,
                             df, di, dg, dc, dc_term, do, dtanh_c, dh, dW_h, db, dbeta_c)


def lstm_forward(x_term, h_0, c_0, W_h, b, beta_c=0.0, mask=None):
    """Eqs. 2-4 over a whole sequence.

    Parameters
    ----------
    x_term : ndarray of shape (T, N, 4H)
    h_0, c_0 : ndarray of shape (N, H)
    W_h, b, beta_c : see `lstm_step_forward`
    mask : bool ndarray of shape (T, N), optional
        Padded examples keep h and c.

    Returns
    -------
    SequenceCache
    """
    def step(t, h_prev, c_prev):
        return lstm_step_forward(x_term[t], h_prev, c_prev, W_h, b, beta_c)

    return unroll_forward(step, len(x_term), (h_0, c_0), mask)


def lstm_backward(dh, cache, observe=None):
    """Back-propagation through time; see `minibn.equations.recurrence.unroll_backward` for what it returns."""
    return unroll_backward(lstm_step_backward, dh, cache, ("W_h", "b", "beta_c"), observe)
