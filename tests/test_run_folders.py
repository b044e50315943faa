"""The folder of a run: who holds it, whose its files are, and what is said of those that are missing or damaged."""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tiny_run
from tiny_run import CONFIG, stop_at, tiny_data

from minibn.cli import main
from minibn.models.base import RecurrentModel
from minibn.statistics import Statistics
from minibn.training import (
    Interrupted,
    checkpoints,
    evaluate_run,
    evaluation,
    load,
    loop,
    read_metrics,
    resumed_config,
    train,
    without_clock,
)
from minibn.training.checkpoints import read_checkpoint, write_checkpoint

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "n": np.asarray(3), "text": "words"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished tiny run; read only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    tiny_run.run(folder)
    return folder


@pytest.fixture
def run_folder(finished, tmp_path):
    """A copy of the finished run, to damage."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def stopped(finished_early, tmp_path):
    """A copy of a run that was stopped after iteration 18, its last checkpoint at 16, its best model before."""
    return shutil.copytree(finished_early, tmp_path / "stopped")


@pytest.fixture(scope="module")
def finished_early(tmp_path_factory):
    folder = tmp_path_factory.mktemp("early") / "run"
    with stop_at(18), pytest.raises(RuntimeError):
        tiny_run.run(folder)
    return folder


# ------------------------------------------------------------------ files that are missing, damaged, or another run's


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refused(folder, message, config=CONFIG, error=(ValueError, OSError)):
    """Resuming is refused, and touches nothing."""
    before = contents(folder)
    with pytest.raises(error, match=message) as caught:
        tiny_run.run(folder, config, resume=True)
    assert contents(folder) == before
    return str(caught.value)


def rewritten(path, **changes):
    """Write a checkpoint again, sound, with other arrays; None takes one away."""
    arrays = {**read_checkpoint(path), **{name.replace("__", "/"): value for name, value in changes.items()}}
    path.unlink()
    write_checkpoint(path, {name: value for name, value in arrays.items() if value is not None})


def test_records_without_a_checkpoint_prove_a_loss(run_folder):
    (run_folder / "last.npz").unlink()
    refused(run_folder, "last.npz is missing, but best.npz and metrics.jsonl show that this run was trained; restore")
    (run_folder / "best.npz").unlink()
    refused(run_folder, "last.npz is missing, but metrics.jsonl")
    (run_folder / "metrics.jsonl").unlink()
    assert tiny_run.run(run_folder, resume=True)["iteration"] == 23     # killed before its first checkpoint


def test_a_lost_metrics_file_is_not_begun_again(stopped):
    (stopped / "metrics.jsonl").unlink()
    refused(stopped, "metrics.jsonl")


@pytest.mark.parametrize("damage", ["lost", "cut", "older", "of another run"])
def test_a_best_model_that_is_not_the_runs_is_seen_when_resuming_and_a_copy_helps(stopped, finished, damage):
    path = stopped / "best.npz"
    copy = path.read_bytes()
    if damage == "lost":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(copy[:-100])
    elif damage == "older":
        rewritten(path, iteration=np.asarray(1))
    else:
        path.write_bytes((finished / "best.npz").read_bytes())          # same settings, same iteration
    with mock.patch.object(loop._Training, "iterate", side_effect=AssertionError):
        message = refused(stopped, "best.npz")
    assert "restore it from a copy" in message or "put the file of this run back" in message
    if damage != "older":
        with pytest.raises((ValueError, FileNotFoundError), match="best.npz"):
            load(stopped)
    path.write_bytes(copy)
    assert tiny_run.run(stopped, resume=True)["kind"] == "final"
    assert tiny_run.comparable(path).keys() == tiny_run.comparable(finished / "best.npz").keys()


@pytest.mark.parametrize("name", ["best.npz", "last.npz"])
@pytest.mark.parametrize(("change", "message"), [
    ({"token": None}, "belongs to another run .*its token is None"),
    ({"data__order": np.arange(28)[::-1]}, "belongs to another run .*it was trained on other data"),
    ({"config": json.dumps({**CONFIG.to_dict(), "gamma": 0.2})}, "gamma: expected the run's 0.1, got 0.2"),
    ({"config": json.dumps({**CONFIG.to_dict(), "gamma": 10**400})}, "not a checkpoint of this version .*gamma: expec"),
    ({"config": "[" * 100_000}, "nested too deeply"),
    ({"config": None}, "config is missing"),
    ({"data__order": None}, "does not say what data"),
    ({"params__W_y": None}, "parameter 'W_y' is only in the model"),
])  # fmt: skip
def test_every_checkpoint_shows_whose_it_is(run_folder, name, change, message):
    rewritten(run_folder / name, **change)
    refused(run_folder, f"{name}: .*{message}", replace(CONFIG, iterations=30))
    if name == "best.npz":
        for use in (load, evaluate_run):
            with pytest.raises(ValueError, match=f"{name}: .*{message}"):
                use(run_folder)


@pytest.mark.parametrize(("name", "change"), [
    ("last.npz", {"progress__iteration": None}),
    ("last.npz", {"progress__records": np.asarray(2.5)}),
    ("last.npz", {"progress__iteration": np.asarray(-1)}),
    ("last.npz", {"progress__best_loss": np.zeros(2)}),
    ("last.npz", {"progress__sums": np.zeros(1)}),
    ("last.npz", {"optimizer__steps": np.zeros((2, 2))}),
    ("best.npz", {"iteration": np.asarray("7")}),
    ("best.npz", {"statistics_estimated": None}),
    ("best.npz", {"statistics__h.mean": np.zeros((28, 3), "float32")}),
    ("best.npz", {"statistics__c.variance": None}),
])  # fmt: skip
def test_what_a_checkpoint_lacks_or_has_of_another_kind_is_one_line_with_its_name(run_folder, name, change):
    rewritten(run_folder / name, **change)
    with tiny_data(), pytest.raises(ValueError, match=f"{name}: not a checkpoint of this version.*restore it"):
        if name == "last.npz":
            train(replace(CONFIG, iterations=30), run_folder, resume=True, progress="none")
        else:
            load(run_folder)


def test_a_run_of_an_older_version_has_no_token_and_goes_on(stopped):
    """Its settings alone are compared."""
    content = json.loads((stopped / "config.json").read_text())
    (stopped / "config.json").write_text(json.dumps({name: content[name] for name in ("config", "made_with")}))
    refused(stopped, "its token is")
    for name in ("last.npz", "best.npz"):
        rewritten(stopped / name, token=None)
    assert load(stopped)
    tiny_run.run(stopped, resume=True)
    assert not {"token", "data"} & json.loads((stopped / "config.json").read_text()).keys()
    assert "token" not in read_checkpoint(stopped / "best.npz") and load(stopped).statistics


def test_the_token_of_a_run_is_in_each_file_but_the_metrics(finished):
    token = json.loads((finished / "config.json").read_text())["token"]
    assert {str(read_checkpoint(finished / name)["token"]) for name in ("last.npz", "best.npz")} == {token}
    assert token not in (finished / "metrics.jsonl").read_text()


def test_a_lost_config_is_made_again_from_the_last_checkpoint(stopped, finished):
    (stopped / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"last.npz, best.npz, metrics.jsonl are here.* or from last.npz with"):
        load(stopped)
    with pytest.raises(FileExistsError, match="continue it with --resume"):
        tiny_run.run(stopped)
    assert resumed_config(stopped) == CONFIG
    tiny_run.run(stopped, resume=True)
    content = json.loads((stopped / "config.json").read_text())
    assert content["config"] == CONFIG.to_dict() and "was lost" in content["made_with"]["restored"]
    assert load(stopped).statistics and without_clock(read_metrics(stopped / "metrics.jsonl")) == without_clock(
        read_metrics(finished / "metrics.jsonl")
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"3", b'{"config": 3}', b'{"a": ' * 100_000, None])
def test_a_config_that_is_none_is_one_line_with_its_name(run_folder, content):
    path = run_folder / "config.json"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    for use in (load, resumed_config):
        with pytest.raises((ValueError, OSError)) as caught:
            use(run_folder)
        assert "config.json" in str(caught.value)


@pytest.mark.parametrize("line", [b'{"kind": "tra\x00n"}', b"\xff", b"[1]", b"{}", b"[" * 100_000, b'{"kind": 3}',
                                  b'{"kind": "train", "iteration": 3, "loss": NaN}'])  # fmt: skip
def test_a_damaged_record_is_named_with_its_line(stopped, line):
    path = stopped / "metrics.jsonl"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[4:]]) + b"\n")
    refused(stopped, "metrics.jsonl, line 4: damaged")
    with pytest.raises(ValueError, match="metrics.jsonl, line 4: damaged"):
        read_metrics(path)
    path.write_bytes(b"\n".join([*lines, line]) + b"\n")                # beyond the checkpoint: it is cut off
    assert tiny_run.run(stopped, resume=True)["kind"] == "final"


@pytest.mark.parametrize(("old", "new", "message"), [
    (b'"accuracy": ', b'"accurac{": ', "metrics.jsonl: a validation record is damaged .accuracy is missing"),
    (b'"accuracy": ', b'"accuracy": "much", "x": ', "metrics.jsonl: a validation record is damaged"),
    (b'{"kind": "valid"', b'{"kind": "valid', "metrics.jsonl, line 3: damaged"),
])  # fmt: skip
def test_a_figure_of_a_damaged_run_names_the_file(run_folder, tmp_path, capsys, old, new, message):
    path = run_folder / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert main(["reproduce", "figure2", "--runs", str(run_folder), "--output", str(tmp_path / "figures")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


def test_a_checkpoint_that_would_unpack_to_more_than_its_size_is_not_read(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, zeros=np.zeros(10**7))
    assert path.stat().st_size < 10**5
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**7,)})
    liar = tmp_path / "liar.npz"
    with zipfile.ZipFile(liar, "w") as file:
        file.writestr("zeros.npy", header.getvalue() + bytes(80))
    for each in (path, liar):
        tracemalloc.start()
        with pytest.raises(ValueError, match="damaged, truncated, or not a checkpoint"):
            read_checkpoint(each)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10**6


# ------------------------------------------------------------------ the folder is held, and left as it was


def environment():
    """In which another process imports this very minibn."""
    root = str(Path(loop.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


def test_whoever_comes_second_is_refused_and_whoever_was_killed_holds_nothing(tmp_path):
    """Real processes: the first holds the folder until it is killed, while others try."""
    folder = tmp_path / "run"
    code = ("import sys, time\nfrom minibn.training.folder import HeldFolder\n"
            "with HeldFolder(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(600)")
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, env=environment())
    assert process.stdout.readline().strip() == b"held"
    (folder / ".last.npz.00ff.tmp").write_bytes(b"half")                # what it would leave behind
    for resume in (False, True):
        with pytest.raises(OSError, match="another process is training in this folder"):
            tiny_run.run(folder, resume=resume)
    process.kill()
    process.communicate(timeout=600)
    assert ".lock" in os.listdir(folder)
    tiny_run.run(folder, replace(CONFIG, iterations=2))
    assert sorted(os.listdir(folder)) == ["best.npz", "config.json", "last.npz", "metrics.jsonl"]


def test_of_two_runs_that_begin_at_once_in_one_folder_one_is_whole(tmp_path):
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        start = [sys.executable, tiny_run.__file__]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "env": environment()}
        racers = [subprocess.Popen([*start, task, str(folder), "any", "0"], **pipes) for task in tiny_run.CONFIGS]
        told = [process.communicate(timeout=600)[1].decode() for process in racers]
        codes = [process.returncode for process in racers]
        assert sorted(codes) == [0, 1], told
        # Second by a hair, or by so much that the first has ended: then it is another task's run.
        loser = told[codes.index(1)]
        assert "another process is training" in loser or "task: expected the run's" in loser
        winner = list(tiny_run.CONFIGS.values())[codes.index(0)]
        assert load(folder).statistics and resumed_config(folder) == winner
        assert sorted(os.listdir(folder)) == ["best.npz", "config.json", "last.npz", "metrics.jsonl"]


def test_a_file_system_without_locks_can_be_trained_on(tmp_path):
    filelock = pytest.importorskip("filelock")
    for number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
        failing = mock.patch.object(filelock.FileLock, "acquire", side_effect=OSError(number, os.strerror(number)))
        with failing:
            assert tiny_run.run(tmp_path / str(number), replace(CONFIG, iterations=2))["iteration"] == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_fails_before_the_first_checkpoint_leaves_nothing(tmp_path, error):
    failing = mock.patch.object(loop._Training, "save", side_effect=error)
    with failing, pytest.raises(error):
        tiny_run.run(tmp_path / "new" / "run")
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="gamma: expected a finite number"):
        tiny_run.run(tmp_path / "run", replace(CONFIG, gamma=1e300))    # not from make_config
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("folder", ["", "a\0b"])
def test_a_folder_needs_a_name(folder):
    for use in (load, resumed_config, lambda name: train(CONFIG, name)):
        with pytest.raises(ValueError, match="run: expected the name of a folder"):
            use(folder)


def cannot_write(number):
    """A context in which the disk refuses every new file."""
    os_open, text = os.open, os.strerror(number)

    def refusing(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(number, text, str(path))
        return os_open(path, flags, *args, **kwargs)

    def no_open(path, mode):
        if mode == "rb":
            return open(path, mode)
        raise OSError(number, text, str(path))

    stack = contextlib.ExitStack()
    stack.enter_context(mock.patch.object(os, "open", refusing))
    stack.enter_context(mock.patch.object(checkpoints, "open", no_open, create=True))
    return stack


@pytest.mark.parametrize(("number", "remedy"), [
    (errno.ENOSPC, "make room"), (errno.EROFS, "name another folder with --run, or copy"),
    (errno.EACCES, "change its permissions"), (errno.EIO, "see to the disk"),
])  # fmt: skip
def test_the_remedy_fits_the_reason(tmp_path, number, remedy):
    with cannot_write(number), pytest.raises(OSError, match=f"cannot write: .*; nothing was written; {remedy}"):
        write_checkpoint(tmp_path / "x.npz", ARRAYS)
    with cannot_write(number), pytest.raises(OSError, match=remedy):
        tiny_run.run(tmp_path / "run")
    assert os.listdir(tmp_path) == []


def test_evaluating_where_nothing_can_be_written_tells_the_numbers_and_why(stopped, capsys):
    before = contents(stopped)
    with tiny_data(), cannot_write(errno.EROFS):
        assert main(["evaluate", str(stopped)]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("right), population statistics") == 2
    [line] = captured.err.splitlines()
    assert "best.npz: the population statistics are not saved" in line and "Read-only file system" in line
    assert "make room" not in line and contents(stopped) == before
    (stopped / "metrics.jsonl").unlink()
    printed = []
    write = mock.patch.object(evaluation, "write_checkpoint", lambda *_: printed.append(capsys.readouterr().out))
    with tiny_data(), write:
        assert main(["evaluate", str(stopped)]) == 0
    assert printed[0] == captured.out                                    # first the numbers, then the file
    assert sorted(os.listdir(stopped)) == ["best.npz", "config.json", "last.npz"]


def test_a_file_system_that_cannot_sync_folders_is_good_enough(tmp_path):
    fsync = os.fsync

    def refusing(handle, number):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    for number in (errno.EINVAL, errno.ENOTSUP):
        with mock.patch.object(os, "fsync", lambda handle, number=number: refusing(handle, number)):
            write_checkpoint(tmp_path / "x.npz", ARRAYS)
    with (
        mock.patch.object(os, "fsync", lambda handle: refusing(handle, errno.EIO)),
        pytest.raises(OSError, match="x.npz is written, but might not survive a power cut"),
    ):
        write_checkpoint(tmp_path / "x.npz", ARRAYS)
    with mock.patch.object(os, "fsync", side_effect=OSError(errno.EINVAL, "Invalid argument")):
        with pytest.raises(OSError, match="the previous one is intact"):            # of a file it is no detail
            write_checkpoint(tmp_path / "x.npz", ARRAYS)


# ------------------------------------------------------------------ what is not finite is neither saved nor used


def test_an_array_that_is_not_finite_is_neither_written_nor_read(tmp_path):
    path = tmp_path / "x.npz"
    write_checkpoint(path, ARRAYS)
    before = path.read_bytes()
    for value in (np.inf, np.nan):
        with pytest.raises(FloatingPointError, match="x.npz: b holds a number that is not finite; nothing was written"):
            write_checkpoint(path, {**ARRAYS, "b": np.array([1.0, value], "float32")})
    assert path.read_bytes() == before
    with mock.patch.object(checkpoints, "_first_not_finite", return_value=None):
        write_checkpoint(path, {"b": np.array([np.inf])})
    with pytest.raises(ValueError, match="x.npz: b holds a number that is not finite; restore"):
        read_checkpoint(path)


def test_infinite_parameters_with_a_finite_loss_are_not_the_best_model(tmp_path):
    """An infinite forget bias saturates a gate: the loss stays finite."""
    folder, validate = tmp_path / "run", loop._Training.validate

    def validating(self):
        self.model.params["cell.b"][:5] = np.inf
        validate(self)

    with (
        mock.patch.object(loop._Training, "validate", validating),
        pytest.raises(FloatingPointError, match="a parameter is not finite at iteration 7 .*last.npz, iteration 4"),
    ):
        tiny_run.run(folder)
    assert not (folder / "best.npz").exists()


def test_infinite_population_statistics_stop_the_end_and_the_evaluation(stopped):
    infinite = mock.patch.object(RecurrentModel, "batch_statistics", lambda self, x, *_, **__: {
        term: Statistics(*np.full((2, len(x), self.cell.term_size(term)), np.inf, "float32")) for term in self.terms})
    with infinite, tiny_data(), pytest.raises(FloatingPointError, match="population statistics of 'x' are not finite"):
        evaluate_run(stopped)
    with infinite, pytest.raises(FloatingPointError, match="a variance of the population is not finite"):
        tiny_run.run(stopped, resume=True)
    assert not read_checkpoint(stopped / "best.npz")["statistics_estimated"]


# ------------------------------------------------------------------ the truth about Ctrl-C


@pytest.mark.parametrize("method", ["validate", "averages"])
def test_ctrl_c_while_the_books_are_kept_names_the_iteration_that_is_saved(tmp_path, method):
    original = getattr(loop._Training, method)

    def interrupting(self):
        if self.progress.iteration == {"validate": 7, "averages": 9}[method]:
            signal.raise_signal(signal.SIGINT)
        return original(self)

    folder = tmp_path / "run"
    with mock.patch.object(loop._Training, method, interrupting), pytest.raises(Interrupted) as caught:
        tiny_run.run(folder)
    saved = read_checkpoint(folder / "last.npz")["progress/iteration"]
    assert f"saved iteration {saved} in {folder}" in str(caught.value)
