"""The update rules against numbers worked out by hand and against the formulas in float64 scalars."""

import math

import numpy as np
import pytest
import strict_cupy

from minibn.backend import to_device, to_host
from minibn.optimizers import SGD, Adam, RMSProp, clip_by_global_norm

RULES = [SGD, RMSProp, Adam]
SHAPES = {"W": (3, 4), "b": (4,), "h0": ()}


def some_arrays(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.standard_normal(shape), dtype=dtype) for name, shape in SHAPES.items()}


def trained(rule, steps, dtype=np.float64, **options):
    params = some_arrays(0, dtype)
    optimizer = rule(params, **options)
    for step in range(steps):
        optimizer.step(some_arrays(100 + step, dtype))
    return optimizer


# ------------------------------------------------------------------ the rules


def test_rmsprop_by_hand():
    params = {"p": np.array([1.0])}
    optimizer = RMSProp(params, learning_rate=0.1, decay=0.5)
    optimizer.step({"p": np.array([2.0])})  # m = 0.5 * 0 + 0.5 * 4 = 2
    first = 1.0 - 0.1 * 2.0 / math.sqrt(2.0)
    assert params["p"][0] == pytest.approx(first, rel=1e-15)
    optimizer.step({"p": np.array([-1.0])})  # m = 0.5 * 2 + 0.5 * 1 = 1.5
    assert params["p"][0] == pytest.approx(first + 0.1 / math.sqrt(1.5), rel=1e-15)


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_rmsprop_has_no_bias_correction(decay):
    """The first step has size lr / sqrt(1 - rho) whatever the gradient: 3.16 lr for 0.9, 1.41 lr for 0.5."""
    params = {"p": np.array([0.0, 0.0])}
    RMSProp(params, learning_rate=1e-3, decay=decay).step({"p": np.array([7.0, -0.02])})
    np.testing.assert_allclose(params["p"], np.array([-1.0, 1.0]) * 1e-3 / math.sqrt(1 - decay), rtol=1e-12)


def test_rmsprop_takes_a_maximum_and_adds_no_epsilon():
    """Below the floor sqrt(m) = 1e-5 the step is g / 1e-5; one hundredth above it the floor plays no part."""
    root = math.sqrt(0.1)  # sqrt(m) = root * |g| after one step
    small, large = 1e-7, 1.01e-5 / root
    params = {"p": np.zeros(2)}
    RMSProp(params, learning_rate=1.0).step({"p": np.array([small, large])})
    np.testing.assert_allclose(params["p"], [-small / 1e-5, -1 / root], rtol=1e-12)


def test_default_decay_is_the_papers():
    assert RMSProp({"p": np.zeros(1)}).decay == 0.9


def test_adam_by_hand():
    params = {"p": np.array([1.0])}
    optimizer = Adam(params, learning_rate=0.1)
    optimizer.step({"p": np.array([2.0])})
    # m = 0.2, v = 0.004, lr_1 = 0.1 sqrt(0.001) / 0.1: the step is 0.1 up to epsilon, which sqrt(v) swallows.
    lr_1 = 0.1 * math.sqrt(1 - 0.999) / (1 - 0.9)
    first = 1.0 - lr_1 * 0.2 / (math.sqrt(0.004) + 1e-8)
    assert params["p"][0] == pytest.approx(first, rel=1e-13)
    assert first == pytest.approx(0.9, abs=1e-6)
    optimizer.step({"p": np.array([-1.0])})
    beta = 0.9 * (1 - 1e-8)
    m, v = beta * 0.2 - (1 - beta), 0.999 * 0.004 + 0.001
    lr_2 = 0.1 * math.sqrt(1 - 0.999**2) / (1 - 0.9**2)
    assert params["p"][0] == pytest.approx(first - lr_2 * m / (math.sqrt(v) + 1e-8), rel=1e-13)


def test_adam_adds_epsilon_to_the_uncorrected_root():
    """With g = 1e-9 epsilon decides: sqrt(v) = 3.2e-11. Corrected moments would move the parameter 31 times less."""
    params = {"p": np.zeros(1)}
    Adam(params, learning_rate=1.0).step({"p": np.array([1e-9])})
    root = math.sqrt(0.001) * 1e-9
    step = math.sqrt(0.001) / 0.1 * 1e-10 / (root + 1e-8)
    assert -params["p"][0] == pytest.approx(step, rel=1e-9)
    corrected = 1e-9 / (1e-9 + 1e-8)
    assert step < corrected / 25


def plain_reference(rule, gradients, p, lr, decay):
    """The same rules on one number, in Python floats, straight from the authors' definition."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        if rule is SGD:
            p -= lr * g
        elif rule is RMSProp:
            m = decay * m + (1 - decay) * g * g
            p -= lr * g / max(math.sqrt(m), 1e-5)
        else:
            weight = 1 - (1 - 0.1) * (1 - 1e-8) ** (t - 1)  # Blocks counts with the complements 0.1 and 0.001
            m = weight * g + (1 - weight) * m
            v = 0.001 * g * g + 0.999 * v
            lr_t = lr * math.sqrt(1 - (1 - 0.001) ** t) / (1 - (1 - 0.1) ** t)
            p -= lr_t * m / (math.sqrt(v) + 1e-8)
    return p


@pytest.mark.parametrize("rule", RULES)
def test_forty_steps_equal_the_scalar_reference(rule):
    options = {"decay": 0.8} if rule is RMSProp else {}
    start, optimizer = some_arrays(0), trained(rule, 40, learning_rate=0.01, **options)
    gradients = [some_arrays(100 + step) for step in range(40)]
    for name, value in optimizer.params.items():
        for index in np.ndindex(value.shape):
            history = [float(grad[name][index]) for grad in gradients]
            expected = plain_reference(rule, history, float(start[name][index]), 0.01, 0.8)
            # forty steps of rounding: a few dozen units in the last place
            assert value[index] == pytest.approx(expected, rel=1e-12, abs=1e-13), (name, index)


@pytest.mark.parametrize("rule", RULES)
def test_parameters_change_in_place_and_gradients_do_not(rule):
    params, grads = some_arrays(0), some_arrays(1)
    same, before = dict(params), {name: grad.copy() for name, grad in grads.items()}
    start = {name: param.copy() for name, param in params.items()}
    rule(params).step(grads)
    for name in params:
        assert params[name] is same[name]
        assert np.all(params[name] != start[name])
        np.testing.assert_array_equal(grads[name], before[name])


@pytest.mark.parametrize("rule", RULES)
def test_float32_stays_float32_even_with_numpy_hyperparameters(rule):
    optimizer = trained(rule, 3, np.float32, learning_rate=np.float64(0.01))
    arrays = {**optimizer.params, **optimizer.state_arrays()}
    assert {array.dtype for name, array in arrays.items() if name != "steps"} == {np.dtype(np.float32)}


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("rule", RULES)
def test_refused_gradients_change_nothing(rule):
    params, start = some_arrays(0), some_arrays(0)
    optimizer = rule(params)
    good = some_arrays(1)
    per_example = {**good, "b": np.zeros((5, 4))}
    with pytest.raises(ValueError, match=r"grads\['b'\]: expected .* \(4,\), got \(5, 4\).*summed"):
        optimizer.step(per_example)
    with pytest.raises(ValueError, match="missing: b; unknown: none"):
        optimizer.step({name: grad for name, grad in good.items() if name != "b"})
    with pytest.raises(ValueError, match="missing: none; unknown: b_y"):
        optimizer.step({**good, "b_y": np.zeros(3)})
    assert optimizer.steps == 0
    for name in params:
        np.testing.assert_array_equal(params[name], start[name])
    for name, array in optimizer.state_arrays().items():
        assert not array.any(), name


def test_refused_hyperparameters():
    params = some_arrays(0)
    for bad in (0.0, -1e-3, math.inf, math.nan):
        with pytest.raises(ValueError, match="learning_rate: expected a finite number above 0"):
            SGD(params, bad)
        with pytest.raises(ValueError, match="threshold: expected a finite number above 0"):
            clip_by_global_norm(params, bad)
    for bad in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=r"decay: expected a number in \[0, 1\)"):
            RMSProp(params, decay=bad)
        with pytest.raises(ValueError, match=r"beta2: expected a number in \[0, 1\)"):
            Adam(params, beta2=bad)
    with pytest.raises(ValueError, match="at least one gradient"):
        clip_by_global_norm({}, 1.0)


# ------------------------------------------------------------------ saving and loading


@pytest.mark.parametrize("rule", RULES)
def test_state_goes_out_and_comes_back(rule):
    whole = trained(rule, 6)
    half = trained(rule, 3)
    state = {name: array.copy() for name, array in half.state_arrays().items()}
    other = rule({name: param.copy() for name, param in half.params.items()})
    other.load_state_arrays(state)
    for step in range(3, 6):
        other.step(some_arrays(100 + step))
    for name in SHAPES:
        np.testing.assert_array_equal(other.params[name], whole.params[name])
    assert other.steps == 6
    for name, array in half.state_arrays().items():  # what was loaded is a copy
        np.testing.assert_array_equal(array, state[name])


def test_state_of_another_optimizer_or_model_is_refused():
    optimizer = trained(RMSProp, 1)
    with pytest.raises(ValueError, match="state of RMSProp .* is not part of it"):
        optimizer.load_state_arrays(trained(Adam, 1).state_arrays())
    state = optimizer.state_arrays()
    with pytest.raises(ValueError, match="'mean_square.W' is missing"):
        optimizer.load_state_arrays({name: a for name, a in state.items() if name != "mean_square.W"})
    with pytest.raises(ValueError, match=r"mean_square.W.*expected shape \(3, 4\), got \(4, 3\)"):
        optimizer.load_state_arrays({**state, "mean_square.W": np.zeros((4, 3))})


# ------------------------------------------------------------------ clipping


def norm_of(arrays):
    return math.sqrt(sum(float(np.sum(np.square(array, dtype=np.float64))) for array in arrays.values()))


def test_clipping_is_by_the_norm_of_everything_together():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}  # norms 3 and 4, together 5
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert float(norm) == pytest.approx(5.0, rel=1e-15)
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"], [[0.8]], rtol=1e-15)
    assert grads["a"][0] == 3.0
    clipped, _ = clip_by_global_norm(grads, 4.5)  # above each of them, below both together
    assert norm_of(clipped) == pytest.approx(4.5, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_gradients_keep_their_every_bit(dtype):
    grads = {name: grad * dtype(0.01) for name, grad in some_arrays(1, dtype).items()}
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert float(norm) == pytest.approx(norm_of(grads), rel=1e-6)
    for name in grads:
        assert clipped[name].dtype == dtype
        np.testing.assert_array_equal(clipped[name], grads[name])


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-42])
def test_norms_far_outside_the_square_roots_range(size):
    """In float32 the squares of 1e30 are infinite and those of 1e-30 are zero; the norm is neither."""
    grads = {"a": np.full(9, size, np.float32), "b": np.full((4, 4), -size, np.float32)}
    clipped, norm = clip_by_global_norm(grads, 1.0)
    true = norm_of(grads)
    assert norm.dtype == np.float32
    assert float(norm) == pytest.approx(true, rel=1e-6)
    expected = 1.0 if size > 1 else true
    assert norm_of(clipped) == pytest.approx(expected, rel=1e-6)
    assert {array.dtype for array in clipped.values()} == {np.dtype(np.float32)}


def test_a_norm_near_the_largest_float_is_clipped_exactly():
    """Norm 3e38: threshold / norm alone would be subnormal and lose digits."""
    grads = {"a": np.array([2e38, 2.2e38], np.float32)}
    clipped, norm = clip_by_global_norm(grads, 1e-3)
    true = norm_of(grads)
    assert float(norm) == pytest.approx(true, rel=1e-6)
    np.testing.assert_allclose(clipped["a"], grads["a"].astype(np.float64) / true * 1e-3, rtol=1e-6)


def test_zero_gradients_stay_zero():
    clipped, norm = clip_by_global_norm({"a": np.zeros(3), "b": np.zeros(())}, 1.0)
    assert norm == 0
    assert not clipped["a"].any() and not clipped["b"].any()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_makes_the_norm_so(bad):
    grads = {"a": np.ones(3, np.float32), "b": np.array([1.0, bad], np.float32)}
    _, norm = clip_by_global_norm(grads, 1.0)
    assert not np.isfinite(norm)


# ------------------------------------------------------------------ on the device


@pytest.mark.parametrize("rule", RULES)
def test_a_step_on_the_device_neither_waits_nor_uploads(rule, monkeypatch):
    cupy = strict_cupy.install(monkeypatch)
    params = to_device(some_arrays(0), "cuda")
    grads = to_device(some_arrays(1), "cuda")
    optimizer = rule(params)
    with strict_cupy.counting(cupy) as counts:
        clipped, norm = clip_by_global_norm(grads, 0.5)
        optimizer.step(clipped)
    assert counts.synchronisations == 0, counts.places()
    assert counts.uploads == 0, counts.places("upload")
    assert isinstance(norm, cupy.ndarray)
    host_params, host_grads = some_arrays(0), some_arrays(1)
    host = rule(host_params)
    host.step(clip_by_global_norm(host_grads, 0.5)[0])
    for name in SHAPES:
        np.testing.assert_array_equal(to_host(params[name]), host_params[name])
    state = to_host(optimizer.state_arrays())
    rule(params).load_state_arrays(state)  # host arrays go back to the device


def test_sgd_moves_against_the_gradient():
    params = {"p": np.array([1.0, 2.0])}
    SGD(params, learning_rate=0.5).step({"p": np.array([1.0, -4.0])})
    np.testing.assert_array_equal(params["p"], [0.5, 4.0])
