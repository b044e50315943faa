"""The CUDA kernels: they compile for GPUs, and on the CPU stand-in they equal the equations. A GPU itself is optional.

The same sources are compiled three times: by NVRTC, as CuPy does, for every generation of GPUs; by nvcc, which tells
about registers, for two of them; and by g++ for `cuda_on_cpu`, which runs every thread as a fiber. What only a GPU can
show (its arithmetic, its memory model, its speed) is left to the tests marked `gpu`.
"""

import ctypes
import functools
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import problems
import pytest
import strict_cupy
from cuda_on_cpu import raw_module
from cuda_on_cpu.raw_module import Machine
from problems import EVERY_KERNEL, WITH_KERNEL, assert_no_further_than_permuted, distance

import minibn
from minibn.cells import CELLS
from minibn.layers import BNLSTM
from minibn.layers.caches import KernelCache

SOURCES = raw_module.MACHINE.parent
FILES = ("lstm.cu", "rnn.cu", "input_term.cu")
EVERY_DTYPE = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
# One step, relative to the largest value: rounding in sums of up to a few hundred terms.
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}
# Devices on which the same small problem runs in one launch, in one launch with shared products, and step by step
# with a step's numbers in shared or in global memory.
WAYS = {
    "one launch": {"multiprocessors": 4, "shared_bytes": 227 * 1024},
    "one launch, split": {"multiprocessors": 8, "shared_bytes": 227 * 1024, "SPLITS": (4,)},
    "steps": {"multiprocessors": 4, "shared_bytes": 227 * 1024, "SPLITS": ()},
    "steps, global memory": {"multiprocessors": 4, "shared_bytes": 256, "SPLITS": ()},
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


@functools.cache
def nvrtc():
    """The library that CuPy compiles with, from the wheel nvidia-cuda-nvrtc-cu12; needs neither a GPU nor a toolkit."""
    if not (found := _nvrtc_folder()):
        pytest.skip("needs the wheel nvidia-cuda-nvrtc-cu12")
    (path,) = [*Path(found, "lib").glob("libnvrtc.so.*"), *Path(found, "bin").glob("nvrtc64_*_0.dll")]
    return ctypes.CDLL(str(path))


def _nvrtc_folder():
    try:
        spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:             # no `nvidia` at all
        return None
    return spec and spec.submodule_search_locations[0]


def compiled_log(code, *options):
    """What NVRTC says of this source text: empty if it compiles without a word."""
    library, program, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    raw = [option.encode() for option in options]
    assert library.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"source.cu", 0, None, None) == 0
    failed = library.nvrtcCompileProgram(program, len(raw), (ctypes.c_char_p * len(raw))(*raw))
    assert library.nvrtcGetProgramLogSize(program, ctypes.byref(size)) == 0
    log = ctypes.create_string_buffer(size.value)
    assert library.nvrtcGetProgramLog(program, log) == 0
    assert library.nvrtcDestroyProgram(ctypes.byref(program)) == 0
    return log.value.decode() or ("failed" if failed else "")


# Each takes about ten seconds. Two show both ways of copying; the sources see no other difference between GPUs.
TELLING = [("lstm.cu", "75", "float"), ("rnn.cu", "80", "double"), ("input_term.cu", "75", "double")]
BUILDS = [pytest.param(*build, marks=[] if build in TELLING else pytest.mark.slow)
          for build in itertools.product(FILES, ("75", "80", "86", "89", "90", "120"), ("float", "double"))]


@pytest.mark.parametrize("file, number, real", BUILDS)
def test_sources_compile_as_cupy_compiles_them(cupy, file, number, real):
    from minibn.kernels.cuda import launch

    assert compiled_log(launch.source(file), f"-DREAL={real}", f"-arch=sm_{number}") == ""


def test_where_compiling_fails_one_line_names_the_card(cupy, monkeypatch):
    problem = Problem("bnlstm")
    cell, arguments = problem.device_arguments()

    class CompileException(Exception):
        pass

    class Function:                         # as in CuPy, which compiles when `kernel` is first asked for
        @property
        def kernel(self):
            raise CompileException("source.cu(7): warning: unused\nptxas error: Feature 'x' requires sm_80\nand more")

    monkeypatch.setattr(raw_module.RawModule, "get_function", lambda self, name: Function())
    with pytest.raises(ValueError) as caught:
        cell.forward(*arguments)
    assert str(caught.value) == ("engine: input_term.cu (double) cannot be compiled for this GPU, Tesla T4 (compute "
                                 "capability 7.5): ptxas error: Feature 'x' requires sm_80; use engine=\"equations\"")


@pytest.mark.slow
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("file", FILES)
def test_sources_compile_for_gpus(file, real, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("needs nvcc, CUDA's compiler")
    command = ["nvcc", "-Werror", "all-warnings", f"-DREAL={real}", "-gencode", "arch=compute_80,code=sm_80",
               "-gencode", "arch=compute_90,code=sm_90", "-Xptxas", "-v", "-c", str(SOURCES / file),
               "-o", str(tmp_path / "out.o")]
    result = subprocess.run(command, capture_output=True, text=True)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    spills = re.findall(r"(\d+) bytes spill stores", said)
    assert spills and not any(map(int, spills)), said


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where libraries are kept: for all workers of a run alike."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cuda_on_cpu"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture
def cupy(monkeypatch, folder):
    return raw_module.install(monkeypatch, folder)


def set_up(monkeypatch, multiprocessors, shared_bytes, **constants):
    """Give the device these limits, and `minibn.kernels.cuda.plan` these constants."""
    from minibn.kernels.cuda import launch, plan

    Machine.multiprocessors, Machine.shared_bytes = multiprocessors, shared_bytes
    launch.limits_of.cache_clear()
    for name, value in constants.items():
        monkeypatch.setattr(plan, name, value)


class Problem(problems.Problem):
    """Run by the equations on the host, or by the kernels on the device."""

    def __init__(self, name, dtype=np.float64, N=37, H=11, seed=0, **settings):
        super().__init__(name, dtype, N=N, H=H, seed=[seed, 78], **settings)

    def equations(self, order=slice(None)):
        """See `problems.Problem.run`."""
        return self.run(self.readable, order)[0]

    def device_arguments(self):
        """The cell with the kernels, and the arguments of its forward."""
        cell = minibn.to_device(self.readable, "cuda")
        cell.engine = "kernels"
        return cell, minibn.to_device([self.x, self.mask, self.states, self.statistics], "cuda")

    def kernels(self):
        """The same on the device, brought back."""
        cell, arguments = self.device_arguments()
        h, cache = cell.forward(*arguments, 2)
        assert isinstance(cache, KernelCache)
        dx, grads = cell.backward(minibn.to_device(self.dh, "cuda"), cache)
        values, grads = problems.values_of(cell, h, cache, dx, grads)
        return minibn.to_host({**values, **grads})


def assert_equal_step(expected, got, dtype):
    largest = max(np.abs(value).max() for key, value in expected.items() if key not in ("h", "c"))
    for key, value in expected.items():
        scale = max(1, 1e-3 * largest / max(np.abs(value).max(), 1e-30))       # as gradients are compared everywhere
        assert distance(value, got[key]) < TOLERANCE[dtype] * scale, key


@EVERY_KERNEL
@EVERY_WAY
@EVERY_DTYPE
@pytest.mark.parametrize("case", ["batch", "masked given", "integer masked"])
def test_one_step_equals_the_equations(cupy, monkeypatch, name, way, dtype, case):
    set_up(monkeypatch, **WAYS[way])
    problem = Problem(name, dtype, integer="integer" in case, masked="masked" in case, given="given" in case)
    assert_equal_step(problem.equations(), problem.kernels(), dtype)


@EVERY_KERNEL
@EVERY_WAY
@pytest.mark.parametrize("case", ["batch", "masked", "given"])
def test_a_sequence_is_no_further_away_than_a_permuted_batch(cupy, monkeypatch, name, way, case):
    set_up(monkeypatch, **WAYS[way])
    for dtype in (np.float64, np.float32):
        problem = Problem(name, dtype, T=5, N=21, H=9, masked=case == "masked", given=case == "given")
        assert_no_further_than_permuted(problem, problem.equations(), problem.kernels())


@pytest.mark.parametrize("seed", range(12))
def test_random_sizes_cells_and_devices(cupy, monkeypatch, seed):
    rng = np.random.default_rng([seed, 79])
    name = WITH_KERNEL[seed % len(WITH_KERNEL)]
    T, N, D, H = rng.integers(1, 6), rng.integers(4, 90), rng.integers(1, 4), rng.integers(1, 24)
    N = N // 4 * 4 if seed % 3 == 0 else N                     # rows that can be copied 16 bytes at a time
    set_up(monkeypatch, int(rng.integers(1, 7)), int(rng.choice([6, 24, 96])) * 1024,
           SPLITS=(int(rng.choice([1, 2, 4])), 1), TILES=tuple(rng.permutation([1, 4, 8]).tolist()))
    Machine.order = int(rng.integers(0, 5))
    problem = Problem(name, T=int(T), N=int(N), D=int(D), H=int(H), masked=bool(rng.integers(2)), seed=seed)
    expected, got = problem.equations(), problem.kernels()
    largest = max(np.abs(value).max() for value in expected.values())
    for key, value in expected.items():
        assert np.abs(value - got[key]).max() < 1e-10 * largest, key


@pytest.mark.parametrize("tile, threads", [(1, 256), (4, 64), (8, 32)])
@pytest.mark.parametrize("N", [8, 36, 45])
def test_every_way_of_multiplying(cupy, monkeypatch, tile, threads, N):
    # Few threads and little memory at a time: several passes over the examples and several chunks of rows.
    set_up(monkeypatch, 6, 200 * 1024, SPLITS=(2,), TILES=(tile,), THREADS=threads, CHUNK_BYTES=256, LEAST_CHUNK=2)
    from minibn.kernels.cuda import lstm, plan

    chosen = plan.sequence_plan(N, 48, 48, 4, lstm.FORWARD_MEMORY, 8, plan.Limits(6, 200 * 1024))
    assert chosen.tile == tile and chosen.rows > 2 * chosen.chunk and (N < 36 or chosen.examples < N)
    for order in range(3):
        Machine.order = order
        problem = Problem("bnlstm", T=2, N=N, H=48)
        assert_no_further_than_permuted(problem, problem.equations(), problem.kernels())


@pytest.mark.parametrize("N, H", [(100, 100), pytest.param(64, 1000, marks=pytest.mark.slow)])
def test_the_sizes_of_the_paper_on_a_large_gpu(cupy, monkeypatch, N, H):
    """The very launch that an H100 or H200 gets, for two time steps."""
    set_up(monkeypatch, 132, 227 * 1024)
    Machine.order = 2
    problem = Problem("bnlstm", np.float32, T=2, N=N, H=H)
    assert_no_further_than_permuted(problem, problem.equations(), problem.kernels())
    assert [name for name, *_ in Machine.launches if "lstm" in name] == ["bn_lstm_forward_sequence",
                                                                        "bn_lstm_backward_sequence"]


def test_a_sequence_on_a_t4(cupy, monkeypatch):
    """The GPU of free notebooks: 64 KiB of shared memory a block, and copies that are done at once."""
    set_up(monkeypatch, 40, 64 * 1024)
    Machine.order = 1
    problem = Problem("bnlstm", np.float32, N=60, H=100)
    assert_equal_step(problem.equations(), problem.kernels(), np.float32)
    assert [name for name, *_ in Machine.launches if "lstm" in name] == ["bn_lstm_forward_sequence",
                                                                        "bn_lstm_backward_sequence"]


@EVERY_KERNEL
@pytest.mark.parametrize("way", ["one launch", "one launch, split", "steps"])
def test_the_order_of_threads_changes_no_bit(cupy, monkeypatch, name, way):
    """Ascending with late copies, descending with early ones, and random orders: a race would show in one of them."""
    set_up(monkeypatch, **WAYS[way])
    problem = Problem(name, T=4, N=10, H=7, masked=True)
    results = []
    for Machine.order in range(4):
        results.append(problem.kernels())
    for other in results[1:]:
        for key, value in results[0].items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


# The lines around a barrier in rnn.cu or in what it includes: the barrier is the line that waits.
BARRIERS = {
    "before the product of other blocks' h": """
        barrier.wait();
    }
}

template <Form FORM>
__device__ void forward_once""",
    "after the statistics": """&mean[u], &inv_std[u]);
            }
            __syncthreads();""",
    "before a copied chunk is read": "            copies_arrived<1>();",
    "before a chunk is overwritten":
        "            __syncthreads();                    // the next chunk but one is copied to where this one was",
    "before the sums are used": "        if (FORM != PLAIN) __syncthreads();",
}


@pytest.mark.parametrize("barrier", ["before the sums are used", *(
    pytest.param(name, marks=pytest.mark.slow) for name in BARRIERS if name != "before the sums are used")])
def test_a_missing_barrier_is_noticed(cupy, monkeypatch, barrier):
    """So that the tests above mean something: without any one of these some order of the threads goes wrong."""
    from minibn.kernels.cuda import launch

    true_source, text = launch.source, BARRIERS[barrier]
    line = next(line for line in text.split("\n") if re.search(r"wait\(\)|__syncthreads|copies_arrived", line))
    broken = text.replace(line, re.sub(r"\S.*", ";", line), 1)
    assert true_source("rnn.cu").count(text) == 1
    monkeypatch.setattr(launch, "source", lambda name: true_source(name).replace(text, broken))
    set_up(monkeypatch, 6, 64 * 1024, CHUNK_BYTES=256, LEAST_CHUNK=2, THREADS=64)
    problem = Problem("bnrnn", T=4, N=10, H=24)
    expected = problem.equations()

    def goes_wrong():
        try:
            got = problem.kernels()
        except AssertionError:                                         # the stand-in itself has noticed
            return True
        return not all(distance(value, got[key]) < 1e-10 for key, value in expected.items())

    wrong = []
    for Machine.order in range(6):
        wrong.append(goes_wrong())
    assert any(wrong)


@EVERY_KERNEL
def test_launches_per_sequence_and_per_step(cupy, monkeypatch, name):
    problem = Problem(name, T=9, N=6)
    cell, arguments = problem.device_arguments()
    dh = minibn.to_device(problem.dh, "cuda")

    def count(way):
        set_up(monkeypatch, **WAYS[way])
        with strict_cupy.counting(cupy) as counts:
            _, cache = cell.forward(*arguments)
            cell.backward(dh, cache)
        assert counts.synchronisations == 0, counts.places()
        assert counts.uploads == 0, counts.places("upload")
        return counts

    whole = count("one launch")
    assert {kernel: times for kernel, times in whole.names().items() if kernel.endswith(("_sequence", "_step"))} == {
        f"{cell.kernel}_forward_sequence": 1, f"{cell.kernel}_backward_sequence": 1}
    steps = count("steps")
    per_step = [times for kernel, times in steps.names().items() if kernel.endswith("_step")]
    assert per_step == [9, 9]
    assert (steps.operations - whole.operations) / 9 <= 2 * 2          # two launches a step and direction, under ten


def test_a_training_iteration_never_waits(cupy, monkeypatch):
    set_up(monkeypatch, **WAYS["one launch"])
    from minibn.optimizers import RMSProp, clip_by_global_norm

    rng = np.random.default_rng(0)
    cell = BNLSTM(1, 9, dtype=np.float32, rng=0, engine="kernels")
    model = minibn.to_device(minibn.SequenceClassifier(cell, 3, rng=1), "cuda")
    x, y = cupy.asarray(rng.random((5, 8, 1), dtype=np.float32)), cupy.asarray(rng.integers(3, size=8))
    optimizer = RMSProp(model.params)
    losses = []
    with strict_cupy.counting(cupy) as counts:
        for _ in range(3):
            loss, grads = model.loss_and_grads(x, y)
            grads, _ = clip_by_global_norm(grads, 1.0)
            optimizer.step(grads)
            losses.append(loss)
    assert counts.synchronisations == 0, counts.places()
    assert float(losses[-1]) < float(losses[0])


def test_backward_is_pure_and_gives_the_same_twice(cupy, monkeypatch):
    set_up(monkeypatch, **WAYS["one launch"])
    problem = Problem("bnlstm", T=4, N=9, masked=True)
    cell, (x, mask, states, _) = problem.device_arguments()
    given = minibn.to_host([x, mask, states, cell.params])
    dh = minibn.to_device(problem.dh, "cuda")
    _, one = cell.forward(x, mask, states)
    kept = minibn.to_host([one.stored.h, one.stored.c, one.stored.arrays["x"], one.stored.arrays["h_hat"]])
    _, other = cell.forward(2 * x, mask, states)
    first = minibn.to_host(cell.backward(dh, one))
    cell.backward(3 * dh, other)
    second = minibn.to_host(cell.backward(dh, one))
    for a, b in [(first, second), (given, minibn.to_host([x, mask, states, cell.params])), (problem.dh, dh.get()),
                 (kept, minibn.to_host([one.stored.h, one.stored.c, one.stored.arrays["x"],
                                        one.stored.arrays["h_hat"]]))]:
        assert_same_bits(a, b)


def assert_same_bits(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        a, b = list(a.values()), list(b.values())
    if isinstance(a, list | tuple):
        for one, other in zip(a, b, strict=True):
            assert_same_bits(one, other)
    else:
        np.testing.assert_array_equal(a, b)


@EVERY_KERNEL
def test_the_cache_answers_every_name(cupy, monkeypatch, name):
    set_up(monkeypatch, **WAYS["one launch"])
    problem = Problem(name, T=3, N=9, masked=True)
    _, readable = problem.readable.forward(problem.x, problem.mask, problem.states)
    cell, (x, mask, states, _) = problem.device_arguments()
    _, fast = cell.forward(x, mask, states)
    names = [f"{term}_{field}" for term in cell.terms for field in ("mean", "inv_std", "hat")]
    names += ["h_linear", "x_linear", *(["f", "i", "o", "g", "tanh_c"] if cell.blocks == 4 else ["h_tilde"])]
    for each in names:
        np.testing.assert_allclose(getattr(fast, each).get(), getattr(readable, each), atol=1e-12, err_msg=each)
    ours, theirs = fast.statistics(cell.terms), readable.statistics(cell.terms)
    for term in cell.terms:
        for a, b in zip(ours[term], theirs[term], strict=True):
            np.testing.assert_allclose(a.get(), b, atol=1e-13, err_msg=term)


def test_arrays_that_are_not_contiguous(cupy, monkeypatch):
    set_up(monkeypatch, **WAYS["one launch"])
    problem = Problem("bnlstm", T=4, N=12, masked=True)
    expected = problem.kernels()
    wide = {name: np.repeat(getattr(problem, name), 2, axis=1) for name in ("x", "mask", "dh")}
    cell, (_, _, states, _) = problem.device_arguments()
    x, mask, dh = (minibn.to_device(value, "cuda")[:, ::2] for value in wide.values())
    cell.params = {key: minibn.to_device(np.repeat(value.get(), 2, axis=-1), "cuda")[..., ::2]
                   for key, value in cell.params.items()}
    h, cache = cell.forward(x, mask, states)
    dx, grads = cell.backward(dh, cache)
    for key, value in {"h": h, "dx": dx, **grads}.items():
        np.testing.assert_array_equal(value.get(), expected[key], err_msg=key)


def test_learned_states_and_a_piece_of_a_long_sequence(cupy, monkeypatch):
    set_up(monkeypatch, **WAYS["one launch"])
    problem = Problem("bnlstm", T=6, N=9, given=True)
    whole, _ = problem.readable.forward(problem.x, statistics=problem.statistics)
    cell, (x, _, _, statistics) = problem.device_arguments()
    _, first = cell.forward(x[:4], statistics=statistics)
    second, _ = cell.forward(x[4:], initial_state=first.final_state, statistics=statistics, first_step=4)
    np.testing.assert_allclose(second.get(), whole[4:], atol=1e-13)


# ---- The plan, without running anything ----


def plan_cases():
    rng = np.random.default_rng(4)
    for _ in range(400):
        yield (int(rng.integers(2, 300)), int(rng.integers(1, 1200)), int(rng.integers(1, 140)),
               int(rng.choice([48, 64, 99, 163, 227])) * 1024, int(rng.choice([4, 8])), bool(rng.integers(2)))


def test_a_plan_covers_the_work_and_fits(cupy):
    from minibn.kernels.cuda import lstm, plan

    found = 0
    for N, H, multiprocessors, shared_bytes, itemsize, forward in plan_cases():
        rows, per_unit, memory = (H, 4, lstm.FORWARD_MEMORY) if forward else (4 * H, 1, lstm.BACKWARD_MEMORY)
        limits = plan.Limits(multiprocessors, shared_bytes)
        p = plan.sequence_plan(N, H, rows, per_unit, memory, itemsize, limits)
        if p is None:
            continue
        found += 1
        columns = p.units * p.split * per_unit
        examples_of_thread = 8 if p.tile == 8 else 4
        assert p.blocks <= multiprocessors and p.blocks % p.split == 0 and p.shared_bytes <= shared_bytes
        assert p.units * p.blocks >= H and p.rows * p.split >= rows
        assert columns % p.tile == 0 and p.examples % examples_of_thread == 0
        assert p.parts * (columns // p.tile) * (p.examples // examples_of_thread) <= p.threads
        assert p.parts >= 1 and 1 <= p.chunk <= p.rows
    assert found > 60


def test_the_shapes_of_the_paper_fit_into_one_launch(cupy):
    from minibn.kernels.cuda import lstm, plan

    limits = plan.Limits(132, 227 * 1024)                     # an H100 or H200
    for N, H in ((100, 100), (64, 1000)):
        for rows, per_unit, memory in ((H, 4, lstm.FORWARD_MEMORY), (4 * H, 1, lstm.BACKWARD_MEMORY)):
            assert plan.sequence_plan(N, H, rows, per_unit, memory, 4, limits) is not None
    assert plan.sequence_plan(64, 1000, 1000, 4, lstm.FORWARD_MEMORY, 8, limits) is None      # 256 KiB of W_h a block
    assert plan.sequence_plan(5000, 100, 100, 4, lstm.FORWARD_MEMORY, 4, limits) is None


# ---- On a GPU ----


@pytest.mark.gpu
@EVERY_KERNEL
@pytest.mark.parametrize("splits", [(1,), (4,), ()], ids=["one launch", "split", "steps"])
def test_on_a_gpu(monkeypatch, name, splits):
    from minibn.kernels.cuda import plan

    monkeypatch.setattr(plan, "SPLITS", splits)
    for dtype in (np.float64, np.float32):
        for masked in (False, True):
            one_step = Problem(name, dtype, N=45, H=33, masked=masked)
            assert_equal_step(one_step.equations(), one_step.kernels(), dtype)
            sequence = Problem(name, dtype, T=30, N=45, H=33, masked=masked)
            assert_no_further_than_permuted(sequence, sequence.equations(), sequence.kernels())


# ---- The script for a machine with a GPU ----


def test_the_gpu_script_compares_every_way(cupy, monkeypatch):
    set_up(monkeypatch, 8, 227 * 1024)
    from minibn.bench import cuda_check

    monkeypatch.setattr(cuda_check, "SEQUENCE", 4)
    shares = cuda_check.compare(CELLS["bnlstm"], "float64", (9, 2, 5), masked=True)
    assert set(shares) == {(way, kind) for way in cuda_check.WAYS for kind in ("step", "sequence")}
    assert max(shares.values()) <= 1
    ran = {name for name, *_ in Machine.launches}
    assert {"bn_lstm_forward_sequence", "bn_lstm_forward_step"} <= ran

    def broken(*arguments, true=cuda_check.values, **keywords):
        found = true(*arguments, **keywords)
        return {**found, "W_h": found["W_h"] * np.nan} if "cuda" in arguments else found

    monkeypatch.setattr(cuda_check, "values", broken)
    assert set(cuda_check.compare(CELLS["bnlstm"], "float64", (9, 2, 5), masked=False).values()) == {float("inf")}


def test_the_gpu_script_without_a_gpu(monkeypatch, capsys):
    import sys

    from minibn.bench import cuda_check

    monkeypatch.setitem(sys.modules, "cupy", None)
    assert cuda_check.main([]) == 2
    assert "CuPy" in capsys.readouterr().err


def test_the_gpu_script_where_compiling_fails(monkeypatch, capsys):
    from minibn.bench import cuda_check

    def build():
        raise ValueError("engine: ... of this card")

    monkeypatch.setattr(cuda_check, "to_device", lambda array, device: array)
    monkeypatch.setattr(cuda_check, "build", build)
    assert cuda_check.main([]) == 2
    assert capsys.readouterr().err == "engine: ... of this card\n"


def test_the_gpu_script_writes_its_numbers_before_it_compares_with_others(monkeypatch, tmp_path, capsys):
    """Its time may be limited: what ends it in the last part must not take the numbers along."""
    from minibn.bench import cuda_check

    def stopped(*arguments, show, say, **options):
        show("a table")
        say("round 1")
        raise KeyboardInterrupt

    for name, value in {"to_device": lambda array, device: array, "build": dict, "check": lambda say: ([], 0.5),
                        "times": lambda *arguments: dict.fromkeys(cuda_check.WAYS, [1.0, 2.0]),
                        "run_bench": stopped}.items():
        monkeypatch.setattr(cuda_check, name, value)
    with pytest.raises(KeyboardInterrupt):
        cuda_check.main(["--json", str(tmp_path / "numbers.json")])
    found = json.loads((tmp_path / "numbers.json").read_text())
    assert found["worst"] == 0.5 and found["times"]["BN-LSTM float32 784,100,1,100"]["split 2"] == [1, 2]
    captured = capsys.readouterr()
    assert "a table" in captured.out and "round 1" in captured.err       # each part is shown when it is there
    assert cuda_check.main(["--quick", "--json", str(tmp_path / "numbers.json")]) == 0
