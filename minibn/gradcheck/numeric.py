"""Derivatives without a derivation: central differences and the complex step.

Both look at the scalar ``L = sum(upstream * function(**inputs))`` and move one input by a step s along v.

central    dL/ds = (L(x + s v) - L(x - s v)) / 2s + O(s^2)
           Two evaluations; rounding grows as s shrinks: about nine digits at best.
complex    dL/ds = Im L(x + i s v) / s + O(s^2)
           One evaluation and no subtraction, so s = 1e-30 and all sixteen digits; needs an analytic function.

``v`` is one element (the whole gradient costs one or two evaluations per element) or a direction through all
elements (one or two evaluations, whatever the size).
"""

import warnings

import numpy as np

from minibn.backend import array_module, to_host
from minibn.errors import check_choice, is_array

METHODS = ("complex", "central")
COMPLEX_STEP = 1e-30
CENTRAL_STEPS = (1e-5, 1e-4, 1e-6)
"""Truncation grows with s^2 and rounding with 1/s; they meet near eps^(1/3) = 6e-6. Functions that are large, or
sharply bent, want a neighbour: tensors that do not agree at the first step are tried at the others."""


def is_floating(value):
    """Whether a value is an array that can be differentiated (Python floats are constants)."""
    return is_array(value) and value.dtype.kind in "fc"


def as_outputs(output):
    """A function's output, however nested, as one flat tuple."""
    if isinstance(output, tuple | list):
        return tuple(leaf for part in output for leaf in as_outputs(part))
    return (output,)


def draw_direction(shape, rng):
    """A random direction with 0.5 <= \\|v\\| <= 1.5: a normal one would hide the elements it draws near zero."""
    return rng.uniform(0.5, 1.5, size=shape) * rng.choice([-1.0, 1.0], size=shape)


def step_scale(value):
    """``max(1, |x|)``: a step relative to large numbers, absolute for small ones (1 where x is not finite)."""
    size = np.abs(value)
    return np.where(np.isfinite(size), np.maximum(size, 1.0), 1.0)


def steps_of(method, step=None):
    """The steps to try, in order."""
    check_choice("method", method, METHODS)
    if step is not None:
        return (float(step),)
    return (COMPLEX_STEP,) if method == "complex" else CENTRAL_STEPS


class Probe:
    """The scalar ``sum(upstream * function(**inputs))``, to be moved along one input at a time.

    Parameters
    ----------
    function : callable
        ``function(**inputs)`` returns an array or a tuple of arrays. ``evaluations`` counts its calls.
    inputs : dict
        Floating arrays are copied (as complex128 for the complex step), the rest is passed on as it is.
    upstream : tuple
        One array, or None, per output.
    method : {"complex", "central"}
    """

    def __init__(self, function, inputs, upstream, method):
        self.function = function
        self.upstream = upstream
        self.method = method
        self.evaluations = 0
        dtype = np.complex128 if method == "complex" else np.float64
        self.inputs = {
            name: array_module(value).array(value, dtype=dtype, order="C") if is_floating(value) else value
            for name, value in inputs.items()
        }
        if method == "complex":
            self._try_complex_numbers()

    def along(self, name, direction, step):
        """The derivative along ``direction``, a host array of the input's shape."""
        place = self.inputs[name]
        return self._slope(place, ..., place.copy(), array_module(place).asarray(direction), step)

    def element(self, name, flat_index, step):
        """The derivative with respect to one element; a central step is relative to a large element."""
        place, base, scale = self._place(name, flat_index)
        return self._slope(place, flat_index, base, 1.0, step * scale)

    def sides(self, name, flat_index, step):
        """The slopes of one element just below and just above its value (central differences take their mean)."""
        place, base, scale = self._place(name, flat_index)
        step = step * scale
        below, here, above = (self._moved(place, flat_index, base, offset) for offset in (-step, 0.0, step))
        return tuple(self._weigh([a - b for a, b in zip(*pair, strict=True)]) / step
                     for pair in ((here, below), (above, here)))

    def size(self):
        """The sum of the absolute values of all terms of the scalar: what its rounding is relative to."""
        return _total(map(abs, self._terms(self._evaluate())))

    def gradient(self, name, step):
        """All elements' derivatives, one after the other, as a host array of the input's shape."""
        value = self.inputs[name]
        slopes = [self.element(name, index, step) for index in range(value.size)]
        return np.array(slopes, dtype=np.float64).reshape(value.shape)

    def _place(self, name, flat_index):
        """The flat array, one element of it, and the scale of a step there."""
        place = self.inputs[name].reshape(-1)  # a view: the copies are contiguous
        base = place[flat_index].copy()
        return place, base, 1.0 if self.method == "complex" else float(step_scale(to_host(base)))

    def _slope(self, place, index, base, direction, step):
        if self.method == "complex":
            slope = self._weigh([out.imag for out in self._moved(place, index, base, 1j * step * direction)]) / step
        else:
            above, below = (self._moved(place, index, base, sign * step * direction) for sign in (1, -1))
            # The outputs are subtracted before they are summed: less is lost to rounding.
            slope = self._weigh([a - b for a, b in zip(above, below, strict=True)]) / (2 * step)
        return slope

    def _moved(self, place, index, base, offset):
        """The outputs with ``place[index]`` moved; it is put back."""
        place[index] = base + offset
        outputs = self._evaluate()
        place[index] = base
        return outputs

    def _evaluate(self):
        self.evaluations += 1
        outputs = zip(as_outputs(self.function(**self.inputs)), self.upstream, strict=True)
        # Copies: an output may be the input itself, or a buffer that the next call fills again.
        return [out.copy() if is_array(out) else out for out, gradient in outputs if gradient is not None]

    def _weigh(self, changes):
        return _total(self._terms(changes))

    def _terms(self, outputs):
        weights = [gradient for gradient in self.upstream if gradient is not None]
        return [gradient * output for gradient, output in zip(weights, outputs, strict=True)]

    def _try_complex_numbers(self):
        """One evaluation that refuses to lose an imaginary part silently, as a cast to float would."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                self._evaluate()
        except Exception as error:
            raise TypeError(
                f"function: expected one that takes complex128, as a complex step needs, got an error ({error}); "
                f"make buffers with the dtype of the inputs, avoid float casts, or pass method='central'"
            ) from error


def _total(terms):
    return sum(float(array_module(term).sum(term)) for term in terms)
