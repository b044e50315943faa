"""Splits of an image data set, and the minibatches of any split.

Pixels stay small integers, one row per image; a batch is gathered, turned to time-major order and scaled to
[0, 1] when it is asked for. Batch number k of an epoch can be asked for directly, so training can go on in
the middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minibn.data.checks import check_mask
from minibn.errors import check_integer

ALONE = "one example alone has no batch statistics"
ONE_LABEL = "one label is nothing to learn"


def batch_indices(count, batch_size, rng=None):
    """Which examples make up each batch of one epoch.

    Every example occurs exactly once. The last batch may be smaller; a last batch of one example is merged
    into the batch before it, because a single example has no batch statistics.

    Parameters
    ----------
    count : int
        Number of examples, at least 2.
    batch_size : int
        At least 2.
    rng : numpy.random.Generator, optional
        Shuffles the examples. Without it they come in the order of the file.

    Returns
    -------
    list of ndarray of int64
    """
    count = check_integer("count", count, 2, ALONE)
    batch_size = check_integer("batch_size", batch_size, 2, ALONE)
    check_generator(rng)
    order = np.arange(count) if rng is None else rng.permutation(count)
    return np.split(order, batch_size * np.arange(1, batch_count(count, batch_size)))


def batch_count(count, batch_size):
    """How many batches `batch_indices` makes of ``count`` examples."""
    count = check_integer("count", count, 2, ALONE)
    batch_size = check_integer("batch_size", batch_size, 2, ALONE)
    full, rest = divmod(count, batch_size)
    return max(1, full + (rest > 1))  # one left over joins the batch before it


def check_generator(rng):
    """Raise TypeError unless ``rng`` is a generator of NumPy, or None."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator or None, got {type(rng).__name__}; "
            "use np.random.default_rng(seed)"
        )


@dataclass(frozen=True, eq=False)
class Split:
    """The examples of one split: one row of integer pixels per image, in the order in which they are read.

    Attributes
    ----------
    images : ndarray of uint8 or uint16, shape (n, T)
    labels : ndarray of an integer type, shape (n,)
        Each in 0..classes-1.
    white : int
        The pixel value that becomes 1.0 (255; 1020 for the sums of 2x2 pixels).
    classes : int
    """

    images: np.ndarray
    labels: np.ndarray
    white: int = 255
    classes: int = 10

    def __post_init__(self):
        images, labels = self.images, self.labels
        for name, array in (("images", images), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}")
        object.__setattr__(self, "white", check_integer("white", self.white, 1, "it becomes 1.0"))
        object.__setattr__(self, "classes", check_integer("classes", self.classes, 2, ONE_LABEL))
        if images.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"images must be uint8 (0..255) or uint16, got {images.dtype}")
        if images.ndim != 2 or 0 in images.shape:
            raise ValueError(
                f"images must have the shape (n, pixels), neither 0, got {images.shape}; "
                "pictures become rows with images.reshape(len(images), -1)"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"labels must be integers, got {labels.dtype}")
        if labels.shape != (len(images),):
            raise ValueError(f"labels must have the shape (n,) = ({len(images)},), got {labels.shape}")
        if labels.min() < 0 or labels.max() >= self.classes:
            found = f"{labels.min()}..{labels.max()}"
            raise ValueError(f"labels must lie in 0..classes-1 = 0..{self.classes - 1}, found {found}")
        if images.max() > self.white:
            raise ValueError(f"images must lie in 0..white = 0..{self.white}, found {images.max()}")

    def __len__(self):
        return len(self.images)

    @property
    def steps(self):
        """T, the number of pixels that are read one after another."""
        return self.images.shape[1]

    def batch(self, indices, dtype=np.float32):
        """The examples ``indices`` as ``(x, y)``.

        Returns
        -------
        x : ndarray of shape (T, N, 1), C-contiguous
            Pixels in [0, 1], of the floating type asked for.
        y : ndarray of int64, shape (N,)
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype must be float32 or float64, got {dtype}")
        pixels = self.images[indices].T  # (T, N)
        x = np.empty((*pixels.shape, 1), dtype)
        np.divide(pixels, self.white, out=x[:, :, 0], dtype=dtype)
        return x, self.labels[indices].astype(np.int64)

    def batches(self, batch_size, rng=None, dtype=np.float32):
        """One epoch of minibatches, see `Batches` and `batch_indices`."""
        return Batches(self, batch_indices(len(self), batch_size, rng), dtype)

    def batches_per_epoch(self, batch_size):
        """How many batches one training epoch has; nothing is made."""
        return batch_count(len(self), batch_size)

    def subset(self, count, rng):
        """Only ``count`` of the examples, drawn by `rng` without replacement; None, or as many: ``self``."""
        if count is None or count >= len(self):
            return self
        chosen = rng.choice(len(self), count, replace=False)
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])


class Batches(Sequence):
    """The minibatches of one epoch: ``len()``, iteration, and ``batches[k]`` without making those before it.

    Parameters
    ----------
    split : Split or Segments
        Whatever has a method ``batch(indices, dtype)`` that returns (x, y) or (x, y, mask).
    indices : list of ndarray of int
        What ``split.batch`` takes, batch by batch. ``batches[3:]`` is the rest of the epoch from batch 3 on.
    dtype : numpy floating type
    """

    def __init__(self, split, indices, dtype=np.float32):
        self.split, self.indices, self.dtype = split, indices, dtype

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, k):
        if isinstance(k, slice):
            return Batches(self.split, self.indices[k], self.dtype)
        batch = self.split.batch(self.indices[k], self.dtype)
        if len(batch) == 3:  # a split of one's own, with padding
            x, _, mask = batch
            check_mask(mask, *x.shape[:2])
        return batch


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of images of ``side`` x ``side`` pixels, read in the same order of pixels.

    Attributes
    ----------
    name : str
    side : int
    train, valid, test : Split
    test_name : str
        What ``test`` may be called: "test set" only if it is the official one.
    order : ndarray of int64, shape (T,)
        Step t reads pixel ``order[t]`` of the image, row by row. Save it with the run.
    """

    name: str
    side: int
    train: Split
    valid: Split
    test: Split
    test_name: str = "test set"
    order: np.ndarray | None = None

    def __post_init__(self):
        if self.order is None:
            object.__setattr__(self, "order", np.arange(self.train.steps))

    @property
    def steps(self):
        """T, the number of pixels that are read one after another."""
        return self.train.steps

    @property
    def classes(self):
        """K, the number of different labels."""
        return self.train.classes

    @property
    def valid_name(self):
        """What a number measured on ``valid`` is called."""
        return "validation set"

    @property
    def recorded(self):
        """What a run saves, to find these data again."""
        return {"order": self.order}

    @property
    def sizes(self):
        """How large each part is, in words."""
        return f"{len(self.train)} train, {len(self.valid)} validation, {len(self.test)} {self.test_name}"

    def reordered(self, order):
        """The same images with step t reading what was step ``order[t]``: one map for all three splits.

        Parameters
        ----------
        order : ndarray of int, shape (T,)
            From `pixel_order`, or as saved with a run.
        """
        order = np.asarray(order)
        if order.ndim != 1 or not np.issubdtype(order.dtype, np.integer) or not len(order):
            raise ValueError(
                f"order must be a list of pixel numbers, shape (T,), got {order.dtype} of shape {order.shape}"
            )
        if order.min() < 0 or order.max() >= self.steps:
            raise ValueError(f"order must lie in 0..{self.steps - 1}, found {order.min()}..{order.max()}")
        splits = {
            name: replace(split, images=split.images[:, order])
            for name, split in (("train", self.train), ("valid", self.valid), ("test", self.test))
        }
        return replace(self, order=self.order[order], **splits)
