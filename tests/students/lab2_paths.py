"""Lab 2 path by path, with other names, and einsum for the sums."""

import numpy as np

from minibn.labs.kit import BatchNormGradients, example_weights


def batch_statistics(a, weight):
    mu = np.einsum("...on,...ng->...og", weight * np.ones_like(a[..., :1, :1]), a)
    var = np.einsum("...on,...ng->...og", weight * np.ones_like(a[..., :1, :1]), (a - mu) ** 2)
    return mu, var


def batch_norm_forward(a, gamma, beta, eps, mask=None, statistics=None):
    mu, var = batch_statistics(a, example_weights(a, mask)) if statistics is None else statistics
    x_hat = (a - mu) / (var + eps) ** 0.5
    return gamma * x_hat + beta, None


def batch_norm_backward(dy, cache):
    x, p, mu = cache.a, np.swapaxes(cache.weight, -1, -2), cache.mean
    r = cache.inv_std
    dx_hat = dy * cache.gamma
    dvar = np.sum(dx_hat * (x - mu), axis=-2, keepdims=True) * (-0.5) * r ** 3
    dmu = np.sum(-dx_hat * r, axis=-2, keepdims=True)
    dx = dx_hat * r
    dx = dx + dvar * 2 * (x - mu) * p
    dx = dx + dmu * p
    G = dy.shape[-1]
    dgamma = (dy * cache.hat).reshape(-1, G).sum(0)
    dbeta = dy.reshape(-1, G).sum(0)
    return BatchNormGradients(dx, dmu, dvar, None, None, dgamma, dbeta)
