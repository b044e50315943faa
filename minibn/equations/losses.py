r"""Softmax cross-entropy, in nats:   L = - mean over live examples of log softmax(z)_y.

At the last step the logits are (N, K); at every step (T, N, K), with a mask where sequences are padded.
"""

from typing import NamedTuple

from minibn.backend import array_module
from minibn.errors import brief


class CrossEntropyCache(NamedTuple):
    """What the loss computed on its way."""

    log_softmax: object     # (..., K)
    y: object               # (...)
    weight: object          # (..., 1), or a float: of each prediction in the mean

    __repr__ = brief


def log_softmax(z):
    """log softmax over the last axis. Shifted by the maximum of the real part: no overflow, and analytic."""
    xp = array_module(z)
    shifted = z - z.real.max(axis=-1, keepdims=True)                  # (..., K)
    return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


def softmax_cross_entropy_forward(logits, y, mask=None):
    """Mean cross-entropy of the labels.

    Parameters
    ----------
    logits : ndarray of shape (..., K)
        (N, K) at the last step, (T, N, K) at every step.
    y : integer ndarray of shape (...)
    mask : ndarray of shape (...), optional
        Live predictions; the mean is over these.

    Returns
    -------
    loss : 0-d ndarray, in nats
    cache : CrossEntropyCache
    """
    xp = array_module(logits)
    if mask is None:
        weight = 1 / y.size
    else:
        live = (mask != 0)[..., None]                                 # (..., 1)
        weight = live / xp.maximum(live.sum(dtype=logits.real.dtype), 1)
        logits, y = xp.where(live, logits, 0), xp.where(live[..., 0], y, 0)     # padding may hold anything
    log_p = log_softmax(logits)                                       # (..., K)
    log_p_y = xp.take_along_axis(log_p, y[..., None], axis=-1)        # (..., 1)
    loss = -(weight * log_p_y).sum()
    return loss, CrossEntropyCache(log_p, y, weight)


def softmax_cross_entropy_backward(cache):
    """Gradient of the mean loss with respect to the logits (..., K): (softmax - one-hot) times the weight."""
    xp = array_module(cache.log_softmax)
    K = cache.log_softmax.shape[-1]
    one_hot = xp.arange(K) == cache.y[..., None]                      # (..., K)
    return (xp.exp(cache.log_softmax) - one_hot) * cache.weight       # (..., K)
