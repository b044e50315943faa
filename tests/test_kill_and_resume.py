"""After SIGKILL at any moment the resumed run ends with the parameters and records of the uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_run

import minibn
from minibn.training import read_metrics, without_clock
from minibn.training.checkpoints import read_checkpoint

SCRIPT = Path(tiny_run.__file__)
RANDOM_KILLS = 10  # of each task

# (moment, which of its occurrences). Counts of the uninterrupted run: 23 iterations, 4 validations of 3 batches,
# checkpoints at 0, 4, 7, 8, 12, 14, 16, 20, 21, 23 and the end, best.npz at the improvements and at the end.
MOMENTS = [
    ("half a checkpoint", 1),  # config.json, the first file of all
    ("half a checkpoint", 2),  # the last.npz of iteration 0
    ("half a checkpoint", 3),
    ("half a checkpoint", 5),
    ("half a checkpoint", 9),
    ("before fsync", 4),
    ("before fsync", 11),
    ("before rename", 4),
    ("before rename", 7),
    ("after rename", 4),  # best.npz of the first validation is there, its last.npz is not
    ("after rename", 8),
    ("half a record", 1),
    ("half a record", 6),
    ("half a record", 13),  # the final record
    ("validation", 1),
    ("validation", 6),
    ("first batch of an epoch", 1),
    ("first batch of an epoch", 3),
    ("population statistics", 2),
    ("validation", 14),  # the test, after the best model was saved with its statistics
]


@pytest.fixture(scope="module", params=["mnist", pytest.param("ptb", marks=pytest.mark.slow)])
def task(request):
    return request.param


@pytest.fixture(scope="module")
def whole(tmp_path_factory, task):
    """The uninterrupted run, and how long it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    start = time.perf_counter()
    tiny_run.run(folder, tiny_run.CONFIGS[task])
    return folder, time.perf_counter() - start


def start(task, folder, moment, count=0):
    path = os.pathsep.join([str(Path(minibn.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), task, str(folder), moment, str(count)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def assert_same_run(folder, whole):
    """Every array of both checkpoints and every record are equal, the clock aside."""
    for name in ("best.npz", "last.npz"):
        ours, theirs = (tiny_run.comparable(run / name) for run in (folder, whole))
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert ours[key].dtype == theirs[key].dtype, (name, key)
            assert ours[key].tobytes() == theirs[key].tobytes(), (name, key)
    records = [without_clock(read_metrics(run / "metrics.jsonl")) for run in (folder, whole)]
    assert records[0] == records[1]
    configs = [json.loads((run / "config.json").read_text())["config"] for run in (folder, whole)]
    assert configs[0] == configs[1]


def test_the_reference_run_has_everything_that_is_interrupted(whole):
    records = read_metrics(whole[0] / "metrics.jsonl")
    kinds = [record["kind"] for record in records]
    assert kinds.count("train") == 8 and kinds.count("valid") == 4 and kinds[-1] == "final"
    assert [r["iteration"] for r in records if r["kind"] == "valid"] == [7, 14, 21, 23]
    assert read_checkpoint(whole[0] / "best.npz")["statistics_estimated"]


@pytest.mark.parametrize(("moment", "count"), [pytest.param(*moment, marks=pytest.mark.slow if k % 2 else [])
                                               for k, moment in enumerate(MOMENTS)])
def test_killed_at_a_chosen_moment(task, whole, tmp_path, moment, count):
    folder = tmp_path / "run"
    process = start(task, folder, moment, count)
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, stderr.decode()
    tiny_run.run(folder, tiny_run.CONFIGS[task], resume=True)
    assert_same_run(folder, whole[0])
    assert sorted(os.listdir(folder)) == sorted(os.listdir(whole[0]))


@pytest.mark.slow
def test_killed_at_random_moments(task, whole, tmp_path):
    """One run after another is killed, resumed, killed again, until enough kills have hit a working run."""
    rng = np.random.default_rng()
    kills, finished = 0, 0
    while kills < RANDOM_KILLS:
        folder = tmp_path / f"run{finished}"
        alive = True
        while alive and kills < RANDOM_KILLS:
            process = start(task, folder, "any")
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, whole[1]))
            process.kill()
            _, stderr = process.communicate(timeout=600)
            assert process.returncode in (0, -signal.SIGKILL), stderr.decode()
            alive = process.returncode != 0
            kills += alive
        tiny_run.run(folder, tiny_run.CONFIGS[task], resume=True)
        assert_same_run(folder, whole[0])
        finished += 1
