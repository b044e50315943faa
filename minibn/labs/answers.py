"""What a function returned, as plain float64 arrays by path: the only form in which a student's result is compared.

A path says where an array stands: ``dW_h`` in a dict, ``1`` in a tuple, ``1.5`` in a record inside one.
"""

import numpy as np


class Answer(dict):
    """The arrays of one call by path, and the names whose values the library gave: their lines were left blank."""

    given = ()


def leaves(value, path="", make=None):
    """All arrays of a result, as path -> array; None has none.

    Parameters
    ----------
    value : array, number, None, tuple, list, dict, or a record with ``_asdict``
        However deep.
    make : callable, optional
        ``make(value, path)`` instead of `array_of`.

    Raises
    ------
    TypeError
        Something else is in it.
    """
    if value is None:
        return {}
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, tuple | list):
        parts = enumerate(value)
    elif hasattr(value, "_asdict"):
        parts = value._asdict().items()
    else:
        return {path: make(value, path) if make else array_of(value)}
    return {key: leaf for name, part in parts for key, leaf in leaves(part, f"{path}.{name}".lstrip("."), make).items()}


def array_of(value):
    """A new float64 array: no subclass, no object of anyone's, nothing complex.

    Raises
    ------
    TypeError
        It is none of numbers; the message says what it is.
    """
    found = np.array(value, subok=False)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of real numbers, got {type(value).__name__} of dtype {found.dtype}")
    return found.astype(np.float64)


def below(found, path):
    """Those leaves that stand under a path, with what is left of their paths."""
    if not path:
        return found
    start = path + "."
    return {key[len(start):]: leaf for key, leaf in found.items() if key.startswith(start)} | (
        {"": found[path]} if path in found else {})


def rebuilt(like, found, path=""):
    """A value built like another, of these leaves."""
    if like is None:
        return None
    if path in found:
        return np.asarray(found[path], dtype=np.asarray(like).dtype)[()]
    if isinstance(like, dict):
        return type(like)({name: rebuilt(part, found, f"{path}.{name}".lstrip(".")) for name, part in like.items()})
    parts = [rebuilt(part, found, f"{path}.{number}".lstrip(".")) for number, part in enumerate(like)]
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def distance(found, right, largest):
    """How far an array is from the right one: max|found - right| / max(max|right|, 1e-3 of the largest around).

    A single right number stands for all of an array.
    """
    right = right if right.ndim else np.full(found.shape, right)
    if found.shape != right.shape or not np.isfinite(found).all():
        return np.inf
    scale = max(np.abs(right).max(initial=0), 1e-3 * largest)
    return float(np.abs(found - right).max(initial=0) / scale) if scale else float(np.abs(found).max(initial=0) > 0)
