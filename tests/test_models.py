"""The sequence classifier: its parameters, loss, gradients and predictions, and what bad input is told."""

import numpy as np
import pytest

import minibn
from minibn.gradcheck import check_gradients
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm
from minibn.models import SequenceClassifier
from minibn.statistics import PopulationStatistics, Statistics

T, N, D, H, K = 5, 6, 3, 4, 7
CELLS = [RNN, BNRNN, BNRNNTwoTerm, LSTM, BNLSTM]
EVERY_CELL = pytest.mark.parametrize("cls", CELLS)

X = np.random.default_rng(0).standard_normal((T, N, D))
Y = np.array([0, 6, 3, 3, 5, 1])
NOISE = 0.1 * np.random.default_rng(1).standard_normal((N, H))
MASK = np.arange(T)[:, None] < np.array([5, 2, 4, 5, 1, 3])


def make_model(cls=BNLSTM, dtype=np.float64, **settings):
    """Random, non-zero parameters."""
    rng = np.random.default_rng(3)
    model = SequenceClassifier(cls(D, H, rng=rng, dtype=dtype, **settings), K, rng=rng)
    for name, value in model.params.items():
        drawn = rng.uniform(0.5, 1.5, value.shape) if "gamma" in name else rng.standard_normal(value.shape)
        model.params[name] = drawn.astype(dtype)
    return model


def make_population(model, rows=3):
    rng = np.random.default_rng(4)
    sizes = {term: H * (1 if term == "c" else model.cell.blocks) for term in model.terms}
    return PopulationStatistics({
        term: Statistics(0.3 * rng.standard_normal((rows, G)), rng.uniform(0.5, 1.5, (rows, G)))
        for term, G in sizes.items()})


@pytest.fixture
def model():
    return make_model()


# The contract.


@EVERY_CELL
def test_parameters_are_flat_with_dotted_names(cls):
    cell = cls(D, H, rng=0)
    model = SequenceClassifier(cell, K, rng=0)
    shapes = {**{f"cell.{name}": value.shape for name, value in cell.params.items()}, "W_y": (H, K), "b_y": (K,)}
    assert {name: value.shape for name, value in model.params.items()} == shapes
    assert list(model.params) == list(shapes)
    assert len(model.params) == len(shapes)
    assert model.cell is cell
    assert model.terms == cell.terms
    assert (model.classes, model.dtype) == (K, np.float64)
    np.testing.assert_allclose(model.params["W_y"] @ model.params["W_y"].T, np.eye(H), rtol=0, atol=1e-14)
    assert np.all(model.params["b_y"] == 0)


def test_parameters_can_be_updated_and_replaced(model):
    before = model.loss(X, Y)
    params = model.params                                             # a live view
    for name in params:
        held = params[name]
        params[name] -= 0.1                                           # in place
        assert params[name] is held
    assert model.cell.params["W_h"] is params["cell.W_h"]
    moved = model.loss(X, Y)
    assert moved != before
    replacement = np.zeros_like(params["cell.W_h"])
    params["cell.W_h"] = replacement
    assert model.cell.params["W_h"] is replacement
    other = np.ones((H, 4 * H))
    model.cell.params["W_h"] = other                                  # and the other way round
    assert model.params["cell.W_h"] is other
    model.params["W_y"] = np.zeros((H, K))
    model.params["b_y"] = np.zeros(K)
    np.testing.assert_allclose(model.loss(X, Y), np.log(K), rtol=1e-15)


def test_parameters_are_a_fixed_set(model):
    for name in ("W_h", "cell", "cell.W_y", "nonsense", "", "cell."):
        assert name not in model.params
        with pytest.raises(KeyError):
            model.params[name]
        with pytest.raises(KeyError):
            model.params[name] = X
    with pytest.raises(TypeError, match=r"^W_y: .* cannot be deleted; assign another array"):
        del model.params["W_y"]
    assert "'cell.W_x': (3, 16)" in repr(model.params)


@EVERY_CELL
def test_the_loss_is_the_mean_cross_entropy_in_nats(cls):
    model = make_model(cls)
    h, _ = model.cell.forward(X, mask=MASK)
    logits = h[-1] @ model.params["W_y"] + model.params["b_y"]
    np.testing.assert_allclose(model.logits(X, mask=MASK), logits, rtol=0, atol=1e-12)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(X, mask=MASK), p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict(X, mask=MASK).sum(axis=1), 1, rtol=0, atol=1e-15 * K)
    loss = model.loss(X, Y, mask=MASK)
    assert loss.shape == ()
    np.testing.assert_allclose(loss, -np.mean(np.log(p[range(N), Y])), rtol=1e-12)


@EVERY_CELL
@pytest.mark.parametrize("given", [{}, {"mask": MASK}, {"initial_noise": NOISE}, {"statistics": 1},
                                   {"mask": MASK, "initial_noise": NOISE, "statistics": 1}], ids="-".join)
def test_gradients(cls, given):
    model = make_model(cls)
    arguments = dict(given)
    if "statistics" in given:
        arguments["statistics"] = make_population(model)
    loss, grads = model.loss_and_grads(X, Y, **arguments)
    np.testing.assert_allclose(loss, model.loss(X, Y, **arguments), rtol=1e-14)
    assert list(grads) == list(model.params)
    assert {name: value.shape for name, value in grads.items()} == {k: v.shape for k, v in model.params.items()}
    report = check_gradients(model, X, Y, **arguments)                # complex step, every element
    assert report.ok, f"\n{report}"


def test_noise_goes_to_h0_alone(model):
    h0, c0 = model.params["cell.h0"], model.params["cell.c0"]
    h, _ = model.cell.forward(X, initial_state=(h0 + NOISE, np.tile(c0, (N, 1))))
    expected = h[-1] @ model.params["W_y"] + model.params["b_y"]
    np.testing.assert_allclose(model.logits(X, initial_noise=NOISE), expected, rtol=0, atol=1e-13)
    assert np.max(np.abs(model.logits(X) - expected)) > 1e-3
    statistics = model.batch_statistics(X, initial_noise=NOISE)
    assert {term: values.mean.shape for term, values in statistics.items()} == \
        {"x": (T, 4 * H), "h": (T, 4 * H), "c": (T, H)}
    # Without noise all examples share h0, and W_h h_0 has no variance at the first step.
    assert np.all(statistics["h"].variance[0] > 1e-4)
    assert np.all(model.batch_statistics(X)["h"].variance[0] < 1e-25)


def test_the_last_live_step_of_each_example_counts(model):
    population = make_population(model)
    p = model.predict(X, mask=MASK, statistics=population)
    for n, length in enumerate(MASK.sum(axis=0)):
        alone = model.predict(X[:length, n:n + 1], statistics=population)
        np.testing.assert_allclose(p[n:n + 1], alone, rtol=0, atol=1e-12)


def test_integer_x(model):
    x = np.random.default_rng(0).integers(D, size=(T, N))
    one_hot, integer = model.loss_and_grads(np.eye(D)[x], Y, initial_noise=NOISE), \
        model.loss_and_grads(x, Y, initial_noise=NOISE)
    np.testing.assert_allclose(integer[0], one_hot[0], rtol=1e-11)
    for name, value in one_hot[1].items():
        np.testing.assert_allclose(integer[1][name], value, rtol=0, atol=1e-10, err_msg=name)


def test_map_params_makes_another_model(model):
    other = model.map_params(np.zeros_like)
    assert all(np.all(value == 0) for value in other.params.values())
    assert all(np.any(value != 0) for value in model.params.values())
    assert other.cell is not model.cell
    assert other.classes == K


def test_seeds_reproduce():
    first, again, other = (SequenceClassifier(LSTM(D, H, rng=0), K, rng=seed).params["W_y"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


# Bad input.


def assert_refused(error, call, argument, *words):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(argument), message
    for word in words:
        assert word in message, (word, message)
    assert "\n" not in message


METHODS = pytest.mark.parametrize("method", ["loss", "loss_and_grads", "logits", "predict", "batch_statistics"])


def call(model, method, x=X, y=Y, **arguments):
    if method in ("loss", "loss_and_grads"):
        return getattr(model, method)(x, y, **arguments)
    return getattr(model, method)(x, **arguments)


BAD_X = {
    "one axis": (ValueError, X[0, 0], "(T, N, D", "(3,)", "time-major"),
    "four axes": (ValueError, X[None], "(T, N, D", "(1, 5, 6, 3)", "time-major"),
    "another D": (ValueError, X[..., :2], "(T, N, D=3)", "(5, 6, 2)", "axis D must be 3"),
    "no step": (ValueError, X[:0], "(T, N, D", "(0, 6, 3)", "at least one"),
    "no example": (ValueError, X[:, :0], "(T, N, D", "(5, 0, 3)", "at least one"),
    "a list": (TypeError, X.tolist(), "array of shape (T, N, D", "list", "numpy.asarray"),
    "None": (TypeError, None, "array of shape (T, N, D", "NoneType", "numpy.asarray"),
    "float32": (TypeError, X.astype(np.float32), "parameters' dtype float64", "float32", "x.astype('float64')"),
    "integers of three axes": (TypeError, X.astype(int), "floating", "int64", "x.astype"),
    "floats of two axes": (TypeError, X[..., 0], "integer", "float64", "x[..., None]"),
    "one example": (ValueError, X[:, :1], "N >= 2", "N=1", "statistics="),
}


@METHODS
@pytest.mark.parametrize("case", BAD_X)
def test_bad_x(method, case, model):
    error, bad, *words = BAD_X[case]
    y = Y[:np.shape(bad)[1]] if np.ndim(bad) == 3 and np.shape(bad)[1] else Y
    assert_refused(error, lambda: call(model, method, bad, y), "x: ", *words)
    if case != "one example":
        assert_refused(error, lambda: call(model, method, bad, y, initial_noise=NOISE), "x: ", *words)


BAD_MASKS = {
    "more steps": (ValueError, np.ones((T + 1, N)), "(T=5, N=6)", "(6, 6)", "axis T must be 5"),
    "fewer steps": (ValueError, np.ones((T - 1, N)), "(T=5, N=6)", "(4, 6)", "axis T must be 5"),
    "batch first": (ValueError, MASK.T, "(T=5, N=6)", "(6, 5)", "axis T must be 5"),
    "one axis": (ValueError, np.ones(T), "(T=5, N=6)", "(5,)", "time-major"),
    "a list": (TypeError, MASK.tolist(), "(T=5, N=6)", "list", "numpy.asarray"),
    "a bool": (TypeError, True, "(T=5, N=6)", "bool", "numpy.asarray"),
}


@METHODS
@pytest.mark.parametrize("case", BAD_MASKS)
@pytest.mark.parametrize("steps", [1, 100])
def test_bad_masks(method, case, steps, model, monkeypatch):
    monkeypatch.setattr("minibn.layers.layer.PIECE_ELEMENTS", steps * N * 4 * H)              # also in pieces of a step
    error, bad, *words = BAD_MASKS[case]
    assert_refused(error, lambda: call(model, method, mask=bad), "mask: ", *words)


BAD_NOISE = {
    "another N": (ValueError, NOISE[:2], "(N=6, H=4)", "(2, 4)", "axis N must be 6"),
    "another H": (ValueError, NOISE[:, :2], "(N=6, H=4)", "(6, 2)", "axis H must be 4"),
    "one axis": (ValueError, NOISE[0], "(N=6, H=4)", "(4,)"),
    "float32": (TypeError, NOISE.astype(np.float32), "dtype float64", "float32", ".astype('float64')"),
    "a standard deviation": (TypeError, 0.1, "(N=6, H=4)", "float"),
    "a list": (TypeError, NOISE.tolist(), "(N=6, H=4)", "list", "numpy.asarray"),
}


@METHODS
@pytest.mark.parametrize("case", BAD_NOISE)
def test_bad_noise(method, case, model):
    error, bad, *words = BAD_NOISE[case]
    assert_refused(error, lambda: call(model, method, initial_noise=bad), "initial_noise: ", *words)


BAD_Y = {
    "another N": (ValueError, Y[:-1], "(N=6", "(5,)", "axis N must be 6"),
    "two axes": (ValueError, Y[:, None], "(N=6", "(6, 1)"),
    "floats": (TypeError, Y.astype(float), "integer", "float64", "y.astype"),
    "one-hot": (TypeError, np.eye(K)[Y], "integer", "float64"),
    "a list": (TypeError, Y.tolist(), "(N=6", "list", "numpy.asarray"),
    "None": (TypeError, None, "(N=6", "NoneType"),
}


@pytest.mark.parametrize("method", ["loss", "loss_and_grads"])
@pytest.mark.parametrize("case", BAD_Y)
def test_bad_y(method, case, model):
    error, bad, *words = BAD_Y[case]
    assert_refused(error, lambda: call(model, method, y=bad), "y: ", *words)


@pytest.mark.parametrize("method", ["loss", "loss_and_grads", "logits", "predict"])
def test_statistics_of_another_model(method, model):
    other = make_population(make_model(BNRNN))
    assert_refused(ValueError, lambda: call(model, method, statistics=other), "statistics: ", "'c', 'h', 'x'", "'sum'",
                   "with this model")
    wider = make_population(make_model(BNLSTM).map_params(lambda value: value))
    wider["h"] = Statistics(np.zeros((3, 20)), np.ones((3, 20)))
    assert_refused(ValueError, lambda: call(model, method, statistics=wider), "statistics h.mean: ", "(T_max, G=16)",
                   "(3, 20)", "must be 16")


@pytest.mark.parametrize("classes", [1, 0, -3, 2.0, "3", None])
def test_bad_classes(classes):
    assert_refused(ValueError, lambda: SequenceClassifier(LSTM(D, H), classes),
                   "classes: ", "at least 2", repr(classes), "number of labels")


@pytest.mark.parametrize("cell", [None, LSTM, "LSTM"])
def test_bad_cells(cell):
    assert_refused(TypeError, lambda: SequenceClassifier(cell, K), "cell: ", "layer", type(cell).__name__)


def test_a_model_is_no_cell(model):
    assert_refused(TypeError, lambda: SequenceClassifier(model, K), "cell: ", "layer", "SequenceClassifier")


@pytest.mark.parametrize("make", [lambda cell: SequenceClassifier(cell, 7, rng=0),
                                  lambda cell: minibn.LanguageModel(cell, 3, rng=0)], ids=["classifier", "language"])
def test_forward_and_backward_apart_from_the_loss(make):
    model, rng = make(minibn.BNLSTM(3, 4, rng=0)), np.random.default_rng(0)
    x, noise = rng.normal(size=(5, 6, 3)), rng.normal(size=(6, 4))
    logits, cache = model.forward(x, initial_noise=noise)
    np.testing.assert_allclose(logits, model.logits(x, initial_noise=noise), rtol=0, atol=1e-14)
    dlogits = rng.normal(size=logits.shape)
    expected = model.backward(dlogits, cache)
    for value in model.params.values():
        value += 1                                          # in place, as somebody might
    for name, value in model.backward(dlogits, cache).items():
        np.testing.assert_array_equal(value, expected[name])
        assert value.shape == model.params[name].shape
