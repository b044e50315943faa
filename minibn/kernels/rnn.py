r"""Eq. 1 for a whole sequence: the tanh RNN.

One product per step: rows [h_{t-1}, x_t, 1] times the stacked [W_h; W_x; b]. Kept for the backward:

    rows    (T + 1, N, H + D + 1)   its first H columns are h_0 .. h_T
"""

import numpy as np

from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scratch
from minibn.kernels.gates import slopes
from minibn.kernels.stacked import dense, stack_rows, stack_weights, unstack_gradient
from minibn.kernels.weight_gradient import WeightGradient


def forward(call):
    """Eq. 1 for t = 1 .. T."""
    (h_0,), p = call.state, call.params
    x = dense(call.x, p)
    T, N = x.shape[:2]
    H, dtype = h_0.shape[1], p["W_h"].dtype
    examples = Examples(T, N, dtype, call.mask)
    weights, rows = stack_weights(p, 1), stack_rows(x, h_0, dtype)
    [h_tilde] = scratch(dtype, (N, H))
    for t in range(T):
        h_t = rows[t + 1, :, :H]
        np.matmul(rows[t], weights, out=h_tilde)
        np.tanh(h_tilde, out=h_t)
        examples.freeze(t, h_t, rows[t, :, :H])
    return Stored(rows[1:, :, :H], None, {}, {"rows": rows})


def backward(dh, call, stored):
    """Back-propagation through time."""
    rows, p = stored.arrays["rows"], call.params
    W_h, W_x = p["W_h"], p["W_x"]
    T, N, K = len(rows) - 1, *rows.shape[1:]
    H, dtype = len(W_h), rows.dtype
    examples, gradient = Examples(T, N, dtype, call.mask), WeightGradient(T, N, K, H, dtype, rows[:T])
    dx = None if call.x.ndim == 2 else np.empty(call.x.shape, dtype)
    dh_t, slope, kept = scratch(dtype, *[(N, H)] * 3)
    dh_t.fill(0)
    for t in reversed(range(T)):
        dh_tilde = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept)
        slopes(rows[t + 1, :, :H], slope)
        np.multiply(dh_t, slope, out=dh_tilde)
        np.matmul(dh_tilde, W_h.T, out=dh_t)
        examples.pass_on(dh_t, kept)
        if chunk := gradient.chunk(t, T):
            drows = gradient.add(*chunk)
            if dx is not None:
                np.matmul(drows, W_x.T, out=dx[slice(*chunk)].reshape(len(drows), -1))
    return dx, (dh_t,), unstack_gradient(gradient.total, H, 1)
