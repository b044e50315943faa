"""What a layer's forward pass returns beside h: every quantity of the equations by its name."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from minibn.backend import array_module
from minibn.equations.quantities import Record
from minibn.equations.recurrence import SequenceCache
from minibn.errors import brief
from minibn.statistics import Statistics


class InputCache(NamedTuple):
    """The input term of a sequence, as the backward pass needs it."""

    x: object           # (T, N, D) floating or (T, N) integer; zeros at padded steps
    x_linear: object    # (T, N, G)
    x_term: object      # (T, N, G)
    x_bn: tuple         # of BatchNormCache: one per step, one for the whole sequence, or none

    __repr__ = brief

    def look_up(self, name):
        """A field, or x_mean, x_variance, x_inv_std (T, 1, G; per sequence (1, 1, G)), x_hat (T, N, G)."""
        if name in self._fields:
            return getattr(self, name)
        field = name.removeprefix("x_")
        if not self.x_bn or field not in self.x_bn[0]._fields:
            raise AttributeError(f"no quantity called {name!r} in the input term")
        values = array_module(self.x_linear).stack([getattr(cache, field) for cache in self.x_bn])
        return values.reshape(self.x_linear.shape) if field == "hat" else values


class LayerCache:
    """Everything a layer's forward pass computed, by the paper's names.

    ``cache.h`` and ``cache.c`` (T, N, H) are the carried states; ``cache.f_tilde``, ``cache.h_hat``,
    ``cache.x_hat`` and every other quantity of the equations are stacked over time.
    """

    read = None                 # (T, N) bool: where x was read; None: everywhere
    made_by = None              # the layer whose backward takes this cache; None: no backward does

    def __init__(self, layer, inputs, sequence):
        self.layer = layer      # as it was: its parameters are those of this forward pass
        self.inputs = inputs
        self.sequence = sequence
        self.learned_state = True

    def __repr__(self):
        T, N = self.x.shape[:2]
        padded = "" if self.mask is None else ", masked"
        refuses = "" if self.made_by is not None else ", without a backward"
        return f"<{type(self).__name__} of T={T} steps, N={N} examples{padded}{refuses}: {self.layer!r}>"

    def make_read_only(self, made_by):
        """Let `made_by` go backward from here: nobody changes what was computed. (CuPy has no read-only arrays.)"""
        self.made_by = made_by
        _make_read_only((self.layer.params, self.inputs, tuple(vars(self.sequence).values())))

    @property
    def x(self):
        """The input (T, N, D) or (T, N), zeros at padded steps."""
        return self.inputs.x

    @property
    def mask(self):
        """The mask (T, N) as bool, or None."""
        return self.sequence.mask

    @property
    def final_state(self):
        """The carried state after the last step: (h_T,) or (h_T, c_T)."""
        return self.sequence.final_state

    @property
    def last_output(self):
        """The output after the last live step of each example, (N, H)."""
        return self.h[-1]

    def last_output_backward(self, d):
        """The gradient dh (T, N, H) from that of `last_output`."""
        dh = array_module(d).zeros((*self.x.shape[:2], d.shape[1]), dtype=d.dtype)           # (T, N, H)
        dh[-1] = d
        return dh

    def leaves(self):
        """The caches of single recurrences in it, with what their names begin with: this one."""
        yield "", self

    def statistics(self, terms):
        """The statistics that each of the `terms` was normalized with: term -> Statistics of arrays (T, G)."""
        return {term: Statistics(*(getattr(self, f"{term}_{field}")[:, 0] for field in Statistics._fields))
                for term in terms}

    def __getattr__(self, name):
        if name.startswith("__") or "sequence" not in self.__dict__:
            raise AttributeError(name)
        if name.startswith("x_"):
            return self.inputs.look_up(name)
        return getattr(self.sequence, name)


class KernelCache(LayerCache):
    """What a kernel kept: every other quantity is recomputed by the equations.

    Each step is computed from the states that the kernel carried to it, so that what the equations answer is what
    the kernel did, up to the rounding of one step.
    """

    def __init__(self, layer, call, stored):
        self.layer = layer
        self.call = call
        self.stored = stored
        self.learned_state = True

    def make_read_only(self, made_by):
        self.made_by = made_by
        _make_read_only((self.call, self.stored))

    @property
    def x(self):
        return self.call.x

    @property
    def mask(self):
        return self.call.mask

    @property
    def h(self):
        """h_1 .. h_T (T, N, H)."""
        return self.stored.h

    @property
    def c(self):
        """c_1 .. c_T (T, N, H)."""
        return self.sequence.c if self.stored.c is None else self.stored.c       # the former says that there is none

    @property
    def initial_state(self):
        """(h_0,) or (h_0, c_0), each (N, H)."""
        return self.call.state

    @property
    def final_state(self):
        return tuple(states[-1] for states in self._states)

    def statistics(self, terms):
        """The statistics that each of the `terms` was normalized with: term -> Statistics of arrays (T, G)."""
        return {term: self.stored.statistics[term] for term in terms}

    @cached_property
    def inputs(self):
        """The input term, by the equations."""
        inputs = self.layer._input_forward(self.call)
        return inputs if self.made_by is None else _make_read_only(inputs)

    @cached_property
    def sequence(self):
        """The recurrence, by the equations, each step from the carried states."""
        call, x_term = self.call, self.inputs.x_term
        steps, states, state = [], [], call.state
        for t in range(len(x_term)):
            one = slice(t, t + 1)
            at_t = call._replace(
                state=state, mask=call.mask if call.mask is None else call.mask[one],
                counted=call.counted if call.counted is None else call.counted[one],
                given=call.given and {term: Statistics(*(value[one] for value in values))
                                      for term, values in call.given.items() if term != "x"})
            steps += self.layer._recur_forward(x_term[one], at_t, {}).steps
            state = tuple(carried[t] for carried in self._states)
            states.append(state)
        if self.made_by is not None:
            _make_read_only(steps)
        return SequenceCache(steps, tuple(self.layer.declaration.states), states, call.state, call.mask)

    @property
    def _states(self):
        return (self.stored.h,) if self.stored.c is None else (self.stored.h, self.stored.c)

    def __getattr__(self, name):
        if name.startswith("__") or "stored" not in self.__dict__:
            raise AttributeError(name)
        term, _, field = name.partition("_")
        if term in self.stored.statistics and field in Statistics._fields:
            return getattr(self.stored.statistics[term], field)[:, None]
        return self.inputs.look_up(name) if name.startswith("x_") else getattr(self.sequence, name)


def _make_read_only(values):
    """Make every NumPy array in nested tuples, lists, dicts and records read-only."""
    inside = vars(values) if isinstance(values, Record) else values
    for value in inside.values() if isinstance(inside, dict) else inside:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif isinstance(value, tuple | list | dict | Record):
            _make_read_only(value)
    return values
