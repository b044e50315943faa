"""Every forward and backward pair, every whole sequence, every layer and the classifier against differentiation."""

import copy
import itertools
import pickle

import equation_checks as checks
import numpy as np
import pytest
from equation_checks import CELLS, CHECKS, EPS, LAYERS, D, H, K, N, T, kinds_of, mask_for, normal, positive

from minibn.equations import batch_norm, input_term, losses
from minibn.equations.activations import sigmoid
from minibn.equations.quantities import Record


@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.parametrize("name", CHECKS)
def test_functions_and_sequences(name, method):
    CHECKS[name](method=method)


@pytest.mark.parametrize("cell, kind", [(cell, kind) for cell in CELLS for kind in kinds_of(cell)])
def test_sequences_of_one_step(cell, kind):
    checks.check_sequence(cell, kind, steps=1)


@pytest.mark.parametrize("cell", CELLS)
def test_broadcast_initial_state(cell):
    """All examples start alike, so W_h h_0 has no variance, and BN multiplies by gamma / sqrt(eps), up to 500.

    The gradients of the rows of h_0 are that much larger than the others, and the gradient of W_h is what is left
    when they cancel: its rounding grows from 1e-15 to 1e-13. A complex step does not mind. Central differences do
    (they are off by 5e-5 along a row of h_0): the normalized value delta / sqrt(delta^2 + eps) bends at sqrt(eps),
    and a step of 1e-5 leaves a truncation of (1e-5)^2 / eps = 1e-5. So the other checks give each example its own.
    """
    errors = checks.check_sequence(cell, initial_state=lambda state: np.repeat(state[:1], N, axis=0))
    assert max(errors.values()) < 1e-11


# Whole layers


LAYER_CASES = [
    (layer, *flags) for layer, (cls, _) in LAYERS.items()
    for flags in itertools.product([False, True], repeat=4) if cls.terms or not flags[1]
]


@pytest.mark.parametrize("layer, masked, population, given_state, integer", LAYER_CASES)
def test_layers(layer, masked, population, given_state, integer):
    checks.check_layer(layer, masked, population, given_state, integer)


@pytest.mark.parametrize("population", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_on_one_step(layer, masked, population):
    """Per-example states: from a learned one, W_h and gamma_h have gradients that are identically zero."""
    checks.check_layer(layer, masked, population, given_state=True, steps=1)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_with_nearly_dead_steps(layer, integer):
    """A step with one live example (its normalized value is zero), then one with none, then all live again."""
    mask = np.ones((4, checks.N_LAYER))
    mask[1] = np.arange(checks.N_LAYER) == 2
    mask[2] = 0
    checks.check_layer(layer, given_state=True, integer=integer, steps=4, mask=mask)


MODEL_CASES = [
    *[("BNLSTM", *flags) for flags in itertools.product([False, True], repeat=4)],
    *[(layer, True, True, True, False) for layer in LAYERS if layer != "BNLSTM"],
    *[(layer, False, False, True, False) for layer in LAYERS if layer != "BNLSTM"],
]


@pytest.mark.parametrize("kind", checks.MODELS)
@pytest.mark.parametrize("layer, masked, population, noise, integer", MODEL_CASES)
def test_models(layer, masked, population, noise, integer, kind):
    checks.check_model(layer, masked, population, noise, integer, kind=kind)


# Batch norm of very few examples: relative errors mean nothing there


def test_batch_norm_of_two_examples():
    """Their normalized values are +1 and -1 but for eps, so the true gradient is of the order of eps."""
    rng = np.random.default_rng(1)
    a, gamma, dy = normal(rng, 2, H), positive(rng, H), normal(rng, 2, H)
    _, cache = batch_norm.batch_norm_forward(a, gamma, 0.0, EPS)
    da = batch_norm.batch_norm_backward(dy, cache).a
    # With d = (a_1 - a_2) / 2 the normalized values are +-d (d^2 + eps)^(-1/2), with derivative eps (d^2 + eps)^(-3/2).
    d = (a[0] - a[1]) / 2
    slope = EPS * (d * d + EPS) ** -1.5 * gamma * (dy[0] - dy[1]) / 2
    assert np.abs(slope).max() > 1e-6
    # The terms that cancel are of size gamma / d < 100, so their rounding is below 1e-13.
    np.testing.assert_allclose(da, [slope, -slope], rtol=0, atol=1e-13)


@pytest.mark.parametrize("given", [False, True])
def test_batch_norm_of_one_live_example_is_beta(given):
    """No gradient passes; those that are padded neither count nor get any."""
    rng = np.random.default_rng(2)
    a, gamma, beta, dy = normal(rng, N, H), positive(rng, H), normal(rng, H), normal(rng, N, H)
    live = np.arange(N) == 2
    dy[~live] = 0
    y, cache = batch_norm.batch_norm_forward(a, gamma, beta, EPS, live,
                                             checks.statistics_for(rng, 1, H) if given else None)
    gradients = batch_norm.batch_norm_backward(dy, cache)
    assert np.array_equal(y[2], beta) != given
    assert np.array_equal(gradients.a, np.zeros((N, H))) != given
    assert np.array_equal(gradients.gamma, np.zeros(H)) != given
    assert np.array_equal(gradients.beta, dy[2])


def test_batch_norm_of_one_example():
    y, cache = batch_norm.batch_norm_forward(np.array([[3.0, -2.0]]), np.full(2, 0.1), np.array([5.0, 6.0]), EPS)
    assert np.array_equal(y, [[5, 6]])
    assert np.array_equal(batch_norm.batch_norm_backward(np.array([[1.0, 2.0]]), cache).a, np.zeros((1, 2)))


def test_batch_norm_without_a_live_example_is_finite():
    a = normal(np.random.default_rng(3), N, H)
    y, cache = batch_norm.batch_norm_forward(a, np.ones(H), 0.0, EPS, np.zeros(N, dtype=bool))
    gradients = batch_norm.batch_norm_backward(np.zeros((N, H)), cache)
    assert np.isfinite(y).all() and not gradients.a.any() and not gradients.gamma.any()


def test_padded_examples_do_not_count():
    """What a padded example holds changes neither the statistics nor anybody's gradient."""
    rng = np.random.default_rng(4)
    a, gamma, dy = normal(rng, N, H), positive(rng, H), normal(rng, N, H)
    live = mask_for(1, N)[0]
    dy[~live] = 0
    other = np.where(live[:, None], a, 1e3)
    y, cache = batch_norm.batch_norm_forward(a, gamma, 0.0, EPS, live)
    y_other, cache_other = batch_norm.batch_norm_forward(other, gamma, 0.0, EPS, live)
    assert np.array_equal(y[live], y_other[live])
    da, da_other = (batch_norm.batch_norm_backward(dy, c).a for c in (cache, cache_other))
    assert np.array_equal(da, da_other)
    alone, _ = batch_norm.batch_norm_forward(a[live], gamma, 0.0, EPS)
    np.testing.assert_allclose(y[live], alone, rtol=1e-13)            # sums over other numbers of terms


# Forward definitions that no replay covers


def test_input_term_is_a_product_per_step():
    rng = np.random.default_rng(5)
    x, W_x = normal(rng, T, N, D), normal(rng, D, H)
    np.testing.assert_allclose(input_term.project_forward(x, W_x), np.einsum("tnd,dg->tng", x, W_x), rtol=1e-13)


def test_integer_input_is_one_hot():
    rng = np.random.default_rng(6)
    x, W_x, d = rng.integers(0, D, (T, N)), normal(rng, D, H), normal(rng, T, N, H)
    one_hot = np.eye(D)[x]
    assert np.array_equal(input_term.look_up_forward(x, W_x), input_term.project_forward(one_hot, W_x))
    np.testing.assert_allclose(input_term.look_up_backward(d, x, W_x),
                               input_term.project_backward(d, one_hot, W_x)[1], rtol=1e-12)


def test_input_statistics_are_per_step_or_per_sequence():
    x_linear = normal(np.random.default_rng(7), T, N, H) + np.arange(T)[:, None, None]
    _, steps = input_term.per_step_forward(x_linear, np.ones(H), EPS)
    _, [sequence] = input_term.per_sequence_forward(x_linear, np.ones(H), EPS)
    np.testing.assert_allclose([step.mean[0] for step in steps], x_linear.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose([step.variance[0] for step in steps], x_linear.var(axis=1), rtol=1e-13)
    np.testing.assert_allclose(sequence.mean[0], x_linear.mean(axis=(0, 1)), rtol=1e-13)
    np.testing.assert_allclose(sequence.variance[0], x_linear.var(axis=(0, 1)), rtol=1e-13)


def test_cross_entropy_is_minus_log_of_the_probability():
    rng = np.random.default_rng(8)
    logits, y, mask = normal(rng, T, N, K), rng.integers(0, K, (T, N)), mask_for(T, N)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    minus_log = -np.log(np.take_along_axis(p, y[..., None], axis=-1)[..., 0])
    loss, _ = losses.softmax_cross_entropy_forward(logits, y)
    np.testing.assert_allclose(loss, minus_log.mean(), rtol=1e-13)
    loss, _ = losses.softmax_cross_entropy_forward(logits, y, mask.astype(np.float32))
    np.testing.assert_allclose(loss, minus_log[mask].mean(), rtol=1e-13)


def test_cross_entropy_without_a_live_prediction_is_zero():
    loss, cache = losses.softmax_cross_entropy_forward(np.full((N, K), np.nan), np.zeros(N, dtype=int), np.zeros(N))
    assert loss == 0 and not losses.softmax_cross_entropy_backward(cache).any()


def test_extreme_numbers_do_not_overflow():
    """Warnings are errors here: an overflow in exp would be one."""
    assert np.array_equal(sigmoid(np.array([-1e4, 0.0, 1e4])), [0, 0.5, 1])
    loss, cache = losses.softmax_cross_entropy_forward(np.array([[1e4, -1e4, 0.0]]), np.array([1]))
    assert loss == 2e4
    assert np.array_equal(losses.softmax_cross_entropy_backward(cache), [[1, -1, 0]])


# The tables of quantities, and the records of steps (test_cells.py holds the cells' own against their steps)


def test_a_record_is_read_only_and_makes_others():
    cache = batch_norm.batch_norm_forward(np.ones((N, H)), np.ones(H), 0.0, EPS)[1]
    record = Record({"h_linear": 1, "h_bn": cache, "h": 3})
    assert (record.h_linear, record.h, record._fields) == (1, 3, ("h_linear", "h_bn", "h"))
    assert record.h_hat is cache.hat and record.h_inv_std is cache.inv_std
    with pytest.raises(AttributeError, match="h: expected nothing to be assigned"):
        record.h = 4
    other = record._replace(h=4)
    assert (other.h, other.h_linear, record.h) == (4, 1, 3) and other._asdict() == {**record._asdict(), "h": 4}
    for name in ("c", "c_hat", "h_nonsense", "h_weights_of"):
        with pytest.raises(AttributeError, match=f"no quantity called '{name}' among h_linear, h_bn, h"):
            getattr(record, name)
    for again in (copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert again._fields == record._fields and np.array_equal(again.h_hat, cache.hat)


def test_gradients_have_the_names_of_what_they_are_of():
    """And a forward value that a backward read is none of them."""
    gradients = Record.of_gradients({"h_prev": 1, "dh": 2, "dh_prev": 3, "dW_h": 4})
    assert gradients._asdict() == {"h": 2, "h_prev": 3, "W_h": 4}


def test_input_term_table():
    """The stages of the layer's input, under their names (test_layers.py looks at the values)."""
    batch_norm_names = {f"x_{name}" for name in batch_norm.QUANTITIES if name != "a"}
    assert set(input_term.QUANTITIES) == {"x_linear", "x_term"} | batch_norm_names


def test_batch_norm_table():
    fields = set(batch_norm.BatchNormCache._fields) - {"weight", "gamma"}
    assert set(batch_norm.QUANTITIES) == fields <= set(batch_norm.BatchNormGradients._fields)
    _, cache = batch_norm.batch_norm_forward(normal(np.random.default_rng(0), N, H), np.ones(H), 0.0, EPS)
    gradients = batch_norm.batch_norm_backward(normal(np.random.default_rng(1), N, H), cache)
    for name, row in batch_norm.QUANTITIES.items():
        shape = tuple({"N": N, "G": H, "1": 1}[axis] for axis in row.axes.split())
        assert getattr(cache, name).shape == getattr(gradients, name).shape == shape, name


# The checks themselves


def test_a_check_says_what_is_wrong():
    with pytest.raises(checks.GradientMismatch) as caught:
        checks.check("double", lambda z: ((2 * z,), None), lambda dy, _: {"z": dy}, {"z": np.ones((2, 3))}, "complex")
    assert caught.value.errors == {"z": pytest.approx(0.5)}
    for word in ("double", "z: relative error 5.0e-01 > 1e-10", "worst at", "analytic", "numeric"):
        assert word in str(caught.value)


@pytest.mark.parametrize("gradient", [None, np.ones(3), np.full((2, 3), np.nan)])
def test_a_check_wants_every_gradient_in_shape_and_finite(gradient):
    with pytest.raises(checks.GradientMismatch) as caught:
        checks.check("same", lambda z: ((z,), None), lambda dy, _: {"z": gradient}, {"z": np.ones((2, 3))}, "central")
    assert caught.value.errors == {"z": np.inf}


def test_a_check_refuses_a_backward_that_accumulates():
    total = np.zeros((2, 3))

    def backward(dy, _):
        total.__iadd__(dy)
        return {"z": total.copy()}

    with pytest.raises(AssertionError, match="a second backward gave another z"):
        checks.check("accumulates", lambda z: ((z,), None), backward, {"z": np.ones((2, 3))}, "complex")
