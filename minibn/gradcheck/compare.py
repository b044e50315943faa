"""One check: hand-written gradients on one side, a probe of the function on the other."""

from typing import NamedTuple

import numpy as np

from minibn.backend import to_host
from minibn.gradcheck.arbiter import CENTRAL_TOLERANCE, Arbiter
from minibn.gradcheck.measure import error_scale, gradient_error, largest_gradient
from minibn.gradcheck.numeric import CENTRAL_STEPS, Probe, draw_direction, step_scale
from minibn.gradcheck.report import Entry

SMALL = 256
"""A tensor that fails along its direction is looked at element by element up to this size, else searched by halves."""
SHORT_LIST = 16
"""The search by halves stops here and looks at every remaining element."""


class Way(NamedTuple):
    """How a tensor is measured. Of several steps the best counts: a right gradient agrees at some, a wrong at none."""

    probe: Probe
    steps: tuple
    tolerance: float


class Comparison:
    """The gradients of ``sum(upstream * function(**inputs))`` by hand, each beside its `Probe`.

    ``explain(name, analytic, numeric, allowed)`` names the fault of a tensor whose every element was measured. The
    `Arbiter` sorts names into ``overruled`` and ``unsettled``: those that central differences judge in the place of
    the complex step, and those for which it stands alone.
    """

    def __init__(self, function, inputs, upstream, gradients, *, method, steps, tolerance, rng, explain):
        self.gradients = gradients
        self.overruled, self.unsettled = [], []
        self._explain = explain
        self._directions = {name: draw_direction(g.shape, rng) * step_scale(to_host(inputs[name]))
                            for name, g in gradients.items()}
        self._own = Way(Probe(function, inputs, upstream, method), steps, tolerance)
        self._arbiter = Arbiter(function, inputs, upstream)
        self._central = Way(self._arbiter, CENTRAL_STEPS, max(CENTRAL_TOLERANCE, tolerance))

    @property
    def evaluations(self):
        """How often the function was called."""
        return self._own.probe.evaluations + self._arbiter.evaluations

    def by_elements(self):
        """Entries from moving every element of every tensor."""
        pairs = self._judge(self._all_elements)
        largest = largest_gradient(numeric for _, numeric in pairs.values())
        return [self._element_entry(name, *pair, largest) for name, pair in pairs.items()]

    def by_directions(self, max_elements):
        """Entries from one direction per tensor; a tensor that fails is searched for its worst element."""
        pairs = self._judge(self._one_direction)
        largest = largest_gradient(numeric for _, numeric in pairs.values())
        entries = [self._entry(name, gradient_error(*pair, largest), None, *pair, "direction")
                   for name, pair in pairs.items()]
        passed = largest_gradient(self.gradients[entry.name] for entry in entries if entry.ok)

        def look_closer(entry):
            if entry.ok:
                return entry
            if self.gradients[entry.name].size > min(SMALL, max_elements):
                return self._locate_by_halves(entry)
            pair = self._agree([entry.name], self._all_elements)[entry.name]
            return self._element_entry(entry.name, *pair, max(passed, largest_gradient([pair[1]])))

        return list(map(look_closer, entries))

    def _way(self, name):
        return self._central if name in self.overruled else self._own

    def _judge(self, measure):
        """The pair of each tensor, by central differences where they overrule the complex step."""
        pairs = self._agree(self.gradients, measure)
        if self._own.probe.method == "central":
            return pairs
        largest = largest_gradient(numeric for _, numeric in pairs.values())
        along = self._directions if measure == self._all_elements else dict.fromkeys(pairs, 1.0)
        slopes = {name: float(np.sum(numeric * along[name])) for name, (_, numeric) in pairs.items()}
        steepest = largest_gradient(slope for slope in slopes.values() if np.isfinite(slope))
        verdicts = {name: self._arbiter.verdict(name, slopes[name], self._directions[name], steepest,
                                                not gradient_error(*pair, largest) <= self._own.tolerance)
                    for name, pair in pairs.items()}
        self.overruled, self.unsettled = ([name for name in pairs if verdicts[name] == verdict]
                                          for verdict in ("overruled", "unsettled"))
        return pairs | self._agree(self.overruled, measure)

    def _agree(self, names, measure):
        """The (analytic, numeric) pair of each tensor at the first step where they agree, or else at the best."""
        pairs, errors, pending = {}, {}, list(names)
        way = self._way(next(iter(names), None))        # all are measured in one way
        for step in way.steps:
            tried = {name: measure(name, step) for name in pending}
            largest = largest_gradient(numeric for _, numeric in (pairs | tried).values())
            for name, pair in tried.items():
                error = gradient_error(*pair, largest)
                if name not in pairs or error < errors[name]:
                    pairs[name], errors[name] = pair, error
            pending = [name for name in pending if not errors[name] <= way.tolerance]
        return {name: pairs[name] for name in names}

    def _all_elements(self, name, step):
        return self.gradients[name], self._way(name).probe.gradient(name, step)

    def _one_direction(self, name, step, chosen=...):
        """The derivative along the tensor's direction, restricted to the chosen elements."""
        direction = np.zeros(self.gradients[name].shape)
        direction.reshape(-1)[chosen] = self._directions[name].reshape(-1)[chosen]
        numeric = np.float64(self._way(name).probe.along(name, direction, step))
        return np.sum(self.gradients[name] * direction), numeric

    def _locate_by_halves(self, entry):
        """Follow the half whose direction disagrees more: 2 log2(size) evaluations find one wrong element."""
        name, (probe, (step, *_), _) = entry.name, self._way(entry.name)

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
        hint = (self._arbiter.kink(name, index, analytic[worst])
                or "located by halving a direction; other elements may be wrong too")
        return self._entry(name, entry.error, index, analytic[worst], numeric[worst], "bisection", hint)

    def _element_entry(self, name, analytic, numeric, largest):
        if not analytic.size:
            return self._entry(name, 0.0, None, 0.0, 0.0, "element-wise")
        error = gradient_error(analytic, numeric, largest)
        index = np.unravel_index(int(np.argmax(np.abs(analytic - numeric))), analytic.shape)
        hint, tolerance = "", self._way(name).tolerance
        if not error <= tolerance:
            allowed = tolerance * error_scale(numeric, largest)
            others = int((~(np.abs(analytic - numeric) <= allowed)).sum()) - 1
            kink = self._arbiter.kink(name, index, analytic[index])
            hint = (kink and kink + f"; {others} more of {analytic.size} elements are wrong" * bool(others)
                    or self._explain(name, analytic, numeric, allowed))
        return self._entry(name, error, index, analytic[index], numeric[index], "element-wise", hint)

    def _entry(self, name, error, index, analytic, numeric, how, hint=""):
        index = None if index is None else tuple(int(i) for i in index)
        return Entry(name, self.gradients[name].shape, error, self._way(name).tolerance, index, float(analytic),
                     float(numeric), how, hint)
