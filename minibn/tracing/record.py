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


def record(cell, x, dh, **settings):
    """Run the layer's own forward and backward.

    Returns
    -------
    quantities : dict
        Name -> Traced, stacked over time, in the order of the forward pass, on the host. Those of a layer in a
        layer have its name in front, ``1.forward.f_tilde``.
    cache : LayerCache
    dx, grads
        What backward returned.
    """
    _, cache = cell.forward(x, **settings)
    steps, inputs = defaultdict(dict), defaultdict(dict)

    def observe(*seen):
        *names, t, gradients, dstate = seen
        steps["".join(f"{name}." for name in names)][t] = gradients, dstate

    def observe_input(*seen):
        *names, t, gradients = seen
        inputs["".join(f"{name}." for name in names)][t] = gradients

    dx, grads = cell.backward(dh, cache, observe=observe, observe_input=observe_input)
    quantities = {"x": _of_x(cell, cache, dx)}
    for prefix, leaf in cache.leaves():
        declared = leaf.layer.declaration.gates
        for name, row in table(leaf).items():
            value = _stack(arrays(name, leaf))
            gradient = _stack(gradients(name, steps[prefix], inputs[prefix], leaf))
            if name in ("x_linear", "x_hat"):       # per sequence they are one array for all steps and examples
                value, gradient = (array.reshape(leaf.inputs.x_linear.shape) for array in (value, gradient))
            gates = declared if declared and row.axes.endswith(f" {len(declared)}H") else ""
            quantities[prefix + name] = Traced(prefix + name, *row, value, gradient, gates)
    return quantities, cache, dx, grads


def _of_x(cell, cache, dx):
    _, first = next(iter(cell.leaves()))
    axes, equation = "N D" if cache.x.ndim == 3 else "N", first.quantities["x_term"].equation
    return Traced("x", "x_t", equation, axes, to_host(cache.x), to_host(dx))


def table(leaf):
    """The rows to show for the cache of one recurrence: what its cell declares.

    With a mask, also the states that are carried on: the new ones where an example is live.
    """
    rows = dict(leaf.layer.quantities)
    if leaf.mask is not None:
        rows |= {f"{name}_carried": Quantity(rf"m_t \, {name}_t + (1 - m_t) \, {name}_{{t-1}}", "", f"N {width}")
                 for name, width in leaf.layer.declaration.states.items()}
    return rows


def arrays(name, cache):
    """The very arrays that a layer's cache holds for a quantity: one for each step, or one for all of them."""
    if name.endswith("_carried"):
        return [state[_place(name, cache)] for state in cache.sequence.states]
    if _of_the_input(name):
        return [getattr(bn, _field(name)) for bn in cache.inputs.x_bn]
    return [getattr(step, name) for step in cache.sequence.steps]


def gradients(name, steps, inputs, cache):
    """Likewise the gradients, out of what the layer's backward showed: t -> (gradients, dstate), t -> gradients."""
    if name.endswith("_carried"):
        return [steps[t][1][_place(name, cache)] for t in range(len(steps))]
    if _of_the_input(name):
        return [getattr(inputs[t], _field(name)) for t in range(len(inputs))]
    return [getattr(steps[t][0], name) for t in range(len(steps))]


def _place(name, cache):
    """Where a carried state is among the states."""
    return cache.sequence.names.index(name.removesuffix("_carried"))


def _of_the_input(name):
    return name.startswith("x_") and name != "x_term"


def _field(name):
    return "a" if name == "x_linear" else name.removeprefix("x_")


def _stack(values):
    return np.stack([to_host(value) for value in values])
