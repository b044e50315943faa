"""Rung 6: where and how numbers differ that no mistake of the table explains."""

import numpy as np

from minibn.gradcheck.hints import hint_on
from minibn.labs.answers import below, distance
from minibn.labs.replay import ROUNDING

__all__ = ["hints"]

INPUTS = {"masked": "a mask", "given": "given statistics or a time axis"}


def hints(judge, answers):
    """Where and how the outputs differ: a list of sentences."""
    found = []
    for name in judge.outputs:
        place = judge.program.places[name]
        wrong = _wrong(judge, answers, place)
        if wrong:
            number, key = next(iter(wrong.items()))
            value = below(judge.right[number], place)[key]
            allowed = ROUNDING * max(np.abs(value).max(initial=0), 1e-3 * judge.largest[number])
            hint = hint_on(below(answers[number], place)[key], value, allowed, judge.draws[number].sizes)
            found.append(f"{name if name != 'result' else 'the result'}: {hint}{_only_on(judge, wrong)}")
    return found


def _wrong(judge, answers, place):
    """The draws that are wrong at a place of the result: number -> path of the first array that is."""
    found = {}
    for number, (answer, right) in enumerate(zip(answers, judge.right, strict=True)):
        for key, value in below(right, place).items():
            if not distance(below(answer, place)[key], value, judge.largest[number]) <= ROUNDING:
                found.setdefault(number, key)
    return found


def _only_on(judge, wrong):
    """In words, the kinds of input that show it, if plain ones do not."""
    kinds = dict.fromkeys(judge.draws[number].kind for number in wrong)
    return "" if "plain" in kinds else f"; only on inputs with {' and '.join(INPUTS[kind] for kind in kinds)}"
