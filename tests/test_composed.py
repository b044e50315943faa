"""Layers made of layers, and cells that take data at each step."""

import copy
import pickle
from dataclasses import replace

import gru
import numpy as np
import pytest
import skip_cell
import zoneout

import minibn
from minibn import BNLSTM, BNRNN, LSTM, RNN, Bidirectional, BNRNNTwoTerm, RecurrentLayer, Stacked
from minibn.cells import check_declaration
from minibn.equations.reversal import reverse

T, N, D, H = 5, 6, 3, 4
LENGTHS = np.array([5, 3, 4, 5, 1, 4])
MASK = np.arange(T)[:, None] < LENGTHS


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def both(forward, backward, D=D, size=H, **settings):
    return Bidirectional(forward(D, size, rng=0, **settings), backward(D, size, rng=1, **settings))


MAKE = {
    "stacked": lambda **s: Stacked([BNLSTM(D, H, rng=0, **s), LSTM(H, 2, rng=1, **s)]),
    "three": lambda **s: Stacked([BNRNN(D, H, rng=0, **s), RNN(H, 2, rng=1, **s), BNRNNTwoTerm(2, 3, rng=2, **s)]),
    "bidirectional": lambda **s: both(BNLSTM, BNLSTM, **s),
    "unequal": lambda **s: Bidirectional(LSTM(D, H, rng=0, **s), BNRNN(D, 2, rng=1, **s)),
    "stacked bidirectional": lambda **s: Stacked([both(BNLSTM, LSTM, **s), both(RNN, BNLSTM, D=2 * H, size=3, **s)]),
}
EVERY = pytest.mark.parametrize("name", MAKE)
FORWARD = pytest.mark.parametrize("name", ["stacked", "three"])


# Reversal.

def test_reversing_moves_the_live_steps_and_leaves_padding():
    a = np.arange(T)[:, None] + np.zeros(N)
    reversed_a = reverse(a, MASK)
    for n, length in enumerate(LENGTHS):
        assert reversed_a[:, n].tolist() == [*range(length - 1, -1, -1), *range(length, T)]
    np.testing.assert_array_equal(reverse(a), a[::-1])


def test_reversing_is_its_own_inverse_with_any_mask():
    mask = np.random.default_rng(0).random((7, 20)) < 0.5
    a = draw(7, 20, 3)
    np.testing.assert_array_equal(reverse(reverse(a, mask), mask), a)
    np.testing.assert_array_equal(reverse(a, mask)[~mask], a[~mask])


# Names.

def test_names_and_their_order():
    layer = MAKE["stacked bidirectional"]()
    assert list(layer.params)[:4] == ["0.forward.W_x", "0.forward.W_h", "0.forward.b", "0.forward.gamma_x"]
    prefixes = dict.fromkeys(name.rpartition(".")[0] for name in layer.params)
    assert list(prefixes) == ["0.forward", "0.backward", "1.forward", "1.backward"]
    assert layer.state_names == ("0.forward.h0", "0.forward.c0", "0.backward.h0", "0.backward.c0", "1.forward.h0",
                                 "1.backward.h0", "1.backward.c0")
    assert layer.terms == ("0.forward.x", "0.forward.h", "0.forward.c", "1.backward.x", "1.backward.h", "1.backward.c")
    assert (layer.input_size, layer.output_size, layer.noise_size) == (D, 6, 14)
    layer.params["1.forward.W_h"] = 0 * layer.params["1.forward.W_h"]
    assert not layer.parts["1"].parts["forward"].params["W_h"].any()
    h, cache = layer.forward(draw(T, N, D))
    assert [state.shape[1] for state in cache.final_state] == [H, H, H, H, 3, 3, 3]
    assert h.shape == cache.h.shape == (T, N, 6)


@EVERY
def test_copies_are_independent(name):
    layer = MAKE[name]()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.map_params(np.copy)):
        key = next(iter(layer.params))
        other.params[key] = other.params[key] + 1
        assert np.all(other.params[key] != layer.params[key])


# What the output is: the parts, run by hand.

def test_stacked_is_one_after_the_other():
    layer, x = MAKE["stacked"](), draw(T, N, D)
    low, _ = layer.parts["0"].forward(x, MASK)
    expected, _ = layer.parts["1"].forward(low, MASK)
    np.testing.assert_array_equal(layer.forward(x, MASK)[0], expected)


def test_the_backward_reader_reads_each_example_from_its_end():
    layer, x = both(LSTM, LSTM), draw(T, N, D)
    h, cache = layer.forward(x, MASK)
    for n, length in enumerate(LENGTHS):
        alone, _ = layer.parts["backward"].forward(x[:length, [n]][::-1])
        np.testing.assert_allclose(h[:length, n, H:], alone[::-1, 0], rtol=0, atol=1e-14)
        np.testing.assert_allclose(cache.last_output[n], [*h[length - 1, n, :H], *alone[-1, 0]], rtol=0, atol=1e-14)


@EVERY
def test_padding_changes_nothing(name):
    layer, x = MAKE[name](), draw(T, N, D)
    x[~MASK] = np.nan
    h, cache = layer.forward(x, MASK)
    longer, longer_cache = layer.forward(np.concatenate([x, np.full((3, N, D), np.nan)]),
                                         np.concatenate([MASK, np.zeros((3, N), bool)]))
    np.testing.assert_array_equal(longer[:T][MASK], h[MASK])
    np.testing.assert_array_equal(longer_cache.last_output, cache.last_output)


# Gradients.

@EVERY
@pytest.mark.parametrize("engine", ["equations", "kernels"])
@pytest.mark.parametrize("case", ["plain", "masked", "masked, given states", "given statistics", "integers"])
def test_gradients(name, engine, case):
    layer, x, settings = MAKE[name](engine=engine), draw(T, N, D), {}
    if "masked" in case:
        settings["mask"] = MASK
        x = np.where(MASK[..., None], x, np.nan)
    if "states" in case:
        settings["initial_state"] = tuple(
            draw(N, *layer.params[key].shape, seed=k) for k, key in enumerate(layer.state_names))
    if "statistics" in case:
        settings["statistics"] = minibn.estimate_population_statistics(layer, [(x, None), (x[:3] + 1, None)])
    if case == "integers":
        x = np.random.default_rng(0).integers(D, size=(T, N))
    report = minibn.check_gradients(layer, x, **settings, elementwise=case == "masked" and name == "unequal")
    assert report.ok, str(report)
    names = {entry.name.removesuffix(" (per example)") for entry in report.entries} - {"x"}
    assert names == set(layer.params)


@EVERY
def test_every_quantity_of_a_trace(name):
    layer = MAKE[name]()
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 1]])
    trace = minibn.trace(layer, draw(2, 4, D), draw(2, 4, layer.output_size, seed=1), mask)
    names = {prefix for prefix, _ in layer.leaves()}
    assert {f"{prefix}h" for prefix in names} <= set(trace.quantities)
    report = trace.check(elementwise=False)
    assert report.ok, str(report)


def test_a_wrong_line_in_one_part_is_found(monkeypatch):
    layer = MAKE["three"]()
    true = minibn.cells.rnn.step_backward

    def wrong(dh, h_prev, W_h, h):
        found = true(dh, h_prev, W_h, h)
        return {**found, "dW_h": 1.5 * found["dW_h"]}

    monkeypatch.setattr(minibn.cells.rnn, "step_backward", wrong)
    report = minibn.check_gradients(layer, draw(T, N, D))
    assert [entry.name for entry in report.entries if entry.wrong] == ["1.W_h"]


@EVERY
@pytest.mark.parametrize("masked", [False, True])
def test_a_classifier_with_noise(name, masked):
    layer = MAKE[name]()
    model = minibn.SequenceClassifier(layer, 7, rng=0)
    noise = draw(N, layer.noise_size, seed=3)
    report = minibn.check_gradients(model, draw(T, N, D), mask=MASK if masked else None, initial_noise=noise,
                                    elementwise=False)
    assert report.ok, str(report)
    with pytest.raises(ValueError, match=rf"^initial_noise: expected .*H={layer.noise_size}"):
        model.loss(draw(T, N, D), np.zeros(N, int), initial_noise=noise[:, 1:])


@FORWARD
def test_a_language_model(name, monkeypatch):
    layer = MAKE[name]()
    model = minibn.LanguageModel(layer, D, rng=0)
    x = np.random.default_rng(0).integers(D, size=(T, N))
    report = minibn.check_gradients(model, x, mask=MASK, elementwise=False)
    assert report.ok, str(report)
    population = minibn.estimate_population_statistics(model, [(x, None)])
    assert len(model.sample(np.array([0, 1]), 4, rng=0, statistics=population)) == 4
    whole = model.logits(x, statistics=population)
    pieces = [h for h, _ in layer.forward_in_pieces(x, statistics=population, piece_steps=2)]
    assert [len(h) for h in pieces] == [2, 2, 1]
    np.testing.assert_allclose(np.concatenate(pieces) @ model.params["W_y"] + model.params["b_y"], whole, atol=1e-14)


@EVERY
def test_population_statistics_are_those_of_the_parts(name):
    layer, x = MAKE[name](), draw(T, N, D)
    population = minibn.estimate_population_statistics(layer, [(x, None)])
    assert set(population) == set(layer.terms)
    _, cache = layer.forward(x)
    for term, statistics in cache.statistics(layer.terms).items():
        np.testing.assert_allclose(population[term].mean, statistics.mean, rtol=0, atol=1e-14)
    np.testing.assert_allclose(layer.forward(x, statistics=population)[0], layer.forward(x)[0], rtol=0, atol=1e-12)


def test_a_row_of_a_backward_reader_counts_from_the_end():
    layer, x = both(BNRNN, BNRNN), draw(T, N, D)
    population = minibn.estimate_population_statistics(layer, [(x, None, MASK)])
    alone = layer.parts["backward"].batch_statistics(reverse(x, MASK), MASK)
    np.testing.assert_array_equal(population["backward.sum"].mean, alone["sum"].mean)


# Bad input, in one line each.

def test_bad_layers():
    cell = LSTM(D, H)
    for arguments, error, words in [
        ((cell,), TypeError, "layers: expected a list of layers, got LSTM"),
        (([],), TypeError, "layers: expected a list of layers, got list"),
        (([cell, "no"],), TypeError, "1: expected a layer.* got str"),
        (([cell, LSTM],), TypeError, "1: expected a layer.* got "),
        (([cell, LSTM(D, H)],), ValueError, "layer 1: expected input_size=4, the output of the layer below, got 3"),
        (([LSTM(H, H), LSTM(H, H, dtype="float32")],), TypeError, "1: expected a layer of dtype float64.* got float32"),
    ]:
        with pytest.raises(error, match=f"^{words}"):
            Stacked(*arguments)
    same = LSTM(H, H)
    with pytest.raises(ValueError, match="^0 1: expected different layers, got one of them twice"):
        Stacked([same, same])
    with pytest.raises(ValueError, match="^backward: expected input_size=3, that of forward, got 4"):
        Bidirectional(LSTM(D, H), LSTM(H, H))


@EVERY
def test_bad_calls(name):
    layer, x = MAKE[name](), draw(T, N, D)
    h, cache = layer.forward(x)
    population = minibn.estimate_population_statistics(layer, [(x, None)])
    for settings, words in [
        ({"initial_state": cache.final_state[1:]}, "initial_state: expected a tuple"),
        ({"initial_state": tuple(state[:2] for state in cache.final_state)}, "initial_state h0: expected .*N=6"),
        ({"statistics": {**population, "h": population[list(population)[0]]}}, "statistics: expected the terms"),
        ({"data": {"0.mask": x}}, "data: expected the names"),
    ]:
        with pytest.raises(ValueError, match=f"^{words}"):
            layer.forward(x, **settings)
    with pytest.raises(TypeError, match="^cache: expected one from the forward of this"):
        MAKE[name]().backward(h, cache)
    with pytest.raises(ValueError, match="^x: batch statistics need N >= 2"):
        layer.forward(x[:, :1])


@pytest.mark.parametrize("name", ["bidirectional", "stacked bidirectional"])
def test_what_a_bidirectional_layer_refuses(name):
    layer, x = MAKE[name](), draw(T, N, D)
    with pytest.raises(ValueError, match="^cell: expected one that reads forward"):
        minibn.LanguageModel(layer, D)
    with pytest.raises(ValueError, match="^first_step: expected 0, got 2"):
        layer.forward(x, first_step=2)
    with pytest.raises(ValueError, match="^piece_steps: expected at least T=5, got 2"):
        list(layer.forward_in_pieces(x, piece_steps=2))


def test_an_engine_of_all_parts():
    layer = MAKE["stacked"]()
    layer.engine = "kernels"
    assert {part.engine for part in layer.parts.values()} == {layer.engine} == {"kernels"}
    layer.parts["0"].engine = "equations"
    assert layer.engine is None


# Data at each step.

def zoneout_layer(seed=0):
    return RecurrentLayer(zoneout.CELL, D, H, rng=seed)


def test_data_are_drawn_and_given():
    check_declaration(zoneout.CELL)
    layer, x = zoneout_layer(), draw(T, N, D)
    data = layer.draw_data(np.random.default_rng(0), T, N)
    assert data["zone_h"].shape == (T, N, H) and set(np.unique(data["zone_h"])) == {0, 1}
    h, _ = layer.forward(x, data=data)
    kept = data["zone_h"][1:] == 1
    np.testing.assert_array_equal(h[1:][kept], h[:-1][kept])
    expected, _ = layer.forward(x, data={"zone_h": np.full((T, N, H), 0.25)})
    np.testing.assert_array_equal(layer.forward(x)[0], expected)
    pieces = np.concatenate([part for part, _ in layer.forward_in_pieces(x, data=data, piece_steps=2)])
    np.testing.assert_allclose(pieces, h, rtol=0, atol=1e-15)


@pytest.mark.parametrize("make", [zoneout_layer, lambda: both(lambda D, H, rng: zoneout_layer(rng), LSTM),
                                  lambda: Stacked([zoneout_layer(), BNLSTM(H, 2, rng=0)])],
                         ids=["alone", "bidirectional", "stacked"])
def test_checks_and_traces_with_data(make):
    layer, x = make(), draw(T, N, D)
    report = minibn.check_gradients(layer, x, mask=MASK)
    assert report.ok, str(report)
    data = layer.draw_data(np.random.default_rng(0), T, N)
    assert set(data) == set(layer.data_names)
    model = minibn.SequenceClassifier(layer, 7, rng=0)
    assert minibn.check_gradients(model, x, mask=MASK, data=data, elementwise=False).ok
    y = np.zeros(N, int)
    loss, _ = model.loss_and_grads(x, y, data=data)
    assert loss == pytest.approx(float(model.loss(x, y, data=data)), abs=1e-12)
    assert abs(loss - model.loss(x, y)) > 1e-6
    trace = minibn.trace(layer, x, draw(T, N, layer.output_size), MASK, data=data)
    assert trace.check(["x", layer.data_names[0].replace("zone_h", "new")], elementwise=False).ok
    population = minibn.estimate_population_statistics(
        layer, [(x, None)], draw_data=lambda index, T, N: layer.draw_data(np.random.default_rng(index), T, N))
    assert set(population) == set(layer.terms)


def test_a_cell_with_kinks_asks_for_central_differences():
    layer = RecurrentLayer(replace(zoneout.CELL, check="central"), D, H, rng=0)
    for checked in (layer, Stacked([layer, LSTM(H, 2, rng=0)])):
        report = minibn.check_gradients(checked, draw(T, N, D), elementwise=False)
        assert report.ok and report.method.startswith("central differences")
    assert minibn.check_gradients(LSTM(D, H, rng=0), draw(T, N, D)).method.startswith("complex step")


def test_a_cache_owns_its_data():
    layer, x = zoneout_layer(), draw(T, N, D)
    data = layer.draw_data(np.random.default_rng(0), T, N)
    h, cache = layer.forward(x, data=data)
    expected = layer.backward(h, cache)[1]
    data["zone_h"][:] = 7
    for key, value in layer.backward(h, cache)[1].items():
        np.testing.assert_array_equal(value, expected[key])


def test_bad_data():
    layer, x = zoneout_layer(), draw(T, N, D)
    for data, error, words in [
        ([1], TypeError, "data: expected a dict of arrays, got list"),
        ({}, ValueError, r"data: expected the names \['zone_h'\], got \[\]"),
        ({"zone_h": np.ones((T, N, 2))}, ValueError, "data zone_h: expected .*H=4"),
        ({"zone_h": np.ones((T, N, H), np.float32)}, TypeError, "data zone_h: expected .*float64"),
    ]:
        with pytest.raises(error, match=f"^{words}"):
            layer.forward(x, data=data)
    with pytest.raises(ValueError, match=r"^data: expected the names \[\], got \['zone_h'\]"):
        LSTM(D, H).forward(x, data={"zone_h": np.ones((T, N, H))})


# Cells of a user, in layers of layers; a state of another width.

@pytest.mark.parametrize("cell", [gru.GRU, skip_cell.CELL], ids=["gru", "skip"])
def test_cells_of_a_user(cell):
    layer = Stacked([Bidirectional(RecurrentLayer(cell, D, H, rng=0), LSTM(D, H, rng=1)),
                     RecurrentLayer(cell, 2 * H, 2, rng=2)])
    report = minibn.check_gradients(layer, draw(T, N, D), mask=MASK, elementwise=False)
    assert report.ok, str(report)


# PyTorch.

@pytest.mark.oracle
@pytest.mark.parametrize("name", ["RNN", "LSTM"])
@pytest.mark.parametrize("layers, bidirectional", [(2, True), (2, False), (1, True)])
@pytest.mark.parametrize("engine", ["equations", "kernels"])
def test_equals_torch_on_packed_sequences(name, layers, bidirectional, engine):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(torch.nn, name)(D, H, num_layers=layers, bidirectional=bidirectional, dtype=torch.float64)
    layer = minibn.from_torch(module)
    layer.engine = engine
    x = torch.tensor(draw(T, N, D), requires_grad=True)
    states = [draw(N, *layer.params[key].shape, seed=k) for k, key in enumerate(layer.state_names)]
    kinds = 2 if name == "LSTM" else 1                                    # ours: h, c of each reader in turn
    given = [torch.tensor(np.stack(states[kind::kinds]), requires_grad=True) for kind in range(kinds)]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    out, final = module(packed, tuple(given) if kinds == 2 else given[0])
    h_torch, _ = torch.nn.utils.rnn.pad_packed_sequence(out)
    h, cache = layer.forward(x.detach().numpy(), MASK, tuple(states))
    np.testing.assert_allclose(h[MASK], h_torch.detach().numpy()[MASK], rtol=0, atol=1e-14)
    final = final if kinds == 2 else (final,)
    for k, state in enumerate(cache.final_state):
        np.testing.assert_allclose(state, final[k % kinds][k // kinds].detach().numpy(), rtol=0, atol=1e-14)
    dh = draw(T, N, layer.output_size, seed=9) * MASK[..., None]
    (h_torch * torch.tensor(dh)).sum().backward()
    dx, grads = layer.backward(dh, cache)
    np.testing.assert_allclose(dx, x.grad.numpy(), rtol=0, atol=1e-13)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.grad)
    theirs = minibn.from_torch(module).params                         # the gradients, under our names
    for key in layer.params:
        if key in layer.state_names:
            k = layer.state_names.index(key)
            expected = given[k % kinds].grad[k // kinds].numpy()
        else:
            # Both of PyTorch's biases have the gradient of our one.
            expected = theirs[key] / 2 if key.endswith(".b") else theirs[key]
        np.testing.assert_allclose(grads[key], expected, rtol=0, atol=1e-13, err_msg=key)
