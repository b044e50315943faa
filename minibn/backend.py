"""Which array library do these arrays belong to, and how to move between them.

The code of minibn runs on NumPy and on CuPy arrays alike; the arrays decide, call by call.
Importing minibn never imports CuPy: as long as nobody has, no array can be CuPy's.
"""

import sys
from collections.abc import Mapping

import numpy as np

from minibn.errors import check_choice, is_array


def array_module(*arrays):
    """The library of the `arrays`: the module ``numpy`` or ``cupy``.

    Raises
    ------
    TypeError
        NumPy and CuPy arrays are mixed.
    """
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return np
    on_device = [isinstance(array, cupy.ndarray) for array in arrays if is_array(array)]
    if any(on_device) and not all(on_device):
        raise TypeError("arrays: expected all NumPy or all CuPy, got both; move them with minibn.to_device or to_host")
    return cupy if any(on_device) else np


def to_device(obj, device):
    """`obj` on `device`: new containers, layers and models; arrays that are there already are shared, not copied.

    Parameters
    ----------
    obj : ndarray, dict, list, tuple, layer, model, statistics or None
        Containers are walked through; what is no array is kept as it is.
    device : {"cpu", "cuda"}

    Raises
    ------
    ValueError
        Another device, or "cuda" without CuPy or without a GPU.
    """
    check_choice("device", device, ("cpu", "cuda"))
    if device == "cpu":
        return to_host(obj)
    cupy = _import_cupy()
    return _map_arrays(cupy.asarray, obj)


def to_host(obj):
    """`obj` with every CuPy array replaced by a NumPy array; takes what `to_device` takes, and shares like it."""
    return _map_arrays(lambda array: array if isinstance(array, np.ndarray) else array.get(), obj)


def _import_cupy():
    try:
        import cupy
    except ImportError as error:
        raise ValueError("device: 'cuda' needs CuPy, which is not installed; "
                         "pip install 'minibn[cuda12]' (or cuda13), or use device='cpu'") from error
    if not cupy.cuda.is_available():
        raise ValueError("device: 'cuda' needs a GPU, and CuPy finds none; use device='cpu'")
    return cupy


def _map_arrays(function, obj):
    """`obj` with `function` applied to each array in it."""
    if is_array(obj):
        return function(obj)
    if hasattr(obj, "map_params"):                    # layers and models
        return obj.map_params(function)
    if isinstance(obj, Mapping):
        moved = {key: _map_arrays(function, value) for key, value in obj.items()}
        return type(obj)(moved) if isinstance(obj, dict) else moved       # a model's view of its parts becomes a dict
    if isinstance(obj, tuple) and hasattr(obj, "_make"):
        return obj._make(_map_arrays(function, value) for value in obj)
    if isinstance(obj, tuple | list):
        return type(obj)(_map_arrays(function, value) for value in obj)
    return obj
