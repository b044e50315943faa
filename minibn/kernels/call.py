"""What a kernel is given, and what it keeps."""

from typing import NamedTuple

from minibn.errors import brief


class Call(NamedTuple):
    """Everything a cell's forward pass depends on."""

    x: object                   # (T, N, D) floating, or (T, N) integer for one-hot input; zeros at padded steps
    state: tuple                # of (N, H): h_0, or h_0 and c_0
    params: dict                # the layer's parameters
    mask: object = None         # (T, N) bool, or None
    given: object = None        # term -> Statistics of (T, 1, G), "x" per sequence (1, G); None: the batch's own
    eps: float = 0.0            # added to the variances
    input_statistics: str = "step"      # or "sequence": one set for the input term of the whole sequence
    counted: object = None      # (T, N) bool: the rows that enter the statistics of a step; None: those of the mask

    __repr__ = brief

    @property
    def rows(self):
        """(T, N) bool, the rows that enter the statistics of a step; None: all."""
        return self.mask if self.counted is None else self.counted


class Stored(NamedTuple):
    """What a forward pass keeps."""

    h: object                   # (T, N, H)   carried states h_1 .. h_T
    c: object                   # (T, N, H)   likewise, or None
    statistics: dict            # term -> Statistics of (T, G), "x" per sequence (1, G): what was used
    arrays: dict                # by name: what the cell's own backward wants; each file lists it

    __repr__ = brief
