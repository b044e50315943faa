"""Where a layer's wrong gradient is wrong: which steps, gates, examples; and which part of it is there.

Nothing here is guessed. A block is named where the wrong elements lie in it and nowhere else, an exchange where
undoing it would be right, a part of the sum where that part, measured on its own, is what came.
"""

from itertools import combinations

import numpy as np

from minibn.gradcheck.diagnose import all_close, diagnose

AXES = {"T": "time step", "N": "example", "D": "input feature", "H": "unit", "G": "gate block"}
EQUAL = 1e-8
"""How closely a part has to equal what came. It is measured along a random direction, so it can be no other part."""
SHOWN = 8
LONGEST = 64
"""The parts of longer sequences are not looked at one by one."""


def explain_with(layer, x):
    """The hint on a tensor of a layer, or of a model with it: ``explain(name, analytic, numeric, allowed)``."""
    leaves = layer.leaves() if hasattr(layer, "leaves") else [("", layer)]
    shapes = {prefix: Shapes(leaf, x) for prefix, leaf in leaves}

    def explain(name, *found):
        prefix, dot, own = name.removesuffix(" (per example)").removeprefix("cell.").rpartition(".")
        return shapes.get(prefix + dot, next(iter(shapes.values()))).explain(own, *found)

    return explain


class Shapes:
    """What the axes of a layer's tensors are: the hints on their elements."""

    def __init__(self, layer, x):
        declaration = getattr(layer, "declaration", None)
        self.gates = declaration.gates if declaration else ""
        self.parameters = declaration.parameters if declaration else {}
        T, N = x.shape[:2]
        self.counts = {N: "examples", T: "time steps", T * N: "examples times that of steps"}
        self.axes = {"x": "TND", **{name: self._axes_of(name) for name in layer.params}}
        self.states = layer.state_names

    def _axes_of(self, name):
        """A letter for each axis: D, G for all gates side by side, and H for units of any other number."""
        widths = self.parameters[name].shape.split() if name in self.parameters else ["H"]
        letters = {"D": "D", f"{len(self.gates)}H": "G"} if self.gates else {"D": "D"}
        return "".join(letters.get(width, "H") for width in widths)

    def explain(self, name, analytic, numeric, allowed):
        """The hint on a tensor; as `minibn.gradcheck.diagnose.diagnose` where there is no more to say."""
        axes = "NH" if name in self.states and analytic.ndim == 2 else self.axes.get(name, "")
        if len(axes) == analytic.ndim:
            hint = (self._exchanged(axes, analytic, numeric, allowed)
                    or self._in_one_place(axes, analytic, numeric, allowed))
            if hint:
                return hint
        hint = diagnose(analytic, numeric, allowed)
        for count, words in self.counts.items():
            if hint.startswith("a constant factor") and all_close(count * analytic, numeric, allowed):
                return f"{hint}, and {count} is the number of {words}"
        return hint

    def _exchanged(self, axes, analytic, numeric, allowed):
        """Two gate blocks that stand in each other's place."""
        if axes[-1:] != "G":
            return ""
        blocks = analytic.reshape(*analytic.shape[:-1], len(self.gates), -1)
        for j, k in combinations(range(len(self.gates)), 2):
            order = list(range(len(self.gates)))
            order[j], order[k] = k, j
            if all_close(blocks[..., order, :].reshape(analytic.shape), numeric, allowed):
                return (f"the gate blocks {self.gates[j]} and {self.gates[k]} are exchanged: swapped, this would be "
                        f"right")
        return ""

    def _in_one_place(self, axes, analytic, numeric, allowed):
        """The steps, gates, examples ... outside of which all is right, and the pattern inside."""
        wrong = ~(np.abs(analytic - numeric) <= allowed)
        places, inside = [], [np.ones(size, bool) for size in wrong.shape]
        for axis, letter in enumerate(axes):
            hit = wrong.any(axis=tuple(k for k in range(wrong.ndim) if k != axis))
            names, known = range(len(hit)), f"0 .. {len(hit) - 1}"
            if letter == "G":
                hit, names, known = hit.reshape(len(self.gates), -1).any(axis=1), self.gates, ", ".join(self.gates)
            if hit.all():
                continue
            chosen = [str(name) for name, is_hit in zip(names, hit, strict=True) if is_hit]
            shown = [*chosen[:SHOWN], "..."] if len(chosen) > SHOWN else chosen
            places.append(f"{AXES[letter]} {', '.join(shown)} (of {known})")
            inside[axis] = np.repeat(hit, analytic.shape[axis] // len(hit))
        if not places:
            return ""
        part = np.ix_(*inside)
        return f"wrong only at {', '.join(places)}: there {diagnose(analytic[part], numeric[part], allowed)}"


def parts_that_came(layer, x, names, rng, settings):
    """Which part of the sum a wrong gradient is: the loss of one step or example, a parameter's use at one step.

    A dict, name -> hint, of those of the named parameters whose gradient is such a part. The settings are what the
    layer's ``forward`` takes beside x.
    """
    if not names or len(x) > LONGEST or not isinstance(layer.params[names[0]], np.ndarray):
        return {}
    try:
        return {name: hint for name in names if (hint := _part_that_came(layer, x, settings, name, rng))}
    except Exception:       # a diagnosis must not fail where the check did not: the layer may take no complex numbers
        return {}


def _part_that_came(layer, x, settings, name, rng):
    h, cache = layer.forward(x, **settings)
    dh = rng.standard_normal(h.shape)
    direction = rng.standard_normal(layer.params[name].shape)
    came = float(np.sum(layer.backward(dh, cache)[1][name] * direction))
    losses = (dh * _slope(layer, x, settings, name, direction)).sum(axis=2)             # (T, N)
    above, below = (_moved(layer, name, sign * 1e-5 * direction).forward(x, **settings)[0] for sign in (1, -1))
    if not abs(np.sum(dh * (above - below)) / 2e-5 - losses.sum()) <= 1e-5 * np.abs(losses).max():
        return ""                                   # the complex step cannot be believed here
    uses = np.zeros(0)
    if name not in layer.state_names and getattr(layer, "input_statistics", "") == "step":
        uses = np.array([np.sum(dh * _slope(layer, x, settings, name, direction, t)) for t in range(len(x))])
    return (_part(came, losses.sum(axis=1), "the loss of time step")
            or _part(came, losses.sum(axis=0), "the loss of example")
            or _part(came, uses, f"the use of {name} at time step"))


def _part(came, shares, words):
    """A hint if what came is one of the shares, or all but one."""
    total, scale = shares.sum(), np.abs(shares).max(initial=0)
    if len(shares) < 2 or abs(came - total) <= EQUAL * scale:
        return ""
    for k, share in enumerate(shares):
        place = f"{words} {k} (of 0 .. {len(shares) - 1})"
        if abs(came - share) <= EQUAL * scale:
            return f"only {place} is in it"
        if abs(came - (total - share)) <= EQUAL * scale:
            return f"{place} is not in it"
    return ""


def _moved(layer, name, offset):
    """A copy of the layer with something added to one parameter."""
    moved = layer.map_params(lambda value: value)
    moved.params[name] = layer.params[name] + offset
    return moved


def _slope(layer, x, settings, name, direction, at=None, step=1e-30):
    """The slope of h where a parameter moves along a direction, at all time steps or at one of them.

    For one, the sequence is run in three pieces: every step has its own statistics, and starts from a given state.
    """
    plain = layer.map_params(lambda value: value.astype(complex))
    moved = _moved(plain, name, 1j * step * direction)
    x = x.astype(complex) if x.dtype.kind == "f" else x
    state = settings.get("initial_state")
    state = None if state is None else tuple(value.astype(complex) for value in state)
    pieces = [(moved, slice(0, None))] if at is None else [(plain, slice(0, at)), (moved, slice(at, at + 1)),
                                                           (plain, slice(at + 1, None))]
    found = []
    for runner, piece in pieces:
        if len(x[piece]):
            own = {**settings, "initial_state": state, "first_step": settings.get("first_step", 0) + piece.start}
            if "mask" in settings:
                own["mask"] = settings["mask"][piece]
            if "data" in settings:
                own["data"] = {key: values[piece] for key, values in settings["data"].items()}
            h, cache = runner.forward(x[piece], **own)
            state = cache.final_state
            found.append(h.imag / step)
    return np.concatenate(found)
