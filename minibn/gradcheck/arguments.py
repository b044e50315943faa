"""What a caller hands to a check: told apart, named, refused with a reason."""

import os
import traceback
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minibn.backend import array_module, to_host
from minibn.errors import check_integer, is_array, show
from minibn.gradcheck.numeric import as_outputs, is_floating

OWN = "for a function of your own use minibn.check_function(forward, backward, inputs)"


class Absent(NamedTuple):
    """Stands where a gradient should."""

    how: str        # "missing" or "not implemented"
    why: str


def require_layer(cell, model=True):
    """Refuse what is no layer (or model): a function, a class, a module of another library."""
    names = ("params", "map_params", "forward", "backward", "state_names", "terms")
    model_names = ("params", "map_params", "loss", "loss_and_grads", "label_axes", "terms")
    expected = f"cell: expected a layer{' or model' * model}, such as minibn.BNLSTM(input_size=3, hidden_size=4)"
    if isinstance(cell, type):
        raise TypeError(f"{expected}, got the class {cell.__name__}; make one of it, {cell.__name__}(...)")
    is_model = all(hasattr(cell, name) for name in model_names)
    if is_model and not model:
        raise TypeError(f"{expected}, got the model {type(cell).__name__}; trace its layer, model.cell, with the "
                        f"gradient of its h, or check it with minibn.check_gradients(model, x)")
    if not is_model and not all(hasattr(cell, name) for name in names):
        raise TypeError(f"{expected}, got {show(cell)} of type {type(cell).__name__}; {OWN}, "
                        f"for a PyTorch RNN or LSTM minibn.from_torch(module)")


def make_rng(seed, stream):
    """A generator of its own for each use of one seed."""
    return np.random.default_rng([check_integer("seed", seed, remedy="pass a whole number, such as 0"), stream])


def copy_inputs(inputs):
    """The same inputs with every array copied; NumPy's float scalars become arrays, so that they are checked."""
    if not isinstance(inputs, Mapping):
        raise TypeError(f"inputs: expected a dict of names and arrays, got {type(inputs).__name__}; "
                        f"pass {{'x': x}} for a function of x")
    inputs = {n: np.asarray(v) if isinstance(v, np.floating) else v for n, v in inputs.items()}
    return {name: value.copy() if is_array(value) else value for name, value in inputs.items()}


def open_inputs(inputs, wrt):
    """Two copies of the inputs, one of which the function is given, and the names to check; refuses float32."""
    before, copies = copy_inputs(inputs), copy_inputs(inputs)
    for name, value in copies.items():
        if is_floating(value) and value.dtype != np.float64:
            raise TypeError(f"{name}: expected float64 for a gradient check, got {value.dtype}, whose rounding is "
                            f"larger than the errors looked for; pass {name}.astype('float64')")
    return before, copies, names_to_check(copies, wrt)


def names_to_check(inputs, wrt):
    """The inputs to differentiate: all floating arrays, or those asked for."""
    floating = [name for name, value in inputs.items() if is_floating(value)]
    names = floating if wrt is None else list(wrt)
    unknown = [name for name in names if name not in floating]
    if unknown or not names:
        raise ValueError(f"wrt: expected names of float64 arrays among the inputs {floating}, "
                         f"got {unknown or names}; pass inputs as float64 arrays")
    if not any(inputs[name].size for name in names):
        raise ValueError(f"inputs: expected an element to differentiate, got empty arrays {names}; pass larger ones")
    return names


def require_unchanged(inputs, copies):
    """Refuse a function that wrote into its arguments: every later evaluation would start elsewhere."""
    for name, value in inputs.items():
        if is_array(value):
            before, after = to_host(value), to_host(copies[name])
            if not np.array_equal(before, after, equal_nan=is_floating(value)):
                raise ValueError(f"{name}: expected to be left as it was, got changed in place by the function; "
                                 f"let the function work on a copy")


def require_outputs(outputs):
    """Refuse outputs that hold nothing to differentiate: a check of nothing would be all right."""
    for output in outputs:
        dtype = getattr(output, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "fc" and dtype != np.float64:
            raise TypeError(f"function: expected float64 outputs, in which the gradient checker works, got {dtype}; "
                            f"compute in the dtype of the inputs, and return real and imaginary parts apart")
    numbers = [output for output in outputs if isinstance(output, float) or is_floating(output)]
    if not numbers:
        raise TypeError(f"function: expected a float64 array among its outputs, got "
                        f"{', '.join(type(output).__name__ for output in outputs) or 'none'}: there is nothing to "
                        f"differentiate; return arrays, or a tuple of them")
    if not any(getattr(number, "size", 1) for number in numbers):
        raise ValueError("function: expected an output that holds a number, got empty arrays only: there is nothing "
                         "to differentiate; pass larger inputs")


def draw_upstream(output, rng):
    """A random array for every floating output, in the output's own structure; None for the others."""
    if isinstance(output, tuple | list):
        parts = [draw_upstream(part, rng) for part in output]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    if isinstance(output, float):  # np.float64 too
        return float(rng.standard_normal())
    if not is_floating(output):
        return None
    return array_module(output).asarray(rng.standard_normal(output.shape))


def match_upstream(upstream, outputs):
    """The upstream gradient as a tuple with one array (or None) per output."""
    require_outputs(outputs)
    shapes = [getattr(output, "shape", ()) for output in outputs]
    if upstream is None and shapes == [()]:
        return (1.0,)
    if upstream is None:
        raise ValueError(f"upstream: expected random arrays of the outputs' shapes {shapes}, got None; "
                         f"pass those that the gradients were computed with")
    upstream = as_outputs(upstream)
    given = [None if gradient is None else getattr(gradient, "shape", ()) for gradient in upstream]
    if len(given) != len(shapes) or any(g not in (None, s) for g, s in zip(given, shapes, strict=True)):
        raise ValueError(f"upstream: expected the outputs' shapes {shapes}, got {given}; "
                         f"pass one array (or None) per output")
    if not any(np.any(to_host(gradient)) for gradient in upstream if gradient is not None):
        raise ValueError("upstream: expected a number that is not zero, got none: every gradient would be zero; "
                         "draw it at random")
    return upstream


def by_hand(differentiate, inputs, names):
    """The named gradients that `differentiate` returns; one that is a blank leaves an `Absent` for each."""
    try:
        return name_gradients(differentiate(), inputs, names)
    except NotImplementedError as error:
        return dict.fromkeys(names, not_implemented(error))


def place_in(filename, line):
    """Where a line stands, for a hint: file and line. Jupyter keeps a cell in a file whose name says nothing."""
    name = "a notebook's cell" if "ipykernel" in filename else os.path.basename(filename)
    return f"{name}:{line}"


def not_implemented(error):
    """What stands for a gradient whose function raised NotImplementedError."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    words = f": {error}" if str(error) else ""
    return Absent("not implemented", f"{place.name} ({place_in(place.filename, place.lineno)}) raised "
                                     f"NotImplementedError{words}")


def name_gradients(gradients, inputs, names):
    """The gradients of the named inputs, whatever structure they came in, as host arrays of the right shapes.

    An `Absent` stands for one that is missing.
    """
    if hasattr(gradients, "_asdict"):
        gradients = gradients._asdict()
    if gradients is None:
        gradients = {}
    if not isinstance(gradients, Mapping):
        gradients = _name_by_order(gradients, inputs, names)
    return {name: _gradient_of(name, gradients, inputs[name].shape) for name in names}


def _gradient_of(name, gradients, shape):
    gradient = gradients.get(name)
    if gradient is None:
        gradient = gradients.get(f"d{name}")
    if gradient is None:
        got = ", ".join(map(repr, gradients)) or "none"
        return Absent("missing", f"expected {name!r} or 'd{name}' among the gradients, got {got}; return it, or leave "
                                 f"it out with wrt=")
    if gradient is NotImplemented:
        return Absent("not implemented", "backward returned NotImplemented for it")
    if isinstance(gradient, Absent):
        return gradient
    gradient = np.array(to_host(gradient), dtype=np.float64)
    if gradient.shape != shape:
        raise ValueError(f"gradients: expected that of {name!r} to have its shape {shape}, got {gradient.shape}; "
                         f"sum over broadcast axes, transpose back")
    return gradient


def _name_by_order(gradients, inputs, names):
    gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
    floating = [name for name, value in inputs.items() if is_floating(value)]
    for candidate in (floating, list(inputs), names):
        if len(gradients) == len(candidate):
            return dict(zip(candidate, gradients, strict=True))
    raise ValueError(f"gradients: expected one per floating input {floating}, got {len(gradients)}; "
                     f"return a dict with their names")
