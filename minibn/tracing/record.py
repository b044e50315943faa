"""One pass forward and one back, and every quantity of the equations on the way, with its gradient."""

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

    @property
    def shape(self):
        """The shape of the value."""
        return self.value.shape


def record(cell, x, dh, mask=None, initial_state=None, statistics=None):
    """Run the layer's own forward and backward.

    Returns
    -------
    quantities : dict
        Name -> Traced, stacked over time, in the order of the forward pass, on the host.
    cache : LayerCache
    dx, grads
        What backward returned.
    """
    _, cache = cell.forward(x, mask=mask, initial_state=initial_state, statistics=statistics)
    steps, inputs = {}, {}
    dx, grads = cell.backward(dh, cache, observe=lambda t, *seen: steps.update({t: seen}),
                              observe_input=lambda t, gradients: inputs.update({t: gradients}))
    quantities = {}
    for name, row in table(cell, cache).items():
        value = cache.inputs.x if name == "x" else _stack(arrays(name, cache))
        gradient = dx if name == "x" else _stack(gradients(name, steps, inputs, cache))
        if name in ("x_linear", "x_hat"):       # per sequence they are one array for all steps and examples
            value, gradient = (array.reshape(cache.inputs.x_linear.shape) for array in (value, gradient))
        quantities[name] = Traced(name, *row, to_host(value), to_host(gradient))
    return quantities, cache, dx, grads


def table(cell, cache):
    """The rows to show for a layer: x_t, and what its cell declares.

    With a mask, also the states that are carried on: the new ones where an example is live.
    """
    axes = "N D" if cache.inputs.x.ndim == 3 else "N"
    rows = {"x": Quantity("x_t", cell.quantities["x_term"].equation, axes), **cell.quantities}
    if cache.mask is not None:
        rows |= {f"{name}_carried": Quantity(rf"m_t \, {name}_t + (1 - m_t) \, {name}_{{t-1}}", "", f"N {width}")
                 for name, width in cell.declaration.states.items()}
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
