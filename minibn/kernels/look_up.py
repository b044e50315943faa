"""Integer input: rows of a table by symbol, and sums of rows by symbol. Nobody makes one-hot rows of a sequence."""

import numpy as np

from minibn.kernels import workspace

SMALL = 2 ** 15     # elements of a table; below, one product with a selection is faster than an addition per row


class Table:
    """Rows of `rows` (D, G) for the symbols x (T, N)."""

    def __init__(self, rows, x):
        self.rows, self.x = rows, x.astype(np.intp, copy=False)

    def take(self, t, out):
        """out (N, G) = the rows of step t."""
        # The layer has checked the symbols. Under mode="raise", `take` would copy: it fills a buffer of its own first.
        np.take(self.rows, self.x[t], axis=0, out=out, mode="clip")


class SymbolSums:
    """The gradient of a table: each row collects from wherever it was looked up.

    `np.add.at` and `np.add.reduceat` take ten to thirty times as long as either of the two ways here.

    Parameters
    ----------
    x : integer ndarray of shape (T, N)
    D, G : int
        The shape of the table.
    steps : int
        Of one `add`, at most.

    Attributes
    ----------
    total : ndarray of shape (D, G)
    """

    def __init__(self, x, D, G, dtype, steps=1):
        self.x, self.total = x.astype(np.intp, copy=False), workspace.zeros((D, G), dtype)
        self.each, self.selection = list(self.total), None
        if D * G <= SMALL:
            self.first = D * np.arange(steps * x.shape[1])                      # where each row of a selection begins
            self.ones = np.empty_like(self.first)
            self.selection, self.product = workspace.empty((len(self.first), D), dtype), workspace.empty((D, G), dtype)

    def add(self, start, end, rows):
        """Add the rows (., G) of the steps start .. end - 1, each to that of its symbol."""
        symbols = self.x[start:end].ravel()
        if self.selection is None:
            for symbol, row in zip(symbols, rows, strict=True):
                total = self.each[symbol]
                np.add(total, row, out=total)
        else:
            selection, ones = self.selection[:len(symbols)], self.ones[:len(symbols)]
            np.add(self.first[:len(symbols)], symbols, out=ones)
            selection.fill(0)
            selection.put(ones, 1)
            np.matmul(selection.T, rows, out=self.product)
            np.add(self.total, self.product, out=self.total)
