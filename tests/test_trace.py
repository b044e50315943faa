"""minibn.trace: everything is there, its check believes nothing, and what it displays can be read."""

import doctest
import functools
import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser

import equation_checks as checks
import numpy as np
import pytest
import reader_checks
from equation_checks import LAYERS, make_cell, normal, population_for
from mutants import MUTANTS, in_place

import minibn
import minibn.tracing
from minibn.cells import bn_lstm, bn_rnn, bn_rnn_two_term, lstm, rnn
from minibn.equations import batch_norm
from minibn.tracing import slider

T, N, D, H = 5, 6, checks.D_LAYER, checks.H_LAYER
CELLS = {"RNN": rnn, "BNRNN": bn_rnn, "BNRNNTwoTerm": bn_rnn_two_term, "LSTM with offset": lstm, "BNLSTM": bn_lstm}


def make_trace(layer, masked=False, population=False, integer=False, given_state=True, seed=0):
    """A trace of a cell with random parameters; padded input is NaN."""
    rng = np.random.default_rng([seed, 3])
    cell = make_cell(layer, rng)
    mask = checks.mask_for(T, N) if masked else None
    x = rng.integers(0, D, (T, N)) if integer else normal(rng, T, N, D)
    if masked:
        x[~mask] = -1000 if integer else np.nan         # padding is never read
    dh = normal(rng, T, N, H)
    state = tuple(normal(rng, N, H) for _ in cell.state_names) if given_state else None
    statistics = population_for(cell, rng) if population and cell.terms else None
    return minibn.trace(cell, x, dh, mask=mask, initial_state=state, statistics=statistics)


# What is in it


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_every_quantity_is_there_with_its_gradient(layer, masked):
    trace = make_trace(layer, masked)
    cell, cache = trace.cell, trace.cache
    carried = [f"{name}_carried" for name in cell.declaration.states] if masked else []
    assert list(trace.quantities) == ["x", *cell.quantities, *carried]
    seen = {}
    dx, grads = cell.backward(trace.dh, cache, observe=lambda t, *gradients: seen.update({t: gradients}))
    assert np.array_equal(trace.dx, dx) and all(np.array_equal(trace.grads[name], grads[name]) for name in grads)
    sizes = {"N": N, "D": D, "H": H, "4H": 4 * H, "1": 1}
    per_sequence = getattr(cell, "input_statistics", "step") == "sequence"
    for name, quantity in trace.quantities.items():
        steps = 1 if per_sequence and name in ("x_mean", "x_variance", "x_inv_std") else T
        assert quantity.shape == quantity.gradient.shape == (steps, *(sizes[axis] for axis in quantity.axes.split()))
        assert quantity.latex and quantity.name == name
        if name in cell.quantities and not name.startswith("x_"):
            for t in range(T):
                assert np.array_equal(quantity.value[t], getattr(cache.sequence.steps[t], name))
                assert np.array_equal(quantity.gradient[t], getattr(seen[t][0], name))
    assert np.array_equal(trace["h_carried" if masked else "h"].value, cache.h)


def test_a_trace_outlives_its_layer():
    """Training goes on; what was traced stays as it was."""
    rng = np.random.default_rng(1)
    cell = make_cell("BNLSTM", rng)
    x, dh = normal(rng, T, N, D), normal(rng, T, N, H)
    trace = minibn.trace(cell, x, dh)
    for array in (x, dh, *cell.params.values()):
        array += 1
    assert trace.check(["h_hat", "W_h"]).ok


# The check


@pytest.mark.parametrize("population", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_check(layer, masked, population):
    """Random directions for every quantity at every step."""
    trace = make_trace(layer, masked, population)
    report = trace.check(elementwise=False)
    assert report.ok, report
    assert report.worst.error < 1e-11
    expected = {f"{name}[{t}]" for name, quantity in trace.quantities.items() if name != "x" for t in range(T)
                if t == 0 or not (name.startswith("x_") and name != "x_term" and "sequence" in layer)}
    assert {entry.name for entry in report.entries} - {"x", *trace.cell.params} == expected
    assert report.first_wrong is None and {"x", *trace.cell.params} <= {entry.name for entry in report.entries}


@pytest.mark.parametrize("layer", ["BNRNN", "LSTM with offset", "BNLSTM"])
def test_check_with_central_differences(layer):
    report = make_trace(layer, masked=True).check(method="central", elementwise=False)
    assert report.ok, report


def test_check_element_by_element():
    trace = make_trace("BNLSTM", masked=True)
    names = ["x_variance", "h_mean", "h_variance", "c", "c_inv_std", "c_carried", "gamma_c"]
    report = trace.check(names, elementwise=True)
    assert report.ok, report
    assert {entry.name.split("[")[0] for entry in report.entries} == set(names)
    assert report["c[2]"].how == "element-wise" and report["c[2]"].index is not None


@pytest.mark.parametrize("integer, given_state", [(True, True), (False, False)])
def test_check_of_other_inputs(integer, given_state):
    """Rows of W_x; the learned initial state."""
    trace = make_trace("BNLSTM", masked=True, integer=integer, given_state=given_state)
    assert trace.check(elementwise=False).ok
    assert (trace["x"].gradient is None) == integer


def test_check_of_float32_is_in_float64():
    rng = np.random.default_rng(2)
    cell = minibn.BNLSTM(D, H, dtype=np.float32, rng=rng)
    x, dh = (normal(rng, T, N, size).astype(np.float32) for size in (D, H))
    trace = minibn.trace(cell, x, dh)
    assert trace["c_hat"].value.dtype == trace["c_hat"].gradient.dtype == np.float32
    assert trace.check(elementwise=False).ok


@pytest.mark.parametrize("layer", CELLS)
def test_check_finds_each_wrong_gradient(layer, monkeypatch):
    """One gradient after the other is scaled as it is handed out: that one fails at every step, and no other."""
    module = CELLS[layer]
    original = module.step_backward
    for quantity in make_trace(layer).cell.quantities:
        if quantity.startswith("x_") or quantity.endswith("_prev"):     # those go on to the steps before
            continue

        @functools.wraps(original)
        def wrong(quantity=quantity, **arguments):
            gradients = original(**arguments)
            if f"d{quantity}" in gradients:
                return {**gradients, f"d{quantity}": 1.5 * gradients[f"d{quantity}"]}
            term, _, field = quantity.partition("_")
            inner = gradients[f"d{term}_bn"]
            return {**gradients, f"d{term}_bn": inner._replace(**{field: 1.5 * getattr(inner, field)})}

        monkeypatch.setattr(module, "step_backward", wrong)
        trace = make_trace(layer)
        names = list(trace.quantities)
        k = names.index(quantity)
        report = trace.check([*names[k - 1:k + 2], "W_h"], elementwise=False, max_elements=1)
        assert {entry.name for entry in report.entries if not entry.ok} == {f"{quantity}[{t}]" for t in range(T)}
        assert report.first_wrong.name == f"{quantity}[{T - 1}]"


@pytest.mark.parametrize("mutant, layer, first", [
    ("unroll_backward: later steps dropped from c", "LSTM", "c"),
    ("dtanh: square dropped", "RNN", "h_tilde"),
    ("dtanh: square dropped", "BNLSTM", "c_term"),
    ("dsigmoid: 1 - s dropped", "LSTM with offset", "o_tilde"),
    ("batch_norm_backward: sign of the path through the variance", "BNRNN", "sum_variance"),
    ("batch_norm_backward: path through the mean dropped", "BNRNNTwoTerm", "h_mean"),
    ("batch_norm_backward: path through the variance dropped", "BNLSTM", "c_variance"),
    ("batch_norm_backward: 1/N dropped", "BNLSTM", "c"),
    ("batch_norm_backward: gamma dropped", "BNLSTM", "c_hat"),
    ("batch_norm_backward: normalized products for the deviation", "BNRNN", "sum_inv_std"),
])
def test_check_finds_a_wrong_line(mutant, layer, first):
    """Lines of the backward functions, edited as in the table of mutants: where the way back first goes wrong."""
    [planted] = [row for row in MUTANTS if row.name == mutant]
    with in_place(planted):
        trace = make_trace(layer)
        names = list(trace.quantities)
        report = trace.check(names[names.index(first):], elementwise=False)
    assert not report.ok
    assert report.to_dict()["first_wrong"] == report.first_wrong.name
    t = T - 2 if mutant.startswith("unroll") else T - 1             # nothing is later than the last step
    assert report.first_wrong.name == f"{first}[{t}]"
    assert f"first wrong on the way back: {first}[{t}]" in str(report) and "FAIL" in str(report)


@pytest.mark.parametrize("mutant, layer", [("per_step_backward: BN passed by", "BNLSTM"),
                                           ("per_sequence_backward: BN passed by", "BNLSTM per sequence"),
                                           ("project_backward: ", "LSTM")])
def test_check_finds_a_wrong_line_after_the_recurrence(mutant, layer):
    """What reaches x and W_x only."""
    planted = next(row for row in MUTANTS if row.name.startswith(mutant))
    with in_place(planted):
        report = make_trace(layer).check(elementwise=False)
    assert {entry.name for entry in report.entries if not entry.ok} <= {"x", "W_x"}
    assert report.first_wrong.name in ("x", "W_x")


# It runs what the layer runs


def blank(*arguments, **settings):
    raise NotImplementedError("your code here")


@pytest.mark.parametrize("module, name", [
    (bn_lstm, "step_forward"), (bn_lstm, "step_backward"), (bn_lstm, "dsigmoid"), (batch_norm, "batch_statistics"),
    (minibn.equations.input_term, "batch_norm_backward"),
])
def test_a_blank_is_not_hidden(module, name, monkeypatch):
    monkeypatch.setattr(module, name, blank)
    with pytest.raises(NotImplementedError):
        make_trace("BNLSTM")


def double_input_gate(x_term, h_prev, c_prev, W_h, b):
    """Another Eq. 3, as a student or a researcher may put it in the place of ours."""
    h_linear = h_prev @ W_h
    f_tilde, i_tilde, o_tilde, g_tilde = lstm.split(h_linear + x_term + b, 4)
    f = lstm.sigmoid(f_tilde)
    i = lstm.sigmoid(i_tilde)
    g = np.tanh(g_tilde)
    c = i * g
    c *= 2
    c += f * c_prev
    c_term = c                                  # without an offset: one array is two quantities
    o = lstm.sigmoid(o_tilde)
    tanh_c = np.tanh(c_term)
    h = o * tanh_c
    return locals()


def test_a_changed_forward_is_what_is_moved(monkeypatch):
    """Its backward is still ours, so the gradients of i and g are wrong, and at the last step no others."""
    monkeypatch.setattr(lstm, "step_forward", double_input_gate)
    report = make_trace("LSTM").check(["f", "i", "g", "c", "c_term", "o", "tanh_c", "h"], elementwise=False)
    assert {entry.name for entry in report.entries if entry.name.endswith(f"[{T - 1}]") and not entry.ok} == {
        f"{name}[{T - 1}]" for name in "ig"}
    assert "1/2 times what it should be" in report[f"i[{T - 1}]"].hint


def test_a_function_without_source_is_named(monkeypatch):
    made = {}
    exec("def step_forward(x_term, h_prev, W_h, b):\n"
         "    h_linear = h_prev @ W_h\n"
         "    h_tilde = h_linear + x_term + b\n"
         "    h = tanh(h_tilde)\n"
         "    return locals()\n", {"tanh": np.tanh}, made)
    monkeypatch.setattr(rnn, "step_forward", made["step_forward"])
    trace = make_trace("RNN")
    with pytest.raises(ValueError, match="got step_forward without; define"):
        trace.check()


def test_a_forward_may_be_a_closure_and_call_others(monkeypatch):
    """A function defined inside another, with variables of that; equations called through a module."""
    scale = 1.0

    def step_forward(x_term, h_prev, W_h, b):
        h_linear = h_prev @ W_h
        h_tilde = scale * h_linear + x_term + b
        h = rnn.tanh(h_tilde)
        return locals()

    monkeypatch.setattr(rnn, "step_forward", step_forward)
    assert make_trace("RNN").check(elementwise=False).ok


def test_only_what_has_gates_is_shown_by_gates():
    """The width of c may be divisible by four too."""
    rng = np.random.default_rng(9)
    trace = minibn.trace(minibn.LSTM(D, 8, rng=rng), normal(rng, 2, N, D), normal(rng, 2, N, 8))
    assert "colspan" in trace.at(0, ["h_linear"])._repr_html_()
    assert "colspan" not in trace.at(0, ["c", "h", "x"])._repr_html_()


# What is displayed


class Tables(HTMLParser):
    """Rows and cells of every table, the marks in the heat maps, and what must not be there."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.titles, self.classes, self.colours = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.titles += [value for name, value in attributes.items() if name == "title"]
        self.colours += [value for name, value in attributes.items() if name == "bgcolor"]
        self.classes += attributes.get("class", "").split()
        assert not {"src", "href"} & set(attributes) and not any(name.startswith("on") for name in attributes)


def html_of(step):
    html = step._repr_html_()
    tables = Tables(html)
    assert "script" not in tables.tags and "//" not in html
    return html, tables


def test_a_step_as_html():
    trace = make_trace("BNLSTM")
    html, tables = html_of(trace.at(3))
    numbers = sum(quantity.value[3].size + quantity.gradient[3].size for quantity in trace.quantities.values())
    assert len(tables.titles) == numbers                              # each number, on hover
    assert tables.titles[:2] == [f"[0,{k}]:{trace['x'].value[3, 0, k]:+.3g}" for k in range(2)]
    for name, quantity in trace.quantities.items():
        assert f"${quantity.latex}$" in html and f"<code>{name}</code>" in html and f"({quantity.equation})" in html
    assert set(tables.colours) == {"#fff", *minibn.tracing.html.POSITIVE, *minibn.tracing.html.NEGATIVE}
    wide = [quantity for quantity in trace.quantities.values() if quantity.shape[-1] == 4 * H]
    assert html.count(f"<th bgcolor=#fff class=b colspan={H}>g") == 2 * len(wide) > 0


def test_html_is_small():
    """At the sizes of a lesson two kilobytes for the style, and one or two for each quantity."""
    rng = np.random.default_rng(4)
    x, dh = normal(rng, T, 4, 3), normal(rng, T, 4, 2)
    sizes = {layer: len(minibn.trace(getattr(minibn, layer)(3, 2, rng=rng), x, dh).at(2)._repr_html_())
             for layer in ("RNN", "BNLSTM")}
    assert sizes["RNN"] < 9_000 and sizes["BNLSTM"] < 50_000, sizes


def test_signs_are_marked_without_colour():
    html, _ = html_of(make_trace("RNN").at(0, ["h"]))
    value = make_trace("RNN")["h"].value[0]
    marks = re.findall(r"<td bgcolor=\S+ title=[^>]+>([^<]+)", html)[:value.size]
    assert marks == [minibn.tracing.html.short(number) for number in value.ravel()]
    assert {mark[0] == "−" for mark in marks} == {True, False}


@pytest.mark.parametrize("value, text", [
    (0.314, ".31"), (-0.05, "−.05"), (10.25, "10"), (-123, "−1.2e2"), (4.56e-7, "4.6e-7"), (1, "1"), (-1e300, "−1e300"),
])
def test_numbers_in_few_letters(value, text):
    assert minibn.tracing.html.short(np.float64(value)) == text


def test_what_is_not_a_number_is_marked():
    html = minibn.tracing.html.heat_map(np.array([[np.nan, np.inf], [-np.inf, 0.0], [1.0, -2.0]]))
    assert re.findall(r"<td[^>]*>([^<]+)", html) == ["?", "∞", "−∞", "0", "1", "−2"]
    assert "± 2<" in html
    assert "± 0<" in minibn.tracing.html.heat_map(np.full((1, 2), np.nan))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_largest_and_the_smallest_numbers_are_drawn(dtype):
    """Where a gradient explodes or vanishes one needs the picture most."""
    info = np.finfo(dtype)
    for size in (info.max, info.tiny, info.smallest_subnormal):
        html = minibn.tracing.html.heat_map(np.array([[size, -size, size, 0.0]], dtype))
        short = minibn.tracing.html.short(size)
        assert re.findall(r"<td[^>]*>([^<]+)", html) == [short, f"−{short}", short, "0"]
        assert Tables(html).colours[:2] == [minibn.tracing.html.POSITIVE[-1], minibn.tracing.html.NEGATIVE[-1]]
    rng = np.random.default_rng(8)
    with np.errstate(all="ignore"):
        trace = minibn.trace(minibn.LSTM(D, H, dtype=dtype, rng=rng), normal(rng, T, N, D).astype(dtype),
                             np.full((T, N, H), info.max))
    assert not np.isfinite(trace["h_prev"].gradient).all()
    for step in map(trace.at, range(T)):
        assert "<table" in step._repr_html_() and len(str(step).splitlines()) > T
    assert f"{info.max:+.3g}" in trace.at(-1)._repr_html_() and "∞" in slider.static_html(trace, None)


def test_large_arrays_are_cut():
    """The same number of units of every gate; the sizes say what is left out."""
    values = np.arange(20 * 80.0).reshape(20, 80)
    html = minibn.tracing.html.heat_map(values, gates="fiog")
    tables = Tables(html)
    assert len(tables.titles) == 6 * 8 and "6 × 8 shown" in html
    assert tables.titles[2].startswith("[0,20]:") and tables.titles[-1].startswith("[5,61]:")
    assert len(Tables(minibn.tracing.html.heat_map(values)).titles) == 6 * 8
    text = str(minibn.trace(minibn.RNN(40, 40), np.zeros((1, 20, 40)), np.ones((1, 20, 40))).at(0))
    assert "..." in text and max(map(len, text.splitlines())) < 400


def test_padded_examples_are_hatched():
    trace = make_trace("BNLSTM", masked=True)
    t = T // 2
    padded = int((~trace.cache.mask[t]).sum())
    html, tables = html_of(trace.at(t))
    rows = sum(2 for name, quantity in trace.quantities.items() if quantity.axes.startswith("N"))
    assert padded > 0 and tables.classes.count("d") == padded * rows and f"{padded} padded (hatched)" in html
    assert str(trace.at(t)).count(" /") >= padded * rows


def test_a_step_as_text():
    trace = make_trace("LSTM with offset", integer=True)
    step = trace.at(-1, ["h_linear", "c", "x"])
    text = str(step)
    assert text.startswith(f"LSTM, step t = {T - 1} of 0 .. {T - 1}: {N} examples")
    assert text.index("h_linear") < text.index("\nc ") < text.index("\nx ")
    assert "(2)" in text and f"({N},{4 * H})" in text and "none: integers" in text
    for number in (*trace["c"].value[-1].ravel(), *trace["c"].gradient[-1].ravel()):
        assert f"{number:.3g}" in text
    assert repr(step) == f"<LSTM, t = {T - 1}: 3 quantities; print it to see them>"
    assert "none: integers" in html_of(step)[0]


def test_what_a_trace_says_of_itself():
    trace = make_trace("BNLSTM", masked=True, population=True)
    assert len(trace) == T and trace.at(0)["c"].shape == (N, H)
    assert [row.name for row in trace.at(1, ["o", "f"])] == ["o", "f"]
    assert repr(trace) == (f"<trace of BNLSTM: T={T} N={N} D={D} H={H}, masked, given statistics, given initial states;"
                           f" {len(trace.quantities)} quantities at each step; .at(t), .show(), .check()>")


@pytest.mark.parametrize("wrong, message", [
    (lambda trace: trace.at(T), rf"t: expected a time step 0 .. {T - 1} .*, got {T}"),
    (lambda trace: trace.at(1.0), "t: expected a time step"),
    (lambda trace: trace.at(0, ["f_hat"]), r"names: expected a list out of x, .*; got \['f_hat'\]"),
    (lambda trace: trace.at(0, "h"), "names: expected a list"),
    (lambda trace: trace.check(["f_hat"]), "names: expected a list out of x, .*W_x, "),
])
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(make_trace("LSTM"))


@pytest.mark.parametrize("cell, dh, message", [
    (lambda cell: minibn.SequenceClassifier(cell, 3), None, r"cell: .*got the model .*trace its layer, model\.cell"),
    (lambda cell: type(cell), np.ones((T, N, H)), r"cell: .*got the class LSTM; make one of it, LSTM\("),
    (lambda cell: cell.forward, np.ones((T, N, H)), "cell: .*minibn.check_function"),
    (lambda cell: cell, None, "dh: expected an array .*got NoneType"),
])
def test_what_cannot_be_traced(cell, dh, message):
    with pytest.raises(TypeError, match=message):
        minibn.trace(cell(minibn.LSTM(D, H)), np.ones((T, N, D)), dh)


def test_an_unknown_quantity():
    with pytest.raises(KeyError, match="'f_hat' is not in this trace: it has x, "):
        make_trace("LSTM")["f_hat"]


def test_the_report_of_a_long_trace_shows_where_the_way_back_begins():
    rng = np.random.default_rng(5)
    trace = minibn.trace(minibn.RNN(D, H, rng=rng), normal(rng, 20, N, D), normal(rng, 20, N, H))
    text = str(trace.check(elementwise=False))
    assert "t = 19" in text and "t = 8" in text and "t = 7" not in text and "(8 earlier steps not shown)" in text


def test_the_example_in_the_docstring():
    module = importlib.import_module("minibn.tracing.entry")
    result = doctest.testmod(module)
    assert result.attempted >= 5 and result.failed == 0


# The slider


def test_importing_minibn_loads_no_notebook_library():
    code = "import minibn, sys; print(*{'IPython', 'ipywidgets'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_show_outside_jupyter_prints(capsys):
    trace = make_trace("RNN")
    trace.show(["h"], t=2)
    assert capsys.readouterr().out == f"{trace.at(2, ['h'])}\n"


def displayed(monkeypatch, trace, *names):
    """What show() sends to a notebook's page."""
    shell = pytest.importorskip("IPython.core.interactiveshell", reason="IPython is not installed").InteractiveShell
    sent = []
    monkeypatch.setattr(slider, "_in_jupyter", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda obj, raw=False: sent.append(obj if raw else obj.data))
    trace.show(*names)
    assert len(sent) == 1 and shell
    return sent[0]


def test_show_without_ipywidgets_is_static(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    html = displayed(monkeypatch, make_trace("RNN"), ["h_linear", "h"])
    assert html.count("<details") == T and html.count("<details open>") == 1 and html.count("<style>") == 1
    assert html.count("$h_t$") == T and "ipywidgets" in html


def test_a_long_static_trace_is_cut(monkeypatch):
    rng = np.random.default_rng(6)
    trace = minibn.trace(minibn.RNN(D, H, rng=rng), normal(rng, 30, N, D), normal(rng, 30, N, H))
    html = slider.static_html(trace, ["h"])
    assert html.count("<details") == 12 and "the first 12 of 30 steps" in html


def test_show_has_a_slider_and_something_for_pages_without(monkeypatch):
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    trace = make_trace("RNN")
    bundle = displayed(monkeypatch, trace, ["h"], 1)
    assert bundle["text/html"] == trace.at(1, ["h"])._repr_html_()
    assert bundle["text/plain"] == repr(trace) and bundle[slider.WIDGET]["model_id"]


def test_the_slider_and_the_two_play_buttons():
    """Forward in time with pale gradients, as they are not known yet; back with bright ones; by hand likewise."""
    ipywidgets = pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    trace = make_trace("BNRNN")
    widget = slider.slider(ipywidgets, trace, None, 0)
    controls, table = widget.children
    forward, backward = (child for child in controls.children if isinstance(child, ipywidgets.Play))
    [time] = (child for child in controls.children if isinstance(child, ipywidgets.IntSlider))

    def shows(t, dimmed=False):
        assert (time.value, forward.value, backward.value) == (t, t, T - 1 - t)
        assert table.value == minibn.tracing.html.step_html(trace.at(t), dimmed)

    shows(0)
    forward.value = 1
    shows(1, dimmed=True)
    forward.value = 2
    shows(2, dimmed=True)
    backward.value = T - 1
    shows(0)
    time.value = 3
    shows(3)
    forward.playing = True
    backward.playing = True
    assert not forward.playing and backward.playing


# A whole reader


@pytest.mark.parametrize("variant, rows", [("lstm", "live"), ("bn_everywhere", "all"), ("bn_e1", "live")])
def test_a_whole_reader(variant, rows):
    """Every quantity of the encoders, the attention and the answer is checked where it is computed."""
    rng = np.random.default_rng(21)
    reader = reader_checks.make_reader(variant, rng, rows=rows, skip=True, bilinear=True, dropout=0.3)
    questions, dlogits = reader_checks.make_questions(rng), rng.standard_normal((5, reader_checks.E))
    trace = minibn.trace(reader, questions, dlogits, data=reader.draw_data(rng, questions))
    named = {"document.f_tilde", "question.h", "d", "u", "m", "z", "tanh_z", "e", "alpha", "r", "g_tilde", "g",
             "g_kept", "similarity", "logits", *(f"{term}_term" for term in "dqrum"),
             *(f"{term}_{field}" for term in reader.own_terms for field in ("linear", "mean", "variance", "hat"))}
    assert named <= set(trace.quantities)
    T, N = questions.shape
    for name, quantity in trace.quantities.items():
        rows_of = quantity.axes.split()[0]
        assert quantity.gradient.shape == quantity.value.shape, name
        assert quantity.value.shape[1] == (N if rows_of == "N" else 1), name
    assert trace["alpha"].value.shape == (T, N) and trace["r"].value.shape[0] == 1
    np.testing.assert_array_equal(trace["logits"].gradient[0], dlogits)
    report = trace.check([*named, "M", "W_y"], elementwise=False)
    assert report.ok and len(report.entries) > len(named)
    assert trace.at(1)["alpha"].value.shape == (N,)
    assert trace.at(-1, ["document.h", "alpha"]).padded == N
    assert trace.at(0, ["question.h"]).padded == 0
    with pytest.raises(KeyError, match="'nowhere' is not in this trace"):
        trace["nowhere"]
    with pytest.raises(ValueError, match="mask, initial_state: expected none for a reader"):
        minibn.trace(reader, questions, dlogits, mask=questions.passage_mask)


@pytest.mark.parametrize("function", ["softmax_backward", "attention_backward", "answer_backward"])
def test_the_check_of_a_reader_notices_mutants(function):
    rng = np.random.default_rng(22)
    reader = reader_checks.make_reader("bn_e1", rng, bilinear=True, dropout=0.3)
    questions = reader_checks.make_questions(rng)
    data = reader.draw_data(rng, questions)
    mutant = next(each for each in MUTANTS if each.function == function)
    with in_place(mutant):
        report = minibn.trace(reader, questions, rng.standard_normal((5, reader_checks.E)), data=data).check(
            ["alpha", "e", "z", "tanh_z", "d_term", "q_term", "similarity", "g", "g_tilde", "d", "v", "b_a", "b_g"],
            elementwise=False)
    assert not report.ok, mutant.name


def test_a_float32_reader_is_checked_on_a_float64_copy():
    rng = np.random.default_rng(23)
    reader = reader_checks.make_reader("bn_e1", rng).map_params(lambda value: value.astype("float32"))
    trace = minibn.trace(reader, reader_checks.make_questions(rng), rng.standard_normal((5, 3)).astype("float32"))
    assert trace["z"].value.dtype == np.float32 and trace.check(["z", "alpha"]).ok
