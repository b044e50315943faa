r"""A cell outside the package that takes masks at each step: an RNN with zoneout (Krueger et al., 2017).

    h_t = z_t * h_{t-1} + (1 - z_t) * tanh(W_h h_{t-1} + W_x x_t + b)

z_t is 1 where a unit keeps its state: drawn in training, its probability in evaluation.
"""

import numpy as np

from minibn.cells import Cell, Data, Option, Parameter, options
from minibn.equations.activations import dtanh, tanh
from minibn.equations.quantities import Quantity


def step_forward(x_term, h_prev, zone_h, W_h, b):
    """One step."""
    h_tilde = h_prev @ W_h + x_term + b                               # (N, H)
    new = tanh(h_tilde)                                               # (N, H)
    h = zone_h * h_prev + (1 - zone_h) * new                          # (N, H)
    return locals()


def step_backward(dh, h_prev, zone_h, W_h, new):
    """Backward of one step."""
    dnew = (1 - zone_h) * dh                                          # (N, H)
    dh_tilde = dnew * dtanh(new)                                      # (N, H)
    dx_term = dh_tilde                                                # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dW_h = h_prev.T @ dh_tilde                                        # (H, H)
    dh_prev = zone_h * dh + dh_tilde @ W_h.T                          # (N, H)
    return locals()


def draw(rng, shape, options):
    """1 with the probability `zone`."""
    return (rng.random(shape) < options["zone"]).astype(float)


def expectation(shape, options):
    """That probability."""
    return np.full(shape, options["zone"])


CELL = Cell(
    name="zoneout", title="zoneout RNN", module=__name__, states={"h": "H"}, input="H",
    parameters={"W_x": Parameter("D H", options.orthogonal_weights),
                "W_h": Parameter("H H", options.orthogonal_weights), "b": Parameter("H")},
    data={"zone_h": Data("N H", draw, expectation)},
    options={"zone": Option(0.25, "probability that a unit keeps its state")},
    quantities={
        "x_term": Quantity(r"W_x x_t", "", "N H"),
        "h_prev": Quantity(r"h_{t-1}", "", "N H"),
        "h_tilde": Quantity(r"\tilde{h}_t", "", "N H"),
        "new": Quantity(r"\tanh(\tilde{h}_t)", "", "N H"),
        "h": Quantity(r"h_t", "", "N H"),
    },
)
