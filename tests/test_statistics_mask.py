"""Which rows enter the statistics, where they are not the live ones; statistics that are given for some terms."""

import numpy as np
import problems
import pytest
from problems import EVERY_ENGINE, EVERY_KERNEL, NORMALIZED, assert_no_further_than_permuted

import minibn
from minibn.equations.reversal import reverse
from minibn.gradcheck import check_function
from minibn.layers.caches import KernelCache
from minibn.statistics import PopulationStatistics, Statistics

T, N, D, H = 6, 7, 3, 4
LENGTHS = np.array([6, 6, 5, 4, 4, 3, 1])       # the last steps have few live rows
MASK = np.arange(T)[:, None] < LENGTHS
ROWS = {
    "all": np.ones((T, N), bool),
    "more than the live": MASK | (np.arange(N) % 3 == 0),
    "not all of the live": MASK & (np.arange(N) != 1),
}
EVERY_ROWS = pytest.mark.parametrize("rows", ROWS)


def randomised(layer, rng):
    """Random parameters, none of them zero; gammas that carry weight."""
    for name, value in layer.params.items():
        gamma = "gamma" in name
        layer.params[name] = rng.uniform(0.5, 1, value.shape) if gamma else 0.5 * rng.standard_normal(value.shape)
    return layer


@EVERY_ENGINE
@EVERY_ROWS
def test_gradients(engine, name, rows):
    rng = np.random.default_rng(3)
    layer = randomised(problems.make(name, D, H, engine=engine), rng)

    def forward(x, **params):
        work = layer.map_params(lambda value: value)
        work.params = params
        h, cache = work.forward(x, mask=MASK, statistics_mask=ROWS[rows])
        return h, (work, cache)

    def backward(dh, made):
        work, cache = made
        dx, grads = work.backward(dh, cache)
        return {"x": dx, **grads}

    report = check_function(forward, backward, {"x": rng.standard_normal((T, N, D)), **layer.params})
    assert report.ok, str(report)
    dx = backward(rng.standard_normal((T, N, H)), forward(rng.standard_normal((T, N, D)), **layer.params)[1])["x"]
    dead = ~(MASK | ROWS[rows])
    assert not dx[dead].any()
    if "bnrnn" in name and "sequence" not in name:      # padded rows are read, where they are counted
        assert dx[~MASK & ROWS[rows]].all()


@EVERY_KERNEL
@EVERY_ROWS
@pytest.mark.parametrize("D", [3, 30])
def test_kernels_count_the_same_rows(name, rows, D):
    problem = problems.Problem(name, T=T, N=N, D=D, H=H)
    readable, fast = problem.readable, problems.make(name, D, H, engine="kernels")
    fast.params = {key: value.copy() for key, value in readable.params.items()}
    problem.mask, problem.counted = MASK, ROWS[rows]
    got, cache = problem.run(fast)
    assert isinstance(cache, KernelCache) == (rows != "not all of the live")
    expected, _ = problem.run(readable)
    assert_no_further_than_permuted(problem, expected, got)
    _, of_equations = problem.run(readable)
    np.testing.assert_allclose(cache.h_prev, of_equations.h_prev, atol=1e-12)      # recomputed step by step


@pytest.mark.parametrize("name", NORMALIZED)
def test_the_statistics_are_those_of_the_counted_rows(name):
    rng = np.random.default_rng(4)
    layer = randomised(problems.make(name, D, H), rng)
    x, rows = rng.standard_normal((T, N, D)), ROWS["more than the live"]
    _, cache = layer.forward(x, mask=MASK, statistics_mask=rows)
    found = layer.batch_statistics(x, MASK, statistics_mask=rows)
    inputs = {"x": "x_linear", "h": "h_linear", "c": "c", "sum": "sum"}
    for term in layer.terms:
        a = getattr(cache, inputs[term])
        for t in range(T):
            if term == "x" and layer.input_statistics == "sequence":        # of the live steps, whatever is counted
                mean, variance = (v[0] for v in found["x"])
                counted = x @ layer.params["W_x"]
                counted = counted[MASK]
            else:
                mean, variance = (v[t] for v in found[term])
                counted = a[t][rows[t]]
            np.testing.assert_allclose(mean, counted.mean(axis=0), atol=1e-12)
            np.testing.assert_allclose(variance, counted.var(axis=0), atol=1e-12)


def test_x_is_read_where_it_is_live_or_counted():
    layer, rows = minibn.BNLSTM(D, H, rng=0), ROWS["more than the live"]
    x = np.random.default_rng(5).standard_normal((T, N, D))
    expected, _ = layer.forward(x, mask=MASK, statistics_mask=rows)
    x[~(MASK | rows)] = np.nan
    np.testing.assert_array_equal(layer.forward(x, mask=MASK, statistics_mask=rows)[0], expected)


def test_readers_of_both_directions_count_the_same_rows():
    rng = np.random.default_rng(6)
    both = minibn.Bidirectional(minibn.BNLSTM(D, H, rng=1), minibn.BNLSTM(D, H, rng=2))
    x, rows = rng.standard_normal((T, N, D)), ROWS["more than the live"]
    h, _ = both.forward(x, mask=MASK, statistics_mask=rows)
    alone, _ = both.parts["backward"].forward(reverse(x, MASK), mask=MASK, statistics_mask=reverse(rows, MASK))
    np.testing.assert_array_equal(h[..., H:], reverse(alone, MASK))


@EVERY_ENGINE
def test_statistics_for_some_of_the_terms(engine, name):
    """The others are the batch's own; all of the batch's own given back change nothing."""
    rng = np.random.default_rng(7)
    layer = randomised(problems.make(name, D, H, engine=engine), rng)
    x = rng.standard_normal((T, N, D))
    own = PopulationStatistics(layer.batch_statistics(x, MASK))
    for term in layer.terms:
        h, cache = layer.forward(x, mask=MASK, statistics=PopulationStatistics({term: own[term]}))
        np.testing.assert_allclose(h, layer.forward(x, mask=MASK)[0], atol=1e-10)
        shifted = PopulationStatistics({term: Statistics(own[term].mean + 1, own[term].variance)})
        other = layer.batch_statistics(x, MASK, statistics=shifted)
        np.testing.assert_allclose(other[term].mean, own[term].mean + 1)
        if len(layer.terms) > 1:
            changed = [t for t in layer.terms if t not in (term, "x")]
            assert not changed or any(not np.allclose(other[t].mean[1:], own[t].mean[1:]) for t in changed)
            with pytest.raises(ValueError, match="^x: batch statistics need N >= 2"):
                layer.forward(x[:, :1], statistics=shifted)


def test_stages_of_the_population():
    """Each stage sees the statistics of those before it; the batches are gone through once for each."""
    rng = np.random.default_rng(8)
    layer = randomised(minibn.BNLSTM(D, H), rng)
    batches = [(rng.standard_normal((T, N, D)), None) for _ in range(3)]
    one = minibn.estimate_population_statistics(layer, batches)
    two = minibn.estimate_population_statistics(layer, batches, stages=[["x"], ["h", "c"]])
    np.testing.assert_array_equal(two["x"].mean, one["x"].mean)
    given = PopulationStatistics(x=one["x"])
    for term in "hc":
        each = [layer.batch_statistics(x, statistics=given)[term].mean for x, _ in batches]
        np.testing.assert_allclose(two[term].mean, np.mean(each, axis=0), rtol=1e-12)
        assert not np.allclose(two[term].mean, one[term].mean, rtol=1e-3)
    made = minibn.estimate_population_statistics(layer, lambda: iter(batches), stages=[["x"], ["h", "c"]])
    np.testing.assert_array_equal(made["c"].mean, two["c"].mean)
    assert list(two) == list(layer.terms)


@pytest.mark.parametrize("batches, stages, error", [
    (lambda: iter([]), [["x"], ["h", "c"]], (TypeError, "^batches: expected something to go through 2 times")),
    (list, [["x"], ["h"]], (ValueError, "^stages: expected each of the terms x, h, c once")),
    (list, [["x", "h", "c"], ["x"]], (ValueError, "^stages: expected each of the terms x, h, c once")),
    (list, None, (ValueError, "^batches: expected at least one minibatch")),
])
def test_bad_stages(batches, stages, error):
    with pytest.raises(error[0], match=error[1]):
        minibn.estimate_population_statistics(minibn.BNLSTM(D, H), batches(), stages=stages)


def test_bad_statistics_mask():
    x = np.zeros((T, N, D))
    with pytest.raises(ValueError, match="^statistics_mask: expected .*N=7"):
        minibn.BNLSTM(D, H).forward(x, statistics_mask=MASK[:, 1:])
