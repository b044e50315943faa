"""Arrays that are used again once nobody holds them.

A fresh array of 100 MB costs more in page faults than the arithmetic that fills it. An array from `empty` is
an ordinary array, but its memory goes back to a store when the array and all views of it are gone, and the next
call of a like size gets it. Nobody has to give anything back, and what somebody still holds is never reused.
"""

import math
import weakref

import numpy as np

IDLE = 2 ** 26      # bytes that are kept when no layer is left that would use them
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

    While a layer exists that computed with kernels, what is kept never makes the total larger than the most that was
    ever in use at once and an eighth: the next iteration will want it again. After that `IDLE` bytes stay at most.

    Threads may share a store. There is no lock, for a block can come back at any moment, in the middle of a call of the
    same thread: each step is a single operation on a dict or a list, which Python does not interrupt. Where two threads
    cross, a block may be forgotten, and its memory goes back to the system; none is ever lent twice.
    """

    def __init__(self):
        self._free = {}         # size class in bytes -> list of memory blocks; the last one used stands last
        self._lent = {}         # id of a block -> its size
        self._served = {}       # id of a layer that exists -> None
        self.most_in_use = 0

    def serve(self, layer):
        """Keep memory as long as this layer exists."""
        if id(layer) not in self._served:
            self._served[id(layer)] = None
            weakref.finalize(layer, self._leave, id(layer)).atexit = False

    def _leave(self, key):
        self._served.pop(key, None)
        self._trim(0)

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
            self._trim(size)
            memory = np.empty(size, np.uint8)
        self._lent[id(memory)] = size
        self.most_in_use = max(self.most_in_use, self.in_use)
        return np.asarray(_Block(self, memory, shape, dtype))

    def take_back(self, memory):
        """Keep a block for the next one who needs it. Imports nothing: Python may be shutting down."""
        self._lent.pop(id(memory))
        if self._served or self.kept + memory.size <= IDLE:
            blocks = self._free.pop(memory.size, [])
            blocks.append(memory)
            self._free[memory.size] = blocks        # behind all others: `_trim` begins with what was used longest ago

    def clear(self):
        """Forget the free blocks, and how much was in use before."""
        self._free.clear()
        self.most_in_use = self.in_use

    def _trim(self, size):
        """Drop free blocks until one of `size` bytes more is within the limit."""
        for blocks in list(self._free.values()):
            while blocks and self.kept + size > self._limit():
                try:
                    blocks.pop()
                except IndexError:      # another thread took the last one
                    break

    def _limit(self):
        """How much may be kept."""
        return 1.125 * self.most_in_use - self.in_use if self._served else IDLE


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
