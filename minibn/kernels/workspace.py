"""Arrays that are used again once nobody holds them.

A fresh array of 100 MB costs more in page faults than the arithmetic that fills it. An array from `empty` is
an ordinary array, but its memory goes back to a store when the array and all views of it are gone, and the next
call of a like size gets it. Nobody has to give anything back, and what somebody still holds is never reused.
"""

import math

import numpy as np

SMALL = 2 ** 15     # bytes; below, the allocator is as good
ALIGNMENT = 64      # bytes: a cache line, and the widest vector register


class _Block:
    """Lends a block of memory to one array: lives as long as that array or a view of it does."""

    __slots__ = ("__array_interface__", "_memory", "_store")

    def __init__(self, store, memory, shape, dtype):
        self._store, self._memory = store, memory
        aligned = -(-memory.ctypes.data // ALIGNMENT) * ALIGNMENT
        self.__array_interface__ = {"data": (aligned, False), "shape": shape, "typestr": dtype.str,
                                    "version": 3}

    def __del__(self):
        self._store.take_back(self._memory)


class Store:
    """Blocks of memory that nobody uses, by their size.

    What is kept never makes the total larger than the most that was ever in use at once and an eighth.
    """

    def __init__(self):
        self._free = {}         # size class in bytes -> list of memory blocks
        self._lent = {}         # id of a block -> its size
        self.most_in_use = 0

    @property
    def in_use(self):
        """Bytes that are lent."""
        return sum(list(self._lent.values()))

    @property
    def kept(self):
        """Bytes that nobody uses."""
        return sum(size * len(blocks) for size, blocks in list(self._free.items()))

    def empty(self, shape, dtype):
        """An uninitialised array, as `numpy.empty` gives it."""
        dtype = np.dtype(dtype)
        needed = math.prod(shape) * dtype.itemsize
        if needed < SMALL:
            return np.empty(shape, dtype)
        size = _size_class(needed + ALIGNMENT)
        try:
            memory = self._free[size].pop()
        except (KeyError, IndexError):
            self._make_room(size)
            memory = np.empty(size, np.uint8)
        self._lent[id(memory)] = size
        self.most_in_use = max(self.most_in_use, self.in_use)
        return np.asarray(_Block(self, memory, shape, dtype))

    def take_back(self, memory):
        """Keep a block for the next one who needs it. Imports nothing: Python may be shutting down."""
        self._lent.pop(id(memory))
        self._free.setdefault(memory.size, []).append(memory)

    def clear(self):
        """Forget the free blocks, and how much was in use before."""
        self._free.clear()
        self.most_in_use = self.in_use

    def _make_room(self, size):
        """Drop free blocks until the new one does not raise the total above what was in use, and an eighth."""
        for blocks in list(self._free.values()):
            while blocks and self.in_use + self.kept + size > 1.125 * self.most_in_use:
                blocks.pop()


def _size_class(needed):
    """`needed` rounded up to six significant bits: blocks serve sizes up to a thirtieth smaller."""
    step = 1 << max(0, needed.bit_length() - 6)
    return -(-needed // step) * step


STORE = Store()
empty = STORE.empty


def zeros(shape, dtype):
    """An array of zeros from the store."""
    array = empty(shape, dtype)
    array.fill(0)
    return array
