"""A student's numbers held against a program of the library, line by line.

The library's lines are executed with the student's own values: where a student returns a quantity, it is compared with
what the line makes of everything before it, and then the lines below go on with the student's value. So a line is
wrong only if it disagrees given its inputs, and any number of mistakes is found at once. What a student does not
return is computed, and shows in the next quantity that is there.
"""

from typing import NamedTuple

import numpy as np

from minibn.labs.answers import below, distance, leaves, rebuilt

ROUNDING = 1e-9


class Fault(NamedTuple):
    """A quantity that is not what its line makes of the student's own values before it."""

    draw: int
    name: str


def replay(program, draws, answers, largest, judged=None, marks=None):
    """The distance of every quantity that the student returned, as `Fault` -> distance.

    Parameters
    ----------
    program : Program
        The library's function, with a mistake or without.
    draws : list of Draw
    answers : list of dict
        For each draw, the student's arrays by path.
    largest : list of float
        For each draw, the largest number of a right result.
    judged : container of Fault, optional
        The quantities to compare. By default those that have the form of the program's: a student may use a name for
        something else.
    marks : dict, optional
        Gets a number for each quantity that changes with any element of what the program makes of it.

    Returns
    -------
    dict
        `inf` where a line cannot be executed with the student's values.
    """
    found = {}
    for number, (draw, answer) in enumerate(zip(draws, answers, strict=True)):

        def exchange(name, value, number=number, answer=answer):
            path, fault = program.places.get(name), Fault(number, name)
            own = {} if path is None else below(answer, path)
            if name in getattr(answer, "given", ()):
                return rebuilt(value, own) if own else value
            if not own or judged is not None and fault not in judged:
                return value
            right = leaves(value)
            if own.keys() != right.keys() or any(right[key].shape not in ((), own[key].shape) for key in right):
                if judged is not None or program.whole is not None:
                    found[fault] = np.inf
                return value
            found[fault] = max((distance(own[key], right[key], largest[number]) for key in right), default=0.0)
            if marks is not None:
                marks[fault] = sum(float(leaf.ravel() @ np.sqrt(np.arange(1.0, leaf.size + 1)))
                                   for leaf in right.values())
            return rebuilt(value, own)

        try:
            with np.errstate(all="ignore"):
                program.run(draw.arguments, exchange)
        except Exception:       # the lines below meet numbers that they were not made for
            found[Fault(number, "")] = np.inf
    for fault in set(judged or ()) - found.keys():      # a program without it says nothing of it
        found[fault] = np.inf
    return found


def wrong(distances, tolerance=ROUNDING):
    """The faults among them."""
    return {fault for fault, error in distances.items() if not error <= tolerance}
