"""One check: hand-written gradients on one side, a probe of the function on the other."""

from typing import NamedTuple

import numpy as np

from minibn.backend import to_host
from minibn.gradcheck.arbiter import CENTRAL_TOLERANCE, Arbiter, kink_at
from minibn.gradcheck.diagnose import describe_kink
from minibn.gradcheck.measure import error_scale, gradient_error, largest_gradient
from minibn.gradcheck.numeric import CENTRAL_STEPS, Probe, draw_direction, step_scale
from minibn.gradcheck.report import Entry

SMALL = 256
"""A tensor that fails along its direction is looked at element by element up to this size, else searched by halves."""
SHORT_LIST = 16
"""The search by halves stops here and looks at every remaining element."""


class Way(NamedTuple):
    """How a tensor is measured.

    The steps are tried in order for the tensors that do not agree; the best counts. A right gradient agrees at
    some step, a wrong one at none.
    """

    probe: Probe
    steps: tuple
    tolerance: float


class Comparison:
    """The gradients of ``sum(upstream * function(**inputs))``, tensor by tensor.

    Parameters
    ----------
    function, inputs, upstream, method
        As for `Probe`.
    gradients : dict of str to ndarray
        The analytic gradients of the inputs to check, float arrays on the host.
    steps : tuple of float
    tolerance : float
    rng : numpy.random.Generator
        Draws one direction per tensor.
    explain : callable
        ``explain(name, analytic, numeric, allowed)`` names the fault of a tensor whose every element was measured.

    Attributes
    ----------
    overruled, unsettled : list of str
        Of the `Arbiter`: the tensors that central differences judge in the place of the complex step, and those
        for which it stands alone.
    """

    def __init__(self, function, inputs, upstream, gradients, *, method, steps, tolerance, rng, explain):
        self.gradients = gradients
        self._explain = explain
        self._directions = {name: draw_direction(g.shape, rng) * step_scale(to_host(inputs[name]))
                            for name, g in gradients.items()}
        self._ways = dict.fromkeys(gradients, Way(Probe(function, inputs, upstream, method), steps, tolerance))
        self._arbiter = Arbiter(function, inputs, upstream)
        self.overruled, self.unsettled = self._arbiter.overruled, self._arbiter.unsettled
        self._by_complex_step = method == "complex"

    @property
    def evaluations(self):
        """How often the function was called."""
        probes = {id(probe): probe for probe in (self._arbiter.probe, *(way.probe for way in self._ways.values()))}
        return sum(probe.evaluations for probe in probes.values())

    def by_elements(self):
        """Entries from moving every element of every tensor."""
        pairs = self._judge(self._all_elements)
        largest = largest_gradient(numeric for _, numeric in pairs.values())
        return [self._element_entry(name, *pair, largest) for name, pair in pairs.items()]

    def by_directions(self, max_elements):
        """Entries from one direction per tensor; a tensor that fails is searched for its worst element."""
        pairs = self._judge(self._one_direction)
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

    def _judge(self, measure):
        """The pair of each tensor, by central differences where they overrule the complex step."""
        pairs = self._agree(self.gradients, measure)
        if self._by_complex_step:
            largest = largest_gradient(numeric for _, numeric in pairs.values())
            doubted = [name for name, pair in pairs.items()
                       if not gradient_error(*pair, largest) <= self._ways[name].tolerance]
            along = self._directions if measure == self._all_elements else dict.fromkeys(pairs, 1.0)
            slopes = {name: float(np.sum(numeric * along[name])) for name, (_, numeric) in pairs.items()}
            self._arbiter.judge(slopes, self._directions, doubted)
            for name in self.overruled:
                tolerance = max(CENTRAL_TOLERANCE, self._ways[name].tolerance)
                self._ways[name] = Way(self._arbiter.probe, CENTRAL_STEPS, tolerance)
            pairs |= self._agree(self.overruled, measure)
        return pairs

    def _agree(self, names, measure):
        """The (analytic, numeric) pair of each tensor at the first step where they agree, or else at the best."""
        pairs, errors = {}, {}
        pending = list(names)
        for attempt in range(max((len(self._ways[name].steps) for name in pending), default=0)):
            pending = [name for name in pending if attempt < len(self._ways[name].steps)]
            tried = {name: measure(name, self._ways[name].steps[attempt]) for name in pending}
            largest = largest_gradient(numeric for _, numeric in (pairs | tried).values())
            for name, pair in tried.items():
                error = gradient_error(*pair, largest)
                if name not in pairs or error < errors[name]:
                    pairs[name], errors[name] = pair, error
            pending = [name for name in pending if not errors[name] <= self._ways[name].tolerance]
        return {name: pairs[name] for name in names}

    def _all_elements(self, name, step):
        return self.gradients[name], self._ways[name].probe.gradient(name, step)

    def _one_direction(self, name, step, chosen=...):
        """The derivative along the tensor's direction, restricted to the chosen elements."""
        direction = np.zeros(self.gradients[name].shape)
        direction.reshape(-1)[chosen] = self._directions[name].reshape(-1)[chosen]
        numeric = np.float64(self._ways[name].probe.along(name, direction, step))
        return np.sum(self.gradients[name] * direction), numeric

    def _redo_by_elements(self, name, largest):
        pair = self._agree([name], self._all_elements)[name]
        return self._element_entry(name, *pair, max(largest, largest_gradient([pair[1]])))

    def _locate_by_halves(self, name, entry):
        """Follow the half whose direction disagrees more: 2 log2(size) evaluations find one wrong element."""
        probe, (step, *_), _ = self._ways[name]

        def disagreement(chosen):
            analytic, numeric = self._one_direction(name, step, chosen)
            return np.nan_to_num(abs(analytic - numeric), nan=np.inf)

        chosen = np.arange(self.gradients[name].size)
        while chosen.size > SHORT_LIST:
            chosen = max(np.array_split(chosen, 2), key=disagreement)
        analytic = self.gradients[name].reshape(-1)[chosen]
        numeric = np.array([probe.element(name, index, step) for index in chosen])
        worst = int(np.argmax(np.abs(analytic - numeric)))
        index = np.unravel_index(chosen[worst], entry.shape)
        hint = self._kink(name, index) or "located by halving a direction; other elements may be wrong too"
        return self._entry(name, entry.error, index, analytic[worst], numeric[worst], "bisection", hint)

    def _element_entry(self, name, analytic, numeric, largest):
        if not analytic.size:
            return self._entry(name, 0.0, None, 0.0, 0.0, "element-wise")
        error = gradient_error(analytic, numeric, largest)
        index = np.unravel_index(int(np.argmax(np.abs(analytic - numeric))), analytic.shape)
        hint, tolerance = "", self._ways[name].tolerance
        if not error <= tolerance:
            allowed = tolerance * error_scale(numeric, largest)
            others = int((~(np.abs(analytic - numeric) <= allowed)).sum()) - 1
            kink = self._kink(name, index)
            hint = (kink and kink + f"; {others} more of {analytic.size} elements are wrong" * bool(others)
                    or self._explain(name, analytic, numeric, allowed))
        return self._entry(name, error, index, analytic[index], numeric[index], "element-wise", hint)

    def _kink(self, name, index):
        """The hint on an element where the function has a kink; empty where it has none."""
        flat_index = np.ravel_multi_index(index, self.gradients[name].shape)
        return describe_kink(index, kink_at(self._arbiter.probe, name, flat_index, self.gradients[name][index]))

    def _entry(self, name, error, index, analytic, numeric, how, hint=""):
        index = None if index is None else tuple(int(i) for i in index)
        return Entry(name, self.gradients[name].shape, error, self._ways[name].tolerance, index, float(analytic),
                     float(numeric), how, hint)
