"""Sweeps: which runs, in which folders; killed and gone on with; on a cluster; compared."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minibn.cli import main
from minibn.studies import everything, figure6, readings
from minibn.studies.compare import compared
from minibn.sweeps import execute, plan, read_plan, read_sweep, run_folders, sweep
from minibn.sweeps.plan import NAMED
from minibn.sweeps.state import State
from minibn.training import read_metrics, train, without_clock

TINY = {"hidden": [3], "batch": [4], "side": [14], "validate_on": [8], "validate_every": [5], "checkpoint_every": [2],
        "log_every": [2], "population_batch": [10], "population_on": [10], "data": ["subset"]}
SMALL = {**TINY, "iterations": [8]}


def tiny(grid=None, seeds=2, **more):
    return plan("pmnist", {**SMALL, "model": ["bnlstm", "lstm"], **(grid or {}), **more}, seeds)


def records(folder, one):
    return without_clock(read_metrics(Path(folder) / one.name / "metrics.jsonl"))


# Which runs


def test_the_example_of_the_issue_has_18_runs():
    runs = plan("pmnist", {"model": ["bnlstm", "lstm"], "gamma": [0.1, 0.3, 0.5, 0.7, 1.0]}, seeds=3)
    assert len(runs) == 18 and len({one.name for one in runs}) == 18
    assert [one.config.seed for one in runs if one.config.model == "lstm"] == [1, 2, 3]


def test_a_folder_is_named_by_what_is_not_usual():
    [usual] = plan("pmnist")
    assert plan("pmnist", {"gamma": [0.1], "hidden": [100]})[0].name == usual.name      # said, but the default
    assert plan("pmnist", {"iterations": [7]})[0].name == usual.name
    others = [plan(*given)[0].name for given in (("mnist",), ("pmnist", {"seed": [2]}), ("pmnist", {"gamma": [0.2]}),
                                                 ("pmnist", {"preset": ["paper"]}), ("pmnist", {"model": ["lstm"]}))]
    assert len({usual.name, *others}) == 6
    assert usual.name == "bnlstm-cbe0e3cee95a"      # of the runs that people have: a new option must not rename them


def test_single_settings_are_combined_with_the_grid():
    runs = plan("pmnist", {"gamma": [0.1, 0.2]}, seeds=1, runs=[{}, {"gamma": 0.5}, {"noise": 0.1}])
    values = [(one.config.gamma, one.config.noise) for one in runs]
    assert values == [(0.1, 0), (0.2, 0), (0.5, 0), (0.1, 0.1), (0.2, 0.1)]


@pytest.mark.parametrize("name", NAMED)
def test_the_sweeps_of_minibn_can_be_planned(name):
    assert len(plan(**read_plan(name))) > 1


def test_a_file_says_the_same_as_the_command_line(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('task = "pmnist"\nseeds = 2\nhidden = 7\n[grid]\ngamma = [0.1, 0.5]\n', encoding="utf-8")
    assert plan(**read_plan(str(file))) == plan("pmnist", {"hidden": [7], "gamma": [0.1, 0.5]}, 2)


@pytest.mark.parametrize("arguments, words", [
    (["pmnist", "--model", "bnlstm", "--side", "13"], "invalid choice"),
    (["pmnist", "--gama", "1"], "unrecognized arguments"),
    (["file", "nothing"], "expected a task"),
    (["file", "readings", "--set", "gama=1"], "gama: no such option for pmnist"),
    (["file", "readings", "--set", "gamma"], "expected NAME=VALUE"),
    (["file", "bad.toml"], "is not TOML"),
    (["file", "scalar.toml"], "expected a list of values in [grid]"),
    (["file", "empty.toml"], "gamma: expected at least one value"),
    (["pmnist", "--seeds", "0"], "seeds"),
    (["pmnist", "--jobs", "1000"], "jobs: expected at most the"),
    (["pmnist", "--out", "taken"], "is not empty, and no sweep"),
    (["pmnist", "--out", "other"], "holds a sweep on ptb"),
    (["pmnist", "--scheduler", "tcp://127.0.0.1:9"], "nobody answers at tcp://127.0.0.1:9"),
])
def test_a_mistake_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    if "--scheduler" in arguments:
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "PATIENCE", 0.5)
    Path("bad.toml").write_text("task =", encoding="utf-8")
    Path("scalar.toml").write_text('task = "pmnist"\n[grid]\ngamma = 1\n', encoding="utf-8")
    Path("empty.toml").write_text('task = "pmnist"\n[grid]\ngamma = []\n', encoding="utf-8")
    for folder in ("taken", "other"):
        Path(folder).mkdir()
    Path("taken/thesis.txt").write_text("mine", encoding="utf-8")
    Path("other/sweep.json").write_text('{"task": "ptb", "runs": []}', encoding="utf-8")
    out = [] if "--out" in arguments else ["--out", "out"]
    try:
        code = main(["sweep", *arguments, *out])
    except SystemExit as error:
        code = error.code
    said = capsys.readouterr().err
    assert code == 2 and words in said and len(said.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_without_joblib_one_line_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert main(["sweep", "pmnist", "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'minibn[sweep]'" in capsys.readouterr().err


# Executed


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A sweep of four runs that nothing disturbed."""
    folder = tmp_path_factory.mktemp("sweep") / "out"
    planned = tiny()
    return folder, planned, sweep(planned, folder, jobs=2, progress="none")


def test_a_run_of_a_sweep_is_an_ordinary_run(done, tmp_path):
    folder, planned, said = done
    assert said["finished"] == 4 and said["failed"] == said["running"] == said["waiting"] == 0
    train(planned[0].config, tmp_path / "alone", progress="none")
    assert without_clock(read_metrics(tmp_path / "alone" / "metrics.jsonl")) == records(folder, planned[0])
    assert run_folders([folder]) == [folder / one.name for one in planned]


def test_finished_runs_are_not_repeated_and_a_sweep_grows(done, tmp_path):
    folder, planned, _ = done
    before = {one.name: (folder / one.name / "metrics.jsonl").stat().st_mtime_ns for one in planned}
    said = sweep(plan("pmnist", {**SMALL, "model": ["bnlstm"], "gamma": [0.1, 0.4]}, 1), folder, jobs=1,
                 progress="none")
    assert said["finished"] == 2 and len(said["runs"]) == 5 == len(read_sweep(folder)["runs"])
    assert {name: (folder / name / "metrics.jsonl").stat().st_mtime_ns for name in before} == before


def test_a_lost_record_of_a_sweep_is_made_again(tmp_path):
    planned = tiny({"model": ["lstm"]}, seeds=1)
    said = sweep(planned, tmp_path / "out", jobs=1, progress="none")
    (tmp_path / "out" / "sweep.json").unlink()
    assert sweep(planned, tmp_path / "out", jobs=1, progress="none")["runs"] == said["runs"]


def test_more_iterations_go_on(done):
    folder, planned, _ = done
    longer = plan("pmnist", {**TINY, "iterations": [11], "model": ["lstm"]}, 1)
    assert longer[0].name in {one.name for one in planned}
    sweep(longer, folder, jobs=1, progress="none")
    assert records(folder, longer[0])[-1]["iteration"] == 11
    assert sweep(tiny({"model": ["lstm"]}, seeds=1), folder, jobs=1, progress="none")["finished"] == 1


def test_a_failed_run_is_reported_and_stops_no_other(tmp_path, capsys):
    arguments = [f"--{name.replace('_', '-')}={value}" for name, [value] in TINY.items()]
    code = main(["sweep", "pmnist", "--model", "lstm", "--learning-rate", "1e-3", "1e38", "--iterations", "8",
                 *arguments, "--out", str(tmp_path / "out"), "--progress", "none"])
    said = capsys.readouterr().out
    assert code == 1 and "1 finished, 1 failed, 0 waiting" in said and "is not finite at iteration" in said
    assert [run["status"] for run in read_sweep(tmp_path / "out")["runs"]] == ["finished", "failed"]


def test_a_run_that_another_process_holds_is_waited_for(tmp_path):
    [one] = tiny({"model": ["lstm"]}, seeds=1)
    (tmp_path / one.name).mkdir(parents=True)
    code = ("import sys, time\nfrom filelock import FileLock\nlock = FileLock(sys.argv[1])\nlock.acquire()\n"
            "print('held', flush=True)\ntime.sleep(2)\nopen('released', 'w').close()\nlock.release()")
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path / one.name / ".lock"], stdout=subprocess.PIPE,
                              cwd=tmp_path / one.name)
    assert holder.stdout.readline() == b"held\n"
    assert sweep([one], tmp_path, jobs=1, progress="none")["finished"] == 1
    assert (tmp_path / one.name / "released").exists()
    holder.communicate()


def test_a_worker_has_one_thread(tmp_path, monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    from minibn.sweeps import worker

    seen = []
    monkeypatch.setattr(worker, "train", lambda *given, **more: seen.extend(
        pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"))
    [one] = tiny({"model": ["lstm"]}, seeds=1)
    settings = {name: value for name, value in one.config.to_dict().items() if name != "cell"}
    assert worker.run_one(one.name, str(tmp_path / "run"), settings) == (one.name, None)
    assert seen and set(seen) == {1}


def test_the_state_is_told_in_a_line(done):
    folder, planned, _ = done
    line = State(folder, planned).line()
    assert line.startswith("4 of 4 runs done, 0 running, best ") and "lowest error 0." in line


# Killed


def start(folder, iterations=14):
    """The command of a sweep of four runs, in a session of its own."""
    options = [f"--{name.replace('_', '-')}={value}" for name, [value] in TINY.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "minibn", "sweep", "pmnist", "--model", "bnlstm", "lstm", "--seeds", "2", *options,
         f"--iterations={iterations}", "--out", str(folder), "--progress", "none", "--jobs", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def members(session):
    """The living processes of a session: process number -> command line."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_killed_at_random_moments(tmp_path, kills=30):
    """Workers and parents die; in the end the records are those of an undisturbed sweep, and none was made twice."""
    rng = np.random.default_rng()
    planned = plan("pmnist", {**TINY, "model": ["bnlstm", "lstm"], "iterations": [14]}, 2)
    whole, hit, place = tmp_path / "whole", {"worker": 0, "parent": 0}, 0
    began = time.perf_counter()
    assert start(whole).wait(timeout=300) == 0
    duration = time.perf_counter() - began
    while sum(hit.values()) < kills:
        folder, ended, finished = tmp_path / f"sweep{place}", False, {}
        place += 1
        while not ended:
            process = start(folder)
            time.sleep(rng.uniform(0, duration))
            workers = [pid for pid, command in members(process.pid).items()
                       if "loky" in command and "tracker" not in command]
            ended = process.poll() is not None
            if not ended and sum(hit.values()) < kills:
                kind = "worker" if workers and rng.random() < 0.5 else "parent"
                os.kill(rng.choice(workers) if kind == "worker" else process.pid, signal.SIGKILL)
                hit[kind] += 1
            ended = process.wait(timeout=300) == 0
            deadline = time.perf_counter() + 30
            while members(process.pid) and time.perf_counter() < deadline:
                time.sleep(0.1)
            assert not members(process.pid), "orphans"
            for one in planned:
                path = folder / one.name / "metrics.jsonl"
                if path.exists() and any(record["kind"] == "final" for record in read_metrics(path)):
                    assert finished.setdefault(one.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
        assert [records(folder, one) for one in planned] == [records(whole, one) for one in planned]
        assert read_sweep(folder)["finished"] == 4
    assert min(hit.values()) >= 5


# On a cluster


class Cluster:
    """A dask scheduler and workers of one thread each, as their own programs."""

    def __init__(self, folder, workers=2):
        self.folder, self.processes = folder, []
        file = folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                                    "--scheduler-file", str(file))
        deadline = time.perf_counter() + 60
        while not file.exists() and time.perf_counter() < deadline:
            time.sleep(0.1)
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]
        self.workers = [self.start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
                                   "--local-directory", str(folder), "--death-timeout", "20") for _ in range(workers)]

    def start(self, *arguments):
        self.processes.append(subprocess.Popen([sys.executable, "-m", "dask", *arguments], cwd=self.folder,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.processes[-1]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
            process.wait()


def on_cluster(address, out):
    options = [f"--{name.replace('_', '-')}={value}" for name, [value] in TINY.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "minibn", "sweep", "pmnist", "--model", "bnlstm", "lstm", "--seeds", "2", *options,
         "--iterations=60", "--out", str(out), "--progress", "none", "--scheduler", address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_training(folder, planned, count=2):
    """Until so many runs have trained a little."""
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:
        paths = [folder / one.name / "metrics.jsonl" for one in planned]
        if sum(path.exists() and path.stat().st_size > 200 for path in paths) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("nothing was trained")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "scheduler"])
def test_a_cluster_loses_a_process(victim, tmp_path):
    """A worker's run goes on elsewhere from its checkpoint; without a scheduler, the same command goes on later."""
    pytest.importorskip("distributed")
    planned = plan("pmnist", {**TINY, "model": ["bnlstm", "lstm"], "iterations": [60]}, 2)
    sweep(planned, tmp_path / "whole", jobs=2, progress="none")
    with Cluster(tmp_path) as cluster:
        process = on_cluster(cluster.address, tmp_path / "out")
        wait_for_training(tmp_path / "out", planned)
        (cluster.workers[0] if victim == "worker" else cluster.scheduler).kill()
        said = process.communicate(timeout=200)
        if victim == "scheduler":
            assert process.returncode in (1, 2) and len(said[1].strip().splitlines()) == 1, said
            for worker in cluster.workers:
                worker.wait(timeout=60)     # forever, if it did not end with its scheduler
    if victim == "scheduler":
        with Cluster(tmp_path) as cluster:
            process = on_cluster(cluster.address, tmp_path / "out")
            said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert [records(tmp_path / "out", one) for one in planned] == [records(tmp_path / "whole", one) for one in planned]


# Compared


def test_groups_are_compared_over_their_seeds(done, tmp_path, capsys):
    folder, planned, _ = done
    table, picture = tmp_path / "a" / "table.csv", tmp_path / "b" / "curves.png"
    assert main(["compare", str(folder), "--csv", str(table), "--plot", str(picture)]) == 0
    groups, text = compared([folder])
    assert text in capsys.readouterr().out and picture.read_bytes()[:4] == b"\x89PNG"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [group["label"] for group in groups]
    medians = [float(row["error_rate_median"]) for row in rows]
    assert medians == sorted(medians) == [float(np.median(group["error_rate"])) for group in groups]
    runs = [read_metrics(folder / one.name / "metrics.jsonl") for one in planned if one.config.model == "bnlstm"]
    lowest = [min(1 - record["accuracy"] for record in run if record["kind"] == "valid") for run in runs]
    ours = next(group for group in groups if len(group["runs"]) == 2 and "BN-LSTM" in group["label"])
    assert sorted(ours["error_rate"]) == sorted(lowest)


def test_runs_on_two_tasks_are_not_compared(done, tmp_path, capsys):
    [other] = plan("mnist", {**SMALL, "model": ["lstm"]}, 1)
    train(other.config, tmp_path / "other", progress="none")
    assert main(["compare", str(done[0]), str(tmp_path / "other")]) == 2
    assert "expected runs on one task, got pmnist and mnist" in capsys.readouterr().err


def test_a_damaged_record_of_a_sweep_is_said(tmp_path, capsys):
    (tmp_path / "sweep.json").write_text(json.dumps({"task": "pmnist"}), encoding="utf-8")
    assert main(["compare", str(tmp_path)]) == 2
    assert "damaged, not the record of a sweep" in capsys.readouterr().err


# Figures of sweeps


@pytest.fixture(scope="module")
def by_gamma(tmp_path_factory):
    """Two gammas and two seeds, on images and on text."""
    folders = []
    for task, more in (("pmnist", TINY), ("stdlib", {"hidden": [3], "batch": [4], "length": [6], "validate_on": [8],
                                                     "validate_every": [5], "log_every": [5], "population_on": [10],
                                                     "population_batch": [5]})):
        folders.append(tmp_path_factory.mktemp("gammas") / task)
        planned = plan(task, {**more, "iterations": [10], "model": ["bnlstm"], "gamma": [0.1, 1.0]}, 2)
        sweep(planned, folders[-1], jobs=2, progress="none")
    return folders


def test_figure_6_is_drawn_from_sweeps(by_gamma, tmp_path, capsys):
    assert main(["reproduce", "figure6", "--runs", *map(str, by_gamma), "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("Rank correlation of gamma") == 2 and (tmp_path / "figure6.png").exists()
    numbers = figure6.compute(run_folders(by_gamma))
    images, text = figure6.groups(numbers).values()
    for group in (images, text):
        found = figure6.statement(group)
        low, high = (np.array([run["loss"][-1] for run in group[gamma]]) for gamma in (0.1, 1.0))
        assert np.allclose(found["difference"], high - low)
        assert np.allclose(found["correlation"], np.sign(high - low))
    assert "Cross-entropy in nats" in said and "Bits per character" in said


def test_figure_6_refuses_what_differs_in_more_than_gamma(tmp_path):
    planned = plan("pmnist", {**SMALL, "model": ["bnlstm"]}, 1, [{}, {"gamma": 1.0, "forget_bias": 0.0}])
    sweep(planned, tmp_path, jobs=1, progress="none")
    with pytest.raises(ValueError, match="differ in gamma and the seed alone, got others in forget_bias"):
        figure6.groups(figure6.compute(run_folders([tmp_path])))


def test_figure_6_compares_the_same_seeds(by_gamma):
    """Whatever the order of the runs."""
    numbers = figure6.compute(run_folders(by_gamma[:1]))
    [one], [other] = (figure6.groups(runs).values() for runs in (numbers, numbers[::-1]))
    assert figure6.statement(one) == figure6.statement(other)


def test_the_two_readings_of_figure_6_are_the_same_numbers():
    printed, true = (figure6.published(True, "valid", reading) for reading in (True, False))
    for gamma, (steps, bits) in true.items():
        count = len(printed[gamma][0])      # what the printed axes leave out at the end
        assert count >= len(steps) - 2
        assert np.allclose(steps[:count] / np.log(2), printed[gamma][0], rtol=1e-4)
        assert np.allclose(bits[:count] * np.log(2), printed[gamma][1], rtol=1e-4)


def test_readings_are_compared_seed_by_seed(tmp_path):
    others = [{}, {"forget_bias": 0.0}, {"gamma": 1.0}, {"noise": 0.1}]
    planned = plan("pmnist", {**TINY, "iterations": [10]}, 2, others)
    sweep(planned, tmp_path, jobs=2, progress="none")
    entries = {entry["reading"]: entry for entry in readings.compute(run_folders([tmp_path]))}
    assert set(entries) == {"", "forget bias 0.0", "gamma 1.0", "noise 0.1"} and entries[""]["change"] == [0, 0]
    for entry in entries.values():
        assert np.allclose(entry["change"], np.subtract(entry["error_rate"], entries[""]["error_rate"]))
    assert "as specified" in readings.table(list(entries.values()))
    for seed, one in zip((1, 2), entries[""]["tested"], strict=True):
        final = records(tmp_path, planned[seed - 1])[-1]
        assert np.isclose(one[""], 1 - final["test_accuracy"])
        assert np.isclose(one["statistics of the test batch"], 1 - final["test_accuracy_batch_statistics"])


def test_everything_is_one_page(by_gamma, tmp_path, monkeypatch):
    monkeypatch.setattr(everything, "WITHOUT_RUNS", ("figure1b",))
    assert main(["reproduce", "all", "--seed", "2"]) == 2
    said = everything.reproduce_all(tmp_path, by_gamma)
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert said.endswith("all.html") and "<script" not in page and page.count("<img") == 4
    found = everything.rows("images", run_folders(by_gamma[:1]))
    assert [row[0] for row in found] == ["Figure 2", "Table 1"] * 2
    assert [row[6] for row in found] == [2] * 4 and all(row[7] == "0.0%" for row in found)
    tested = [records(by_gamma[0], folder)[-1]["test_accuracy"] for folder in run_folders(by_gamma[:1])]
    assert {row[4] for row in found[1::2]} <= {f"{(a + b) / 2:.3f}" for a in tested for b in tested}
    assert all(label in page for label in ("figure6", "BN-LSTM, gamma 0.1, 2 seeds"))


def test_a_cell_of_the_users_own_is_swept(tmp_path, capsys):
    options = [f"--{name.replace('_', '-')}={value}" for name, [value] in SMALL.items()]
    gru = Path(__file__).parents[1] / "notebooks" / "gru.py"
    assert main(["sweep", "pmnist", "--model", f"{gru}:GRU", "lstm", *options, "--out", str(tmp_path / "out"),
                 "--progress", "none"]) == 0
    said = capsys.readouterr().out
    assert "2 finished" in said and "| gru" in said
