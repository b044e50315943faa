r"""Eqs. 2-4, the LSTM, gate blocks in the paper's order f, i, o, g.

    (f~; i~; o~; g~)_t = W_h h_{t-1} + W_x x_t + b               (2)
    c_t = sigmoid(f~_t) * c_{t-1} + sigmoid(i~_t) * tanh(g~_t)   (3)
    h_t = sigmoid(o~_t) * tanh(c_t)                              (4)

The authors' baseline has a trainable offset inside the output tanh, tanh(c_t + beta_c); with the default
beta_c = 0 the equations are the paper's.
"""

from minibn.cells import options
from minibn.cells.declaration import Cell, Parameter
from minibn.equations.activations import dsigmoid, dtanh, sigmoid, tanh
from minibn.equations.blocks import join, split
from minibn.equations.quantities import Quantity


def step_forward(x_term, h_prev, c_prev, W_h, b, beta_c=0.0):
    """One step of Eqs. 2-4."""
    # Eq. 2
    h_linear = h_prev @ W_h                                           # (N, 4H)
    tilde = h_linear + x_term + b                                     # (N, 4H)
    f_tilde, i_tilde, o_tilde, g_tilde = split(tilde, 4)              # (N, H)
    # Eq. 3
    f = sigmoid(f_tilde)                                              # (N, H)
    i = sigmoid(i_tilde)                                              # (N, H)
    g = tanh(g_tilde)                                                 # (N, H)
    c = f * c_prev + i * g                                            # (N, H)
    # Eq. 4
    c_term = c + beta_c                                               # (N, H)
    o = sigmoid(o_tilde)                                              # (N, H)
    tanh_c = tanh(c_term)                                             # (N, H)
    h = o * tanh_c                                                    # (N, H)
    return locals()


def step_backward(dh, dc, h_prev, c_prev, W_h, f, i, g, o, tanh_c):
    """Backward of one step; `dc` (N, H) is what comes from step t+1, and after Eq. 4 the total derivative."""
    # Eq. 4
    dtanh_c = dh * o                                                  # (N, H)
    do = dh * tanh_c                                                  # (N, H)
    dc_term = dtanh_c * dtanh(tanh_c)                                 # (N, H)
    do_tilde = do * dsigmoid(o)                                       # (N, H)
    dbeta_c = dc_term.sum(axis=0)                                     # (H,)
    dc = dc + dc_term                                                 # (N, H)    step t+1, and h_t
    # Eq. 3
    dc_prev = dc * f                                                  # (N, H)
    df = dc * c_prev                                                  # (N, H)
    di = dc * g                                                       # (N, H)
    dg = dc * i                                                       # (N, H)
    dg_tilde = dg * dtanh(g)                                          # (N, H)
    di_tilde = di * dsigmoid(i)                                       # (N, H)
    df_tilde = df * dsigmoid(f)                                       # (N, H)
    # Eq. 2
    dtilde = join(df_tilde, di_tilde, do_tilde, dg_tilde)             # (N, 4H)
    db = dtilde.sum(axis=0)                                           # (4H,)
    dx_term = dtilde                                                  # (N, 4H)
    dh_linear = dtilde                                                # (N, 4H)
    dW_h = h_prev.T @ dh_linear                                       # (H, 4H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


CELL = Cell(
    name="lstm",
    title="LSTM",
    module=__name__,
    states={"h": "H", "c": "H"},
    input="4H",
    gates="fiog",
    parameters={
        "W_x": Parameter("D 4H", options.orthogonal_weights),
        "W_h": Parameter("H 4H", options.recurrent),
        "b": Parameter("4H", options.forget_bias),
        "beta_c": Parameter("H", 0.0, when="cell_offset"),
    },
    options={"cell_offset": options.CELL_OFFSET, "forget_bias": options.FORGET_BIAS, "init": options.GATED_INIT},
    quantities={
        "x_term": Quantity(r"W_x x_t", "2", "N 4H"),
        "h_prev": Quantity(r"h_{t-1}", "2", "N H"),
        "c_prev": Quantity(r"c_{t-1}", "3", "N H"),
        "h_linear": Quantity(r"W_h h_{t-1}", "2", "N 4H"),
        "f_tilde": Quantity(r"\tilde{f}_t", "2", "N H"),
        "i_tilde": Quantity(r"\tilde{i}_t", "2", "N H"),
        "o_tilde": Quantity(r"\tilde{o}_t", "2", "N H"),
        "g_tilde": Quantity(r"\tilde{g}_t", "2", "N H"),
        "f": Quantity(r"\sigma(\tilde{f}_t)", "3", "N H"),
        "i": Quantity(r"\sigma(\tilde{i}_t)", "3", "N H"),
        "g": Quantity(r"\tanh(\tilde{g}_t)", "3", "N H"),
        "c": Quantity(r"c_t", "3", "N H"),
        "c_term": Quantity(r"c_t + \beta_c", "4", "N H"),
        "o": Quantity(r"\sigma(\tilde{o}_t)", "4", "N H"),
        "tanh_c": Quantity(r"\tanh(c_t + \beta_c)", "4", "N H"),
        "h": Quantity(r"h_t", "4", "N H"),
    },
    kernel="lstm",
)
