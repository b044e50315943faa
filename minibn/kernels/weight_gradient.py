"""The weight gradient: a product over many steps at once, without keeping a gradient of the whole sequence."""

import numpy as np

from minibn.kernels import workspace

ROWS = 512                  # of one product, at least: more would take more memory, and at most 2 % less time
PRODUCT = 2 ** 21           # elements of what is added at once: the other limit on memory


class WeightGradient:
    """Collects rows and their gradients step by step, backwards in time, and multiplies them a chunk at a time.

    Parameters
    ----------
    T, N, K, G : int
        Steps, examples, and the shape (K, G) of the weights.
    rows : ndarray of shape (T, N, K)
        What was multiplied with the weights, if it is at hand for the whole sequence; else None, and `rows_of(t)`
        must be filled at each step.
    """

    def __init__(self, T, N, K, G, dtype, rows=None):
        self.steps = min(T, -(-ROWS // N))
        self.T, self.N = T, N
        self.drows = workspace.empty((self.steps, N, G), dtype)
        self.rows, self.own = rows, None
        if rows is None:
            self.own = workspace.empty((self.steps, N, K), dtype)
        self.product = workspace.empty((min(K, max(1, PRODUCT // G)), G), dtype)
        self.total = workspace.zeros((K, G), dtype)

    def drows_of(self, t):
        """Where to put the gradient (N, G) of step t."""
        return self.drows[t % self.steps]

    def rows_of(self, t):
        """Where to put what was multiplied with the weights at step t, (N, K)."""
        return self.own[t % self.steps]

    def chunk(self, t):
        """The steps that are complete now that step t is, as a range (t, end); None if more are to come."""
        return (t, min(t + self.steps, self.T)) if t % self.steps == 0 else None

    def add(self, start, end):
        """Add the product of the steps start .. end - 1; returns their gradients as rows ((end - start) * N, G)."""
        drows = self.drows[:end - start].reshape((end - start) * self.N, -1)
        rows = self.own[:end - start] if self.rows is None else self.rows[start:end]
        columns = rows.reshape(len(drows), -1).T                      # (K, rows)
        for first in range(0, len(columns), len(self.product)):
            total = self.total[first:first + len(self.product)]
            product = self.product[:len(total)]
            np.matmul(columns[first:first + len(total)], drows, out=product)
            np.add(total, product, out=total)
        return drows


class InputGradient:
    """dx (T, N, D) from the gradients of x_t W_x."""

    def __init__(self, W_x, T, N):
        self.W_x_T, self.dx = W_x.T, np.empty((T, N, len(W_x)), W_x.dtype)

    def add(self, start, end, drows):
        """Take the gradients (., G) of the steps start .. end - 1."""
        np.matmul(drows, self.W_x_T, out=self.dx[start:end].reshape(len(drows), -1))
