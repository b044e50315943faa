"""Which call is not analytic? The function runs once on arrays that watch for complex numbers in, real ones out."""

import os
import sys
import warnings

import numpy as np

from minibn.backend import array_module
from minibn.gradcheck.arguments import place_in
from minibn.gradcheck.numeric import as_outputs, is_floating

STAYS_COMPLEX = {"conjugate", "vdot", "vecdot", "sign", "cov", "corrcoef", "correlate"}
"""Complex in and complex out, and still not analytic: they conjugate, or divide by the absolute value."""
INSIDE = (os.path.dirname(np.__file__), __file__)
NUDGE = 1e-4


def find_calls(function, inputs):
    """The calls that keep a function from being analytic: a list of "np.var in forward (mine.py:12)".

    Empty where none was seen, as in code outside NumPy, on device arrays, or after a cast by ``np.asarray``.
    """
    if any(is_floating(value) and array_module(value) is not np for value in inputs.values()):
        return []
    log = {}
    outputs = _run(function, inputs, log)
    return [label for label in log if _matters(function, inputs, label, outputs)]


def _matters(function, inputs, label, outputs):
    """Whether the outputs follow when what the call returned is nudged: a softmax may be shifted by any number."""
    nudged = _run(function, inputs, {}, label)
    if outputs is None or nudged is None:
        return True
    return any(not np.allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(a).max(initial=0))
               for a, b in zip(outputs, nudged, strict=True))


def _run(function, inputs, log, nudged=None):
    """The floating outputs as plain arrays; None if the function does not take such arrays."""
    watched = {name: _watch(value.astype(np.complex128), (log, nudged)) if is_floating(value) else value
               for name, value in inputs.items()}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs = as_outputs(function(**watched))
    except Exception:       # a diagnosis must not fail where the check did not
        return None
    return [np.asarray(out) for out in outputs if isinstance(out, np.ndarray | np.inexact) and out.dtype.kind in "fc"]


def _watch(value, watch):
    """The same number or array, watched, scalars as arrays of no dimensions."""
    if not isinstance(value, np.ndarray | np.inexact) or value.dtype.kind not in "fc":
        return value
    watched = np.asarray(value).view(Watched)
    watched.watch = watch
    return watched


class Watched(np.ndarray):
    """An array that writes down who takes complex numbers and returns real ones.

    ``watch`` is the log that it writes, and the call, if any, whose result it nudges.
    """

    def __array_finalize__(self, parent):
        self.watch = getattr(parent, "watch", None)

    def __array_ufunc__(self, ufunc, method, *arguments, out=None, **settings):
        if out is not None:
            settings["out"] = _plain(out)
        result = getattr(ufunc, method)(*_plain(arguments), **_plain(settings))
        name = f"np.{'abs' if ufunc is np.absolute else ufunc.__name__}"
        result = self._seen(name, (arguments, settings), result)
        return out[0] if out is not None and len(out) == 1 else result

    def __array_function__(self, function, types, arguments, settings):
        result = function(*_plain(arguments), **_plain(settings))
        name = f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)
        return self._seen(name, (arguments, settings), result)

    def __getitem__(self, index):
        return _watch(super().__getitem__(index), self.watch)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    @property
    def real(self):
        return self._seen(".real", self, np.asarray(self).real)

    @property
    def imag(self):
        return self._seen(".imag", self, np.asarray(self).imag)

    def _seen(self, name, arguments, result):
        """The watched result, after a look at what went in and came out."""
        results = result if isinstance(result, tuple | list) else (result,)
        kinds = {part.dtype.kind for part in results if isinstance(part, np.ndarray | np.inexact)}
        if _has_complex(arguments) and ("f" in kinds or name.rpartition(".")[2] in STAYS_COMPLEX):
            (log, nudged), label = self.watch, f"{name}{_caller()}"
            log[label] = True
            if label == nudged:
                result = _nudge(result)
        if isinstance(result, tuple | list):
            parts = [_watch(part, self.watch) for part in result]
            return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
        return _watch(result, self.watch)


def _seen_method(name):
    def method(self, *arguments, **settings):
        return self._seen(f".{name}", self, getattr(np.asarray(self), name)(*arguments, **settings))

    return method


for _name in ("var", "std", "astype"):
    setattr(Watched, _name, _seen_method(_name))


def _nudge(result):
    """Other numbers near the result's; not the same shift everywhere, which a mean could take away again."""
    if isinstance(result, tuple | list) or result.dtype.kind not in "fc":
        return result
    waves = np.cos(np.arange(result.size)).reshape(result.shape)
    return result + NUDGE * (1 + np.abs(result)) * waves


def _plain(value):
    """The same, with plain arrays inside."""
    if isinstance(value, Watched):
        return value.view(np.ndarray)
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _has_complex(value):
    if isinstance(value, tuple | list):
        return any(map(_has_complex, value))
    if isinstance(value, dict):
        return any(map(_has_complex, value.values()))
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "c"


def _caller():
    """Where the call stands: the innermost frame outside of NumPy and this file."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    if frame is None:
        return ""
    return f" in {frame.f_code.co_name} ({place_in(frame.f_code.co_filename, frame.f_lineno)})"
