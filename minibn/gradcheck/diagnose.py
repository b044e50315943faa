"""From a wrong number to a likely reason: the usual faults leave a pattern."""

from dataclasses import replace

import numpy as np

from minibn.backend import array_module
from minibn.gradcheck.arbiter import KINK
from minibn.gradcheck.measure import largest_gradient
from minibn.gradcheck.numeric import is_floating

NUDGES = 4
WIDER = 10
"""A gradient that is known to ten times the tolerance at best is judged at that."""


def diagnose(analytic, numeric, allowed):
    """What kind of fault a wrong gradient looks like, in one clause: a pattern, or else the number of wrong elements.

    ``allowed`` is the largest absolute difference that counts as right.
    """
    wrong = ~(np.abs(analytic - numeric) <= allowed)  # NaN is wrong
    if np.isnan(analytic).any():
        return f"the analytic gradient holds {int(np.isnan(analytic).sum())} NaN"
    if np.isnan(numeric).any():
        return f"the function returned NaN when {int(np.isnan(numeric).sum())} of {numeric.size} elements moved"
    if not analytic.any():
        return "the analytic gradient is zero everywhere: is it never computed?"
    if all_close(-analytic, numeric, allowed):
        return "the opposite sign everywhere"
    if analytic.ndim == 2 and analytic.T.shape == analytic.shape and all_close(analytic.T, numeric, allowed):
        return "transposed"
    if wrong.sum() > 1:
        factor = float(np.sum(analytic * numeric) / np.sum(analytic * analytic))
        words = f"{factor:.8g}"
        if 1e-6 < abs(factor) < 1e6 and words not in ("1", "-1") and all_close(factor * analytic, numeric, allowed):
            return f"a constant factor: {words} times this would be right"
    return f"{int(wrong.sum())} of {wrong.size} elements are wrong"


def all_close(analytic, numeric, allowed):
    """Whether no element differs by more than is allowed."""
    return bool(np.all(np.abs(analytic - numeric) <= allowed))


def blame_rounding(report, differentiate, inputs, rng):
    """Say so where a gradient cannot be had to the tolerance in float64: its own rounding is as large as its error.

    Batch norm of (almost) equal rows is the usual case: their variance is zero, and each step multiplies their
    rounding errors by ``1 / sqrt(eps)``, some 300. Returns the report with another hint on the failed entries whose
    error the last digit of the inputs explains. ``differentiate`` takes inputs and returns the analytic gradients of
    what was measured, under the report's upstream gradient.
    """
    gradients = differentiate(inputs)
    moved = dict.fromkeys(gradients, 0.0)
    for _ in range(NUDGES):
        nudged = differentiate({name: _nudge(value, rng) for name, value in inputs.items()})
        for name, gradient in gradients.items():
            moved[name] = max(moved[name], largest_gradient([nudged[name] - gradient]))

    def explain(entry):
        settled = entry.ok or entry.hint.startswith(KINK)       # at a kink the last digit decides between its sides
        if settled or not 10 * moved.get(entry.name, 0) > abs(entry.analytic - entry.numeric):
            return entry
        reason = f"the inputs' last digit moves this gradient by {moved[entry.name]:.0e}"
        if entry.error <= WIDER * entry.tolerance:
            return replace(entry, tolerance=WIDER * entry.tolerance, hint=f"tolerance widened: {reason}")
        return replace(entry, hint=f"no verdict: {reason}")

    entries = tuple(map(explain, report.entries))
    notes = report.notes
    if any("no verdict" in entry.hint for entry in entries):
        notes += ("without a verdict are gradients that are all rounding, as where (almost) equal examples meet a "
                  "batch norm; choose inputs that differ more",)
    return replace(report, entries=entries, notes=notes)


def _nudge(value, rng):
    if not is_floating(value):
        return value
    signs = rng.choice([-1.0, 1.0], size=value.shape)
    return value * (1 + np.finfo(np.float64).eps * array_module(value).asarray(signs))
