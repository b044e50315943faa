"""Which lines of minibn allocate an array at every time step: the kernels' time loops have none."""

import os
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np

import minibn

PACKAGE = Path(minibn.__file__).parent


def allocating_lines(cell, x, dh, smallest):
    """The lines of minibn that allocate an array at every time step, once everything that is reused is there.

    Each line's highest point of memory above its beginning is looked at (tracemalloc, line by line), so an array
    that is gone again when the line ends is seen as well. A line belongs to the time loop if it allocates more often
    for the whole sequence than for its first half, by the number of steps between them at least.

    Parameters
    ----------
    cell, x, dh
        A layer on the host, x (T, N, D) and dh (T, N, H); at least two steps.
    smallest : int
        Bytes of the smallest array looked for: above what the Python objects of a line need.

    Returns
    -------
    dict of str to list
        "forward" and "backward": ``folder/file:line`` of each such line.
    """
    half = len(x) // 2
    # NumPy's iterators take buffers of their own, of one fixed size, for operands that are not contiguous: no
    # arrays. Made so small, they are told apart.
    before = np.setbufsize(16)
    try:
        whole, first = (_counts(cell, x[:steps], dh[:steps], smallest) for steps in (len(x), half))
    finally:
        np.setbufsize(before)
    return {name: sorted(line for line, count in whole[name].items()
                         if count - first[name][line] >= len(x) - half)
            for name in whole}


def _counts(cell, x, dh, smallest):
    """Direction -> Counter of how often each line allocated."""
    for _ in range(2):                                # a workspace may be sorted out at the second call only
        cell.backward(dh, cell.forward(x)[1])
    tracemalloc.start()
    try:
        forward, cache = _count_allocations(lambda: cell.forward(x)[1], smallest)
        backward, _ = _count_allocations(lambda: cell.backward(dh, cache), smallest)
    finally:
        tracemalloc.stop()
    return {"forward": forward, "backward": backward}


def _count_allocations(function, smallest):
    """How often each line of minibn allocated at least `smallest` bytes, and what `function` returned."""
    counts, line, start, package = Counter(), None, 0, f"{PACKAGE}{os.sep}"

    def look(frame, event, _):
        nonlocal line, start
        if tracemalloc.get_traced_memory()[1] - start >= smallest:
            counts[line] += 1
        local = look if frame.f_code.co_filename.startswith(package) else None
        if local:                                     # a library's lines count as those that call them
            at = frame.f_back if event == "return" else frame
            line = f"{at.f_code.co_filename.removeprefix(package).replace(os.sep, '/')}:{at.f_lineno}"
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        return local

    before = sys.gettrace()
    tracemalloc.reset_peak()
    start = tracemalloc.get_traced_memory()[0]
    sys.settrace(look)
    try:
        result = function()
    finally:
        sys.settrace(before)
    return counts, result
