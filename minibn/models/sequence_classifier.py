"""A classifier of whole sequences: a recurrent cell, and a softmax on its last state."""

import numpy as np

from minibn.models.base import RecurrentModel


class SequenceClassifier(RecurrentModel):
    """softmax(W_y h_T + b_y) on the last output of a cell (Section 5.1 of the paper).

    Of a `minibn.Bidirectional` that is the last output of both readers: the one after the last step, and the one
    after the first.

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
        for _, cache in pieces:                                       # of the earlier pieces nothing is kept
            last = cache.last_output                                  # (N, H)
        yield ..., last

    def _read_backward(self, dstates, cache):
        return cache.last_output_backward(dstates)                    # (T, N, H)

    def _live(self, mask):
        return None                                                   # one prediction for each example
