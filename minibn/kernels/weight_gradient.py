"""The weight gradient: a product over many steps at once, without keeping a gradient of the whole sequence."""

import numpy as np

from minibn.kernels import workspace

LEAST_ROWS = 1024       # of one product: enough for BLAS to run at full speed


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
        # Adding a chunk's product costs three passes over (K, G): at least as many rows as K make that cheap.
        self.steps = min(T, -(-max(LEAST_ROWS, 2 * K) // N))
        self.N = N
        self.drows = workspace.empty((self.steps, N, G), dtype)
        self.rows, self.own = rows, None
        if rows is None:
            self.own = workspace.empty((self.steps, N, K), dtype)
        self.product = workspace.empty((K, G), dtype)
        self.total = workspace.zeros((K, G), dtype)

    def drows_of(self, t):
        """Where to put the gradient (N, G) of step t."""
        return self.drows[t % self.steps]

    def rows_of(self, t):
        """Where to put what was multiplied with the weights at step t, (N, K)."""
        return self.own[t % self.steps]

    def chunk(self, t, T):
        """The steps that are complete now that step t is, as a range (t, end); None if more are to come."""
        return (t, min(t + self.steps, T)) if t % self.steps == 0 else None

    def add(self, start, end):
        """Add the product of the steps start .. end - 1."""
        drows = self.drows[:end - start].reshape((end - start) * self.N, -1)
        rows = self.own[:end - start] if self.rows is None else self.rows[start:end]
        np.matmul(rows.reshape(len(drows), -1).T, drows, out=self.product)
        np.add(self.total, self.product, out=self.total)
        return drows
