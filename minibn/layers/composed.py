"""What layers made of layers share: `minibn.layers.stacked`, `minibn.layers.bidirectional`.

Names are those of the parts with a prefix: ``0.W_h``, ``1.forward.W_h``. States, in `initial_state` and
``cache.final_state``, are one flat tuple in the order of the names.
"""

import copy
from abc import abstractmethod
from functools import partial

from minibn.backend import array_module
from minibn.layers.caches import LayerCache
from minibn.layers.checks import check_input, check_names, check_states, check_upstream
from minibn.layers.layer import Layer
from minibn.layers.params import NestedParams


class ComposedCache(LayerCache):
    """What the forward of a layer made of layers returns: ``cache.parts`` are those of its parts, by name."""

    def __init__(self, layer, parts):
        self.layer, self.parts = layer, parts

    bottom = property(lambda self: next(iter(self.parts.values())))
    x = property(lambda self: self.bottom.x)
    mask = property(lambda self: self.bottom.mask)

    @property
    def final_state(self):
        """The states after the last step, of all parts in order."""
        return tuple(state for part in self.parts.values() for state in part.final_state)

    def statistics(self, terms):
        """The statistics that each of the `terms` was normalized with: term -> Statistics of arrays (T, G)."""
        found = {f"{name}.{term}": statistics for name, part in self.parts.items()
                 for term, statistics in part.statistics(part.layer.terms).items()}
        return {term: found[term] for term in terms}

    def leaves(self):
        for name, part in self.parts.items():
            for prefix, leaf in part.leaves():
                yield f"{name}.{prefix}", leaf


class Composed(Layer):
    """What `Stacked` and `Bidirectional` share.

    Parameters
    ----------
    parts : dict
        Name -> layer.
    """

    def __init__(self, parts):
        for name, part in parts.items():
            if not isinstance(part, Layer):
                raise TypeError(f"{name}: expected a layer, such as minibn.LSTM(input_size=3, hidden_size=4), got "
                                f"{type(part).__name__}; make one")
        first = next(iter(parts.values()))
        if len({id(part) for part in parts.values()}) < len(parts):
            raise ValueError(f"{' '.join(parts)}: expected different layers, got one of them twice; make one for each "
                             f"place, for they have parameters of their own")
        for name, part in parts.items():
            if part.dtype != first.dtype:
                raise TypeError(f"{name}: expected a layer of dtype {first.dtype}, as the first, got {part.dtype}; "
                                f"make all of one dtype")
        self.parts = dict(parts)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(repr, self.parts.values()))})"

    @property
    def params(self):
        """A live view of all parameters."""
        return NestedParams({name: part.params for name, part in self.parts.items()})

    def _names(self, attribute):
        return tuple(f"{name}.{inner}" for name, part in self.parts.items() for inner in getattr(part, attribute))

    state_names = property(lambda self: self._names("state_names"))
    terms = property(lambda self: self._names("terms"))
    data_names = property(lambda self: self._names("data_names"))
    title = property(lambda self: f"{type(self).__name__} of {', '.join(p.title for p in self.parts.values())}")
    input_size = property(lambda self: next(iter(self.parts.values())).input_size)
    noise_size = property(lambda self: sum(part.noise_size for part in self.parts.values()))
    widest = property(lambda self: max(part.widest for part in self.parts.values()))
    sees_ahead = property(lambda self: any(part.sees_ahead for part in self.parts.values()))
    check_method = property(lambda self: "central" if "central" in {p.check_method for p in self.parts.values()}
                            else "complex")

    @property
    def engine(self):
        """That of all parts, or None where they differ; to assign it is to assign that of each."""
        engines = {part.engine for part in self.parts.values()}
        return engines.pop() if len(engines) == 1 else None

    @engine.setter
    def engine(self, value):
        for part in self.parts.values():
            part.engine = value

    def map_params(self, function):
        """A copy of the layer with `function` applied to every parameter."""
        other = copy.copy(self)
        other.parts = {name: part.map_params(function) for name, part in self.parts.items()}
        return other

    def leaves(self):
        """The single recurrences in it, with what the names of their parameters begin with."""
        for name, part in self.parts.items():
            for prefix, leaf in part.leaves():
                yield f"{name}.{prefix}", leaf

    def needs_whole(self, statistics):
        """Whether a sequence cannot be run in pieces."""
        given = _of_parts(statistics or {})
        return any(part.needs_whole(given.get(name)) for name, part in self.parts.items())

    def draw_data(self, rng, T, N):
        """What the cells take at each step, drawn for training: name -> ndarray (T, N, ...)."""
        return {f"{name}.{key}": values for name, part in self.parts.items()
                for key, values in part.draw_data(rng, T, N).items()}

    def _add_noise(self, noise):
        states, start = [], 0
        for part in self.parts.values():
            states += part._add_noise(noise[:, start:start + part.noise_size])
            start += part.noise_size
        return tuple(states)

    def forward(self, x, mask=None, initial_state=None, statistics=None, first_step=0, data=None,
                statistics_mask=None):
        """As `RecurrentLayer.forward`: h (T, N, output_size) and a cache."""
        cache = self._run("forward", x, mask, initial_state, statistics, first_step, data, statistics_mask)
        cache.made_by = self
        return array_module(cache.h).array(cache.h), cache

    def forward_only(self, x, mask=None, initial_state=None, statistics=None, first_step=0, data=None,
                     statistics_mask=None):
        cache = self._run("forward_only", x, mask, initial_state, statistics, first_step, data, statistics_mask)
        return cache.h, cache

    def backward(self, dh, cache, observe=None, observe_input=None):
        """As `RecurrentLayer.backward`; `observe` is given the names of the parts that lead to the layer, too."""
        check_upstream(self, dh, cache)

        def part_backward(name, dh):
            of_part = [function and partial(function, name) for function in (observe, observe_input)]
            dx, grads[name] = self.parts[name].backward(dh, cache.parts[name], *of_part)
            return dx

        grads = {}
        dx = self._backward(dh, cache, part_backward)
        return dx, {f"{name}.{key}": grads[name][key] for name in self.parts for key in grads[name]}

    def _run(self, method, x, mask, initial_state, statistics, first_step, data, statistics_mask):
        """Check what is for all parts together, share it out, and run them."""
        check_input(self, x, mask, statistics_mask)
        (mask, counted), states = (None if rows is None else rows != 0 for rows in (mask, statistics_mask)), {}
        if initial_state is not None:
            check_states(self, initial_state)
            rest = list(initial_state)
            for name, part in self.parts.items():
                states[name], rest = rest[:len(part.state_names)], rest[len(part.state_names):]
        if statistics is not None:
            check_names("statistics", statistics, self.terms, partly=True)
            statistics = _of_parts(statistics)
        if data is not None:
            check_names("data", data, self.data_names)
            data = _of_parts(data)

        def part_forward(name, x, counted, first_step=0):
            return getattr(self.parts[name], method)(
                x, mask, states.get(name), None if statistics is None else statistics.get(name), first_step,
                None if data is None else data.get(name, {}), counted)

        return self._forward(x, mask, counted, first_step, part_forward)

    @abstractmethod
    def _forward(self, x, mask, counted, first_step, part_forward):
        """The cache; ``part_forward(name, x, counted, first_step)`` runs a part on its x (T, N, ...).

        `counted` (T, N) or None are the rows that enter the statistics.
        """

    @abstractmethod
    def _backward(self, dh, cache, part_backward):
        """dx; ``part_backward(name, dh)`` runs a part's backward."""


def _of_parts(values):
    """``{"0.h": v, ...}`` as ``{"0": {"h": v}, ...}``."""
    found = {}
    for name, value in values.items():
        part, _, inner = name.partition(".")
        found.setdefault(part, {})[inner] = value
    return found
