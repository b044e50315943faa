"""A declared cell is all that a layer, a check and a trace want: ours, and those of others."""

import ast
import copy
import functools
import inspect
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import gru
import numpy as np
import pytest
import skip_cell
import zoneout

import minibn
from minibn.cells import CELLS, check_declaration, lstm, rnn
from minibn.cells.declaration import sizes_of
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm
from minibn.studies.gradient_flow import state_gradient_norms

T, N, D, H = 5, 6, 3, 4
OTHERS = {"gru": gru.GRU, "skip": skip_cell.CELL, "zoneout": zoneout.CELL}
every_cell = pytest.mark.parametrize("cell", [*CELLS.values(), *OTHERS.values()], ids=[*CELLS, *OTHERS])
NAMED = {cls.declaration.name: cls for cls in (RNN, BNRNN, BNRNNTwoTerm, LSTM, BNLSTM)}


def module_of(cell):
    return inspect.getmodule(cell.find("step_forward"))


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))


# What a file says


@every_cell
def test_a_cell_does_what_it_declares(cell):
    check_declaration(cell)


def with_row(name, axes):
    return replace(lstm.CELL, quantities={**lstm.CELL.quantities, name: lstm.CELL.quantities["h"]._replace(axes=axes)})


WRONG = {
    "a quantity that is not there": (with_row("f_hat", "N H"), "no variable f_hat; no variable df_hat"),
    "a quantity of another shape": (with_row("c_term", "N 4H"),
                                    r"c_term of shape \(5, 3\) for \(N 4H\); dc_term of shape \(5, 3\) for \(N 4H\)"),
    "a state without a row": (replace(lstm.CELL, quantities={"h": lstm.CELL.quantities["h"]}), "no row 'c' in the"),
    "another width of the input": (replace(rnn.CELL, input="4H"),
                                   "ValueError on inputs of the declared shapes: operands could"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_declaration_is_told(case):
    cell, words = WRONG[case]
    with pytest.raises(ValueError, match=words) as caught:
        check_declaration(cell)
    assert "\n" not in str(caught.value)


def wrong_comment(dh, h_prev, W_h, h):
    """Backward of a tanh RNN; a shape is wrong, one is not there, and so is a gradient."""
    dh_tilde = dh * (1 - h * h)                                       # (N, 4H)
    dx_term = dh_tilde
    dh_linear = dh_tilde                                              # (N, H)
    dW_h = h_prev.T @ dh_linear                                       # (H, H)
    dh_prev = dh_linear @ W_h.T                                       # (N, H)
    return locals()


def test_wrong_comments_and_missing_gradients_are_told(monkeypatch):
    monkeypatch.setattr(rnn, "step_backward", wrong_comment)
    with pytest.raises(ValueError) as caught:
        check_declaration(rnn.CELL)
    for words in ("cell rnn: ", "no variable db", "(N, 4H) beside dh_tilde of shape (5, 3) in line ",
                  "no comment on the shape of dx_term in line ", "; correct the file minibn.cells.rnn"):
        assert words in str(caught.value)


def test_a_name_that_nobody_declares(monkeypatch):
    monkeypatch.setattr(rnn, "step_forward", lambda x_term, h_prev, W_hh: locals())
    with pytest.raises(TypeError, match="expected names out of x_term, .*; got W_hh; declare them"):
        RNN(D, H).forward(inputs()[0])


def test_shapes_are_written_in_letters():
    sizes = {"N": 5, "H": 3, "M": 2, "S": 7}
    assert sizes_of("N 4H", sizes) == (5, 12) and sizes_of("1 4H+4M", sizes) == (1, 20)
    assert sizes_of("SH", sizes) == (21,)


# Functions are looked up in the cell's module at each call


@every_cell
def test_a_replaced_forward_reaches_everything(cell, monkeypatch):
    module, (x, dh) = module_of(cell), inputs()
    layer = minibn.RecurrentLayer(cell, D, H, rng=0)
    h, _ = layer.forward(x)
    original = module.step_forward

    @functools.wraps(original)
    def doubled(**values):
        variables = original(**values)
        return {**variables, "h": 2 * variables["h"]}

    monkeypatch.setattr(module, "step_forward", doubled)
    assert np.allclose(layer.forward(x)[0][0], 2 * h[0], rtol=1e-12)
    assert np.allclose(minibn.trace(layer, x, dh)["h"].value[0], 2 * h[0], rtol=1e-12)
    assert not minibn.check_gradients(layer, x).ok


@every_cell
def test_a_replaced_backward_reaches_everything(cell, monkeypatch):
    module, (x, dh) = module_of(cell), inputs()
    layer = minibn.RecurrentLayer(cell, D, H, rng=0)
    model, y = minibn.SequenceClassifier(layer, 3, rng=0), np.arange(N) % 3
    _, cache = layer.forward(x)
    before, norms = layer.backward(dh, cache)[1], state_gradient_norms(model, x, y)
    original = module.step_backward

    @functools.wraps(original)
    def halved(**values):
        variables = original(**values)
        return {**variables, "db": variables["db"] / 2, "dh": variables["dh"] / 2}

    monkeypatch.setattr(module, "step_backward", halved)
    assert np.allclose(layer.backward(dh, cache)[1]["b"], before["b"] / 2, rtol=1e-12)
    report = minibn.check_gradients(layer, x)
    assert [entry.name for entry in report.entries if not entry.ok] == ["b"]
    trace = minibn.trace(layer, x, dh)
    assert not trace.check(["h"]).ok and trace.grads["b"].tobytes() == layer.backward(dh, cache)[1]["b"].tobytes()
    assert np.allclose(state_gradient_norms(model, x, y)["h"], norms["h"] / 2, rtol=1e-12)


# Layers of declarations


@pytest.mark.parametrize("name", NAMED)
def test_a_named_class_is_a_layer_of_its_declaration(name):
    x, dh = inputs()
    found = []
    for layer in (NAMED[name](D, H, rng=0), minibn.RecurrentLayer(CELLS[name], D, H, rng=0)):
        assert isinstance(layer, minibn.RecurrentLayer) and layer.declaration is CELLS[name]
        h, cache = layer.forward(x)
        found.append([h, *layer.params.values(), *layer.backward(dh, cache)[1].values()])
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*found, strict=True))
    options = inspect.signature(NAMED[name]).parameters
    assert list(options)[:2] == ["input_size", "hidden_size"] and {*CELLS[name].options, "dtype", "rng"} <= set(options)


def test_users_may_subclass():
    class Doubled(LSTM):
        def __init__(self, *sizes, factor=2, **settings):
            super().__init__(*sizes, **settings)
            self.factor = factor

        def forward(self, *arguments, **settings):
            h, cache = super().forward(*arguments, **settings)
            return self.factor * h, cache

        def backward(self, dh, cache, *observers):
            return super().backward(self.factor * dh, cache, *observers)

    x, _ = inputs()
    layer = Doubled(D, H, rng=0, cell_offset=True)
    assert np.array_equal(layer.forward(x)[0], 2 * LSTM(D, H, rng=0, cell_offset=True).forward(x)[0])
    assert minibn.check_gradients(layer, x).ok and isinstance(layer, LSTM)
    assert repr(layer) == ("Doubled(input_size=3, hidden_size=4, cell_offset=True, factor=2, dtype=float64, "
                           "engine='equations')")


@pytest.mark.parametrize("make", [lambda: BNLSTM(D, H, gamma=0.3), lambda: minibn.RecurrentLayer(gru.GRU, D, H)])
def test_a_layer_can_be_copied_and_sent(make):
    layer, (x, _) = make(), inputs()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.declaration is layer.declaration and repr(other) == repr(layer)
        assert np.array_equal(other.forward(x)[0], layer.forward(x)[0])


@pytest.mark.parametrize("cell", OTHERS.values(), ids=OTHERS)
def test_a_cell_of_somebody_else_has_the_rights_of_ours(cell):
    x, dh = inputs()
    layer = minibn.RecurrentLayer(cell, D, H, rng=0)
    mask = np.random.default_rng(1).random((T, N)) < 0.7
    for arguments in ({}, {"mask": mask}):
        report = minibn.check_gradients(layer, x, **arguments)
        assert report.ok and report.title.startswith(cell.title), report
        trace = minibn.trace(layer, x, dh, **arguments)
        assert trace.check(elementwise=False).ok
        assert trace.title.startswith(cell.title) and trace.at(1)._repr_html_() and str(trace.at(1))
    model = minibn.SequenceClassifier(layer, 3, rng=0)
    assert minibn.check_gradients(model, x, initial_noise=0.1 * dh[0]).ok
    assert minibn.check_gradients(minibn.LanguageModel(layer, D, rng=0), np.arange(T * N).reshape(T, N) % D).ok
    _, cache = layer.forward(x, mask=mask)
    widths = {name: sizes_of(width, layer.sizes) for name, width in cell.states.items()}
    assert [state.shape for state in cache.final_state] == [(N, *width) for width in widths.values()]
    states = tuple(np.zeros((N, *width)) for width in widths.values())
    with pytest.raises(ValueError, match=f"initial_state {[*cell.states][-1]}0: expected shape "):
        layer.forward(x, initial_state=(*states[:-1], states[-1][:, 1:]))
    with pytest.raises(ValueError, match=f"engine: 'kernels' has none for the cell {cell.name}; use engine="):
        minibn.RecurrentLayer(cell, D, H, engine="kernels")


def test_letters_of_its_gates_and_sizes_of_its_options():
    x, dh = inputs()
    trace = minibn.trace(minibn.RecurrentLayer(gru.GRU, D, H, rng=0), x, dh)
    assert all(f">{letter}" in trace.at(0, ["x_term"])._repr_html_() for letter in "rzg")
    layer = minibn.RecurrentLayer(skip_cell.CELL, D, H, rng=0, skip=2)
    assert layer.params["past0"].shape == (2 * H,) and "skip=2" in repr(layer)
    h, _ = layer.forward(x)
    assert np.array_equal(h[:2], np.tanh(x[:2] @ layer.params["W_x"]))          # nothing is older than the sequence


CHOSEN = ("studies", "pictures", "labs", "kernels")      # each is about certain cells; kernels have names too


def test_nobody_names_a_cell():
    """What a cell is stands in its declaration: no branch, and no table, on a name. Readers have the same names."""
    package = Path(minibn.__file__).parent
    own = {package / "cells" / "__init__.py", package / "models" / "readers.py",
           *(Path(sys.modules[cell.module].__file__) for cell in CELLS.values())}
    for path in package.rglob("*.py"):
        if path in own or path.relative_to(package).parts[0] in CHOSEN:
            continue
        named = [node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Constant) and node.value in CELLS]
        assert not named, f"{path.name} names {named}"
