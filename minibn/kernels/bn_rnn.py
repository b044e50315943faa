r"""The RNN of Figure 1(a) for a whole sequence: one batch norm on W_h h_{t-1} + W_x x_t.

Rows [h_{t-1}, x_t] are centred before the one product with the stacked [W_h; W_x]. Kept for the backward:

    h       (T + 1, N, H)       h_0 .. h_T
    rows    (T, N, H + D)       centred (as they are, where the statistics were given)
    a       (T, N, H)           their product with the stacked weights
    and rows (T, H) of the statistics.
"""

import numpy as np

from minibn.kernels import workspace
from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scale_of, scratch
from minibn.kernels.gates import slopes
from minibn.kernels.stacked import dense
from minibn.kernels.weight_gradient import WeightGradient
from minibn.statistics import Statistics


def forward(call):
    """The cell for t = 1 .. T."""
    (h_0,), p, eps, given = call.state, call.params, call.eps, call.given
    x = dense(call.x, p)
    T, N, D = x.shape
    H, dtype = h_0.shape[1], p["W_h"].dtype
    examples, weights = Examples(T, N, dtype, call.mask), np.concatenate([p["W_h"], p["W_x"]])
    h, rows = workspace.empty((T + 1, N, H), dtype), workspace.empty((T, N, H + D), dtype)
    a = workspace.empty((T, N, H), dtype)
    h_tilde, squared = scratch(dtype, (N, H), (N, H))
    h[0] = h_0
    if given is None:
        row_mean, variance, s = np.empty((T, H + D), dtype), np.empty((T, H), dtype), np.empty(H, dtype)
        offset = p["b"]
    else:
        mean, variance = (values[:, 0] for values in given["sum"])
        scale = p["gamma"] / np.sqrt(variance + eps)
        offsets = p["b"] - mean * scale
    for t in range(T):
        rows[t, :, :H] = h[t]
        rows[t, :, H:] = x[t]
        if given is None:
            examples.centre(t, rows[t], row_mean[t], rows[t])
            np.matmul(rows[t], weights, out=a[t])
            np.square(a[t], out=squared)
            np.dot(examples.weight[t], squared, out=variance[t])
            scale_of(p["gamma"], variance[t], eps, out=s)
        else:
            np.matmul(rows[t], weights, out=a[t])
            s, offset = scale[t], offsets[t]
        np.multiply(a[t], s, out=h_tilde)
        np.add(h_tilde, offset, out=h_tilde)
        np.tanh(h_tilde, out=h[t + 1])
        examples.freeze(t, h[t + 1], h[t])
    if given is None:
        mean = row_mean @ weights
    return Stored(h[1:], None, {"sum": Statistics(mean, variance)}, {"h": h, "rows": rows, "a": a})


def backward(dh, call, stored):
    """Back-propagation through time, and through every batch statistic."""
    (h, rows, a), p, given = (stored.arrays[name] for name in ("h", "rows", "a")), call.params, call.given
    mean, variance = stored.statistics["sum"]
    T, N, K = rows.shape
    H, dtype = a.shape[2], a.dtype
    examples, gradient = Examples(T, N, dtype, call.mask), WeightGradient(T, N, K, H, dtype, rows)
    inv_std = 1 / np.sqrt(variance + call.eps)
    s = inv_std * p["gamma"]
    share = np.array(examples.share, dtype)[:, None] if given is None else 0
    r = s * inv_std ** 2 * share
    e_a, e_1, row = np.empty((T, H), dtype), np.empty((T, H), dtype), np.empty(H, dtype)
    weights_T = np.concatenate([p["W_h"], p["W_x"]]).T
    drows, product, dh_t, kept = scratch(dtype, (N, K), *[(N, H)] * 3)
    row_mean, dx = np.empty(K, dtype), np.empty((T, N, K - H), dtype)
    dh_t.fill(0)
    for t in reversed(range(T)):
        e = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept)
        slopes(h[t + 1], product)
        np.multiply(dh_t, product, out=e)
        np.multiply(e, a[t], out=product)
        np.dot(examples.ones, product, out=e_a[t])
        np.dot(examples.ones, e, out=e_1[t])
        np.multiply(e, s[t], out=e)
        if given is None:
            np.multiply(r[t], e_a[t], out=row)
            np.multiply(a[t], row, out=product)
            np.subtract(e, product, out=e)
        np.matmul(e, weights_T, out=drows)
        if given is None:
            examples.centre(t, drows, row_mean, out=drows)
        dh_t[...], dx[t] = drows[:, :H], drows[:, H:]
        examples.pass_on(dh_t, kept)
        if chunk := gradient.chunk(t, T):
            gradient.add(*chunk)
    if given is not None:
        e_a -= mean * e_1
    return (None if call.x.ndim == 2 else dx), (dh_t,), {
        "W_h": gradient.total[:H], "W_x": gradient.total[H:],
        "gamma": (inv_std * e_a).sum(axis=0), "b": e_1.sum(axis=0)}
