"""A classifier of whole sequences: a recurrent cell, and a softmax on its last state."""

import numpy as np

from minibn.backend import array_module
from minibn.models.base import RecurrentModel


class SequenceClassifier(RecurrentModel):
    """softmax(W_y h_T + b_y) on the last carried state of a cell (Section 5.1 of the paper).

    Parameters
    ----------
    cell : layer
        For example `minibn.BNLSTM`; the model uses this very object.
    classes : int
        K, the number of labels; y has shape (N,).
    rng : numpy.random.Generator or int, optional
        Draws W_y, an orthogonal (H, K) matrix; b_y (K,) is zero.

    Attributes
    ----------
    params : mapping
        ``cell.W_x``, ..., ``W_y``, ``b_y``.
    """

    label_axes = "N"

    def __init__(self, cell, classes, *, rng=None):
        if not isinstance(classes, int | np.integer) or classes < 2:
            raise ValueError(f"classes: expected an integer of at least 2, got {classes!r}; pass the number of labels")
        super().__init__(cell, classes, rng=rng)

    def _read_forward(self, pieces):
        for h in pieces:                                              # of the earlier pieces nothing is kept
            h_T = h[-1]                                               # (N, H)
        yield ..., h_T

    def _read_backward(self, dstates, h):
        dh = array_module(h).zeros_like(h)                            # (T, N, H)
        dh[-1] = dstates
        return dh

    def _live(self, mask):
        return None                                                   # one prediction for each example
