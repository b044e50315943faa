"""What a caller hands to a check: told apart, named, refused with a reason."""

from collections.abc import Mapping

import numpy as np

from minibn.backend import array_module, to_host
from minibn.errors import is_array
from minibn.gradcheck.numeric import is_floating


def copy_inputs(inputs):
    """The same inputs with every array copied; NumPy's float scalars become arrays, so that they are checked."""
    inputs = {n: np.asarray(v) if isinstance(v, np.floating) else v for n, v in inputs.items()}
    return {name: value.copy() if is_array(value) else value for name, value in inputs.items()}


def require_float64(inputs):
    """Refuse float32 and complex arrays."""
    for name, value in inputs.items():
        if is_floating(value) and value.dtype != np.float64:
            raise TypeError(f"{name}: expected float64 for a gradient check, got {value.dtype}, whose rounding is "
                            f"larger than the errors looked for; pass {name}.astype('float64')")


def names_to_check(inputs, wrt):
    """The inputs to differentiate: all floating arrays, or those asked for."""
    floating = [name for name, value in inputs.items() if is_floating(value)]
    names = floating if wrt is None else list(wrt)
    unknown = [name for name in names if name not in floating]
    if unknown or not names:
        raise ValueError(f"wrt: expected names of float64 arrays among the inputs {floating}, "
                         f"got {unknown or names}; pass inputs as float64 arrays")
    return names


def require_unchanged(inputs, copies):
    """Refuse a function that wrote into its arguments: every later evaluation would start elsewhere."""
    for name, value in inputs.items():
        if is_array(value):
            before, after = to_host(value), to_host(copies[name])
            if not np.array_equal(before, after, equal_nan=is_floating(value)):
                raise ValueError(f"{name}: expected to be left as it was, got changed in place by the function; "
                                 f"let the function work on a copy")


def draw_upstream(output, rng):
    """A random array for every floating output, in the output's own structure; None for the others."""
    if isinstance(output, tuple):
        parts = [draw_upstream(part, rng) for part in output]
        return type(output)(*parts) if hasattr(output, "_fields") else tuple(parts)
    if isinstance(output, float):  # np.float64 too
        return float(rng.standard_normal())
    if not is_floating(output):
        return None
    return array_module(output).asarray(rng.standard_normal(output.shape))


def name_gradients(gradients, inputs, names):
    """The gradients of the named inputs, whatever structure they came in, as host arrays of the right shapes."""
    if hasattr(gradients, "_asdict"):
        gradients = gradients._asdict()
    if not isinstance(gradients, Mapping):
        gradients = _name_by_order(gradients, inputs, names)
    found = {}
    for name in names:
        gradient = gradients.get(name)
        if gradient is None:
            gradient = gradients.get(f"d{name}")
        if gradient is None:
            raise ValueError(f"gradients: expected {name!r} or 'd{name}', got {list(gradients)}; "
                             f"return it, or leave it out with wrt=")
        found[name] = np.array(to_host(gradient), dtype=np.float64)
        if found[name].shape != inputs[name].shape:
            raise ValueError(f"gradients: expected that of {name!r} to have its shape {inputs[name].shape}, "
                             f"got {found[name].shape}; sum over broadcast axes, transpose back")
    return found


def _name_by_order(gradients, inputs, names):
    gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
    floating = [name for name, value in inputs.items() if is_floating(value)]
    for candidate in (floating, list(inputs), names):
        if len(gradients) == len(candidate):
            return dict(zip(candidate, gradients, strict=True))
    raise ValueError(f"gradients: expected one per floating input {floating}, got {len(gradients)}; "
                     f"return a dict with their names")
