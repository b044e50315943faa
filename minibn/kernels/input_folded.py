r"""BN(W_x x_t; gamma_x, 0) folded into the weights: for floating input of few features, or normalized per sequence.

The batch mean of W_x x_t is W_x times the batch mean of x_t. With the centred input xc_t (N, D),

    x_linear - E[x_linear] = xc_t W_x,        x_term = xc_t (W_x * s_t),        s_t = gamma_x / sqrt(Var + eps),

so a step's whole input term, with the bias, is one product [xc_t, 1] [W_x * s_t; b] of D + 1 terms, and its backward
needs the pre-activations' gradient e only through [xc_t, 1]^T e (D + 1, G) and e (W_x * s_t)^T (N, D). With
P = xc_t^T e, S = sum_n e, weight w_n and C = sum_n w_n xc xc^T (D, D):

    q        = inv_std^2 * (W_x * P).sum(axis=0)                      sum_n e x_hat = q / inv_std
    dgamma_x = q / inv_std,        dW_x = s * (P - C W_x q)
    dx       = e (W_x s)^T - w (s S) W_x^T - w xc (W_x s q) W_x^T

Where x was not centred, because the statistics were given, only the first term of each is left.
"""

import numpy as np

from minibn.kernels import workspace
from minibn.statistics import Statistics

CHUNK_ELEMENTS = 2 ** 15        # of the (steps, D, G) arrays of the backward: many steps at once where D is small


class FoldedInput:
    """The input term of a sequence with its batch norm, and the bias of the sum of the terms.

    Attributes
    ----------
    statistics : Statistics of arrays (T, G); per sequence (1, G)
    rows : ndarray of shape (T, N, D + 1)
        [xc_t, 1]; x itself where the statistics were given.
    """

    def __init__(self, call, examples):
        p, x = call.params, call.x
        W_x, dtype = p["W_x"], p["W_x"].dtype
        T, N, D = x.shape
        self.per_sequence, self.centred = call.input_statistics == "sequence", call.given is None
        self.gamma, self.W_x = p["gamma_x"], W_x
        self.rows = workspace.empty((T, N, D + 1), dtype)
        self.rows[..., -1] = 1
        xc = self.rows[..., :D]
        if not self.centred:
            xc[...] = x
            mean, variance = (values.reshape(-1, values.shape[-1]) for values in call.given["x"])
        else:
            weight = self.weights(examples)                                     # (T, 1, N)
            mean_x = weight @ x                                                 # (T, 1, D)
            if self.per_sequence:
                mean_x = mean_x.sum(axis=0, keepdims=True)                      # (1, 1, D)
            examples.subtract(slice(None), x, mean_x, out=xc)
            mean = mean_x[:, 0] @ W_x
            variance = self._variance(weight)
        self.statistics = Statistics(mean, variance)
        self.inv_std = 1 / np.sqrt(variance + call.eps)                         # (T or 1, G)

    def forward(self, b, scale, examples):
        """See `minibn.kernels.input_term`."""
        return FoldedForward(self, b, scale)

    def backward(self, examples):
        """See `minibn.kernels.input_term`."""
        return FoldedBackward(self, examples)

    def weights(self, examples):
        """The weights of the examples in the statistics: (T, 1, N), per sequence over all steps."""
        T, N, _ = self.rows.shape
        if not self.per_sequence:
            return np.stack(examples.weight)[:, None]
        if examples.padded is None:
            return np.full((T, 1, N), 1 / (T * N), self.rows.dtype)
        live = ~np.swapaxes(examples.padded, 1, 2)                              # (T, 1, N)
        return live / self.rows.real.dtype.type(max(live.sum(), 1))

    def _variance(self, weight):
        """Of xc W_x: from squares, step by step, for D > 1; from the one variance of x itself for D = 1."""
        T, N, columns = self.rows.shape
        D, G = columns - 1, self.W_x.shape[1]
        if D == 1:
            variance = (weight @ self.rows[..., :1] ** 2)[:, 0] * self.W_x ** 2
            return variance.sum(axis=0, keepdims=True) if self.per_sequence else variance
        variance, linear = np.empty((T, G), self.rows.dtype), workspace.empty((N, G), self.rows.dtype)
        for t in range(T):
            np.matmul(self.rows[t, :, :D], self.W_x, out=linear)
            np.square(linear, out=linear)
            np.dot(weight[t, 0], linear, out=variance[t])
        return variance.sum(axis=0, keepdims=True) if self.per_sequence else variance


class FoldedForward:
    """Writes the normalized input term and a bias, times `scale`, step by step."""

    def __init__(self, source, b, scale):
        self.source, self.W_x = source, source.W_x
        self.s = source.inv_std * (source.gamma * scale)                        # (T or 1, G)
        self.b = b * scale - (0 if source.centred else source.statistics.mean) * self.s     # (T or 1, G)
        D, G = self.W_x.shape
        self.weights = workspace.empty((D + 1, G), self.W_x.dtype)              # [W_x * s_t; b]

    def write(self, t, offset, out):
        """out = x_term + b + offset at step t."""
        np.multiply(self.W_x, self.s[t if len(self.s) > 1 else 0], out=self.weights[:-1])
        np.add(self.b[t if len(self.s) > 1 else 0], offset, out=self.weights[-1])
        np.matmul(self.source.rows[t], self.weights, out=out)


class FoldedBackward:
    """Takes the gradient of the pre-activations step by step.

    Attributes
    ----------
    sums : ndarray of shape (T, G)
        Of what was given, over the examples.
    """

    def __init__(self, source, examples):
        self.source = source
        self.rows, self.W_x = source.rows, source.W_x
        T, N, K = self.rows.shape
        (D, G), dtype = self.W_x.shape, self.rows.dtype
        self.s = source.inv_std * source.gamma                                  # (T or 1, G)
        self.weight = source.weights(examples) if source.centred else None      # (T, 1, N)
        self.sums = np.empty((T, G), dtype)
        self.dx = np.empty((T, N, D), dtype)
        self.W_scaled = workspace.empty((D, G), dtype)
        self.steps = 1 if source.per_sequence else min(T, max(1, CHUNK_ELEMENTS // (D * G)))
        self.P, self.product = (workspace.empty((self.steps, D, G), dtype) for _ in range(2))
        self.total = workspace.zeros((1, D, G), dtype) if source.per_sequence else None
        self.dW_x, self.dgamma_x = np.zeros((D, G), dtype), np.zeros(G, dtype)

    def collect(self, t, e):
        """Take e (N, G) of step t; steps must come in descending order."""
        D, k = len(self.W_x), t % self.steps
        P = self.P[k]
        if D == 1:                                                              # two products with a vector are faster
            np.dot(self.rows[t, :, 0], e, out=P[0])
        else:
            np.matmul(self.rows[t, :, :D].T, e, out=P)
        np.dot(self.rows[t, :, D], e, out=self.sums[t])
        np.multiply(self.W_x, self.s[t if len(self.s) > 1 else 0], out=self.W_scaled)
        np.matmul(e, self.W_scaled.T, out=self.dx[t])
        if self.total is not None:
            np.add(self.total, self.P, out=self.total)
        elif k == 0:
            steps = slice(t, min(t + self.steps, len(self.rows)))
            at = steps if len(self.s) > 1 else slice(0, 1)
            self._through_statistics(steps, at, self.P[:steps.stop - t], self.sums[steps])

    def finish(self):
        """dx (T, N, D), and the gradients of W_x, gamma_x and b."""
        if self.total is not None:
            everything = slice(0, len(self.rows))
            self._through_statistics(everything, slice(0, 1), self.total, self.sums.sum(axis=0, keepdims=True))
        return self.dx, {"W_x": self.dW_x, "gamma_x": self.dgamma_x, "b": self.sums.sum(axis=0)}

    def _through_statistics(self, steps, at, P, S):
        """Add to the gradients what a range of steps gives, whose statistics are the rows `at`."""
        source, W_x, product = self.source, self.W_x, self.product[:len(P)]
        inv_std, s = source.inv_std[at], self.s[at]
        np.multiply(P, W_x, out=product)
        e_hat = product.sum(axis=1)
        if not source.centred:
            e_hat -= source.statistics.mean[at] * S
        e_hat *= inv_std                                                        # sum_n e x_hat
        np.multiply(P, s[:, None], out=P)
        if source.centred:
            xc, weight = self.rows[steps, :, :-1], np.swapaxes(self.weight[steps], 1, 2)
            C = np.swapaxes(xc * weight, 1, 2) @ xc
            if len(P) < len(C):
                C = C.sum(axis=0, keepdims=True)
            q = (s * inv_std * e_hat)[:, None]
            np.matmul(C, W_x, out=product)
            np.multiply(product, q, out=product)
            np.subtract(P, product, out=P)
            np.multiply(W_x, q, out=product)
            self.dx[steps] -= weight * (((s * S) @ W_x.T)[:, None] + xc @ (product @ W_x.T))
        np.add(self.dW_x, P.sum(axis=0, out=self.W_scaled), out=self.dW_x)
        np.add(self.dgamma_x, e_hat.sum(axis=0), out=self.dgamma_x)
