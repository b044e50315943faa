"""The gradient checker: it passes right gradients, finds planted faults, and says where and why."""

import doctest
import json
import re
from collections import namedtuple

import gru
import mutants
import numpy as np
import pytest
import reader_checks
import strict_cupy

import minibn.gradcheck
from minibn.backend import to_device
from minibn.cells import CELLS
from minibn.gradcheck import (
    Entry,
    Report,
    check_function,
    check_gradient_values,
    check_gradients,
    gradcheck_table,
    gradient_error,
    numerical_gradient,
    run_standard_checks,
)
from minibn.gradcheck.diagnose import blame_rounding
from minibn.gradcheck.hints import hint_on
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, RecurrentLayer
from minibn.models import LanguageModel, SequenceClassifier

EPS = 1e-5


def bn_forward(a, gamma, beta):
    """Batch norm of our own, so that faults can be planted in its backward."""
    centred = a - a.mean(axis=0)
    inv_std = 1 / np.sqrt((centred * centred).mean(axis=0) + EPS)
    hat = centred * inv_std
    return gamma * hat + beta, (hat, inv_std, gamma)


def bn_backward(dy, cache):
    hat, inv_std, gamma = cache
    dhat = dy * gamma
    da = inv_std * (dhat - dhat.mean(axis=0) - hat * (dhat * hat).mean(axis=0))
    return {"a": da, "gamma": (dy * hat).sum(axis=0), "beta": dy.sum(axis=0)}


def bn_backward_without_statistics(dy, cache):
    hat, inv_std, gamma = cache
    return {**bn_backward(dy, cache), "a": 0 * dy * gamma * inv_std}


def tanh_forward(x, W, b):
    y = np.tanh(x @ W + b)
    return y, (x, W, y)


def tanh_backward(dy, cache):
    x, W, y = cache
    da = dy * (1 - y * y)
    return {"x": da @ W.T, "W": x.T @ da, "b": da.sum(axis=0)}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def bn_inputs(rng):
    return {"a": rng.normal(size=(6, 4)), "gamma": rng.uniform(0.5, 1.5, size=4), "beta": rng.normal(size=4)}


@pytest.fixture
def tanh_inputs(rng):
    return {"x": rng.normal(size=(5, 4)), "W": rng.normal(size=(4, 4)), "b": rng.normal(size=4)}


METHODS = pytest.mark.parametrize("method", ["complex", "central"])
MODES = pytest.mark.parametrize("elementwise", [True, False])


# What is right passes, what is wrong does not


@METHODS
@MODES
def test_right_gradients_pass(method, elementwise, bn_inputs, tanh_inputs):
    for forward, backward, inputs in [
        (bn_forward, bn_backward, bn_inputs), (tanh_forward, tanh_backward, tanh_inputs),
    ]:
        report = check_function(forward, backward, inputs, method=method, elementwise=elementwise)
        assert report.ok, report
        assert [entry.name for entry in report.entries] == list(inputs)
        assert all(entry.hint == "" for entry in report.entries)
        assert report.worst.tolerance == {"complex": 1e-10, "central": 1e-6}[method]


def _edit(name, change):
    def backward(dy, cache):
        gradients = tanh_backward(dy, cache)
        return {**gradients, name: change(gradients[name].copy())}

    return backward


def _one_element(gradient):
    gradient[2, 1] *= 1.01
    return gradient


FAULTS = {
    "wrong sign": ("W", lambda g: -g, "opposite sign"),
    "factor": ("W", lambda g: g / 5, "5 times this would be right"),
    "transposed": ("W", lambda g: g.T.copy(), "transposed"),
    "zero": ("b", lambda g: 0 * g, "zero everywhere"),
    "one element": ("x", _one_element, "1 of 20 elements"),
    "NaN": ("x", lambda g: np.where(np.arange(4) == 1, np.nan, g), "holds 5 NaN"),
}


@METHODS
@MODES
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found_and_named(fault, method, elementwise, tanh_inputs):
    name, change, hint = FAULTS[fault]
    report = check_function(tanh_forward, _edit(name, change), tanh_inputs, method=method, elementwise=elementwise)
    assert not report.ok and not report
    assert [entry.name for entry in report.entries if not entry.ok] == [name]
    assert report.worst.name == name
    assert hint in report.worst.hint
    assert report.worst.index is not None, "a wrong direction is followed down to an element"
    if fault == "one element":
        assert report.worst.index == (2, 1)
        assert report.worst.analytic == pytest.approx(1.01 * report.worst.numeric, rel=1e-6)


@MODES
def test_the_complex_step_sees_a_factor_of_one_plus_a_millionth(elementwise, tanh_inputs):
    wrong = _edit("W", lambda g: g * (1 + 1e-6))
    report = check_function(tanh_forward, wrong, tanh_inputs, elementwise=elementwise)
    assert not report["W"].ok
    assert report["W"].error == pytest.approx(1e-6, rel=1e-3)   # the largest element is off by exactly that
    assert report["x"].ok and report["b"].ok


def test_a_factor_that_prints_as_one_is_no_hint(tanh_inputs):
    for factor in (1 + 1e-9, -1 - 1e-9):
        report = check_function(tanh_forward, _edit("W", lambda g, factor=factor: g * factor), tanh_inputs)
        assert not report.ok and "of 16 elements are wrong" in report["W"].hint


@METHODS
def test_a_fault_in_a_large_tensor_is_located_with_few_evaluations(method, rng):
    x = rng.normal(size=(150, 211))

    def backward(dy, cache):
        dx = dy * cache
        dx[97, 33] += 0.5
        return dx

    report = check_function(lambda x: (x * x, 2 * x), backward, {"x": x}, method=method)
    assert report.worst.how == "bisection"
    assert report.worst.index == (97, 33)
    assert abs(report.worst.analytic - report.worst.numeric) == pytest.approx(0.5, rel=1e-6)
    assert report.evaluations < 120           # not 31,650
    assert any("max_elements" in note for note in report.notes)


# The lessons


def test_ones_upstream_hides_what_batch_norm_does_to_gradients(bn_inputs):
    # The sum of a batch norm's outputs does not depend on its input at all, so with an upstream gradient of ones
    # a backward that returns nothing but zeros for it is "right". The checker's is random.
    out, cache = bn_forward(**bn_inputs)
    ones = np.ones_like(out)
    for backward in (bn_backward, bn_backward_without_statistics):
        report = check_gradient_values(
            lambda **values: bn_forward(**values)[0], bn_inputs, backward(ones, cache), upstream=ones)
        assert report.ok, report
    assert check_function(bn_forward, bn_backward, bn_inputs).ok
    report = check_function(bn_forward, bn_backward_without_statistics, bn_inputs)
    assert not report["a"].ok and report["gamma"].ok and report["beta"].ok


def test_central_differences_have_a_best_step_and_the_complex_step_needs_none(tanh_inputs, rng):
    upstream = rng.normal(size=(5, 4))

    def function(**values):
        return tanh_forward(**values)[0]

    exact = tanh_backward(upstream, tanh_forward(**tanh_inputs)[1])["W"]
    steps = [10.0 ** -k for k in range(1, 13)]
    errors = [gradient_error(numerical_gradient(function, tanh_inputs, "W", upstream=upstream, method="central",
                                                step=step), exact) for step in steps]
    best = int(np.argmin(errors))
    assert errors[best] < 1e-9
    assert 3 <= best <= 6                                   # 1e-4 to 1e-7
    assert errors[0] > 1e5 * errors[best]                   # truncation: falls with the square of the step
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.5)
    assert errors[-1] > 1e3 * errors[best]                  # rounding: grows with its inverse
    for step in (1e-10, 1e-30, 1e-100):
        complex_step = numerical_gradient(function, tanh_inputs, "W", upstream=upstream, step=step)
        assert gradient_error(complex_step, exact) < 1e-14


def test_a_bent_function_is_given_another_step():
    x = np.array([0.001, -0.002])    # tanh(300 x): truncation at step 1e-5 is (300e-5)^2 / 3 = 3e-6
    first = numerical_gradient(lambda x: np.tanh(300 * x), {"x": x}, "x", upstream=np.ones(2), method="central")
    exact = 300 * (1 - np.tanh(300 * x) ** 2)
    assert gradient_error(first, exact) > 1e-6
    report = check_gradient_values(lambda x: np.tanh(300 * x), {"x": x}, {"x": exact}, upstream=np.ones(2),
                                   method="central")
    assert report.ok, report


def test_a_tiny_gradient_is_measured_against_the_largest_of_the_check():
    assert gradient_error([1.0, 2.0], [1.0, 2.5]) == pytest.approx(0.2)
    assert gradient_error([1e-9], [0.0], largest=2.0) == pytest.approx(1e-9 / 2e-3)
    assert gradient_error([0.0], [0.0]) == 0
    assert not gradient_error([np.nan, 1.0], [1.0, 1.0]) <= 1e300
    with pytest.raises(ValueError, match="analytic: expected the shape of numeric"):
        gradient_error(np.zeros(3), np.zeros((3, 1)))


# Functions that a complex number cannot pass through, or passes through and is lost


def _normalize_with(variance):
    """Batch norm of our own with a variance of the caller's, its right backward and one without the variance path."""
    def forward(a):
        mean, inv_std = a.mean(axis=0), 1 / np.sqrt(variance(a) + EPS)
        return (a - mean) * inv_std, ((a - mean) * inv_std, inv_std)

    def right(dy, cache):
        hat, inv_std = cache
        return {"a": inv_std * (dy - dy.mean(axis=0) - hat * (dy * hat).mean(axis=0))}

    def wrong(dy, cache):
        return {"a": cache[1] * (dy - dy.mean(axis=0))}

    return forward, right, wrong


def _through_a_buffer(a):
    centred = np.zeros(a.shape, a.dtype)            # a plain array: what it holds is not watched
    centred[:] = a - a.mean(axis=0)
    return (np.abs(centred) ** 2).mean(axis=0)


@pytest.mark.parametrize("variance, call", [
    (lambda a: np.var(a, axis=0), "np.var in <lambda> (test_gradcheck.py:"),
    (lambda a: a.std(axis=0) ** 2, ".std in <lambda>"),
    (lambda a: np.mean(np.abs(a - a.mean(axis=0)) ** 2, axis=0), "np.abs in <lambda>"),
    (lambda a: ((a - a.mean(axis=0)).real ** 2).mean(axis=0), ".real in <lambda>"),
    (lambda a: np.linalg.norm(a - a.mean(axis=0), axis=0) ** 2 / len(a), "np.linalg.norm in <lambda>"),
    (lambda a: ((a - a.mean(axis=0)) * (a - a.mean(axis=0)).conj()).mean(axis=0), "np.conjugate in <lambda>"),
    (lambda a: np.array([np.vdot(c, c) for c in (a - a.mean(axis=0)).T]) / len(a), "np.vdot in "),
    (_through_a_buffer, "no call was seen"),
])
@MODES
def test_what_a_complex_step_loses_central_differences_find(variance, call, elementwise, rng):
    forward, right, wrong = _normalize_with(variance)
    a = rng.normal(size=(6, 2))
    for max_elements in (2000, 1):                  # beyond: one direction, and a search by halves
        passed = check_function(forward, right, {"a": a}, elementwise=elementwise, max_elements=max_elements)
        failed = check_function(forward, wrong, {"a": a}, elementwise=elementwise, max_elements=max_elements)
        assert passed.ok and not failed.ok, f"{passed}\n{failed}"
        assert passed["a"].tolerance == failed["a"].tolerance == 1e-6
        for report in (passed, failed):
            [note] = report.notes
            assert "not analytic" in note and call in note
    with pytest.warns(UserWarning, match="not analytic"):
        gradient = numerical_gradient(lambda a: (forward(a)[0] ** 3).sum(), {"a": a}, "a")
    assert gradient_error(gradient, right(3 * forward(a)[0] ** 2, forward(a)[1])["a"]) < 1e-8


def test_only_calls_that_matter_are_blamed(rng):
    def softmax(z):
        scale = np.zeros(1, dtype=z.real.dtype) + 1
        e = np.exp(z - z.real.max(axis=-1, keepdims=True)) * scale      # any shift gives the same softmax
        return e / e.sum(axis=-1, keepdims=True) + np.abs(z), None

    def backward(dy, _):
        return numerical_gradient(lambda z: softmax(z)[0], {"z": z}, "z", upstream=dy, method="central")

    z = rng.normal(size=(3, 4))
    [note] = check_function(softmax, backward, {"z": z}).notes
    assert "np.abs" in note and ".real" not in note


def test_a_layer_that_is_not_analytic_is_recognised(rng, monkeypatch):
    """The same protection for layers and models: a student's own tanh, through a real function."""
    right = check_gradients(RNN(3, 4, rng=0), rng.normal(size=(3, 6, 3)))
    assert right.ok and not right.notes

    class Careless(RNN):
        def forward(self, *arguments, **settings):
            h, cache = super().forward(*arguments, **settings)
            return h + np.abs(h), cache             # backward knows nothing of the abs

    report = check_gradients(Careless(3, 4), rng.normal(size=(3, 6, 3)))
    assert not any(entry.ok for entry in report.entries)
    for note, name in zip(report.notes[:2], ("W_h", "h0 (per example)"), strict=True):
        assert "np.abs in forward (test_gradcheck.py:" in note and name in note

    def real_softmax(logits):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted.real).sum(axis=-1, keepdims=True))

    monkeypatch.setattr(minibn.equations.losses, "log_softmax", real_softmax, raising=True)
    report = check_gradients(SequenceClassifier(RNN(3, 4, rng=0), 5, rng=0), rng.normal(size=(3, 6, 3)))
    assert report.ok and ".real in real_softmax" in report.notes[-1], report


def test_a_slope_below_all_rounding_is_left_to_the_complex_step():
    """Central differences see nothing of it, and four times nothing is no proof."""
    slope = numerical_gradient(lambda w: 1 + 1e-20 * w, {"w": np.ones(3)}, "w", upstream=np.ones(3))
    np.testing.assert_allclose(slope, 1e-20, rtol=1e-12)


def test_where_central_differences_fail_the_complex_step_stands(bn_inputs, rng):
    """Rows that are nearly equal: every real step is much longer than they are apart."""
    inputs = {**bn_inputs, "a": 1e3 + 1e-3 * rng.normal(size=(6, 4))}
    report = check_function(bn_forward, bn_backward, inputs)
    assert report.ok and report["a"].tolerance == 1e-10
    [note] = report.notes
    assert "the complex step stands alone for a: central differences" in note and "do not agree" in note
    assert not check_function(bn_forward, bn_backward_without_statistics, inputs)["a"].ok


def test_a_step_that_saturates_a_batch_norm_overrules_nothing():
    """Rows equal but for rounding, normalized again at every step: a real step is far beyond where the slope holds."""
    for seed in range(12):
        x = 1310 + 2e-11 * np.random.default_rng(seed).normal(size=(4, 6, 3))
        report = check_gradients(BNRNN(3, 4, rng=seed), x, seed=seed, elementwise=False)
        assert not any("not analytic" in note for note in report.notes), report
        assert not any(entry.wrong for entry in report.entries), report


@pytest.mark.parametrize("part", [1e-3, 1e-5, 1e-7])
def test_how_small_a_loss_is_noticed(part, rng):
    """What central differences cannot call wrong may pass; what is right is never called wrong."""
    x = rng.normal(size=(7, 3))

    def forward(x):
        return x * x + part * np.abs(x), x

    assert check_function(forward, lambda dy, x: dy * (2 * x + part * np.sign(x)), {"x": x}).ok
    assert check_function(forward, lambda dy, x: dy * 2 * x, {"x": x}).ok == (part < 1e-6)


def test_a_slope_of_zero_overrules_too(rng):
    x = rng.normal(size=5)

    def ones(x):                                                # but for rounding
        return np.exp(np.log(np.abs(x)) - np.log(x * x) / 2)

    for name, function in (("np.sign", np.sign), ("np.abs", ones)):
        report = check_function(lambda x, function=function: (function(x), x), lambda dy, x: 0 * dy, {"x": x})
        assert report.ok and name in report.notes[0], report


KINKS = {
    "relu at 0": (lambda x: np.maximum(x, 0), lambda x: x > 0, [0.0, 1.0, -1.0], 0),
    "abs at 0": (lambda x: np.sqrt(x * x), lambda x: np.where(x >= 0, 1.0, -1.0), [2.0, 0.0], 1),
    "clip at its edge": (lambda x: np.clip(x, -1, 1), lambda x: abs(x) <= 1, [0.5, -1.0, 3.0], 1),
}


@METHODS
@pytest.mark.parametrize("kink", KINKS)
def test_a_kink_is_named(kink, method):
    function, slope, x, at = KINKS[kink]
    x = np.array(x)
    for size in (2000, 1):
        report = check_function(lambda x: (function(x), x), lambda dy, x: dy * slope(x), {"x": x}, method=method,
                                max_elements=size)
        assert not report.ok
        assert f"a kink of the function at [{at}]" in report["x"].hint, report
        assert not any("no call was seen" in note for note in report.notes)
    wrong = check_function(lambda x: (function(x), x), lambda dy, x: dy * slope(x) * 3, {"x": x}, method=method)
    assert "kink" not in wrong["x"].hint


def test_a_bend_is_no_kink():
    """At its minimum x * x has slopes of both signs on its two sides, one step away."""
    report = check_function(lambda x: (x * x, x), lambda dy, x: dy * (2 * x + [5e-6, 0]), {"x": np.array([0.0, 1.0])})
    assert report["x"].hint == "1 of 2 elements are wrong"


def test_ties_of_a_maximum_are_kinks():
    x = np.array([1.0, 3.0, 3.0])
    report = check_function(lambda x: (x.max(), x), lambda dy, x: dy * (np.arange(3) == x.argmax()), {"x": x},
                            method="central")
    assert "a kink of the function at" in report["x"].hint and "1 more of 3 elements" in report["x"].hint


def _into_a_float_buffer(x):
    y = np.zeros(x.shape)
    y[:] = x * x
    return y, x


def _through_math(x):
    return np.array([float(value) ** 2 for value in x]), x


@pytest.mark.parametrize("function", [_into_a_float_buffer, _through_math])
def test_a_function_that_refuses_complex_numbers_is_explained(function, rng):
    inputs = {"x": rng.normal(size=3)}
    with pytest.raises(TypeError, match="expected one that takes complex128.*method='central'"):
        check_function(function, lambda dy, x: 2 * dy * x, inputs)
    assert check_function(function, lambda dy, x: 2 * dy * x, inputs, method="central").ok


def test_gradients_that_are_all_rounding_get_no_verdict(rng):
    # All examples equal: the variances are zero, and each step multiplies rounding errors by 1 / sqrt(eps) = 300.
    report = check_gradients(BNRNN(3, 4, rng=0), np.zeros((5, 6), dtype=int))
    assert not report.ok
    assert all("no verdict" in entry.hint for entry in report.entries if not entry.ok)
    assert "choose inputs that differ" in str(report)
    # With examples that differ the same layer passes, and a fault in it is called a fault.
    x = rng.normal(size=(5, 6, 3))
    assert check_gradients(BNRNN(3, 4, rng=0), x).ok

    class Wrong(BNRNN):
        def backward(self, dh, cache, observe=None):
            dx, grads = super().backward(dh, cache, observe)
            return dx, {**grads, "W_h": grads["W_h"] * (1 + 1e-8)}

    report = check_gradients(Wrong(3, 4, rng=0), x)
    assert not report["W_h"].ok and "constant factor" in report["W_h"].hint


@pytest.mark.parametrize("error, rounding, tolerance, hint", [
    (5e-10, 3e-12, 1e-9, "tolerance widened: the inputs' last digit moves this gradient by 3e-12"),
    (5e-9, 3e-12, 1e-10, "no verdict: the inputs' last digit moves this gradient by 3e-12"),
    (5e-10, 1e-14, 1e-10, "as it was"),     # a stable gradient with this error is wrong, however small the error
])
def test_a_gradient_is_not_asked_for_more_digits_than_it_has(error, rounding, tolerance, hint):
    entry = Entry("a", (3,), error, 1e-10, (1,), 1e-11, 0.0, "element-wise", "as it was")
    report = Report("title", "method", 1, (entry,))
    signs = iter([0, 1, -1, 1, -1])
    explained = blame_rounding(
        report, lambda inputs: {"a": rounding * next(signs) * np.ones(3)}, {}, np.random.default_rng(0))
    assert (explained["a"].tolerance, explained["a"].hint) == (tolerance, hint)
    assert explained.ok == (tolerance == 1e-9)
    assert bool(explained.notes) == ("no verdict" in hint)


# What a caller may pass


Gradients = namedtuple("Gradients", "da dgamma dbeta dmean")


@pytest.mark.parametrize("form", [
    lambda g: g,
    lambda g: {"d" + name: value for name, value in g.items()},
    lambda g: {**g, "mean": np.zeros(4)},
    lambda g: Gradients(g["a"], g["gamma"], g["beta"], None),
    lambda g: tuple(g.values()),
    lambda g: [*g.values(), None, None],
])
def test_gradients_come_in_many_forms(form, bn_inputs):
    def forward(a, gamma, beta, mask, steps):
        assert mask.dtype == bool and steps == 3 and a.dtype.kind in "fc"
        return bn_forward(a, gamma, beta)

    inputs = {**bn_inputs, "mask": np.ones(6, dtype=bool), "steps": 3}
    assert check_function(forward, lambda dy, cache: form(bn_backward(dy, cache)), inputs).ok


def test_several_outputs_and_things_that_are_not_differentiated(rng):
    def forward(x, c, index, scale, nothing):
        assert nothing is None and index.dtype.kind == "i" and isinstance(scale, float)
        h = np.tanh(x[index]) * c
        return h, scale * c * c, index, (x, c, index, scale)

    def backward(dh, dc, dindex, cache):
        assert dindex is None
        x, c, index, scale = cache
        dx = np.zeros(x.shape)
        np.add.at(dx, index, dh * c * (1 - np.tanh(x[index]) ** 2))
        return dx, dh * np.tanh(x[index]) + 2 * scale * c * dc

    inputs = {"x": rng.normal(size=4), "c": rng.normal(size=3), "index": np.array([2, 0, 2]), "scale": 0.3,
              "nothing": None}
    assert check_function(forward, backward, inputs).ok

    def packed(**values):
        *outputs, cache = forward(**values)
        return tuple(outputs), cache

    assert check_function(packed, lambda douts, cache: backward(*douts, cache), inputs).ok
    report = check_function(forward, lambda *args: {"c": backward(*args)[1]}, inputs, wrt=["c"])
    assert report.ok and report.notes == ("held constant: x",)


def test_a_scalar_function_needs_no_upstream_and_an_array_valued_one_does(rng):
    x = rng.normal(size=(3, 2))
    assert check_gradient_values(lambda x: (x ** 3).sum(), {"x": x}, {"x": 3 * x ** 2}).ok
    with pytest.raises(ValueError, match=r"upstream: expected random arrays of the outputs' shapes \[\(3, 2\)\]"):
        check_gradient_values(lambda x: x ** 3, {"x": x}, {"x": 3 * x ** 2})
    with pytest.raises(ValueError, match=r"upstream: expected the outputs' shapes \[\(3, 2\)\], got \[\(2, 3\)\]"):
        check_gradient_values(lambda x: x ** 3, {"x": x}, {"x": 3 * x ** 2}, upstream=np.ones((2, 3)))


def test_nothing_of_the_callers_is_changed(tanh_inputs):
    before = {name: value.copy() for name, value in tanh_inputs.items()}
    for value in tanh_inputs.values():
        value.flags.writeable = False
    for method in ("complex", "central"):
        for backward in (tanh_backward, _edit("W", np.negative)):
            check_function(tanh_forward, backward, tanh_inputs, method=method)
    for name, value in tanh_inputs.items():
        np.testing.assert_array_equal(value, before[name])


def _in_place(x):
    x *= 2
    return x, None


class _Accumulating:
    total = 0.0

    def __call__(self, dy, cache):
        gradients = tanh_backward(dy, cache)
        self.total = self.total + gradients["b"]
        return {**gradients, "b": self.total}


def _of(output):
    """A check whose function returns `output` beside its cache."""
    return lambda i: check_function(lambda x: (output, x), lambda dy, x: {"x": 0 * x}, {"x": i["x"]})


@pytest.mark.parametrize("error, match, call", [
    (TypeError, r"x: expected float64.*got float32.*x\.astype\('float64'\)",
     lambda i: check_function(tanh_forward, tanh_backward, {**i, "x": i["x"].astype(np.float32)})),
    (ValueError, r"'W' to have its shape \(4, 4\), got \(4,\)",
     lambda i: check_function(tanh_forward, _edit("W", lambda g: g.sum(axis=0)), i)),
    (ValueError, "gradients: expected one per floating input",
     lambda i: check_function(tanh_forward, lambda *a: tuple(tanh_backward(*a).values())[:2], i)),
    (ValueError, "wrt: expected names of float64 arrays",
     lambda i: check_function(tanh_forward, tanh_backward, i, wrt=["w"])),
    (ValueError, "wrt: expected names of float64 arrays",
     lambda i: check_function(lambda x: (x, None), lambda dy, _: dy, {"x": 1.0})),
    (ValueError, "method: expected one of 'complex', 'central'",
     lambda i: check_function(tanh_forward, tanh_backward, i, method="forward")),
    (ValueError, "tolerance: expected a positive number, got 0.0",
     lambda i: check_function(tanh_forward, tanh_backward, i, tolerance=0)),
    (ValueError, "step: expected a positive number, got -1.0",
     lambda i: check_function(tanh_forward, tanh_backward, i, step=-1)),
    (ValueError, r"forward: expected it to return \(out, cache\), got ndarray",
     lambda i: check_function(lambda **v: tanh_forward(**v)[0], tanh_backward, i)),
    (ValueError, "x: expected to be left as it was",
     lambda i: check_function(_in_place, lambda dy, _: 2 * dy, {"x": i["x"]})),
    (ValueError, "x: expected to be left as it was",
     lambda i: check_gradient_values(lambda x: _in_place(x)[0].sum(), {"x": i["x"]}, {"x": 2 + 0 * i["x"]})),
    (ValueError, "backward: expected the same gradient of 'b' when called twice",
     lambda i: check_function(tanh_forward, _Accumulating(), i)),
    *((TypeError, rf"expected a float64 array among its outputs, got {name}: there is nothing to differentiate",
       _of(output)) for name, output in
      [("dict", {"y": np.ones(3)}), ("int", 3), ("NoneType", None), ("str", "y"), ("object", object()),
       ("ndarray", np.arange(3)), ("int, int", [1, 2]), ("none", ())]),
    *((TypeError, rf"expected float64 outputs, in which the gradient checker works, got {output.dtype}", _of(output))
      for output in (np.float32(1), np.ones(3, np.float32), np.ones(3, complex))),
    (TypeError, "got float32", _of((np.ones(3), np.ones(3, np.float32)))),
    (ValueError, "expected an output that holds a number", _of(np.ones((0, 3)))),
    (ValueError, "inputs: expected an element to differentiate, got empty",
     lambda i: check_function(tanh_forward, tanh_backward, i | {"b": i["b"][:0]}, wrt=["b"])),
    *((ValueError, "upstream: expected a number that is not zero",
       lambda i, up=upstream: check_gradient_values(lambda x: x, {"x": np.ones(3)}, np.ones(3), upstream=up))
      for upstream in ((None,), np.zeros(3))),
    (TypeError, r"inputs: expected a dict of names and arrays, got ndarray",
     lambda i: check_function(tanh_forward, tanh_backward, i["x"])),
    (TypeError, "seed: expected an integer", lambda i: check_function(tanh_forward, tanh_backward, i, seed=None)),
    (TypeError, "seed: expected an integer", lambda i: check_function(tanh_forward, tanh_backward, i, seed="a")),
    (TypeError, "seed: expected an integer", lambda i: check_gradients(RNN(3, 4), np.ones((2, 5, 3)), seed=1.5)),
    (ValueError, "seed: expected at least 0", lambda i: run_standard_checks("rnn", seed=-1)),
    *((TypeError, f"cell: expected a layer or model, .*{words}", lambda i, cell=cell: check_gradients(cell, i["x"]))
      for cell, words in [(np.tanh, r"minibn\.check_function\("), (None, r"minibn\.check_function\("),
                          (LSTM, r"got the class LSTM; make one of it"), (object(), r"minibn\.from_torch\(")]),
])
def test_bad_input_and_a_check_of_nothing_are_refused_with_a_reason(error, match, call, tanh_inputs):
    with pytest.raises(error, match=match):
        call(tanh_inputs)


BUFFERS = {}


def _into_one_buffer(x):
    out = BUFFERS.setdefault(x.dtype, np.zeros(x.shape, x.dtype))
    out[:] = x
    return out, None


def test_outputs_may_be_lists_and_may_be_the_input_itself(rng):
    inputs = {"x": rng.normal(size=3)}
    for method in ("complex", "central"):
        for forward in (lambda x: ([x ** 2, 3, 3 * x], x), lambda x: [(x ** 2, 3, 3 * x), x]):
            report = check_function(forward, lambda d, x: 2 * x * d[0] + 3 * d[2], inputs, method=method)
            assert report.ok, report
        for forward in (lambda x: (x, None), _into_one_buffer):
            report = check_function(forward, lambda d, _: d, inputs, method=method)
            assert report.ok, report


def _blank(*_):
    raise NotImplementedError("your code here")


def test_a_gradient_that_is_not_there_has_a_row(tanh_inputs, rng):
    def partly(dy, cache):
        gradients = tanh_backward(dy, cache)
        return {"x": gradients["x"], "W": None, "b": NotImplemented}

    report = check_function(tanh_forward, partly, tanh_inputs)
    assert [(entry.how, entry.ok) for entry in report.entries] == [
        ("element-wise", True), ("missing", False), ("not implemented", False)]
    assert "2 of 3 FAILED, W missing" in str(report) and "hint: W: expected 'W' or 'dW'" in str(report)
    for forward, backward in ((tanh_forward, _blank), (lambda **_: _blank(), tanh_backward)):
        report = check_function(forward, backward, tanh_inputs)
        assert [entry.how for entry in report.entries] == ["not implemented"] * 3 and not report.ok
        assert "hint: x, W, b: _blank (test_gradcheck.py:" in str(report) and "your code here" in str(report)
    assert not check_function(tanh_forward, lambda dy, cache: None, tanh_inputs)


def test_a_layer_with_a_blank_or_without_a_gradient_has_rows_for_them(rng):
    class Blank(RNN):
        backward = _blank

    class Forgetful(RNN):
        def backward(self, dh, cache, observe=None):
            dx, grads = super().backward(dh, cache, observe)
            return dx, {**grads, "W_h": None}

    x = rng.normal(size=(3, 6, 3))
    for model in (Blank(3, 4), SequenceClassifier(Blank(3, 4), 5)):
        assert {entry.how for entry in check_gradients(model, x).entries} == {"not implemented"}
    report = check_gradients(Forgetful(3, 4), x)
    assert [entry.name for entry in report.entries if not entry.ok] == ["W_h"] and report["W_h"].how == "missing"


# The report


def test_a_report_is_plain_values_too(tanh_inputs):
    report = check_function(tanh_forward, lambda *a: {**_edit("W", np.negative)(*a), "b": None}, tanh_inputs)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (values["ok"], values["title"], values["notes"]) == (False, "tanh_forward", [])
    assert values["evaluations"] == report.evaluations and values["summary"] == report.summary()
    rows = {row["name"]: row for row in values["entries"]}
    assert [row["ok"] for row in rows.values()] == [True, False, False]
    assert rows["W"]["index"] == list(report["W"].index) and rows["W"]["analytic"] == report["W"].analytic
    assert rows["b"]["error"] is None and rows["b"]["how"] == "missing"      # JSON knows no NaN


def test_the_report_is_an_aligned_table(tanh_inputs):
    report = check_function(tanh_forward, _edit("W", np.negative), tanh_inputs, title="a tanh layer", seed=3)
    lines = str(report).split("\n")
    assert lines[0] == "a tanh layer"
    assert lines[1] == (
        "complex step (s = 1e-30), element-wise, float64, tolerance 1e-10, seed 3, "
        f"{report.evaluations} evaluations")
    header, rows = lines[3], lines[4:7]
    assert re.split("  +", header) == ["name", "shape", "error", "tolerance", "ok?", "worst at", "analytic", "numeric"]
    assert all(len(row) == len(header) for row in rows)
    assert [row.split()[0] for row in rows] == ["x", "W", "b"]
    assert "FAIL" in rows[1] and "FAIL" not in rows[0] + rows[2]
    assert "(4,4)" in rows[1] and "1e-10" in rows[1]
    assert "1 of 3 FAILED, worst error 2.0e+00 (W)" in lines
    assert "hint: W: the opposite sign everywhere" in lines
    assert repr(report) == "<gradient check of a tanh layer: 1 of 3 FAILED, worst error 2.0e+00 (W)>"
    with pytest.raises(KeyError, match="'w' is not in this report"):
        report["w"]


def test_the_seed_decides_everything(tanh_inputs):
    for elementwise in (True, False):
        first, again, other = (
            check_function(tanh_forward, tanh_backward, tanh_inputs, elementwise=elementwise, seed=seed)
            for seed in (1, 1, 2))
        assert str(first) == str(again)
        assert first["W"].numeric != other["W"].numeric


def test_a_direction_costs_one_complex_or_two_real_evaluations_whatever_the_size(rng):
    for size in (3, 3000):
        inputs = {"x": rng.normal(size=size), "y": rng.normal(size=size)}
        for method, each in (("complex", 1 + 2), ("central", 2)):     # central differences stand beside
            report = check_function(lambda x, y: (x * y, (x, y)), lambda d, c: (d * c[1], d * c[0]), inputs,
                                    method=method, elementwise=False)
            assert report.ok, report
            assert report.evaluations == 2 * each + (method == "complex")   # and one try of complex numbers


def test_central_differences_that_overrule_are_counted_too():
    calls = []

    def function(x):
        calls.append(x.dtype)
        return (np.abs(x) ** 2).sum()

    x = np.array([1.0, -2.0, 3.0])
    report = check_gradient_values(function, {"x": x}, {"x": 2 * x}, method="complex")
    assert report.ok and "np.abs" in report.notes[0]
    assert report.evaluations == len(calls) - 1 - 2         # but for the first call, and two that look for np.abs


# Layers and models


def test_every_cell_passes_in_every_way_it_can_be_called():
    standard_reports = run_standard_checks()
    failed = [report for report in standard_reports if not report.ok]
    assert not failed, "\n\n".join(map(str, failed))
    # None of them needed a wider tolerance than the one it was given.
    assert {entry.tolerance for report in standard_reports for entry in report.entries} == {1e-10, 1e-6}
    titles = " ".join(report.title for report in standard_reports)
    for word in (*(f"{cell.title}:" for cell in CELLS.values()), "LSTM with beta_c", "input_statistics=sequence",
                 "masked", "integer", "given statistics", "given states", "one step", "classifier", "language model",
                 "central"):
        assert word in titles


def test_learned_states_are_checked_beside_states_of_every_example(rng):
    report = check_gradients(BNLSTM(3, 4), rng.normal(size=(5, 6, 3)))
    names = [entry.name for entry in report.entries]
    assert names == ["x", "W_x", "W_h", "b", "gamma_x", "gamma_h", "gamma_c", "beta_c", "h0", "c0",
                     "h0 (per example)", "c0 (per example)"]
    assert report["h0 (per example)"].shape == (6, 4)
    # Through batch statistics a broadcast h0 has no gradient, only rounding; its twins do.
    assert abs(report["h0"].numeric) < 1e-10 and abs(report["h0 (per example)"].numeric) > 1e-3
    assert report.ok, report


def test_a_layer_is_left_as_it_is(rng):
    for dtype in (np.float32, np.float64):
        cell = BNLSTM(3, 4, dtype=dtype, rng=0)
        arrays = dict(cell.params)
        before = {name: value.copy() for name, value in arrays.items()}
        x = rng.normal(size=(2, 5, 3)).astype(dtype)
        assert check_gradients(cell, x).ok
        assert all(cell.params[name] is value for name, value in arrays.items())
        for name, value in before.items():
            np.testing.assert_array_equal(cell.params[name], value)
            assert cell.params[name].dtype == dtype


class _Scaled(LSTM):
    """An LSTM with a small fault in one element of one gradient."""

    def backward(self, dh, cache, observe=None):
        dx, grads = super().backward(dh, cache, observe)
        grads["W_h"][1, 2] *= 1 + 1e-3
        return dx, grads


@MODES
def test_a_fault_in_a_layer_is_found_and_located(elementwise, rng):
    report = check_gradients(_Scaled(3, 4), rng.normal(size=(5, 6, 3)), elementwise=elementwise)
    assert [entry.name for entry in report.entries if not entry.ok] == ["W_h"]
    assert report.worst.index == (1, 2)
    assert report.worst.analytic == pytest.approx(report.worst.numeric * 1.001, rel=1e-9)


def _with_fault(base, gradients=lambda grads: {}, dx=lambda dx: dx, dh=lambda dh: dh):
    """A layer whose backward is right but for what is done to what goes in and comes out."""
    class Faulty(base):
        def backward(self, upstream, cache, observe=None):
            d_x, grads = super().backward(dh(upstream.copy()), cache, observe)
            return dx(d_x), {**grads, **gradients(grads)}

    return Faulty(3, 4, rng=0)


def _exchange_f_and_o(grads):
    f, i, o, g = np.split(grads["W_h"], 4, axis=1)
    return {"W_h": np.concatenate([o, i, f, g], axis=1)}


def _scaled(factor, *index):
    def change(array):
        array = array.copy()
        array[index] *= factor
        return array

    return change


FAULTY_LAYERS = {
    "exchanged": (_with_fault(BNLSTM, _exchange_f_and_o), "W_h", "the gate blocks f and o are exchanged"),
    "gate": (_with_fault(LSTM, lambda g: {"b": _scaled(-1, slice(8, 12))(g["b"])}), "b",
             "wrong only at gate block o (of f, i, o, g): there the opposite sign everywhere"),
    "steps": (_with_fault(BNRNN, dx=_scaled(2, slice(3))), "x",
              "wrong only at time step 0, 1, 2 (of 0 .. 4): there a constant factor: 0.5 times"),
    "example": (_with_fault(RNN, dx=_scaled(1.5, slice(None), 2)), "x", "wrong only at example 2 (of 0 .. 5)"),
    "mean": (_with_fault(LSTM, lambda g: {"W_x": g["W_x"] / 6}), "W_x", "6 is the number of examples"),
    "mean over time": (_with_fault(BNRNN, lambda g: {"b": g["b"] / 5}), "b", "5 is the number of time steps"),
    "last loss": (_with_fault(BNLSTM, dh=_scaled(0, slice(4))), "W_h",
                  "only the loss of time step 4 (of 0 .. 4) is in it"),
    "one loss less": (_with_fault(LSTM, dh=_scaled(0, 2)), "W_x", "the loss of time step 2 (of 0 .. 4) is not in it"),
    "one example": (_with_fault(RNN, dh=_scaled(0, slice(None), slice(1, 6))), "W_h", "only the loss of example 0"),
}


@pytest.mark.parametrize("fault", FAULTY_LAYERS)
def test_a_fault_in_a_layer_is_localised(fault, rng):
    layer, name, hint = FAULTY_LAYERS[fault]
    x = rng.normal(size=(5, 6, 3))
    report = check_gradients(layer, x)
    assert hint in report[name].hint, report
    assert "minibn.trace(cell, x, dh).check() shows the first wrong quantity" in report.notes[-1]
    if name != "x" and not fault.endswith(("loss", "less", "one example")):
        model = check_gradients(SequenceClassifier(layer, 7, rng=0), x)
        assert hint in model[f"cell.{name}"].hint and "trace(model.cell" in model.notes[-1]


def test_the_share_of_one_step_is_recognised(rng):
    """A gradient that each step overwrites, instead of adding to it, is that of the step which came last: t = 0."""
    class Overwriting(BNRNN):
        def backward(self, dh, cache, observe=None):
            seen = {}
            dx, grads = super().backward(dh, cache, lambda t, gradients, _: seen.update({t: gradients}))
            return dx, {**grads, "b": seen[at].h_tilde.sum(axis=0)}

    for at in (0, 3):
        report = check_gradients(Overwriting(3, 4, rng=0), rng.normal(size=(5, 6, 3)))
        assert f"only the use of b at time step {at} (of 0 .. 4) is in it" in report["b"].hint, report


def test_zero_parameters_would_hide_a_fault_so_they_are_redrawn(rng):
    class Careless(RNN):
        def backward(self, dh, cache, observe=None):
            dx, grads = super().backward(dh, cache, observe)
            return dx, {**grads, "W_h": grads["W_h"] + self.params["b"]}   # no fault as long as b is zero

    cell = Careless(3, 4)
    assert not cell.params["b"].any()
    assert not check_gradients(cell, rng.normal(size=(5, 6, 3)))["W_h"].ok


def test_a_large_layer_is_checked_along_directions(rng):
    cell = BNRNN(7, 40, rng=0)
    report = check_gradients(cell, rng.normal(size=(3, 8, 7)))
    assert report.ok, report
    assert report["W_h"].index is None and report["W_h"].how == "direction"
    assert any("one random direction per tensor" in note for note in report.notes)
    assert report.evaluations < 30 + 8 * 40          # the states of each example are few: element by element


def test_a_model_is_checked_through_its_loss(rng):
    model = SequenceClassifier(BNLSTM(3, 4, rng=0), 5, rng=0)
    x = rng.normal(size=(4, 6, 3))
    noise = 0.1 * rng.normal(size=(6, 4))
    for arguments in ({}, {"y": rng.integers(5, size=6)}, {"initial_noise": noise}):
        report = check_gradients(model, x, elementwise=False, **arguments)
        assert report.ok, report
        assert [entry.name for entry in report.entries] == list(model.params)
    assert "SequenceClassifier of BNLSTM: T=4 N=6 D=3 H=4, batch statistics" in str(report)
    text = rng.permuted(np.arange(4 * 6).reshape(4, 6) % 3, axis=1)
    report = check_gradients(LanguageModel(BNLSTM(3, 4, rng=0), "abc", rng=0), text)
    assert report.ok, report
    assert [entry.name for entry in report.entries] == list(model.params)
    assert "LanguageModel of BNLSTM: T=4 N=6 H=4, integer x, batch statistics" in str(report)


def test_device_arrays_are_checked_where_they_are(monkeypatch, rng, tanh_inputs):
    cupy = strict_cupy.install(monkeypatch)
    x = rng.normal(size=(3, 6, 3))
    for cell in (BNLSTM(3, 4, rng=0), SequenceClassifier(BNRNN(3, 4, rng=0), 5, rng=0)):
        for method, elementwise in (("complex", True), ("central", False)):
            here, there = (
                check_gradients(to_device(cell, device), to_device(x, device), method=method, elementwise=elementwise)
                for device in ("cpu", "cuda"))
            assert there.ok, there
            assert str(here) == str(there)      # the stand-in computes with NumPy: bit-equal

    def forward(x, W, b):
        y = cupy.tanh(x @ W + b)
        return y, (x, W, y)

    report = check_function(forward, _edit("W", lambda g: g.T.copy()), to_device(tanh_inputs, "cuda"))
    assert report.worst.hint == "transposed" and report["x"].ok


def test_arguments_that_do_not_belong_together_are_refused(rng):
    cell, x = LSTM(3, 4), rng.normal(size=(2, 6, 3))
    state = (np.zeros((6, 4)), np.zeros((6, 4)))
    with pytest.raises(TypeError, match="x: expected an array"):
        check_gradients(cell, x.tolist())
    with pytest.raises(ValueError, match="y, initial_noise: expected none for a layer"):
        check_gradients(cell, x, y=np.zeros(6, dtype=int))
    with pytest.raises(ValueError, match="initial_state, first_step: expected none for a model"):
        check_gradients(SequenceClassifier(cell, 3), x, initial_state=state)


def test_the_table_of_a_users_cell():
    text, ok = gradcheck_table([f"{gru.__file__}:GRU"])
    assert ok and text.splitlines()[1].startswith("GRU: learned states") and text.endswith("all 8 checks passed")
    with pytest.raises(ValueError, match="^cell: .*nowhere.py"):
        gradcheck_table(["nowhere.py:GRU"])


def test_the_table_of_the_command_line(monkeypatch):
    text, ok = gradcheck_table(["rnn"])
    assert ok
    heading, *lines, verdict = text.split("\n")
    assert heading.startswith("error of a tensor's gradient: max|a - n| / max(max|n|")
    assert len(lines) == 8 and all(re.match(r"tanh RNN: .* ok    all \d+ ok, worst error ", line) for line in lines)
    assert verdict == "all 8 checks passed"
    with pytest.raises(ValueError, match="cells: expected one of 'rnn', .*'bnlstm', 'readers', 'all', got 'gru'"):
        gradcheck_table(["gru"])

    right = RecurrentLayer.backward

    def wrong(self, *arguments, **settings):
        dx, grads = right(self, *arguments, **settings)
        return dx, {**grads, "b": -grads["b"]}

    monkeypatch.setattr(RecurrentLayer, "backward", wrong)
    text, ok = gradcheck_table(["lstm"])
    assert not ok
    assert "hint: b: the opposite sign everywhere" in text
    assert text.split("\n")[-1].endswith("checks FAILED")


def test_the_examples_in_the_docstrings_run():
    for module in (minibn.gradcheck.functions, minibn.gradcheck.layers):
        assert doctest.testmod(module, raise_on_error=True).attempted


# Readers


def test_a_whole_reader():
    rng = np.random.default_rng(5)
    reader = reader_checks.make_reader("bn_e1", rng, dropout=0.2)
    report = check_gradients(reader, reader_checks.make_questions(rng))
    assert report.ok and {entry.name for entry in report.entries} == set(reader.params)
    assert report.title == "BN-e* reader: T=6 N=5, batch statistics"
    [mutant] = [each for each in mutants.MUTANTS if each.breaks == "embedding gradient of the passage forgotten"]
    with mutants.in_place(mutant):
        assert [entry.name for entry in check_gradients(reader, reader_checks.make_questions(rng)).entries
                if entry.wrong] == ["M"]


def test_the_standard_checks_of_readers():
    text, ok = gradcheck_table(["readers"])
    assert ok and text.endswith("all 12 checks passed")


@pytest.mark.parametrize("change, words", [
    (lambda right: 2 * right, "2 times what it should be"),
    (lambda right: np.log(2) * right, "log 2 times"),
    (lambda right: right / 6, "1/N times"),
    (lambda right: right[:, [4, 5, 6, 7, 0, 1, 2, 3, *range(8, 16)]], "the gate blocks stand in the order i, f, o, g"),
    (lambda right: np.roll(right, 1, axis=0), "one step too late"),
    (lambda right: right[::-1], "the first axis is reversed"),
    (lambda right: right * np.repeat([1, 1, 0, 1], 4), "wrong only at gate block o"),
    (lambda right: right * (np.arange(6) != 2)[:, None], "wrong only at example 2"),
])
def test_hints_are_said_where_undoing_them_is_right(change, words):
    right = np.random.default_rng(3).standard_normal((6, 16))
    assert words in hint_on(change(right), right, 1e-9, {"N": 6, "H": 4})


def test_a_hint_on_a_function_needs_no_sizes():
    """`check_function` does not know what the axes are."""
    right = np.random.default_rng(3).standard_normal((6, 16))
    assert "axis 0 at 2" in hint_on(right * (np.arange(6) != 2)[:, None], right, 1e-9)
