"""One check: hand-written gradients on one side, a probe of the function on the other."""

import numpy as np

from minibn.backend import to_host
from minibn.gradcheck.diagnose import diagnose
from minibn.gradcheck.measure import error_scale, gradient_error, largest_gradient
from minibn.gradcheck.numeric import CENTRAL_STEPS, Probe, draw_direction, step_scale
from minibn.gradcheck.report import Entry

SMALL = 256
"""A tensor that fails along its direction is looked at element by element up to this size, else searched by halves."""
SHORT_LIST = 16
"""The search by halves stops here and looks at every remaining element."""


class Comparison:
    """The gradients of ``sum(upstream * function(**inputs))``, tensor by tensor.

    Parameters
    ----------
    function, inputs, upstream, method
        As for `Probe`.
    gradients : dict of str to ndarray
        The analytic gradients of the inputs to check, float arrays on the host.
    steps : tuple of float
        Tried in order for the tensors that do not agree; the best counts. A right gradient agrees at some
        step, a wrong one at none.
    tolerance : float
    rng : numpy.random.Generator
        Draws one direction per tensor.
    """

    def __init__(self, function, inputs, upstream, gradients, *, method, steps, tolerance, rng):
        self.probe = Probe(function, inputs, upstream, method)
        self.gradients = gradients
        self.steps = steps
        self.tolerance = tolerance
        self._blame = (function, inputs, upstream)
        self._directions = {name: draw_direction(g.shape, rng) for name, g in gradients.items()}

    def by_elements(self):
        """Entries from moving every element of every tensor."""
        pairs = self._agree(self.gradients, self._all_elements)
        largest = largest_gradient(numeric for _, numeric in pairs.values())
        return [self._element_entry(name, *pair, largest) for name, pair in pairs.items()]

    def by_directions(self, max_elements):
        """Entries from one direction per tensor; a tensor that fails is searched for its worst element."""
        pairs = self._agree(self.gradients, self._one_direction)
        largest = largest_gradient(numeric for _, numeric in pairs.values())
        entries = {}
        for name, (analytic, numeric) in pairs.items():
            error = gradient_error(analytic, numeric, largest)
            entries[name] = self._entry(name, error, None, analytic, numeric, "direction")
        passed = [self.gradients[name] for name, entry in entries.items() if entry.ok]
        for name, entry in entries.items():
            if not entry.ok and self.gradients[name].size <= min(SMALL, max_elements):
                entries[name] = self._redo_by_elements(name, largest_gradient(passed))
            elif not entry.ok:
                entries[name] = self._locate_by_halves(name, entry)
        return list(entries.values())

    def _agree(self, names, measure):
        """The (analytic, numeric) pair of each tensor at the first step where they agree, or else at the best."""
        pairs, errors = {}, {}
        pending = list(names)
        for step in self.steps:
            tried = {name: measure(name, step) for name in pending}
            largest = largest_gradient(numeric for _, numeric in (pairs | tried).values())
            for name, pair in tried.items():
                error = gradient_error(*pair, largest)
                if name not in pairs or error < errors[name]:
                    pairs[name], errors[name] = pair, error
            pending = [name for name in pending if not errors[name] <= self.tolerance]
        return {name: pairs[name] for name in names}

    def _all_elements(self, name, step):
        return self.gradients[name], self.probe.gradient(name, step)

    def _one_direction(self, name, step, chosen=...):
        """The derivative along the tensor's direction, restricted to the chosen elements."""
        direction = np.zeros(self.gradients[name].shape)
        direction.reshape(-1)[chosen] = self._directions[name].reshape(-1)[chosen]
        if self.probe.method == "central":
            direction = direction * step_scale(to_host(self.probe.inputs[name]))
        return np.sum(self.gradients[name] * direction), np.float64(self.probe.along(name, direction, step))

    def _redo_by_elements(self, name, largest):
        pair = self._agree([name], self._all_elements)[name]
        return self._element_entry(name, *pair, max(largest, largest_gradient([pair[1]])))

    def _locate_by_halves(self, name, entry):
        """Follow the half whose direction disagrees more: 2 log2(size) evaluations find one wrong element."""

        def disagreement(chosen):
            analytic, numeric = self._one_direction(name, self.steps[0], chosen)
            return np.nan_to_num(abs(analytic - numeric), nan=np.inf)

        chosen = np.arange(self.gradients[name].size)
        while chosen.size > SHORT_LIST:
            chosen = max(np.array_split(chosen, 2), key=disagreement)
        analytic = self.gradients[name].reshape(-1)[chosen]
        numeric = np.array([self.probe.element(name, index, self.steps[0]) for index in chosen])
        worst = int(np.argmax(np.abs(analytic - numeric)))
        index = np.unravel_index(chosen[worst], entry.shape)
        hint = (self._blame_the_complex_step(name, index, analytic[worst], numeric[worst])
                or "located by halving a direction; other elements may be wrong too")
        return self._entry(name, entry.error, index, analytic[worst], numeric[worst], "bisection", hint)

    def _element_entry(self, name, analytic, numeric, largest):
        if not analytic.size:
            return self._entry(name, 0.0, None, 0.0, 0.0, "element-wise")
        error = gradient_error(analytic, numeric, largest)
        index = np.unravel_index(int(np.argmax(np.abs(analytic - numeric))), analytic.shape)
        hint = ""
        if not error <= self.tolerance:
            hint = self._blame_the_complex_step(name, index, analytic[index], numeric[index])
            hint = hint or diagnose(analytic, numeric, self.tolerance * error_scale(numeric, largest))
        return self._entry(name, error, index, analytic[index], numeric[index], "element-wise", hint)

    def _blame_the_complex_step(self, name, index, analytic, numeric):
        """Central differences beside an unexpected complex step: do they side with the analytic gradient?"""
        if self.probe.method != "complex":
            return ""
        central = Probe(*self._blame, "central")
        flat_index = np.ravel_multi_index(index, self.gradients[name].shape)
        nearest = min(abs(central.element(name, flat_index, step) - analytic) for step in CENTRAL_STEPS)
        self.probe.evaluations += central.evaluations
        if not nearest < 0.01 * abs(numeric - analytic):
            return ""
        return ("central differences agree with the analytic gradient here: the forward function is not "
                "analytic (abs, np.var, np.linalg.norm, .real, conj?); rewrite it or pass method='central'")

    def _entry(self, name, error, index, analytic, numeric, how, hint=""):
        index = None if index is None else tuple(int(i) for i in index)
        shape = self.gradients[name].shape
        return Entry(name, shape, error, self.tolerance, index, float(analytic), float(numeric), how, hint)

