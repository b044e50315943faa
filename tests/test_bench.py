"""`minibn bench`: turns, medians, ratios, memory, text. Nothing here depends on how long anything took."""

import json
import platform
import signal
import statistics
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import strict_cupy

import minibn
from minibn.bench import PLANS, peers, report_text, run_bench, scaling, timing, workers
from minibn.bench.cells import make_problem
from minibn.bench.entrants import CELLS, PLAIN_LSTM, Entrant, Setting, build, entrants
from minibn.bench.machine import describe_machine
from minibn.bench.memory import allocating_lines, kept_arrays, measure_memory
from minibn.bench.report import header_text, rows_of
from minibn.bench.run import Plan
from minibn.cli import main

TINY = Setting((5, 4, 2, 3))
TINY_PLAN = Plan((TINY.shape,), 2, (3, 4, 1, 3), {"T": (2, 3), "N": (3, 4), "H": (3, 5)}, 1)
EQUATIONS = {cell: Entrant(f"{title}, equations", "minibn", cell, "equations") for cell, title in CELLS.items()}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Turns are as short as they can be."""
    monkeypatch.setattr(timing, "SETTLE_SECONDS", 0)


# ------------------------------------------------------------------ turns


class FakeWorker:
    """Writes down when it was asked; its times are what it is told."""

    def __init__(self, name, diary, seconds=None, dies_at=None):
        self.name, self.diary, self.dies_at = name, diary, dies_at
        self.seconds = seconds or {"forward": 0.01, "backward": 0.03}
        self.turns = 0

    def measure(self, repeats):
        self.diary.append((self.name, repeats))
        self.turns += 1
        if self.turns == self.dies_at:
            raise RuntimeError("its process ended")
        return {part: value * self.turns for part, value in self.seconds.items()}


def test_entrants_take_turns_and_the_first_two_rounds_do_not_count():
    diary = []
    fakes = {name: FakeWorker(name, diary) for name in "ABC"}
    times, failures = timing.alternate(fakes, 2)
    assert [name for name, _ in diary] == list("ABC" * 4)
    assert failures == {}
    assert times["B"]["forward"] == [0.03, 0.04] and times["B"]["total"] == [0.12, 0.16]


def test_short_turns_are_repeated_and_long_ones_are_not():
    diary = []
    seconds = {"short": 1e-9, "middle": timing.MINIMUM_SECONDS / 13, "long": 2 * timing.MINIMUM_SECONDS}
    timing.alternate({name: FakeWorker(name, diary, {"total": value}) for name, value in seconds.items()}, 1)
    assert diary[:6] == [(name, 1) for name in seconds] * 2
    assert diary[6:] == [("short", timing.MOST_REPEATS), ("middle", 7), ("long", 1)]


def test_what_compiles_at_first_is_repeated_as_its_second_turn_says():
    diary = []
    compiled = FakeWorker("A", diary, {"total": 1})
    compiled.measure = lambda repeats: diary.append(repeats) or {"total": 1.0 if len(diary) == 1 else 0.03}
    timing.alternate({"A": compiled}, 2)
    assert diary == [1, 1, 4, 4]                          # 4 times 0.03 s is the least above 0.1 s


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_an_entrant_that_dies_is_out_and_the_others_go_on(turn):
    diary = []
    fakes = {"A": FakeWorker("A", diary), "B": FakeWorker("B", diary, dies_at=turn), "C": FakeWorker("C", diary)}
    times, failures = timing.alternate(fakes, 2)
    assert set(times) == {"A", "C"} and failures == {"B": "its process ended"}
    assert [name for name, _ in diary].count("B") == turn
    assert len(times["C"]["total"]) == 2


def test_repeats_are_averaged_without_the_first_of_a_turn():
    runs = iter([{"forward": forward, "backward": 2 * forward} for forward in (9.0, 1.0, 3.0)])
    assert timing.mean_of_repeats(lambda: next(runs), 2) == {"forward": 2.0, "backward": 4.0}


def test_device_clock_asks_the_events():
    calls = []
    event = mock.Mock(synchronize=lambda: calls.append("synchronize"), record=lambda: calls.append("record"))
    clock = timing.DeviceClock(lambda: event, lambda start, end: calls.append("elapsed") or 250.0)
    assert clock.seconds(clock.mark(), clock.mark()) == 0.25
    assert calls == ["record", "record", "synchronize", "elapsed"]


# ------------------------------------------------------------------ rows


def test_rows_are_medians_and_medians_of_the_ratios_of_each_round():
    rows = [Entrant("products of an LSTM", "products", "lstm"), Entrant("ours", "minibn", "bnlstm", "kernels"),
            Entrant(PLAIN_LSTM, "torch", "lstm"), Entrant("slow", "torch", "bnlstm"),
            Entrant("fast", "jax", "bnlstm"), Entrant("absent", "jax", "lstm")]
    times = {
        "products of an LSTM": {"forward": [1, 1, 2], "backward": [1, 1, 2], "total": [2.0, 2.0, 4.0]},
        "ours": {"forward": [1, 2, 3], "backward": [1, 2, 3], "total": [2.0, 4.0, 6.0], "iteration": [3.0, 5.0, 6.6]},
        PLAIN_LSTM: {"forward": [1, 1, 1], "backward": [1, 1, 1], "total": [1.0, 1.0, 4.0]},
        "slow": {"forward": [5, 5, 5], "backward": [5, 5, 5], "total": [10.0, 10.0, 10.0]},
        "fast": {"total": [8.0, 8.0, 8.0]},
    }
    found = {row["name"]: row for row in rows_of(rows, times, dict.fromkeys(times, 7))}
    assert list(found) == list(times)
    ours = found["ours"]
    assert (ours["forward"], ours["total"], ours["iteration"], ours["memory"]) == (2, 4.0, 5.0, 7)
    assert ours["to_products"] == 1.5                     # of 1, 2, 1.5; the ratio of the medians would be 2
    assert ours["to_plain_lstm"] == 2.0                   # of 2, 4, 1.5; the ratio of the medians would be 4
    assert ours["to_best_peer"] == 0.5                    # the fast one, though it comes last
    assert ours["iteration_to_total"] == 1.25             # of 1.5, 1.25, 1.1
    assert found["fast"]["forward"] is None and found["fast"]["to_best_peer"] == 1.0
    assert found["products of an LSTM"]["to_products"] is None and found[PLAIN_LSTM]["to_plain_lstm"] is None


def test_rows_without_any_peer_have_no_ratios_to_one():
    times = {"BN-LSTM, equations": {"forward": [1.0], "backward": [1.0], "total": [2.0]}}
    [row] = rows_of([EQUATIONS["bnlstm"]], times, {"BN-LSTM, equations": None})
    assert row["to_products"] is row["to_plain_lstm"] is row["to_best_peer"] is row["iteration_to_total"] is None


def test_who_takes_part():
    names = [entrant.name for entrant in entrants()]
    assert len(set(names)) == len(names)
    assert {"products of an RNN", "products of an LSTM", PLAIN_LSTM, "JAX BN-LSTM", "BN-RNN, kernels"} <= set(names)
    assert not any(name.startswith("JAX") for name in (entrant.name for entrant in entrants(device="cuda")))
    assert [entrant.kind for entrant in entrants(["bnrnn"])] == ["products", "fused products", "minibn", "minibn"]


# ------------------------------------------------------------------ what is timed


def products_done(entrant, setting):
    """The shapes of every product of one forward and backward."""
    entrant = build(entrant, setting)
    calls = []

    def matmul(a, b, out):
        calls.append((a.shape, b.shape, out.shape))
        return np.matmul(a, b, out=out)

    entrant.matmul = matmul
    assert set(entrant._run()) == {"forward", "backward"}
    return calls


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4)])
def test_products_are_those_of_the_cell(cell, gates):
    T, N, D, H = TINY.shape
    G = gates * H
    assert products_done(Entrant("", "products", cell), TINY) == [
        ((T * N, D), (D, G), (T * N, G)), *[((N, H), (H, G), (N, G))] * T,
        *[((N, G), (G, H), (N, H))] * T, ((H, T * N), (T * N, G), (H, G)), ((D, T * N), (T * N, G), (D, G))]


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4)])
def test_fused_products_multiply_as_much(cell, gates, monkeypatch):
    T, N, D, H = TINY.shape
    G = gates * H
    monkeypatch.setattr("minibn.bench.products.CHUNK_ROWS", 2 * N + 1)        # two steps at a time, one is left over
    step = ((N, G), (G, H), (N, H))

    def gradient(steps):
        return (H + D, steps * N), (steps * N, G), (H + D, G)

    assert products_done(Entrant("", "fused products", cell), TINY) == [
        *[((N, H + D), (H + D, G), (N, G))] * T, step, step, gradient(2), step, step, gradient(2), step, gradient(1)]
    assert T == 5


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("features", [1, 2])
def test_a_cell_is_timed_forward_backward_and_in_training(cell, features):
    entrant = build(EQUATIONS[cell], TINY._replace(shape=(5, 4, features, 12), dtype="float64"))
    before = {name: value.copy() for name, value in entrant.cell.params.items()}
    times = entrant.measure(2)
    assert set(times) == {"forward", "backward", "iteration"} and all(value > 0 for value in times.values())
    assert entrant.training.count == 3                                         # the first is not counted
    assert np.abs(entrant.cell.params["W_h"] - before["W_h"]).max() > 0        # it does train
    assert all(np.isfinite(value).all() for value in entrant.cell.params.values())


@pytest.mark.parametrize("cell", ["lstm", "bnlstm"])
@pytest.mark.parametrize("kind", [pytest.param("torch", marks=pytest.mark.oracle), "jax"])
def test_peers_compute_what_our_cells_compute(cell, kind):
    pytest.importorskip(kind)
    setting = Setting((6, 5, 2, 3), "float64" if kind == "torch" else "float32")
    layer, x, dh = make_problem(cell, setting)
    h, cache = layer.forward(x)
    dx, grads = layer.backward(dh, cache)
    peer = build(Entrant("", kind, cell), setting)
    their_h, their_dx, their_grads = peer.result()
    # float32: rounding through six steps, and the gradient through batch statistics of five examples enlarges it
    tolerance = 1e-10 if kind == "torch" else 1e-3
    np.testing.assert_allclose(their_h, h, rtol=0, atol=tolerance)
    np.testing.assert_allclose(their_dx, dx, rtol=0, atol=tolerance * np.abs(dx).max())
    if (kind, cell) != ("torch", "lstm"):             # nn.LSTM has other names and another order of gates
        for name in peers.WEIGHTS[cell]:
            np.testing.assert_allclose(their_grads[name], grads[name], rtol=0,
                                       atol=tolerance * max(np.abs(grads[name]).max(), 1e-3), err_msg=name)
    assert all(value > 0 for value in peer.measure(1).values())


@pytest.mark.parametrize(("kind", "title"), [("torch", "PyTorch"), ("jax", "JAX")])
def test_a_library_that_is_absent_is_named(monkeypatch, kind, title):
    monkeypatch.setitem(sys.modules, kind, None)          # import raises ImportError
    with pytest.raises(RuntimeError, match=f"^{title} is not installed$"):
        workers.LocalWorker(Entrant("", kind, "lstm"), TINY)


# ------------------------------------------------------------------ memory


def test_kept_arrays_counts_memory_once():
    class Kept:
        __module__ = "minibn.somewhere"

        def __init__(self, x):
            gates = np.zeros((6, 8), np.float32)
            self.x, self.f, self.i = x[1:], gates[:, :4], gates[:, 4:]
            self.steps = [np.zeros(3), np.zeros(3)]
            self.same = {"again": self.steps[0]}

    x = np.zeros((3, 2))
    found = kept_arrays(Kept(x), exclude=[x])
    assert found == [{"names": "f, i", "shape": [6, 8], "count": 1, "bytes": 192},
                     {"names": "steps, again", "shape": [3], "count": 1, "bytes": 24},
                     {"names": "steps", "shape": [3], "count": 1, "bytes": 24}]
    assert kept_arrays(Kept(x))[1] == {"names": "x", "shape": [3, 2], "count": 1, "bytes": 48}


def test_kept_arrays_of_a_cache_have_the_papers_names():
    cell, x, _ = make_problem("bnlstm", TINY)
    _, cache = cell.forward(x)
    rows = {row["names"]: row for row in kept_arrays(cache, exclude=(x, *cell.params.values()))}
    T, N, _, H = TINY.shape
    assert rows["h_hat"] == {"names": "h_hat", "shape": [N, 4 * H], "count": T, "bytes": 4 * T * N * 4 * H}
    assert rows["c_variance"]["count"] == T and rows["x_inv_std"]["shape"] == [1, 4 * H]
    assert rows["W_h"]["count"] == rows["x"]["count"] == 1                # a copy of its own, however many steps use it


def test_peak_memory_is_at_least_what_is_kept():
    found = measure_memory(*make_problem("lstm", Setting((20, 30, 2, 40))))
    assert found["kept_bytes"] == sum(row["bytes"] for row in found["kept"])
    kept_by_hand = 20 * 30 * 40 * 4 * (4 * 3 + 8)         # x_linear, h_linear, four tildes; f i g c c_term o tanh_c h
    assert kept_by_hand <= found["kept_bytes"] < 1.05 * kept_by_hand
    assert found["kept_bytes"] < found["peak_bytes"] < 3 * found["kept_bytes"]


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
    monkeypatch.setattr("minibn.bench.memory.PACKAGE", Path(__file__).parent)      # as if it were the package
    line = loops.__code__.co_firstlineno + 6
    cell = mock.Mock(forward=lambda x: (None, loops(True, x)), backward=lambda dh, cache: loops(False, dh))
    x = np.ones((6, 30, 40))
    tracer = sys.gettrace()
    assert allocating_lines(cell, x, x, 2000) == {"forward": [f"test_bench.py:{line}"], "backward": []}
    assert sys.gettrace() is tracer


def test_allocating_lines_of_the_equations():
    cell, x, dh = make_problem("rnn", Setting((6, 4, 2, 300)))
    found = allocating_lines(cell, x, dh, 1000)
    assert any(line.startswith("cells/rnn.py:") for line in found["forward"])
    assert any(line.startswith("cells/rnn.py:") for line in found["backward"])
    assert not any(line.startswith("layers/base.py:") for line in found["forward"])          # outside the loop


@pytest.mark.parametrize("cell", CELLS)
def test_kernels_allocate_no_array_in_the_time_loop(cell):
    small = Setting((6, 8, 2, 512))                       # one row of H numbers: 2 KiB
    assert allocating_lines(*make_problem(cell, small, "kernels"), 2000) == {"forward": [], "backward": []}


# ------------------------------------------------------------------ growth


def test_power_and_straight_line():
    sizes = [10, 20, 40, 80]
    assert scaling.power(sizes, [0.3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert scaling.line_deviation(sizes, [1 + 0.2 * size for size in sizes]) == pytest.approx(0, abs=1e-9)
    assert scaling.line_deviation(sizes, [size**2 for size in sizes]) > 0.3


def test_scaling_measures_each_shape_once_a_round_in_turn():
    asked = []

    class Worker:
        def ask(self, method, shape, repeats):
            asked.append((method, shape))
            T, N, D, H = shape
            return {"forward": 1e-3 * T * (N + 10), "backward": 2e-3 * T * (N + 10)}

    found = scaling.measure_scaling({"A": Worker(), "B": Worker()}, (4, 5, 1, 6),
                                    {"T": (4, 8), "N": (5, 10, 20), "H": (6, 12)}, 2)
    shapes = [(4, 5, 1, 6), (8, 5, 1, 6), (4, 10, 1, 6), (4, 20, 1, 6), (4, 5, 1, 12)]
    assert asked == [("measure_at", shape) for shape in shapes for _ in "AB"] * 4
    assert found["T"]["seconds"]["A"] == pytest.approx([0.18, 0.36]) and found["T"]["power"]["B"] == pytest.approx(1)
    assert found["N"]["line"]["A"] == pytest.approx(0, abs=1e-9) and found["N"]["power"]["A"] < 1
    assert found["H"]["power"]["A"] == pytest.approx(0, abs=1e-9) and found["H"]["line"] == {}


# ------------------------------------------------------------------ from end to end


def without_peers(monkeypatch):
    for name in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, name, None)


def test_everything_in_this_process(monkeypatch, tmp_path):
    without_peers(monkeypatch)
    monkeypatch.setattr(timing, "MINIMUM_SECONDS", 0)
    shown, said = [], []
    report = run_bench(plan=TINY_PLAN, isolate=False, threads=1, json_path=tmp_path / "new" / "bench.json",
                       plot_path=tmp_path / "scaling.png", show=shown.append, say=said.append)
    text = "\n\n".join(shown)
    assert text == report_text(report)
    [table] = report["tables"]
    assert {"products of an RNN", "BN-LSTM, equations"} <= {row["name"] for row in table["rows"]}
    assert all(len(values) == 2 for parts in table["times"].values() for values in parts.values())
    assert table["failures"]["JAX BN-LSTM"] == "JAX is not installed"
    assert "Not measured: PyTorch nn.LSTM; PyTorch eager BN-LSTM (PyTorch is not installed)." in text
    assert "h_hat 5 x (4, 12)" in text and "| BN-LSTM" in text
    assert any("round 2 of 2" in line for line in said)
    again = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert report_text(again) == text
    assert again["tables"][0]["shape"] == [5, 4, 2, 3]
    for row in again["tables"][0]["rows"]:
        recomputed = statistics.median(again["tables"][0]["times"][row["name"]]["total"])
        assert recomputed == pytest.approx(row["total"], rel=1e-5)
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_everything_on_a_stand_in_for_a_gpu(monkeypatch):
    """It refuses to mix NumPy and CuPy; its events count a second for each mark. That nothing was measured is plain."""
    cupy = strict_cupy.install(monkeypatch)
    without_peers(monkeypatch)
    monkeypatch.setattr(timing, "MINIMUM_SECONDS", 0)
    marks = iter(range(10**6))

    class Event:
        def record(self):
            self.time = next(marks)

        def synchronize(self):
            assert self.time >= 0

    properties = {"name": b"a stand-in"}
    for name, value in {"Event": Event, "get_elapsed_time": lambda start, end: 1e3 * (end.time - start.time),
                        "Device": lambda: mock.Mock(id=0),
                        "runtime": mock.Mock(getDeviceProperties=lambda index: properties)}.items():
        monkeypatch.setattr(cupy.cuda, name, value, raising=False)
    report = run_bench(plan=TINY_PLAN, cells=["lstm", "bnlstm"], device="cuda", isolate=False, threads=1)
    assert "a stand-in" in report_text(report) and report["memory"] == []
    rows = {row["name"]: row for row in report["tables"][0]["rows"]}
    assert {"products of an LSTM, fused", "BN-LSTM, equations"} <= set(rows)
    for row in rows.values():
        assert (row["forward"], row["backward"]) == (1, 1), row["name"]
        assert row["iteration"] in (None, 1)


def test_processes_answer_fail_and_end():
    setting, interrupt = Setting((3, 4, 1, 3)), signal.getsignal(signal.SIGINT)
    broken = Entrant("broken", "minibn", "lstm", "no such engine")
    good, bad = (workers.ProcessWorker(entrant, setting, 1) for entrant in (EQUATIONS["lstm"], broken))
    assert signal.getsignal(signal.SIGINT) is interrupt   # deaf is who was started, not who starts
    try:
        with pytest.raises(RuntimeError, match="no such engine"):
            bad.wait()
        good.wait()
        assert set(good.measure(1)) == {"forward", "backward", "iteration"}
        extra = good.extra_memory()
        assert extra is None or extra > 0
        good.process.kill()
        with pytest.raises(RuntimeError, match="its process ended"):
            good.measure(1)
    finally:
        good.close()
        bad.close()
    assert not good.process.is_alive() and not bad.process.is_alive()


def test_threads_reach_the_processes_and_stay_out_of_this_one(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    with workers._environment(2, "cpu"):
        assert workers.os.environ["OMP_NUM_THREADS"] == workers.os.environ["OPENBLAS_NUM_THREADS"] == "2"
        assert workers.os.environ["JAX_PLATFORMS"] == "cpu"
    assert workers.os.environ["OMP_NUM_THREADS"] == "7" and "JAX_PLATFORMS" not in workers.os.environ


def test_header_says_machine_versions_and_date():
    found = describe_machine(3)
    assert found["threads"] == 3 and found["cores"] >= 1 and found["processor"] and found["gpu"] is None
    assert found["versions"]["minibn"] == minibn.__version__ and found["versions"]["numpy"] == np.__version__
    assert found["blas"]
    json.dumps(found)


def test_openblas_is_asked_which_kernels_it_runs(monkeypatch):
    if "openblas" not in describe_machine(1)["blas"] or platform.machine() != "x86_64":
        pytest.skip("NumPy's BLAS is not OpenBLAS for x86-64")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    assert describe_machine(1)["blas_core"] == "Nehalem"


@pytest.mark.parametrize(("avx512", "core", "advised"), [
    (True, "Haswell", True), (True, "Zen", True), (True, "SkylakeX", False), (True, None, False),
    (False, "Haswell", False), (None, "Haswell", False),
])
def test_a_blas_that_makes_no_use_of_avx512_is_pointed_out(avx512, core, advised):
    settings = {"dtype": "float32", "device": "cpu", "rounds": 3}
    text = header_text({"machine": describe_machine(1) | {"avx512": avx512, "blas_core": core}, "settings": settings})
    assert ("OPENBLAS_CORETYPE=SkylakeX" in text) == advised
    assert (f"kernels for {core}" in text) == (core is not None)


# ------------------------------------------------------------------ the command


def test_command_line_options_reach_the_function(capsys):
    with mock.patch("minibn.bench.run_bench") as run:
        assert main(["bench"]) == 0
        options = run.call_args.kwargs
        assert options["mode"] == "quick" and options["shapes"] is None and options["device"] == "cpu"
        assert main(["bench", "--full", "--shape", "9,8,7,6", "--shape", "5,4,3,2", "--cells", "lstm", "--threads", "1",
                     "--json", "a.json", "--rounds", "4", "--dtype", "float64"]) == 0
        options = run.call_args.kwargs
        assert options["mode"] == "full" and options["shapes"] == [(9, 8, 7, 6), (5, 4, 3, 2)]
        assert (options["cells"], options["threads"], options["json_path"]) == (["lstm"], 1, "a.json")
        assert (options["rounds"], options["dtype"]) == (4, "float64")
    assert capsys.readouterr().out == "runs/bench/scaling.png\n" * 2


def test_command_line_from_end_to_end(capsys, monkeypatch, tmp_path):
    without_peers(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PLANS, "quick", TINY_PLAN._replace(rounds=1))
    monkeypatch.setattr("minibn.bench.run.ProcessWorker", workers.LocalWorker)
    monkeypatch.setattr(timing, "MINIMUM_SECONDS", 0)
    assert main(["bench", "--cells", "bnrnn", "--shape", "3,4,1,5", "--json", "numbers.json"]) == 0
    captured = capsys.readouterr()
    assert "T,N,D,H = 3,4,1,5" in captured.out and captured.err == ""
    assert report_text(json.loads((tmp_path / "numbers.json").read_text())) in captured.out
    assert (tmp_path / "runs" / "bench" / "scaling.png").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--shape", "1,2,3"], "shapes: expected T,N,D,H, got 1,2,3; pass four sizes"),
    (["--shape", "5,0,1,3"], "N: expected a positive integer, got 0"),
    (["--shape", "5,1,1,3"], "expected N >= 2 examples, got N=1"),
    (["--shape", "5,four,1,3"], "argument --shape: expected T,N,D,H"),
    (["--rounds", "0"], "rounds: expected a positive integer, got 0"),
    (["--threads", "-1"], "threads: expected a positive integer, got -1"),
    (["--quick", "--full"], "not allowed with argument"),
    (["--device", "cuda"], "minibn[cuda12]"),
])
def test_mistakes_are_one_line_before_anything_is_measured(capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["bench", *arguments])
    except SystemExit as stopped:
        code = stopped.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    assert message in captured.err and captured.err.count("\n") == 1, captured.err
    assert list(tmp_path.iterdir()) == []
