"""A sequence read from its end: what the backward reader of a bidirectional layer sees.

The live steps of each example change places, first with last, and padding stays where it is. So a mask is the same for
both readers, and to reverse twice is to do nothing: reversing a gradient is the backward of reversing.
"""

from minibn.backend import array_module


def reversed_steps(mask):
    """Which step is read when, for each example: mask (T, N) bool -> integers (T, N)."""
    xp = array_module(mask)
    T = len(mask)
    t = xp.broadcast_to(xp.arange(T)[:, None], mask.shape)            # (T, N)
    live_first = xp.argsort(xp.where(mask, t, T + t), axis=0)         # (T, N)
    rank = xp.cumsum(mask, axis=0) - 1                                # (T, N)    a live step is the rank-th live one
    last = mask.sum(axis=0) - 1                                       # (N,)
    swapped = xp.take_along_axis(live_first, xp.where(mask, last - rank, 0), axis=0)         # (T, N)
    return xp.where(mask, swapped, t)


def reverse(a, mask=None):
    """`a` (T, N, ...) with the live steps of each example in reverse; its own inverse, and its own backward."""
    if mask is None:
        return a[::-1]
    steps = reversed_steps(mask != 0)                                 # (T, N)
    return array_module(a).take_along_axis(a, steps.reshape(*steps.shape, *(1,) * (a.ndim - 2)), axis=0)
