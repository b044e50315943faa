"""Figure 4 and Table 4: runs on questions, read from made-up run folders, beside the published numbers."""

import json
import math
from unittest import mock

import numpy as np
import pytest

from minibn.cli import main
from minibn.models import READERS
from minibn.studies import FIGURES, drawing, figure2, question_runs, reproduce, runs, table4
from minibn.studies.output import save_figure
from minibn.studies.reference import published_curve
from minibn.training import make_config
from minibn.training.metrics import MetricsFile
from minibn.training.questions import QuestionConfig
from minibn.training.runs import start_run
from minibn.training.validation import Score

POINTS = [(500, 0.75), (1000, 0.625), (1500, 0.5)]


def write_run(folder, points=POINTS, test_error=None, predictions=None, second=10.0, **options):
    """A run folder as training leaves it: cross-entropy is twice the error, a validation every `second` seconds."""
    config = make_config(**{"task": "wiki", "preset": "quick", "data": "published", **options})
    counted = {} if predictions is None else {"predictions": predictions}
    with mock.patch.object(QuestionConfig, "data_checksums", lambda config, recorded: {"the questions": "0" * 64}):
        start_run(folder, config)
    with MetricsFile(folder / "metrics.jsonl") as metrics:
        for place, (iteration, error) in enumerate(points, start=1):
            metrics.write("train", iteration=iteration, loss=1.0, grad_norm=0.5, seconds=0.1)
            metrics.write("valid", iteration=iteration, loss=2 * error, error=error, **counted, best=True,
                          seconds=place * second)
        if test_error is not None:
            metrics.write("final", iteration=points[-1][0], best_iteration=points[-1][0], test_loss=1.0,
                          test_error=test_error, test_error_batch_statistics=0.9, seconds=99.0)
    return folder


def drawn(name, numbers, tmp_path):
    """The axes of a figure's panels, drawn from its numbers."""
    axes = []
    figure = FIGURES[name]
    save_figure(tmp_path / "picture.png", *(lambda ax, draw=draw: (axes.append(ax), draw(ax))
                                            for draw in figure.panels(numbers)), size=figure.size, columns=1)
    return axes


def test_what_is_recorded_of_a_score_says_how_many():
    config = make_config(task="turns", preset="quick")
    assert config.measures(Score(1.5, 3, 4)) == {"loss": 1.5, "error": 0.25, "predictions": 4}


def test_the_numbers_of_the_figure(tmp_path):
    folders = [write_run(tmp_path / "new", predictions=96, second=10.0, model="bn_e2"),
               write_run(tmp_path / "old", [(500, 0.5)], test_error=0.25, model="lstm")]
    text = reproduce("figure4a", tmp_path / "out", runs=folders)
    old, new = json.loads((tmp_path / "out" / "figure4a.json").read_text())     # in the order of the readers
    assert (old["run"], new["run"]) == ("old", "new")
    assert new["iteration"] == [500, 1000, 1500] and new["seconds"] == [10, 20, 30]
    assert new["error"] == [0.75, 0.625, 0.5] and new["loss"] == [1.5, 1.25, 1.0]
    assert (new["predictions"], old["predictions"]) == (96, 992)        # the older record: those it was told to take
    # sqrt(3/4 * 1/4 / 96) = sqrt(2)/32, sqrt(5/8 * 3/8 / 96) = sqrt(10)/64, sqrt(1/4 / 96); six digits are written.
    by_hand = [math.sqrt(2) / 32, math.sqrt(10) / 64, 1 / math.sqrt(384)]
    assert new["standard_error"] == pytest.approx(by_hand, rel=1e-5)
    assert (old["test_error"], new["test_error"]) == (0.25, None)
    assert text.startswith("wiki (published), statistics over live rows\n") and "n = 96, 992." in text
    assert "BN-e**, ours: 0.500 at iteration 1,500" in text and "cnn (top4), published, lowest: LSTM 0.503" in text


def test_the_median_of_the_seeds_is_drawn_in_the_band_of_its_error(tmp_path):
    for seed, shift, second in ((1, 0.0, 10.0), (2, 0.125, 30.0), (3, 0.0625, 20.0)):
        points = [(iteration, error + shift) for iteration, error in POINTS]
        write_run(tmp_path / str(seed), points, seed=seed, second=second, model="bn_e1", predictions=64)
    numbers = question_runs.compute(tmp_path / seed for seed in "123")
    updates, seconds, published = drawn("figure4a", numbers, tmp_path)
    for ax, x in ((updates, [500, 1000, 1500]), (seconds, [20, 40, 60])):
        [line], [band] = ax.lines, ax.collections
        assert line.get_xdata().tolist() == x and line.get_ydata().tolist() == [0.8125, 0.6875, 0.5625]
        corners = {(float(a), round(float(b), 9)) for a, b in band.get_paths()[0].vertices}
        wanted = {(a, round(p + sign * math.sqrt(p * (1 - p) / 64), 9)) for sign in (1, -1)
                  for a, p in zip(x, (0.8125, 0.6875, 0.5625), strict=True)}
        assert corners == wanted        # to nine digits, since a sum of floats is rounded
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["BN-e*, 3 seeds"]
    assert seconds.get_xlabel() == "training seconds" and updates.get_ylabel() == "validation error"
    assert [line.get_label() for line in published.lines] == [
        f"{READERS[name].title}, published" for name in ("lstm", "bnlstm", "bn_everywhere", "bn_e1", "bn_e2")]
    assert published.lines[3].get_color() == updates.lines[0].get_color() == drawing.COLORS["bn_e1"]
    x, y = published_curve("figure_4a", "BN-e* valid")
    assert np.array_equal(published.lines[3].get_xdata(), 1000 * x)      # the file counts thousands
    assert np.array_equal(published.lines[3].get_ydata(), y)


@pytest.mark.parametrize("name, data, other", [("figure4a", "top4", "full"), ("figure4b", "full", "top4")])
def test_runs_on_the_papers_questions_lie_over_its_curves(name, data, other, tmp_path):
    points = [(1000 * k, 0.75) for k in (1, 10, 50)]
    for form in (data, other):
        write_run(tmp_path / form, points, predictions=9, task="cnn", preset="paper", data=form, model="bn_e2")
    updates, seconds = drawn(name, question_runs.compute([tmp_path / data]), tmp_path)
    ours, published = updates.lines
    assert published.get_label() == "BN-e**, published" and published.get_xdata()[-1] <= 50_000
    assert len(seconds.lines) == 1
    numbers = question_runs.compute([tmp_path / other])
    assert [len(ax.lines) for ax in drawn(name, numbers, tmp_path)] == [1, 1, {"figure4a": 5, "figure4b": 2}[name]]
    assert "difference" in FIGURES[name].table(question_runs.compute([tmp_path / data]))
    assert "difference" not in FIGURES[name].table(numbers)


def test_a_reader_s_name_says_what_its_options_are(tmp_path):
    """BN-e* has statistics over the sequence: no label says so again, but a size that differs is told."""
    for model in READERS:
        write_run(tmp_path / model, model=model)
    write_run(tmp_path / "large", model="bn_e1", hidden=48)
    found = question_runs.compute(tmp_path / name for name in (*READERS, "large"))
    labels = [label for label, _ in runs.alike([run for run in found if run["settings"]["hidden"] == 32])]
    assert labels == [reader.title for reader in READERS.values()]
    assert "BN-e*, hidden 48" in [label for label, _ in runs.alike(found)]


def test_the_first_time_an_error_is_reached():
    iterations, errors = np.array([500, 1000, 1500, 2000]), np.array([0.75, 0.625, 0.875, 0.5])
    assert table4.first_at(0.75, iterations, errors) == 500
    assert table4.first_at(0.65, iterations, errors) == pytest.approx(900)     # 4/5 of the way from .75 to .625
    assert table4.first_at(0.6, iterations, errors) == pytest.approx(1500 + 500 * 0.275 / 0.375)
    assert table4.first_at(0.9, iterations, errors) == 500                     # before, nobody looked
    assert table4.first_at(0.49, iterations, errors) is None


def test_table4_counts_and_its_text(tmp_path):
    write_run(tmp_path / "1", test_error=0.5, seed=1, model="lstm")
    write_run(tmp_path / "2", [(500, 0.75), (1500, 0.55)], test_error=0.7, seed=2, model="lstm")
    write_run(tmp_path / "3", [(500, 0.8), (1500, 0.7)], seed=3, model="lstm")           # has not ended
    write_run(tmp_path / "4", [(500, 0.625)], test_error=0.4, model="bn_e2")
    text = reproduce("table4", tmp_path / "out", runs=[tmp_path / name for name in "1234"])
    lstm, bn = json.loads((tmp_path / "out" / "table4.json").read_text())
    assert (lstm["label"], lstm["runs"], lstm["seeds"]) == ("LSTM, 3 seeds", ["1", "2", "3"], [1, 2, 3])
    assert lstm["predictions"] == 992 and lstm["settings"]["hidden"] == 32 and bn["label"] == "BN-e**"
    # 1,000 updates lie half-way between 500 and 1,500; to .65: 500 + 500 (.1 / .125), 500 + 1,000 (.1 / .2), never.
    for name, each, median, low, high in (
        ("test error", [0.5, 0.7, None], 0.7, 0.5, None),
        ("best validation error", [0.5, 0.55, 0.7], 0.55, 0.5, 0.7),
        ("cross-entropy at 1,000 updates", [1.25, 1.3, 1.5], 1.3, 1.25, 1.5),
        ("cross-entropy at the end", [1.0, 1.1, 1.4], 1.1, 1.0, 1.4),
        ("updates", [1500, 1500, 1500], 1500, 1500, 1500),
        ("updates to error 0.65", [900, 1000, None], 1000, 900, None),
        ("updates to error 0.60", [1100, 1250, None], 1250, 1100, None),
        ("updates to error 0.57", [1220, 1400, None], 1400, 1220, None),
    ):
        assert lstm["quantities"][name] == {"each": each, "median": median, "low": low, "high": high}, name
    assert bn["quantities"]["cross-entropy at 1,000 updates"]["each"] == [None]
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    rows = {cells[1]: cells[2:-1] for cells in lines}
    assert rows[""][:2] == ["LSTM, 3 seeds", "BN-e**"] and "Attentive Reader" in rows[""][2:]
    assert rows["test error"][:2] == ["0.700 (0.500 to -)", "0.400"]
    assert rows["updates to error 0.65"][:2] == ["1,000 (900 to -)", "500"]
    assert rows["updates to error 0.60"][1] == "-" and rows["updates"][0] == "1,500"
    assert rows["published, CNN QA (full), test error rate"][:2] == ["0.450", "0.363"]
    top4 = rows["published, CNN QA (top-4-sentence variant), minimum validation error rate"]
    assert top4[:2] == ["0.503", "0.439"] and top4[2] == "-"        # which the Attentive Reader has not
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["table4.json", "table4.md"]     # no picture


@pytest.mark.parametrize("name", ["figure4a", "figure4b", "table4"])
def test_without_runs_there_are_the_published_numbers(name, tmp_path):
    text = reproduce(name, tmp_path)
    assert "published" in text and "ours" not in text
    assert (tmp_path / f"{name}.png").exists() == (name != "table4")
    again = reproduce(name, tmp_path / "again", numbers=tmp_path / f"{name}.json")
    assert again.splitlines()[0] == text.splitlines()[0]


@pytest.mark.parametrize("name", ["figure4a", "figure4b", "table4"])
def test_runs_that_cannot_be_compared_are_refused_in_a_line(name, tmp_path, capsys):
    write_run(tmp_path / "live")
    write_run(tmp_path / "all", rows="all")
    write_run(tmp_path / "turns", task="turns", data="embedded")
    write_run(tmp_path / "young", [])
    start_run(tmp_path / "images", make_config("quick", task="mnist", model="lstm"))
    for others, words in (
        (["all"], "got wiki (published), statistics over live rows (live); wiki (published), statistics over all rows"),
        (["turns"], "turns (embedded), statistics over live rows (turns); draw them apart"),
        (["images"], "runs: expected runs on questions, got"), (["young"], "no validation record yet"),
    ):
        folders = [str(tmp_path / folder) for folder in ("live", *others)]
        assert main(["reproduce", name, "--output", str(tmp_path / "none"), "--runs", *folders]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1 and not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="expected runs on images, got .*live, a run on wiki"):
        figure2.compute([tmp_path / "live"])
