"""The input term of a whole sequence, unit-major (G, T, N), and its gradients: see minibn/equations/input_term.py.

x_linear = W_x x_t is one product (or a lookup); its batch norm leaves x_hat in the same place, which the recurrence
multiplies by gamma_x.
"""

import cupy

from minibn.kernels.cuda import launch

SOURCE = "input_term.cu"
THREADS = 256
WARP = 32


def project_forward(x, W_x):
    """W_x x_t (G, T, N) of floating x (T, N, D), or rows of W_x for integer x (T, N)."""
    if x.ndim == 2:
        return cupy.take(cupy.ascontiguousarray(W_x.T), x, axis=1)
    T, N, D = x.shape
    return (W_x.T @ x.reshape(T * N, D).T).reshape(-1, T, N)


def project_backward(dx_linear, x, W_x):
    """dx (T, N, D), or None for integer x, and dW_x (D, G), from dx_linear (G, T, N)."""
    dx_rows = launch.rows(dx_linear)                                  # (G, T * N)
    if x.ndim == 2:
        return None, _look_up_backward(dx_rows, x, W_x)
    T, N, D = x.shape
    dx = (W_x @ dx_rows).reshape(D, T, N)
    return launch.time_major(dx), x.reshape(T * N, D).T @ dx_rows.T


def _look_up_backward(dx_rows, x, W_x):
    (G, count), dtype = dx_rows.shape, dx_rows.dtype
    dW_x = cupy.empty(W_x.shape, dtype)
    labels = cupy.ascontiguousarray(x.astype("int64", copy=False))
    given = launch.arguments(dtype, count, len(W_x), G, dx_rows, labels, dW_x)
    kernel = launch.kernel(SOURCE, "look_up_backward", dtype)
    kernel((G,), (THREADS,), given, shared_mem=2 * THREADS * dtype.itemsize)
    return dW_x


def normalize_forward(x_linear, eps, mask, given, per_sequence):
    """Turn x_linear (G, T, N) into x_hat, in place; returns the statistics (T, G), per sequence (1, G)."""
    G, T, N = _shape(x_linear, per_sequence)
    dtype = x_linear.dtype
    statistics = launch.statistics(given, T, G, dtype)
    arguments = launch.arguments(dtype, T, N, G, x_linear, mask, float(eps), int(given is not None), *statistics)
    _launch("normalize_forward", G * T, N, dtype, arguments)
    return statistics


def normalize_backward(dx_term, x_hat, statistics, gamma_x, eps, mask, given, per_sequence):
    """Turn dx_term (G, T, N) into dx_linear, in place; returns dgamma_x (G,)."""
    G, T, N = _shape(dx_term, per_sequence)
    dtype = dx_term.dtype
    dgamma_x = cupy.empty((T, G), dtype)
    arguments = launch.arguments(dtype, T, N, G, dx_term, x_hat, mask, float(eps), int(given is not None),
                                 statistics.variance, gamma_x, dgamma_x)
    _launch("normalize_backward", G * T, N, dtype, arguments)
    return dgamma_x.sum(axis=0)


def _shape(a, per_sequence):
    """Per sequence all T * N numbers of a feature are one row."""
    G, T, N = a.shape
    return (G, 1, T * N) if per_sequence else (G, T, N)


def _launch(function, rows, N, dtype, arguments):
    threads = WARP if N <= 4 * WARP else THREADS
    kernel = launch.kernel(SOURCE, function, dtype)
    kernel((rows,), (threads,), arguments, shared_mem=threads // WARP * dtype.itemsize)
