"""Lab 2 with the closed form: nothing is kept of the way to it."""

import numpy as np

from minibn.labs.kit import BatchNormGradients, example_weights


def batch_statistics(a, weight):
    share = np.swapaxes(weight, -1, -2)
    mean = (share * a).sum(-2, keepdims=True)
    square = (share * (a - mean) * (a - mean)).sum(-2, keepdims=True)
    return mean, square


def batch_norm_forward(a, gamma, beta, eps, mask=None, statistics=None):
    if statistics is not None:
        mean, variance = statistics
    else:
        mean, variance = batch_statistics(a, example_weights(a, mask))
    scale = gamma / np.sqrt(variance + eps)
    y = a * scale + (beta - mean * scale)
    return y, None


def batch_norm_backward(dy, cache):
    n = np.swapaxes(cache.weight, -1, -2)
    rows = tuple(range(dy.ndim - 1))
    s1 = dy.sum(-2, keepdims=True)
    s2 = (dy * cache.hat).sum(-2, keepdims=True)
    da = cache.gamma * cache.inv_std * (dy - n * s1 - n * cache.hat * s2)
    return BatchNormGradients(da, None, None, None, None, s2.sum(rows[:-1]).reshape(-1), s1.sum(rows[:-1]).reshape(-1))
