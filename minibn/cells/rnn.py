r"""Eq. 1, the tanh RNN:   h_t = tanh(W_h h_{t-1} + W_x x_t + b)."""

from minibn.cells import options
from minibn.cells.declaration import Cell, Parameter
from minibn.equations.activations import dtanh, tanh
from minibn.equations.quantities import Quantity


def step_forward(x_term, h_prev, W_h, b):
    """One step of Eq. 1."""
    h_linear = h_prev @ W_h                                           # (N, H)
    h_tilde = h_linear + x_term + b                                   # (N, H)
    h = tanh(h_tilde)                                                 # (N, H)
    return locals()


def step_backward(dh, h_prev, W_h, h):
    """Backward of one step."""
    dh_tilde = dh * dtanh(h)                                          # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dx_term = dh_tilde                                                # (N, H)
    dh_linear = dh_tilde                                              # (N, H)
    dW_h = h_prev.T @ dh_linear                                       # (H, H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


CELL = Cell(
    name="rnn",
    title="tanh RNN",
    module=__name__,
    states={"h": "H"},
    input="H",
    parameters={
        "W_x": Parameter("D H", options.orthogonal_weights),
        "W_h": Parameter("H H", options.recurrent),
        "b": Parameter("H"),
    },
    options={"init": options.INIT},
    quantities={
        "x_term": Quantity(r"W_x x_t", "1", "N H"),
        "h_prev": Quantity(r"h_{t-1}", "1", "N H"),
        "h_linear": Quantity(r"W_h h_{t-1}", "1", "N H"),
        "h_tilde": Quantity(r"W_h h_{t-1} + W_x x_t + b", "1", "N H"),
        "h": Quantity(r"h_t", "1", "N H"),
    },
    kernel="rnn",
)
