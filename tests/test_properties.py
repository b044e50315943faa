"""What must hold whatever the numbers: facts about the model, and promises about the code."""

import contextlib
import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CASES, EVERY_CASE, NORMALIZED, make

import minibn
from minibn.equations.quantities import Record
from minibn.initializers import orthogonal, recurrent_weights
from minibn.layers import BNLSTM
from minibn.models import SequenceClassifier
from minibn.statistics import PopulationStatistics, Statistics, continue_dead_steps

T, N, D, H, K = 7, 6, 3, 4, 5
ROUNDING = 1e-12      # of float64 sums over a few dozen terms, against the sum of their absolute values or their size

PLAIN = [name for name in CASES if name not in NORMALIZED]
EVERY_NORMALIZED_CELL = pytest.mark.parametrize("name", NORMALIZED)
SIZES = {size: st.integers(1, 6) for size in "TNDH"}
FEW_EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def make_cell(name, D=D, H=H, dtype=np.float64, seed=0):
    """A cell with random, non-zero parameters."""
    rng = np.random.default_rng(seed)
    cell = make(name, D, H, rng=rng, dtype=dtype)
    for key, value in cell.params.items():
        drawn = rng.uniform(0.5, 1.5, value.shape) if key.startswith("gamma") else rng.standard_normal(value.shape) / 2
        cell.params[key] = drawn.astype(dtype)
    return cell


def make_population(cell, rows=T, seed=1):
    rng = np.random.default_rng(seed)
    population = PopulationStatistics()
    for term in cell.terms:
        shape = (1 if term == "x" and cell.input_statistics == "sequence" else rows, cell.term_size(term))
        population[term] = Statistics(0.3 * rng.standard_normal(shape), rng.uniform(0.5, 1.5, shape))
    return population


def draw(*shape, seed=2):
    return np.random.default_rng(seed).standard_normal(shape)


def draw_states(cell, N=N, seed=3):
    return tuple(draw(N, cell.hidden_size, seed=seed + k) for k in range(len(cell.state_names)))


def run(cell, x, dh=None, **arguments):
    """h, and all gradients for the upstream gradient `dh`."""
    h, cache = cell.forward(x, **arguments)
    dh = draw(*h.shape, seed=9).astype(h.dtype) if dh is None else dh
    dx, grads = cell.backward(dh, cache)
    return h, {"x": dx, **grads}


def assert_close(actual, expected, tolerance=ROUNDING):
    """Against the largest value there is: a small gradient beside large ones carries their rounding."""
    scale = max(1.0, *(np.max(np.abs(value), initial=0) for value in expected.values()))
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, rtol=0, atol=tolerance * scale, err_msg=key)


# Fact 1: through batch statistics the gradient of a broadcast h0 is zero.


def states_of_each_example(cell):
    return tuple(np.tile(cell.params[name], (N, 1)) for name in cell.state_names)


@EVERY_NORMALIZED_CELL
def test_batch_statistics_give_a_broadcast_h0_no_gradient(name):
    cell, x = make_cell(name), draw(T, N, D)
    _, learned = run(cell, x)
    _, each = run(cell, x, initial_state=states_of_each_example(cell))
    size = np.abs(each["h0"]).sum(axis=0)                             # (H,)
    assert np.all(size > 1e-3)                                        # not zero one by one, only in the sum
    assert np.all(np.abs(learned["h0"]) <= ROUNDING * size)
    if "c0" in learned:                                               # c0 goes past the batch norm: it does learn
        assert np.all(np.abs(learned["c0"]) > 1e-3 * np.abs(each["c0"]).sum(axis=0))


@EVERY_NORMALIZED_CELL
def test_h0_has_a_gradient_with_population_statistics(name):
    cell = make_cell(name)
    _, grads = run(cell, draw(T, N, D), statistics=make_population(cell))
    assert np.all(np.abs(grads["h0"]) > 1e-3)


@EVERY_NORMALIZED_CELL
def test_per_example_h0_have_gradients_that_sum_to_zero(name):
    cell = make_cell(name)
    _, grads = run(cell, draw(T, N, D), initial_state=draw_states(cell))
    assert np.all(np.abs(grads["h0"]).sum(axis=0) > 1e-2)
    # With all examples live, any h0 enters only through BN, whose backward sums to zero over the batch.
    assert np.all(np.abs(grads["h0"].sum(axis=0)) <= ROUNDING * np.abs(grads["h0"]).sum(axis=0))


@EVERY_NORMALIZED_CELL
def test_an_example_padded_at_the_first_step_gives_h0_a_gradient(name):
    cell = make_cell(name)
    mask = np.ones((T, N))
    mask[0, 2] = 0                                                    # its h_1 is h0, outside any batch norm
    _, grads = run(cell, draw(T, N, D), mask=mask)
    assert np.all(np.abs(grads["h0"]) > 1e-3)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_cells_learn_h0(name):
    _, grads = run(make_cell(name), draw(T, N, D))
    assert np.all(np.abs(grads["h0"]) > 1e-3)


# Population statistics: an example's output is its own.


def contents(model, population):
    """All there is in a model and in statistics, arrays as bytes."""
    arrays = {**model.params, **population.to_arrays()}
    settings = {**vars(model), **vars(model.cell)}
    return ({key: (value.dtype.str, value.shape, value.tobytes()) for key, value in arrays.items()},
            {key: value for key, value in settings.items() if key not in ("cell", "params", "_own")})


@EVERY_CASE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_ignore_all_batch_mates_bit_by_bit(name, dtype):
    cell = make_cell(name, dtype=dtype)
    model = SequenceClassifier(cell, K, rng=0)
    population = make_population(cell, rows=T - 2)
    x, n = draw(T, N, D).astype(dtype), 2
    other_x = 10 * draw(T, N, D, seed=5).astype(dtype)
    other_x[:, n] = x[:, n]
    mask, other_mask = np.ones((2, T, N))
    other_mask[1:4, [1, 3]] = other_mask[:, 4] = 0
    before = contents(*copy.deepcopy((model, population)))

    h, _ = cell.forward(x, statistics=population)
    other_h, _ = cell.forward(other_x, statistics=population)
    np.testing.assert_array_equal(h[:, n], other_h[:, n])             # bit by bit: the same sums in the same order
    masked_h, _ = cell.forward(other_x, mask=other_mask, statistics=population)
    np.testing.assert_array_equal(h[:, n], masked_h[:, n])
    p = model.predict(x, mask, population)
    np.testing.assert_array_equal(p[n], model.predict(other_x, other_mask, population)[n])
    assert not np.any(np.all(h == other_h, axis=(0, 2)).take([0, 1, 3, 4, 5]))               # the others did change
    assert contents(model, population) == before


@EVERY_CASE
def test_predictions_alone_or_in_a_batch(name):
    cell = make_cell(name)
    model = SequenceClassifier(cell, K, rng=0)
    population, x, noise = make_population(cell), draw(T, N, D), 0.1 * draw(N, H, seed=4)
    p = model.predict(x, statistics=population, initial_noise=noise)
    for n in range(N):
        alone = slice(n, n + 1)
        # 1e-12: a matrix product of another shape may add in another order.
        np.testing.assert_allclose(
            model.predict(x[:, alone], statistics=population, initial_noise=noise[alone]), p[alone], rtol=0, atol=1e-12)


@EVERY_NORMALIZED_CELL
def test_batch_statistics_do_see_the_batch_mates(name):
    cell, x = make_cell(name), draw(T, N, D)
    h, _ = cell.forward(x)
    x[:, 1] += 1
    assert np.max(np.abs(cell.forward(x)[0][:, 0] - h[:, 0])) > 1e-3


@EVERY_NORMALIZED_CELL
def test_a_batchs_own_statistics_given_back_change_nothing(name):
    cell, x = make_cell(name), draw(T, N, D)
    h, _ = cell.forward(x)
    population = minibn.estimate_population_statistics(cell, [(x, None)])
    np.testing.assert_array_equal(cell.forward(x, statistics=population)[0], h)


# Batches: order, padding, sizes.


@FEW_EXAMPLES
@given(name=st.sampled_from(list(CASES)), seed=st.integers(0, 99), T=SIZES["T"], N=st.integers(2, 6),
       D=SIZES["D"], H=SIZES["H"])
def test_permuting_the_batch_permutes_the_output(name, seed, T, N, D, H):
    cell, x = make_cell(name, D, H, seed=seed), draw(T, N, D, seed=seed)
    states, dh = draw_states(cell, N, seed), draw(T, N, H, seed=seed + 1)
    mask = np.random.default_rng(seed).random((T, N)) < 0.8
    order = np.random.default_rng(seed + 2).permutation(N)
    h, cache = cell.forward(x, mask=mask, initial_state=states)
    h_permuted, _ = cell.forward(x[:, order], mask=mask[:, order], initial_state=tuple(s[order] for s in states))
    # To rounding only: the sums over the batch run in another order, and BN multiplies a difference in a_n by
    # up to 1/sqrt(eps) = 316 where the examples nearly coincide, step after step.
    np.testing.assert_allclose(h_permuted, h[:, order], rtol=0, atol=1e-10)
    if N == 2:
        return      # two examples: +1 and -1 after BN, gradients that nearly vanish, nothing to compare
    _, grads = run(cell, x, dh, initial_state=states, statistics=make_population(cell))
    _, permuted = run(cell, x[:, order], dh[:, order], initial_state=tuple(s[order] for s in states),
                      statistics=make_population(cell))
    for key in ("x", *cell.state_names):
        grads[key] = grads[key][:, order] if key == "x" else grads[key][order]
    assert_close(permuted, grads)


def ragged_mask():
    """A late start, an early end, a hole, a step with one live example (3) and a step with none (4)."""
    mask = np.ones((T, N), bool)
    mask[0, 1] = mask[-2:, 0] = mask[2, 3] = False
    mask[3] = np.arange(N) == 2
    mask[4] = False
    return mask


@EVERY_CASE
@pytest.mark.parametrize("population", [False, True])
def test_appended_padding_changes_nothing(name, population):
    cell = make_cell(name)
    statistics = make_population(cell) if population else None
    x, dh, mask = draw(T, N, D), draw(T, N, H, seed=5), ragged_mask()
    longer_x = np.concatenate([x, np.full((3, N, D), np.nan)])
    longer_mask = np.concatenate([mask, np.zeros((3, N), bool)])
    longer_dh = np.concatenate([dh, draw(3, N, H, seed=6)])
    dh[-1] += longer_dh[T:].sum(axis=0)                               # h_T is carried through the padding
    h, grads = run(cell, x, dh, mask=mask, statistics=statistics)
    longer_h, longer_grads = run(cell, longer_x, longer_dh, mask=longer_mask, statistics=statistics)
    np.testing.assert_array_equal(longer_h[:T], h)
    np.testing.assert_array_equal(longer_h[T:], np.broadcast_to(h[-1], (3, N, H)))
    assert np.all(longer_grads["x"][T:] == 0)
    longer_grads["x"] = longer_grads["x"][:T]
    assert_close(longer_grads, grads)


@EVERY_CASE
@pytest.mark.parametrize("population", [False, True])
def test_x_at_padded_steps_is_never_read(name, population):
    cell, x, mask = make_cell(name), draw(T, N, D), ragged_mask()
    statistics = make_population(cell) if population else None
    expected = run(cell, x, mask=mask, statistics=statistics)
    for garbage in (np.nan, np.inf, 1e300):
        h, grads = run(cell, np.where(mask[..., None], x, garbage), mask=mask, statistics=statistics)
        np.testing.assert_array_equal(h, expected[0])
        for key, value in expected[1].items():
            np.testing.assert_array_equal(grads[key], value)
        assert np.all(grads["x"][~mask] == 0)
        assert np.any(grads["x"][mask] != 0)


@EVERY_CASE
def test_padded_integers_are_never_looked_up(name):
    cell, mask = make_cell(name), ragged_mask()
    x = np.random.default_rng(0).integers(D, size=(T, N))
    h, grads = run(cell, x, mask=mask)
    h_garbage, grads_garbage = run(cell, np.where(mask, x, 10 ** 6), mask=mask)
    np.testing.assert_array_equal(h_garbage, h)
    np.testing.assert_array_equal(grads_garbage["W_x"], grads["W_x"])


@EVERY_CASE
def test_masks_of_any_dtype_are_equal(name):
    cell, x, mask = make_cell(name), draw(T, N, D), ragged_mask()
    h, grads = run(cell, x, mask=mask)
    for dtype in (np.int8, np.int64, np.uint8, np.float32, np.float64):
        other_h, other_grads = run(cell, x, mask=mask.astype(dtype))
        np.testing.assert_array_equal(other_h, h)
        for key, value in grads.items():
            np.testing.assert_array_equal(other_grads[key], value)


@EVERY_CASE
def test_a_mask_of_ones_is_no_mask(name):
    cell, x = make_cell(name), draw(T, N, D)
    h, grads = run(cell, x)
    masked_h, masked_grads = run(cell, x, mask=np.ones((T, N)))
    # Rounding: 1/N and mask/count may be added up in another order; BN amplifies it, see above.
    np.testing.assert_allclose(masked_h, h, rtol=0, atol=1e-12)
    assert_close(masked_grads, grads, 1e-11)


@EVERY_CASE
def test_a_step_without_live_examples_keeps_every_state(name):
    cell, mask = make_cell(name), ragged_mask()
    _, cache = cell.forward(draw(T, N, D), mask=mask)
    for states in [cache.h] + ([cache.c] if cell.blocks == 4 else []):
        np.testing.assert_array_equal(states[4], states[3])
        np.testing.assert_array_equal(states[1:][~mask[1:]], states[:-1][~mask[1:]])
        assert np.any(states[1:][mask[1:]] != states[:-1][mask[1:]], axis=-1).all()          # a relu's zeros stay


@pytest.mark.parametrize("name", ["bnrnn", "bnrnn_two_term"])
def test_a_step_with_one_live_example_outputs_beta(name):
    cell = make_cell(name)
    h, _ = cell.forward(draw(T, N, D), mask=ragged_mask())
    np.testing.assert_array_equal(h[3, 2], np.tanh(cell.params["b"]))


def test_a_step_with_one_live_example_outputs_beta_in_the_lstm():
    cell = make_cell("bnlstm")
    _, cache = cell.forward(draw(T, N, D), mask=ragged_mask())
    b = cell.params["b"].reshape(4, H)
    for gate, row in zip(("f_tilde", "i_tilde", "o_tilde", "g_tilde"), b, strict=True):
        np.testing.assert_array_equal(getattr(cache, gate)[3, 2], row)                       # 0 + 0 + b
    np.testing.assert_array_equal(cache.c_term[3, 2], cell.params["beta_c"])
    for term in ("x_hat", "h_hat", "c_hat"):
        assert np.all(getattr(cache, term)[3, 2] == 0)


def gradients_by_step(cell, cache, dh):
    seen = {}
    dx, _ = cell.backward(dh, cache, observe=lambda t, gradients, dstate: seen.update({t: gradients}))
    return dx, seen


@pytest.mark.parametrize("name", ["bnrnn", "bnrnn_two_term", "bnlstm"])
def test_a_step_with_one_live_example_passes_no_gradient_through_bn(name):
    cell = make_cell(name)
    _, cache = cell.forward(draw(T, N, D), mask=ragged_mask())
    dx, seen = gradients_by_step(cell, cache, draw(T, N, H, seed=5))
    for quantity in (seen[3].h_linear, seen[3].h_prev, dx[3]):
        assert np.all(quantity == 0)
    assert np.any(seen[2].h_linear != 0)
    assert np.all(dx[2][ragged_mask()[2]] != 0)


def test_a_step_with_one_live_example_carries_the_cells_gradient_on():
    cell = make_cell("bnlstm")
    _, cache = cell.forward(draw(T, N, D), mask=ragged_mask())
    dh = draw(T, N, H, seed=5)
    assert np.all(gradients_by_step(cell, cache, dh)[1][3].c_prev[2] != 0)                   # past the batch norm
    dh[[0, 1, 2, 4, 5, 6]] = 0
    assert np.all(gradients_by_step(cell, cache, dh)[1][3].c[2] == 0)                        # h_3 sees c_3 through BN


@EVERY_NORMALIZED_CELL
def test_a_batch_of_one_has_no_batch_statistics(name):
    cell, x = make_cell(name), draw(T, 1, D)
    with pytest.raises(ValueError, match=r"^x: batch statistics need N >= 2 examples, got N=1.*statistics="):
        cell.forward(x)
    with pytest.raises(ValueError, match=r"^x: batch statistics need N >= 2 examples, got N=1.*statistics="):
        SequenceClassifier(cell, K).predict(x)
    assert cell.forward(x, statistics=make_population(cell))[0].shape == (T, 1, H)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_cells_take_a_batch_of_one(name):
    assert make_cell(name).forward(draw(T, 1, D))[0].shape == (T, 1, H)


@FEW_EXAMPLES
@given(name=st.sampled_from(list(CASES)), population=st.booleans(), masked=st.booleans(), given_states=st.booleans(),
       integer=st.booleans(), **SIZES)
def test_every_size_works(name, population, masked, given_states, integer, T, N, D, H):
    cell = make_cell(name, D, H)
    x = np.random.default_rng(0).integers(D, size=(T, N)) if integer else draw(T, N, D)
    arguments = {
        "mask": np.random.default_rng(1).integers(2, size=(T, N)) if masked else None,
        "initial_state": draw_states(cell, N) if given_states else None,
        "statistics": make_population(cell, rows=3) if population else None,
    }
    refused = cell.terms and N == 1 and not population
    with pytest.raises(ValueError, match="N >= 2") if refused else contextlib.nullcontext():
        h, grads = run(cell, x, **arguments)
    if refused:
        return
    assert h.shape == (T, N, H)
    shapes = {key: value.shape for key, value in cell.params.items()}
    if given_states:
        shapes |= dict.fromkeys(cell.state_names, (N, H))
    dx = grads.pop("x")
    assert dx is None if integer else dx.shape == (T, N, D)
    assert {key: value.shape for key, value in grads.items()} == shapes
    assert all(np.all(np.isfinite(value)) for value in (h, *grads.values()))


@EVERY_CASE
@pytest.mark.parametrize("masked", [False, True])
def test_integer_x_is_one_hot_x(name, masked):
    cell, mask = make_cell(name), ragged_mask() if masked else None
    x = np.random.default_rng(0).integers(D, size=(T, N))
    states = draw_states(cell)
    h, grads = run(cell, x, mask=mask, initial_state=states)
    h_one_hot, one_hot = run(cell, np.eye(D)[x], mask=mask, initial_state=states)
    assert grads.pop("x") is None
    one_hot.pop("x")
    # Up to six examples share D = 3 rows: with a coinciding few, BN amplifies the rounding of their mean by 316.
    np.testing.assert_allclose(h, h_one_hot, rtol=0, atol=1e-11)
    assert_close(grads, one_hot, 1e-10)


@EVERY_CASE
def test_integer_dtypes_are_equal(name):
    cell, x = make_cell(name), np.random.default_rng(0).integers(D, size=(T, N))
    h, _ = cell.forward(x)
    for dtype in (np.uint8, np.int32):
        np.testing.assert_array_equal(cell.forward(x.astype(dtype))[0], h)


# Purity and dtypes.


def frozen(*arrays):
    for array in arrays:
        array.setflags(write=False)


@EVERY_CASE
@pytest.mark.parametrize("population", [False, True])
def test_no_argument_is_written_to(name, population):
    cell, x, mask, dh = make_cell(name), draw(T, N, D), ragged_mask(), draw(T, N, H, seed=5)
    states, statistics = draw_states(cell), make_population(cell) if population else None
    frozen(x, mask, dh, *states, *cell.params.values())               # writing raises
    if population:
        frozen(*statistics.to_arrays().values())
    _, cache = cell.forward(x, mask=mask, initial_state=states, statistics=statistics)
    cell.backward(dh, cache)
    assert statistics is None or tuple(statistics) == cell.terms      # no term was taken out of the dict


@EVERY_CASE
def test_a_model_writes_to_no_argument(name):
    cell = make_cell(name)
    model = SequenceClassifier(cell, K, rng=0)
    x, y, noise, mask = draw(T, N, D), np.arange(N) % K, draw(N, H, seed=6), ragged_mask()
    frozen(x, y, noise, mask, *model.params.values())
    model.loss_and_grads(x, y, mask=mask, initial_noise=noise)
    model.predict(x, mask=mask, initial_noise=noise)


@EVERY_CASE
def test_backward_is_pure(name):
    cell, x, other_x, dh = make_cell(name), draw(T, N, D), draw(T + 1, N, D, seed=7), draw(T, N, H, seed=5)
    _, cache = cell.forward(x)
    first = cell.backward(dh, cache)
    cell.forward(other_x)                                             # forward(x1), forward(x2), backward(cache1)
    second = cell.backward(dh, cache)
    np.testing.assert_array_equal(first[0], second[0])
    for key, value in first[1].items():
        np.testing.assert_array_equal(value, second[1][key])
        assert not any(np.shares_memory(value, p) for p in cell.params.values())


def cache_arrays(cache):
    """Every floating array of a layer's cache, and of the records in it."""
    def walk(value):
        if isinstance(value, np.ndarray):
            yield from [value] * (value.dtype.kind == "f")           # a step holds its mask too
        elif isinstance(value, tuple | list | Record):
            for item in value:
                yield from walk(item)

    yield from walk([list(cache.inputs), cache.sequence.steps, cache.sequence.states])


@EVERY_CASE
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("population", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_everywhere(name, masked, population, dtype):
    cell, x = make_cell(name, dtype=dtype), draw(T, N, D).astype(dtype)
    mask = ragged_mask().astype(np.float64) if masked else None       # the mask's dtype does not matter
    statistics = make_population(cell) if population else None        # float64: taken in the cell's dtype
    h, cache = cell.forward(x, mask=mask, statistics=statistics)
    seen = []

    def observe(t, gradients, dstate):
        seen.extend(dstate)
        for value in gradients:
            seen.extend(value if isinstance(value, tuple) else [value])

    dx, grads = cell.backward(draw(T, N, H).astype(dtype), cache, observe=observe)
    arrays = [h, dx, *grads.values(), *cache_arrays(cache), *(value for value in seen if isinstance(value, np.ndarray))]
    assert len(arrays) > 50
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@EVERY_CASE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_in_the_model(name, dtype):
    cell, x = make_cell(name, dtype=dtype), draw(T, N, D).astype(dtype)
    model = SequenceClassifier(cell, K, rng=0)
    noise = (0.1 * draw(N, H)).astype(dtype)
    loss, grads = model.loss_and_grads(x, np.arange(N) % K, initial_noise=noise)
    population = minibn.estimate_population_statistics(model, [(x, None)])
    arrays = [loss, *grads.values(), model.predict(x), *population.to_arrays().values(), *model.params.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert {key: value.shape for key, value in grads.items()} == {k: v.shape for k, v in model.params.items()}


# Time: pieces of a long sequence, statistics beyond T_max, averaged over time.


@EVERY_CASE
@pytest.mark.parametrize("masked", [False, True])
def test_pieces_are_the_long_run(name, masked):
    cell, x, mask = make_cell(name), draw(T, N, D), ragged_mask() if masked else None
    population = make_population(cell, rows=T - 2)
    h, _ = cell.forward(x, mask=mask, statistics=population)
    state, start = None, 0
    for stop in (1, 4, T):
        piece = slice(start, stop)
        piece_h, cache = cell.forward(x[piece], mask=mask if mask is None else mask[piece], initial_state=state,
                                      statistics=population, first_step=start)
        # The input term of all steps is one matrix product: of another shape, it may add in another order.
        np.testing.assert_allclose(piece_h, h[piece], rtol=0, atol=1e-13)
        np.testing.assert_array_equal(cache.final_state[0], piece_h[-1])
        state, start = cache.final_state, stop


@EVERY_NORMALIZED_CELL
def test_first_step_chooses_the_rows(name):
    cell, x = make_cell(name), draw(T, N, D)
    population = make_population(cell)
    h, _ = cell.forward(x, statistics=population)
    assert np.max(np.abs(cell.forward(x, statistics=population, first_step=1)[0] - h)) > 1e-3
    shifted = PopulationStatistics({
        term: Statistics(*(values[min(2, len(values) - 1):] for values in statistics))
        for term, statistics in population.items()})
    np.testing.assert_array_equal(cell.forward(x, statistics=population, first_step=2)[0],
                                  cell.forward(x, statistics=shifted)[0])


@EVERY_NORMALIZED_CELL
def test_beyond_t_max_the_last_row_repeats(name):
    cell, x = make_cell(name), draw(T, N, D)
    short = make_population(cell, rows=3)
    full = PopulationStatistics({
        term: Statistics(*(values[[0, 1, 2, 2, 2, 2, 2]] if len(values) == 3 else values for values in statistics))
        for term, statistics in short.items()})
    np.testing.assert_array_equal(cell.forward(x, statistics=short)[0], cell.forward(x, statistics=full)[0])
    far = cell.forward(x, statistics=short, first_step=10 ** 6)[0]    # the paper's longest test text has 446,184 steps
    last = PopulationStatistics({t: Statistics(*(v[-1:] for v in values)) for t, values in short.items()})
    np.testing.assert_array_equal(far, cell.forward(x, statistics=last)[0])


@EVERY_NORMALIZED_CELL
def test_averaged_over_time(name):
    cell, x = make_cell(name), draw(T, N, D)
    population = make_population(cell)
    averaged = population.averaged_over_time()
    assert isinstance(averaged, PopulationStatistics)
    for term, statistics in averaged.items():
        for field in Statistics._fields:
            values = getattr(population[term], field)
            assert getattr(statistics, field).shape == (1, values.shape[1])
            np.testing.assert_allclose(getattr(statistics, field)[0], sum(values) / len(values), rtol=1e-14)
    h, _ = cell.forward(x, statistics=averaged)
    np.testing.assert_array_equal(cell.forward(x, statistics=averaged, first_step=5)[0], h)  # the same at every step


@EVERY_CASE
@pytest.mark.parametrize("population", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_streaming_is_the_long_run(name, population, masked, monkeypatch):
    monkeypatch.setattr("minibn.layers.layer.PIECE_ELEMENTS", 2 * N * 4 * H)                  # LSTMs: pieces of two
    cell, x, mask = make_cell(name), draw(T, N, D), ragged_mask() if masked else None
    model = SequenceClassifier(cell, K, rng=0)
    statistics = make_population(cell) if population else None
    noise, y = draw(N, H), np.arange(N) % K
    whole, grads = model.loss_and_grads(x, y, mask=mask, statistics=statistics, initial_noise=noise)
    streamed = model.loss(x, y, mask=mask, statistics=statistics, initial_noise=noise)
    np.testing.assert_allclose(streamed, whole, rtol=0, atol=1e-12)
    if cell.terms and not population:
        state = (cell.params["h0"] + noise, *(np.tile(cell.params[name], (N, 1)) for name in cell.state_names[1:]))
        _, cache = cell.forward(x, mask=mask, initial_state=state)
        for term, expected in cache.statistics(cell.terms).items():
            for ours, theirs in zip(model.batch_statistics(x, mask, noise)[term], expected, strict=True):
                theirs = continue_dead_steps(theirs, mask.any(axis=1) if masked else None)
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)


# The model at the start.


@pytest.mark.parametrize("classes", [2, 10])
def test_the_initial_loss_is_ln_of_the_classes(classes):
    rng = np.random.default_rng(0)
    model = SequenceClassifier(BNLSTM(1, 50, rng=rng), classes, rng=rng)
    x, y = rng.random((30, 20, 1)), rng.integers(classes, size=20)
    noise = 0.1 * rng.standard_normal((20, 50))
    # gamma = 0.1 keeps |h| near .05, so the logits are small: their spread moves the loss by a few hundredths at most.
    assert abs(model.loss(x, y, initial_noise=noise) - np.log(classes)) < 0.05
    model.params["W_y"][:] = 0
    np.testing.assert_allclose(model.loss(x, y, initial_noise=noise), np.log(classes), rtol=1e-15)


@EVERY_CASE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_pre_activations_stay_finite(name, dtype, sign):
    cell = make_cell(name, dtype=dtype)
    cell.params["b"][:] = sign * 1e4
    x = 1e4 * draw(T, N, D).astype(dtype)
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        h, grads = run(cell, x)
        model = SequenceClassifier(cell, K, rng=0)
        model.params["W_y"][:] *= 1e4
        loss, model_grads = model.loss_and_grads(x, np.arange(N) % K)
    for value in (h, *grads.values(), loss, *model_grads.values()):
        assert np.all(np.isfinite(value))


# Initializers.


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 12), (5, 5), (4, 16), (16, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns(rows, columns):
    W = orthogonal(np.random.default_rng(0), rows, columns)
    assert W.shape == (rows, columns)
    gram = W @ W.T if rows <= columns else W.T @ W
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), rtol=0, atol=1e-14)


def test_tiled_is_the_authors_reader():
    """Every gate starts alike, at a twentieth of an orthogonal matrix; of a square input matrix, too."""
    W_h = recurrent_weights("tiled", np.random.default_rng(0), 5, 4)
    np.testing.assert_allclose(20 * W_h[:, :5] @ (20 * W_h[:, :5]).T, np.eye(5), atol=1e-14)
    assert all(np.array_equal(W_h[:, 5 * k:5 * k + 5], W_h[:, :5]) for k in range(4))
    square, other = (minibn.BNLSTM(D, 5, init="tiled", rng=0).params["W_x"] for D in (5, 3))
    assert np.array_equal(square[:, :5], square[:, 15:]) and np.abs(square).max() < 0.05
    np.testing.assert_allclose(other @ other.T, np.eye(3), atol=1e-14)


def test_identity_g_is_the_authors_mixture():
    W_h = recurrent_weights("identity_g", np.random.default_rng(0), 5, 4)
    np.testing.assert_array_equal(W_h[:, 15:], np.eye(5))             # the candidate, last of f, i, o, g
    np.testing.assert_allclose(W_h[:, :15] @ W_h[:, :15].T, np.eye(5), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, (cell, _) in CASES.items() if "init" in cell.options])
def test_initial_weights(name):
    H = 5
    cell = make(name, D, H, rng=0)
    W_x, W_h = cell.params["W_x"], cell.params["W_h"]
    np.testing.assert_allclose(W_h @ W_h.T, np.eye(H), rtol=0, atol=1e-14)
    np.testing.assert_allclose(W_x @ W_x.T, np.eye(D), rtol=0, atol=1e-14)
    identity = make(name, D, H, rng=0, init="identity").params["W_h"]
    np.testing.assert_array_equal(identity, np.concatenate([np.eye(H)] * cell.blocks, axis=1))
    b = np.zeros(cell.blocks * H)
    if cell.blocks == 4:
        b[:H] = 1                                                     # forget gates: the first block
        zero = make(name, D, H, rng=0, forget_bias=0.0).params["b"]
        np.testing.assert_array_equal(zero, 0 * b)
        W_h = make(name, D, H, rng=0, init="identity_g").params["W_h"]
        np.testing.assert_array_equal(W_h[:, 15:], np.eye(H))
    np.testing.assert_array_equal(cell.params["b"], b)
    for key, value in cell.params.items():
        if key.startswith("gamma"):
            assert np.all(value == 0.1)
        elif key in ("h0", "c0", "beta_c"):
            assert np.all(value == 0)


@EVERY_CASE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_seeds_reproduce_in_every_dtype(name, dtype):
    first = make(name, D, H, rng=7, dtype=dtype).params
    again = make(name, D, H, rng=np.random.default_rng(7), dtype=dtype).params
    other = make(name, D, H, rng=8, dtype=dtype).params
    double = make(name, D, H, rng=7).params
    for key, value in first.items():
        assert value.dtype == dtype
        np.testing.assert_array_equal(value, again[key])
        np.testing.assert_array_equal(value, double[key].astype(dtype))                      # the same draw, rounded
    assert np.any(first["W_x"] != other["W_x"])
