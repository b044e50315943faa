r"""Eqs. 2-4 for a whole sequence: the LSTM.

All of Eq. 2 is one product with the stacked [W_h; W_x; b], times PRE (see `minibn.kernels.gates`). Kept for the
backward, besides h_0 .. h_T in the rows of the stack (see `minibn.kernels.stacked`):

    c       (T + 1, N, H)           c_0 .. c_T
    tanh_c  (T, N, H)               what o is multiplied with
    fiog    (T, 4, N, H)            f, i, o, g
"""

import numpy as np

from minibn.kernels import gates, workspace
from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scratch
from minibn.kernels.stacked import stack, stack_gradient


def forward(call):
    """Eqs. 2-4 for t = 1 .. T."""
    (h_0, c_0), p = call.state, call.params
    T, N = call.x.shape[:2]
    H, dtype = h_0.shape[1], p["W_h"].dtype
    examples = Examples(call, dtype)
    inputs = stack(call, gates.pre(H, dtype))
    rows, c = inputs.rows, workspace.empty((T + 1, N, H), dtype)
    tanh_c, fiog = scratch(dtype, (T, N, H), (T, 4, N, H))
    tilde, scratch_c = scratch(dtype, (N, 4 * H), (N, H))
    c[0] = c_0
    for t in range(T):
        (f, i, o, g), c_t, h_t = fiog[t], c[t + 1], rows[t + 1, :, :H]
        inputs.write(t, out=tilde)
        gates.write(tilde, fiog[t])
        np.multiply(f, c[t], out=c_t)
        np.multiply(i, g, out=scratch_c)
        np.add(c_t, scratch_c, out=c_t)
        if "beta_c" in p:
            np.add(c_t, p["beta_c"], out=scratch_c)
            np.tanh(scratch_c, out=tanh_c[t])
        else:
            np.tanh(c_t, out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=h_t)
        examples.freeze(t, h_t, rows[t, :, :H])
        examples.freeze(t, c_t, c[t])
        yield h_t
    return Stored(rows[1:, :, :H], c[1:], {}, {"rows": rows, "c": c, "tanh_c": tanh_c, "fiog": fiog})


def backward(dh, call, stored):
    """Back-propagation through time."""
    rows, c, tanh_c, fiog = (stored.arrays[name] for name in ("rows", "c", "tanh_c", "fiog"))
    p = call.params
    T, _, N, H = fiog.shape
    dtype = fiog.dtype
    examples, gradient = Examples(call, dtype), stack_gradient(call, rows)
    rest, dfiog, dc_term, dc, dh_t, kept_h, kept_c = scratch(dtype, (3, N, H), (4, N, H), *[(N, H)] * 5)
    dbeta_c, row = np.zeros(H, dtype), np.empty(H, dtype)
    dc.fill(0)
    dh_t.fill(0)
    for t in reversed(range(T)):
        dtilde = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept_h)
        examples.hold_back(t, dc, kept_c)
        gates.output_backward(dh_t, fiog[t, 2], tanh_c[t], dfiog[2], dc_term, rest[0])
        if "beta_c" in p:
            np.dot(examples.ones, dc_term, out=row)
            np.add(dbeta_c, row, out=dbeta_c)
        np.add(dc, dc_term, out=dc)
        gates.backward(dc, c[t], fiog[t], dfiog, rest, out=dtilde)
        np.matmul(dtilde, p["W_h"].T, out=dh_t)
        examples.pass_on(dh_t, kept_h)
        examples.pass_on(dc, kept_c)
        gradient.collect(t)
    dx, grads = gradient.finish()
    if "beta_c" in p:
        grads["beta_c"] = dbeta_c
    return dx, (dh_t, dc), grads
