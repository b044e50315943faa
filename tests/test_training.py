"""The training loop and everything a run consists of, on a run of half a second (see tiny_run.py)."""

import errno
import io
import json
import math
import os
import shutil
import signal
from dataclasses import fields, replace
from unittest import mock

import numpy as np
import pytest
import tiny_run
from tiny_run import CONFIG, stop_at, tiny_data

from minibn.equations.losses import softmax_cross_entropy_forward
from minibn.optimizers import RMSProp, clip_by_global_norm
from minibn.statistics import PopulationStatistics
from minibn.training import (
    Interrupted,
    checkpoints,
    display,
    evaluate_run,
    evaluate_whole_text,
    evaluation,
    load,
    loop,
    make_config,
    read_config,
    read_metrics,
    resumed_config,
    sample_text,
    train,
    without_clock,
)
from minibn.training.checkpoints import read_checkpoint, write_atomically, write_checkpoint
from minibn.training.display import Display
from minibn.training.folder import HeldFolder
from minibn.training.images import ImageConfig
from minibn.training.metrics import MetricsFile
from minibn.training.packing import pack_model, unpack_model
from minibn.training.randomness import PURPOSES, generator, normal
from minibn.training.runs import load_best
from minibn.training.validation import estimate_statistics, score


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


# ------------------------------------------------------------------ settings


def test_defaults_are_the_papers():
    config = make_config()
    expected = {
        "hidden": 100,
        "batch": 100,
        "iterations": 100_000,
        "learning_rate": 1e-3,
        "rmsprop_decay": 0.9,
        "clip": 1.0,
        "gamma": 0.1,
        "eps": 1e-5,
        "forget_bias": 1.0,
        "validate_every": 500,
        "population_batch": 5000,
        "seed": 1,
        "data": "mnist",
        "side": 28,
        "cell_offset": False,
        "dtype": "float32",
    }
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("task", "model", "noise", "init", "index_map"),
    [
        ("mnist", "bnlstm", 0.1, "identity_g", "in_order"),
        ("mnist", "bnrnn", 0.1, "identity", "in_order"),
        ("mnist", "lstm", 0.0, "identity_g", "in_order"),
        ("pmnist", "bnlstm", 0.0, "identity_g", "permutation"),
        ("pmnist", "rnn", 0.0, "identity", "permutation"),
    ],
)
def test_what_auto_stands_for(task, model, noise, init, index_map):
    config = make_config(task=task, model=model)
    assert (config.noise, config.init, config.index_map) == (noise, init, index_map)
    assert make_config(task=task, model=model, noise=0.25).noise == 0.25
    assert make_config(task=task, model=model, noise=0).noise == 0


def test_options_win_over_the_preset():
    assert make_config("quick").data == "subset"
    config = make_config("quick", iterations=5)
    assert (config.iterations, config.side) == (5, 14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "slow"}, "preset: expected one of paper, quick, got 'slow'"),
        ({"speed": 3}, "speed: no such option"),
        ({"model": "gru"}, "model: expected one of rnn, .*, lstm, bnlstm, or FILE.py:NAME, got 'gru'"),
        ({"iterations": 2.5}, "iterations: expected an integer, got 2.5"),
        ({"iterations": True}, "iterations: expected an integer, got True"),
        ({"iterations": 0}, "iterations: expected at least 1, got 0"),
        ({"batch": 1}, "batch: expected at least 2, got 1; one example alone has no variance"),
        ({"learning_rate": -1.0}, "learning_rate: expected a finite number above 0"),
        ({"eps": math.nan}, "eps: expected a finite number in float32, got nan"),
        ({"eps": 0}, "eps: expected a finite number above 0"),
        ({"gamma": 0}, "gamma: expected a finite number above 0"),
        ({"rmsprop_decay": 1.0}, r"rmsprop_decay: expected a number in \[0, 1\) in float32"),
        ({"noise": -0.1}, "noise: expected a finite number of at least 0"),
        ({"forget_bias": math.inf}, "forget_bias: expected a finite number"),
        ({"seed": -1}, "seed: expected at least 0"),
        ({"task": "mnist", "index_map": "permutation"}, "index_map: 'permutation' does not belong to task 'mnist'"),
        ({"side": 14, "index_map": "authors_seed1"}, "index_map: authors_seed1 is a map of 28x28 images"),
        ({"model": "rnn", "init": "identity_g"}, "init: model 'rnn' takes orthogonal, identity, got 'identity_g'; use"),
        ({"cell_offset": True}, "cell_offset: model 'bnlstm' has no such option, only gamma, .*; got True, leave it"),
        ({"clip": "1"}, "clip: expected a finite number above 0 in float32, got '1'"),
        ({"dtype": 32}, "dtype: expected str, got 32"),
        # what the dtype of the run cannot hold
        ({"gamma": 1e300}, "gamma: expected a finite number"),
        ({"forget_bias": -1e39}, "forget_bias: expected a finite number"),
        ({"learning_rate": 1e-60}, "learning_rate: expected a finite number above 0"),
        ({"learning_rate": 10**400, "dtype": "float64"}, "learning_rate: expected .* got an integer of 1329 bits"),
        ({"rmsprop_decay": 1 - 1e-9}, "rmsprop_decay: expected a number in"),
        ({"population_batch": 10**20}, "population_batch: expected at most 9223372036854775807"),
        ({"hidden": np.bool_(True)}, "hidden: expected an integer"),
        ({"model": "bnrnn", "forget_bias": 0.0}, "forget_bias: model 'bnrnn' has no such option, only gamma"),
        ({"model": "lstm", "gamma": 0.3}, "gamma: model 'lstm' has no such option, only cell_offset"),
    ],
)
def test_refused_settings(options, message):
    with pytest.raises(ValueError, match=message):
        make_config(**options)


def test_numbers_of_numpy_are_numbers():
    config = make_config(hidden=np.int64(32), side=np.int32(14), gamma=np.float32(0.5), cell_offset=np.bool_(False))
    assert json.loads(json.dumps(config.to_dict())) == make_config(hidden=32, side=14, gamma=0.5).to_dict()


def test_every_setting_explains_itself():
    for f in fields(ImageConfig):
        assert f.metadata["help"], f.name


def test_settings_reach_the_model():
    config = make_config("quick", hidden=3, gamma=0.25, eps=1e-3, forget_bias=2.0, init="orthogonal", dtype="float64")
    model = config.build_model(None)
    assert model.cell.hidden_size == 3 and model.cell.eps == 1e-3 and model.dtype == np.float64
    assert np.all(model.params["cell.gamma_h"] == 0.25)
    np.testing.assert_array_equal(model.params["cell.b"], [2.0] * 3 + [0.0] * 9)  # blocks f, i, o, g
    W_h = model.params["cell.W_h"]
    np.testing.assert_allclose(W_h @ W_h.T, np.eye(3), atol=1e-12)
    W_h = make_config("quick", hidden=3).build_model(None).params["cell.W_h"]
    np.testing.assert_array_equal(W_h[:, 9:], np.eye(3))
    plain = {
        True: make_config("quick", model="lstm", cell_offset=True, hidden=3).build_model(None),
        False: make_config("quick", model="lstm", hidden=3).build_model(None),
    }
    assert set(plain[True].params) - set(plain[False].params) == {"cell.beta_c"}
    other_seed = make_config("quick", hidden=3, seed=2).build_model(None).params["cell.W_h"]
    assert not np.array_equal(W_h, other_seed)


# ------------------------------------------------------------------ random numbers


def test_random_numbers_depend_on_seed_purpose_and_index_only():
    assert len(set(PURPOSES.values())) == len(PURPOSES)
    draws = {
        (seed, purpose, index): generator(seed, purpose, index).random()
        for seed in (1, 2)
        for purpose in PURPOSES
        for index in (0, 1)
    }
    assert len(set(draws.values())) == len(draws)
    assert generator(2, "shuffle", 1).random() == draws[2, "shuffle", 1]


def test_noise_has_the_size_and_type_asked_for():
    noise = normal((400, 50), 0.1, "float32", 1, "training noise", 7)
    assert noise.dtype == np.float32 and noise.shape == (400, 50)
    assert abs(noise.std() - 0.1) < 0.003  # 20,000 draws: the standard error is 0.0005
    assert abs(noise.mean()) < 0.004
    assert normal((4, 5), 0.0, "float32", 1, "training noise", 7) is None


# ------------------------------------------------------------------ the loop


def plain_training(iterations):
    """The protocol without the loop: minibatches, noise on h0, clipping, RMSProp."""
    config, data = CONFIG, tiny_run.few_images(CONFIG)
    model = config.build_model(None)
    optimizer = RMSProp(model.params, config.learning_rate, config.rmsprop_decay)
    losses = []
    for iteration in range(iterations):
        epoch, batch = divmod(iteration, tiny_run.BATCHES_PER_EPOCH)
        x, y = data.train.batches(config.batch, rng=generator(config.seed, "shuffle", epoch))[batch]
        noise = normal((len(y), config.hidden), 0.1, "float32", config.seed, "training noise", iteration + 1)
        loss, grads = model.loss_and_grads(x, y, initial_noise=noise)
        optimizer.step(clip_by_global_norm(grads, config.clip)[0])
        losses.append(float(loss))
    return model, losses


def test_the_loop_is_the_protocol(finished):
    model, losses = plain_training(CONFIG.iterations)
    saved = read_checkpoint(finished / "last.npz")
    for name, param in model.params.items():
        np.testing.assert_array_equal(saved[f"params/{name}"], param)
    records = [r for r in read_metrics(finished / "metrics.jsonl") if r["kind"] == "train"]
    assert [r["iteration"] for r in records] == [3, 6, 9, 12, 15, 18, 21, 23]
    starts = [0, *(r["iteration"] for r in records)]
    for start, record in zip(starts, records, strict=False):
        assert record["loss"] == pytest.approx(np.mean(losses[start : record["iteration"]]), rel=1e-12)
        assert record["grad_norm"] > 0


def test_an_epoch_uses_every_image_once_and_each_epoch_is_shuffled_anew():
    with tiny_data():
        training = loop._Training(CONFIG, None)
    data = training.data.train
    known = {data.images[i].tobytes(): i for i in range(len(data))}
    order = []
    for iteration in range(1, 2 * tiny_run.BATCHES_PER_EPOCH + 1):
        x, _ = training.batch(iteration)
        pixels = np.rint(x[:, :, 0].T * data.white).astype(data.images.dtype)
        order += [known[np.ascontiguousarray(row).tobytes()] for row in pixels]
    first, second = order[: len(data)], order[len(data) :]
    assert sorted(first) == sorted(second) == list(range(len(data)))
    assert first != second and first != sorted(first)


def test_validation_uses_batch_statistics_and_the_best_is_the_earliest_of_equals(finished):
    records = [r for r in read_metrics(finished / "metrics.jsonl") if r["kind"] == "valid"]
    accuracies = [r["accuracy"] for r in records]
    best = accuracies.index(max(accuracies))
    assert [r["best"] for r in records] == [a > max([-1, *accuracies[:i]]) for i, a in enumerate(accuracies)]
    assert read_checkpoint(finished / "best.npz")["iteration"] == records[best]["iteration"]
    # the best model, batch by batch, with the statistics of each batch
    model, _ = plain_training(records[best]["iteration"])
    valid = tiny_run.few_images(CONFIG).valid
    noise = normal((len(valid), CONFIG.hidden), 0.1, "float32", CONFIG.seed, "validation noise")
    correct, start = 0, 0
    for x, y in valid.batches(CONFIG.batch):
        correct += int((model.predict(x, initial_noise=noise[start : start + len(y)]).argmax(axis=1) == y).sum())
        start += len(y)
    assert correct / len(valid) == max(accuracies)


def test_equal_accuracies_keep_the_first_model(tmp_path):
    same = mock.Mock(return_value=loop.score.__globals__["Score"](2.3, 4, 13))
    with mock.patch.object(loop, "score", same):
        tiny_run.run(tmp_path / "run")
    assert read_checkpoint(tmp_path / "run" / "best.npz")["iteration"] == 7


def test_the_final_numbers_are_those_of_the_best_model_with_population_statistics(finished):
    final = read_metrics(finished / "metrics.jsonl")[-1]
    assert final["kind"] == "final" and final["test_name"] == "held-out images"
    model, statistics = load(finished)
    data = tiny_run.few_images(CONFIG)
    again = estimate_statistics(model, CONFIG, data.train)
    for term, pair in again.items():
        for ours, saved in zip(pair, statistics[term], strict=True):
            np.testing.assert_array_equal(ours, saved)
    assert set(statistics) == {"x", "h", "c"} and statistics["h"].mean.shape == (28, 20)
    x, y = data.test.batch(np.arange(len(data.test)))
    noise = normal((len(y), CONFIG.hidden), 0.1, "float32", CONFIG.seed, "test noise")
    logits = model.logits(x, statistics=statistics, initial_noise=noise)
    assert final["test_loss"] == pytest.approx(float(softmax_cross_entropy_forward(logits, y)[0]), rel=1e-6)
    assert final["test_accuracy"] == (logits.argmax(axis=1) == y).mean()
    assert final["test_loss_batch_statistics"] != final["test_loss"]
    assert final["best_valid_accuracy"] == max(
        r["accuracy"] for r in read_metrics(finished / "metrics.jsonl") if r["kind"] == "valid"
    )


def test_a_score_with_given_statistics_does_not_depend_on_the_batch_size(finished):
    model, statistics = load(finished)
    test = tiny_run.few_images(CONFIG).test
    one, two = (score(model, CONFIG, test, "test noise", statistics, size) for size in (2, 11))
    assert one.correct == two.correct
    assert one.loss == pytest.approx(two.loss, rel=1e-6)  # float32, other batch sizes in the matrix products
    assert one == score(model, CONFIG, test, "test noise", statistics, 2)  # the noise is drawn anew, the same


def test_population_statistics_average_over_batches_of_the_size_asked_for():
    data, model = tiny_run.few_images(CONFIG), CONFIG.build_model(None)
    batches = [data.train.batch(indices) for indices in np.split(np.arange(21), [8, 16])]
    with mock.patch("minibn.training.validation.estimate_population_statistics") as estimate:
        estimate_statistics(model, CONFIG, data.train)
        (_, given), options = estimate.call_args
        given = list(given())
    assert [len(y) for _, y in given] == [8, 8, 5]
    for (x, y), (expected_x, expected_y) in zip(given, batches, strict=True):
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)
    draw = options["draw_noise"]
    assert draw(0, 8).shape == (8, 5) and not np.array_equal(draw(0, 8), draw(1, 8))
    np.testing.assert_array_equal(draw(1, 8), draw(1, 8))


def test_validation_and_population_statistics_can_use_a_part_of_the_images(tmp_path):
    config = replace(CONFIG, validate_on=6, population_on=10, iterations=7)
    seen, whole = [], loop.score

    def watched(model, config, split, *args, **kwargs):
        seen.append(split)
        return whole(model, config, split, *args, **kwargs)

    with mock.patch.object(loop, "score", watched), tiny_data():
        train(config, tmp_path / "run", progress="none")
    assert [len(split) for split in seen] == [6, 11, 11]                        # validation, test, test
    valid = tiny_run.few_images(config).valid
    known = {row.tobytes(): label for row, label in zip(valid.images, valid.labels, strict=True)}
    chosen = [row.tobytes() for row in seen[0].images]
    assert len(set(chosen)) == 6                                                # none twice, each with its label
    assert [known[row] for row in chosen] == list(seen[0].labels)


def test_a_model_without_batch_normalization_has_no_statistics(tmp_path):
    config = replace(CONFIG, model="lstm", noise=0.0, iterations=4)
    with tiny_data():
        final = train(config, tmp_path / "run", progress="none")
    model, statistics = load(tmp_path / "run")
    assert statistics == PopulationStatistics() and model.terms == ()
    assert final["test_loss"] == final["test_loss_batch_statistics"]


@pytest.mark.parametrize("settings", [
    {"model": "bnrnn_two_term"}, {"model": "bnrnn_two_term", "input_statistics": "sequence"},
    {"model": "bnlstm", "input_statistics": "sequence"}, {"model": "bnlstm", "layers": 2, "engine": "equations"},
    {"model": "lstm", "layers": 3}, {"task": "ptb", "length": 8, "model": "bnlstm", "layers": 2},
])  # fmt: skip
def test_every_cell_option_and_number_of_layers_trains_resumes_and_is_evaluated(tmp_path, settings):
    config = make_config("quick", **{"task": "mnist", **tiny_run.SMALL, **settings})
    final = tiny_run.run(tmp_path / "whole", config)
    with stop_at(10), pytest.raises(RuntimeError):
        tiny_run.run(tmp_path / "run", config)
    tiny_run.run(tmp_path / "run", config, resume=True)
    ours, whole = (tiny_run.comparable(tmp_path / folder / "last.npz") for folder in ("run", "whole"))
    assert ours.keys() == whole.keys() and all(np.array_equal(ours[key], whole[key]) for key in whole)
    model, statistics = load(tmp_path / "run")
    assert set(statistics) == set(model.terms) and len(list(model.cell.leaves())) == config.layers
    with tiny_data():
        assert [score.loss for score in evaluate_run(tmp_path / "run").values()][1] == final["test_loss"]
        assert all(math.isfinite(score.loss) for score in evaluate_run(tmp_path / "run", "averaged").values())
        if config.kind == "text":
            assert sample_text(tmp_path / "run", "Call", 5).startswith("Call") and evaluate_whole_text(tmp_path / "run")
    assert config.title.endswith(f"of {config.layers} layers") == (config.layers > 1)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(finished, tmp_path):
    tiny_run.run(tmp_path / "again")
    with tiny_data():
        train(replace(CONFIG, seed=4), tmp_path / "other", progress="none")
    first, again, other = (
        without_clock(read_metrics(folder / "metrics.jsonl"))
        for folder in (finished, tmp_path / "again", tmp_path / "other")
    )
    assert first == again
    assert first != other


def test_the_order_of_the_pixels_is_saved_and_used_again(tmp_path):
    config = make_config("quick", task="pmnist", hidden=3, iterations=1, batch=50, dtype="float64")
    order = config.load_data().order
    assert sorted(order) == list(range(196)) and not np.array_equal(order, np.arange(196))
    other = config.load_data({"order": order[::-1]})
    np.testing.assert_array_equal(other.order, order[::-1])
    assert not np.array_equal(replace(config, seed=2).load_data().order, order)
    np.testing.assert_array_equal(replace(config, task="mnist", index_map="in_order").load_data().order, range(196))


# ------------------------------------------------------------------ resuming


def test_stopped_and_resumed_equals_uninterrupted(finished, tmp_path):
    with stop_at(10), pytest.raises(RuntimeError):
        tiny_run.run(tmp_path / "run")
    assert read_checkpoint(tmp_path / "run" / "last.npz")["progress/iteration"] == 8
    tiny_run.run(tmp_path / "run", resume=True)
    ours, whole = (tiny_run.comparable(folder / "last.npz") for folder in (tmp_path / "run", finished))
    for key in whole:
        np.testing.assert_array_equal(ours[key], whole[key])
    assert without_clock(read_metrics(tmp_path / "run" / "metrics.jsonl")) == without_clock(
        read_metrics(finished / "metrics.jsonl")
    )


def test_time_adds_up_over_sittings(tmp_path):
    with stop_at(8), pytest.raises(RuntimeError):
        tiny_run.run(tmp_path / "run")
    before = read_checkpoint(tmp_path / "run" / "last.npz")["progress/seconds"]
    tiny_run.run(tmp_path / "run", resume=True)
    seconds = [record["seconds"] for record in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert seconds == sorted(seconds) and seconds[-1] > before > 0


def test_resuming_where_there_is_no_run_starts_one(tmp_path):
    final = tiny_run.run(tmp_path / "new" / "run", resume=True)
    assert final["iteration"] == 23


def test_a_finished_run_is_left_alone_and_can_be_continued(run_folder, finished, tmp_path, capsys):
    before = {file.name: file.read_bytes() for file in run_folder.iterdir()}
    final = tiny_run.run(run_folder, resume=True)
    assert "this run is finished" in capsys.readouterr().err
    assert final == read_metrics(finished / "metrics.jsonl")[-1]
    assert {file.name: file.read_bytes() for file in run_folder.iterdir()} == before
    with tiny_data():
        longer = replace(CONFIG, iterations=28)
        train(longer, run_folder, resume=True, progress="none")
        train(longer, tmp_path / "whole", progress="none")
    kinds = [record["kind"] for record in read_metrics(run_folder / "metrics.jsonl")]
    assert kinds.count("final") == 1 and kinds[-1] == "final"
    continued, whole = (read_checkpoint(folder / "last.npz") for folder in (run_folder, tmp_path / "whole"))
    for key in whole:
        if key.startswith(("params/", "optimizer/")):
            np.testing.assert_array_equal(continued[key], whole[key])
    assert read_config(run_folder)[0].iterations == 28


def test_an_existing_run_is_never_overwritten(run_folder):
    before = {file.name: file.read_bytes() for file in run_folder.iterdir()}
    with pytest.raises(FileExistsError, match="there is a run here already; continue it with --resume, or name"):
        tiny_run.run(run_folder)
    assert {file.name: file.read_bytes() for file in run_folder.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 6}, "hidden: expected the run's 5 with --resume, got 6"),
        ({"model": "lstm", "noise": 0.0}, "model: expected the run's 'bnlstm' with --resume, got 'lstm'"),
        ({"iterations": 22}, "iterations: expected at least the run's 23 with --resume, got 22"),
    ],
)
def test_resuming_with_other_settings_is_refused(run_folder, changes, message):
    with tiny_data(), pytest.raises(ValueError, match=message):
        train(replace(CONFIG, **changes), run_folder, resume=True, progress="none")


def test_what_the_user_asks_for_on_resuming_must_agree_with_the_run(run_folder):
    assert resumed_config(run_folder) == CONFIG
    assert resumed_config(run_folder, task="mnist", noise=0.1, iterations=40).iterations == 40
    with pytest.raises(ValueError, match="task: expected the run's 'mnist'"):
        resumed_config(run_folder, task="pmnist")
    with pytest.raises(ValueError, match="data: expected the run's 'subset'"):
        resumed_config(run_folder, data="mnist")
    with pytest.raises(ValueError, match="iterations: expected at least the run's 23 .* got 10"):
        resumed_config(run_folder, iterations=10)


def test_two_processes_in_one_folder_are_refused(run_folder):
    with HeldFolder(run_folder), pytest.raises(OSError, match="another process is training in this folder; wait"):
        tiny_run.run(run_folder, resume=True)
    tiny_run.run(run_folder, resume=True)


def test_a_checkpoint_of_another_run_is_refused(run_folder, tmp_path):
    with tiny_data():
        train(replace(CONFIG, seed=9, iterations=2), tmp_path / "other", progress="none")
    (run_folder / "last.npz").write_bytes((tmp_path / "other" / "last.npz").read_bytes())
    with pytest.raises(ValueError, match="iterations: expected at least|seed: expected the run's"):
        tiny_run.run(run_folder, resume=True)


# ------------------------------------------------------------------ numbers that are not finite


def poisoned(name, iteration):
    """A context in which that iteration's update makes one parameter NaN."""
    step = RMSProp.step

    def poisoning(self, grads):
        step(self, grads)
        if self.steps == iteration:
            self.params[name][...] = np.nan

    return mock.patch.object(RMSProp, "step", poisoning)


@pytest.mark.parametrize(
    ("iteration", "noticed", "saved", "what"),
    [
        (5, 6, 4, "the loss"),  # seen at the next record
        (8, 8, 7, "a parameter"),  # the loss was still finite: seen when the checkpoint is due
        (14, 14, 12, "the loss on the validation set"),
    ],
)
def test_not_finite_stops_training_before_anything_is_saved(tmp_path, iteration, noticed, saved, what):
    folder = tmp_path / "run"
    message = f"{what} is not finite at iteration {noticed} .*last.npz, iteration {saved}; use another learning rate"
    with poisoned("cell.W_h", iteration), pytest.raises(FloatingPointError, match=message):
        tiny_run.run(folder)
    for name in ("last.npz", "best.npz")[: 2 if saved > 7 else 1]:
        for array in read_checkpoint(folder / name).values():
            assert array.dtype.kind not in "f" or np.isfinite(array).all()
    for record in read_metrics(folder / "metrics.jsonl"):
        assert record["kind"] != "train" or math.isfinite(record["loss"])
    tiny_run.run(folder, resume=True)  # nothing was lost


def test_a_gradient_that_is_not_finite_stops_training(tmp_path):
    def clip(grads, threshold):
        clipped, norm = clip_by_global_norm(grads, threshold)
        return clipped, norm * np.float32(np.inf)

    message = "the norm of the gradient is not finite at iteration 3"
    clipping = mock.patch("minibn.training.config.clip_by_global_norm", clip)
    with clipping, pytest.raises(FloatingPointError, match=message):
        tiny_run.run(tmp_path / "run")


def test_without_noise_on_ordered_pixels_the_error_names_the_remedy(tmp_path):
    config = replace(CONFIG, noise=0.0)
    message = r"a BN model needs noise on h0 \(0.1\)"
    with tiny_data(), poisoned("cell.b", 2), pytest.raises(FloatingPointError, match=message):
        train(config, tmp_path / "run", progress="none")


# ------------------------------------------------------------------ Ctrl-C


def test_interrupting_saves_the_iteration_and_loses_nothing(finished, tmp_path, capsys):
    iterate = loop._Training.iterate

    def interrupting(self):
        iterate(self)
        if self.progress.iteration == 10:
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "run"
    with mock.patch.object(loop._Training, "iterate", interrupting), pytest.raises(Interrupted, match="iteration 10"):
        tiny_run.run(folder)
    assert "saving after this iteration" in capsys.readouterr().err
    assert read_checkpoint(folder / "last.npz")["progress/iteration"] == 10
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    tiny_run.run(folder, resume=True)
    assert without_clock(read_metrics(folder / "metrics.jsonl")) == without_clock(
        read_metrics(finished / "metrics.jsonl")
    )


def test_a_second_interrupt_stops_at_once(tmp_path):
    iterate = loop._Training.iterate

    def interrupting(self):
        iterate(self)
        if self.progress.iteration == 10:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "run"
    with mock.patch.object(loop._Training, "iterate", interrupting), pytest.raises(KeyboardInterrupt) as caught:
        tiny_run.run(folder)
    assert not isinstance(caught.value, Interrupted)
    assert read_checkpoint(folder / "last.npz")["progress/iteration"] == 8


# ------------------------------------------------------------------ checkpoints


ARRAYS = {"a/b.c": np.arange(6.0).reshape(2, 3), "n": np.asarray(3), "text": "words", "empty": np.zeros((0, 2))}


def test_a_checkpoint_comes_back_as_it_went(tmp_path):
    path = tmp_path / "x.npz"
    write_checkpoint(path, {**ARRAYS, "strided": np.arange(10)[::3], "fortran": np.asfortranarray(np.eye(3, 2))})
    arrays = read_checkpoint(path)
    np.testing.assert_array_equal(arrays["a/b.c"], ARRAYS["a/b.c"])
    np.testing.assert_array_equal(arrays["strided"], [0, 3, 6, 9])
    np.testing.assert_array_equal(arrays["fortran"], np.eye(3, 2))
    assert arrays["n"] == 3 and str(arrays["text"]) == "words" and arrays["empty"].shape == (0, 2)
    first = path.read_bytes()
    write_checkpoint(path, {**ARRAYS, "strided": np.arange(10)[::3], "fortran": np.asfortranarray(np.eye(3, 2))})
    assert path.read_bytes() == first


def test_every_cut_and_every_flipped_byte_of_a_checkpoint_is_noticed(tmp_path):
    path = tmp_path / "x.npz"
    write_checkpoint(path, ARRAYS)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in [0, 1, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"x\.npz: damaged, truncated, or not a checkpoint.*restore it"):
            read_checkpoint(path)
    unnoticed = 0
    for position in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        try:
            arrays = read_checkpoint(path)
        except ValueError as error:
            assert "x.npz" in str(error)
        else:  # a byte of the zip format that nobody reads, such as a time stamp: then the content is the old one
            unnoticed += 1
            np.testing.assert_array_equal(arrays["a/b.c"], ARRAYS["a/b.c"])
            assert arrays["n"] == 3 and str(arrays["text"]) == "words" and arrays["empty"].shape == (0, 2)
    assert unnoticed < 100


def test_a_member_that_was_exchanged_is_noticed_by_the_checksum(tmp_path):
    path = tmp_path / "x.npz"
    write_checkpoint(path, ARRAYS)
    with np.load(path) as file:
        members = dict(file)
    members["a/b.c"] = members["a/b.c"] + 1
    np.savez(path, **members)  # a sound zip file with another content
    with pytest.raises(ValueError, match="does not match its own SHA-256"):
        read_checkpoint(path)


def test_other_files_are_no_checkpoints(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(FileNotFoundError, match="no checkpoint here"):
        read_checkpoint(path)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="not a checkpoint of minibn"):
        read_checkpoint(path)
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="not a checkpoint of minibn"):
        read_checkpoint(path)
    np.savez(path, a=np.array([{"pickled": 1}], dtype=object))
    with pytest.raises(ValueError, match="not a checkpoint of minibn"):
        read_checkpoint(path)


def test_a_checkpoint_of_another_model_is_refused(finished):
    arrays = read_checkpoint(finished / "best.npz")
    with pytest.raises(ValueError, match=r"x\.npz: a checkpoint of another model: parameter 'cell.beta_c' is only in"):
        unpack_model("x.npz", arrays, replace(CONFIG, model="lstm").build_model(None))
    with pytest.raises(ValueError, match=r"another model: W_y is float32 \(5, 10\) in it, but float32 \(6, 10\)"):
        unpack_model("x.npz", arrays, replace(CONFIG, hidden=6).build_model(None))
    with pytest.raises(ValueError, match="another model: W_y is float32 .* but float64"):
        unpack_model("x.npz", arrays, replace(CONFIG, dtype="float64").build_model(None))


class FullDisk:
    """A file on a disk with room for a few bytes."""

    def __init__(self, path, mode):
        self.file = open(path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, content):
        self.file.write(content[:100])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_previous_checkpoint_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "last.npz"
    write_checkpoint(path, ARRAYS)
    before = path.read_bytes()
    with mock.patch.object(checkpoints, "open", FullDisk, create=True), pytest.raises(OSError) as caught:
        write_checkpoint(path, {**ARRAYS, "n": np.asarray(4)})
    assert caught.value.errno == errno.ENOSPC
    assert "cannot write: the disk is full; the previous one is intact; make room" in str(caught.value)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["last.npz"]
    with (
        mock.patch.object(checkpoints, "open", FullDisk, create=True),
        pytest.raises(OSError, match="nothing was written"),
    ):
        write_checkpoint(tmp_path / "new.npz", ARRAYS)
    assert os.listdir(tmp_path) == ["last.npz"]


def test_a_disk_that_fills_up_during_training_loses_nothing(finished, tmp_path):
    folder, opened = tmp_path / "run", []

    def fills_up(path, mode):
        opened.append(path)
        return FullDisk(path, mode) if len(opened) >= 6 else open(path, mode)

    with (
        mock.patch.object(checkpoints, "open", fills_up, create=True),
        pytest.raises(OSError, match="the disk is full"),
    ):
        tiny_run.run(folder)
    tiny_run.run(folder, resume=True)
    assert without_clock(read_metrics(folder / "metrics.jsonl")) == without_clock(
        read_metrics(finished / "metrics.jsonl")
    )


def test_an_interrupt_while_writing_leaves_nothing_behind(tmp_path):
    with mock.patch.object(os, "replace", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x", b"content")
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------ metrics


def test_metrics_are_cut_back_and_a_torn_line_goes(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as metrics:
        for iteration in range(4):
            metrics.write("train", iteration=iteration, loss=0.1 + 0.2)
            assert len(read_metrics(path)) == iteration + 1  # there at once
        assert metrics.records == 4
    with open(path, "ab") as file:
        file.write(b'{"kind": "train", "iter')
    assert len(read_metrics(path)) == 4
    with MetricsFile(path) as metrics:
        metrics.cut_back(2)
        metrics.write("valid", iteration=9)
    assert [r["iteration"] for r in read_metrics(path)] == [0, 1, 9]
    assert path.read_bytes().endswith(b"}\n") and read_metrics(path)[0]["loss"] == 0.1 + 0.2
    with MetricsFile(path) as metrics, pytest.raises(ValueError, match="at least the 5 records .* got 3"):
        metrics.cut_back(5)


def test_metrics_on_a_full_disk(tmp_path):
    with MetricsFile(tmp_path / "metrics.jsonl") as metrics:
        raw = mock.Mock(write=mock.Mock(return_value=3))  # the disk took three bytes of the line
        with mock.patch.object(metrics, "_file", raw), pytest.raises(OSError, match="the disk is full") as caught:
            metrics.write("train", iteration=1)
    assert caught.value.errno == errno.ENOSPC and metrics.records == 0


# ------------------------------------------------------------------ the run folder


def test_config_json_says_what_the_run_was_made_with(finished):
    content = json.loads((finished / "config.json").read_text())
    assert content["config"] == CONFIG.to_dict()
    made_with = content["made_with"]
    assert set(made_with) == {
        "minibn",
        "commit",
        "numpy",
        "python",
        "system",
        "cpus",
        "threads",
        "blas_core",
        "started",
        "command",
        "data_sha256",
    }
    assert made_with["numpy"] == np.__version__
    assert list(made_with["data_sha256"]) == ["mnist_subset.npz"]


def test_a_folder_without_a_run_says_so(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"no run here \(it has no config.json\)"):
            load(folder)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json: damaged, or of another version"):
        load(tmp_path)


def test_a_run_without_a_best_model_says_so(tmp_path):
    with stop_at(5), pytest.raises(RuntimeError):
        tiny_run.run(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="this run has no best model yet"):
        load(tmp_path / "run")


def test_evaluating_a_run(finished):
    with tiny_data():
        results = {kind: evaluate_run(finished, kind) for kind in evaluation.STATISTICS}
        small = evaluate_run(finished, batch_size=3)
    final = read_metrics(finished / "metrics.jsonl")[-1]
    assert list(results["population"]) == ["validation set", "held-out images"]
    assert results["population"]["held-out images"].loss == final["test_loss"]
    assert results["population"]["held-out images"].accuracy == final["test_accuracy"]
    assert results["batch"]["held-out images"].loss == final["test_loss_batch_statistics"]
    assert results["batch"]["validation set"].accuracy == final["best_valid_accuracy"]
    assert results["averaged"]["held-out images"].loss not in {
        r["held-out images"].loss for r in (results["population"], results["batch"])
    }
    assert small["held-out images"].loss == pytest.approx(final["test_loss"], rel=1e-6)
    with pytest.raises(ValueError, match="statistics: expected one of population, batch, averaged, got 'running'"):
        evaluate_run(finished, "running")


def test_evaluating_a_run_that_ended_early_estimates_its_statistics_and_keeps_them(finished, tmp_path):
    folder = tmp_path / "run"
    with mock.patch.object(loop, "estimate_statistics", side_effect=RuntimeError), pytest.raises(RuntimeError):
        tiny_run.run(folder)
    assert load(folder).statistics is None
    with tiny_data():
        result = evaluate_run(folder)
    assert result["held-out images"].loss == read_metrics(finished / "metrics.jsonl")[-1]["test_loss"]
    ours, whole = (tiny_run.comparable(run / "best.npz") for run in (folder, finished))
    assert ours.keys() == whole.keys() and all(np.array_equal(ours[key], whole[key]) for key in whole)
    saved = (folder / "best.npz").read_bytes()
    tiny_run.run(folder, resume=True)
    assert (folder / "best.npz").read_bytes() == saved


def test_evaluating_a_run_in_training_leaves_its_files_alone(run_folder):
    arrays = read_checkpoint(run_folder / "best.npz")
    early = {name: a for name, a in arrays.items() if not name.startswith("statistics/")}
    write_checkpoint(run_folder / "best.npz", {**early, "statistics_estimated": np.asarray(False)})
    before = (run_folder / "best.npz").read_bytes()
    with tiny_data():
        with HeldFolder(run_folder):  # as the training process does
            while_training = evaluate_run(run_folder)
        assert (run_folder / "best.npz").read_bytes() == before
        estimate = evaluation.estimate_statistics

        def overtaken(*arguments):  # training ended with a better model while we estimated
            write_checkpoint(run_folder / "best.npz", {**early, "iteration": np.asarray(99)})
            return estimate(*arguments)

        with mock.patch.object(evaluation, "estimate_statistics", overtaken):
            assert evaluate_run(run_folder) == while_training
    assert read_checkpoint(run_folder / "best.npz")["iteration"] == 99


def test_a_permutation_drawn_otherwise_by_another_numpy_does_not_matter(finished, tmp_path):
    folder = tmp_path / "run"
    with stop_at(10), pytest.raises(RuntimeError):
        tiny_run.run(folder)

    def other_order(config, recorded=None):
        data = tiny_run.few_images(config)
        return data.reordered(np.arange(data.steps)[::-1]) if recorded is None else data

    with mock.patch.object(ImageConfig, "load_data", other_order):
        train(CONFIG, folder, resume=True, progress="none")
    assert without_clock(read_metrics(folder / "metrics.jsonl")) == without_clock(
        read_metrics(finished / "metrics.jsonl")
    )


def test_a_process_that_ignores_interrupts_goes_on(tmp_path):
    iterate = loop._Training.iterate

    def interrupting(self):
        iterate(self)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with mock.patch.object(loop._Training, "iterate", interrupting):
            assert tiny_run.run(tmp_path / "run")["kind"] == "final"
    finally:
        signal.signal(signal.SIGINT, before)


def test_loading_gives_the_best_parameters(finished):
    best = load_best(finished)
    saved = read_checkpoint(finished / "best.npz")
    assert best.iteration == saved["iteration"] and best.config == CONFIG
    packed = pack_model(best.config, best.model, best.recorded)
    for key, value in packed.items():
        np.testing.assert_array_equal(value, saved[key])


# ------------------------------------------------------------------ progress


def test_progress_as_lines(tmp_path, capsys):
    with tiny_data():
        train(CONFIG, tmp_path / "run", progress="auto")  # under pytest stderr is no terminal
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 5
    assert lines[0].startswith("mnist bnlstm: iteration 7/23, validation loss ")
    assert "held-out images: loss" in lines[-1] and "accuracy" in lines[-1]


def test_progress_as_a_bar(tmp_path, capsys):
    with tiny_data():
        train(CONFIG, tmp_path / "run", progress="bar")
    err = capsys.readouterr().err
    assert "23/23" in err and "mnist bnlstm: iteration 7/23, validation loss " in err


def test_progress_has_four_ways():
    with pytest.raises(ValueError, match="progress: expected one of auto, bar, lines, none, got 'loud'"):
        Display("loud", 0, 1, "x")


def test_lines_say_how_much_time_is_left(capsys, monkeypatch):
    clock = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr(display.time, "perf_counter", lambda: next(clock))
    shown = Display("lines", 10, 1000, "x")         # resumed at iteration 10
    shown.say("begins")
    shown.advance(10)
    shown.say("goes on")
    shown.advance(480)
    shown.say("half")
    shown.advance(500)
    shown.say("ends")
    assert capsys.readouterr().err.splitlines() == [
        "x: begins", "x: goes on, about 49 min left", "x: half, about 61 s left", "x: ends"]
