"""A cache is the whole truth about its forward pass: a backward gives the gradients of that very pass, or refuses."""

import numpy as np
import problems
import pytest
from problems import EVERY_ENGINE, NORMALIZED, statistics_of

T, N, D, H = 7, 5, 3, 40        # H so large that the kernels' arrays come from the store
every_engine = pytest.mark.parametrize("engine", ["equations", "kernels"])


def make(name, engine, dtype=np.float64, rng=0, D=D):
    return problems.make(name, D, H, dtype=dtype, engine=engine, rng=rng)


def draw(cell, integer=False, masked=False, states=False, given=False):
    """Arguments of a forward, all of them arrays that somebody may change."""
    rng = np.random.default_rng(5)
    arguments = {"x": rng.normal(size=(T, N, D))}
    if integer:                                     # a step of equal symbols would have no variance
        arguments["x"] = rng.permuted(np.arange(T * N).reshape(T, N) % D, axis=1)
    if masked:
        arguments["mask"] = rng.random((T, N)) < 0.7
        arguments["mask"][:, :2] = True
    if states:
        arguments["initial_state"] = tuple(rng.normal(size=(N, H)) for _ in cell.state_names)
    if given:
        arguments["statistics"] = statistics_of(cell, rng)
    return arguments


CASES = {"alone": {}, "integers": {"integer": True}, "masked, states": {"masked": True, "states": True},
         "statistics": {"given": True}}


def assert_equal(a, b):
    assert (a[0] is None and b[0] is None) or np.array_equal(a[0], b[0])
    assert a[1].keys() == b[1].keys()
    for name, value in a[1].items():
        assert np.array_equal(value, b[1][name]), name


@EVERY_ENGINE
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("observed", [False, True], ids=["", "observed"])
def test_nothing_that_is_done_after_the_forward_changes_its_gradients(name, engine, case, observed):
    """`observed`: a backward by the equations, which is what a kernel's cache gives to whoever watches."""
    cell = make(name, engine)
    arguments = draw(cell, **CASES[case])
    h, cache = cell.forward(**arguments)
    dh = np.random.default_rng(6).normal(size=h.shape)
    watch = {"observe": lambda *seen: None} if observed else {}
    before = cell.backward(dh, cache, **watch)
    h *= 0.5
    arguments["x"][...] = 1
    for array in (*arguments.get("initial_state", ()), *sum(arguments.get("statistics", {}).values(), ())):
        array *= 2
    if "mask" in arguments:
        arguments["mask"][...] = True
    for key in cell.params:
        cell.params[key] *= 2                                   # what an optimizer does
        cell.params[key] = 3 * cell.params[key]                 # what a user does
    cell.forward(**draw(cell, **CASES[case]))                   # another one, in the workspaces that are free
    assert_equal(before, cell.backward(dh, cache, **watch))


@EVERY_ENGINE
def test_what_a_cache_answers_is_read_only_or_a_copy(name, engine):
    cell = make(name, engine)
    h, cache = cell.forward(**draw(cell, masked=True))
    assert h.flags.writeable
    before = cell.backward(h, cache, observe=lambda *seen: None)
    answers = [cache.h, cache.x, cache.mask, *cache.final_state, *cache.initial_state, *cache.layer.params.values(),
               *(getattr(cache, quantity) for quantity in cell.quantities),
               *(value for values in cache.statistics(cell.terms).values() for value in values),
               *([] if len(cell.state_names) == 1 else [cache.c])]
    for array in answers:
        if array.flags.writeable:
            array[...] = 0
    assert_equal(before, cell.backward(h, cache, observe=lambda *seen: None))


@EVERY_ENGINE
def test_only_the_layer_that_made_it_takes_a_cache(name, engine):
    cell, other = make(name, engine), make(name, engine)
    arguments = draw(cell)
    h, cache = cell.forward(**arguments)
    wider = make(name, engine, D=D + 1)
    for stranger in (other, wider, cell.map_params(np.copy)):
        with pytest.raises(TypeError, match="cache: expected one from the forward of this .* another layer"):
            stranger.backward(h, cache)


@EVERY_ENGINE
def test_a_forward_that_keeps_nothing_cannot_go_backward(name, engine):
    cell = make(name, engine)
    arguments = draw(cell, masked=True, states=True)
    h, cache = cell.forward_only(**arguments)
    assert np.array_equal(h, cell.forward(**arguments)[0])
    pieces = list(cell.forward_in_pieces(**arguments, piece_steps=3))
    for refused in (cache, *(cache for _, cache in pieces)):
        with pytest.raises(TypeError, match="cache: .* forward_only"):
            cell.backward(h, refused)


@EVERY_ENGINE
def test_forward_only_copies_nothing(name, engine):
    cell = make(name, engine)
    arguments = draw(cell, states=True)
    _, cache = cell.forward_only(**arguments)
    assert cache.x is arguments["x"] and cache.layer is cell
    assert all(ours is theirs for ours, theirs in zip(cache.initial_state, arguments["initial_state"], strict=True))
    arguments["x"][...] = 1                                     # and nothing of the caller's became read-only


@EVERY_ENGINE
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_padding_gets_no_gradient_whatever_comes_from_above(name, engine, value):
    """A padded step only carries the state: what comes there from above goes to the step before."""
    cell = make(name, engine)
    arguments = draw(cell, masked=True, states=True)
    arguments["mask"][3:, 4] = False                            # example 4 ends before step 3
    arguments["mask"][2, 4] = True
    h, cache = cell.forward(**arguments)
    dh = np.random.default_rng(6).normal(size=h.shape)
    dh[5, 4] = value
    with np.errstate(all="ignore"):
        dx, _ = cell.backward(dh, cache)
    assert not dx[~arguments["mask"]].any()
    if cell.input_statistics == "step":             # else one set of statistics takes it to every step
        assert np.isfinite(dx[3:]).all() and not np.isfinite(dx[2, 4]).all()


@pytest.mark.parametrize("name", NORMALIZED)
@every_engine
@pytest.mark.parametrize("deviation", [1e8, 1e14, 1e18])
@pytest.mark.parametrize("integer", [False, True], ids=["floating", "integer"])
def test_large_deviations_in_float32(name, engine, deviation, integer):
    """Powers of 1 / deviation are too small for float32; the gradients are not."""
    fine = make(name, "equations")
    rough = make(name, engine, np.float32)
    for key in ("W_x", "W_h"):
        fine.params[key] *= deviation
    rough.params = {key: value.astype("f4") for key, value in fine.params.items()}
    arguments = draw(fine, integer, states=True)
    h, cache = fine.forward(**arguments)
    dh = np.random.default_rng(6).normal(size=h.shape)
    _, expected = fine.backward(dh, cache)
    if not integer:
        arguments["x"] = arguments["x"].astype("f4")
    arguments["initial_state"] = tuple(state.astype("f4") for state in arguments["initial_state"])
    _, found = rough.backward(dh.astype("f4"), rough.forward(**arguments)[1])
    for key, value in expected.items():
        # Rounding of float32 through seven steps; without the care for powers it is 10 to 300 %.
        assert np.abs(found[key] - value).max() < 1e-4 * np.abs(value).max(), key
