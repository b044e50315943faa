"""What a batch statistic is: a mean and a biased variance over the minibatch, separately at each time step.

Statistics are plain values. They come out of a forward pass that estimated them, and they go into one
that shall use them; no object has a training mode.
"""

from typing import NamedTuple

import numpy as np

from minibn.backend import array_module
from minibn.errors import brief


class Statistics(NamedTuple):
    """Mean and biased variance (without epsilon) of each feature."""

    mean: object        # (..., G)
    variance: object    # (..., G)

    __repr__ = brief


def example_weights(a, mask=None):
    """The weight of each example in the batch statistics: 1/N, or mask/(number of live examples).

    A step without a live example gets zero weights: it has no statistics, and nothing reads them.

    Parameters
    ----------
    a : ndarray of shape (..., N, G)
        What is to be normalized.
    mask : ndarray of shape (..., N), optional
        True (or 1) where an example is live.

    Returns
    -------
    weight : ndarray of shape (..., 1, N), or (1, N) without a mask
    """
    xp = array_module(a)
    real = a.real.dtype
    N = a.shape[-2]
    if mask is None:
        return xp.full((1, N), 1 / N, dtype=real)
    live = mask.astype(real)[..., None, :]                            # (..., 1, N)
    count = live.sum(axis=-1, keepdims=True)                          # (..., 1, 1)
    return live / xp.maximum(count, 1)


def batch_statistics(a, weight):
    """Mean and biased variance of `a` (..., N, G) under the example weights (..., 1, N): two passes.

    Returns
    -------
    Statistics
        Each of shape (..., 1, G). The second pass subtracts the mean first: a difference of squares
        would lose the small variances that recurrent batch normalization meets at its first steps.
    """
    mean = weight @ a                                                 # (..., 1, G)
    variance = weight @ (a - mean) ** 2                               # (..., 1, G)
    return Statistics(mean, variance)


class PopulationStatistics(dict):
    """Statistics of the training set for each normalized term: ``population["h"].mean`` is (T_max, G).

    Row t belongs to time step t; beyond T_max the last row repeats (Section 4 of the paper: one set per
    step). An input term that is normalized per sequence has a single row.
    """

    def __repr__(self):
        terms = [f"{term}: {statistics!r}" for term, statistics in self.items()]
        return "\n  ".join([f"{type(self).__name__} of {len(terms)} terms", *terms])

    def averaged_over_time(self):
        """The paper's ablation: one set of statistics for all steps, the plain average of the rows."""
        return PopulationStatistics({
            term: Statistics(*(values.mean(axis=0, keepdims=True) for values in statistics))
            for term, statistics in self.items()})

    def at_steps(self, first_step, T, dtype):
        """The rows of T steps from `first_step` on, as term -> Statistics of shape (T, 1, G)."""
        return {term: Statistics(*(rows_at_steps(values, first_step, T)[:, None].astype(dtype, copy=False)
                                 for values in statistics))
                for term, statistics in self.items()}

    def to_arrays(self):
        """A flat dict ``{"h.mean": ..., "h.variance": ...}`` to save."""
        return {f"{term}.{field}": getattr(statistics, field)
                for term, statistics in self.items() for field in Statistics._fields}

    @classmethod
    def from_arrays(cls, arrays):
        """The inverse of `to_arrays`."""
        terms = dict.fromkeys(key.rsplit(".", 1)[0] for key in arrays)
        return cls({term: Statistics(*(arrays[f"{term}.{field}"] for field in Statistics._fields)) for term in terms})


def rows_at_steps(values, first_step, T):
    """Rows first_step .. first_step + T - 1 of `values` (T_max, G); beyond T_max the last row repeats."""
    xp, last = array_module(values), len(values) - 1
    first_step = min(first_step, last)                                # however late: no integer of an array overflows
    return values[xp.minimum(xp.arange(first_step, first_step + T), last)]                   # (T, G)


def continue_dead_steps(values, live):
    """Give each step without a live example the values of the last live step before it, or of the first one after.

    Parameters
    ----------
    values : ndarray of shape (T, G); with one row, of all steps together, it stays as it is
    live : bool ndarray of shape (T,) on the host, or None where every step is live
    """
    if live is None or live.all() or len(values) != len(live):
        return values
    before = np.maximum.accumulate(np.where(live, np.arange(len(live)), -1))                 # (T,)
    return values[array_module(values).asarray(np.where(before < 0, np.argmax(live), before))]


def add_ragged(a, b):
    """The sum of statistics (T_a, G) and (T_b, G): the shorter is continued with its last row."""
    T = max(len(a), len(b))
    return rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)


def average_over_batches(of_batches):
    """The plain average of each step's statistics over minibatches: every batch has the same weight.

    Parameters
    ----------
    of_batches : iterable of dict
        Term -> Statistics of arrays (T, G); a shorter batch is continued with its last step.

    Returns
    -------
    PopulationStatistics
        Empty without a batch.
    """
    totals, count = {}, 0
    for of_batch in of_batches:
        count += 1
        for term, statistics in of_batch.items():
            before = totals.get(term)
            totals[term] = statistics if before is None else Statistics(*map(add_ragged, before, statistics))
    return PopulationStatistics({term: Statistics(*(total / count for total in statistics))
                                 for term, statistics in totals.items()})
