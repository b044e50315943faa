"""Runs that an older minibn made load, evaluate to the same numbers, and go on: with the same kernels bit for bit."""

import json
import shutil

import numpy as np
import pytest
import saved_runs

from minibn.training import load, make_config, read_config, read_metrics, train, without_clock
from minibn.training.checkpoints import read_checkpoint

SAVED = json.loads((saved_runs.FOLDER / "scores.json").read_text())
SAME_ROUNDING = saved_runs.rounding() == SAVED["rounding"]
CLOSE = 1e-3    # float32, 23 updates of RMSProp or Adam, which divide by the gradient's own size: rounding is amplified


@pytest.fixture(params=saved_runs.RUNS)
def name(request):
    # The text that comes with Python differs between its versions; a run says which one it saw.
    config, is_cut = saved_runs.RUNS[request.param]
    if not is_cut and config.task == "stdlib":
        recorded = read_checkpoint(saved_runs.FOLDER / "finished" / request.param / "best.npz")["data/text_sha256"]
        if config.load_data().recorded["text_sha256"] != str(recorded):
            pytest.skip("this Python's documentation is not the one that the run was made on")
    return request.param


def trains_alike(name):
    """Whether what trains this run rounds as it did. The LSTMs' kernels compute in another order since 2026-11-27."""
    model = saved_runs.RUNS[name][0].model
    return SAME_ROUNDING and saved_runs.training_rounding(model) == SAVED["training_rounding"][model]


def assert_same(ours, theirs, where, exact=SAME_ROUNDING):
    if exact or ours.dtype.kind != "f":
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes(), where
    else:
        np.testing.assert_allclose(ours, theirs, rtol=CLOSE, atol=CLOSE, err_msg=str(where))


def test_a_finished_run_evaluates_to_the_same_numbers(name, tmp_path):
    folder = shutil.copytree(saved_runs.FOLDER / "finished" / name, tmp_path / "run")
    for statistics, parts in saved_runs.scores(name, folder).items():
        for part, score in parts.items():
            assert_same(np.array(score), np.array(SAVED["scores"][name][statistics][part]), (statistics, part))


def test_a_run_loads_with_its_statistics(name):
    for state in ("finished", "unfinished"):
        model, statistics = load(saved_runs.FOLDER / state / name)
        arrays = read_checkpoint(saved_runs.FOLDER / state / name / "best.npz")
        for key, value in model.params.items():
            assert value.tobytes() == arrays[f"params/{key}"].tobytes()
        assert (statistics is None) == (state == "unfinished")
        assert not statistics or set(statistics) == set(model.terms)


def test_an_unfinished_run_goes_on_to_the_end_of_the_finished_one(name, tmp_path):
    folder = shutil.copytree(saved_runs.FOLDER / "unfinished" / name, tmp_path / "run")
    finished, exact = saved_runs.FOLDER / "finished" / name, trains_alike(name)
    with saved_runs.data_of(name):
        train(saved_runs.RUNS[name][0], folder, resume=True, progress="none")
    for file in ("last.npz", "best.npz"):
        ours, theirs = read_checkpoint(folder / file), read_checkpoint(finished / file)
        # Through batch statistics the gradient of h0 is rounding alone, which an optimizer makes as large as any other:
        # with other rounding it goes elsewhere.
        rounding = {key for key in theirs if "h0" in key and not exact and "bn" in name}
        for key in theirs.keys() - {"progress/seconds", "config"} - rounding:
            assert_same(ours[key], theirs[key], (file, key), exact)
    ours, theirs = (without_clock(read_metrics(run / "metrics.jsonl")) for run in (folder, finished))
    if exact:
        assert ours == theirs
    else:
        assert [record["kind"] for record in ours] == [record["kind"] for record in theirs]


def test_a_finished_run_goes_on_with_more_iterations(name, tmp_path):
    folder = shutil.copytree(saved_runs.FOLDER / "finished" / name, tmp_path / "run")
    config, _ = read_config(folder)
    with saved_runs.data_of(name):
        final = train(make_config(**{**config.to_dict(), "iterations": 30}), folder, resume=True, progress="none")
    assert final["iteration"] == 30
