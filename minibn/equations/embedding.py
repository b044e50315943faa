r"""Words as vectors: row M[id] of the table M (V, D) for each word of a text.

A padded position is 0. `keep` is the dropout mask of what was looked up, drawn by the caller and already divided by
the probability to keep (inverted dropout); 1 keeps everything.
"""

from minibn.backend import array_module
from minibn.equations.input_term import look_up_backward, look_up_forward


def embedding_forward(ids, M, mask=None, keep=1.0):
    """The vectors (T, N, D) of the words ids (T, N); without a mask every position has one."""
    x = look_up_forward(ids, M)                                       # (T, N, D)
    if mask is not None:
        x = array_module(M).where(mask[..., None], x, 0)              # (T, N, D)
    return x * keep                                                   # (T, N, D)


def embedding_backward(dx, ids, M, mask=None, keep=1.0):
    """Gradient with respect to M (V, D): a word collects from all its places."""
    dx = dx * keep                                                    # (T, N, D)
    if mask is not None:
        dx = array_module(M).where(mask[..., None], dx, 0)            # (T, N, D)
    return look_up_backward(dx, ids, M)                               # (V, D)


def repeat_forward(ids, mask):
    """The words ids (T, N) with the padding behind each text filled with that text again and again (cyclic padding)."""
    xp = array_module(ids)
    t = xp.arange(len(ids))[:, None] % xp.maximum(mask.sum(axis=0), 1)                       # (T, N)
    return xp.take_along_axis(ids, t, axis=0)
