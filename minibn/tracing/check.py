"""Is the gradient of every intermediate right? Each is moved in place, and the rest of the forward follows."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from minibn.gradcheck import check_gradient_values
from minibn.tracing.record import arrays, table
from minibn.tracing.replay import Replay
from minibn.tracing.report import TraceReport


class Place(NamedTuple):
    """Where a quantity of one step is computed, and what was computed there."""

    name: str
    visit: int
    value: np.ndarray
    gradient: np.ndarray
    unit: float         # it is moved in these


def check_trace(trace, names=None, **options):
    """The report of `minibn.tracing.Trace.check`, for a trace in float64 on the host."""
    cell, (inputs, gradients) = trace.cell, trace.inputs()
    replay = Replay(cell)
    if replay.without_source:
        raise ValueError(f"forward: expected functions whose source can be read, got "
                         f"{', '.join(replay.without_source)} without; define them in a file or a notebook cell")
    places = _find_places(trace, *replay.record(*trace.arguments(inputs)))
    if names is not None:
        places = {label: place for label, place in places.items() if place.name in names}
        gradients = {name: gradient for name, gradient in gradients.items() if name in names}

    def function(**values):
        nudges = {place.visit: values[label] * place.unit - place.value for label, place in places.items()}
        replay.layer.params.update({name: values[name] for name in cell.params if name not in trace.given})
        with np.errstate(invalid="ignore"):             # a central step that is too long: the report says NaN
            return replay.forward(nudges, *trace.arguments(values))[0]

    inputs.update({label: place.value / place.unit for label, place in places.items()})
    gradients.update({label: place.gradient * place.unit for label, place in places.items()})
    report = check_gradient_values(function, inputs, gradients, upstream=(trace.dh,), wrt=list(gradients),
                                   **{"title": trace.title, "method": cell.check_method, **options})
    units = {label: place.unit for label, place in places.items()}
    entries = tuple(replace(entry, analytic=entry.analytic / units.get(entry.name, 1),
                            numeric=entry.numeric / units.get(entry.name, 1)) for entry in report.entries)
    return TraceReport(**{**vars(report), "entries": entries}, T=len(trace),
                       quantities=tuple(dict.fromkeys(place.name for place in places.values())))


def _find_places(trace, cache, visits):
    """Label, such as ``h_hat[3]`` -> Place. What is normalized per sequence is at t = 0 alone."""
    numbers = defaultdict(list)
    for number, (_, array) in enumerate(visits):
        numbers[id(array)].append(number)
    places = {}
    for prefix, leaf in cache.leaves():
        held = {name: arrays(name, leaf) for name in table(leaf)}
        starts = [next(iter(numbers[id(step.x_term)]), 0) for step in leaf.sequence.steps]  # each begins with x_term
        for name, of_steps in held.items():
            for t, array in enumerate(of_steps):
                start = 0 if name.startswith("x_") else starts[t]
                visited = numbers[id(array)][bisect_left(numbers[id(array)], start):]
                if sum(t < len(others) and others[t] is array for others in held.values()) > 1:
                    # Two quantities are one array (c_term = c): each is moved where it gets its own name.
                    visited = [number for number in visited if visits[number][0] == name] or visited
                if not visited:
                    raise ValueError(
                        f"{prefix}{name}: expected a line of the forward pass (engine={leaf.layer.engine!r}) that "
                        f"assigns it, got none; give it a variable of its own there, and use engine='equations'")
                gradient = trace[prefix + name].gradient.reshape(-1, *array.shape)[t]
                # A variance near zero must not become negative by a central difference.
                unit = float(array.min()) + leaf.layer.eps if "_variance" in name else 1.0
                places[f"{prefix}{name}[{t}]"] = Place(prefix + name, visited[0], array, gradient, unit)
    for name, array in trace.wholes(cache).items():
        unit = float(array.min()) + trace.cell.eps if "_variance" in name else 1.0
        gradient = trace[name].gradient.reshape(array.shape)
        places[name] = Place(name, numbers[id(array)][0], array, gradient, unit)
    return places
