"""One pass forward and one back, and every quantity of the equations on the way, with its gradient."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from minibn.backend import to_host
from minibn.equations.quantities import Quantity


class Traced(NamedTuple):
    """A quantity, its value and the gradient of the loss with respect to it.

    In a trace value and gradient are stacked over time, in a step they are that step's.
    """

    name: str           # in the code
    latex: str
    equation: str       # number in the paper; empty for what the paper leaves to the reader (masking)
    axes: str           # of one time step: N examples, D features, H units, 4H for four gates, 1 for a statistic
    value: np.ndarray
    gradient: np.ndarray | None     # None for integer input
    gates: str = ""     # the letters of the blocks that stand side by side in it; none in most

    @property
    def shape(self):
        """The shape of the value."""
        return self.value.shape


class Watcher:
    """Keeps what a backward computes of each single recurrence: gradients by step, by what the names begin with."""

    def __init__(self):
        self.steps, self.states, self.inputs = defaultdict(dict), defaultdict(dict), defaultdict(dict)

    def observe(self, *seen):
        *names, t, gradients, dstate = seen
        prefix = "".join(f"{name}." for name in names)
        self.steps[prefix][t], self.states[prefix][t] = gradients, dstate

    def observe_input(self, *seen):
        *names, t, gradients = seen
        self.inputs["".join(f"{name}." for name in names)][t] = gradients

    def quantities(self, cache):
        """Name -> Traced of all single recurrences in a cache."""
        found = {}
        for prefix, leaf in cache.leaves():
            declared = leaf.layer.declaration.gates
            seen = [[by_t[prefix][t] for t in range(len(by_t[prefix]))]
                    for by_t in (self.steps, self.states, self.inputs)]
            for name, row in table(leaf).items():
                value, gradient = (np.stack([to_host(array) for array in arrays_of])
                                   for arrays_of in (arrays(name, leaf), _pick(name, leaf, *seen)))
                if name in ("x_linear", "x_hat"):   # per sequence they are one array for all steps and examples
                    value, gradient = (array.reshape(leaf.inputs.x_linear.shape) for array in (value, gradient))
                gates = declared if declared and row.axes.endswith(f" {len(declared)}H") else ""
                found[prefix + name] = Traced(prefix + name, *row, value, gradient, gates)
        return found


def record(cell, x, dh, **settings):
    """Run the layer's own forward and backward: quantities, the cache, and dx and grads as backward returned them.

    The quantities are a dict, name -> Traced, stacked over time, in the order of the forward pass, on the host. Those
    of a layer in a layer have its name in front, ``1.forward.f_tilde``.
    """
    _, cache = cell.forward(x, **settings)
    watcher = Watcher()
    dx, grads = cell.backward(dh, cache, observe=watcher.observe, observe_input=watcher.observe_input)
    _, first = next(iter(cell.leaves()))
    axes, equation = "N D" if cache.x.ndim == 3 else "N", first.quantities["x_term"].equation
    quantities = {"x": Traced("x", "x_t", equation, axes, to_host(cache.x), to_host(dx))}
    return quantities | watcher.quantities(cache), cache, dx, grads


def table(leaf):
    """The rows to show for the cache of one recurrence: what its cell declares.

    With a mask, also the states that are carried on: the new ones where an example is live.
    """
    rows = dict(leaf.layer.quantities)
    if leaf.mask is not None:
        rows |= {f"{name}_carried": Quantity(rf"m_t \, {name}_t + (1 - m_t) \, {name}_{{t-1}}", "", f"N {width}")
                 for name, width in leaf.layer.declaration.states.items()}
    return rows


def arrays(name, leaf):
    """The very arrays that a layer's cache holds for a quantity: one for each step, or one for all of them."""
    return _pick(name, leaf, leaf.sequence.steps, leaf.sequence.states, leaf.inputs.x_bn)


def _pick(name, leaf, steps, states, inputs):
    """A quantity out of what there is at each step, values or gradients: in the records, the states, the input's BN."""
    if name.endswith("_carried"):
        place = leaf.sequence.names.index(name.removesuffix("_carried"))
        return [state[place] for state in states]
    if name.startswith("x_") and name != "x_term":
        return [getattr(bn, "a" if name == "x_linear" else name.removeprefix("x_")) for bn in inputs]
    return [getattr(step, name) for step in steps]
