"""The fast code against the readable code: every cell, every mode, both precisions; and what it does with memory."""

import gc
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import allocations
import numpy as np
import problems
import pytest
from allocations import allocating_lines
from problems import EVERY_KERNEL, NORMALIZED, assert_no_further_than_permuted, distance

import minibn
from minibn import kernels
from minibn.kernels import look_up, workspace
from minibn.layers import BNLSTM, LSTM
from minibn.layers.caches import KernelCache, LayerCache

INPUTS = ("D=1", "D=3", "D=30", "integer")
# Per step, relative to the largest value: rounding in sums of up to a few hundred terms.
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


class Problem(problems.Problem):
    """The same layer under both engines."""

    def __init__(self, name, dtype=np.float64, D=3, kind="D=3", seed=0, symbols=5, **settings):
        D = {"D=1": 1, "D=3": D, "D=30": 30, "integer": symbols}[kind]
        super().__init__(name, dtype, D=D, integer=kind == "integer", seed=[seed, 77], **settings)
        self.fast = problems.make(name, D, self.shape[3], dtype=dtype, engine="kernels")
        self.fast.params = {key: value.copy() for key, value in self.readable.params.items()}


@EVERY_KERNEL
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_one_step_equals_the_equations(name, kind, given, masked, dtype):
    problem = Problem(name, dtype, kind=kind, masked=masked, given=given)
    expected, _ = problem.run(problem.readable)
    got, cache = problem.run(problem.fast)
    assert isinstance(cache, KernelCache)
    largest = max(np.abs(value).max() for key, value in expected.items() if key not in ("h", "c"))
    for key, value in expected.items():
        allowed = TOLERANCE[dtype] * max(1, 1e-3 * largest / np.abs(value).max())       # as gradients are compared
        if key == "W_x" and kind == "D=1" and not given:
            # A single weight's scale is normalized away: all that is left of its gradient is the share of epsilon,
            # and the rounding of what cancelled.
            permuted, _ = problem.run(problem.readable, np.random.default_rng(1).permutation(11))
            allowed = max(allowed, 10 * distance(value, permuted[key]))
        assert distance(value, got[key]) < allowed, key


@EVERY_KERNEL
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_a_sequence_is_no_further_away_than_a_permuted_batch(name, kind, given, masked, dtype):
    problem = Problem(name, dtype, T=19, N=13, H=9, kind=kind, masked=masked, given=given)
    expected, _ = problem.run(problem.readable)
    got, _ = problem.run(problem.fast)
    assert_no_further_than_permuted(problem, expected, got)


@EVERY_KERNEL
@pytest.mark.parametrize("sizes", [(1, 2, 1, 1), (3, 2, 4, 5), (5, 33, 2, 3), (40, 7, 6, 17)],
                         ids=lambda sizes: "-".join(map(str, sizes)))
def test_odd_sizes(name, sizes):
    T, N, D, H = sizes
    problem = Problem(name, T=T, N=N, D=D, H=H)
    expected, _ = problem.run(problem.readable, states=N > 2)
    got, _ = problem.run(problem.fast, states=N > 2)
    largest = max(np.abs(value).max() for value in expected.values())
    for key, value in expected.items():
        # N = 2 is badly conditioned: normalized values are 1 and -1, and most gradients cancel.
        assert np.abs(value - got[key]).max() < (1e-11 if N > 2 else 1e-8) * largest, key


@EVERY_KERNEL
def test_complex_steps_pass_through_the_kernels(name):
    cell = problems.make(name, 3, 4, rng=0, engine="kernels")
    x = np.random.default_rng(0).standard_normal((5, 6, 3))
    report = minibn.check_gradients(cell, x)
    assert report.ok, str(report)
    mask = np.random.default_rng(1).random((5, 6)) < 0.8
    mask[:, :3] = True
    report = minibn.check_gradients(cell, x, mask=mask)
    assert report.ok, str(report)


@EVERY_KERNEL
def test_backward_is_pure_and_forwards_do_not_disturb_each_other(name):
    one, two = Problem(name, T=6, N=90, H=30, seed=1), Problem(name, T=6, N=90, H=30, seed=2)
    expected, _ = one.run(one.readable)
    x, dh = one.x.copy(), one.dh.copy()
    _, cache = one.fast.forward(one.x, initial_state=one.states)
    kept = cache.h.copy()
    one.fast.forward(two.x, initial_state=two.states)             # takes other memory, its cache goes at once
    one.fast.backward(two.dh, one.fast.forward(two.x, initial_state=two.states)[1])
    first_dx, first = one.fast.backward(one.dh, cache)
    second_dx, second = one.fast.backward(one.dh, cache)
    np.testing.assert_array_equal(cache.h, kept)
    np.testing.assert_array_equal(first_dx, second_dx)
    np.testing.assert_array_equal(one.x, x)
    np.testing.assert_array_equal(one.dh, dh)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
        assert distance(expected[key], first[key]) < 1e-10, key


def test_gradients_and_outputs_outlive_the_cache():
    problem = Problem("lstm", T=20, N=64, H=32)
    h, cache = problem.fast.forward(problem.x)
    dx, grads = problem.fast.backward(problem.dh, cache)
    copies = {"h": h.copy(), "dx": dx.copy(), **{key: value.copy() for key, value in grads.items()}}
    del cache
    for _ in range(3):                                            # whoever reuses the memory writes other numbers
        _, other = problem.fast.forward(-3 * problem.x)
        problem.fast.backward(2 * problem.dh, other)
    for key, value in {"h": h, "dx": dx, **grads}.items():
        np.testing.assert_array_equal(value, copies[key])


@EVERY_KERNEL
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
def test_the_cache_answers_every_name_as_the_equations_do(name, masked, given):
    problem = Problem(name, T=5, masked=masked, given=given)
    expected, readable = problem.run(problem.readable)
    _, fast = problem.run(problem.fast)
    names = {*problem.readable.quantities, "x_linear", "W_h", "mask"}
    live = np.ones(5, bool) if problem.mask is None else problem.mask.any(axis=1)     # other steps have no statistics
    for each in names:
        a, b = getattr(readable, each), getattr(fast, each)
        if each == "mask" and a is None:
            assert b is None
        elif each in ("mask", "W_h"):
            np.testing.assert_array_equal(a, b)
        else:
            a, b = (value[live] if len(value) == 5 else value for value in (a, b))
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10, err_msg=each)
    for a, b in zip(readable.final_state, fast.final_state, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-10)
    ours, theirs = fast.statistics(problem.readable.terms), readable.statistics(problem.readable.terms)
    for term in problem.readable.terms:
        for a, b in zip(theirs[term], ours[term], strict=True):
            assert a.shape == b.shape
            a, b = (value[live] if len(value) == 5 else value for value in (a, b))
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    with pytest.raises(AttributeError):
        fast.no_such_quantity  # noqa: B018
    if problem.readable.blocks == 1:
        with pytest.raises(AttributeError, match="'c'"):
            fast.c  # noqa: B018


def test_the_cache_stays_what_it_was_when_an_optimizer_changes_the_parameters():
    problem = Problem("bnlstm", T=4)
    expected, readable = problem.run(problem.readable)
    f = readable.f.copy()
    _, cache = problem.fast.forward(problem.x, initial_state=problem.states)
    for value in problem.fast.params.values():
        value += 1
    np.testing.assert_allclose(cache.f, readable.f if problem.statistics else f, atol=1e-12)
    _, grads = problem.fast.backward(problem.dh, cache)
    for key in grads:
        assert distance(expected[key], grads[key]) < 1e-10, key


def test_an_observer_sees_the_gradients_of_every_step():
    problem = Problem("bnlstm", T=4)
    seen = {"readable": [], "fast": []}
    for key, cell in (("readable", problem.readable), ("fast", problem.fast)):
        _, cache = cell.forward(problem.x)
        cell.backward(problem.dh, cache, observe=lambda t, gradients, _, key=key: seen[key].append((t, gradients.f)))
    for (t, a), (s, b) in zip(*seen.values(), strict=True):
        assert t == s
        np.testing.assert_allclose(b, a, atol=1e-12)


def test_a_blanked_equation_is_noticed_under_equations_and_not_hidden(monkeypatch):
    """Equations are the default, and a layer that says so never runs a kernel."""
    def refuse(*_):
        raise AssertionError("a kernel ran")

    monkeypatch.setattr(kernels, "forward", refuse)
    monkeypatch.setattr(kernels, "backward", refuse)
    problem = Problem("bnlstm", T=2)
    assert BNLSTM(2, 3).engine == "equations"
    problem.run(problem.readable)
    with pytest.raises(AssertionError, match="kernel ran"):
        problem.run(problem.fast)


@EVERY_KERNEL
@pytest.mark.parametrize("symbols, integer", [(2, np.uint8), (27, np.int32), (50, np.int64), (300, np.uint16)])
@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("small", [0, 2 ** 30], ids=["row by row", "product"])
def test_integers_of_every_kind(name, symbols, integer, given, masked, small, monkeypatch):
    """Both ways of summing by symbol, for any number of symbols, repeated ones among them."""
    monkeypatch.setattr(look_up, "SMALL", small)
    problem = Problem(name, T=6, N=13, kind="integer", masked=masked, given=given, symbols=symbols)
    problem.x = problem.x.astype(integer)
    expected, _ = problem.run(problem.readable)
    got, cache = problem.run(problem.fast)
    assert isinstance(cache, KernelCache) and "dx" not in got
    assert_no_further_than_permuted(problem, expected, got, floor=16)


def test_integers_are_no_one_hot_rows():
    """Nothing of the size of (T, N, symbols) is made: that would be 240 MB."""
    cell, x = BNLSTM(50_000, 4, engine="kernels", rng=0), np.random.default_rng(0).integers(50_000, size=(20, 30))
    tracemalloc.start()
    dx, grads = cell.backward(np.ones((20, 30, 4)), cell.forward(x)[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dx is None and grads["W_x"].shape == (50_000, 16)
    assert peak < 8 * cell.params["W_x"].nbytes


@pytest.mark.parametrize("name", NORMALIZED)
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
def test_the_variance_of_nearly_equal_rows_is_no_difference_of_squares(name, masked):
    """Rows of W_x that differ by a ten-thousandth: their squares agree to all digits that float32 has."""
    problem = Problem(name, np.float32, T=5, N=40, kind="integer", masked=masked, symbols=9)
    W_x = problem.fast.params["W_x"]
    W_x[...] = 1000 + 0.1 * np.random.default_rng(3).standard_normal(W_x.shape)
    exact = problem.readable.map_params(lambda value: value.astype(np.float64))
    exact.params["W_x"] = W_x.astype(np.float64)
    states = [tuple(state.astype(dtype) for state in problem.states) for dtype in (np.float64, np.float32)]
    caches = [cell.forward(problem.x, problem.mask, state)[1]
              for cell, state in zip((exact, problem.fast), states, strict=True)]
    [term] = {"x", "sum"} & set(exact.terms)
    a, b = (cache.statistics([term])[term].variance for cache in caches)
    live = slice(None) if problem.mask is None or len(a) == 1 else problem.mask.any(axis=1)
    np.testing.assert_allclose(b[live], a[live], rtol=1e-3)


def test_pieces_of_a_long_sequence(monkeypatch):
    problem = Problem("bnlstm", T=12)
    h, _ = problem.fast.forward(problem.x)
    whole = problem.fast.batch_statistics(problem.x)
    monkeypatch.setattr("minibn.layers.layer.PIECE_ELEMENTS", 5 * 11 * 28)
    pieces = [piece for piece, _ in problem.fast.forward_in_pieces(problem.x)]
    assert len(pieces) == 3
    np.testing.assert_allclose(np.concatenate(pieces), h, atol=1e-12)
    for term, values in problem.fast.batch_statistics(problem.x).items():
        for a, b in zip(values, whole[term], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


# Memory


def held_bytes(obj, seen):
    """Bytes of the arrays in a cache, each once."""
    if isinstance(obj, np.ndarray):
        while isinstance(obj.base, np.ndarray):
            obj = obj.base
        return 0 if id(obj) in seen or seen.add(id(obj)) else obj.nbytes
    if isinstance(obj, dict):
        return sum(held_bytes(value, seen) for value in obj.values())
    if isinstance(obj, tuple | list):
        return sum(held_bytes(value, seen) for value in obj)
    return held_bytes(vars(obj), seen) if hasattr(obj, "__dict__") else 0


def loops(allocate, x):
    """A stand-in for a cell; line numbers are those of this file."""
    buffer = np.empty(x.shape[1:], x.dtype)
    total = np.zeros_like(buffer)
    for x_t in x:
        if allocate:
            total += x_t * 2
        else:
            np.multiply(x_t, 2, out=buffer)
            total += buffer
    return total


def test_allocating_lines_sees_what_is_gone_when_the_line_ends(monkeypatch):
    monkeypatch.setattr(allocations, "PACKAGE", Path(__file__).parent)      # as if it were the package
    line = loops.__code__.co_firstlineno + 6
    cell = mock.Mock(forward=lambda x: (None, loops(True, x)), backward=lambda dh, cache: loops(False, dh))
    x = np.ones((6, 30, 40))
    tracer = sys.gettrace()
    assert allocating_lines(cell, x, x, 2000) == {"forward": [f"test_kernels.py:{line}"], "backward": []}
    assert sys.gettrace() is tracer


def test_allocating_lines_of_the_equations():
    problem = Problem("rnn", np.float32, T=6, N=4, H=300, kind="D=3")
    found = allocating_lines(problem.readable, problem.x, problem.dh, 1000)
    assert any(line.startswith("cells/rnn.py:") for line in found["forward"])
    assert any(line.startswith("cells/rnn.py:") for line in found["backward"])
    assert not any(line.startswith("layers/base.py:") for line in found["forward"])          # outside the loop


@EVERY_KERNEL
@pytest.mark.parametrize("kind, small", [("D=30", 0), ("integer", 0), ("integer", 2 ** 30)],
                         ids=["floating", "integer, row by row", "integer, product"])
def test_no_line_of_the_time_loop_allocates(name, kind, small, monkeypatch):
    monkeypatch.setattr(look_up, "SMALL", small)
    problem = Problem(name, T=6, N=8, H=256, kind=kind)         # one row of H numbers has 2 KiB
    found = allocating_lines(problem.fast, problem.x, problem.dh, 2000)
    assert found == {"forward": [], "backward": []}


@EVERY_KERNEL
def test_nothing_is_allocated_in_the_time_loop(name):
    """What a second run allocates at its peak does not depend on T beyond small rows, one per step."""
    N, H = 64, 64
    peaks = {}
    for T in (4, 40):
        problem = Problem(name, np.float32, T=T, N=N, H=H)
        for _ in range(2):
            cache = problem.fast.forward(problem.x)[1]
            problem.fast.backward(problem.dh, cache)
            del cache
        cache = problem.fast.forward(problem.x)[1]
        tracemalloc.start()
        problem.fast.backward(problem.dh, cache)
        peaks[T] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del cache
    rows = problem.fast.blocks * H * np.dtype(np.float32).itemsize      # one (G,) row
    # Per step: rows of sums and statistics, dx (N, 3), and nothing of the size of (N, H) (16 KiB).
    assert (peaks[40] - peaks[4]) / 36 < 12 * rows + 8 * N * 3 * 4


def test_memory_is_used_again_once_nobody_holds_it():
    store = workspace.Store()
    one = store.empty((100, 1000), np.float32)
    address = one.__array_interface__["data"][0]
    assert address % 64 == 0
    view = one[3:5].T
    del one
    gc.collect()
    other = store.empty((100, 1000), np.float32)
    assert other.__array_interface__["data"][0] != address              # a view still holds the first
    del view
    again = store.empty((1000, 100), np.float32)
    assert again.__array_interface__["data"][0] == address
    del again, other
    assert store.in_use == 0
    assert store.kept > 0
    store.clear()
    assert store.kept == 0


class Owner:
    """What a store serves: a layer, for it."""


def test_what_is_kept_is_never_more_than_what_was_once_needed():
    store, owner = workspace.Store(), Owner()
    store.serve(owner)
    for size in (100_000, 220_000, 50_000, 300_000):
        arrays = [store.empty((size,), np.float64) for _ in range(3)]
        most = 1.125 * store.most_in_use
        assert store.in_use + store.kept <= most
        del arrays
        assert store.in_use == 0
        assert store.kept <= most


def test_little_is_kept_when_nobody_is_served_any_more(monkeypatch):
    monkeypatch.setattr(workspace, "IDLE", 2_000_000)
    store, owner = workspace.Store(), Owner()
    store.serve(owner)
    held, freed = ([store.empty((200_000,), np.float64) for _ in range(2)] for _ in range(2))
    del freed
    assert store.kept > 2_000_000       # somebody will want it
    del owner
    assert store.kept <= 2_000_000
    del held                            # what comes back later finds the limit too
    assert store.in_use == 0 and 0 < store.kept <= 2_000_000
    store.clear()
    assert store.kept == 0


def test_sizes_that_nobody_wants_any_more_go_first(monkeypatch):
    """Else an iteration's own blocks would push each other out, and what an earlier one left would stay for ever."""
    store, owner = workspace.Store(), Owner()
    store.serve(owner)
    for size in (100_000, 150_000):                 # forward and backward of an iteration
        store.empty((size,), np.float64)
    junk = [store.empty((40_000,), np.float64) for _ in range(7)]
    del junk
    fresh = []
    trim = store._trim                              # called when there is no block of the size
    monkeypatch.setattr(store, "_trim", lambda size: (fresh.append(size), trim(size)))
    for _ in range(4):
        for size in (100_000, 150_000):
            store.empty((size,), np.float64)
    assert len(fresh) <= 2                          # from the second iteration on there is


def test_threads_share_the_store():
    """Two layers in four threads, T and N changing: each gets memory of its own, and the gradients of one thread."""
    layers = [LSTM(3, 40, engine="kernels", rng=0), BNLSTM(3, 40, engine="kernels", rng=0)]
    problems = [(layer, np.random.default_rng(0).normal(size=(T, N, 3)))
                for layer in layers for T, N in ((40, 60), (70, 30), (20, 90), (55, 45))]

    def gradient(problem):
        layer, x = problem
        return layer.backward(*layer.forward(x))[0]

    alone = [gradient(problem) for problem in problems]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)                 # the threads take turns all the time
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(10):
                for found, expected in zip(pool.map(gradient, problems), alone, strict=True):
                    assert np.array_equal(found, expected)
    finally:
        sys.setswitchinterval(interval)


def test_workspaces_can_be_freed():
    cell, x = minibn.BNLSTM(3, 64, engine="kernels", rng=0), np.ones((20, 30, 3))
    cell.backward(*cell.forward(x))
    assert workspace.STORE.kept > 0
    minibn.free_workspaces()
    assert workspace.STORE.kept == 0


def test_small_arrays_and_zeros():
    assert workspace.empty((3, 4), np.float32).base is None
    assert not workspace.zeros((300, 400), np.float64).any()
    assert workspace.empty((0, 5), np.float64).shape == (0, 5)


def test_a_cache_that_outlives_everything_ends_in_silence():
    """Part of a cycle, it is collected while Python shuts down, when nothing can be imported any more."""
    code = ("import numpy as np, minibn\n"
            "cell = minibn.BNLSTM(3, 200, dtype=np.float32, rng=1, engine='kernels')\n"
            "_, cache = cell.forward(np.random.default_rng(0).normal(size=(50, 40, 3)).astype(np.float32))\n"
            "cache.itself = cache\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["LSTM", "BNLSTM"])
def test_a_single_step_without_a_backward_runs_the_equations(name):
    """A kernel prepares its weights for a whole sequence: of 1,000 units that is five times the step itself."""
    rng = np.random.default_rng(4)
    fast, x = getattr(minibn, name)(3, 4, rng=1, engine="kernels"), rng.normal(size=(1, 5, 3))
    h, cache = fast.forward_only(x)
    assert type(cache) is LayerCache and type(fast.forward(x)[1]) is KernelCache
    assert np.allclose(h, fast.forward(x)[0], rtol=1e-12, atol=1e-14)
