"""A cell outside the package with a state of another width: a tanh RNN that sees the output of S steps ago."""

import numpy as np

from minibn.cells import Cell, Option, Parameter, options
from minibn.equations.blocks import join
from minibn.equations.quantities import Quantity


def step_forward(x_term, h_prev, past_prev, W_skip, b):
    """One step; `past` is a delay line, the latest output first."""
    skip = past_prev[:, -h_prev.shape[1]:]                            # (N, H)
    h_tilde = skip @ W_skip + x_term + b                              # (N, H)
    h = np.tanh(h_tilde)                                              # (N, H)
    past = join(h, past_prev[:, :-h.shape[1]])                        # (N, SH)
    return locals()


def step_backward(dh, dpast, h_prev, W_skip, skip, h):
    """Backward of one step; `dh` is first what comes from step t+1 and the loss."""
    H = h.shape[1]
    dh = dh + dpast[:, :H]                                            # (N, H)
    dh_tilde = dh * (1 - h * h)                                       # (N, H)
    dx_term = dh_tilde                                                # (N, H)
    db = dh_tilde.sum(axis=0)                                         # (H,)
    dW_skip = skip.T @ dh_tilde                                       # (H, H)
    dskip = dh_tilde @ W_skip.T                                       # (N, H)
    dpast_prev = join(dpast[:, H:], dskip)                            # (N, SH)
    dh_prev = np.zeros_like(h_prev)                                   # (N, H)
    return locals()


CELL = Cell(
    name="skip", title="skip RNN", module=__name__, states={"h": "H", "past": "SH"}, input="H",
    parameters={"W_x": Parameter("D H", options.orthogonal_weights),
                "W_skip": Parameter("H H", options.orthogonal_weights), "b": Parameter("H")},
    options={"skip": Option(3, "steps back", size="S")},
    quantities={
        "x_term": Quantity(r"W_x x_t", "", "N H"),
        "h_prev": Quantity(r"h_{t-1}", "", "N H"),
        "past_prev": Quantity(r"p_{t-1}", "", "N SH"),
        "skip": Quantity(r"h_{t-S}", "", "N H"),
        "h_tilde": Quantity(r"\tilde{h}_t", "", "N H"),
        "h": Quantity(r"h_t", "", "N H"),
        "past": Quantity(r"p_t", "", "N SH"),
    },
)
