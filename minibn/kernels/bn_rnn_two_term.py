r"""The tanh RNN with a batch norm for each term, for a whole sequence; as `minibn.kernels.bn_lstm`, without gates.

Kept for the backward, besides the input (see `minibn.kernels.input_term`):

    h       (T + 1, N, H)       h_0 .. h_T
    a       (T, N, H)           W_h h_{t-1}, centred (as it is, where the statistics were given)
    h_mean  (T, H)              of h_{t-1} itself
    and rows (T, H) of the statistics.
"""

import numpy as np

from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scale_of, scratch, square_in_units
from minibn.kernels.gates import tanh_slopes
from minibn.kernels.input_term import normalized_input
from minibn.kernels.weight_gradient import WeightGradient
from minibn.statistics import Statistics


def forward(call):
    """The cell for t = 1 .. T."""
    (h_0,), p, eps, given = call.state, call.params, call.eps, call.given
    T, N = call.x.shape[:2]
    H, dtype = h_0.shape[1], p["W_h"].dtype
    examples, W_h, gamma_h = Examples(call, dtype), p["W_h"], p["gamma_h"]
    source = normalized_input(call, examples)
    x_term = source.forward(p["b"], 1, examples)
    h, a, scaled, h_tilde = scratch(dtype, (T + 1, N, H), (T, N, H), (N, H), (N, H))
    h[0] = h_0
    h_mean = np.empty((T, H), dtype)
    if given is None:
        variance, s, offset = np.empty((T, H), dtype), np.empty(H, dtype), 0
    else:
        mean, variance = (values[:, 0] for values in given["h"])
        scale = gamma_h / np.sqrt(variance + eps)
        offsets = -mean * scale
    for t in range(T):
        if given is None:
            examples.centre(t, h[t], h_mean[t], scaled)
            np.matmul(scaled, W_h, out=a[t])
            np.square(a[t], out=scaled)
            np.dot(examples.weight[t], scaled, out=variance[t])
            scale_of(gamma_h, variance[t], eps, out=s)
        else:
            np.matmul(h[t], W_h, out=a[t])
            s, offset = scale[t], offsets[t]
        x_term.write(t, offset, out=h_tilde)
        np.multiply(a[t], s, out=scaled)
        np.add(h_tilde, scaled, out=h_tilde)
        np.tanh(h_tilde, out=h[t + 1])
        examples.freeze(t, h[t + 1], h[t])
        yield h[t + 1]
    if given is None:
        mean = h_mean @ W_h
    return Stored(h[1:], None, {"x": source.statistics, "h": Statistics(mean, variance)},
                  {"h": h, "a": a, "h_mean": h_mean, "source": source})


def backward(dh, call, stored):
    """Back-propagation through time, and through every batch statistic."""
    h, a, h_mean, source = (stored.arrays[name] for name in ("h", "a", "h_mean", "source"))
    p, given = call.params, call.given
    W_h, (mean, variance) = p["W_h"], stored.statistics["h"]
    T, N, H = a.shape
    dtype = a.dtype
    examples = Examples(call, dtype)
    x_term = source.backward(examples)
    gradient = WeightGradient(T, N, H, H, dtype, None if given is None else h[:T])
    inv_std = 1 / np.sqrt(variance + call.eps)
    s = inv_std * p["gamma_h"]
    share = np.array(examples.share, dtype)[:, None] if given is None else 0
    square, per_unit = square_in_units(inv_std)
    r = s * square * share
    e_a, row = np.empty((T, H), dtype), np.empty(H, dtype)
    product, dh_t, kept = scratch(dtype, *[(N, H)] * 3)
    dh_t.fill(0)
    for t in reversed(range(T)):
        e = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept)
        tanh_slopes(h[t + 1], product)
        np.multiply(dh_t, product, out=e)
        x_term.collect(t, e)
        np.multiply(e, a[t], out=product)
        np.dot(examples.ones, product, out=e_a[t])
        np.multiply(e, s[t], out=e)
        if given is None:
            np.multiply(r[t], e_a[t], out=row)
            np.multiply(row, per_unit, out=row)
            np.multiply(a[t], row, out=product)
            np.subtract(e, product, out=e)
            examples.subtract(t, h[t], h_mean[t], out=gradient.rows_of(t))
        np.matmul(e, W_h.T, out=dh_t)
        if given is None:
            examples.centre(t, dh_t, row, out=dh_t)
        examples.pass_on(dh_t, kept)
        if chunk := gradient.chunk(t):
            gradient.add(*chunk)
    if given is not None:
        e_a -= mean * x_term.sums
    dx, grads = x_term.finish()
    return dx, (dh_t,), {**grads, "W_h": gradient.total, "gamma_h": (inv_std * e_a).sum(axis=0)}
