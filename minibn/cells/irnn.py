r"""The iRNN (Le, Jaitly and Hinton, 2015; Table 1):   h_t = max(0, W_h h_{t-1} + W_x x_t + b).

W_h is the identity at first: every unit adds up what it sees, and its gradient neither shrinks nor grows on its way
back.
"""

import numpy as np

from minibn.cells.declaration import Cell, Option, Parameter
from minibn.equations.quantities import Quantity
from minibn.errors import check_number


def step_forward(x_term, h_prev, W_h, b):
    """One step."""
    h_linear = h_prev @ W_h                                           # (N, H)
    h_tilde = h_linear + x_term + b                                   # (N, H)
    h = h_tilde * (h_tilde.real > 0)                                  # (N, H)    a product: complex steps pass
    return locals()


def step_backward(dh, h_prev, W_h, h_tilde):
    """Backward of one step."""
    dh_tilde = dh * (h_tilde.real > 0)                                # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dx_term = dh_tilde                                                # (N, H)
    dh_linear = dh_tilde                                              # (N, H)
    dW_h = h_prev.T @ dh_linear                                       # (H, H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


def small(rng, shape, options):
    """Normally distributed, of the paper's standard deviation."""
    return 0.001 * rng.standard_normal(shape)


def scaled_identity(rng, shape, options):
    """alpha times the identity."""
    return options["alpha"] * np.eye(shape[0])


CELL = Cell(
    name="irnn",
    title="iRNN",
    module=__name__,
    states={"h": "H"},
    input="H",
    parameters={
        "W_x": Parameter("D H", small),
        "W_h": Parameter("H H", scaled_identity),
        "b": Parameter("H"),
    },
    options={"alpha": Option(1.0, "initial W_h is alpha times the identity (the paper has 0.01 for speech)",
                             lambda name, value, dtype: check_number(name, value, dtype), kept=False)},
    quantities={
        "x_term": Quantity(r"W_x x_t", "", "N H"),
        "h_prev": Quantity(r"h_{t-1}", "", "N H"),
        "h_linear": Quantity(r"W_h h_{t-1}", "", "N H"),
        "h_tilde": Quantity(r"W_h h_{t-1} + W_x x_t + b", "", "N H"),
        "h": Quantity(r"\max(0, W_h h_{t-1} + W_x x_t + b)", "", "N H"),
    },
)
