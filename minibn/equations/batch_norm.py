r"""Eq. 5, batch normalization, and its backward through the batch statistics.

    BN(a; gamma, beta) = beta + gamma * (a - E[a]) / sqrt(Var[a] + epsilon)

The statistics are over the minibatch, separately at each time step. With ``weight_n`` the weight of example n
(1/N; mask_n / number of live examples; 0 when the statistics are given from outside),

    E[a] = sum_n weight_n a_n,        Var[a] = sum_n weight_n (a_n - E[a])^2,

and one backward serves the minibatch, the masked and the population case: ``weight_n`` is dE/da_n.
"""

from typing import NamedTuple

from minibn.backend import array_module
from minibn.equations.quantities import Quantity
from minibn.errors import brief
from minibn.statistics import batch_statistics, example_weights

QUANTITIES = {
    "a": Quantity(r"a", "5", "N G"),
    "mean": Quantity(r"\widehat{\mathbb{E}}[a]", "5", "1 G"),
    "variance": Quantity(r"\widehat{\mathrm{Var}}[a]", "5", "1 G"),
    "inv_std": Quantity(r"(\widehat{\mathrm{Var}}[a] + \epsilon)^{-1/2}", "5", "1 G"),
    "hat": Quantity(r"\hat{a}", "5", "N G"),
}


class BatchNormCache(NamedTuple):
    """What Eq. 5 computed on its way."""

    a: object           # (..., N, G)   input
    weight: object      # (..., 1, N)   of each example in the statistics
    mean: object        # (..., 1, G)
    variance: object    # (..., 1, G)   biased, without epsilon
    inv_std: object     # (..., 1, G)
    hat: object         # (..., N, G)   normalized input
    gamma: object       # (G,)

    __repr__ = brief


class BatchNormGradients(NamedTuple):
    """Total derivatives with respect to every quantity of Eq. 5."""

    a: object
    mean: object
    variance: object
    inv_std: object
    hat: object
    gamma: object       # (G,)   summed over examples, and over time steps where `a` has them
    beta: object        # (G,)

    __repr__ = brief


def batch_norm_forward(a, gamma, beta, eps, mask=None, statistics=None):
    """Normalize `a` over its examples (Eq. 5).

    Parameters
    ----------
    a : ndarray of shape (..., N, G)
        Leading axes (time steps) are normalized separately.
    gamma : ndarray of shape (G,)
    beta : ndarray of shape (G,) or float
    eps : float
        Added to the variance, inside the square root.
    mask : ndarray of shape (..., N), optional
        The batch statistics are taken over the live examples.
    statistics : Statistics of arrays (..., 1, G), optional
        Given (population) statistics: the batch's own are not estimated.

    Returns
    -------
    y : ndarray of shape (..., N, G)
    cache : BatchNormCache
    """
    xp = array_module(a)
    if statistics is None:
        weight = example_weights(a, mask)                             # (..., 1, N)
        mean, variance = batch_statistics(a, weight)                  # (..., 1, G)
    else:
        weight = xp.zeros((1, a.shape[-2]), dtype=a.real.dtype)       # constants: nothing flows through them
        mean, variance = statistics
    inv_std = 1 / xp.sqrt(variance + eps)                             # (..., 1, G)
    hat = (a - mean) * inv_std                                        # (..., N, G)
    y = beta + gamma * hat                                            # (..., N, G)
    return y, BatchNormCache(a, weight, mean, variance, inv_std, hat, gamma)


def batch_norm_backward(dy, cache):
    """Backward of Eq. 5, through the mean and the variance to every example of the batch.

    Parameters
    ----------
    dy : ndarray of shape (..., N, G)
    cache : BatchNormCache

    Returns
    -------
    BatchNormGradients
    """
    a, weight, mean, _, inv_std, hat, gamma = cache
    xp = array_module(dy)
    all_rows = tuple(range(dy.ndim - 1))
    dbeta = dy.sum(axis=all_rows)                                     # (G,)
    dgamma = (dy * hat).sum(axis=all_rows)                            # (G,)
    dhat = dy * gamma                                                 # (..., N, G)
    centred = a - mean                                                # (..., N, G)
    dinv_std = (dhat * centred).sum(axis=-2, keepdims=True)           # (..., 1, G)
    # (..)^-3/2, its factors in an order that forms no power: float32 could not hold it.
    dvariance = -0.5 * inv_std * (inv_std * (inv_std * dinv_std))     # (..., 1, G)
    # The variance depends on the mean too, but dVar/dE = -2 sum_n weight_n (a_n - E) = 0.
    dmean = -(dhat * inv_std).sum(axis=-2, keepdims=True)             # (..., 1, G)
    da = dhat * inv_std + xp.swapaxes(weight, -1, -2) * (dmean + 2 * centred * dvariance)
    return BatchNormGradients(da, dmean, dvariance, dinv_std, dhat, dgamma, dbeta)
