r"""Eqs. 6-8 for a whole sequence: the batch-normalized LSTM.

The batch mean of W_h h is W_h times the batch mean of h, so h_{t-1} is centred before the product and nothing of
size 4H has to be. Kept for the backward, besides the input (see `minibn.kernels.input_term`):

    h, c    (T + 1, N, H)       h_0 .. h_T, c_0 .. c_T
    tanh_c  (T, N, H)           what o is multiplied with
    a       (T, N, 4H)          W_h h_{t-1}, centred (as it is, where the statistics were given)
    fiog    (T, 4, N, H)        f, i, o, g
    h_mean  (T, H)              of h_{t-1} itself
    and rows (T, G) of the statistics.
"""

import numpy as np

from minibn.kernels import gates
from minibn.kernels.call import Stored
from minibn.kernels.examples import Examples, scale_of, scratch, square_in_units
from minibn.kernels.input_term import normalized_input
from minibn.kernels.weight_gradient import WeightGradient
from minibn.statistics import Statistics


def forward(call):
    """Eqs. 6-8 for t = 1 .. T."""
    (h_0, c_0), p, eps, given = call.state, call.params, call.eps, call.given
    T, N = call.x.shape[:2]
    H, dtype = h_0.shape[1], p["W_h"].dtype
    G = 4 * H
    examples, pre = Examples(call, dtype), gates.pre(H, dtype)
    source = normalized_input(call, examples)
    x_term = source.forward(p["b"], pre, examples)
    W_h, gamma_h, gamma_c, beta_c = p["W_h"], p["gamma_h"] * pre, p["gamma_c"], p["beta_c"]
    h, c = scratch(dtype, (T + 1, N, H), (T + 1, N, H))
    tanh_c, a, fiog = scratch(dtype, (T, N, H), (T, N, G), (T, 4, N, H))
    tilde, scaled, centred, squared = scratch(dtype, (N, G), (N, G), (N, H), (N, H))
    h[0], c[0] = h_0, c_0
    h_mean = np.empty((T, H), dtype)
    if given is None:
        h_variance, c_mean, c_variance = np.empty((T, G), dtype), np.empty((T, H), dtype), np.empty((T, H), dtype)
        s_h, s_c, offset = np.empty(G, dtype), np.empty(H, dtype), 0
    else:
        (mean_h, h_variance), (c_mean, c_variance) = ([values[:, 0] for values in given[term]] for term in "hc")
        scale_h, scale_c = gamma_h / np.sqrt(h_variance + eps), gamma_c / np.sqrt(c_variance + eps)
        offsets = -mean_h * scale_h
    for t in range(T):
        a_t, (f, i, o, g), h_t, c_t = a[t], fiog[t], h[t + 1], c[t + 1]
        if given is None:
            examples.centre(t, h[t], h_mean[t], centred)
            np.matmul(centred, W_h, out=a_t)
            np.square(a_t, out=scaled)
            np.dot(examples.weight[t], scaled, out=h_variance[t])
            scale_of(gamma_h, h_variance[t], eps, out=s_h)
        else:
            np.matmul(h[t], W_h, out=a_t)
            s_h, s_c, offset = scale_h[t], scale_c[t], offsets[t]
        x_term.write(t, offset, out=tilde)
        np.multiply(a_t, s_h, out=scaled)
        np.add(tilde, scaled, out=tilde)
        gates.write(tilde, fiog[t])
        np.multiply(f, c[t], out=c_t)
        np.multiply(i, g, out=squared)
        np.add(c_t, squared, out=c_t)
        examples.freeze(t, c_t, c[t])
        if given is None:
            examples.centre(t, c_t, c_mean[t], centred)
            np.square(centred, out=squared)
            np.dot(examples.weight[t], squared, out=c_variance[t])
            scale_of(gamma_c, c_variance[t], eps, out=s_c)
        else:
            np.subtract(c_t, c_mean[t], out=centred)
        np.multiply(centred, s_c, out=centred)
        np.add(centred, beta_c, out=centred)
        np.tanh(centred, out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=h_t)
        examples.freeze(t, h_t, h[t])
        yield h_t
    statistics = {"x": source.statistics, "h": Statistics(h_mean @ W_h if given is None else mean_h, h_variance),
                  "c": Statistics(c_mean, c_variance)}
    arrays = {"h": h, "c": c, "tanh_c": tanh_c, "a": a, "fiog": fiog, "h_mean": h_mean, "source": source}
    return Stored(h[1:], c[1:], statistics, arrays)


def backward(dh, call, stored):
    """Back-propagation through time, and through every batch statistic."""
    h, c, tanh_c, a, fiog, h_mean, source = (
        stored.arrays[name] for name in ("h", "c", "tanh_c", "a", "fiog", "h_mean", "source"))
    p, eps, given = call.params, call.eps, call.given
    T, N, G = a.shape
    H, dtype = G // 4, a.dtype
    examples = Examples(call, dtype)
    x_term = source.backward(examples)
    W_h, gamma_h, gamma_c = p["W_h"], p["gamma_h"], p["gamma_c"]
    gradient = WeightGradient(T, N, H, G, dtype, None if given is None else h[:T])
    _, h_variance = stored.statistics["h"]
    c_mean, c_variance = stored.statistics["c"]
    inv_h, inv_c = 1 / np.sqrt(h_variance + eps), 1 / np.sqrt(c_variance + eps)
    s_h, s_c = inv_h * gamma_h, inv_c * gamma_c
    # How much of a sum over the examples returns to each of them: nothing, where the statistics were given.
    share = np.zeros((T, 1), dtype) if given is not None else np.array(examples.share, dtype)[:, None]
    m_c = s_c * share
    (r_h, per_unit_h), (r_c, per_unit_c) = square_in_units(inv_h), square_in_units(inv_c)
    r_h *= s_h
    r_h *= share
    r_c *= m_c
    e_a, e_c, e_1 = np.empty((T, G), dtype), np.empty((T, H), dtype), np.empty((T, H), dtype)
    product, rest, dfiog, centred, spare, dc_term, dc, dh_t, kept_h, kept_c = scratch(
        dtype, (N, G), (3, N, H), (4, N, H), *[(N, H)] * 7)
    row_h, row_c = np.empty(G, dtype), np.empty(H, dtype)
    ones = examples.ones
    dc.fill(0)
    dh_t.fill(0)
    for t in reversed(range(T)):
        a_t, e = a[t], gradient.drows_of(t)
        np.add(dh_t, dh[t], out=dh_t)
        examples.hold_back(t, dh_t, kept_h)
        # Eq. 8
        gates.output_backward(dh_t, fiog[t, 2], tanh_c[t], dfiog[2], dc_term, spare)
        # The batch norm of c_t
        examples.subtract(t, c[t + 1], c_mean[t], out=centred)
        np.multiply(dc_term, centred, out=spare)
        np.dot(ones, spare, out=e_c[t])
        np.dot(ones, dc_term, out=e_1[t])
        np.multiply(dc_term, s_c[t], out=dc_term)
        if given is None:
            np.multiply(r_c[t], e_c[t], out=row_c)
            np.multiply(row_c, per_unit_c, out=row_c)
            np.multiply(centred, row_c, out=centred)
            np.subtract(dc_term, centred, out=dc_term)
            np.multiply(m_c[t], e_1[t], out=row_c)
            examples.subtract(t, dc_term, row_c, out=dc_term)
        np.add(dc, dc_term, out=dc)
        examples.hold_back(t, dc, kept_c)
        # Eqs. 7 and 6
        gates.backward(dc, c[t], fiog[t], dfiog, rest, out=e)
        x_term.collect(t, e)
        np.multiply(e, a_t, out=product)
        np.dot(ones, product, out=e_a[t])
        np.multiply(e, s_h[t], out=e)
        if given is None:
            np.multiply(r_h[t], e_a[t], out=row_h)
            np.multiply(row_h, per_unit_h, out=row_h)
            np.multiply(a_t, row_h, out=product)
            np.subtract(e, product, out=e)
            examples.subtract(t, h[t], h_mean[t], out=gradient.rows_of(t))
        np.matmul(e, W_h.T, out=dh_t)
        if given is None:
            examples.centre(t, dh_t, row_c, out=dh_t)
        examples.pass_on(dh_t, kept_h)
        examples.pass_on(dc, kept_c)
        if chunk := gradient.chunk(t):
            gradient.add(*chunk)
    if given is not None:
        e_a -= stored.statistics["h"].mean * x_term.sums
    dx, grads = x_term.finish()
    return dx, (dh_t, dc), {
        **grads, "W_h": gradient.total, "gamma_h": (inv_h * e_a).sum(axis=0),
        "gamma_c": (inv_c * e_c).sum(axis=0), "beta_c": e_1.sum(axis=0)}
