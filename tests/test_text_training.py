"""Training on text: the same loop on a second task, on a run of half a second (see tiny_run.py)."""

import json
import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import tiny_run
from tiny_run import TEXT_CONFIG, tiny_data

from minibn.cli import main
from minibn.data import text_corpus
from minibn.optimizers import Adam, clip_by_global_norm
from minibn.training import (
    evaluate_run,
    evaluate_whole_text,
    load,
    loop,
    make_config,
    read_metrics,
    sample_text,
    train,
    validation,
)
from minibn.training.checkpoints import read_checkpoint
from minibn.training.randomness import generator
from minibn.training.texts import TextConfig


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished tiny run on text; read only."""
    folder = tmp_path_factory.mktemp("finished") / "text"
    tiny_run.run(folder, TEXT_CONFIG)
    return folder


@pytest.fixture(scope="module")
def on_images(tmp_path_factory):
    """A finished tiny run on images."""
    folder = tmp_path_factory.mktemp("finished") / "images"
    tiny_run.run(folder)
    return folder


@pytest.fixture(autouse=True)
def small_text():
    with tiny_data():
        yield


# ------------------------------------------------------------------ settings


def test_the_papers_settings():
    common = {"clip": 1.0, "gamma": 0.1, "eps": 1e-5, "forget_bias": 1.0, "init": "orthogonal", "noise": 0.0, "seed": 1}
    ptb = {"data": "words", "length": 100, "hidden": 1000, "batch": 64, "learning_rate": 2e-3, "iterations": 39_550,
           "validate_every": 791, "validate_on": None, "population_batch": 100, "population_on": None}
    text8 = {"length": 180, "hidden": 2000, "batch": 128, "learning_rate": 1e-3, "validate_every": 500,
             "validate_on": 10_000, "population_batch": 1000, "population_on": None}
    for task, options, expected in (("ptb", {}, ptb), ("text8", {"data": "full"}, text8)):
        config = make_config(task=task, **options)
        assert {name: getattr(config, name) for name in common | expected} == common | expected
    assert make_config(task="ptb", model="rnn").init == "orthogonal"


def test_auto_is_the_text8_that_is_here():
    for part in ("full", "prefix"):
        with mock.patch("minibn.training.texts.text8_part", return_value=part):
            assert make_config(task="text8").data == part


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "wikitext"}, "task: expected one of mnist, .*, stdlib, cnn, wiki, turns, got .wikitext."),
        ({"task": "ptb", "side": 14}, "side: no such option for ptb"),
        ({"task": "pmnist", "length": 100}, "length: no such option for pmnist"),
        ({"task": "ptb", "data": "prefix"}, "data: expected one of words, chars, got 'prefix'"),
        ({"task": "ptb", "length": 1}, "length: expected at least 2, got 1"),
        ({"task": "ptb", "validate_on": 1}, "validate_on: expected at least 2"),
        ({"task": "ptb", "population_on": 0}, "population_on: expected at least 2"),
        ({"task": "ptb", "noise": math.nan}, "noise: expected a finite number"),
    ],
)
def test_refused_settings(options, message):
    with pytest.raises(ValueError, match=message):
        make_config(**options)


def test_settings_reach_model_and_optimizer():
    config = replace(TEXT_CONFIG, learning_rate=0.25, gamma=0.5)
    data = config.load_data()
    model = config.build_model(data.recorded)
    assert model.cell.input_size == len(data.vocabulary) and model.vocabulary == data.vocabulary.symbols
    assert np.all(model.params["cell.gamma_c"] == 0.5)
    optimizer = config.build_optimizer(model)
    assert type(optimizer) is Adam and optimizer.learning_rate == 0.25


# ------------------------------------------------------------------ the loop


def plain_training(iterations):
    """The protocol without the loop: one offset an epoch, shuffled segments, clipping, Adam."""
    config, data = TEXT_CONFIG, tiny_run.few_lines(TEXT_CONFIG)
    model = config.build_model(data.recorded)
    optimizer = Adam(model.params, config.learning_rate)
    losses = []
    for iteration in range(iterations):
        epoch, batch = divmod(iteration, tiny_run.BATCHES_PER_EPOCH)
        x, y = data.train.batches(config.batch, rng=generator(config.seed, "shuffle", epoch))[batch]
        loss, grads = model.loss_and_grads(x, y)
        optimizer.step(clip_by_global_norm(grads, config.clip)[0])
        losses.append(float(loss))
    return model, losses


def test_the_loop_is_the_protocol(finished):
    model, losses = plain_training(TEXT_CONFIG.iterations)
    saved = read_checkpoint(finished / "last.npz")
    for name, param in model.params.items():
        np.testing.assert_array_equal(saved[f"params/{name}"], param)
    first = read_metrics(finished / "metrics.jsonl")[0]
    assert first["loss"] == pytest.approx(np.mean(losses[:3]), rel=1e-12)


def test_selection_is_by_the_lowest_error_rate_with_batch_statistics(finished):
    records = [r for r in read_metrics(finished / "metrics.jsonl") if r["kind"] == "valid"]
    errors = [r["error_rate"] for r in records]
    best = records[errors.index(min(errors))]
    assert read_checkpoint(finished / "best.npz")["iteration"] == best["iteration"]
    model, _ = plain_training(best["iteration"])
    wrong = nats = predictions = 0
    for x, y in tiny_run.few_lines(TEXT_CONFIG).valid.batches(TEXT_CONFIG.batch):
        p = model.predict(x)
        wrong += (p.argmax(axis=-1) != y).sum()
        nats -= np.log(np.take_along_axis(p, y[..., None], axis=-1)).sum()
        predictions += y.size
    assert predictions == 13 * 7
    assert best["error_rate"] == pytest.approx(wrong / predictions, abs=1e-15)
    assert best["loss"] == pytest.approx(nats / predictions, rel=1e-6)          # float32
    assert best["bits_per_character"] == pytest.approx(best["loss"] / math.log(2), rel=1e-15)


def test_the_model_with_fewer_errors_wins_over_the_one_with_the_lower_loss(tmp_path):
    scores = iter([validation.Score(2.0, 30, 91), validation.Score(1.0, 29, 91), validation.Score(3.0, 31, 91),
                   validation.Score(0.5, 31, 91)])
    with mock.patch.object(loop, "score", side_effect=lambda *args, **kwargs: next(scores, validation.Score(9, 1, 91))):
        final = tiny_run.run(tmp_path / "run", TEXT_CONFIG)
    assert final["best_iteration"] == 21
    assert final["best_valid_bits_per_character"] == 3.0 / math.log(2)


def test_the_final_record(finished):
    final = read_metrics(finished / "metrics.jsonl")[-1]
    model, statistics = load(finished)
    assert set(statistics) == {"x", "h", "c"} and statistics["h"].mean.shape == (7, 20)
    results = evaluate_run(finished)
    result = results["Moby Dick, held-out text"]
    assert result.predictions == 11 * 7
    assert final["test_name"] == "Moby Dick, held-out text" and final["test_bits_per_character"] == result.bits
    assert final["test_error_rate"] == 1 - result.accuracy
    assert final["test_loss_batch_statistics"] == evaluate_run(finished, "batch")["Moby Dick, held-out text"].loss
    best = [r for r in read_metrics(finished / "metrics.jsonl") if r["kind"] == "valid" and r["best"]][-1]
    assert final["best_valid_bits_per_character"] == best["bits_per_character"]


def test_validation_and_population_statistics_can_use_a_part(tmp_path):
    config = replace(TEXT_CONFIG, validate_on=6, population_on=10)
    seen = []
    whole = loop.score

    def counted(model, config, split, *args, **kwargs):
        seen.append(split)
        return whole(model, config, split, *args, **kwargs)

    estimate = validation.estimate_population_statistics
    with (
        mock.patch.object(loop, "score", counted),
        mock.patch.object(validation, "estimate_population_statistics", side_effect=estimate) as estimated,
    ):
        tiny_run.run(tmp_path / "run", config)
    *validations, test, test_again = [len(split) for split in seen]
    assert validations == [6] * 4 and (test, test_again) == (11, 11)
    np.testing.assert_array_equal(seen[0].starts, seen[3].starts)               # the same segments every time
    assert len(set(seen[0].starts)) == 6 and any(np.diff(seen[0].starts) < 0)   # shuffled, none twice
    with mock.patch.object(validation, "estimate_population_statistics") as estimated:
        validation.estimate_statistics(config.build_model(tiny_run.few_lines(config).recorded), config,
                                       tiny_run.few_lines(config).train)
        batches = list(estimated.call_args[0][1]())
    assert [x.shape[1] for x, _ in batches] == [8, 2]


def test_a_plain_model_needs_no_statistics(tmp_path):
    config = replace(TEXT_CONFIG, model="lstm", iterations=7)
    final = tiny_run.run(tmp_path / "run", config)
    assert final["test_loss"] == final["test_loss_batch_statistics"]
    assert sample_text(tmp_path / "run", "Call", 5).startswith("Call")
    assert evaluate_whole_text(tmp_path / "run")


def test_another_text_is_refused():
    corpus = tiny_run.few_lines(TEXT_CONFIG)
    with mock.patch("minibn.training.texts.load_ptb", return_value=corpus) as load_ptb:
        assert tiny_run.load_text(TEXT_CONFIG, corpus.recorded) is corpus
        load_ptb.assert_called_with(8, "words")
        with pytest.raises(ValueError, match="Moby Dick: the run was made on another text, SHA-256 1111"):
            tiny_run.load_text(TEXT_CONFIG, {**corpus.recorded, "text_sha256": "1" * 64})


def test_resuming_on_another_text_names_the_text(tmp_path):
    """Not the shape of a parameter, which another alphabet changes too."""
    folder, longer = tmp_path / "run", replace(TEXT_CONFIG, iterations=30)
    tiny_run.run(folder, TEXT_CONFIG)
    other = text_corpus("an alphabet of a few letters " * 40, length=8)
    with (
        mock.patch("minibn.training.texts.load_ptb", return_value=other),
        mock.patch.object(TextConfig, "load_data", tiny_run.load_text),
        pytest.raises(ValueError, match="the run was made on another text, SHA-256 0000"),
    ):
        train(longer, folder, resume=True, progress="none")


# ------------------------------------------------------------------ evaluation


def test_segments_of_any_length(finished):
    results = evaluate_run(finished, lengths=[4, 20])
    assert list(results) == ["Moby Dick, held-out text, length 4", "Moby Dick, held-out text, length 20"]
    assert [r.predictions for r in results.values()] == [22 * 3, 4 * 19]
    model, statistics = load(finished)
    x, y = tiny_run.few_lines(TEXT_CONFIG).test.with_length(20).batch([0, 20, 40, 60])
    loss = float(model.loss(x, y, statistics=statistics))                       # 7 rows of statistics, 19 steps
    assert results["Moby Dick, held-out text, length 20"].loss == pytest.approx(loss, rel=1e-6)
    [averaged] = evaluate_run(finished, "averaged", lengths=[20]).values()
    assert averaged.loss != results["Moby Dick, held-out text, length 20"].loss


def test_the_whole_text_as_one_sequence(finished):
    [result] = evaluate_whole_text(finished).values()
    model, statistics = load(finished)
    model = model.map_params(lambda param: param.astype("float64"))
    codes = tiny_run.few_lines(TEXT_CONFIG).test.codes
    loss = float(model.loss(codes[:-1, None], codes[1:, None], statistics=statistics))
    assert result.predictions == len(codes) - 1
    assert result.loss == pytest.approx(loss, rel=1e-12)
    for piece_steps in (1, 7, 10_000):
        [again] = evaluate_whole_text(finished, piece_steps=piece_steps).values()
        assert again.loss == pytest.approx(loss, rel=1e-12)
    with mock.patch("minibn.training.evaluation.Display") as display:
        evaluate_whole_text(finished, piece_steps=40)
    advanced = [call.args[0] for call in display.return_value.advance.call_args_list]
    assert advanced == [40, 40, 10] and display.call_args.args[2] == 90
    [averaged] = evaluate_whole_text(finished, "averaged").values()
    assert averaged.loss != result.loss


def test_what_cannot_be_evaluated(finished, on_images):
    with pytest.raises(ValueError, match="statistics: expected population or averaged, got 'batch'"):
        evaluate_whole_text(finished, "batch")
    with pytest.raises(ValueError, match="expected a run on text, got one on images"):
        evaluate_whole_text(on_images)
    with pytest.raises(ValueError, match="lengths: expected a run on text"):
        evaluate_run(on_images, lengths=[100])
    with pytest.raises(ValueError, match="longer than the text of 91 characters"):
        evaluate_run(finished, lengths=[92])


# ------------------------------------------------------------------ sampling


def test_sampled_text(finished, on_images):
    text = sample_text(finished, "Call me", 40, seed=3)
    assert len(text) == 47 and text.startswith("Call me")
    assert text == sample_text(finished, "Call me", 40, seed=3) != sample_text(finished, "Call me", 40, seed=4)
    model, statistics = load(finished)
    vocabulary = tiny_run.few_lines(TEXT_CONFIG).vocabulary
    codes = model.sample(vocabulary.encode("Call me"), 40, 1.0, rng=3, statistics=statistics)
    assert vocabulary.decode(codes) == text[7:]
    with pytest.raises(ValueError, match="found 'Z' at position 1"):
        sample_text(finished, "aZ")
    with pytest.raises(ValueError, match="prompt: expected at least one symbol"):
        sample_text(finished, "")
    with pytest.raises(ValueError, match="temperature"):
        sample_text(finished, "Call", temperature=0.0)
    with pytest.raises(ValueError, match="expected a run on text, got one on images"):
        sample_text(on_images)


# ------------------------------------------------------------------ the command line


def test_the_commands(tmp_path, capsys):
    folder = str(tmp_path / "run")
    options = ["--hidden", "4", "--batch", "4", "--iterations", "6", "--validate-every", "3", "--length", "8",
               "--population-batch", "8"]
    assert main(["train", "ptb", "--run", folder, *options]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{folder}: Moby Dick, held-out text: ") and "bits per character" in captured.out
    assert "with population statistics" in captured.out and captured.err.count("bits per character") == 3
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["config"]["length"] == 8 and config["made_with"]["data_sha256"] == {"Moby Dick": "0" * 64}
    assert main(["evaluate", folder, "--length", "4", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Moby Dick, held-out text, length 4: ")
    assert lines[1].endswith("right), population statistics")
    assert main(["evaluate", folder, "--whole"]) == 0
    assert capsys.readouterr().out.startswith("Moby Dick, held-out text, one sequence: ")
    assert main(["sample", folder, "--prompt", "Call", "--length", "9"]) == 0
    assert len(capsys.readouterr().out) == 4 + 9 + 1
    assert main(["train", "mnist", "--run", folder, "--resume", "--side", "14"]) == 2
    assert "task: expected the run's 'ptb' with --resume, got 'mnist'" in capsys.readouterr().err
