"""Checks of what a caller passes in. Each message names the argument, what was expected, what came, and the remedy.

On device arrays only rank, dtype and sizes are looked at, so that no check ever waits for a GPU;
values are checked on the host, where batches are made (`minibn.data.check_batch`).
"""

import contextlib
import math
import sys

import numpy as np

LARGEST_INTEGER = 2 ** 63 - 1       # what an int64 holds
COMPUTE_OTHERWISE = (np.ma.MaskedArray, np.matrix)


def is_array(value):
    """True for a NumPy array and, where CuPy is loaded, for a CuPy array."""
    cupy = sys.modules.get("cupy")
    return isinstance(value, np.ndarray) or (cupy is not None and isinstance(value, cupy.ndarray))


def check_array(name, array, symbols, kinds="fc", **sizes):
    """Refuse an `array` that is not one, or whose rank, sizes or kind of dtype is wrong.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    array : ndarray
    symbols : str
        Expected axes, for example ``"T N D"``.
    kinds : str
        Accepted NumPy dtype kinds: f float, c complex, i and u integer, b bool.
    **sizes : int
        The sizes that are known, by symbol; the others are free but must not be zero.

    Raises
    ------
    TypeError
        Not an array, or an array of another kind of dtype.
    ValueError
        Wrong rank, wrong size, or an empty axis.
    """
    axes = symbols.split()

    def expected():
        words = [f"{axis}={sizes[axis]}" if axis in sizes else axis for axis in axes]
        return f"({', '.join(words)}{',' * (len(words) == 1)})"

    if not is_array(array) or isinstance(array, COMPUTE_OTHERWISE):
        remedy = "fill it, and pass mask=" if isinstance(array, np.ma.MaskedArray) else "convert it with numpy.asarray"
        raise TypeError(f"{name}: expected an array of shape {expected()}, got {type(array).__name__}; {remedy}")
    if array.dtype.kind not in kinds:
        names = {"f": "floating", "c": "complex", "i": "integer", "u": "unsigned", "b": "bool"}
        wanted = " or ".join(names[kind] for kind in kinds)
        raise TypeError(f"{name}: expected {wanted} values of shape {expected()}, got dtype {array.dtype}; "
                        f"convert it with {name}.astype")
    if array.ndim != len(axes):
        remedy = "sequences are time-major" if axes[0] == "T" else "add or take away an axis"
        raise ValueError(f"{name}: expected {expected()}, got shape {array.shape}; {remedy}")
    for axis, size in zip(axes, array.shape, strict=True):
        if size == 0:
            raise ValueError(f"{name}: axis {axis} of {expected()} is empty, got shape {array.shape}; "
                             f"pass at least one element")
        if size != sizes.get(axis, size):
            raise ValueError(f"{name}: expected shape {expected()}, got {array.shape}; axis {axis} must be "
                             f"{sizes[axis]}")


def check_same_dtype(dtype, **arrays):
    """Refuse a floating array whose dtype is not the parameters' `dtype` (complex steps included)."""
    for name, array in arrays.items():
        if array.dtype != dtype:
            other = f", or make the layer with dtype={array.dtype}" if array.dtype in ("float32", "float64") else ""
            raise TypeError(f"{name}: expected the parameters' dtype {dtype}, got {array.dtype}; "
                            f"convert it, {name.split()[0]}.astype('{dtype}'){other}")


def check_same_backend(parameter, **arrays):
    """Refuse NumPy arrays beside CuPy parameters and the other way round."""
    for name, array in arrays.items():
        if not is_array(array):
            raise TypeError(f"{name}: expected an array, got {type(array).__name__}; convert it with numpy.asarray")
        if isinstance(array, np.ndarray) != isinstance(parameter, np.ndarray):
            there, here = ("cpu", "NumPy") if isinstance(parameter, np.ndarray) else ("cuda", "CuPy")
            raise TypeError(f"{name}: the parameters are {here} arrays, got {type(array).__module__}."
                            f"{type(array).__name__}; move it with minibn.to_device(..., '{there}')")


def check_choice(name, value, choices):
    """Refuse a `value` that is not among the named `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}; choose one of them")


def brief(record):
    """The repr of a named tuple of arrays: their shapes and dtypes, where the numbers would fill the screen."""
    values = ", ".join(f"{name}={show(value)}" for name, value in zip(record._fields, record, strict=True))
    return f"{type(record).__name__}({values})"


def show(value):
    """A value in a few words, for messages: Python itself refuses to write out the longest integers."""
    if is_array(value):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, tuple | list) and any(map(is_array, value)):
        return f"({', '.join(map(show, value[:4]))}{', ...' if len(value) > 4 else ''})"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_integer(name, value, at_least=0, remedy="pass a whole number"):
    """An integer that an array can count to, as a Python int. A bool is none; a NumPy integer could overflow."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected an integer, got {show(value)}; {remedy}")
    if not at_least <= value <= LARGEST_INTEGER:
        bound = f"at least {at_least}" if value < at_least else f"at most {LARGEST_INTEGER}"
        raise ValueError(f"{name}: expected {bound}, got {show(value)}; {remedy}")
    return int(value)


def check_number(name, value, dtype="float64", *, above=None, at_least=None, below=None, remedy="pass such a number"):
    """A number that is finite and within its bounds as `dtype` holds it, as a Python float; `below` needs `at_least`.

    In float32 1e300 is infinite and 1e-60 is zero. A NumPy scalar would widen float32 arrays.
    """
    dtype = np.dtype(dtype)
    words = "a finite number"
    if below is not None:
        words = f"a number in [{at_least}, {below})"
    elif above is not None or at_least is not None:
        words += f" above {above}" if above is not None else f" of at least {at_least}"
    expected = f"{words} in float32" if dtype == np.float32 else words
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name}: expected {expected}, got {show(value)}; {remedy}")
    try:
        with np.errstate(all="ignore"):
            held = float(dtype.type(value))
    except OverflowError:               # an integer beyond every float
        held = math.inf
    if not (math.isfinite(held) and (above is None or held > above) and (at_least is None or held >= at_least)
            and (below is None or held < below)):
        raise ValueError(f"{name}: expected {expected}, got {show(value)}; {remedy}")
    return float(value)


def check_sizes(**sizes):
    """Refuse what is not a positive integer."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= LARGEST_INTEGER:
            raise ValueError(f"{name}: expected a positive integer, got {show(size)}; pass at least 1")


def check_below(name, array, count):
    """Refuse integers outside 0 .. count - 1. NumPy only: on a device array this would wait for the GPU."""
    if isinstance(array, np.ndarray) and (array.min() < 0 or array.max() >= count):
        raise ValueError(f"{name}: expected integers 0 .. {count - 1}, got {array.min()} .. {array.max()}; "
                         f"check the data with minibn.data.check_batch")


def one_line(error):
    """What an exception says, in one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:       # without "[Errno 28]"
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(text.split()) or type(error).__name__


def tell(text):
    """A line on stderr."""
    if sys.stderr is not None:      # closed when the process began
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)
