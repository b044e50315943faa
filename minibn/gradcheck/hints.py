"""Hints on an array that is not what it should be: factors, blocks, shifts, places. Nothing is guessed.

A hint is said only where undoing it would make the array right.
"""

from itertools import permutations

import numpy as np

from minibn.gradcheck.diagnose import all_close, diagnose

GATES = "fiog"
FACTORS = {"-1": -1.0, "2": 2.0, "1/2": 0.5, "log 2": np.log(2), "1/log 2": 1 / np.log(2)}


def hint_on(found, right, allowed, sizes=None, gates=GATES):
    """What a wrong array looks like, in one clause.

    Parameters
    ----------
    found, right : ndarray of one shape
    allowed : float
        The largest absolute difference that counts as right.
    sizes : dict, optional
        Letter -> number: what the lengths of axes, and factors, are called: N examples, T steps, H units. Where they
        are not known, no factor is called by one of them, and no block by its gate.
    gates : str
        The letters of the blocks of a last axis of 4H.
    """
    sizes = sizes or {}
    return (_factor(found, right, sizes, allowed) or _blocks(found, right, sizes, allowed, gates)
            or _shift(found, right, sizes, allowed) or _place(found, right, sizes, allowed, gates)
            or diagnose(found, right, allowed))


def _factor(found, right, sizes, allowed):
    """A factor with a name: 2, 1/N, T."""
    if found.size < 2 or not found.any():
        return ""
    named = {**FACTORS, **{letter: float(size) for letter, size in sizes.items() if letter in "NTHK"},
             **{f"1/{letter}": 1 / size for letter, size in sizes.items() if letter in "NTHK"},
             **{f"{letter}-1": size - 1.0 for letter, size in sizes.items() if letter in "NT"}}
    for words, factor in named.items():
        if all_close(found, factor * right, allowed * max(abs(factor), 1)):
            return "the opposite sign everywhere" if words == "-1" else f"{words} times what it should be"
    return ""


def _blocks(found, right, sizes, allowed, gates):
    """The blocks of the gates in another order."""
    H = sizes.get("H")
    if not found.ndim or not H or found.shape[-1] != len(gates) * H:
        return ""
    blocks = found.reshape(*found.shape[:-1], len(gates), H)
    for order in permutations(range(len(gates))):
        if order != tuple(range(len(gates))) and all_close(blocks[..., order, :].reshape(found.shape), right, allowed):
            stand = "".join(gates[order.index(k)] for k in range(len(gates)))
            return f"the gate blocks stand in the order {', '.join(stand)}; the paper's is {', '.join(gates)}"
    return ""


def _shift(found, right, sizes, allowed):
    """The same numbers one step earlier or later along the first axis."""
    if found.ndim < 2 or len(found) < 3:
        return ""
    for words, a, b in (("early", found[:-1], right[1:]), ("late", found[1:], right[:-1])):
        if all_close(a, b, allowed):
            return f"one step too {words} along the first axis"
    if all_close(found[::-1], right, allowed):
        return "the first axis is reversed"
    return ""


def _place(found, right, sizes, allowed, gates):
    """The rows, columns or gate blocks outside of which all is right."""
    wrong = ~(np.abs(found - right) <= allowed)
    names, places, inside = {size: letter for letter, size in reversed(sizes.items())}, [], []
    words = {"N": "example", "T": "step", "H": "unit", "K": "class", "D": "feature"}
    for axis, size in enumerate(found.shape):
        hit = wrong.any(axis=tuple(k for k in range(found.ndim) if k != axis))
        label, shown = words.get(names.get(size), f"axis {axis} at"), [str(k) for k in np.flatnonzero(hit)]
        if axis == found.ndim - 1 and size == len(gates) * sizes.get("H", 0):
            by_gate = hit.reshape(len(gates), -1).any(axis=1)
            label, shown = "gate block", [gate for gate, bad in zip(gates, by_gate, strict=True) if bad]
            hit = np.repeat(by_gate, size // len(gates))
        inside.append(hit)
        if not hit.all():
            places.append(f"{label} {', '.join(shown[:6])}{', ...' * (len(shown) > 6)}")
    if not places or wrong.sum() == 1:      # of a single element the report says which
        return ""
    part = np.ix_(*inside)
    pattern = _factor(found[part], right[part], sizes, allowed) or diagnose(found[part], right[part], allowed)
    return f"wrong only at {' and '.join(places)}: there {pattern}"
