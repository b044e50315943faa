"""Lab 1 with einsum, and the slope written as a product."""

import numpy as np


def dtanh(y):
    return (1.0 - y) * (1.0 + y)


def step_forward(x_term, h_prev, W_h, b):
    z = np.einsum("nh,hk->nk", h_prev, W_h)
    z = z + x_term
    z = z + b[None, :]
    e = np.exp(2 * z)
    return {"h": (e - 1) / (e + 1)}


def step_backward(dh, h_prev, W_h, h):
    delta = dh - dh * h ** 2
    return {"dx_term": delta, "db": np.einsum("nh->h", delta), "dW_h": np.einsum("nh,nk->hk", h_prev, delta),
            "dh_prev": np.einsum("nk,hk->nh", delta, W_h)}
