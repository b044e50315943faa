"""The LSTM and the batch-normalized LSTM on the GPU: lstm.cu, and the large products around it."""

import cupy

from minibn.kernels.call import Stored
from minibn.kernels.cuda import input_term, launch, recurrence
from minibn.kernels.cuda.plan import Memory
from minibn.statistics import Statistics

SOURCE = "lstm.cu"
KERNELS = {"lstm", "bn_lstm"}
# In the order of the constructors in lstm_forward.cuh and lstm_backward.cuh.
FORWARD_MEMORY = Memory(unit_rows=(4, 4, 4, 1, 1, 1), unit_values=(4, 4, 4, 4, 4, 1, 1))
BACKWARD_MEMORY = Memory(unit_rows=(4, 4, 4, 1, 1, 1, 1, 1, 1, 1),
                         unit_values=(4, 1, 1, 4, 1, 1, 4, 4, 4, 4, 1, 1))


def forward(name, call):
    """Eqs. 2-4, or 6-8, for t = 1 .. T."""
    (h_0, c_0), p, batch_norm = call.state, launch.contiguous(call.params), name == "bn_lstm"
    T, N = call.x.shape[:2]
    (H, G), dtype = p["W_h"].shape, p["W_h"].dtype
    mask = None if call.mask is None else cupy.ascontiguousarray(call.mask)
    x = input_term.project_forward(call.x, p["W_x"])                  # (4H, T, N), then x_hat
    h, c = cupy.empty((H, T + 1, N), dtype), cupy.empty((H, T + 1, N), dtype)
    h[:, 0], c[:, 0] = h_0.T, c_0.T
    gates, h_hat, statistics = cupy.empty((G, T, N), dtype), None, {}
    if batch_norm:
        given = call.given or {}
        per_sequence = call.input_statistics == "sequence"
        x_statistics = input_term.normalize_forward(x, call.eps, mask, given.get("x"), per_sequence)
        h_hat = cupy.empty((G, T, N), dtype)
        statistics = {"x": x_statistics, "h": launch.statistics(given.get("h"), T, G, dtype),
                      "c": launch.statistics(given.get("c"), T, H, dtype)}
    arrays = {"x": x, "h": h, "c": c, "gates": gates, "h_hat": h_hat, "mask": mask}
    recurrence.forward(SOURCE, name, FORWARD_MEMORY, _arguments(call, p, arrays, statistics), h, p["W_h"])
    return Stored(launch.time_major(h[:, 1:]), launch.time_major(c[:, 1:]), statistics, arrays)


def backward(name, dh, call, stored):
    """Back-propagation through time, and through every batch statistic."""
    p, arrays, batch_norm = launch.contiguous(call.params), stored.arrays, name == "bn_lstm"
    (H, G), (_, T, N), dtype = p["W_h"].shape, arrays["gates"].shape, p["W_h"].dtype
    dh_linear = cupy.empty((G, T, N), dtype)
    dx_term = cupy.empty((G, T, N), dtype) if batch_norm else dh_linear
    dh_kept, dc = cupy.zeros((H, N), dtype), cupy.zeros((H, N), dtype)
    db, dgamma_h, dgamma_c, dbeta_c = (cupy.zeros(size, dtype) for size in (G, G, H, H))
    given = (*_arguments(call, p, arrays, stored.statistics), launch.unit_major(dh), dh_linear, dx_term, dh_kept, dc,
             db, dgamma_h, dgamma_c, dbeta_c)
    dh_0 = recurrence.backward(SOURCE, name, BACKWARD_MEMORY, given, dh_linear, dh_kept, p["W_h"])
    grads = {"b": db, "W_h": launch.rows(arrays["h"][:, :-1]) @ launch.rows(dh_linear).T}
    if batch_norm:
        grads |= {"gamma_h": dgamma_h, "gamma_c": dgamma_c}
        grads["gamma_x"] = input_term.normalize_backward(
            dx_term, arrays["x"], stored.statistics["x"], p["gamma_x"], call.eps, arrays["mask"], call.given,
            call.input_statistics == "sequence")
    if "beta_c" in p:
        grads["beta_c"] = dbeta_c
    dx, grads["W_x"] = input_term.project_backward(dx_term, call.x, p["W_x"])
    return dx, (dh_0.T, dc.T), grads


def _arguments(call, p, arrays, statistics):
    """LSTM_ARGUMENTS of lstm.cu."""
    h_statistics, c_statistics = (statistics.get(term, Statistics(None, None)) for term in "hc")
    return (arrays["h"].shape[1] - 1, arrays["x"], p["b"], p.get("gamma_x"), p.get("gamma_h"), p.get("gamma_c"),
            p.get("beta_c"), arrays["mask"], float(call.eps), int(call.given is not None),
            *h_statistics, *c_statistics, arrays["h"], arrays["c"], arrays["gates"], arrays["h_hat"])
