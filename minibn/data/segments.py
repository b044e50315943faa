"""A text as the training loop reads it: cut into segments, each of which starts from the learned initial state."""

from dataclasses import dataclass, replace

import numpy as np

from minibn.data.batches import Batches, batch_count, batch_indices, check_generator
from minibn.data.vocabulary import MOST_SYMBOLS
from minibn.errors import check_integer


@dataclass(frozen=True, eq=False)
class Segments:
    """One split of a text, cut into segments of equal length that do not overlap.

    Within a segment every character but the first is predicted from those before it; the first one never is.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n,)
        The whole text of the split, possibly memory-mapped; never copied.
    length : int
        Characters in a segment: 100 makes 99 predictions.
    classes : int
        The size of the vocabulary.
    starts : ndarray of int64, optional
        Where the chosen segments start, see `subset`. None is all of them, from the first character on.
    """

    codes: np.ndarray
    length: int
    classes: int
    starts: np.ndarray | None = None

    def __post_init__(self):
        codes = self.codes
        if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8 or codes.ndim != 1:
            found = f"{codes.dtype} of shape {codes.shape}" if isinstance(codes, np.ndarray) else type(codes).__name__
            raise TypeError(f"codes must be a uint8 array of shape (n,), got {found}; use Vocabulary.encode(text)")
        length, classes = check_integer("length", self.length), check_integer("classes", self.classes)
        if not 2 <= classes <= MOST_SYMBOLS:
            raise ValueError(f"classes must be the size of the vocabulary, 2..{MOST_SYMBOLS}, got {classes}")
        if len(codes) < 2:
            raise ValueError(f"the text must have at least 2 characters, one to predict the next, got {len(codes)}")
        if length < 2:
            raise ValueError(f"length must be at least 2 characters, one to predict the next, got {length}")
        if length > len(codes):
            raise ValueError(
                f"length={length} is longer than the text of {len(codes)} characters; "
                f"use a length of at most {len(codes)}, or a longer text"
            )
        if codes.max() >= classes:
            raise ValueError(
                f"codes must lie in 0..classes-1 = 0..{classes - 1}, found {codes.max()}; "
                "classes is the size of the vocabulary that encoded the text"
            )
        object.__setattr__(self, "length", length)
        object.__setattr__(self, "classes", classes)
        if self.starts is not None:
            object.__setattr__(self, "starts", self._checked(self.starts))

    def __len__(self):
        return len(self.codes) // self.length if self.starts is None else len(self.starts)

    @property
    def steps(self):
        """T, the number of predictions in a segment."""
        return self.length - 1

    def batch(self, starts, dtype=None):
        """The segments that start at the characters ``starts``, as ``(x, y)``.

        Parameters
        ----------
        starts : array of int, shape (N,)
        dtype : ignored
            Codes are integers, whatever floating type the model computes in.

        Returns
        -------
        x, y : ndarray of int64, shape (T, N), C-contiguous
            Each segment without its last and without its first character: y[t] is what follows x[t].
        """
        starts = self._checked(starts)
        codes = self.codes[np.arange(self.length)[:, None] + starts]  # (T + 1, N)
        return codes[:-1].astype(np.int64), codes[1:].astype(np.int64)

    def batches(self, batch_size, rng=None, dtype=np.float32):
        """One epoch of minibatches, see `Batches` and `batch_indices`.

        Parameters
        ----------
        batch_size : int
            At least 2.
        rng : numpy.random.Generator, optional
            Makes it a training epoch: the cut starts at a character drawn from the first ``length``, for which
            one segment is given up, so that every epoch has equally many; and the segments are shuffled. A
            `subset` keeps its segments and is only shuffled. Without rng all segments come in order, from the
            first character on.
        dtype : numpy floating type
            Accepted as for images; integer batches do not use it.
        """
        check_generator(rng)
        starts = self.starts
        if starts is None:
            offset = 0 if rng is None else int(rng.integers(self.length))
            starts = offset + self.length * np.arange(self._count(epoch=rng is not None))
        self._at_least_two(len(starts))
        return Batches(self, [starts[chosen] for chosen in batch_indices(len(starts), batch_size, rng)], dtype)

    def batches_per_epoch(self, batch_size):
        """How many batches one training epoch has (``batches`` with ``rng``); nothing is made."""
        count = self._count(epoch=True)
        self._at_least_two(count)
        return batch_count(count, batch_size)

    def subset(self, count, rng):
        """The same text, of which only ``count`` segments are read: drawn once, without replacement.

        Parameters
        ----------
        count : int or None
            None, or as many as there are or more: all of them, which is ``self``.
        rng : numpy.random.Generator
        """
        if count is None or (count := check_integer("count", count, 1, "None is all segments")) >= len(self):
            return self
        if rng is None:
            raise TypeError("rng must be a numpy.random.Generator, got None; use np.random.default_rng(seed)")
        check_generator(rng)
        starts = self.length * np.arange(len(self)) if self.starts is None else self.starts
        return replace(self, starts=rng.choice(starts, count, replace=False))

    def with_length(self, length):
        """The same text, whole, cut into segments of another length."""
        return replace(self, length=length, starts=None)

    def whole(self):
        """The whole text as one sequence (x, y), each a view of shape (n - 1, 1): every character but the first."""
        return self.codes[:-1, None], self.codes[1:, None]

    def _count(self, epoch):
        """How many segments are read: a training epoch gives up one to make room for its offset."""
        return len(self) - (epoch and self.starts is None)

    def _at_least_two(self, count):
        if count < 2:
            raise ValueError(
                f"a batch needs at least 2 segments, but {len(self.codes)} characters in segments of "
                f"length={self.length} give {count}; use a shorter length or a longer text"
            )

    def _checked(self, starts):
        starts = np.asarray(starts)
        if starts.ndim != 1 or not len(starts) or not np.issubdtype(starts.dtype, np.integer):
            raise ValueError(
                f"starts must be places of characters, shape (N,), got {starts.dtype} of shape {starts.shape}"
            )
        last = len(self.codes) - self.length
        if starts.min() < 0 or starts.max() > last:
            raise ValueError(f"starts must lie in 0..{last}, found {starts.min()}..{starts.max()}")
        return starts.astype(np.int64, copy=False)
