"""Every random number of a run is a function of (seed, purpose, index).

Nothing carries a generator's state from one iteration to the next. So a resumed run needs none to draw what
the uninterrupted one would have drawn, and adding a draw somewhere changes no other.
"""

import numpy as np

PURPOSES = {
    "parameters": 1,
    "shuffle": 2,  # index: epoch
    "training noise": 3,  # index: iteration
    "validation noise": 4,
    "population noise": 5,  # index: batch
    "test noise": 6,
    "validation subset": 7,
    "population subset": 8,
    "training data": 9,     # of the cell, such as masks; index: iteration
    "population data": 10,  # likewise; index: batch
}
"""One number per purpose. Numbers are never reused or changed: old seeds keep their meaning."""


def generator(seed, purpose, *index):
    """A NumPy generator that belongs to this seed, this name in `PURPOSES` and this index (epoch, iteration) alone."""
    return np.random.default_rng([seed, PURPOSES[purpose], *index])


def normal(shape, std, dtype, seed, purpose, *index):
    """Gaussian noise of mean 0, drawn on the host in float64 and rounded: the same on every device; None of std 0."""
    if std == 0:
        return None
    return (std * generator(seed, purpose, *index).standard_normal(shape)).astype(dtype)
