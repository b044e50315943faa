r"""A cell of one's own: the gated recurrent unit (Cho et al., 2014), gate blocks in the order r, z, g.

    (r~; z~)_t = W_h h_{t-1} + (W_x x_t + b)_{r, z}
    g~_t       = W_g (r_t * h_{t-1}) + (W_x x_t + b)_g
    h_t        = z_t * h_{t-1} + (1 - z_t) * tanh(g~_t)

Notebook 11 derives it. ``minibn train stdlib --model gru.py:GRU`` trains it.
"""

from minibn.cells import Cell, Parameter, options
from minibn.equations.activations import dsigmoid, dtanh, sigmoid, tanh
from minibn.equations.blocks import join, split
from minibn.equations.quantities import Quantity


def step_forward(x_term, h_prev, W_h, W_g, b):
    """One step."""
    x_r, x_z, x_g = split(x_term + b, 3)                              # (N, H)
    h_r, h_z = split(h_prev @ W_h, 2)                                 # (N, H)
    r_tilde = h_r + x_r                                               # (N, H)
    z_tilde = h_z + x_z                                               # (N, H)
    r = sigmoid(r_tilde)                                              # (N, H)
    z = sigmoid(z_tilde)                                              # (N, H)
    h_reset = r * h_prev                                              # (N, H)
    g_tilde = h_reset @ W_g + x_g                                     # (N, H)
    g = tanh(g_tilde)                                                 # (N, H)
    h = z * h_prev + (1 - z) * g                                      # (N, H)
    return locals()


def step_backward(dh, h_prev, W_h, W_g, r, z, h_reset, g):
    """Backward of one step: the same lines from the last to the first."""
    dg = dh * (1 - z)                                                 # (N, H)
    dz = dh * (h_prev - g)                                            # (N, H)
    dg_tilde = dg * dtanh(g)                                          # (N, H)
    dW_g = h_reset.T @ dg_tilde                                       # (H, H)
    dh_reset = dg_tilde @ W_g.T                                       # (N, H)
    dr = dh_reset * h_prev                                            # (N, H)
    dz_tilde = dz * dsigmoid(z)                                       # (N, H)
    dr_tilde = dr * dsigmoid(r)                                       # (N, H)
    dh_linear = join(dr_tilde, dz_tilde)                              # (N, 2H)
    dW_h = h_prev.T @ dh_linear                                       # (H, 2H)
    dh_prev = dh * z + dh_reset * r + dh_linear @ W_h.T               # (N, H)    three ways back
    dx_term = join(dr_tilde, dz_tilde, dg_tilde)                      # (N, 3H)
    db = dx_term.sum(axis=0)                                          # (3H,)
    return locals()


GRU = Cell(
    name="gru", title="GRU", module=__name__, states={"h": "H"}, input="3H", gates="rzg",
    parameters={
        "W_x": Parameter("D 3H", options.orthogonal_weights),
        "W_h": Parameter("H 2H", options.orthogonal_weights),
        "W_g": Parameter("H H", options.orthogonal_weights),
        "b": Parameter("3H"),
    },
    quantities={
        "x_term": Quantity(r"W_x x_t", "", "N 3H"),
        "h_prev": Quantity(r"h_{t-1}", "", "N H"),
        "r_tilde": Quantity(r"\tilde{r}_t", "", "N H"),
        "z_tilde": Quantity(r"\tilde{z}_t", "", "N H"),
        "r": Quantity(r"\sigma(\tilde{r}_t)", "", "N H"),
        "z": Quantity(r"\sigma(\tilde{z}_t)", "", "N H"),
        "h_reset": Quantity(r"r_t \odot h_{t-1}", "", "N H"),
        "g_tilde": Quantity(r"\tilde{g}_t", "", "N H"),
        "g": Quantity(r"\tanh(\tilde{g}_t)", "", "N H"),
        "h": Quantity(r"h_t", "", "N H"),
    },
)
