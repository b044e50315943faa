r"""Eqs. 2-4 for a whole sequence: the LSTM.

All of Eq. 2 is one product with the stacked [W_h; W_x; b], times PRE (see `minibn.kernels.gates`). Kept for the
backward, besides the stack and h_0 .. h_T in its rows (see `minibn.kernels.stacked`):

    c       (T + 1, N, H)           c_0 .. c_T
    u       (T, 4, N, H)            the tanh of all gates
"""

import numpy as np

from minibn.kernels import gates, workspace
from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scratch
from minibn.kernels.stacked import stack


def forward(call):
    """Eqs. 2-4 for t = 1 .. T."""
    (h_0, c_0), p = call.state, call.params
    T, N = call.x.shape[:2]
    H, dtype = h_0.shape[1], p["W_h"].dtype
    examples = Examples(T, N, dtype, call.mask)
    inputs = stack(call, gates.per_unit(gates.PRE, H, dtype))
    rows, c = inputs.rows, workspace.empty((T + 1, N, H), dtype)
    u = workspace.empty((T, 4, N, H), dtype)
    tilde, fio, scratch_c = scratch(dtype, (N, 4 * H), (3, N, H), (N, H))
    (f, i, o), tilde_by_gate = fio, gates.by_gate(tilde)
    c[0] = c_0
    for t in range(T):
        c_t, h_t = c[t + 1], rows[t + 1, :, :H]
        inputs.write(t, out=tilde)
        np.tanh(tilde_by_gate, out=u[t])
        gates.open_gates(u[t], fio)
        np.multiply(f, c[t], out=c_t)
        np.multiply(i, u[t, 3], out=scratch_c)
        np.add(c_t, scratch_c, out=c_t)
        if "beta_c" in p:
            np.add(c_t, p["beta_c"], out=scratch_c)
            np.tanh(scratch_c, out=scratch_c)
        else:
            np.tanh(c_t, out=scratch_c)
        np.multiply(o, scratch_c, out=h_t)
        examples.freeze(t, h_t, rows[t, :, :H])
        examples.freeze(t, c_t, c[t])
    return Stored(rows[1:, :, :H], c[1:], {}, {"inputs": inputs, "c": c, "u": u})


def backward(dh, call, stored):
    """Back-propagation through time."""
    inputs, c, u = (stored.arrays[name] for name in ("inputs", "c", "u"))
    p = call.params
    T, _, N, H = u.shape
    dtype = u.dtype
    examples = Examples(T, N, dtype, call.mask)
    W_h, gradient = inputs.weights[:H], inputs.backward(call, 0.5 * gates.per_unit(gates.PRE, H, dtype))
    fio, slope, du, tanh_c, dc_term, dc, dh_t, kept_h, kept_c = scratch(
        dtype, (3, N, H), (4, N, H), (4, N, H), *[(N, H)] * 6)
    (f, i, o), (df, di, do, dg) = fio, du
    dbeta_c, row = np.zeros(H, dtype), np.empty(H, dtype)
    dc.fill(0)
    dh_t.fill(0)
    for t in reversed(range(T)):
        dtilde = gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept_h)
        examples.hold_back(t, dc, kept_c)
        gates.open_gates(u[t], fio)
        gates.slopes(u[t], slope)
        # With this the gradient of tilde is PRE/2 times `dtilde` for all gates, and the weights have PRE in them.
        np.multiply(slope[3], 2, out=slope[3])
        if "beta_c" in p:
            np.add(c[t + 1], p["beta_c"], out=tanh_c)
            np.tanh(tanh_c, out=tanh_c)
        else:
            np.tanh(c[t + 1], out=tanh_c)
        np.multiply(dh_t, tanh_c, out=do)
        np.multiply(dh_t, o, out=dc_term)
        gates.slopes(tanh_c, tanh_c)
        np.multiply(dc_term, tanh_c, out=dc_term)
        if "beta_c" in p:
            np.dot(examples.ones, dc_term, out=row)
            np.add(dbeta_c, row, out=dbeta_c)
        np.add(dc, dc_term, out=dc)
        np.multiply(dc, c[t], out=df)
        np.multiply(dc, u[t, 3], out=di)
        np.multiply(dc, i, out=dg)
        np.multiply(dc, f, out=dc)
        np.multiply(du, slope, out=gates.by_gate(dtilde))
        np.matmul(dtilde, W_h.T, out=dh_t)
        np.multiply(dh_t, 0.5, out=dh_t)
        examples.pass_on(dh_t, kept_h)
        examples.pass_on(dc, kept_c)
        gradient.collect(t)
    dx, grads = gradient.finish()
    if "beta_c" in p:
        grads["beta_c"] = dbeta_c
    return dx, (dh_t, dc), grads
