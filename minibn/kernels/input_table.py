r"""BN(W_x x_t; gamma_x, 0) of integer input with one set of statistics for the sequence: a table like any other.

There are only D different rows, so the statistics are weighted by how often each symbol occurs among the live
examples, w_v (two passes over W_x, no difference of squares), and the table is normalized once. With A = W_x minus the
mean, P_v the sum of e over all examples with symbol v, inv = 1/sqrt(Var + eps) and s = gamma_x inv,

    dW_x = s (P - w (sum_v P) - w A inv^2 (sum_v P A)),        dgamma_x = inv sum_v P A

where w = 0 if the statistics were given.
"""

import numpy as np

from minibn.kernels.look_up import SymbolSums, Table
from minibn.statistics import Statistics


class TableInput:
    """The rows of W_x, centred."""

    def __init__(self, call, examples):
        p, x = call.params, call.x
        W_x, dtype = p["W_x"], p["W_x"].dtype
        self.x, self.gamma = x, p["gamma_x"]
        self.weight = np.zeros(len(W_x), dtype)
        if call.given is None:
            count = np.bincount(x.ravel(), None if call.mask is None else call.mask.ravel(), minlength=len(W_x))
            self.weight[:] = count / max(count.sum(), 1)
            mean = self.weight @ W_x
            self.centred = W_x - mean                                           # (D, G)
            self.statistics = Statistics(mean[None], (self.weight @ self.centred ** 2)[None])
        else:
            self.statistics = call.given["x"]
            self.centred = W_x - self.statistics.mean
        self.inv_std = 1 / np.sqrt(self.statistics.variance + call.eps)         # (1, G)

    def forward(self, b, scale, examples):
        """See `minibn.kernels.input_term`."""
        return TableForward(self, b, scale)

    def backward(self, examples):
        """See `minibn.kernels.input_term`."""
        return TableBackward(self, examples)


class TableForward:
    """Writes rows of the normalized table with a bias, times `scale`."""

    def __init__(self, source, b, scale):
        self.table = Table(source.centred * (source.inv_std * source.gamma * scale) + b * scale, source.x)

    def write(self, t, offset, out):
        """out = x_term + b + offset at step t."""
        self.table.take(t, out)
        np.add(out, offset, out=out)


class TableBackward:
    """Takes the gradient of the pre-activations step by step."""

    def __init__(self, source, examples):
        self.source, self.ones = source, examples.ones
        (D, G), dtype = source.centred.shape, source.centred.dtype
        self.table = SymbolSums(source.x, D, G, dtype)
        self.sums = np.empty((len(source.x), G), dtype)

    def collect(self, t, e):
        """Take e (N, G) of step t."""
        np.dot(self.ones, e, out=self.sums[t])
        self.table.add(t, t + 1, e)

    def finish(self):
        """None, for integers have no gradient, and the gradients of W_x, gamma_x and b."""
        source, P, A = self.source, self.table.total, self.source.centred
        w, inv_std = source.weight[:, None], source.inv_std
        db, e_a = P.sum(axis=0), (P * A).sum(axis=0)
        dW_x = source.gamma * inv_std * (P - w * (db + A * inv_std * (inv_std * e_a)))
        return None, {"W_x": dW_x, "gamma_x": inv_std[0] * e_a, "b": db}
