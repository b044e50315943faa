"""The tanh RNN and its two batch-normalized forms on the GPU: rnn.cu, and the large products around it."""

import cupy

from minibn.kernels.call import Stored
from minibn.kernels.cuda import input_term, launch, recurrence
from minibn.kernels.cuda.plan import Memory
from minibn.statistics import Statistics

SOURCE = "rnn.cu"
# In the order of the constructors in rnn_forward.cuh and rnn_backward.cuh.
FORWARD_MEMORY = Memory(unit_rows=(1, 1, 1), unit_values=(1,) * 5)
BACKWARD_MEMORY = Memory(unit_rows=(1,) * 6, unit_values=(1,) * 6)
# By name: the normalized term of the recurrence, and its gamma.
KERNELS = {"rnn": (None, None), "bn_rnn": ("sum", "gamma"), "bn_rnn_two_term": ("h", "gamma_h")}


def forward(name, call):
    """Eq. 1, or one of its two normalized forms, for t = 1 .. T."""
    (h_0,), p, (term, _) = call.state, launch.contiguous(call.params), KERNELS[name]
    T, N = call.x.shape[:2]
    H, dtype = len(p["W_h"]), p["W_h"].dtype
    mask = None if call.mask is None else cupy.ascontiguousarray(call.mask)
    x = input_term.project_forward(call.x, p["W_x"])                  # (H, T, N), then x_hat
    h = cupy.empty((H, T + 1, N), dtype)
    h[:, 0] = h_0.T
    hat, statistics, given = None, {}, call.given or {}
    if "gamma_x" in p:
        per_sequence = call.input_statistics == "sequence"
        statistics["x"] = input_term.normalize_forward(x, call.eps, mask, given.get("x"), per_sequence)
    if term is not None:
        hat = cupy.empty((H, T, N), dtype)
        statistics[term] = launch.statistics(given.get(term), T, H, dtype)
    arrays = {"x": x, "h": h, "hat": hat, "mask": mask}
    recurrence.forward(SOURCE, name, FORWARD_MEMORY, _arguments(name, call, p, arrays, statistics), h, p["W_h"])
    return Stored(launch.time_major(h[:, 1:]), None, statistics, arrays)


def backward(name, dh, call, stored):
    """Back-propagation through time, and through every batch statistic."""
    p, arrays, (term, gamma) = launch.contiguous(call.params), stored.arrays, KERNELS[name]
    (H, T, N), dtype = arrays["x"].shape, p["W_h"].dtype
    dh_linear = cupy.empty((H, T, N), dtype)
    dx_term = cupy.empty((H, T, N), dtype) if name == "bn_rnn_two_term" else dh_linear
    dh_kept, db, dgamma = cupy.zeros((H, N), dtype), cupy.zeros(H, dtype), cupy.zeros(H, dtype)
    given = (*_arguments(name, call, p, arrays, stored.statistics), launch.unit_major(dh), dh_linear, dx_term, dh_kept,
             db, dgamma)
    dh_0 = recurrence.backward(SOURCE, name, BACKWARD_MEMORY, given, dh_linear, dh_kept, p["W_h"])
    grads = {"b": db, "W_h": launch.rows(arrays["h"][:, :-1]) @ launch.rows(dh_linear).T}
    if term is not None:
        grads[gamma] = dgamma
    if "gamma_x" in p:
        grads["gamma_x"] = input_term.normalize_backward(
            dx_term, arrays["x"], stored.statistics["x"], p["gamma_x"], call.eps, arrays["mask"], call.given,
            call.input_statistics == "sequence")
    dx, grads["W_x"] = input_term.project_backward(dx_term, call.x, p["W_x"])
    return dx, (dh_0.T,), grads


def _arguments(name, call, p, arrays, statistics):
    """RNN_ARGUMENTS of rnn.cu."""
    term, gamma = KERNELS[name]
    return (arrays["h"].shape[1] - 1, arrays["x"], p["b"], p.get("gamma_x"), p.get(gamma), arrays["mask"],
            float(call.eps), int(call.given is not None), *statistics.get(term, Statistics(None, None)),
            arrays["h"], arrays["hat"])
