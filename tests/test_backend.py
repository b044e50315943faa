"""The same source on NumPy and on CuPy arrays: the engine on the strict stand-in, and on a GPU if any.

On the stand-in the very same NumPy operations run underneath, so results must be equal bit for bit: a
difference means that the code asked for something else on the device.
"""

import json
import subprocess
import sys

import numpy as np
import problems
import pytest
import reader_checks
import strict_cupy
from problems import EVERY_CASE, NORMALIZED, statistics_of

import minibn
from minibn import optimizers
from minibn.cells import CELLS
from minibn.data import Dataset, Split, text_corpus
from minibn.models import READERS
from minibn.training import loop
from minibn.training.checkpoints import read_checkpoint
from minibn.training.images import ImageConfig
from minibn.training.tasks import make_config
from minibn.training.texts import TextConfig

T, N, D, H, K = 5, 4, 3, 6, 7
@pytest.fixture
def cupy(monkeypatch):
    return strict_cupy.install(monkeypatch)


def make_cell(name, dtype=np.float64):
    """A cell whose parameters are all random and non-zero."""
    cell = problems.make(name, D, H, dtype=dtype, rng=0)
    rng = np.random.default_rng(1)
    for key, value in cell.params.items():
        cell.params[key] = (value + rng.normal(size=value.shape) / 3).astype(dtype)
    return cell


def make_model(name, dtype=np.float64):
    return minibn.SequenceClassifier(make_cell(name, dtype), K, rng=2)


def make_mask(steps=T):
    """Padded at the end, with gaps; one step has a single live example, one has none."""
    mask = np.random.default_rng(3).random((steps, N)) < 0.7
    mask[1] = [False, False, True, False]
    mask[-1] = False
    return mask


def make_arguments(cell, masked, population, given_state, integer, steps=T):
    """Positional and keyword arguments of ``forward``, and dh."""
    rng, dtype = np.random.default_rng(5), cell.dtype
    x = rng.integers(0, D, (steps, N)) if integer else rng.normal(size=(steps, N, D)).astype(dtype)
    arguments = {"x": x}
    if masked:
        arguments["mask"] = make_mask(steps)
        if not integer:
            x[~arguments["mask"]] = np.nan  # never read
    if population:
        arguments["statistics"] = statistics_of(cell, np.random.default_rng(4), 3)
    if given_state:
        arguments["initial_state"] = tuple(rng.normal(size=(N, H)).astype(dtype) for _ in cell.state_names)
    return arguments, rng.normal(size=(steps, N, H)).astype(dtype)


def run_cell(cell, arguments, dh):
    """Everything that a forward and a backward pass return, by name."""
    h, cache = cell.forward(**arguments)
    dx, grads = cell.backward(dh, cache)
    results = {"returned h": h, **{f"d{name}": grad for name, grad in grads.items()}}
    if dx is not None:
        results["dx"] = dx
    for name in cell.quantities:
        results[name] = getattr(cache, name)
    return results


def assert_same_bits(device, host, cupy):
    assert list(device) == list(host)
    for name in host:
        assert isinstance(device[name], cupy.ndarray), name
        assert isinstance(host[name], np.ndarray | np.generic), name
        fetched = device[name].get()
        assert fetched.dtype == host[name].dtype, name
        assert fetched.shape == host[name].shape, name
        np.testing.assert_array_equal(fetched, host[name], err_msg=name, strict=True)  # NaN equals NaN here


def assert_nothing_crossed(counts):
    assert counts.synchronisations == 0, counts.places()
    assert counts.uploads == 0, counts.places("upload")


# ---- The engine on the stand-in ----


@pytest.mark.parametrize("given_state", [False, True], ids=["learned", "given"])
@pytest.mark.parametrize("population", [False, True], ids=["batch", "population"])
@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@EVERY_CASE
def test_cells_are_bit_equal_and_wait_for_nothing(cupy, name, masked, population, given_state):
    for dtype, integer in ((np.float64, False), (np.float64, True), (np.float32, False), (np.float32, True)):
        cell = make_cell(name, dtype)
        arguments, dh = make_arguments(cell, masked, population, given_state, integer)
        expected = run_cell(cell, arguments, dh)
        on_device = minibn.to_device((cell, arguments, dh), "cuda")
        with strict_cupy.counting(cupy) as counts:
            results = run_cell(*on_device)
        assert_nothing_crossed(counts)
        assert_same_bits(results, expected, cupy)
        assert all(value.dtype == dtype for value in expected.values())


def model_arguments(model, masked, population, noise):
    rng, dtype = np.random.default_rng(6), model.dtype
    arguments = {"x": rng.normal(size=(T, N, D)).astype(dtype)}
    if masked:
        arguments["mask"] = make_mask().astype(dtype)
    if population:
        arguments["statistics"] = statistics_of(model.cell, np.random.default_rng(4), 3)
    if noise:
        arguments["initial_noise"] = rng.normal(size=(N, H)).astype(dtype)
    return arguments, rng.integers(0, K, N)


def run_model(model, arguments, y):
    x, rest = arguments["x"], {key: value for key, value in arguments.items() if key != "x"}
    loss, grads = model.loss_and_grads(x, y, **rest)
    return {"loss": loss, **grads, "only loss": model.loss(x, y, **rest), "logits": model.logits(x, **rest),
            "probabilities": model.predict(x, **rest)}


@pytest.mark.parametrize("noise", [False, True], ids=["", "noise"])
@pytest.mark.parametrize("population", [False, True], ids=["batch", "population"])
@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@pytest.mark.parametrize("name", CELLS)
def test_models_are_bit_equal_and_wait_for_nothing(cupy, name, masked, population, noise):
    model = make_model(name)
    arguments, y = model_arguments(model, masked, population, noise)
    expected = run_model(model, arguments, y)
    on_device = minibn.to_device((model, arguments, y), "cuda")
    with strict_cupy.counting(cupy) as counts:
        results = run_model(*on_device)
    assert_nothing_crossed(counts)
    assert_same_bits(results, expected, cupy)
    assert results["loss"].shape == ()


RULES = {
    "SGD": lambda params: optimizers.SGD(params, learning_rate=0.1),
    "RMSProp": lambda params: optimizers.RMSProp(params, learning_rate=0.01, decay=0.9),
    "Adam": lambda params: optimizers.Adam(params, learning_rate=0.01),
}


@pytest.mark.parametrize("population", [False, True], ids=["batch", "population"])
@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@pytest.mark.parametrize("name", CELLS)
def test_language_models_are_bit_equal_and_wait_for_nothing(cupy, name, masked, population):
    model = make_language_model(name)
    for dtype in (np.int64, np.uint8):
        arguments, y = language_arguments(model, masked, population, dtype)
        expected = {**run_model(model, arguments, y), **totals_of(model, arguments, y)}
        on_device = minibn.to_device((model, arguments, y), "cuda")
        with strict_cupy.counting(cupy) as counts:
            results = {**run_model(*on_device), **totals_of(*on_device)}
        assert_nothing_crossed(counts)
        assert_same_bits(results, expected, cupy)
        assert results["total loss"].shape == results["correct"].shape == ()


def make_language_model(name):
    return minibn.LanguageModel(make_cell(name), "abc", rng=2)


def language_arguments(model, masked, population, dtype=np.int64, steps=T):
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, D, (2, steps, N)).astype(dtype)
    arguments = {"x": x, "initial_noise": rng.normal(size=(N, H))}
    if masked:
        arguments["mask"] = make_mask(steps)
    if population:
        arguments["statistics"] = statistics_of(model.cell, np.random.default_rng(4), 3)
    return arguments, y


def totals_of(model, arguments, y):
    return dict(zip(("total loss", "correct"), model.totals(**arguments, y=y, piece_steps=2), strict=True))


def test_totals_of_a_classifier_are_bit_equal_and_wait_for_nothing(cupy):
    model = make_model("bnlstm")
    arguments, y = model_arguments(model, masked=True, population=True, noise=True)
    expected = totals_of(model, arguments, y)
    on_device = minibn.to_device((model, arguments, y), "cuda")
    with strict_cupy.counting(cupy) as counts:
        results = totals_of(*on_device)
    assert_nothing_crossed(counts)
    assert_same_bits(results, expected, cupy)


def test_a_text_is_sampled_alike_on_the_device(cupy):
    model = make_language_model("bnlstm")
    statistics, prompt = statistics_of(model.cell, np.random.default_rng(4), 3), np.array([0, 2, 1])
    expected = model.sample(prompt, 12, rng=0, statistics=statistics)
    there, known = minibn.to_device((model, statistics), "cuda")
    for given in (prompt, minibn.to_device(prompt, "cuda")):
        symbols = there.sample(given, 12, rng=0, statistics=known)
        assert isinstance(symbols, np.ndarray)
        np.testing.assert_array_equal(symbols, expected)


@pytest.mark.parametrize("rows", ["live", "all"])
@pytest.mark.parametrize("variant", READERS)
def test_readers_are_bit_equal_and_stay_on_the_device(cupy, variant, rows):
    """Masks, dropout masks and statistics are the caller's; what waits is the look at the words and the labels."""
    rng = np.random.default_rng(9)
    reader = reader_checks.make_reader(variant, rng, rows=rows, skip=True, bilinear=True, padding="cyclic", dropout=0.3)
    questions, y = reader_checks.make_questions(rng), rng.integers(0, reader_checks.E, 5)
    data = reader.draw_data(rng, questions)
    loss, grads = reader.loss_and_grads(questions, y, data=data)
    alpha, probabilities = reader.attention(questions)
    there, asked, labels, drawn = minibn.to_device((reader, questions, y, data), "cuda")
    device_loss, device_grads = there.loss_and_grads(asked, labels, data=drawn)
    device_alpha, device_probabilities = there.attention(asked)
    assert_same_bits({"loss": device_loss, **device_grads}, {"loss": loss, **grads}, cupy)
    assert_same_bits({"alpha": device_alpha, "probabilities": device_probabilities},
                     {"alpha": alpha, "probabilities": probabilities}, cupy)
    assert all(isinstance(keep, cupy.ndarray) for keep in there.draw_data(rng, asked).values())
    for name, value in questions._asdict().items():
        with pytest.raises(TypeError, match=name):
            there.logits(asked._replace(**{name: value}))
    with pytest.raises(TypeError, match="y"):
        there.loss(asked, y)
    with pytest.raises(TypeError, match="data passage"):
        there.logits(asked, data=data)
    if reader.terms:
        with pytest.raises(TypeError, match="statistics"):
            there.logits(asked, statistics=reader_checks.reader_statistics(reader, rng))


def train(model, rule, arguments, y, steps=3):
    """A few steps with clipping, and the optimizer's memory at the end."""
    optimizer = RULES[rule](model.params)
    norms = []
    for _ in range(steps):
        _, grads = model.loss_and_grads(**arguments, y=y)
        clipped, norm = optimizers.clip_by_global_norm(grads, 0.05)
        optimizer.step(clipped)
        norms.append(norm)
    return optimizer, norms


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rule", RULES)
def test_training_steps_are_bit_equal_and_wait_for_nothing(cupy, rule, dtype):
    model = make_model("bnlstm", dtype)
    arguments, y = model_arguments(model, masked=True, population=False, noise=True)
    device_model, device_arguments, device_y = minibn.to_device((model, arguments, y), "cuda")
    before = {key: value.copy() for key, value in model.params.items()}
    optimizer, norms = train(model, rule, arguments, y)
    with strict_cupy.counting(cupy) as counts:
        device_optimizer, device_norms = train(device_model, rule, device_arguments, device_y)
    assert_nothing_crossed(counts)
    assert_same_bits(dict(device_model.params), dict(model.params), cupy)
    assert_same_bits(dict(enumerate(device_norms)), dict(enumerate(norms)), cupy)
    assert all(norm > 0.05 for norm in norms), "clipping had nothing to do"
    # Through batch statistics the gradient of a broadcast h0 is rounding: it may stay where it is.
    assert all((model.params[key] != before[key]).any() for key in before if key != "cell.h0")
    assert all(value.dtype == dtype for value in model.params.values())

    state, device_state = optimizer.state_arrays(), device_optimizer.state_arrays()
    for key in state:
        np.testing.assert_array_equal(minibn.to_host(device_state[key]), state[key])
    restored = RULES[rule](device_model.params)
    restored.load_state_arrays(state)  # a checkpoint's arrays are NumPy's
    assert restored.steps == 3
    for slot, kept in restored.state.items():
        for key, value in kept.items():
            assert isinstance(value, cupy.ndarray)
            np.testing.assert_array_equal(value.get(), optimizer.state[slot][key])


@pytest.mark.parametrize("name", NORMALIZED)
def test_population_statistics_are_bit_equal(cupy, name):
    model = make_model(name)
    rng = np.random.default_rng(7)
    lengths = (T,) if "sequence" in name else (T, T - 2)  # ragged, where statistics are per step
    batches = [(rng.normal(size=(steps, N, D)), rng.integers(0, K, N)) for steps in lengths for _ in range(2)]
    noise = rng.normal(size=(N, H))
    expected = minibn.estimate_population_statistics(model, batches, draw_noise=lambda index, size: noise)
    device_noise = minibn.to_device(noise, "cuda")
    population = minibn.estimate_population_statistics(*minibn.to_device((model, batches), "cuda"),
                                                       draw_noise=lambda index, size: device_noise)
    assert isinstance(population, minibn.PopulationStatistics)
    assert_same_bits(population.to_arrays(), expected.to_arrays(), cupy)
    averaged = population.averaged_over_time()
    assert_same_bits(averaged.to_arrays(), expected.averaged_over_time().to_arrays(), cupy)
    x = minibn.to_device(batches[0][0], "cuda")
    logits = minibn.to_device(model, "cuda").logits(x, statistics=population)
    np.testing.assert_array_equal(logits.get(), model.logits(batches[0][0], statistics=expected))


@pytest.mark.parametrize(("task", "uploads"), [("mnist", 3), ("ptb", 2)])  # x, y; for mnist the noise too
def test_a_training_run_is_bit_equal_and_its_iterations_wait_for_nothing(cupy, monkeypatch, tmp_path, task, uploads):
    rng = np.random.default_rng(9)
    splits = [Split(rng.integers(0, 256, (size, T), dtype=np.uint8), rng.integers(0, 10, size))
              for size in (12, 6, 5)]
    corpus = text_corpus("the quick brown fox jumps over the lazy dog " * 20, length=6)
    monkeypatch.setattr(ImageConfig, "load_data", lambda config, recorded=None: Dataset("tiny", 2, *splits))
    monkeypatch.setattr(TextConfig, "load_data", lambda config, recorded=None: corpus)
    crossings = []
    iterate = loop._Training.iterate

    def counted(training):
        with strict_cupy.counting(cupy) as counts:
            iterate(training)
        crossings.append((counts.synchronisations, counts.uploads))

    monkeypatch.setattr(loop._Training, "iterate", counted)
    settings = {"task": task, "model": "bnlstm", "hidden": H, "batch": 4, "population_batch": 6,
                "engine": "equations", "log_every": 2, "validate_every": 2, "checkpoint_every": 2}
    for device in ("cpu", "cuda"):
        for iterations in (2, 4):  # the second time it resumes
            config = make_config("quick", **settings, iterations=iterations, device=device)
            loop.train(config, tmp_path / device, resume=True, progress="none")
    assert crossings == [(0, 0)] * 4 + [(0, uploads)] * 4  # nothing comes down

    for name in ("last.npz", "best.npz"):
        here, there = (read_checkpoint(tmp_path / device / name) for device in ("cpu", "cuda"))
        assert list(here) == list(there)
        for key in here:
            if key not in ("config", "progress/seconds", "token"):
                np.testing.assert_array_equal(there[key], here[key], err_msg=key)
    here, there = ([{**json.loads(line), "seconds": 0} for line in
                    (tmp_path / device / "metrics.jsonl").read_text().splitlines()] for device in ("cpu", "cuda"))
    assert here == there


# ---- How many operations ----

# Operations per time step, forward and backward, as counted by the stand-in; without and with a mask.
MEASURED = {
    ("rnn", False): (4, 10),
    ("rnn", True): (5, 13),
    ("bnrnn", False): (15, 30),
    ("bnrnn", True): (19, 33),
    ("bnrnn_two_term", False): (29, 53),
    ("bnrnn_two_term", True): (36, 56),
    ("lstm", False): (22, 32),
    ("lstm", True): (24, 38),
    ("bnlstm", False): (58, 95),
    ("bnlstm", True): (69, 101),
}
# Room to name one more intermediate here and there; more than that is a different way of computing.
ALLOWANCE = 2


def count_operations(cupy, name, masked, steps):
    cell = make_cell(name)
    cell, arguments, dh = minibn.to_device(
        (cell, *make_arguments(cell, masked, False, False, False, steps)), "cuda")
    with strict_cupy.counting(cupy) as forward:
        _, cache = cell.forward(**arguments)
    with strict_cupy.counting(cupy) as backward:
        cell.backward(dh, cache)
    return np.array([forward.operations, backward.operations])


@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in MEASURED))
def test_operations_per_step(cupy, name, masked):
    eight, sixteen, twenty_four = (count_operations(cupy, name, masked, steps) for steps in (8, 16, 24))
    per_step = (sixteen - eight) / 8
    # Exactly linear in T: nothing walks over the past again, and nothing is done per pair of steps.
    np.testing.assert_array_equal(twenty_four - sixteen, sixteen - eight)
    assert (per_step <= np.array(MEASURED[name, masked]) + ALLOWANCE).all(), per_step
    # What does not grow with T. Forward: a copy of each parameter, x, the mask and h; the product with W_x, stacking.
    # Backward: sums over the batch, zeros in dx where padded; 4 were measured.
    copies = len(make_cell(name).params) + 2 + masked
    assert (eight - 8 * per_step <= np.array([4 + copies, 4]) + ALLOWANCE).all(), eight - 8 * per_step


@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@pytest.mark.parametrize("make", [make_model, make_language_model])
def test_a_models_operations_beside_its_cells(cupy, make, masked):
    """The softmax is one matter for all steps: a model adds the same few operations to its cell, whatever T is."""
    added = []
    for steps in (8, 16):
        model = make("lstm")
        arguments, y = language_arguments(model, masked, False, steps=steps)
        y = y if type(model) is minibn.LanguageModel else y[0]
        model, arguments, y = minibn.to_device((model, arguments, y), "cuda")
        with strict_cupy.counting(cupy) as whole:
            model.loss_and_grads(**arguments, y=y)
        state = model.cell.noisy_state(arguments["x"], arguments.pop("initial_noise"))
        with strict_cupy.counting(cupy) as cell:
            h, cache = model.cell.forward(**arguments, initial_state=state)
            model.cell.backward(h, cache)
        added.append(whole.operations - cell.operations)
    assert added[0] == added[1]
    # 25 for the classifier, 23 and with a mask 31 for the language model: the softmax, its mean, and their backward.
    assert added[0] <= (31 if masked and make is make_language_model else 25) + ALLOWANCE


# ---- NumPy and CuPy mixed ----


@pytest.mark.parametrize("name", CELLS)
def test_each_argument_of_a_cell_must_be_where_the_parameters_are(cupy, name):
    cell = make_cell(name)
    arguments, dh = make_arguments(cell, True, bool(cell.terms), True, False)
    there = minibn.to_device((cell, arguments, dh), "cuda")
    here = (cell, arguments, dh)
    for (layer, own, _), (_, other, other_dh) in ((here, there), (there, here)):
        for argument in arguments:
            with pytest.raises(TypeError, match=argument):
                layer.forward(**{**own, argument: other[argument]})
        _, cache = layer.forward(**own)
        with pytest.raises(TypeError, match="dh"):
            layer.backward(other_dh, cache)


@pytest.mark.parametrize("method", ["loss_and_grads", "loss", "logits", "predict"])
def test_each_argument_of_a_model_must_be_where_the_parameters_are(cupy, method):
    model = make_model("bnlstm")
    arguments, y = model_arguments(model, True, True, True)
    if method.startswith("loss"):
        arguments["y"] = y
    there = minibn.to_device((model, arguments), "cuda")
    for (own_model, own), (_, other) in (((model, arguments), there), (there, (model, arguments))):
        for argument in arguments:
            with pytest.raises(TypeError, match=argument):
                getattr(own_model, method)(**{**own, argument: other[argument]})


def test_gradients_must_be_where_the_parameters_are(cupy):
    model = make_model("rnn")
    on_device = minibn.to_device(model, "cuda")
    grads = {key: np.zeros_like(value) for key, value in model.params.items()}
    with pytest.raises(TypeError, match="grads"):
        optimizers.SGD(on_device.params).step(grads)
    with pytest.raises(TypeError, match="grads"):
        optimizers.SGD(model.params).step(minibn.to_device(grads, "cuda"))
    with pytest.raises(TypeError, match="NumPy"):
        optimizers.clip_by_global_norm({"a": np.ones(3), "b": cupy.ones(3)}, 1.0)


# ---- Moving ----


def test_round_trips(cupy):
    obj = {"array": np.arange(3.0), "nested": {"list": [np.ones(2, dtype=np.float32), None, 3, "text"]},
           "tuple": (np.zeros((2, 0)), np.array(True)),
           "statistics": minibn.Statistics(np.ones((2, 3)), np.zeros((2, 3)))}
    there = minibn.to_device(obj, "cuda")
    back = minibn.to_host(there)
    assert isinstance(there["array"], cupy.ndarray)
    assert isinstance(there["nested"]["list"][0], cupy.ndarray)
    assert there["nested"]["list"][1:] == [None, 3, "text"]
    for moved in (there, back):
        assert list(moved) == list(obj)
        assert type(moved["tuple"]) is tuple
        assert type(moved["statistics"]) is minibn.Statistics
    np.testing.assert_equal(back, obj)
    assert back["nested"]["list"][0].dtype == np.float32
    assert back["tuple"][1].dtype == bool
    np.testing.assert_equal(minibn.to_host(obj), obj)
    np.testing.assert_equal(minibn.to_device(there, "cpu"), obj)
    np.testing.assert_equal(minibn.to_host(minibn.to_device(there, "cuda")), obj)


def test_round_trips_of_layers_models_and_statistics(cupy):
    model = make_model("bnlstm")
    before = {key: value.copy() for key, value in model.params.items()}
    on_device = minibn.to_device(model, "cuda")
    assert type(on_device) is minibn.SequenceClassifier
    assert on_device.cell.declaration is CELLS["bnlstm"]
    assert all(isinstance(value, cupy.ndarray) for value in on_device.params.values())
    assert all(isinstance(value, np.ndarray) for value in model.params.values())
    for value in on_device.params.values():
        value += 1.0
    np.testing.assert_equal(dict(model.params), before)  # a copy: the model on the host did not move along
    back = minibn.to_host(on_device)
    np.testing.assert_equal(dict(back.params), {key: value + 1.0 for key, value in before.items()})

    population = statistics_of(model.cell, np.random.default_rng(4), 3)
    there = minibn.to_device(population, "cuda")
    assert type(there) is type(minibn.to_host(there)) is minibn.PopulationStatistics
    assert type(there["h"]) is minibn.Statistics
    np.testing.assert_equal(minibn.to_host(there), population)


def test_round_trip_of_a_models_parameters(cupy):
    model = make_model("lstm")
    there = minibn.to_device(model.params, "cuda")
    assert list(there) == list(model.params)
    assert all(isinstance(there[key], cupy.ndarray) for key in there)
    np.testing.assert_equal(dict(minibn.to_host(there)), dict(model.params))
    np.testing.assert_equal(dict(minibn.to_host(minibn.to_device(model, "cuda").params)), dict(model.params))


def test_no_such_device(cupy, monkeypatch):
    with pytest.raises(ValueError, match="device.*cuda.*gpu"):
        minibn.to_device(np.ones(3), "gpu")
    monkeypatch.setattr(cupy.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device: 'cuda' needs a GPU"):
        minibn.to_device(np.ones(3), "cuda")


def test_cuda_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # what `import` finds then is an ImportError
    with pytest.raises(ValueError, match="device: 'cuda' needs CuPy"):
        minibn.to_device(np.ones(3), "cuda")


def test_importing_minibn_imports_neither_cupy_nor_matplotlib():
    # A finder that refuses them, so that an attempt is seen where they are not installed, too.
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cupy", "matplotlib"):
            sys.exit("minibn imported " + name)
sys.meta_path.insert(0, Refuse())
import minibn, minibn.optimizers
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr


# ---- On a GPU ----


def assert_close(results, expected, tolerance):
    """Per tensor, relative to its largest value; for gradients not below 1e-3 of the largest gradient."""
    largest = max(np.abs(value).max() for name, value in expected.items() if name.startswith("d"))
    for name, value in expected.items():
        floor = 1e-3 * largest if name.startswith("d") else 1e-30
        error = np.abs(results[name].get() - value).max() / max(np.abs(value).max(), floor)
        assert results[name].dtype == value.dtype
        assert error <= tolerance, f"{name}: {error}"


# By dtype, without and with a mask. When every operation of the stand-in was disturbed by one unit in the last
# place, results moved by up to 4e-14 and 2e-12 in float64, 2.4e-5 and 1.4e-3 in float32: a step with a single
# live example, whose variance is 0, multiplies rounding by 1/sqrt(eps) = 316.
TOLERANCE = {np.float64: (1e-10, 1e-10), np.float32: (5e-4, 1e-2)}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@EVERY_CASE
def test_cells_on_a_gpu(name, masked, dtype):
    for population in (False, True):
        for given_state in (False, True):
            # A learned state is the same for all examples: through batch statistics of variance 0 rounding is
            # all that is left of some gradients, and no two libraries agree on it.
            if make_cell(name).terms and not population and not given_state:
                continue
            for integer in (False, True):
                cell = make_cell(name, dtype)
                arguments, dh = make_arguments(cell, masked, population, given_state, integer)
                results = run_cell(*minibn.to_device((cell, arguments, dh), "cuda"))
                assert_close(results, run_cell(cell, arguments, dh), TOLERANCE[dtype][masked])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rule", RULES)
def test_training_steps_on_a_gpu(rule, dtype):
    model = make_model("bnlstm", dtype)
    arguments, y = model_arguments(model, masked=False, population=False, noise=True)
    device_model, device_arguments, device_y = minibn.to_device((model, arguments, y), "cuda")
    _, norms = train(model, rule, arguments, y)
    _, device_norms = train(device_model, rule, device_arguments, device_y)
    # Rules that divide by the gradient's own size turn h0's rounding into motion: h0 is left out.
    results = {key: value for key, value in device_model.params.items() if key != "cell.h0"}
    results |= dict(zip("123", device_norms, strict=True))
    expected = {**model.params, **dict(zip("123", norms, strict=True))}
    for key, value in results.items():
        error = np.abs(value.get() - expected[key]).max() / np.abs(expected[key]).max()
        assert error <= TOLERANCE[dtype][0], f"{key}: {error}"


@pytest.mark.gpu
def test_population_statistics_on_a_gpu():
    model = make_model("bnlstm")
    rng = np.random.default_rng(8)
    batches = [(rng.normal(size=(T, N, D)), rng.integers(0, K, N)) for _ in range(2)]
    noise = rng.normal(size=(N, H))
    expected = minibn.estimate_population_statistics(model, batches, draw_noise=lambda index, size: noise)
    device_noise = minibn.to_device(noise, "cuda")
    population = minibn.estimate_population_statistics(*minibn.to_device((model, batches), "cuda"),
                                                       draw_noise=lambda index, size: device_noise)
    for key, value in population.to_arrays().items():
        np.testing.assert_allclose(value.get(), expected.to_arrays()[key], rtol=1e-10, atol=1e-10)


@pytest.mark.gpu
def test_tf32_is_off():
    import cupy as real

    # TF32 keeps 10 bits of the fraction: there 1 + 2^-13 would be 1.
    a = real.full((64, 64), 1 + 2.0**-13, dtype=np.float32)
    product = a @ real.eye(64, dtype=np.float32)
    np.testing.assert_array_equal(product.get(), a.get())
