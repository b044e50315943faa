r"""The RNN of Figure 1(a), one batch norm on the sum:   h_t = tanh(BN(W_h h_{t-1} + W_x x_t; gamma, b))."""

from minibn.cells import options
from minibn.cells.declaration import Cell, Parameter
from minibn.equations.activations import dtanh, tanh
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.equations.quantities import Quantity, normalized


def step_forward(x_term, h_prev, W_h, gamma, b, eps, mask, statistics):
    """One step; b is the beta of the batch norm."""
    h_linear = h_prev @ W_h                                           # (N, H)
    sum = h_linear + x_term                                           # (N, H)
    h_tilde, sum_bn = batch_norm_forward(
        sum, gamma, b, eps, mask, statistics["sum"])                  # (N, H)
    h = tanh(h_tilde)                                                 # (N, H)
    return locals()


def step_backward(dh, h_prev, W_h, sum_bn, h):
    """Backward of one step."""
    dh_tilde = dh * dtanh(h)                                          # (N, H)
    dsum_bn = batch_norm_backward(dh_tilde, sum_bn)
    dgamma, db = dsum_bn.gamma, dsum_bn.beta                          # (H,)
    dsum = dsum_bn.a                                                  # (N, H)
    dx_term = dsum                                                    # (N, H)
    dh_linear = dsum                                                  # (N, H)
    dW_h = h_prev.T @ dh_linear                                       # (H, H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


CELL = Cell(
    name="bnrnn",
    title="BN-RNN",
    module=__name__,
    states={"h": "H"},
    input="H",
    normalized={"sum": "H"},
    parameters={
        "W_x": Parameter("D H", options.orthogonal_weights),
        "W_h": Parameter("H H", options.recurrent),
        "b": Parameter("H"),
        "gamma": Parameter("H", "gamma"),
    },
    options={"gamma": options.GAMMA, "eps": options.EPS, "init": options.INIT},
    quantities={
        "x_term": Quantity(r"W_x x_t", "1", "N H"),
        "h_prev": Quantity(r"h_{t-1}", "1", "N H"),
        "h_linear": Quantity(r"W_h h_{t-1}", "1", "N H"),
        "sum": Quantity(r"W_h h_{t-1} + W_x x_t", "1", "N H"),
        **normalized("sum", r"W_h h_{t-1} + W_x x_t", "5", "H"),
        "h_tilde": Quantity(r"\mathrm{BN}(W_h h_{t-1} + W_x x_t; \gamma, b)", "5", "N H"),
        "h": Quantity(r"h_t", "1", "N H"),
    },
    kernel="bn_rnn",
)
