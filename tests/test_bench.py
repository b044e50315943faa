"""`minibn bench`: turns, medians, ratios, memory, text. Nothing here depends on how long anything took."""

import dataclasses
import json
import os
import platform
import signal
import statistics
import sys
from unittest import mock

import numpy as np
import pytest
import strict_cupy

import minibn
from minibn.bench import PLANS, estimate, report_text, run_bench, scaling, timing, workers
from minibn.bench import run as bench_run
from minibn.bench.cells import OurCell, OurLayer, make_problem
from minibn.bench.entrants import Entrant, Setting, entrants, scaling_entrants
from minibn.bench.memory import kept_arrays, measure_memory
from minibn.bench.peers import PEERS, PLAIN, JaxBNLSTM, JaxLSTM, TorchBNLSTM, TorchLSTM
from minibn.bench.products import FusedProducts, Products
from minibn.bench.report import header_text, rows_of
from minibn.bench.run import Plan
from minibn.cells import CELLS
from minibn.cli import main
from minibn.machine import describe_machine

TINY = Setting((5, 4, 2, 3))
TINY_PLAN = Plan((TINY.shape,), (3,), 2, (3, 4, 1, 3), {"T": (2, 3), "N": (3, 4), "H": (3, 5)}, 1)
EQUATIONS = {name: Entrant(f"{cell.title}, equations", OurCell, cell, "equations") for name, cell in CELLS.items()}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


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


def turns_of(fakes):
    return {name: fake.measure for name, fake in fakes.items()}


def test_entrants_take_turns_and_the_first_two_rounds_do_not_count():
    diary = []
    fakes = {name: FakeWorker(name, diary) for name in "ABC"}
    times, failures = timing.alternate(turns_of(fakes), 2)
    assert [name for name, _ in diary] == list("ABC" * 4)
    assert failures == {}
    assert times["B"]["forward"] == [0.03, 0.04] and times["B"]["total"] == [0.12, 0.16]


def test_short_turns_are_repeated_and_long_ones_are_not():
    diary = []
    seconds = {"short": 1e-9, "middle": timing.MINIMUM_SECONDS / 13, "long": 2 * timing.MINIMUM_SECONDS}
    timing.alternate({name: FakeWorker(name, diary, {"total": value}).measure for name, value in seconds.items()}, 1)
    assert diary[:6] == [(name, 1) for name in seconds] * 2
    assert diary[6:] == [("short", timing.MOST_REPEATS), ("middle", 7), ("long", 1)]


def test_what_compiles_at_first_is_repeated_as_its_second_turn_says():
    diary = []
    timing.alternate({"A": lambda repeats: diary.append(repeats) or {"total": 1.0 if len(diary) == 1 else 0.03}}, 2)
    assert diary == [1, 1, 4, 4]                          # 4 times 0.03 s is the least above 0.1 s


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_an_entrant_that_dies_is_out_and_the_others_go_on(turn):
    diary = []
    fakes = {"A": FakeWorker("A", diary), "B": FakeWorker("B", diary, dies_at=turn), "C": FakeWorker("C", diary)}
    times, failures = timing.alternate(turns_of(fakes), 2)
    assert set(times) == {"A", "C"} and failures == {"B": "its process ended"}
    assert [name for name, _ in diary].count("B") == turn
    assert len(times["C"]["total"]) == 2


class Runs(timing.Timed):
    """Each run takes as long as it is told."""

    def __init__(self, *seconds):
        self.seconds = iter(seconds)

    def run(self):
        forward = next(self.seconds)
        return {"forward": forward, "backward": 2 * forward}


def test_repeats_are_averaged_without_the_first_of_a_turn():
    assert Runs(0.09, 0.01, 0.03).measure(2) == pytest.approx({"forward": 0.02, "backward": 0.04})


def test_a_long_run_is_done_once_in_a_turn():
    """The equations on a GPU: a second run would cost seconds, and say nothing more."""
    runs = Runs(timing.LONG_SECONDS, 7.0)
    assert runs.measure(1) == {"forward": timing.LONG_SECONDS, "backward": 2 * timing.LONG_SECONDS}
    assert next(runs.seconds) == 7.0


def test_device_clock_asks_the_events():
    calls = []
    event = mock.Mock(synchronize=lambda: calls.append("synchronize"), record=lambda: calls.append("record"))
    clock = timing.DeviceClock(lambda: event, lambda start, end: calls.append("elapsed") or 250.0)
    assert clock.seconds(clock.mark(), clock.mark()) == 0.25
    assert calls == ["record", "record", "synchronize", "elapsed"]


# ------------------------------------------------------------------ rows


def test_rows_are_medians_and_medians_of_the_ratios_of_each_round():
    lstm, bn_lstm = CELLS["lstm"], CELLS["bnlstm"]
    rows = [Entrant("products of the LSTM", Products, lstm), Entrant("ours", OurCell, bn_lstm, "kernels"),
            Entrant(PLAIN.name, PLAIN, lstm), Entrant("slow", TorchBNLSTM, bn_lstm),
            Entrant("fast", JaxBNLSTM, bn_lstm), Entrant("absent", JaxLSTM, lstm)]
    times = {
        "products of the LSTM": {"forward": [1, 1, 2], "backward": [1, 1, 2], "total": [2.0, 2.0, 4.0]},
        "ours": {"forward": [1, 2, 3], "backward": [1, 2, 3], "total": [2.0, 4.0, 6.0], "iteration": [3.0, 5.0, 6.6]},
        PLAIN.name: {"forward": [1, 1, 1], "backward": [1, 1, 1], "total": [1.0, 1.0, 4.0]},
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
    assert found["products of the LSTM"]["to_products"] is None and found[PLAIN.name]["to_plain_lstm"] is None


def test_rows_without_any_peer_have_no_ratios_to_one():
    times = {"BN-LSTM, equations": {"forward": [1.0], "backward": [1.0], "total": [2.0]}}
    [row] = rows_of([EQUATIONS["bnlstm"]], times, {"BN-LSTM, equations": None})
    assert row["to_products"] is row["to_plain_lstm"] is row["to_best_peer"] is row["iteration_to_total"] is None


def test_who_takes_part():
    names = [entrant.name for entrant in entrants()]
    assert len(set(names)) == len(names)
    assert {"products of the tanh RNN", "products of the LSTM", PLAIN.name, "JAX BN-LSTM"} <= set(names)
    assert not any(name.startswith("JAX") for name in (entrant.name for entrant in entrants(device="cuda")))
    assert [entrant.make for entrant in entrants(["bnrnn"])] == [Products, FusedProducts, OurCell, OurCell]
    ours = [entrant.cell.name for entrant in entrants(["bnlstm"])]
    assert ours[:3] == ["lstm", "lstm", "bnlstm"]
    assert [entrant.name for entrant in entrants(["bnlstm"]) if entrant.make in PEERS] == [
        "PyTorch nn.LSTM", "PyTorch eager BN-LSTM", "JAX BN-LSTM"]


def test_a_cell_without_a_kernel_takes_part_with_its_equations(monkeypatch):
    monkeypatch.setitem(CELLS, "rnn", dataclasses.replace(CELLS["rnn"], kernel=None))
    assert [row.name for row in entrants(["rnn"])][2:] == ["tanh RNN, equations"]
    assert [row.name for row in scaling_entrants(["rnn", "lstm"])] == ["tanh RNN, equations", "LSTM, kernels"]


# ------------------------------------------------------------------ what is timed


def products_done(entrant, setting):
    """The shapes of every product of one forward and backward."""
    entrant = entrant.make(entrant, setting)
    calls = []

    def matmul(a, b, out):
        calls.append((a.shape, b.shape, out.shape))
        return np.matmul(a, b, out=out)

    entrant.matmul = matmul
    assert set(entrant.run()) == {"forward", "backward"}
    return calls


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4)])
def test_products_are_those_of_the_cell(cell, gates):
    T, N, D, H = TINY.shape
    G = gates * H
    assert products_done(Entrant("", Products, CELLS[cell]), TINY) == [
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

    assert products_done(Entrant("", FusedProducts, CELLS[cell]), TINY) == [
        *[((N, H + D), (H + D, G), (N, G))] * T, step, step, gradient(2), step, step, gradient(2), step, gradient(1)]
    assert T == 5


@every_cell
@pytest.mark.parametrize("features", [1, 2])
def test_a_cell_is_timed_forward_backward_and_in_training(cell, features):
    setting = TINY._replace(shape=(5, 4, features, 12), dtype="float64")
    entrant = OurCell(EQUATIONS[cell.name], setting)
    params = entrant.layer.params
    before = {name: value.copy() for name, value in params.items()}
    times = entrant.measure(2)
    assert set(times) == {"forward", "backward", "iteration"} and all(value > 0 for value in times.values())
    assert entrant.training.count == 3                                         # the first is not counted
    assert np.abs(params["W_h"] - before["W_h"]).max() > 0                     # it does train
    assert all(np.isfinite(value).all() for value in params.values())
    assert set(OurLayer(EQUATIONS[cell.name], setting).measure(1)) == {"forward", "backward"}


@pytest.mark.parametrize("kind", [pytest.param(TorchLSTM, marks=pytest.mark.oracle),
                                  pytest.param(TorchBNLSTM, marks=pytest.mark.oracle), JaxLSTM, JaxBNLSTM])
def test_peers_compute_what_our_cells_compute(kind):
    is_torch = issubclass(kind, TorchLSTM)
    pytest.importorskip("torch" if is_torch else "jax")
    setting = Setting((6, 5, 2, 3), "float64" if is_torch else "float32")
    layer, x, dh = make_problem(kind.cell, setting)
    h, cache = layer.forward(x)
    dx, grads = layer.backward(dh, cache)
    peer = kind(Entrant("", kind, kind.cell), setting)
    their_h, their_dx, their_grads = peer.result()
    # float32: rounding through six steps, and the gradient through batch statistics of five examples enlarges it
    tolerance = 1e-10 if is_torch else 1e-3
    np.testing.assert_allclose(their_h, h, rtol=0, atol=tolerance)
    np.testing.assert_allclose(their_dx, dx, rtol=0, atol=tolerance * np.abs(dx).max())
    if kind is not TorchLSTM:                         # nn.LSTM has other names and another order of gates
        for name in layer.params.keys() - layer.state_names:
            np.testing.assert_allclose(their_grads[name], grads[name], rtol=0,
                                       atol=tolerance * max(np.abs(grads[name]).max(), 1e-3), err_msg=name)
    assert all(value > 0 for value in peer.measure(1).values())


@pytest.mark.parametrize(("library", "title", "kind"), [("torch", "PyTorch", TorchLSTM), ("jax", "JAX", JaxLSTM)])
def test_a_library_that_is_absent_is_named(monkeypatch, library, title, kind):
    monkeypatch.setitem(sys.modules, library, None)       # import raises ImportError
    with pytest.raises(RuntimeError, match=f"^{title} is not installed$"):
        workers.LocalWorker(Entrant("", kind, kind.cell), TINY).wait()


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
    cell, x, _ = make_problem(CELLS["bnlstm"], TINY)
    _, cache = cell.forward(x)
    rows = {row["names"]: row for row in kept_arrays(cache, exclude=(x, *cell.params.values()))}
    T, N, _, H = TINY.shape
    assert rows["h_hat"] == {"names": "h_hat", "shape": [N, 4 * H], "count": T, "bytes": 4 * T * N * 4 * H}
    assert rows["c_variance"]["count"] == T and rows["x_inv_std"]["shape"] == [1, 4 * H]
    assert rows["W_h"]["count"] == rows["x"]["count"] == 1                # a copy of its own, however many steps use it


def test_peak_memory_is_at_least_what_is_kept():
    found = measure_memory(*make_problem(CELLS["lstm"], Setting((20, 30, 2, 40))))
    assert found["kept_bytes"] == sum(row["bytes"] for row in found["kept"])
    kept_by_hand = 20 * 30 * 40 * 4 * (4 * 3 + 8)         # x_linear, h_linear, four tildes; f i g c c_term o tanh_c h
    assert kept_by_hand <= found["kept_bytes"] < 1.05 * kept_by_hand
    assert found["kept_bytes"] < found["peak_bytes"] < 3 * found["kept_bytes"]


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
    report = run_bench(plan=TINY_PLAN, isolate=False, threads=[1], json_path=tmp_path / "new" / "bench.json",
                       plot_path=tmp_path / "scaling.png", show=shown.append, say=said.append)
    text = "\n\n".join(shown)
    assert text == report_text(report)
    [table] = report["tables"]
    assert {"products of the tanh RNN", "BN-LSTM, equations"} <= {row["name"] for row in table["rows"]}
    assert all(len(values) == 2 for parts in table["times"].values() for values in parts.values())
    assert table["failures"]["JAX BN-LSTM"] == "JAX is not installed"
    assert "Not measured: PyTorch nn.LSTM; PyTorch eager BN-LSTM (PyTorch is not installed)." in text
    assert "h_hat 5 x (4, 12)" in text and "| BN-LSTM" in text
    assert "T,N,D,H = 5,4,2,3, 1 thread\n" in text and "Sampling with H = 3, 1 thread\n" in text
    samplers = {row["name"]: row["to_products"] for row in report["sampling"][0]["rows"]}
    assert set(samplers) == {"its matrix products", *(f"{cell}, {engine}" for cell in ("LSTM", "BN-LSTM")
                                                      for engine in ("kernels", "equations"))}
    assert samplers.pop("its matrix products") is None and min(samplers.values()) > 0
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
    monkeypatch.setattr("minibn.bench.run.GPU_ROUNDS", 1)                     # TINY_PLAN has two
    report = run_bench(plan=TINY_PLAN, cells=["lstm", "bnlstm"], device="cuda", isolate=False, threads=[1])
    assert {len(parts["total"]) for parts in report["tables"][0]["times"].values()} == {1}
    assert "a stand-in" in report_text(report) and report["memory"] == []
    rows = {row["name"]: row for row in report["tables"][0]["rows"]}
    assert {"products of the LSTM, fused", "BN-LSTM, equations"} <= set(rows)
    for row in rows.values():
        assert (row["forward"], row["backward"]) == (1, 1), row["name"]
        assert row["iteration"] in (None, 1)


def test_a_table_for_each_number_of_threads(monkeypatch):
    without_peers(monkeypatch)
    monkeypatch.setattr(timing, "MINIMUM_SECONDS", 0)
    monkeypatch.setattr("minibn.bench.run.available_cores", lambda: 5)
    for asked, expected in (("", [1, 5]), ("3", [3])):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        report = run_bench(plan=TINY_PLAN, cells=["lstm"], isolate=False)
        assert [table["threads"] for table in report["tables"]] == report["machine"]["threads"] == expected
        assert [table["threads"] for table in report["sampling"]] == expected[:1]
    assert "3 threads" in report_text(report)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert bench_run._threads("cuda") == (5,)


def test_processes_answer_fail_and_end():
    setting, interrupt = Setting((3, 4, 1, 3)), signal.getsignal(signal.SIGINT)
    broken = Entrant("broken", OurCell, CELLS["lstm"], "no such engine")
    good, bad = (workers.ProcessWorker(entrant, setting) for entrant in (EQUATIONS["lstm"], broken))
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
    worker = workers.ProcessWorker(Entrant("", EnvironmentSeen, CELLS["rnn"]), TINY._replace(threads=2))
    try:
        worker.wait()
        assert [worker.ask("of", name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "JAX_PLATFORMS")] == [
            "2", "2", "cpu"]
    finally:
        worker.close()
    assert os.environ["OMP_NUM_THREADS"] == "7" and "JAX_PLATFORMS" not in os.environ


class EnvironmentSeen:
    """Stands for what is timed."""

    def __init__(self, entrant, setting):
        self.of = os.environ.get


def test_header_says_machine_versions_and_date():
    found = describe_machine([1, 3])
    assert found["threads"] == [1, 3] and found["cores"] >= 1 and found["processor"] and found["gpu"] is None
    assert found["versions"]["minibn"] == minibn.__version__ and found["versions"]["numpy"] == np.__version__
    assert found["blas"]
    json.dumps(found)
    settings = {"dtype": "float32", "device": "cpu", "rounds": 3}
    assert "cores, 1 and 3 threads;" in header_text({"machine": found, "settings": settings})


def test_openblas_is_asked_which_kernels_it_runs(monkeypatch):
    if "openblas" not in describe_machine([1])["blas"] or platform.machine() != "x86_64":
        pytest.skip("NumPy's BLAS is not OpenBLAS for x86-64")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    assert describe_machine([1])["blas_core"] == "Nehalem"


@pytest.mark.parametrize(("avx512", "core", "advised"), [
    (True, "Haswell", True), (True, "Zen", True), (True, "SkylakeX", False), (True, None, False),
    (False, "Haswell", False), (None, "Haswell", False),
])
def test_a_blas_that_makes_no_use_of_avx512_is_pointed_out(avx512, core, advised):
    settings = {"dtype": "float32", "device": "cpu", "rounds": 3}
    text = header_text({"machine": describe_machine([1]) | {"avx512": avx512, "blas_core": core}, "settings": settings})
    assert ("OPENBLAS_CORETYPE=SkylakeX" in text) == advised
    assert (f"kernels for {core}" in text) == (core is not None)


def test_estimates_are_no_faster_than_the_card():
    for card in estimate.CARDS.values():
        for dtype, itemsize in (("float32", 4), ("float64", 8)):
            us = estimate.step_us(card, dtype, arrays=4)
            assert us > 2 * 64 * 4000 * 1000 / (getattr(card, dtype) * 1e12) * 1e6
            assert us > 4 * 64 * 4000 * itemsize / (card.memory * 1e9) * 1e6
    assert len(list(estimate.rows())) == 16


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
        assert (options["cells"], options["threads"], options["json_path"]) == (["lstm"], [1], "a.json")
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
    assert "T,N,D,H = 3,4,1,5" in captured.out
    begin, *_, end = captured.err.split("3,4,1,5: ")[1:5]
    assert begin == "4 entrants start\n" and end == "round 1 of 1\n"
    assert report_text(json.loads((tmp_path / "numbers.json").read_text())) in captured.out
    assert (tmp_path / "runs" / "bench" / "scaling.png").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--shape", "1,2,3"], "shapes: expected T,N,D,H, got 1,2,3; pass four sizes"),
    (["--shape", "5,0,1,3"], "N: expected a positive integer, got 0"),
    (["--shape", "5,1,1,3"], "expected N >= 2 examples, got N=1"),
    (["--shape", "5,four,1,3"], "argument --shape: expected T,N,D,H"),
    (["--rounds", "0"], "rounds: expected a positive integer, got 0"),
    (["--threads", "1", "-1"], "threads: expected a positive integer, got -1"),
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


# Readers


def test_pytorch_readers_do_the_same(monkeypatch):
    """The same loss, update after update: from the same weights, on the same questions."""
    pytest.importorskip("torch")
    from minibn.bench import readers
    from minibn.bench.reader_peers import TorchReader

    shape = (12, 5, 4, 3)
    problem = readers.draw_problem(shape)
    for variant, reader in readers.READERS.items():
        ours = readers.OurReader(variant, *problem, shape)
        theirs = TorchReader(ours.model, *problem, readers.LEARNING_RATE)
        found, expected = [ours.update() for _ in range(3)], [theirs.update() for _ in range(3)]
        # nn.LSTM has two biases, and no learned h_0, c_0 and offset: from the second update on it is another model.
        first = 3 if reader.cell.normalized else 1
        np.testing.assert_allclose(found[:first], expected[:first], rtol=1e-4 if first == 3 else 1e-6)


def test_the_table_of_readers(monkeypatch, capsys):
    from minibn.bench import readers

    monkeypatch.setattr(readers, "TorchReader", mock.Mock(side_effect=ImportError("PyTorch is not installed")))
    times, failures = readers.measure_readers(1, ("lstm", "bn_e2"), (5, 6, 3, 4))
    assert set(times) == {"lstm", "lstm, recurrence", "bn_e2", "bn_e2, recurrence"}
    text = readers.readers_text(times, failures)
    assert "| BN-e**" in text and "bn_e2, PyTorch: PyTorch is not installed" in text
    with mock.patch("minibn.bench.readers.measure_readers", return_value=(times, failures)):
        assert main(["bench", "--readers", "--rounds", "1", "--shape", "5,6,3,4"]) == 0
    shown = capsys.readouterr().out
    assert "| BN-e**" in shown and "T = 5, N = 6, D = 3, H = 4" in shown
