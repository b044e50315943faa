"""The language model: what it computes at every step, long texts in pieces, sampling, and what bad input is told."""

import tracemalloc
import warnings

import numpy as np
import pytest

import minibn
from minibn.equations.losses import log_softmax
from minibn.gradcheck import check_gradients
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm
from minibn.models import LanguageModel, SequenceClassifier
from minibn.models.language_model import draw_symbol
from minibn.statistics import PopulationStatistics, Statistics

T, N, H, K = 5, 7, 4, 6
CELLS = [RNN, BNRNN, BNRNNTwoTerm, LSTM, BNLSTM]
EVERY_CELL = pytest.mark.parametrize("cls", CELLS)
EVERY_ENGINE = pytest.mark.parametrize("engine", ["equations", "kernels"])

X = np.random.default_rng(0).permuted(np.arange(T * N).reshape(T, N) % K, axis=1)    # no step with all symbols equal
Y = np.random.default_rng(1).integers(K, size=(T, N))
NOISE = 0.1 * np.random.default_rng(2).standard_normal((N, H))
MASK = np.arange(T)[:, None] < np.array([5, 3, 4, 5, 3, 4, 5])


def randomise(model, seed=3):
    """Random, non-zero parameters, b_y, h0 and c0 included: zeros hide wrong gradients."""
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        drawn = rng.uniform(0.5, 1.5, value.shape) if "gamma" in name else rng.standard_normal(value.shape) / 2
        model.params[name] = drawn.astype(model.dtype)
    return model


def make_model(cls=BNLSTM, dtype=np.float64, **settings):
    return randomise(LanguageModel(cls(K, H, rng=0, dtype=dtype, **settings), K, rng=1))


def make_population(model, rows=3):
    rng = np.random.default_rng(4)
    shapes = {term: (rows, model.cell.term_size(term)) for term in model.terms}
    return PopulationStatistics({term: Statistics(0.3 * rng.standard_normal(shape), rng.uniform(0.5, 1.5, shape))
                                 for term, shape in shapes.items()})


@pytest.fixture
def model():
    return make_model()


# What it computes.


def test_the_size_of_the_vocabulary_is_all_that_counts():
    symbols = [LanguageModel(LSTM(3, H, rng=0), vocabulary, rng=5) for vocabulary in ("abc", ["x", "y", "z"], 3)]
    for model in symbols:
        assert {name: value.shape for name, value in model.params.items() if "cell" not in name} == \
            {"W_y": (H, 3), "b_y": (3,)}
        np.testing.assert_array_equal(model.params["W_y"], symbols[0].params["W_y"])
        assert model.classes == 3
    assert symbols[0].vocabulary == symbols[0].map_params(np.copy).vocabulary == "abc"
    assert np.all(symbols[0].params["b_y"] == 0)
    assert minibn.LanguageModel is LanguageModel


@EVERY_CELL
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_the_mean_over_live_steps_and_examples(cls, masked):
    model, mask = make_model(cls), MASK if masked else None
    live = np.ones((T, N), bool) if mask is None else mask
    x, y = np.where(live, X, -3), np.where(live, Y, 99)               # padding is never read
    h, _ = model.cell.forward(X, mask=mask)
    z = h @ model.params["W_y"] + model.params["b_y"]
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    # 1e-12: rounding of sums of a few terms, for logits of about 1.
    np.testing.assert_allclose(model.logits(x, mask=mask), z, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict(x, mask=mask), p, rtol=0, atol=1e-12)
    each = [-np.log(p[t, n, Y[t, n]]) for t in range(T) for n in range(N) if live[t, n]]
    np.testing.assert_allclose(model.loss(x, y, mask=mask), np.mean(each), rtol=1e-12)
    loss, correct = model.totals(x, y, mask=mask)
    np.testing.assert_allclose(loss, np.sum(each), rtol=1e-12)
    assert correct == ((z.argmax(axis=-1) == Y) & live).sum() > 0
    assert model.loss(x, y, mask=mask).shape == ()


@EVERY_CELL
@EVERY_ENGINE
@pytest.mark.parametrize("given", [(), ("mask",), ("mask", "noise", "statistics"), ("noise", "floating x")],
                         ids="-".join)
def test_gradients(cls, engine, given):
    model = make_model(cls, engine=engine)
    arguments = {"mask": MASK} if "mask" in given else {}
    if "noise" in given:
        arguments["initial_noise"] = NOISE
    if "statistics" in given:
        arguments["statistics"] = make_population(model)
    x = np.random.default_rng(6).standard_normal((T, N, K)) if "floating x" in given else X
    loss, grads = model.loss_and_grads(x, Y, **arguments)
    np.testing.assert_allclose(loss, model.loss(x, Y, **arguments), rtol=1e-13)
    assert {name: value.shape for name, value in grads.items()} == {k: v.shape for k, v in model.params.items()}
    for method in ("complex", "central"):
        report = check_gradients(model, x, Y, method=method, elementwise=method == "complex", **arguments)
        assert report.ok, f"\n{report}"


@EVERY_CELL
@EVERY_ENGINE
def test_padded_steps_change_nothing(cls, engine):
    model = make_model(cls, engine=engine)
    mask = np.arange(T + 2)[:, None] < np.full(N, T)
    x, y = np.concatenate([X, np.full((2, N), -1)]), np.concatenate([Y, np.full((2, N), -1)])
    loss, grads = model.loss_and_grads(X, Y, initial_noise=NOISE)
    longer_loss, longer = model.loss_and_grads(x, y, mask=mask, initial_noise=NOISE)
    # A matrix product of more rows may add in another order: rounding, which BN multiplies by a few hundred at most.
    np.testing.assert_allclose(longer_loss, loss, rtol=1e-12)
    largest = max(np.abs(value).max() for value in grads.values())
    for name, value in grads.items():
        np.testing.assert_allclose(longer[name], value, rtol=0, atol=1e-12 * largest, err_msg=name)


@EVERY_CELL
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("masked", [False, True])
def test_the_kernels_are_no_further_away_than_a_permuted_batch(cls, dtype, masked):
    readable, fast = make_model(cls, dtype), make_model(cls, dtype, engine="kernels")
    mask, noise = MASK if masked else None, NOISE.astype(dtype)

    def run(model, order=slice(None)):
        loss, grads = model.loss_and_grads(X[:, order], Y[:, order], None if mask is None else mask[:, order],
                                           initial_noise=noise[order])
        return {"loss": loss, **grads}

    expected, got = run(readable), run(fast)
    permuted = [run(readable, np.random.default_rng(k).permutation(N)) for k in range(5)]
    largest = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        size = max(np.abs(value).max(), 1e-3 * largest)
        moved = max(np.abs(value - other[name]).max() for other in permuted) / size
        # The project's measure; a sum over a permuted batch may round to the same bits, the kernels' may not.
        assert np.abs(value - got[name]).max() / size <= max(10 * moved, 8 * np.finfo(dtype).eps), (name, moved)


@EVERY_ENGINE
@pytest.mark.parametrize("dtype, offset", [(np.float64, 1e6), (np.float32, 100)])
def test_small_variances_beside_a_large_mean_are_not_lost(engine, dtype, offset):
    """Rows of W_x that differ by 1e-3 about a large constant: a difference of squares has no digit left of 1e-6."""
    cell = BNLSTM(K, H, rng=0, dtype=dtype, engine=engine)
    cell.params["W_x"] = (offset + 1e-3 * np.random.default_rng(0).standard_normal((K, 4 * H))).astype(dtype)
    x = np.random.default_rng(1).integers(K, size=(3, 64))
    rows = cell.params["W_x"][x]                                      # (3, 64, 4H)
    exact = rows.astype(np.float64).var(axis=1)
    squares = (rows ** 2).mean(axis=1) - rows.mean(axis=1) ** 2
    assert np.max(np.abs(squares / exact - 1)) > 1                    # the trap is one
    # One rounding of the offset, in units of what the rows differ by: 2e-7 and 1.2e-2. The equations take the stored
    # rows and are much better; the kernels multiply W_x with centred one-hot rows, and round once more.
    np.testing.assert_allclose(cell.batch_statistics(x)["x"].variance, exact, rtol=np.finfo(dtype).eps * offset / 1e-3)


@EVERY_ENGINE
def test_integer_dtypes_are_equal(engine, model, tmp_path):
    model = make_model(engine=engine)
    population = make_population(model)
    X.astype(np.uint8).tofile(tmp_path / "text")
    mapped = np.memmap(tmp_path / "text", dtype=np.uint8, mode="r")
    loss, grads = model.loss_and_grads(X, Y, initial_noise=NOISE)
    for dtype in (np.uint8, np.int32, np.uint16, "memory-mapped"):
        x, y = (mapped.reshape(T, N), Y.astype(np.uint8)) if dtype == "memory-mapped" else \
            (X.astype(dtype), Y.astype(dtype))
        same_loss, same = model.loss_and_grads(x, y, initial_noise=NOISE)
        np.testing.assert_array_equal(same_loss, loss)
        assert type(same_loss) is type(loss)
        for name, value in grads.items():
            np.testing.assert_array_equal(same[name], value, err_msg=name)
    text = mapped[:, None]                                            # (T * N, 1): one text, read where it lies
    np.testing.assert_array_equal(model.totals(text[:-1], text[1:], statistics=population),
                                  model.totals(X.reshape(-1, 1)[:-1], X.reshape(-1, 1)[1:], statistics=population))


# Facts.


@EVERY_ENGINE
@pytest.mark.parametrize("cls", [LSTM, BNLSTM])
def test_an_untrained_model_needs_log2_of_k_bits_per_character(cls, engine):
    """Small states, so small logits: their squares, about h^2 / 2 <= 0.01 nats, are all that is added to log K."""
    rng = np.random.default_rng(0)
    symbols, steps, N = 50, 50, 64
    model = LanguageModel(cls(symbols, 200, rng=rng, engine=engine), symbols, rng=rng)
    x, y = rng.integers(symbols, size=(2, steps, N))
    assert abs(model.loss(x, y) / np.log(2) - np.log2(symbols)) < 0.01
    model.params["W_y"][:] = 0
    # Every prediction is 1/50 to the bit; the mean of 3,200 equal numbers rounds.
    np.testing.assert_allclose(model.loss(x, y) / np.log(2), np.log2(symbols), rtol=1e-12)
    np.testing.assert_allclose(model.predict(x), 1 / symbols, rtol=1e-12)


def test_population_statistics_of_ragged_batches(model):
    rng = np.random.default_rng(8)
    batches = [(X, Y, MASK), (rng.integers(K, size=(2, 5)), rng.integers(K, size=(2, 5)))]
    population = minibn.estimate_population_statistics(model, batches)
    masked, short = model.batch_statistics(X, MASK), model.batch_statistics(batches[1][0])
    for term, values in population.items():
        for got, a, b in zip(values, masked[term], short[term], strict=True):
            # The shorter goes on with its last step; an average of two is exact but for one rounding.
            np.testing.assert_allclose(got, (a + b[[0, 1, 1, 1, 1]]) / 2, rtol=1e-14)
    assert population["h"].mean.shape == (T, 4 * H)
    # An example's predictions do not depend on its batch mates.
    p = model.predict(X, statistics=population)
    np.testing.assert_allclose(model.predict(X[:, :1], statistics=population), p[:, :1], rtol=0, atol=1e-12)


# Long texts, in pieces.


TOTALS = 1e-10      # relative: rounding of products with another number of rows, and of the sums' order


@EVERY_CELL
@EVERY_ENGINE
@pytest.mark.parametrize("masked", [False, True])
def test_totals_do_not_depend_on_the_pieces(cls, engine, masked):
    rng = np.random.default_rng(9)
    steps = 101
    model = make_model(cls, engine=engine)
    statistics = make_population(model, rows=40)                      # the last entry repeats
    x, y = rng.integers(K, size=(2, steps, 1))
    mask = rng.random((steps, 1)) < 0.8 if masked else None
    arguments = {"mask": mask, "statistics": statistics, "initial_noise": NOISE[:1]}
    loss, correct = model.totals(x, y, **arguments)
    predictions = steps if mask is None else mask.sum()
    np.testing.assert_allclose(loss, model.loss(x, y, **arguments) * predictions, rtol=TOTALS)
    right = model.predict(x, mask, statistics, NOISE[:1]).argmax(axis=-1) == y
    assert correct == (right if mask is None else right & mask).sum()
    for value in (loss, correct):
        assert isinstance(value, np.ndarray) and value.shape == () and value.dtype == np.float64
    for piece_steps in (1, 7, 40, 41, steps - 1, steps, 10 * steps):
        other = model.totals(x, y, piece_steps=piece_steps, **arguments)
        np.testing.assert_allclose(other[0], loss, rtol=TOTALS)
        assert other[1] == correct


@EVERY_CELL
@pytest.mark.parametrize("piece_steps", [1, 2, 3, T, None])
def test_totals_of_a_classifier(cls, piece_steps):
    model = randomise(SequenceClassifier(cls(K, H, rng=0), 3, rng=1))
    y = Y[0] % 3
    for arguments in ({}, {"mask": MASK}, {"mask": MASK, "statistics": make_population(model)}):
        loss, correct = model.totals(X, y, initial_noise=NOISE, piece_steps=piece_steps, **arguments)
        np.testing.assert_allclose(loss, N * model.loss(X, y, initial_noise=NOISE, **arguments), rtol=TOTALS)
        p = model.predict(X, initial_noise=NOISE, **arguments)
        assert correct == (p.argmax(axis=1) == y).sum()
        assert isinstance(loss, np.ndarray) and loss.dtype == correct.dtype == np.float64


def test_totals_add_in_float64():
    model = make_model(LSTM, np.float32)
    x, y = np.random.default_rng(0).integers(K, size=(2, 2000, 50))
    loss, _ = model.totals(x, y)
    each = np.take_along_axis(log_softmax(model.logits(x)), y[..., None], axis=-1)
    assert each.dtype == np.float32
    # 1e-12: another order of 100,000 float64 terms. Added in float32 they would be off by 1e-8 or more.
    np.testing.assert_allclose(loss, -each.astype(np.float64).sum(), rtol=1e-12)


@EVERY_ENGINE
def test_the_memory_of_totals_does_not_grow_with_the_text(engine):
    model = LanguageModel(BNLSTM(K, H, rng=0, dtype=np.float32, engine=engine), K, rng=1)
    statistics = make_population(model)
    peaks = []
    for steps in (2_100, 5_200):                     # two pieces of 1,024 at least, the last and the next
        text = np.random.default_rng(0).integers(K, size=(steps + 1, 1), dtype=np.uint8)
        tracemalloc.start()
        model.totals(text[:-1], text[1:], statistics=statistics)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A kilobyte for each step at the least, if they were kept: 3 MB more for the second.
    assert peaks[1] < peaks[0] + 1e6, peaks
    assert peaks[1] < 50e6, peaks


# Sampling.


def naive_sample(model, prompt, length, temperature, seed, statistics):
    """Everything again from the start for every symbol; drawn by counting, not by searching."""
    rng, text = np.random.default_rng(seed), list(prompt)
    for _ in range(length):
        z = model.logits(np.array(text)[:, None], statistics=statistics)[-1, 0] / temperature
        p = np.exp(z - z.max())
        cumulative, uniform = np.cumsum(p / p.sum()), rng.random()
        text.append(next(k for k in range(K) if uniform < cumulative[k]))
    return text[len(prompt):]


@EVERY_CELL
@EVERY_ENGINE
@pytest.mark.parametrize("temperature", [1.0, 0.5, 3])
def test_sampling_is_the_growing_text_from_scratch(cls, engine, temperature):
    model = make_model(cls, engine=engine)
    statistics = make_population(model, rows=12) if model.terms else None      # some for the prompt, some after it
    prompt = np.array([3, 0, 5], np.uint8)
    symbols = model.sample(prompt, 30, temperature, rng=7, statistics=statistics)
    assert symbols.tolist() == naive_sample(model, prompt, 30, temperature, 7, statistics)
    assert symbols.shape == (30,) and symbols.dtype == np.int64
    again = model.sample(prompt, 30, temperature, rng=np.random.default_rng(7), statistics=statistics)
    np.testing.assert_array_equal(again, symbols)
    assert model.sample(prompt, 30, temperature, rng=8, statistics=statistics).tolist() != symbols.tolist()


@pytest.mark.parametrize("temperature", [1e-3, 1e-20, 5e-324])
def test_towards_temperature_zero_the_most_probable_symbol_is_drawn(model, temperature):
    statistics = make_population(model)
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        symbols = model.sample(np.array([1]), 20, temperature, rng=0, statistics=statistics)
    text = [1]
    for _ in range(20):
        text.append(model.logits(np.array(text)[:, None], statistics=statistics)[-1, 0].argmax())
    assert symbols.tolist() == text[1:]


def test_the_frequencies_are_the_predictions(model):
    statistics, prompt, draws = make_population(model), np.array([2, 4]), 4000
    p = model.predict(prompt[:, None], statistics=statistics)[-1, 0]
    rng = np.random.default_rng(0)
    drawn = [model.sample(prompt, 1, rng=rng, statistics=statistics)[0] for _ in range(draws)]
    counts = np.bincount(drawn, minlength=K)
    assert draws * p.min() > 5                                        # so that chi^2 has its distribution
    # K - 1 = 5 degrees of freedom: 20.5 is exceeded once in a thousand seeds; this one is fixed.
    assert ((counts - draws * p) ** 2 / (draws * p)).sum() < 20.5


def test_a_draw_inverts_the_distribution():
    logits = np.log([0.25, 0.5, 0.25])
    for uniform, symbol in ((0, 0), (0.249, 0), (0.251, 1), (0.749, 1), (0.751, 2), (1 - 2 ** -53, 2)):
        assert draw_symbol(logits, 1.0, uniform) == symbol
    # Impossible symbols are not drawn, at either end, nor beyond the last.
    for uniform in (0.0, 0.5, 1 - 2 ** -53):
        assert draw_symbol(np.array([-1e4, 3.0, -1e4]), 1.0, uniform) == 1
    assert draw_symbol(np.array([1e38, -1e38], np.float32), 1e-300, 0.999) == 0
    assert draw_symbol(np.array([0.0, 5.0]), np.inf, 0.49) == 0       # all alike


# Bad input.


def assert_refused(error, call, argument, *words):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{argument}: "), message
    for word in words:
        assert word in message, (word, message)
    assert "\n" not in message


BAD_Y = {
    "last step only": (ValueError, Y[-1], "(T=5, N=7)", "(7,)", "time-major"),
    "another T": (ValueError, Y[:-1], "(T=5, N=7)", "(4, 7)", "axis T must be 5"),
    "another N": (ValueError, Y[:, 1:], "(T=5, N=7)", "(5, 6)", "axis N must be 7"),
    "floats": (TypeError, Y.astype(float), "integer", "float64", "y.astype"),
    "one-hot": (TypeError, np.eye(K)[Y], "integer", "float64"),
    "too large": (ValueError, Y + 1, "0 .. 5", "1 .. 6", "check_batch"),
    "negative": (ValueError, Y - 1, "0 .. 5", "-1 .. 4", "check_batch"),
    "a list": (TypeError, Y.tolist(), "(T=5, N=7)", "list", "numpy.asarray"),
    "None": (TypeError, None, "(T=5, N=7)", "NoneType"),
}
BAD_X = {
    "another dtype": (TypeError, np.eye(K, dtype=np.float32)[X], "float64", "float32", "x.astype('float64')"),
    "another K": (ValueError, np.eye(K + 1)[X], "(T, N, D=6)", "(5, 7, 7)", "axis D must be 6"),
    "floats of two axes": (TypeError, X.astype(float), "integer", "float64"),
    "no step": (ValueError, X[:0], "(T, N)", "(0, 7)", "at least one"),
    "no example": (ValueError, X[:, :0], "(T, N)", "(5, 0)", "at least one"),
    "one axis": (ValueError, X[:, 0], "integers (T, N)", "(5,)", "x[:, None]"),
    "symbols beyond K": (ValueError, X + 1, "0 .. 5", "1 .. 6"),
    "a list": (TypeError, X.tolist(), "(T, N", "list"),
}
BAD_MASK = {
    "another T": (ValueError, MASK[1:], "(T=5, N=7)", "(4, 7)"),
    "a list": (TypeError, MASK.tolist(), "(T=5, N=7)", "list"),
}
METHODS = pytest.mark.parametrize("method", ["loss", "loss_and_grads", "totals"])


@METHODS
@pytest.mark.parametrize("argument, case", [(argument, case) for argument, cases in
                                            (("x", BAD_X), ("y", BAD_Y), ("mask", BAD_MASK)) for case in cases])
def test_bad_batches(method, argument, case, model):
    error, bad, *words = {"x": BAD_X, "y": BAD_Y, "mask": BAD_MASK}[argument][case]
    arguments = {"x": X, "y": Y, "mask": MASK if argument == "mask" else None, argument: bad}
    assert_refused(error, lambda: getattr(model, method)(**arguments), argument, *words)
    if argument == "x":
        assert_refused(error, lambda: model.predict(bad), argument, *words)


def test_a_batch_of_one_text_needs_statistics(model):
    for method in ("loss", "totals", "loss_and_grads"):
        assert_refused(ValueError, lambda method=method: getattr(model, method)(X[:, :1], Y[:, :1]),
                       "x", "N >= 2", "N=1", "statistics=")
    assert_refused(ValueError, lambda: model.sample(np.array([0, 1]), 3), "x", "N=1", "statistics=")


@pytest.mark.parametrize("bad, error, words", [
    ("a", ValueError, ("at least 2 symbols", "got 1", "all symbols")), ("", ValueError, ("got 0",)),
    (1, ValueError, ("got 1",)), (-5, ValueError, ("got -5",)), (None, TypeError, ("NoneType", "string")),
    (6.0, TypeError, ("float",)),
])
def test_bad_vocabularies(bad, error, words):
    assert_refused(error, lambda: LanguageModel(LSTM(K, H), bad), "vocabulary", *words)


def test_bad_cells():
    assert_refused(ValueError, lambda: LanguageModel(LSTM(3, H), "abcd"), "cell", "K=4", "got 3", "input_size=4")
    for bad in (None, LSTM, "LSTM", make_model()):
        assert_refused(TypeError, lambda bad=bad: LanguageModel(bad, K), "cell", "layer", type(bad).__name__)


@pytest.mark.parametrize("piece_steps", [0, -1, 2.0, "3"])
def test_bad_piece_steps(piece_steps, model):
    assert_refused(ValueError, lambda: model.totals(X, Y, piece_steps=piece_steps), "piece_steps", "positive integer",
                   repr(piece_steps))


SAMPLING = {
    "empty prompt": (ValueError, "prompt", {"prompt": np.array([], int)}, "at least one symbol", "start with"),
    "prompt of text": (TypeError, "prompt", {"prompt": "abc"}, "array of shape (T,)", "str"),
    "prompt of floats": (TypeError, "prompt", {"prompt": np.ones(3)}, "integer", "float64"),
    "two axes": (ValueError, "prompt", {"prompt": X}, "(T,)", "(5, 7)"),
    "prompt beyond K": (ValueError, "prompt", {"prompt": np.array([6])}, "0 .. 5", "6 .. 6"),
    "no length": (ValueError, "length", {"length": 0}, "positive integer", "0"),
    "temperature 0": (ValueError, "temperature", {"temperature": 0}, "positive", "0.01"),
    "temperature nan": (ValueError, "temperature", {"temperature": np.nan}, "positive", "nan"),
    "temperature None": (ValueError, "temperature", {"temperature": None}, "positive", "None"),
}


@pytest.mark.parametrize("case", SAMPLING)
def test_bad_sampling(case, model):
    error, argument, changed, *words = SAMPLING[case]
    arguments = {"prompt": np.array([0]), "length": 3, "statistics": make_population(model), **changed}
    assert_refused(error, lambda: model.sample(**arguments), argument, *words)


def test_a_diverged_model_does_not_sample():
    model = make_model(LSTM)
    model.params["b_y"][1] = np.nan
    assert_refused(ValueError, lambda: model.sample(np.array([0]), 3), "logits", "finite", "checkpoint")
