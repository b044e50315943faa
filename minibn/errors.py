"""Checks of what a caller passes in. Each message names the argument, what was expected, what came, and the remedy.

On device arrays only rank, dtype and sizes are looked at, so that no check ever waits for a GPU;
values are checked on the host, where batches are made (`minibn.data.check_batch`).
"""

import sys

import numpy as np


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
    expected = "(" + ", ".join(f"{axis}={sizes[axis]}" if axis in sizes else axis for axis in axes) + ")"
    if not is_array(array):
        raise TypeError(f"{name}: expected an array of shape {expected}, got {type(array).__name__}; "
                        f"convert it with numpy.asarray")
    if array.dtype.kind not in kinds:
        words = {"f": "floating", "c": "complex", "i": "integer", "u": "unsigned", "b": "bool"}
        wanted = " or ".join(words[kind] for kind in kinds)
        raise TypeError(f"{name}: expected {wanted} values of shape {expected}, got dtype {array.dtype}; "
                        f"convert it with {name}.astype")
    if array.ndim != len(axes):
        raise ValueError(f"{name}: expected {len(axes)} axes {expected}, got shape {array.shape}; "
                         f"sequences are time-major")
    for axis, size in zip(axes, array.shape, strict=True):
        if size == 0:
            raise ValueError(f"{name}: axis {axis} of {expected} is empty, got shape {array.shape}; "
                             f"pass at least one element")
        if axis in sizes and size != sizes[axis]:
            raise ValueError(f"{name}: expected shape {expected}, got {array.shape}; axis {axis} must be {sizes[axis]}")


def check_same_dtype(dtype, **arrays):
    """Refuse a floating array whose dtype is not the parameters' `dtype` (complex steps included)."""
    for name, array in arrays.items():
        if array.dtype != dtype:
            raise TypeError(f"{name}: expected the parameters' dtype {dtype}, got {array.dtype}; "
                            f"convert with {name}.astype('{dtype}') or make the layer with dtype={array.dtype}")


def check_same_backend(parameter, **arrays):
    """Refuse NumPy arrays beside CuPy parameters and the other way round."""
    for name, array in arrays.items():
        if isinstance(array, np.ndarray) != isinstance(parameter, np.ndarray):
            there, here = ("cpu", "NumPy") if isinstance(parameter, np.ndarray) else ("cuda", "CuPy")
            raise TypeError(f"{name}: the parameters are {here} arrays, got {type(array).__module__}."
                            f"{type(array).__name__}; move it with minibn.to_device(..., '{there}')")


def check_choice(name, value, choices):
    """Refuse a `value` that is not among the named `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}; choose one of them")
