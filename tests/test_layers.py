"""What users may rely on: names and shapes of parameters, gradients and caches, and what bad input is told."""

import numpy as np
import pytest

import minibn
from minibn import SequenceClassifier, estimate_population_statistics
from minibn.equations import input_term
from minibn.errors import show
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm
from minibn.statistics import PopulationStatistics, Statistics
from minibn.training.runs import TrainedModel

T, N, D, H = 5, 6, 3, 4

CELLS = {
    "RNN": lambda **kw: RNN(D, H, rng=0, **kw),
    "BNRNN": lambda **kw: BNRNN(D, H, rng=0, **kw),
    "BNRNNTwoTerm": lambda **kw: BNRNNTwoTerm(D, H, rng=0, **kw),
    "LSTM": lambda **kw: LSTM(D, H, rng=0, **kw),
    "LSTM with beta_c": lambda **kw: LSTM(D, H, rng=0, cell_offset=True, **kw),
    "BNLSTM": lambda **kw: BNLSTM(D, H, rng=0, **kw),
    "BNLSTM, x per sequence": lambda **kw: BNLSTM(D, H, rng=0, input_statistics="sequence", **kw),
}
EVERY_CELL = pytest.mark.parametrize("name", CELLS)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((T, N, D))


@pytest.fixture
def cell():
    return CELLS["BNLSTM"]()


def sizes(blocks, **shapes):
    return {"W_x": (D, blocks * H), "W_h": (H, blocks * H), "b": (blocks * H,), **shapes, "h0": (H,)}


PARAMS = {
    "RNN": sizes(1),
    "BNRNN": sizes(1, gamma=(H,)),
    "BNRNNTwoTerm": sizes(1, gamma_x=(H,), gamma_h=(H,)),
    "LSTM": sizes(4) | {"c0": (H,)},
    "LSTM with beta_c": sizes(4, beta_c=(H,)) | {"c0": (H,)},
    "BNLSTM": sizes(4, gamma_x=(4 * H,), gamma_h=(4 * H,), gamma_c=(H,), beta_c=(H,)) | {"c0": (H,)},
}
PARAMS["BNLSTM, x per sequence"] = PARAMS["BNLSTM"]
TERMS = {
    "RNN": {}, "BNRNN": {"sum": H}, "BNRNNTwoTerm": {"x": H, "h": H}, "LSTM": {}, "LSTM with beta_c": {},
    "BNLSTM": {"x": 4 * H, "h": 4 * H, "c": H}, "BNLSTM, x per sequence": {"x": 4 * H, "h": 4 * H, "c": H},
}
PLAIN_INPUT = {name: input_term.QUANTITIES[name] for name in ("x_linear", "x_term")}


# The contract.


@EVERY_CELL
def test_parameters(name):
    cell = CELLS[name]()
    assert {key: value.shape for key, value in cell.params.items()} == PARAMS[name]
    assert (cell.input_size, cell.hidden_size, cell.engine, cell.dtype) == (D, H, "equations", np.float64)
    assert cell.terms == tuple(TERMS[name])
    assert cell.state_names == (("h0", "c0") if "LSTM" in name else ("h0",))


@EVERY_CELL
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients(name, masked, x):
    cell = CELLS[name]()
    mask = np.random.default_rng(1).random((T, N)) < 0.8 if masked else None
    h, cache = cell.forward(x, mask=mask)
    dx, grads = cell.backward(np.ones((T, N, H)), cache)
    assert h.shape == (T, N, H)
    assert dx.shape == x.shape
    assert {key: value.shape for key, value in grads.items()} == PARAMS[name]
    assert list(grads) == list(cell.params)


@EVERY_CELL
def test_gradients_of_given_states_are_per_example(name, x):
    cell = CELLS[name]()
    states = tuple(np.random.default_rng(k).standard_normal((N, H)) for k in range(len(cell.state_names)))
    _, cache = cell.forward(x, initial_state=states)
    _, grads = cell.backward(np.ones((T, N, H)), cache)
    expected = PARAMS[name] | dict.fromkeys(cell.state_names, (N, H))
    assert {key: value.shape for key, value in grads.items()} == expected
    for given, kept in zip(states, cache.initial_state, strict=True):
        np.testing.assert_array_equal(kept, given)
    h, _ = cell.forward(x, initial_state=list(states))                # a list will do
    np.testing.assert_array_equal(h, cache.h)


@EVERY_CELL
@pytest.mark.parametrize("masked", [False, True])
def test_a_cache_answers_every_name_of_the_equations(name, masked, x):
    cell = CELLS[name]()
    mask = np.random.default_rng(1).random((T, N)) < 0.8 if masked else None
    _, cache = cell.forward(x, mask=mask)
    numbers = {"N": N, "H": H, "G": cell.blocks * H, "4H": 4 * H, "1": 1}
    for quantity, row in {**PLAIN_INPUT, **cell.quantities}.items():
        axes = row.axes.split()
        one_set = cell.input_statistics == "sequence" and quantity.startswith("x_") and axes[0] == "1"
        assert getattr(cache, quantity).shape == (1 if one_set else T, *(numbers[axis] for axis in axes)), quantity


def test_the_names_of_the_bn_lstm_cache(x, cell):
    _, cache = cell.forward(x)
    shapes = {
        "h": H, "c": H, "f_tilde": H, "i_tilde": H, "o_tilde": H, "g_tilde": H, "f": H, "i": H, "o": H, "g": H,
        "tanh_c": H, "c_hat": H, "c_term": H, "h_linear": 4 * H, "h_hat": 4 * H, "h_term": 4 * H,
        "x_linear": 4 * H, "x_hat": 4 * H, "x_term": 4 * H,
    }
    for quantity, size in shapes.items():
        assert getattr(cache, quantity).shape == (T, N, size), quantity
    for term, size in TERMS["BNLSTM"].items():
        for field in ("mean", "variance", "inv_std"):
            assert getattr(cache, f"{term}_{field}").shape == (T, 1, size), (term, field)


@EVERY_CELL
def test_the_carried_states_of_a_cache(name, x):
    cell = CELLS[name]()
    mask = np.random.default_rng(1).random((T, N)) < 0.7
    h, cache = cell.forward(x, mask=mask.astype(np.float64))
    np.testing.assert_array_equal(cache.h, h)
    assert cache.mask.dtype == bool
    np.testing.assert_array_equal(cache.mask, mask)
    assert cell.forward(x)[1].mask is None
    finals = (cache.h[-1], cache.c[-1]) if cell.blocks == 4 else (cache.h[-1],)
    for state, expected in zip(cache.final_state, finals, strict=True):
        np.testing.assert_array_equal(state, expected)
    for state, learned in zip(cache.initial_state, cell.state_names, strict=True):
        np.testing.assert_array_equal(state, np.tile(cell.params[learned], (N, 1)))


def test_the_quantities_of_a_cache_are_what_they_are_called(x):
    cell = CELLS["BNLSTM"]().map_params(lambda value: value + np.random.default_rng(1).uniform(0.2, 1, value.shape))
    mask = np.random.default_rng(2).random((T, N)) < 0.7
    mask[:, :2] = True
    _, cache = cell.forward(x, mask=mask)
    p = cell.params
    h_prev = np.concatenate([cache.initial_state[0][None], cache.h[:-1]])
    c_prev = np.concatenate([cache.initial_state[1][None], cache.c[:-1]])
    tilde = np.concatenate([cache.f_tilde, cache.i_tilde, cache.o_tilde, cache.g_tilde], axis=-1)
    c = cache.f * c_prev + cache.i * cache.g                          # before masking
    expected = {
        "x_linear": np.where(mask[..., None], x, 0) @ p["W_x"], "h_linear": h_prev @ p["W_h"],
        "h_term": p["gamma_h"] * cache.h_hat, "x_term": p["gamma_x"] * cache.x_hat,
        "c_term": p["gamma_c"] * cache.c_hat + p["beta_c"],
        "f": 1 / (1 + np.exp(-cache.f_tilde)), "i": 1 / (1 + np.exp(-cache.i_tilde)),
        "o": 1 / (1 + np.exp(-cache.o_tilde)), "g": np.tanh(cache.g_tilde), "tanh_c": np.tanh(cache.c_term),
        "c": np.where(mask[..., None], c, c_prev), "h": np.where(mask[..., None], cache.o * cache.tanh_c, h_prev),
    }
    np.testing.assert_allclose(tilde, cache.h_term + cache.x_term + p["b"], rtol=0, atol=1e-13)
    for term, values in (("x", cache.x_linear), ("h", cache.h_linear), ("c", c)):
        live = [values[t][mask[t]] for t in range(T)]
        mean = expected[f"{term}_mean"] = np.array([rows.mean(axis=0, keepdims=True) for rows in live])
        variance = expected[f"{term}_variance"] = np.array([rows.var(axis=0, keepdims=True) for rows in live])
        expected[f"{term}_inv_std"] = (variance + 1e-5) ** -0.5       # the default epsilon, inside the root
        expected[f"{term}_hat"] = (values - mean) * expected[f"{term}_inv_std"]
    for quantity, value in expected.items():
        # Rounding; at the first step all h_0 are equal, and 1/sqrt(eps) = 316 multiplies it.
        np.testing.assert_allclose(getattr(cache, quantity), value, rtol=1e-11, atol=1e-11, err_msg=quantity)


@pytest.mark.parametrize("name, quantity", [
    ("BNLSTM", "nonsense"), ("RNN", "c"), ("LSTM", "x_hat"), ("LSTM", "h_mean"), ("BNRNN", "x_mean"), ("RNN", "f"),
    ("BNLSTM", "h_nonsense"), ("BNLSTM", "x_nonsense"), ("BNRNN", "h_hat"),
])
def test_a_cache_refuses_other_names(name, quantity, x):
    _, cache = CELLS[name]().forward(x)
    with pytest.raises(AttributeError, match=rf"no quantity called '{quantity}'|this cell has no c: its state is h"):
        getattr(cache, quantity)
    assert not hasattr(cache, quantity)


@EVERY_CELL
def test_batch_statistics(name, x):
    cell = CELLS[name]()
    _, cache = cell.forward(x)
    statistics = cell.batch_statistics(x)
    assert set(statistics) == set(TERMS[name])
    for term, size in TERMS[name].items():
        rows = 1 if term == "x" and cell.input_statistics == "sequence" else T
        assert isinstance(statistics[term], Statistics)
        for field in ("mean", "variance"):
            assert getattr(statistics[term], field).shape == (rows, size)
            np.testing.assert_array_equal(getattr(statistics[term], field), getattr(cache, f"{term}_{field}")[:, 0])


@EVERY_CELL
def test_plain_cells_ignore_statistics(name, x):
    cell = CELLS[name]()
    h, _ = cell.forward(x)
    if not cell.terms:
        np.testing.assert_array_equal(cell.forward(x, statistics=PopulationStatistics())[0], h)
        assert minibn.estimate_population_statistics(cell, [(x, None)]) == {}
        assert cell.batch_statistics(x) == {}


@EVERY_CELL
def test_map_params_makes_another_layer(name):
    cell = CELLS[name]()
    other = cell.map_params(lambda value: value + 1)
    assert type(other) is type(cell)
    assert other.terms == cell.terms
    for key, value in cell.params.items():
        np.testing.assert_array_equal(other.params[key], value + 1)


def test_settings_reach_the_equations(x):
    gammas = BNLSTM(D, H, gamma=0.3).params
    assert all(np.all(gammas[key] == 0.3) for key in ("gamma_x", "gamma_h", "gamma_c"))
    h, _ = BNRNN(D, H, rng=0, eps=1e-5).forward(x)
    assert np.max(np.abs(BNRNN(D, H, rng=0, eps=1.0).forward(x)[0] - h)) > 1e-3
    sizes = BNLSTM(np.int64(D), np.int32(H))                          # NumPy integers are sizes too
    assert (sizes.input_size, sizes.hidden_size) == (D, H)


@pytest.mark.parametrize("eps", [np.float64(1e-5), np.float32(1e-5), 1])
def test_the_type_of_eps_does_not_widen_float32(eps, x):
    h, _ = BNLSTM(D, H, eps=eps, dtype=np.float32).forward(x.astype(np.float32))
    assert h.dtype == np.float32


# Bad input. Each message is one line: the argument, what was expected, what came, and what to do.


def assert_refused(error, call, argument, expected, got, remedy):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(argument), message
    for words in (expected, got, remedy):
        assert words in message, (words, message)
    assert "\n" not in message


MASK, STATE = np.ones((T, N)), np.zeros((N, H))
X = np.random.default_rng(0).standard_normal((T, N, D))

class Frame:
    """As a data frame: two axes, and no dtype of its own."""

    ndim, shape = 2, (T, N)


class Tensor:
    """As a tensor of PyTorch: three axes, and a dtype that is none of NumPy's."""

    ndim, shape, dtype = 3, (T, N, D), "torch.float64"


BAD_X = {
    "a data frame": (TypeError, Frame(), "(T, N, D=3)", "Frame", "numpy.asarray"),
    "a tensor": (TypeError, Tensor(), "(T, N, D=3)", "Tensor", "numpy.asarray"),
    "a masked array": (TypeError, np.ma.masked_less(X, 0), "(T, N, D=3)", "MaskedArray", "fill it"),
    "a matrix": (TypeError, np.ndarray.view(X[0] > 0, np.matrix), "(T, N)", "matrix", "numpy.asarray"),
    "float16": (TypeError, X.astype("f2"), "float64", "float16", "x.astype('float64')"),
    "one axis": (ValueError, X[0, 0], "(T, N, D=3)", "(3,)", "time-major"),
    "four axes": (ValueError, X[None], "(T, N, D=3)", "(1, 5, 6, 3)", "time-major"),
    "another D": (ValueError, X[..., :2], "(T, N, D=3)", "(5, 6, 2)", "axis D must be 3"),
    "no step": (ValueError, X[:0], "(T, N, D=3)", "(0, 6, 3)", "at least one"),
    "no example": (ValueError, X[:, :0], "(T, N, D=3)", "(5, 0, 3)", "at least one"),
    "no feature": (ValueError, X[..., :0], "(T, N, D=3)", "(5, 6, 0)", "at least one"),
    "no integer step": (ValueError, np.zeros((0, N), int), "(T, N)", "(0, 6)", "at least one"),
    "a list": (TypeError, X.tolist(), "array of shape (T, N, D=3)", "list", "numpy.asarray"),
    "None": (TypeError, None, "array of shape (T, N, D=3)", "NoneType", "numpy.asarray"),
    "float32": (TypeError, X.astype(np.float32), "parameters' dtype float64", "float32", "x.astype('float64')"),
    "complex": (TypeError, X + 0j, "parameters' dtype float64", "complex128", "x.astype('float64')"),
    "integers of three axes": (TypeError, X.astype(int), "floating", "int64", "x.astype"),
    "floats of two axes": (TypeError, X[..., 0], "integer", "float64", "x[..., None]"),
    "bools of two axes": (TypeError, X[..., 0] > 0, "integer", "bool", "x.astype"),
    "objects": (TypeError, X.astype(object), "floating", "object", "x.astype"),
}


@pytest.mark.parametrize("case", BAD_X)
@pytest.mark.parametrize("method", ["forward", "batch_statistics"])
def test_bad_x(case, method, cell):
    error, bad, *words = BAD_X[case]
    assert_refused(error, lambda: getattr(cell, method)(bad), "x: ", *words)


@EVERY_CELL
def test_every_cell_checks_x(name):
    cell = CELLS[name]()
    for error, bad, *words in BAD_X.values():
        assert_refused(error, lambda bad=bad: cell.forward(bad), "x: ", *words)


def test_no_layer_of_float16_is_recommended(cell, x):
    with pytest.raises(TypeError) as caught:
        cell.forward(x.astype("f2"))
    assert "make the layer" not in str(caught.value)


def test_float64_x_for_a_float32_layer(x):
    assert_refused(TypeError, lambda: CELLS["BNLSTM"](dtype=np.float32).forward(x), "x: ", "dtype float32", "float64",
                   "make the layer with dtype=float64")


BAD_MASKS = {
    "another T": (ValueError, np.ones((T + 1, N)), "(T=5, N=6)", "(6, 6)", "axis T must be 5"),
    "another N": (ValueError, np.ones((T, N - 1)), "(T=5, N=6)", "(5, 5)", "axis N must be 6"),
    "batch first": (ValueError, np.ones((N, T)), "(T=5, N=6)", "(6, 5)", "axis T must be 5"),
    "three axes": (ValueError, MASK[..., None], "(T=5, N=6)", "(5, 6, 1)", "time-major"),
    "a list": (TypeError, MASK.tolist(), "(T=5, N=6)", "list", "numpy.asarray"),
    "complex": (TypeError, MASK + 0j, "bool or integer", "complex128", "mask.astype"),
}


@pytest.mark.parametrize("case", BAD_MASKS)
@pytest.mark.parametrize("method", ["forward", "batch_statistics"])
def test_bad_masks(case, method, cell, x):
    error, bad, *words = BAD_MASKS[case]
    assert_refused(error, lambda: getattr(cell, method)(x, mask=bad), "mask: ", *words)


BAD_STATES = {
    "one array": (ValueError, STATE, "initial_state: ", "(h0, c0", "ndarray", "one array for each state"),
    "one state": (ValueError, (STATE,), "initial_state: ", "(h0, c0", "1", "one array for each state"),
    "three states": (ValueError, (STATE,) * 3, "initial_state: ", "(h0, c0", "3", "one array for each state"),
    "another N": (ValueError, (STATE, STATE[:2]), "initial_state", "(N=6, H=4)", "(2, 4)", "axis N must be 6"),
    "another H": (ValueError, (STATE[:, :2], STATE), "initial_state", "(N=6, H=4)", "(6, 2)", "axis H must be 4"),
    "not per example": (ValueError, (STATE[0], STATE), "initial_state", "(N=6, H=4)", "(4,)", ";"),
    "a list": (TypeError, (STATE.tolist(), STATE), "initial_state", "(N=6, H=4)", "list", "numpy.asarray"),
    "float32": (TypeError, (STATE, STATE.astype("f4")), "initial_state", "float64", "float32", ".astype('float64')"),
    "integers": (TypeError, (STATE, STATE.astype(int)), "initial_state", "floating", "int64", ".astype"),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_bad_initial_states(case, cell, x):
    error, bad, *words = BAD_STATES[case]
    assert_refused(error, lambda: cell.forward(x, initial_state=bad), *words)


def test_an_rnn_has_one_state(x):
    assert_refused(ValueError, lambda: CELLS["RNN"]().forward(x, initial_state=(STATE, STATE)), "initial_state: ",
                   "(h0,)", "2", "one array for each state")


def make_population(hidden_size=H, rows=T, **replaced):
    size = {"x": 4 * hidden_size, "h": 4 * hidden_size, "c": hidden_size}
    population = {term: Statistics(np.zeros((rows, G)), np.ones((rows, G))) for term, G in size.items()}
    return PopulationStatistics(population | replaced)


ROWS = np.ones((T, 4 * H))
BAD_STATISTICS = {
    "of another cell": (ValueError, PopulationStatistics(sum=Statistics(STATE, STATE)), "statistics: ",
                        "'c', 'h', 'x'", "'sum'", "with this model"),
    "none at all": (ValueError, PopulationStatistics(), "statistics: ", "'c', 'h', 'x'", "[]", "with this model"),
    "another G": (ValueError, make_population(H + 1), "statistics x.mean: ", "(T_max, G=16)", "(5, 20)", "must be 16"),
    "no rows": (ValueError, make_population(rows=0), "statistics x.mean: ", "(T_max, G=16)", "(0, 16)", "at least one"),
    "one axis": (ValueError, make_population(h=Statistics(ROWS, ROWS[0])), "statistics h.variance: ", "(T_max, G=16)",
                 "(16,)", ";"),
    "lists": (TypeError, make_population(h=Statistics(ROWS.tolist(), ROWS)), "statistics h.mean: ", "(T_max, G=16)",
              "list", "numpy.asarray"),
    "integers": (TypeError, make_population(h=Statistics(ROWS, ROWS.astype(int))), "statistics h.variance: ",
                 "floating", "int64", ".astype"),
    "a mean alone": (ValueError, make_population(h=(ROWS,)), "statistics h", "mean", "variance", ";"),
    "means and variances of other steps": (ValueError, make_population(h=Statistics(ROWS[:2], ROWS)), "statistics h",
                                           "T_max", "(5, 16)", ";"),
    "not a mapping": (TypeError, True, "statistics: ", "PopulationStatistics", "bool", ";"),
}


@pytest.mark.parametrize("case", BAD_STATISTICS)
def test_bad_statistics(case, cell, x):
    error, bad, *words = BAD_STATISTICS[case]
    assert_refused(error, lambda: cell.forward(x, statistics=bad), *words)


def test_statistics_of_a_cell_with_the_input_normalized_per_step(x):
    cell = CELLS["BNLSTM, x per sequence"]()
    assert_refused(ValueError, lambda: cell.forward(x, statistics=make_population()),
                   "statistics x", "1", "(5, 16)", ";")


@pytest.mark.parametrize("first_step", [-1, 1.5, "1", None, True, 2 ** 63, 10 ** 400])
@pytest.mark.parametrize("name", ["BNLSTM", "LSTM"])
def test_bad_first_steps(first_step, name, x):
    """Also where nobody uses it: without statistics, and in a cell that has none."""
    cell, error = CELLS[name](), ValueError if first_step in (-1, 2 ** 63, 10 ** 400) else TypeError
    for statistics in (None, make_population()):
        assert_refused(error, lambda given=statistics: cell.forward(x, statistics=given, first_step=first_step),
                       "first_step: ", "integer", show(first_step), ";")


@pytest.mark.parametrize("first_step", [np.int8(127), np.uint8(255), 2 ** 63 - 1])
def test_late_first_steps_take_the_last_row(first_step, cell, x):
    population = make_population()
    h, _ = cell.forward(x, statistics=population, first_step=first_step)
    assert np.array_equal(h, cell.forward(x, statistics=population, first_step=100)[0])


@pytest.mark.parametrize("name", CELLS)
def test_statistics_that_are_none(name, x):
    assert_refused(TypeError, lambda: CELLS[name]().forward(x, statistics="x"), "statistics: ", "PopulationStatistics",
                   "str", ";")


@pytest.mark.parametrize("name", [name for name in CELLS if TERMS[name]])
def test_batch_statistics_of_one_example(name, x):
    for call in (CELLS[name]().forward, CELLS[name]().batch_statistics):
        assert_refused(ValueError, lambda call=call: call(x[:, :1]), "x: ", "N >= 2", "N=1", "statistics=")


DH = np.ones((T, N, H))
BAD_DH = {
    "another T": (ValueError, DH[:2], "(T=5, N=6, H=4)", "(2, 6, 4)", "axis T must be 5"),
    "another N": (ValueError, DH[:, :2], "(T=5, N=6, H=4)", "(5, 2, 4)", "axis N must be 6"),
    "another H": (ValueError, DH[..., :2], "(T=5, N=6, H=4)", "(5, 6, 2)", "axis H must be 4"),
    "the last step alone": (ValueError, DH[-1], "(T=5, N=6, H=4)", "(6, 4)", "time-major"),
    "a list": (TypeError, DH.tolist(), "(T=5, N=6, H=4)", "list", "numpy.asarray"),
    "None": (TypeError, None, "(T=5, N=6, H=4)", "NoneType", "numpy.asarray"),
    "float32": (TypeError, DH.astype("f4"), "dtype float64", "float32", "dh.astype('float64')"),
    "integers": (TypeError, DH.astype(int), "floating", "int64", "dh.astype"),
}


@pytest.mark.parametrize("case", BAD_DH)
def test_bad_dh(case, cell, x):
    _, cache = cell.forward(x)
    error, bad, *words = BAD_DH[case]
    assert_refused(error, lambda: cell.backward(bad, cache), "dh: ", *words)


@pytest.mark.parametrize("name", [name for name in CELLS if "BNLSTM" not in name])
def test_the_cache_of_another_layer(name, cell, x):
    _, other = CELLS[name]().forward(x)
    assert_refused(TypeError, lambda: cell.backward(DH, other), "cache: ", "BNLSTM", "", ";")


def test_no_cache(cell):
    assert_refused(TypeError, lambda: cell.backward(DH, None), "cache: ", "forward", "NoneType", ";")


@pytest.mark.parametrize("cls", [RNN, BNRNN, BNRNNTwoTerm, LSTM, BNLSTM])
@pytest.mark.parametrize("size", [0, -1, 2.0, "3", None, True])
def test_bad_sizes(cls, size):
    assert_refused(ValueError, lambda: cls(size, H), "input_size: ", "positive integer", repr(size), "at least 1")
    assert_refused(ValueError, lambda: cls(D, size), "hidden_size: ", "positive integer", repr(size), "at least 1")


@pytest.mark.parametrize("cls", [RNN, BNRNN, BNRNNTwoTerm, LSTM, BNLSTM])
def test_unknown_choices(cls):
    for setting, value in (("engine", "fast"), ("init", "xavier"), ("init", None)):
        assert_refused(ValueError, lambda setting=setting, value=value: cls(D, H, **{setting: value}), f"{setting}: ",
                       "'equations'" if setting == "engine" else "'orthogonal'", repr(value), "choose one")
    if cls.blocks == 1:
        assert_refused(ValueError, lambda: cls(D, H, init="identity_g"), "init: ",
                       "'orthogonal', 'identity'", "got 'identity_g'", "choose one")
    if "x" in cls.terms:
        assert_refused(ValueError, lambda: cls(D, H, input_statistics="seq"), "input_statistics: ",
                       "'step', 'sequence'", "'seq'", "choose one")


@pytest.mark.parametrize("dtype", [np.int64, np.complex128, bool, np.float16, np.longdouble])
def test_bad_dtypes(dtype):
    assert_refused(TypeError, lambda: BNLSTM(D, H, dtype=dtype), "dtype: ", "float", np.dtype(dtype).name,
                   "float32 or float64")


@pytest.mark.parametrize("eps", [-1e-5, 0.0, np.nan, None, "1e-5"])
def test_bad_eps(eps):
    error = ValueError if isinstance(eps, float) else TypeError
    assert_refused(error, lambda: BNLSTM(D, H, eps=eps), "eps: ", "positive", repr(eps), ";")


@pytest.mark.parametrize("value", [None, "1", True, np.nan, np.inf, 10 ** 400])
@pytest.mark.parametrize(("name", "setting"), [("BNRNN", "gamma"), ("BNRNNTwoTerm", "gamma"), ("BNLSTM", "gamma"),
                                               ("BNLSTM", "forget_bias"), ("LSTM", "forget_bias")])
def test_bad_first_values(name, setting, value):
    error = ValueError if isinstance(value, float) or value == 10 ** 400 else TypeError
    assert_refused(error, lambda: CELLS[name](**{setting: value}), f"{setting}: ", "finite", show(value), ";")


def test_a_value_must_be_finite_in_the_dtype_of_the_layer():
    """1e300 is infinite in float32, and 1e-60 zero."""
    for setting, value in (("gamma", 1e300), ("forget_bias", -1e39), ("eps", 1e300), ("eps", 1e-60)):
        BNLSTM(D, H, **{setting: value})
        assert_refused(ValueError, lambda setting=setting, value=value: BNLSTM(D, H, dtype="f4", **{setting: value}),
                       f"{setting}: ", "float32", repr(value), ";")


@pytest.mark.parametrize("setting", ["gamma", "cell_offset", "input_statistics", "nonsense"])
def test_settings_of_another_cell(setting):
    with pytest.raises(TypeError, match=setting):
        RNN(D, H, **{setting: 1})


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("engine", ["equations", "kernels"])
def test_reprs_fit_on_a_few_lines(name, engine, x):
    cell = CELLS[name](engine=engine)
    h, cache = cell.forward(x)
    seen = []
    cell.backward(h, cache, observe=lambda t, gradients, dstate: seen.append(gradients))
    model = SequenceClassifier(cell, 7)
    population = estimate_population_statistics(cell, [(x, None)])
    for value in (cell, cache, model, population, *population.values(), TrainedModel(model, population), model.params,
                  cache.inputs, cache.sequence, cache.sequence.steps[0], seen[0]):
        assert repr(value).count("\n") < 10 and len(repr(value)) < 2000
    assert all(word in repr(cell) for word in (type(cell).__name__, "input_size=3", "hidden_size=4", "float64", engine))
    assert "T=5" in repr(cache) and "N=6" in repr(cache) and repr(cell) in repr(cache)


# Symbols that are not known yet


@EVERY_CELL
@pytest.mark.parametrize("engine", ["equations", "kernels"])
@pytest.mark.parametrize("given", ["all", "none", "some"])
@pytest.mark.parametrize("dtype", [np.intp, np.uint8])
def test_each_symbol_is_read_only_when_its_step_is_asked_for(name, engine, given, dtype, monkeypatch):
    monkeypatch.setattr("minibn.layers.base.PIECE_STEPS", 2)             # T = 5: three pieces
    cell, rng = CELLS[name](engine=engine), np.random.default_rng(1)
    known = rng.integers(D, size=(T, N))
    state = tuple(rng.standard_normal((N, H)) for _ in cell.state_names)
    population = cell.batch_statistics(rng.integers(D, size=(T + 2, 20)))
    statistics = {"all": population, "none": None,
                  "some": {term: population[term] for term in cell.terms[1:]}}[given] or None
    if cell.needs_whole(statistics):
        pytest.skip("statistics of the whole sequence hang on symbols that are not known")
    expected, _ = cell.forward_only(known, initial_state=state, statistics=statistics, first_step=1)
    x = np.zeros((T, N), dtype)
    x[0] = known[0]
    for t, h in enumerate(cell.forward_reading(x, state, statistics, first_step=1)):
        assert np.allclose(h, expected[t], rtol=1e-12, atol=1e-13), t
        x[t + 1:t + 2] = known[t + 1:t + 2]
