r"""Eqs. 6-8, the batch-normalized LSTM, gate blocks in the paper's order f, i, o, g.

    (f~; i~; o~; g~)_t = BN(W_h h_{t-1}; gamma_h, 0) + BN(W_x x_t; gamma_x, 0) + b   (6)
    c_t = sigmoid(f~_t) * c_{t-1} + sigmoid(i~_t) * tanh(g~_t)                       (7)
    h_t = sigmoid(o~_t) * tanh(BN(c_t; gamma_c, beta_c))                             (8)

BN(W_x x_t) arrives as ``x_term``. c_t itself is carried on without normalization, so that the gradient along the
cell is scaled by the forget gate alone. Where padded rows enter the statistics (`live` is given), they keep c_{t-1}
before its BN, as in the authors' reader: what enters is the frozen state.
"""

from minibn.cells import options
from minibn.cells.declaration import Cell, Parameter
from minibn.equations.activations import dsigmoid, dtanh, sigmoid, tanh
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.equations.blocks import join, split
from minibn.equations.quantities import Quantity, normalized
from minibn.equations.recurrence import freeze_backward, freeze_forward


def step_forward(x_term, h_prev, c_prev, W_h, b, gamma_h, gamma_c, beta_c, eps, live, mask, statistics):
    """One step of Eqs. 6-8."""
    # Eq. 6
    h_linear = h_prev @ W_h                                           # (N, 4H)
    h_term, h_bn = batch_norm_forward(
        h_linear, gamma_h, 0.0, eps, mask, statistics["h"])           # (N, 4H)
    tilde = h_term + x_term + b                                       # (N, 4H)
    f_tilde, i_tilde, o_tilde, g_tilde = split(tilde, 4)              # (N, H)
    # Eq. 7
    f = sigmoid(f_tilde)                                              # (N, H)
    i = sigmoid(i_tilde)                                              # (N, H)
    g = tanh(g_tilde)                                                 # (N, H)
    c = freeze_forward(live, f * c_prev + i * g, c_prev)              # (N, H)
    # Eq. 8
    c_term, c_bn = batch_norm_forward(
        c, gamma_c, beta_c, eps, mask, statistics["c"])               # (N, H)
    o = sigmoid(o_tilde)                                              # (N, H)
    tanh_c = tanh(c_term)                                             # (N, H)
    h = o * tanh_c                                                    # (N, H)
    return locals()


def step_backward(dh, dc, h_prev, c_prev, W_h, h_bn, f, i, g, c_bn, o, tanh_c, live):
    """Backward of one step; `dc` (N, H) is what comes from step t+1, and after Eq. 8 the total derivative."""
    # Eq. 8
    dtanh_c = dh * o                                                  # (N, H)
    do = dh * tanh_c                                                  # (N, H)
    dc_term = dtanh_c * dtanh(tanh_c)                                 # (N, H)
    do_tilde = do * dsigmoid(o)                                       # (N, H)
    dc_bn = batch_norm_backward(dc_term, c_bn)
    dgamma_c, dbeta_c = dc_bn.gamma, dc_bn.beta                       # (H,)
    dc = dc + dc_bn.a                                                 # (N, H)    step t+1 along the cell, and h_t
    # Eq. 7
    dc_new, dc_kept = freeze_backward(dc, live)                       # (N, H)
    dc_prev = dc_new * f + dc_kept                                    # (N, H)
    df = dc_new * c_prev                                              # (N, H)
    di = dc_new * g                                                   # (N, H)
    dg = dc_new * i                                                   # (N, H)
    dg_tilde = dg * dtanh(g)                                          # (N, H)
    di_tilde = di * dsigmoid(i)                                       # (N, H)
    df_tilde = df * dsigmoid(f)                                       # (N, H)
    # Eq. 6
    dtilde = join(df_tilde, di_tilde, do_tilde, dg_tilde)             # (N, 4H)
    db = dtilde.sum(axis=0)                                           # (4H,)
    dx_term = dtilde                                                  # (N, 4H)
    dh_term = dtilde                                                  # (N, 4H)
    dh_bn = batch_norm_backward(dh_term, h_bn)
    dgamma_h = dh_bn.gamma                                            # (4H,)
    dh_linear = dh_bn.a                                               # (N, 4H)
    dW_h = h_prev.T @ dh_linear                                       # (H, 4H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


CELL = Cell(
    name="bnlstm",
    title="BN-LSTM",
    module=__name__,
    states={"h": "H", "c": "H"},
    input="4H",
    gates="fiog",
    normalized={"x": "4H", "h": "4H", "c": "H"},
    parameters={
        "W_x": Parameter("D 4H", options.orthogonal_weights),
        "W_h": Parameter("H 4H", options.recurrent),
        "b": Parameter("4H", options.forget_bias),
        "gamma_x": Parameter("4H", "gamma"),
        "gamma_h": Parameter("4H", "gamma"),
        "gamma_c": Parameter("H", "gamma"),
        "beta_c": Parameter("H"),
    },
    options={"gamma": options.GAMMA, "eps": options.EPS, "input_statistics": options.INPUT_STATISTICS,
             "forget_bias": options.FORGET_BIAS, "init": options.GATED_INIT},
    quantities={
        "x_term": Quantity(r"\mathrm{BN}(W_x x_t; \gamma_x, 0)", "6", "N 4H"),
        "h_prev": Quantity(r"h_{t-1}", "6", "N H"),
        "c_prev": Quantity(r"c_{t-1}", "7", "N H"),
        "h_linear": Quantity(r"W_h h_{t-1}", "6", "N 4H"),
        **normalized("h", r"W_h h_{t-1}", "5", "4H"),
        "h_term": Quantity(r"\mathrm{BN}(W_h h_{t-1}; \gamma_h, 0)", "6", "N 4H"),
        "f_tilde": Quantity(r"\tilde{f}_t", "6", "N H"),
        "i_tilde": Quantity(r"\tilde{i}_t", "6", "N H"),
        "o_tilde": Quantity(r"\tilde{o}_t", "6", "N H"),
        "g_tilde": Quantity(r"\tilde{g}_t", "6", "N H"),
        "f": Quantity(r"\sigma(\tilde{f}_t)", "7", "N H"),
        "i": Quantity(r"\sigma(\tilde{i}_t)", "7", "N H"),
        "g": Quantity(r"\tanh(\tilde{g}_t)", "7", "N H"),
        "c": Quantity(r"c_t", "7", "N H"),
        **normalized("c", r"c_t", "5", "H"),
        "c_term": Quantity(r"\mathrm{BN}(c_t; \gamma_c, \beta_c)", "8", "N H"),
        "o": Quantity(r"\sigma(\tilde{o}_t)", "8", "N H"),
        "tanh_c": Quantity(r"\tanh(\mathrm{BN}(c_t; \gamma_c, \beta_c))", "8", "N H"),
        "h": Quantity(r"h_t", "8", "N H"),
    },
    kernel="bn_lstm",
)
