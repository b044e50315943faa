r"""W_h h_{t-1} + W_x x_t + b as one product: rows [h_{t-1}, x_t, 1] times [W_h; W_x; b]."""

import numpy as np

from minibn.kernels import workspace


def dense(x, params):
    """x itself, or one-hot rows (T, N, D) for integers (T, N): D is small where a kernel runs on integers."""
    if x.ndim == 3:
        return x
    D, dtype = len(params["W_x"]), params["W_x"].dtype
    rows = workspace.zeros((*x.shape, D), dtype)
    np.put_along_axis(rows, x[..., None], 1, axis=2)
    return rows


def stack_weights(params, scale):
    """[W_h; W_x; b] (H + D + 1, G), each column times its `scale`."""
    W_h, W_x, b = params["W_h"], params["W_x"], params["b"]
    (H, G), D = W_h.shape, len(W_x)
    weights = workspace.empty((H + D + 1, G), W_h.dtype)
    np.multiply(W_h, scale, out=weights[:H])
    np.multiply(W_x, scale, out=weights[H:-1])
    np.multiply(b, scale, out=weights[-1])
    return weights


def stack_rows(x, h_0, dtype):
    """Rows [h_t, x_t, 1] (T + 1, N, H + D + 1) of which h_1 .. h_T are still to be computed."""
    T, N, D = x.shape
    H = h_0.shape[1]
    rows = workspace.empty((T + 1, N, H + D + 1), dtype)
    rows[0, :, :H] = h_0
    rows[:T, :, H:-1] = x
    rows[:T, :, -1] = 1
    return rows


def unstack_gradient(total, H, scale):
    """The gradients of W_h, W_x and b from that of their stack, each column times its `scale`."""
    np.multiply(total, scale, out=total)
    return {"W_h": total[:H], "W_x": total[H:-1], "b": total[-1]}
