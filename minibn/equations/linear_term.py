r"""A linear map with a batch norm of its own: BN(P a; gamma, 0), or P a alone.

A reader has one for each term of its attention and of its answer. There is one set of statistics: over all rows, of
all steps and examples, or over those of a mask.
"""

from typing import NamedTuple

from minibn.equations.input_term import (
    per_sequence_backward,
    per_sequence_forward,
    project_backward,
    project_forward,
)
from minibn.errors import brief


class LinearTermCache(NamedTuple):
    """What the backward needs."""

    a: object           # (T, N, C); T = 1 where there is one row for each example
    P: object           # (C, A)
    linear: object      # (T, N, A)    P a
    term: object        # (T, N, A)
    bn: tuple           # of one BatchNormCache, or none

    __repr__ = brief


def linear_term_forward(a, P, gamma=None, eps=0.0, mask=None, statistics=None):
    """The term (T, N, A) of a (T, N, C), or (N, A) of a (N, C).

    Parameters
    ----------
    a : ndarray of shape (T, N, C) or (N, C)
    P : ndarray of shape (C, A)
    gamma : ndarray of shape (A,), optional
        Without it nothing is normalized.
    eps : float
    mask : bool ndarray of shape (T, N), optional
        The rows that enter the statistics; by default all.
    statistics : Statistics of arrays (1, A), optional
        Given ones.

    Returns
    -------
    term : ndarray of shape (T, N, A) or (N, A)
    cache : LinearTermCache
    """
    stacked, bn = a if a.ndim == 3 else a[None], ()
    linear = term = project_forward(stacked, P)                       # (T or 1, N, A)
    if gamma is not None:
        term, bn = per_sequence_forward(linear, gamma, eps, mask, statistics)
    return term.reshape(*a.shape[:-1], -1), LinearTermCache(stacked, P, linear, term, bn)


def linear_term_backward(dterm, cache, observe=None):
    """Gradients with respect to a, P, and gamma (None without a batch norm).

    ``observe(0, gradients)`` is called with the BatchNormGradients, where there are some.
    """
    dlinear, dgamma = dterm.reshape(cache.linear.shape), None         # (T or 1, N, A)
    if cache.bn:
        dlinear, dgamma = per_sequence_backward(dlinear, cache.bn, observe)
    da, dP = project_backward(dlinear, cache.a, cache.P)
    return da.reshape(*dterm.shape[:-1], -1), dP, dgamma
