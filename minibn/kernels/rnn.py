r"""Eq. 1 for a whole sequence: the tanh RNN.

One product per step, with the stacked [W_h; W_x; b]. Kept for the backward: h_0 .. h_T, in the rows of the stack (see
`minibn.kernels.stacked`).
"""

import numpy as np

from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scratch
from minibn.kernels.gates import tanh_slopes
from minibn.kernels.stacked import stack, stack_gradient


def forward(call):
    """Eq. 1 for t = 1 .. T."""
    T, N = call.x.shape[:2]
    W_h = call.params["W_h"]
    H, dtype = len(W_h), W_h.dtype
    examples, inputs = Examples(call, dtype), stack(call, 1)
    rows = inputs.rows
    [h_tilde] = scratch(dtype, (N, H))
    for t in range(T):
        h_t = rows[t + 1, :, :H]
        inputs.write(t, out=h_tilde)
        np.tanh(h_tilde, out=h_t)
        examples.freeze(t, h_t, rows[t, :, :H])
        yield h_t
    return Stored(rows[1:, :, :H], None, {}, {"rows": rows})


def backward(dh, call, stored):
    """Back-propagation through time."""
    rows, W_h = stored.arrays["rows"], call.params["W_h"]
    T, N, H = stored.h.shape
    dtype = W_h.dtype
    examples, gradient = Examples(call, dtype), stack_gradient(call, rows)
    dh_t, slope, kept = scratch(dtype, *[(N, H)] * 3)
    dh_t.fill(0)
    for t in reversed(range(T)):
        dh_tilde = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept)
        tanh_slopes(stored.h[t], slope)
        np.multiply(dh_t, slope, out=dh_tilde)
        np.matmul(dh_tilde, W_h.T, out=dh_t)
        examples.pass_on(dh_t, kept)
        gradient.collect(t)
    dx, grads = gradient.finish()
    return dx, (dh_t,), grads
