"""From numbers to the mistake: the rungs of the ladder, tried one after the other.

0  structure: did it run, did it return all that was asked for, in the right shapes?
1  right
2  line by line, from the student's own values (`minibn.labs.replay`)
3  one mistake of the table explains everything
4  several, each of which explains some of what is wrong and breaks nothing else
5  two at once, executed together
6  hints on where and how the numbers differ (`minibn.labs.unrecognised`)

It never guesses: a mistake is named where the library with that mistake gives the very numbers. Where several do, all
are named. Without one, what is wrong is shown.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from minibn.labs.answers import below, distance, leaves
from minibn.labs.replay import ROUNDING, Fault, replay, wrong

SINGLE = 3e-4           # what float32 arithmetic may move a number
APART = 100             # with so much slack, the next mistake has to be this much further away


@dataclass
class Finding:
    """What the ladder found out about one function.

    Attributes
    ----------
    verdict : {"right", "one", "several", "unrecognised", "format"}
    mistakes : list of tuple of Mistake
        Each with those that give the same numbers.
    faults : set of Fault
        What is wrong, of which draws.
    unexplained : set of Fault
        Those that no mistake explains.
    messages : list of str
        On structure, and hints.
    float32 : bool
        The numbers agree only as closely as float32 arithmetic does.
    """

    verdict: str
    mistakes: list = field(default_factory=list)
    faults: set = field(default_factory=set)
    unexplained: set = field(default_factory=set)
    messages: list = field(default_factory=list)
    float32: bool = False


class Judge:
    """Everything about one function under one seed; it serves a whole class.

    Parameters
    ----------
    source : Source
    mistakes : list of Mistake
    draws : list of Draw
    outputs : tuple of str
        What has to be returned.
    standard : tuple of Edit
        Of a variant: the edits that make the library's function the right one.
    """

    def __init__(self, source, mistakes, draws, outputs, standard=()):
        self.source, self.draws, self.outputs, self.standard = source, draws, outputs, tuple(standard)
        taken = {edit.line for edit in self.standard}
        self.mistakes = [row for row in mistakes if row.line not in taken]
        self.program = source.program(self.standard)
        function = source.function(self.standard)
        with np.errstate(all="ignore"):
            self.right = [leaves(function(**draw.arguments)) for draw in draws]
        self.largest = [max((np.abs(value[np.isfinite(value)]).max(initial=0)
                             for name in outputs for value in below(right, self.program.places[name]).values()),
                            default=0.0) for right in self.right]
        self._results = {}

    @cached_property
    def usual(self):
        """Of a variant, what the library itself returns: handing that in is no mistake of the table."""
        function = self.source.function()
        return [leaves(function(**draw.arguments)) for draw in self.draws]

    def program_with(self, *mistakes):
        """The library's function with these mistakes; None where two on one line do not go together."""
        edits = tuple(row.edit for row in mistakes)
        apart = all(a.apart(b) for a, b in combinations(edits, 2))
        try:
            return self.source.program((*self.standard, *edits)) if apart else None
        except SyntaxError:     # what is left of the line is no line
            return None

    def result_with(self, mistake):
        """What the library's function returns with this mistake."""
        if mistake not in self._results:
            function = self.source.function((*self.standard, mistake.edit))
            self._results[mistake] = [_result(function, draw) for draw in self.draws]
        return self._results[mistake]

    def distances(self, answers, *mistakes, judged=None, marks=None):
        """How far the student's quantities are from the library's with these mistakes."""
        return replay(self.program_with(*mistakes), self.draws, answers, self.largest, judged, marks)

    def judge(self, answers):
        """The `Finding` for the student's arrays, one dict for each draw.

        An answer that lacks an output, or has it in another shape, is of another form; everything else is compared.
        """
        messages = self._structure(answers)
        if messages:
            return self._of_form(answers, messages)
        base = self.distances(answers)
        given = any(getattr(answer, "given", ()) for answer in answers)
        if self._apart(answers, self.right) <= ROUNDING and not (given and wrong(base)):
            found = self._explain(answers, base, ROUNDING)      # of what was returned beside the outputs
            return Finding("right", found.mistakes if found and found.verdict == "one" else [])
        for tolerance in (ROUNDING, SINGLE):
            found = self._explain(answers, base, tolerance)
            if found:
                found.float32 = tolerance > ROUNDING
                return found
        faults = wrong(base)
        return Finding("unrecognised", faults=faults, unexplained=faults)

    # Rung 0

    def _structure(self, answers):
        """(output, sentence) for each output that is missing or of another shape."""
        found = {}
        for draw, answer, right in zip(self.draws, answers, self.right, strict=True):
            for name in self.outputs:
                place = self.program.places[name]
                for key, value in below(right, place).items():
                    got = below(answer, place).get(key)
                    called = name if not key or name == "result" else f"{name}[{key}]"
                    called = f"result {key}".strip() if name == "result" else called
                    if got is None:
                        found.setdefault((name, f"{called} is missing: it was not returned, or is None"), None)
                    elif value.shape not in ((), got.shape):
                        found.setdefault((name, f"{called}: {_shape_words(got, value, draw.sizes)}"), None)
                    elif not np.isfinite(got).all() and np.isfinite(value).all():
                        cells = int((~np.isfinite(got)).sum())
                        found.setdefault((name, f"{called}: {cells} of {got.size} numbers are not finite"), None)
        if not found and self._nothing(answers):
            return [(name, f"{name} is zero everywhere: is it never computed?") for name in self.outputs]
        first = {}
        for name, words in found:
            first.setdefault(name, words)
        return list(first.items())

    def _nothing(self, answers):
        """Whether everything that was asked for is zero in all draws."""
        values = [value for answer in answers for name in self.outputs
                  for value in below(answer, self.program.places[name]).values()]
        return not any(value.any() for value in values)

    def _of_form(self, answers, messages):
        """Of an answer of another form: a mistake of the table, if the library with it has this very form."""
        if not self._nothing(answers):
            exact = tuple(row for row in self.mistakes if self._apart(answers, self.result_with(row)) <= ROUNDING)
            if exact:
                return Finding("one", [exact], {Fault(k, name) for k in range(len(answers)) for name, _ in messages})
        return Finding("format", messages=messages, faults={Fault(0, name) for name, _ in messages})

    def _apart(self, answers, results):
        """The largest distance of the outputs from those of other results."""
        apart = 0.0
        for answer, result, largest in zip(answers, results, self.largest, strict=True):
            for place in map(self.program.places.get, self.outputs):
                got, wanted = below(answer, place), below(result, place)
                if not wanted or any(key not in got or wanted[key].shape not in ((), got[key].shape) for key in wanted):
                    return np.inf
                apart = max(apart, *(distance(got[key], wanted[key], largest) for key in wanted))
        return apart

    # Rungs 1 to 5

    def _explain(self, answers, base, tolerance):
        """A `Finding` if mistakes of the table explain all that is wrong; None if they do not."""
        faults = wrong(base, tolerance)
        if not faults:
            return Finding("right")
        marks = {row: {} for row in (None, *self.mistakes)}
        self.distances(answers, judged=base, marks=marks[None])
        distances = {row: self.distances(answers, row, judged=base, marks=marks[row]) for row in self.mistakes}
        nearest = {row: max(found.values()) for row, found in distances.items()}
        left = {row: wrong(found, tolerance) for row, found in distances.items()}       # what stays wrong with it
        exact = [row for row in self.mistakes if not left[row]]
        if tolerance > ROUNDING and exact:      # within the slack of float32: only what is far closer than all else
            best = min(nearest[row] for row in exact)
            others = [error for row, error in nearest.items() if row not in exact] + [max(base.values())]
            exact = exact if min(others) > APART * best else []
        if exact:
            return Finding("one", [tuple(exact)], faults)
        if not wrong(base, SINGLE):     # within float32 rounding, and no mistake is so small
            return None
        moved = {row: {fault.name for fault in faults if marks[row].get(fault) != marks[None].get(fault)}
                 for row in self.mistakes}      # the names that a mistake changes in some draw
        several = self._several(answers, base, left, tolerance)
        if several and len(several.mistakes) <= 2:
            return several
        return self._pair(answers, base, left, moved, tolerance) or several

    def _several(self, answers, base, left, tolerance):
        """The fewest mistakes that together explain everything, each of which breaks nothing."""
        faults = wrong(base, tolerance)
        groups = {}     # what is explained -> the mistakes that explain just that
        for row, stays in left.items():
            if stays < faults:
                groups.setdefault(frozenset(faults - stays), []).append(row)
        chosen, missing = [], set(faults)
        while missing and groups:
            some = max(groups, key=lambda some: len(some & missing))
            if not some & missing:
                return None
            chosen.append(some)
            missing -= some
        if not chosen:
            return None
        together = [groups[some][0] for some in chosen]
        if self.program_with(*together) and wrong(self.distances(answers, *together, judged=base), tolerance):
            return None
        return Finding("several", [tuple(groups[some]) for some in chosen], faults)

    def _pair(self, answers, base, left, moved, tolerance):
        """Two mistakes executed together: tried on the first draw that is wrong, and then on all.

        Only pairs that can be it: each of them moves something that is wrong, and explains what it alone moves.
        """
        faults = wrong(base, tolerance)
        first = min(fault.draw for fault in faults)
        judged = {Fault(0, fault.name) for fault in base if fault.draw == first}
        names, hits = {fault.name for fault in faults}, []
        stays = {row: {fault.name for fault in left[row]} for row in self.mistakes}
        for a, b in combinations([row for row in self.mistakes if moved[row]], 2):
            if names - moved[a] - moved[b] or stays[a] & moved[a] - moved[b] or stays[b] & moved[b] - moved[a]:
                continue
            program = self.program_with(a, b)
            if program and not wrong(replay(program, [self.draws[first]], [answers[first]], [self.largest[first]],
                                            judged), tolerance):
                if not wrong(self.distances(answers, a, b, judged=base), tolerance):
                    hits.append((a, b))
        if not hits:
            return None
        return Finding("several", [tuple(dict.fromkeys(pair[k] for pair in hits)) for k in (0, 1)], faults)


def _result(function, draw):
    """The arrays that a function returns; none where it fails."""
    try:
        with np.errstate(all="ignore"):
            return leaves(function(**draw.arguments))
    except Exception:
        return {}


def _shape_words(got, right, sizes):
    """In words, how a shape differs from the right one."""
    letters = {size: letter for letter, size in reversed(sizes.items())}
    expected = f"expected {_shape(right.shape, letters)}, got {_shape(got.shape, {})}"
    if got.ndim == right.ndim + 1 and got.shape[1:] == right.shape:
        name = letters.get(got.shape[0], "")
        return f"{expected}; {'it was not summed over the batch' if name == 'N' else 'a sum over an axis is missing'}"
    if got.shape == right.shape[::-1]:
        return f"{expected}; it is transposed"
    return expected


def _shape(shape, letters):
    numbers = ", ".join(str(size) for size in shape) + "," * (len(shape) == 1)
    return f"({numbers})"
