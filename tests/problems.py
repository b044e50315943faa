"""Every declared cell in every form that computes something else, and random problems for them."""

import numpy as np
import pytest

from minibn.bench.cuda_check import nudged
from minibn.cells import CELLS
from minibn.layers import RecurrentLayer
from minibn.statistics import PopulationStatistics, Statistics


def _forms(cell):
    """Options: none, each that brings a parameter, and each other choice that the layer remembers."""
    yield {}
    for parameter in cell.parameters.values():
        if parameter.when:
            yield {parameter.when: True}
    for name, option in cell.options.items():
        yield from ({name: choice} for choice in option.choices if option.kept and choice != option.default)


CASES = {", ".join([cell.name, *(f"{name}={value}" for name, value in options.items())]): (cell, options)
         for cell in CELLS.values() for options in _forms(cell)}
EVERY_CASE = pytest.mark.parametrize("name", CASES)
WITH_KERNEL = [name for name, (cell, _) in CASES.items() if cell.kernel]
EVERY_KERNEL = pytest.mark.parametrize("name", WITH_KERNEL)
EVERY_ENGINE = pytest.mark.parametrize(
    "engine, name", [("equations", name) for name in CASES] + [("kernels", name) for name in WITH_KERNEL])
NORMALIZED = [name for name, (cell, _) in CASES.items() if cell.normalized]


def make(name, D, H, **settings):
    """A layer of the named case."""
    cell, options = CASES[name]
    return RecurrentLayer(cell, D, H, **options, **settings)


def statistics_of(layer, rng, steps=4):
    """Random given statistics of every normalized term, of fewer steps than a sequence has: the last ones repeat."""
    def draw(term):
        shape = (1 if term == "x" and layer.input_statistics == "sequence" else steps, layer.term_size(term))
        return Statistics(rng.normal(0, 0.3, shape).astype(layer.dtype), rng.uniform(0.3, 1, shape).astype(layer.dtype))

    return PopulationStatistics({term: draw(term) for term in layer.terms})


class Problem:
    """A layer with everything random and non-zero, its input, and a random upstream gradient."""

    def __init__(self, name, dtype=np.float64, T=1, N=11, D=3, H=7, integer=False, masked=False, given=False, seed=0):
        rng = np.random.default_rng(seed)
        self.readable = make(name, D, H, dtype=dtype, rng=rng)
        for key, value in self.readable.params.items():
            drawn = rng.uniform(0.2, 0.6, value.shape) if key.startswith("gamma") else rng.normal(0, 0.4, value.shape)
            self.readable.params[key] = drawn.astype(dtype)
        self.dtype, self.shape = dtype, (T, N, D, H)
        if integer:
            self.x = rng.integers(D, size=(T, N))
            different = min(D, N - 1)
            self.x[:, :different] = np.arange(different)          # no step where all examples are alike
            self.x[:, -1] = self.x[:, 0]                          # none where all differ
        else:
            self.x = rng.standard_normal((T, N, D)).astype(dtype)
        self.mask = self.counted = None
        if masked:
            self.mask = rng.random((T, N)) < 0.7
            self.mask[:, :6] = True                    # enough live examples that their statistics are no accident
            self.mask[T // 2] = self.mask[T // 2] if T < 4 else False
            if not integer:
                self.x[~self.mask] = np.nan            # padding is never read
        self.dh = rng.standard_normal((T, N, H)).astype(dtype)
        self.states = tuple(rng.normal(0, 0.5, (N, H)).astype(dtype) for _ in self.readable.state_names)
        self.statistics = statistics_of(self.readable, rng) if given and self.readable.terms else None

    def run(self, layer, order=slice(None), states=True):
        """h, the carried states, dx and the gradients, of the examples in `order` and put back; and the cache."""
        back = np.argsort(np.arange(self.shape[1])[order])
        mask, counted = (None if rows is None else rows[:, order] for rows in (self.mask, self.counted))
        state = tuple(state[order] for state in self.states) if states else None
        h, cache = layer.forward(self.x[:, order], mask, state, self.statistics, 2, statistics_mask=counted)
        values, grads = values_of(layer, h, cache, *layer.backward(self.dh[:, order], cache))
        values = {key: value[:, back] for key, value in values.items()}
        per_example = layer.state_names if states else ()
        return {**values, **{key: grads[key][back] if key in per_example else grads[key] for key in grads}}, cache


def assert_no_further_than_permuted(problem, expected, got, floor=8):
    """Ten times what the equations themselves move when the batch is permuted or each parameter changes by a rounding,
    or the rounding of the last place. (Without batch norm a permuted batch moves nothing.)
    """
    rngs = [np.random.default_rng(k) for k in range(3)]
    others = [problem.run(problem.readable, rng.permutation(problem.shape[1]))[0] for rng in rngs]
    others += [problem.run(nudged(problem.readable, rng))[0] for rng in rngs]
    for key, value in expected.items():
        moved = max(distance(value, other[key]) for other in others)
        assert distance(value, got[key]) <= max(10 * moved, floor * np.finfo(value.dtype).eps), (key, moved)


def values_of(layer, h, cache, dx, grads):
    """What a forward and backward give for each step and example, by name, and the gradients."""
    states = {name: getattr(cache, name) for name in layer.declaration.states}
    return {**states, "h": h, **({} if dx is None else {"dx": dx})}, grads


def distance(a, b):
    """The largest difference relative to the largest value."""
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    return np.abs(a - b).max() / max(np.abs(a).max(), np.finfo(a.dtype).tiny)
