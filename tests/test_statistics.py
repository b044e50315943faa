"""Batch statistics, and population statistics re-estimated over a training set."""

import io
from fractions import Fraction

import numpy as np
import pytest

import minibn
import minibn.layers.base
from minibn import PopulationStatistics, Statistics, estimate_population_statistics
from minibn.statistics import batch_statistics, example_weights

D, H, K = 3, 2, 4
EPS = 1e-5


def normal(rng, *shape):
    return rng.standard_normal(shape)


def make_cell(cls=minibn.BNLSTM, seed=0, **settings):
    rng = np.random.default_rng(seed)
    cell = cls(D, H, rng=rng, **settings)
    cell.params = {name: (0.5 + 0.5 * rng.random(value.shape)).astype(value.dtype)
                   for name, value in cell.params.items()}
    return cell


def bn_rnn_statistics(params, x, mask=None):
    """Means and biased variances of the BN-RNN's sum at each live step, written out example by example."""
    T, N, _ = x.shape
    live = np.ones((T, N), dtype=bool) if mask is None else mask != 0
    h = np.tile(params["h0"], (N, 1))
    rows = {}
    for t in range(T):
        if not live[t].any():
            continue
        total = np.nan_to_num(x[t]) @ params["W_x"] + h @ params["W_h"]
        mean, variance = total[live[t]].mean(axis=0), total[live[t]].var(axis=0)
        new = np.tanh(params["gamma"] * (total - mean) / np.sqrt(variance + EPS) + params["b"])
        h = np.where(live[t][:, None], new, h)
        rows[t] = mean, variance
    return rows


def labelled(x, mask=None):
    y = np.zeros(x.shape[1], dtype=int)
    return (x, y) if mask is None else (x, y, mask)


# Batch statistics


def test_batch_statistics_are_the_mean_and_the_biased_variance():
    a = normal(np.random.default_rng(1), 4, 7, H)
    mean, variance = batch_statistics(a, example_weights(a))
    np.testing.assert_allclose(mean, a.mean(axis=1, keepdims=True), rtol=1e-13)
    np.testing.assert_allclose(variance, a.var(axis=1, keepdims=True), rtol=1e-13)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint8, np.float32, np.float64])
def test_masks_of_any_real_dtype(dtype):
    a = normal(np.random.default_rng(2), 3, 7, H)
    mask = np.array([[1, 1, 1, 1, 0, 1, 1], [0, 1, 1, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0]])
    mean, variance = batch_statistics(a, example_weights(a, mask.astype(dtype)))
    assert mean.dtype == variance.dtype == np.float64
    for t in range(3):
        live = a[t][mask[t] == 1]
        np.testing.assert_allclose(mean[t, 0], live.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(variance[t, 0], live.var(axis=0), rtol=1e-12, atol=1e-30)


def test_a_step_without_live_examples_has_zero_weights():
    weight = example_weights(np.ones((2, 5, H)), np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]))
    assert np.array_equal(weight, [[[0, 0, 0, 0, 0]], [[0.5, 0.5, 0, 0, 0]]])


@pytest.mark.parametrize("dtype, shift, size", [(np.float64, 1e8, 1e-3), (np.float32, 1e3, 1e-1)])
def test_small_variances_around_a_large_mean(dtype, shift, size):
    """Two passes: the error is the square of the mean's rounding, while a difference of squares loses every digit."""
    a = (shift + size * normal(np.random.default_rng(3), 7, 1)).astype(dtype)
    exact = [Fraction(float(value)) for value in a[:, 0]]
    centre = sum(exact) / len(exact)
    variance = float(sum((value - centre) ** 2 for value in exact) / len(exact))
    computed = batch_statistics(a, example_weights(a)).variance
    assert computed.dtype == dtype
    rounding = (np.finfo(dtype).eps * shift / size) ** 2
    tolerance = 4 * rounding + 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(computed.item(), variance, rtol=tolerance)
    difference_of_squares = (a * a).mean() - a.mean() ** 2
    assert abs(difference_of_squares - variance) > 100 * tolerance * variance


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_keep_the_dtype(dtype):
    a = np.ones((2, 5, H), dtype=dtype)
    for mask in (None, np.ones((2, 5), dtype=bool), np.ones((2, 5))):
        weight = example_weights(a, mask)
        assert weight.dtype == dtype and all(values.dtype == dtype for values in batch_statistics(a, weight))


# Population statistics as values


def made_up(terms=("x", "h", "c"), T_max=3):
    rng = np.random.default_rng(4)
    return PopulationStatistics({term: Statistics(normal(rng, T_max, H), rng.random((T_max, H))) for term in terms})


def test_rows_belong_to_steps_and_the_last_one_repeats():
    population = made_up()
    rows = population.at_steps(first_step=1, T=4, dtype=np.float32)
    for term in population:
        for values, given in zip(population[term], rows[term], strict=True):
            assert given.shape == (4, 1, H) and given.dtype == np.float32
            assert np.array_equal(given[:, 0], values[[1, 2, 2, 2]].astype(np.float32))


@pytest.mark.parametrize("first_step", [3, 40_000, 3_000_000_000])
def test_steps_far_beyond_the_last_row(first_step):
    """No time index of 16 or 32 bits that wraps."""
    population = made_up()
    rows = population.at_steps(first_step, 2, np.float64)
    assert np.array_equal(rows["h"].mean[:, 0], population["h"].mean[[2, 2]])


def test_averaged_over_time():
    population = made_up()
    averaged = population.averaged_over_time()
    assert type(averaged) is PopulationStatistics and list(averaged) == list(population)
    for term in population:
        for values, average in zip(population[term], averaged[term], strict=True):
            np.testing.assert_allclose(average, [(values[0] + values[1] + values[2]) / 3], rtol=1e-15)
    rows = averaged.at_steps(0, 5, np.float64)
    assert np.array_equal(rows["c"].variance[:, 0], np.repeat(averaged["c"].variance, 5, axis=0))


def test_to_arrays_and_back():
    population = made_up(("x", "document.forward.h"))
    arrays = population.to_arrays()
    assert set(arrays) == {"x.mean", "x.variance", "document.forward.h.mean", "document.forward.h.variance"}
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        again = PopulationStatistics.from_arrays(dict(saved))
    assert type(again) is PopulationStatistics and list(again) == list(population)
    for term in population:
        assert isinstance(again[term], Statistics)
        assert all(np.array_equal(a, b) for a, b in zip(again[term], population[term], strict=True))


def test_no_terms_to_arrays_and_back():
    assert PopulationStatistics().to_arrays() == {}
    assert PopulationStatistics.from_arrays({}) == {}


def test_a_layer_repeats_the_last_row():
    rng = np.random.default_rng(5)
    cell, x = make_cell(minibn.BNRNN), normal(rng, 6, 4, D)
    short = PopulationStatistics({"sum": Statistics(normal(rng, 3, H), rng.random((3, H)) + 0.5)})
    long = PopulationStatistics({"sum": Statistics(*(values[[0, 1, 2, 2, 2, 2]] for values in short["sum"]))})
    whole, _ = cell.forward(x, statistics=short)
    assert np.array_equal(whole, cell.forward(x, statistics=long)[0])
    # A later piece of the sequence takes the rows of its own steps.
    _, first = cell.forward(x[:2], statistics=short)
    later, _ = cell.forward(x[2:], statistics=short, initial_state=first.final_state, first_step=2)
    np.testing.assert_allclose(later, whole[2:], rtol=1e-13)
    assert not np.allclose(cell.forward(x[2:], statistics=short, initial_state=first.final_state)[0], whole[2:])


# Estimates


def test_plain_average_over_batches():
    """Every batch counts the same, a smaller last one too, and the spread of the batches' means is not added."""
    rng = np.random.default_rng(6)
    cell = make_cell(minibn.BNRNN)
    batches = [normal(rng, 4, N, D) + shift for N, shift in ((5, 0), (5, 3), (2, -1))]
    population = estimate_population_statistics(cell, map(labelled, batches))
    assert list(population) == ["sum"] and population["sum"].mean.shape == (4, H)
    rows = [bn_rnn_statistics(cell.params, x) for x in batches]
    for t in range(4):
        for field in (0, 1):
            np.testing.assert_allclose(population["sum"][field][t], sum(row[t][field] for row in rows) / 3, rtol=1e-12)


def test_ragged_batches_are_continued_with_their_last_step():
    """Whichever comes first, the shorter or the longer."""
    rng = np.random.default_rng(7)
    cell = make_cell(minibn.BNRNN)
    long, short, middle = normal(rng, 5, 4, D), normal(rng, 2, 4, D), normal(rng, 3, 4, D)
    rows = [bn_rnn_statistics(cell.params, x) for x in (long, short, middle)]
    sources = [(t, min(t, 1), min(t, 2)) for t in range(5)]
    for order in ((long, short, middle), (short, middle, long)):
        population = estimate_population_statistics(cell, map(labelled, order))
        for t, steps in enumerate(sources):
            for field in (0, 1):
                expected = sum(row[step][field] for row, step in zip(rows, steps, strict=True)) / 3
                np.testing.assert_allclose(population["sum"][field][t], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_dead_steps_are_continued(dtype):
    """A step without a live example takes the values of the one before, the first ones those of the first live one."""
    rng = np.random.default_rng(8)
    cell = make_cell(minibn.BNRNN)
    dead_steps, full = normal(rng, 6, 5, D), normal(rng, 7, 4, D)
    mask = np.ones((6, 5))
    mask[[0, 3, 5]] = 0
    mask[1, 2] = mask[4, 0] = 0
    dead_steps[mask == 0] = np.nan                     # never read
    rows, full_rows = bn_rnn_statistics(cell.params, dead_steps, mask), bn_rnn_statistics(cell.params, full)
    assert sorted(rows) == [1, 2, 4]
    population = estimate_population_statistics(
        cell, [labelled(dead_steps, mask.astype(dtype)), labelled(full, np.ones((7, 4)).astype(dtype))])
    for t, source in enumerate([1, 1, 2, 2, 4, 4, 4]):
        for field in (0, 1):
            np.testing.assert_allclose(population["sum"][field][t], (rows[source][field] + full_rows[t][field]) / 2,
                                       rtol=1e-12)


def test_batches_without_a_live_step_do_not_count():
    rng = np.random.default_rng(9)
    cell, x = make_cell(minibn.BNRNN), normal(rng, 3, 5, D)
    dead = labelled(normal(rng, 8, 5, D), np.zeros((8, 5)))
    population = estimate_population_statistics(cell, [dead, labelled(x), dead])
    assert_equal(population, estimate_population_statistics(cell, [labelled(x)]))


def assert_equal(one, other):
    assert list(one) == list(other)
    for term in one:
        assert all(np.array_equal(a, b) for a, b in zip(one[term], other[term], strict=True)), term


@pytest.mark.parametrize("batches", [[], iter(()), [labelled(np.ones((3, 5, D)), np.zeros((3, 5)))]])
def test_nothing_to_average(batches):
    with pytest.raises(ValueError, match="batches: expected at least one minibatch with a live step, got none"):
        estimate_population_statistics(make_cell(), batches)


def test_an_iterator_that_is_used_up():
    batches = iter([labelled(np.random.default_rng(10).random((3, 5, D)))])
    estimate_population_statistics(make_cell(), batches)
    with pytest.raises(ValueError, match="not one that is used up"):
        estimate_population_statistics(make_cell(), batches)


def test_a_batch_of_one_has_no_statistics():
    with pytest.raises(ValueError, match="N=1"):
        estimate_population_statistics(make_cell(), [labelled(np.ones((3, 1, D)))])


@pytest.mark.parametrize("cls", [minibn.RNN, minibn.LSTM])
def test_plain_cells_have_none(cls):
    """They do not even look at the batches."""
    population = estimate_population_statistics(make_cell(cls), iter([None]))
    assert type(population) is PopulationStatistics and population == {}


def test_every_term_of_the_bn_lstm():
    rng = np.random.default_rng(11)
    cell, x = make_cell(), normal(rng, 3, 6, D)
    population = estimate_population_statistics(cell, [labelled(x)])
    _, cache = cell.forward(x)
    for term, G in (("x", 4 * H), ("h", 4 * H), ("c", H)):
        mean, variance = population[term]
        assert mean.shape == variance.shape == (3, G)
        assert np.array_equal(mean, getattr(cache, f"{term}_mean")[:, 0])
        assert np.array_equal(variance, getattr(cache, f"{term}_variance")[:, 0])
    np.testing.assert_allclose(population["x"].variance, (x @ cell.params["W_x"]).var(axis=1), rtol=1e-12)
    np.testing.assert_allclose(population["c"].mean, cache.c.mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("cls", [minibn.BNLSTM, minibn.BNRNNTwoTerm])
def test_an_input_normalized_per_sequence_has_a_single_row(cls, integer):
    """However long the batches are, and however many of their steps are dead."""
    rng = np.random.default_rng(12)
    cell = make_cell(cls, input_statistics="sequence")

    def draw(*shape):
        return rng.integers(0, D, shape) if integer else normal(rng, *shape, D)

    long, short = draw(5, 6), draw(2, 6)
    mask = np.ones((5, 6))
    mask[3:] = mask[1, 2] = 0
    population = estimate_population_statistics(cell, [labelled(long, mask), labelled(short)])
    W_x = cell.params["W_x"]
    rows = [W_x[x] if integer else x @ W_x for x in (long[mask == 1], short.reshape(12, *short.shape[2:]))]
    np.testing.assert_allclose(population["x"].mean, [(rows[0].mean(axis=0) + rows[1].mean(axis=0)) / 2], rtol=1e-12)
    np.testing.assert_allclose(population["x"].variance, [(rows[0].var(axis=0) + rows[1].var(axis=0)) / 2], rtol=1e-12)
    assert population["h"].mean.shape == (5, cell.blocks * H)
    assert np.array_equal(population["h"].mean[3], population["h"].mean[4])
    # One example, longer than any batch, from a later step on: the single row serves every step.
    h, cache = cell.forward(draw(7, 1), statistics=population, first_step=2)
    assert h.shape == (7, 1, H)
    assert np.array_equal(cache.x_mean, population["x"].mean[None])
    hat = (cache.x_linear - population["x"].mean) / np.sqrt(population["x"].variance + EPS)
    np.testing.assert_allclose(cache.x_term, hat * cell.params["gamma_x"], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_estimates_have_the_dtype_of_the_model(dtype):
    model = minibn.SequenceClassifier(make_cell(dtype=dtype), K, rng=0)
    x = np.random.default_rng(13).random((3, 6, D)).astype(dtype)
    population = estimate_population_statistics(model, [labelled(x), labelled(x)])
    assert {values.dtype for statistics in population.values() for values in statistics} == {np.dtype(dtype)}
    for term in population:         # the average of two equal batches: sums are kept in float64, so nothing is lost
        assert np.array_equal(population[term].mean, getattr(model.cell.forward(x)[1], f"{term}_mean")[:, 0])


def test_noise_is_drawn_for_each_batch():
    rng = np.random.default_rng(14)
    model = minibn.SequenceClassifier(make_cell(), K, rng=0)
    batches = [normal(rng, 2, N, D) for N in (4, 5, 3)]
    noise = [normal(rng, N, H) for N in (4, 5, 3)]
    asked = []

    def draw_noise(index, N):
        asked.append((index, N))
        return noise[index]

    population = estimate_population_statistics(model, map(labelled, batches), draw_noise)
    assert asked == [(0, 4), (1, 5), (2, 3)]
    first = [(model.cell.params["h0"] + drawn) @ model.cell.params["W_h"] for drawn in noise]
    np.testing.assert_allclose(population["h"].mean[0], sum(a.mean(axis=0) for a in first) / 3, rtol=1e-12)
    np.testing.assert_allclose(population["h"].variance[0], sum(a.var(axis=0) for a in first) / 3, rtol=1e-12)


def test_estimating_changes_nothing():
    model = minibn.SequenceClassifier(make_cell(), K, rng=0)
    before = {name: value.copy() for name, value in model.params.items()}
    x = normal(np.random.default_rng(15), 3, 6, D)
    kept = x.copy()
    one, other = (estimate_population_statistics(model, [labelled(x)]) for _ in range(2))
    assert_equal(one, other)
    assert np.array_equal(x, kept)
    assert all(np.array_equal(model.params[name], value) for name, value in before.items())


# Streaming over time: the same numbers from bounded memory


@pytest.mark.parametrize("steps", [1, 3, 100])
@pytest.mark.parametrize("input_statistics", ["step", "sequence"])
@pytest.mark.parametrize("masked", [False, True])
def test_pieces_of_a_sequence_equal_the_whole(steps, input_statistics, masked, monkeypatch):
    rng = np.random.default_rng(16)
    model = minibn.SequenceClassifier(make_cell(input_statistics=input_statistics), K, rng=0)
    T, N = 8, 6
    x, noise = normal(rng, T, N, D), normal(rng, N, H)
    mask = None
    if masked:
        mask = (np.arange(T)[:, None] < rng.integers(3, T + 1, N)).astype(float)
    whole = model.batch_statistics(x, mask, noise)
    population = PopulationStatistics(whole)
    lengths = []
    forward = type(model.cell).forward_only

    def counted(self, x, *arguments):
        lengths.append(len(x))
        return forward(self, x, *arguments)

    calls = {
        "batch_statistics": lambda: model.batch_statistics(x, mask, noise),
        "logits": lambda: model.logits(x, mask, None, noise),
        "logits with population statistics": lambda: model.logits(x, mask, population, noise),
    }
    in_one_piece = {name: call() for name, call in calls.items()}
    monkeypatch.setattr(minibn.layers.layer, "PIECE_ELEMENTS", steps * N * 4 * H)
    monkeypatch.setattr(type(model.cell), "forward_only", counted)
    for name, call in calls.items():
        lengths.clear()
        pieces = call()
        one_piece = steps >= T or (input_statistics == "sequence" and "population" not in name)
        assert lengths == ([T] if one_piece else [min(steps, T - t) for t in range(0, T, steps)])
        # A matrix product of fewer rows may sum in another order: equal up to rounding, not bit by bit.
        if name == "batch_statistics":
            for term in whole:
                for a, b in zip(pieces[term], in_one_piece[name][term], strict=True):
                    assert a.shape == b.shape
                    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        else:
            np.testing.assert_allclose(pieces, in_one_piece[name], rtol=1e-10, atol=1e-12)


def test_a_piece_is_never_shorter_than_a_step(monkeypatch):
    monkeypatch.setattr(minibn.layers.layer, "PIECE_ELEMENTS", 1)
    cell, x = make_cell(minibn.BNRNN), normal(np.random.default_rng(17), 3, 5, D)
    assert [h.shape for h, _ in cell.forward_in_pieces(x)] == [(1, 5, H)] * 3


def test_the_length_of_the_pieces_can_be_given():
    x = normal(np.random.default_rng(18), 5, 6, D)
    h, cache = make_cell().forward(x)
    population = PopulationStatistics(cache.statistics(make_cell().terms))

    def lengths(cell, **arguments):
        return [len(h) for h, _ in cell.forward_in_pieces(x, **arguments)]

    per_sequence = make_cell(input_statistics="sequence")
    of_sequence = PopulationStatistics({**population, "x": Statistics(*(v[:1] for v in population["x"]))})
    for cell, arguments in ((make_cell(), {}), (make_cell(), {"statistics": population}),
                            (per_sequence, {"statistics": of_sequence})):
        assert lengths(cell, piece_steps=2, **arguments) == [2, 2, 1]
        assert lengths(cell, piece_steps=1, **arguments) == [1] * 5
        assert lengths(cell, piece_steps=99, **arguments) == lengths(cell, **arguments) == [5]
    assert lengths(per_sequence, piece_steps=2) == [5]                # its statistics are of the whole sequence


def test_a_piece_has_no_more_steps_than_fit_whatever_its_width(monkeypatch):
    monkeypatch.setattr(minibn.layers.layer, "PIECE_STEPS", 3)
    x = normal(np.random.default_rng(19), 8, 6, D)
    assert [len(h) for h, _ in make_cell().forward_in_pieces(x)] == [3, 3, 2]
    wide = minibn.RNN(100, 2, rng=0)                                  # x is wider than anything in the cell
    monkeypatch.setattr(minibn.layers.layer, "PIECE_ELEMENTS", 2 * 6 * 100)
    assert [len(h) for h, _ in wide.forward_in_pieces(np.zeros((5, 6, 100)))] == [2, 2, 1]
