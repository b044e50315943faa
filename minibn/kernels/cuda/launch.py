"""From the CUDA sources to a launch."""

import functools
import re
from pathlib import Path

import cupy
import numpy as np

from minibn.kernels.cuda.plan import Limits
from minibn.statistics import Statistics

FOLDER = Path(__file__).parent
REAL = {"f": "float", "d": "double"}
NULL = np.uintp(0)                  # a null pointer; CuPy takes None for something else
LARGEST_SHARED_BYTES_UNASKED = 48 * 1024


def source(name):
    """The text of one source file, with what it includes in place: CuPy's cache looks at the text alone."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return re.sub(r'#include "(.+?)"', lambda match: source(match[1]), text)


@functools.cache
def module(name, char):
    """The compiled source file for numbers of dtype `char`."""
    return cupy.RawModule(code=source(name), options=(f"-DREAL={REAL[char]}",))


@functools.cache
def limits_of(device):
    """The `Limits` of one GPU, by its number."""
    attributes = cupy.cuda.Device(device).attributes
    return Limits(attributes["MultiProcessorCount"], attributes["MaxSharedMemoryPerBlockOptin"])


def limits():
    """The `Limits` of the current GPU."""
    return limits_of(cupy.cuda.runtime.getDevice())


def kernel(name, function, dtype, shared_bytes=0):
    """One kernel, ready to be launched with that much shared memory."""
    found = _kernel(name, function, np.dtype(dtype).char)
    if shared_bytes > LARGEST_SHARED_BYTES_UNASKED:
        found.max_dynamic_shared_size_bytes = shared_bytes
    return found


def launch_together(kernel, plan, arguments):
    """A cooperative launch: all blocks are resident, or the launch is refused.

    Not by `enable_cooperative_groups` of `cupy.RawModule`: before CuPy's pull request 10023 that compiles for
    linking with CUDA's device runtime library, which these sources do not need and not every machine has.
    """
    kernel.kernel((plan.blocks,), (plan.threads,), arguments, shared_mem=plan.shared_bytes,
                  enable_cooperative_groups=True)


@functools.cache
def _kernel(name, function, char):
    try:
        found = module(name, char).get_function(function)
        _ = found.kernel                # CuPy compiles when this is first asked for
    except AssertionError:              # a mistake in these files, not the card's
        raise
    except Exception as error:          # compilers, drivers and the search for them fail in many classes
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = next((line for line in lines if "error" in line.lower()), lines[0]).strip()
        raise ValueError(f"engine: {name} ({REAL[char]}) cannot be compiled for this GPU, {card()}: {reason}; "
                         'use engine="equations"') from error
    return found


def card():
    """The current GPU in words: its name and its compute capability."""
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    return f"{properties['name'].decode()} (compute capability {properties['major']}.{properties['minor']})"


def arguments(dtype, *values):
    """Kernel arguments: None is a null pointer, an int 32 bits, a float one number of the dtype."""
    def convert(value):
        if value is None:
            return NULL
        if isinstance(value, float):
            return np.dtype(dtype).type(value)
        return np.int32(value) if isinstance(value, int) else value

    return tuple(convert(value) for value in values)


def contiguous(params):
    """The parameters as a kernel reads them: no copies where they lie in order already."""
    return {name: cupy.ascontiguousarray(value) for name, value in params.items()}


def unit_major(a):
    """(T, N, G) -> contiguous (G, T, N), the layout of the kernels; no copy where it is that already."""
    return cupy.ascontiguousarray(a.transpose(2, 0, 1))


def time_major(a):
    """(G, T, N) -> (T, N, G), a view."""
    return a.transpose(1, 2, 0)


def rows(a):
    """(G, T, N) -> (G, T * N)."""
    return a.reshape(len(a), -1)


def statistics(given, T, G, dtype):
    """Statistics (T, G) for a kernel: the `given` ones (T, 1, G), or places for those that it will estimate."""
    if given is None:
        return Statistics(cupy.empty((T, G), dtype), cupy.empty((T, G), dtype))
    return Statistics(*(cupy.ascontiguousarray(values.reshape(T, G)) for values in given))
