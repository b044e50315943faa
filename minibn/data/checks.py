"""Is this batch fit for training? Values are looked at here, on the host, where batches are made.

The equations look at shapes and types only: reading values would make a GPU wait at every call.
"""

import operator

import numpy as np


def check_batch(x, y, classes, mask=None, symbols=None):
    """Raise unless ``(x, y)`` or ``(x, y, mask)`` is a sound batch; return nothing.

    Parameters
    ----------
    x : ndarray of floating type, shape (T, N, D), or of integer type, shape (T, N)
        Integers mean one-hot input. Steps where the mask is 0 are never read and may hold anything.
    y : ndarray of an integer type, shape (N,) or (T, N)
        One label per example, or one per step; each in 0..classes-1 (at live steps).
    classes : int
    mask : ndarray of bool, or of 0 and 1 of any real type, shape (T, N), optional
        Every example needs at least one live step.
    symbols : int, optional
        For integer x: the number of symbols; each x must lie in 0..symbols-1.

    Raises
    ------
    TypeError
        For something that is not a NumPy array of the types above.
    ValueError
        For wrong shapes, empty sequences, NaN or infinity in x, labels or symbols out of range, and a mask
        that is not 0/1.
    """
    classes = operator.index(classes)
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    for name, array in (("x", x), ("y", y), ("mask", mask)):
        if not isinstance(array, np.ndarray) and not (name == "mask" and array is None):
            raise TypeError(
                f"{name} must be a NumPy array, got {type(array).__name__}; "
                "check batches on the host, before they are moved to a device"
            )
    one_hot = np.issubdtype(x.dtype, np.integer)
    if not one_hot and not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"x must be of a floating or an integer type, got {x.dtype}")
    if not np.issubdtype(y.dtype, np.integer):
        raise TypeError(f"y must be of an integer type, got {y.dtype}")
    if x.ndim != (2 if one_hot else 3):
        expected = "(T, N) for integers (one-hot)" if one_hot else "(T, N, D)"
        raise ValueError(f"x must have the shape {expected}, got {x.shape}")
    if 0 in x.shape:
        sizes = "(T, N)" if one_hot else "(T, N, D)"
        raise ValueError(f"x must have each of {sizes} at least 1, got {x.shape}; leave empty sequences out")
    steps, count = x.shape[:2]
    if y.shape not in ((count,), (steps, count)):
        expected = f"(N,) = ({count},) or (T, N) = ({steps}, {count})"
        raise ValueError(f"y must have the shape {expected}, got {y.shape}")

    live = np.ones((steps, count), bool) if mask is None else check_mask(mask, steps, count)
    _check_x(x, live, symbols)
    wrong = (y < 0) | (y >= classes)
    if y.ndim == 2:
        wrong &= live
    if wrong.any():
        place = _first(wrong)
        raise ValueError(f"y must lie in 0..classes-1 = 0..{classes - 1}, found {y[place]} at {_text(place)}")


def check_mask(mask, steps, count):
    """Raise unless ``mask`` says 0 or 1 of every step of every example; return it as bool."""
    if not isinstance(mask, np.ndarray):
        raise TypeError(f"mask must be a NumPy array, got {type(mask).__name__}")
    if mask.dtype.kind not in "biuf":
        raise TypeError(f"mask must be bool or of a real type, got {mask.dtype}")
    if mask.shape != (steps, count):
        raise ValueError(f"mask must have the shape (T, N) = ({steps}, {count}), got {mask.shape}")
    wrong = (mask != 0) & (mask != 1)  # true for NaN as well
    if wrong.any():
        place = _first(wrong)
        raise ValueError(f"mask must be 0 or 1 everywhere, found {mask[place]} at {_text(place)}")
    live = mask.astype(bool)
    empty = ~live.any(axis=0)
    if empty.any():
        raise ValueError(f"mask leaves example {int(empty.argmax())} no live step; leave empty sequences out")
    return live


def _check_x(x, live, symbols):
    if x.ndim == 3:
        wrong, rule = ~np.isfinite(x) & live[:, :, None], "finite"
    else:
        wrong, rule = x < 0, "at least 0"
        if symbols is not None:
            wrong, rule = wrong | (x >= symbols), f"in 0..symbols-1 = 0..{symbols - 1}"
        wrong &= live
    if wrong.any():
        place = _first(wrong)
        axes = "(t, n, d)" if x.ndim == 3 else "(t, n)"
        raise ValueError(f"x must be {rule} at every live step, found {x[place]} at {axes} = {_text(place)}")


def _first(wrong):
    return tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))


def _text(place):
    return str(place[0]) if len(place) == 1 else str(place)
