"""Checking the gradients of any function: ours, a student's, the user's own."""

import math
import warnings

import numpy as np

from minibn.gradcheck.arbiter import CENTRAL_TOLERANCE, KINK, Arbiter
from minibn.gradcheck.arguments import (
    Absent,
    by_hand,
    copy_inputs,
    draw_upstream,
    make_rng,
    match_upstream,
    name_gradients,
    names_to_check,
    not_implemented,
    open_inputs,
    require_outputs,
    require_unchanged,
)
from minibn.gradcheck.compare import Comparison
from minibn.gradcheck.diagnose import blame_rounding
from minibn.gradcheck.hints import hint_on
from minibn.gradcheck.measure import gradient_error
from minibn.gradcheck.numeric import CENTRAL_STEPS, Probe, as_outputs, draw_direction, is_floating, steps_of
from minibn.gradcheck.report import Entry, Report
from minibn.gradcheck.watch import find_calls

TOLERANCES = {"complex": 1e-10, "central": CENTRAL_TOLERANCE}
MAX_ELEMENTS = 2000
"""Up to here every element is moved on its own; beyond, one random direction per tensor says right or wrong,
and the fault is searched for afterwards."""


def check_function(forward, backward, inputs, *, title=None, wrt=None, seed=0, **options):
    """Check a backward function against its forward function.

    The upstream gradient is random, never ones: batch normalization turns a constant upstream gradient into
    zero, and hides with it what a wrong backward does.

    Parameters
    ----------
    forward : callable
        ``out, cache = forward(**inputs)``, or several outputs before the cache: ``h, c, cache = ...``.
        An output may itself be a tuple of arrays.
    backward : callable
        ``backward(dout, cache)``, or ``backward(dh, dc, cache)``: one upstream gradient per output. It returns
        the inputs' gradients as a dict or named tuple with keys ``x`` or ``dx`` (others are ignored), as a
        tuple in the order of the floating inputs or of all inputs (None for those without), or as one array.
    inputs : dict of str to value
        float64 arrays are checked; integers, booleans, Python numbers and None are passed on as they are.
        Nothing is changed.
    title : str, optional
        First line of the report; the name of ``forward`` when not given.
    wrt : sequence of str, optional
        The inputs to check, when not all floating ones (a mask of 0.0 and 1.0, say).
    seed : int
        Draws the upstream gradient and the directions.
    **options
        ``method``, ``elementwise``, ``tolerance``, ``step`` and ``max_elements`` of `check_gradient_values`.

    Returns
    -------
    Report
        A gradient that is not there has a row too, "missing" or (of a blank that raises NotImplementedError)
        "not implemented".

    Raises
    ------
    TypeError
        An input or output of another floating type than float64, no output to differentiate at all; a function
        that a complex number cannot pass through.
    ValueError
        A gradient of another shape than its input; a function that changes its inputs; a
        backward that gives another answer the second time.

    Examples
    --------
    >>> import numpy as np
    >>> def forward(x, w):
    ...     y = np.tanh(x @ w)
    ...     return y, (x, w, y)
    >>> def backward(dy, cache):
    ...     x, w, y = cache
    ...     da = dy * (1 - y * y)
    ...     return {"x": da @ w.T, "w": x.T @ da}
    >>> rng = np.random.default_rng(0)
    >>> report = check_function(forward, backward, {"x": rng.normal(size=(5, 3)), "w": rng.normal(size=(3, 4))})
    >>> report.ok
    True
    """
    before, copies, names = open_inputs(inputs, wrt)
    rng = make_rng(seed, 4)     # [seed, 0] would be the stream of default_rng(seed), perhaps x's own
    try:
        result = forward(**copies)
    except NotImplementedError as error:
        upstream, gradients = None, dict.fromkeys(names, not_implemented(error))
    else:
        if not isinstance(result, tuple | list) or len(result) < 2:
            raise ValueError(f"forward: expected it to return (out, cache), got {type(result).__name__}; "
                             f"return a tuple whose last entry is what backward needs")
        *outputs, cache = result
        require_outputs(as_outputs(outputs))
        upstream = tuple(draw_upstream(output, rng) for output in outputs)
        gradients, again = (by_hand(lambda: backward(*upstream, cache), copies, names) for _ in range(2))
        require_unchanged(before, copies)
        _require_same(gradients, again)
    report = check_gradient_values(
        lambda **values: tuple(forward(**values)[:-1]), before, gradients, upstream=upstream, wrt=names,
        seed=seed, title=title or getattr(forward, "__name__", "function"), **options,
    )
    measured = [entry.name for entry in report.entries if entry.measured]
    if report.ok or not measured:
        return report

    def differentiate(nudged):
        *_, cache = forward(**nudged)
        return name_gradients(backward(*upstream, cache), nudged, measured)

    return blame_rounding(report, differentiate, before, rng)


def _require_same(gradients, again):
    """Refuse a backward that accumulates. A NaN is left to the report, which says where it is."""
    for name, gradient in gradients.items():
        absent = isinstance(gradient, Absent) or isinstance(again[name], Absent)
        if not absent and gradient_error(again[name], gradient) > 1e-9:
            raise ValueError(f"backward: expected the same gradient of {name!r} when called twice with one cache, "
                             f"got another; it must neither accumulate nor change its cache")


def check_gradient_values(
    function, inputs, gradients, *, upstream=None, title=None, wrt=None, seed=0, method="complex",
    elementwise=None, tolerance=None, step=None, max_elements=MAX_ELEMENTS, explain=None,
):
    """Check gradients that are already computed, of ``sum(upstream * function(**inputs))``.

    Parameters
    ----------
    function : callable
        ``function(**inputs)`` returns an array or a (nested) tuple of arrays, without a cache.
    inputs, title, wrt, seed
        As for `check_function`.
    gradients : dict, named tuple, tuple or ndarray
        The gradients to check, named or ordered as `check_function` describes.
    upstream : ndarray or tuple, optional
        The gradient with respect to the output that ``gradients`` were computed with; draw it at random. Not
        needed for a function that returns one number.
    method : {"complex", "central"}
        Complex step (needs code that accepts complex128) or central differences. Central differences along one
        direction stand beside the complex step in any case, and judge a tensor (at their tolerance) where they
        show that the function is not analytic; a note says which call is not.
    elementwise : bool, optional
        True: every element on its own. False: one random direction per tensor, followed by a search for the
        wrong element where that fails. By default True up to ``max_elements`` elements in all.
    tolerance : float, optional
        1e-10 for the complex step and 1e-6 for central differences when not given.
    step : float, optional
        1e-30 for the complex step when not given. Central differences start at 1e-5, times max(1, \\|x\\|);
        tensors that do not agree there are tried at 1e-4 and 1e-6 too, and the best counts.
    max_elements : int
        The largest number of elements that are moved one by one.
    explain : callable, optional
        ``explain(name, analytic, numeric, allowed)``: the hint on a wrong tensor, when
        `minibn.gradcheck.diagnose.diagnose` does not know enough about it.

    Returns
    -------
    Report
        A gradient that is not there has a row too, "missing" or "not implemented".
    """
    steps = steps_of(method, step)
    tolerance = TOLERANCES[method] if tolerance is None else float(tolerance)
    for name, value in (("tolerance", tolerance), ("step", min(steps))):
        if not value > 0:
            raise ValueError(f"{name}: expected a positive number, got {value}; leave it out for the default")
    rng = make_rng(seed, 1)
    before, copies, names = open_inputs(inputs, wrt)
    gradients = name_gradients(gradients, copies, names)
    there = {name: gradient for name, gradient in gradients.items() if not isinstance(gradient, Absent)}
    elements = sum(gradient.size for gradient in there.values())
    notes = []
    if elementwise is None:
        elementwise = elements <= max_elements
        if not elementwise:
            notes.append(f"{elements} elements are more than max_elements={max_elements}: one random direction "
                         f"per tensor instead of every element (elementwise=True checks them all)")
    constant = [name for name, value in before.items() if is_floating(value) and name not in names]
    if constant:
        notes.append(f"held constant: {', '.join(constant)}")
    entries = {name: Entry(name, copies[name].shape, math.nan, tolerance, None, math.nan, math.nan, *gradient)
               for name, gradient in gradients.items() if name not in there}
    evaluations = 0
    if there:
        upstream = match_upstream(upstream, as_outputs(function(**copies)))
        require_unchanged(before, copies)
        comparison = Comparison(function, before, upstream, there, method=method, steps=steps, tolerance=tolerance,
                                rng=rng, explain=explain or (lambda name, *found: hint_on(*found)))
        found = comparison.by_elements() if elementwise else comparison.by_directions(max_elements)
        entries.update({entry.name: entry for entry in found})
        evaluations = comparison.evaluations
        if comparison.overruled:
            kinks = {entry.name for entry in found if entry.hint.startswith(KINK)}
            reason = _not_analytic(function, before, at_kinks=kinks.issuperset(comparison.overruled))
            notes.append(f"{reason}; central differences judge {', '.join(comparison.overruled)}, to "
                         f"{CENTRAL_TOLERANCE:.0e}")
        if comparison.unsettled:
            notes.append(f"the complex step stands alone for {', '.join(comparison.unsettled)}: central differences at "
                         f"two step sizes do not agree with each other there, as where a batch norm meets nearly equal "
                         f"rows")
    kind = "complex step" if method == "complex" else "central differences"
    return Report(
        title=title or getattr(function, "__name__", "function"),
        method=f"{kind} (s = {', '.join(f'{step:.0e}' for step in steps)}), "
               f"{'element-wise' if elementwise else 'random directions'}, float64, tolerance {tolerance:.0e}, "
               f"seed {seed}",
        evaluations=evaluations,
        entries=tuple(entries[name] for name in names),
        notes=tuple(notes),
    )


def _not_analytic(function, inputs, at_kinks=False):
    """Why the complex step is wrong, in words."""
    calls = find_calls(function, inputs)
    if calls:
        return f"the function is not analytic, so that the complex step loses what flows through {', '.join(calls)}"
    if at_kinks:
        return "the function has a kink there, of which the complex step sees one side"
    return ("the function is not analytic here, and no call was seen that takes complex numbers and returns real ones "
            "(a kink? code outside NumPy?)")


def numerical_gradient(function, inputs, name, *, upstream=None, method="complex", step=None):
    """The gradient of ``sum(upstream * function(**inputs))`` with respect to one input, element by element.

    Where central differences show that the function is not analytic they take the place of the complex step, with a
    warning that names the call.

    Parameters
    ----------
    function : callable
        ``function(**inputs)`` returns an array or a tuple of arrays.
    inputs : dict of str to value
        Nothing is changed.
    name : str
        The input to move.
    upstream : ndarray, tuple of ndarray or None
        The gradient of a loss with respect to the output; None for a function that returns one number.
    method : {"complex", "central"}
    step : float, optional
        1e-30 for the complex step, 1e-5 for central differences when not given.

    Returns
    -------
    ndarray of float64, on the host, of the input's shape
    """
    step = steps_of(method, step)[0]
    inputs = copy_inputs(inputs)
    [name] = names_to_check(inputs, [name])
    upstream = match_upstream(upstream, as_outputs(function(**inputs)))
    gradient = Probe(function, inputs, upstream, method).gradient(name, step)
    if method == "central":
        return gradient
    arbiter = Arbiter(function, inputs, upstream)
    direction = draw_direction(gradient.shape, make_rng(0, 1))
    slope = float(np.sum(gradient * direction))
    if arbiter.verdict(name, slope, direction, largest=abs(slope)) != "overruled":
        return gradient
    warnings.warn(f"function: {_not_analytic(function, inputs)}; these are central differences", stacklevel=2)
    return arbiter.gradient(name, CENTRAL_STEPS[0])
