"""In which order the pixels of an image are read."""

import operator

import numpy as np

INDEX_MAPS = ("in_order", "permutation", "replacement", "authors_seed1")


def pixel_order(index_map, pixels=784, seed=1):
    """The pixel that each time step reads.

    Parameters
    ----------
    index_map : {"in_order", "permutation", "replacement", "authors_seed1"}
        "in_order": row by row. "permutation": every pixel once, in an order drawn from ``seed``, as the paper
        says. "replacement": as many independent draws, so that some pixels are read twice and about 37 % never.
        "authors_seed1": what the authors' program did with its default seed 1, 784 independent draws
        *with replacement*: 501 distinct pixels, one of them six times, 283 pixels never read.
    pixels : int
        Pixels per image; "authors_seed1" is defined for 784 only.
    seed : int or sequence of int
        For "permutation" and "replacement"; whatever `numpy.random.default_rng` takes.

    Returns
    -------
    ndarray of int64, shape (pixels,)
        To be saved with the run, so that it never depends on a random generator staying the same.
    """
    pixels = operator.index(pixels)
    if pixels < 1:
        raise ValueError(f"pixels must be at least 1, got {pixels}")
    if index_map == "in_order":
        return np.arange(pixels)
    if index_map == "permutation":
        return np.random.default_rng(seed).permutation(pixels)
    if index_map == "replacement":
        return np.random.default_rng(seed).integers(0, pixels, size=pixels)
    if index_map == "authors_seed1":
        if pixels != 784:
            raise ValueError(
                f"index_map='authors_seed1' is defined for 784 pixels (28x28), got {pixels}; "
                "use side 28 or index_map='replacement'"
            )
        # The legacy generator is frozen by NumPy's policy: these draws are those of the authors' program.
        return np.random.RandomState(1).randint(0, 784, size=784, dtype=np.int64)
    raise ValueError(f"index_map must be one of {', '.join(INDEX_MAPS)}, got {index_map!r}")
