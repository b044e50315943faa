r"""The RNN of Figure 1(a) for a whole sequence: one batch norm on W_h h_{t-1} + W_x x_t.

Rows [h_{t-1}, x_t] are centred before the one product with the stacked [W_h; W_x]. For integer x the rows are h_{t-1}
alone; what is looked up in W_x is centred by itself, and added. Kept for the backward:

    h       (T + 1, N, H)       h_0 .. h_T
    rows    (T, N, H + D)       centred (as they are, where the statistics were given); integer x: (T, N, H)
    a       (T, N, H)           the sum of the terms, likewise centred
    and rows (T, H) of the statistics.
"""

import numpy as np

from minibn.kernels import workspace
from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scale_of, scratch, square_in_units
from minibn.kernels.gates import tanh_slopes
from minibn.kernels.look_up import SymbolSums, Table
from minibn.kernels.weight_gradient import WeightGradient
from minibn.statistics import Statistics


def forward(call):
    """The cell for t = 1 .. T."""
    (h_0,), p, eps, given = call.state, call.params, call.eps, call.given
    T, N = call.x.shape[:2]
    H, dtype = h_0.shape[1], p["W_h"].dtype
    table = Table(p["W_x"], call.x) if call.x.ndim == 2 else None
    examples, weights = Examples(call, dtype), _weights(call)
    h, rows = workspace.empty((T + 1, N, H), dtype), workspace.empty((T, N, len(weights)), dtype)
    a = workspace.empty((T, N, H), dtype)
    h_tilde, squared = scratch(dtype, (N, H), (N, H))
    h[0] = h_0
    if table is None:
        rows[..., H:] = call.x
    if given is None:
        row_mean, variance, s = np.empty((T, len(weights)), dtype), np.empty((T, H), dtype), np.empty(H, dtype)
        x_mean = np.zeros((T, H), dtype)
        offset = p["b"]
    else:
        mean, variance = (values[:, 0] for values in given["sum"])
        scale = p["gamma"] / np.sqrt(variance + eps)
        offsets = p["b"] - mean * scale
    for t in range(T):
        rows[t, :, :H] = h[t]
        if given is None:
            examples.centre(t, rows[t], row_mean[t], rows[t])
        np.matmul(rows[t], weights, out=a[t])
        if table is not None:
            table.take(t, out=squared)
            if given is None:
                examples.centre(t, squared, x_mean[t], squared)
            np.add(a[t], squared, out=a[t])
        if given is None:
            np.square(a[t], out=squared)
            np.dot(examples.weight[t], squared, out=variance[t])
            scale_of(p["gamma"], variance[t], eps, out=s)
        else:
            s, offset = scale[t], offsets[t]
        np.multiply(a[t], s, out=h_tilde)
        np.add(h_tilde, offset, out=h_tilde)
        np.tanh(h_tilde, out=h[t + 1])
        examples.freeze(t, h[t + 1], h[t])
        yield h[t + 1]
    if given is None:
        mean = row_mean @ weights + x_mean
    return Stored(h[1:], None, {"sum": Statistics(mean, variance)}, {"h": h, "rows": rows, "a": a})


def backward(dh, call, stored):
    """Back-propagation through time, and through every batch statistic."""
    (h, rows, a), p, given = (stored.arrays[name] for name in ("h", "rows", "a")), call.params, call.given
    mean, variance = stored.statistics["sum"]
    T, N, K = rows.shape
    H, dtype = a.shape[2], a.dtype
    examples, gradient = Examples(call, dtype), WeightGradient(T, N, K, H, dtype, rows)
    inv_std = 1 / np.sqrt(variance + call.eps)
    s = inv_std * p["gamma"]
    share = np.array(examples.share, dtype)[:, None] if given is None else 0
    m = s * share
    square, per_unit = square_in_units(inv_std)
    r = m * square
    e_a, e_1, row = np.empty((T, H), dtype), np.empty((T, H), dtype), np.empty(H, dtype)
    symbols = SymbolSums(call.x, *p["W_x"].shape, dtype, gradient.steps) if call.x.ndim == 2 else None
    weights_T = _weights(call).T
    drows, product, dh_t, kept = scratch(dtype, (N, K), *[(N, H)] * 3)
    row_mean, dx = np.empty(K, dtype), np.empty((T, N, K - H), dtype)
    dh_t.fill(0)
    for t in reversed(range(T)):
        e = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept)
        tanh_slopes(h[t + 1], product)
        np.multiply(dh_t, product, out=e)
        np.multiply(e, a[t], out=product)
        np.dot(examples.ones, product, out=e_a[t])
        np.dot(examples.ones, e, out=e_1[t])
        np.multiply(e, s[t], out=e)
        if given is None:
            np.multiply(r[t], e_a[t], out=row)
            np.multiply(row, per_unit, out=row)
            np.multiply(a[t], row, out=product)
            np.subtract(e, product, out=e)
            if symbols is not None:                                # rows [h, x] need not: they are centred themselves
                np.multiply(m[t], e_1[t], out=row)
                examples.subtract(t, e, row, out=e)
        np.matmul(e, weights_T, out=drows)
        if given is None:
            examples.centre(t, drows, row_mean, out=drows)
        dh_t[...], dx[t] = drows[:, :H], drows[:, H:]
        examples.pass_on(dh_t, kept)
        if chunk := gradient.chunk(t):
            e_chunk = gradient.add(*chunk)
            if symbols is not None:
                symbols.add(*chunk, e_chunk)
    if given is not None:
        e_a -= mean * e_1
    dW = {"W_h": gradient.total[:H], "W_x": gradient.total[H:] if symbols is None else symbols.total}
    return (dx if symbols is None else None), (dh_t,), {
        **dW, "gamma": (inv_std * e_a).sum(axis=0), "b": e_1.sum(axis=0)}


def _weights(call):
    """What the rows are multiplied with: [W_h; W_x], or W_h where W_x is looked up."""
    p = call.params
    return p["W_h"] if call.x.ndim == 2 else np.concatenate([p["W_h"], p["W_x"]])
