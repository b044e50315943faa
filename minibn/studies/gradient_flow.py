"""How large the gradient still is at each step, on its way back from the loss of an untrained classifier."""

import numpy as np

from minibn.equations.affine import affine_backward, affine_forward
from minibn.equations.losses import softmax_cross_entropy_backward, softmax_cross_entropy_forward


def row_norms(a):
    """The Euclidean norm of each row of `a` (N, H), scaled: no square overflows or underflows on the way."""
    scale = np.abs(a).max(axis=1)                                     # (N,)
    safe = np.where(scale > 0, scale, 1)
    return scale * np.sqrt(((a / safe[:, None]) ** 2).sum(axis=1))


def state_gradient_norms(model, x, y, initial_state=None, norm=row_norms):
    """The norms of the total derivatives of the loss with respect to the states, at every step.

    Parameters
    ----------
    model : SequenceClassifier
    x : ndarray of shape (T, N, D)
    y : ndarray of int, shape (N,)
    initial_state : tuple of ndarray (N, H), optional
        As for the cell's `forward`.
    norm : callable
        The norms (N,) of the rows of an array (N, H).

    Returns
    -------
    dict
        "h", and "c" for LSTMs: ndarray of shape (T,), the mean over the examples n of ||d loss / d h_t,n||.
    """
    h, cache = model.cell.forward(x, initial_state=initial_state)     # (T, N, H)
    logits = affine_forward(h[-1], model.params["W_y"], model.params["b_y"])
    dlogits = softmax_cross_entropy_backward(softmax_cross_entropy_forward(logits, y)[1])
    dh = np.zeros_like(h)
    dh[-1] = affine_backward(dlogits, h[-1], model.params["W_y"])[0]
    norms = {name.removesuffix("0"): np.empty(len(x)) for name in model.cell.state_names}

    def observe(t, gradients, dstate):
        for state in norms:
            norms[state][t] = norm(getattr(gradients, state)).mean()

    model.cell.backward(dh, cache, observe=observe)
    return norms
