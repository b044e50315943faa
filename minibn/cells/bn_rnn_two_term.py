r"""The tanh RNN with one batch norm for each term, as Eq. 6 has it for the LSTM.

    h_t = tanh(BN(W_h h_{t-1}; gamma_h) + BN(W_x x_t; gamma_x) + b)
"""

from minibn.cells import options
from minibn.cells.declaration import Cell, Parameter
from minibn.equations.activations import dtanh, tanh
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.equations.quantities import Quantity, normalized


def step_forward(x_term, h_prev, W_h, gamma_h, b, eps, mask, statistics):
    """One step."""
    h_linear = h_prev @ W_h                                           # (N, H)
    h_term, h_bn = batch_norm_forward(
        h_linear, gamma_h, 0.0, eps, mask, statistics["h"])           # (N, H)
    h_tilde = h_term + x_term + b                                     # (N, H)
    h = tanh(h_tilde)                                                 # (N, H)
    return locals()


def step_backward(dh, h_prev, W_h, h_bn, h):
    """Backward of one step."""
    dh_tilde = dh * dtanh(h)                                          # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dx_term = dh_tilde                                                # (N, H)
    dh_term = dh_tilde                                                # (N, H)
    dh_bn = batch_norm_backward(dh_term, h_bn)
    dgamma_h = dh_bn.gamma                                            # (H,)
    dh_linear = dh_bn.a                                               # (N, H)
    dW_h = h_prev.T @ dh_linear                                       # (H, H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


CELL = Cell(
    name="bnrnn_two_term",
    title="BN-RNN, two terms",
    module=__name__,
    states={"h": "H"},
    input="H",
    normalized={"x": "H", "h": "H"},
    parameters={
        "W_x": Parameter("D H", options.orthogonal_weights),
        "W_h": Parameter("H H", options.recurrent),
        "b": Parameter("H"),
        "gamma_x": Parameter("H", "gamma"),
        "gamma_h": Parameter("H", "gamma"),
    },
    options={"gamma": options.GAMMA, "eps": options.EPS, "input_statistics": options.INPUT_STATISTICS,
             "init": options.INIT},
    quantities={
        "x_term": Quantity(r"\mathrm{BN}(W_x x_t; \gamma_x, 0)", "6", "N H"),
        "h_prev": Quantity(r"h_{t-1}", "6", "N H"),
        "h_linear": Quantity(r"W_h h_{t-1}", "6", "N H"),
        **normalized("h", r"W_h h_{t-1}", "5", "H"),
        "h_term": Quantity(r"\mathrm{BN}(W_h h_{t-1}; \gamma_h, 0)", "6", "N H"),
        "h_tilde": Quantity(r"\tilde{h}_t", "6", "N H"),
        "h": Quantity(r"h_t", "6", "N H"),
    },
    kernel="bn_rnn_two_term",
)
