"""Questions about passages: their files, the splits made of them, and training runs of a second on them."""

import json
import math
from unittest import mock

import numpy as np
import pytest

from minibn.cli import main
from minibn.data import DataError
from minibn.data.question_files import (
    Question,
    entity_number,
    questions_sha256,
    read_question_file,
    read_questions,
    write_questions,
)
from minibn.data.questions import SPECIAL, UNKNOWN, QuestionSplit, question_set
from minibn.models import READERS
from minibn.training import evaluate_run, load, make_config, questions, read_metrics, train
from minibn.training.attention import attention_html, attention_text, read_attention

PASSAGE, ASKED, ANSWER = "@entity1 met @entity0 at the sea .", "@placeholder was at the sea", "@entity1"
QUESTION = Question("a book", tuple(PASSAGE.split()), tuple(ASKED.split()), ANSWER)
FOUR, THREE = f"a book\n{PASSAGE}\n{ASKED}\n{ANSWER}\n\n", f"{ASKED}\n{ANSWER}\n{PASSAGE}\n\n"
DEEPMIND = f"http://a.b\n\n{PASSAGE}\n\n{ASKED}\n\n{ANSWER}\n\n@entity0:Ann\n@entity1:Bob\n"


# ------------------------------------------------------------------ files


def test_forms_of_a_question():
    assert read_questions(FOUR.encode(), "here") == [QUESTION]
    assert read_questions(THREE.encode(), "here") == [QUESTION._replace(source="")]
    assert read_questions((FOUR + THREE + FOUR.rstrip()).encode(), "here")[2] == QUESTION      # no last empty lines
    assert read_question_file(DEEPMIND.encode(), "here") == QUESTION._replace(source="http://a.b")
    assert read_questions(FOUR.replace("\n", "\r\n").encode(), "here") == [QUESTION]
    assert read_question_file(DEEPMIND.replace("\n", "\r\n").encode(), "here").passage == QUESTION.passage
    many = [QUESTION._replace(source=f"number {k}") for k in range(3)]
    assert read_questions(write_questions(many), "here") == many
    assert questions_sha256([many]) == questions_sha256([many[:1], many[1:]]) != questions_sha256([many[::-1]])


@pytest.mark.parametrize(("old", "new", "message"), [
    (f"\n{ANSWER}\n", "\nBob\n", "here, line 1: expected an answer @entityN, got 'Bob'; is the file whole?"),
    ("@placeholder", "Bob", "here, line 1: expected @placeholder in the question, got none"),
    (PASSAGE, "they met at the sea .", "here, line 1: expected names @entityN in the passage, got none"),
    (PASSAGE + "\n", "\n", r"here, line 1: expected a question of 4 lines \(source, passage, question, answer\) or 3 "
                           r"\(question, answer, passage\), got 1"),
    ("\n" + ANSWER, "", "here, line 1: expected @placeholder in the question"),      # read as three lines
    (FOUR, "", "here: expected at least one question, got an empty file"),
])
def test_damaged_texts(old, new, message):
    with pytest.raises(DataError, match=message):
        read_questions(FOUR.replace(old, new, 1).encode() if old != FOUR else b"\n", "here")


@pytest.mark.parametrize(("raw", "message"), [
    (DEEPMIND.replace(ASKED, f"{ASKED} and @placeholder").encode(), "here: expected one @placeholder .* got 2"),
    (DEEPMIND.replace("@placeholder", "somebody").encode(), "here: expected @placeholder in the question, got none"),
    (DEEPMIND.replace(ANSWER + "\n\n@", "Bob\n\n@").encode(), "here: expected an answer @entityN, got 'Bob'"),
    (DEEPMIND.replace(PASSAGE, "").encode(), "here: expected a passage, got an empty line"),
    (DEEPMIND[:40].encode(), "here: expected address, passage, question and answer with an empty line after each, got"),
    (DEEPMIND.replace("sea", "Skåne").encode("latin-1"), "here: expected text in UTF-8, got byte 0xe5 at"),
])
def test_damaged_question_files(raw, message):
    with pytest.raises(DataError, match=message):
        read_question_file(raw, "here")


def test_entity_numbers():
    assert [entity_number(token) for token in ("@entity12", "@entity", "x@entity1", "@entity1s")] == [12, None, None,
                                                                                                      None]


# ------------------------------------------------------------------ splits


def draw_questions(count, seed=0, names=4, words=("the", "of", "a", "to", "in", "sea", "rare")):
    """Questions whose answer is the name after "of": something to learn."""
    rng = np.random.default_rng(seed)

    def draw(k):
        them = rng.permutation(names)
        passage = [f"@entity{them[0]}", *rng.choice(words[:-1], rng.integers(2, 6)), "of", f"@entity{them[1]}"]
        return Question(f"number {k}", tuple(passage), ("@placeholder", *rng.choice(words[:-1], rng.integers(1, 4))),
                        f"@entity{them[1]}")

    return [draw(k) for k in range(count)]


def few_questions(task="turns", form="embedded"):
    parts = {"train": draw_questions(40), "valid": draw_questions(12, 1), "test": draw_questions(10, 2)}
    return question_set(parts, 50, name=task, title=f"{task} ({form})")


def test_the_vocabulary():
    found = few_questions()
    words = list(found.train.words)
    assert words[:3] == list(SPECIAL) and words[3:7] == [f"@entity{k}" for k in range(4)]
    assert "rare" not in words and len(words) == 3 + 4 + 6
    counts = [sum(text.count(word) for each in found.train.questions for text in (each.passage, each.question))
              for word in words[7:]]
    assert counts == sorted(counts, reverse=True) and counts[-1] >= 2
    cut = question_set({part: getattr(found, part).questions for part in ("train", "valid", "test")}, 4, name="x",
                       title="x")
    assert list(cut.train.words) == words[:11]
    assert found.recorded["words"] == "\n".join(words) and found.recorded["entities"] == 4
    assert found.sizes == "40 train, 12 validation, 10 test questions"
    assert (found.valid_name, found.test_name) == ("turns (embedded), validation set", "turns (embedded), test set")


def test_a_batch_is_the_texts_in_numbers():
    split = few_questions().valid
    asked, y = split.batch([3, 0, 5])
    names = list(split.words)
    for n, k in enumerate([3, 0, 5]):
        question = split.questions[k]
        for text in ("passage", "question"):
            ids, mask = getattr(asked, text)[:, n], getattr(asked, f"{text}_mask")[:, n]
            length = len(getattr(question, text))
            assert mask[:length].all() and not mask[length:].any() and not ids[length:].any()
            assert [names[k] for k in ids[:length]] == [word if word in split.words else UNKNOWN
                                                        for word in getattr(question, text)]
        assert f"@entity{y[n]}" == question.answer
    assert split.answer_in_passage == 1


@pytest.mark.parametrize("relabel", ["example", "batch", "none"])
def test_new_names_in_training(relabel):
    """The same permutation in passage, question and answer; a batch can be asked for alone, and again."""
    train = few_questions().prepared(relabel, 1).train
    epoch = train.batches(8, np.random.default_rng(3))
    again = train.batches(8, np.random.default_rng(3))
    seen = set()
    for k in reversed(range(len(epoch))):
        (asked, y), (repeated, _) = epoch[k], again[k]
        np.testing.assert_array_equal(asked.passage, repeated.passage)
        for n, index in enumerate(epoch.indices[k]):
            question, ids = train.questions[index], asked.passage[:, n]
            new = {entity_number(word): ids[t] - 3 for t, word in enumerate(question.passage) if word[0] == "@"}
            assert y[n] == new[entity_number(question.answer)]
            seen.add((k, *sorted(new.items())) if relabel == "batch" else tuple(sorted(new.items())))
            if relabel == "none":
                assert all(old == number for old, number in new.items())
    labels = [train.batches(8, np.random.default_rng(3)).split._new_labels(epoch.indices[0])]
    assert (len(np.unique(labels[0], axis=0)) > 1) == (relabel == "example")
    assert (np.sort(labels[0], axis=1) == np.arange(4)).all()
    other = train.batches(8, np.random.default_rng(4))
    assert not np.array_equal(other[0][0].passage, epoch[0][0].passage)


def test_all_numbers_are_equally_often_the_answer():
    train = few_questions().prepared("example", 1).train
    answers = np.concatenate([y for seed in range(50) for _, y in train.batches(8, np.random.default_rng(seed))])
    counts = np.bincount(answers, minlength=4)
    assert abs(counts - len(answers) / 4).max() < 4 * math.sqrt(len(answers) * 3 / 16)         # 4 standard deviations


def test_buckets():
    """Sorted by length within a few batches, which then come in any order; every example once."""
    train = few_questions().prepared("none", 5).train
    epoch = train.batches(8, np.random.default_rng(3))
    assert sorted(np.concatenate(epoch.indices)) == list(range(40))
    spread = [np.ptp([len(train.questions[k].passage) for k in indices]) for indices in epoch.indices]
    mixed = train.batches(8, np.random.default_rng(3)).split
    plain = [np.ptp([len(train.questions[k].passage) for k in indices])
             for indices in few_questions().train.batches(8, np.random.default_rng(3)).indices]
    assert sum(spread) < sum(plain) and mixed.draw is not None
    firsts = [len(train.questions[indices[0]].passage) for indices in epoch.indices]
    assert firsts != sorted(firsts)


def test_a_part_of_a_split():
    valid = few_questions().valid
    part = valid.subset(5, np.random.default_rng(1))
    assert len(part) == 5 and {*part.questions} < {*valid.questions} and valid.subset(None, None) is valid
    assert [len(y) for _, y in valid.batches(5)] == [5, 5, 2] and valid.batches_per_epoch(5) == 3
    with pytest.raises(DataError, match="x: expected names @entity0 to @entity2, found @entity3"):
        question_set({"train": valid.questions, "valid": [], "test": []}, 3, name="x", title="x")


# ------------------------------------------------------------------ runs

TINY = {"hidden": 4, "batch": 8, "iterations": 6, "validate_every": 3, "log_every": 2, "checkpoint_every": 2,
        "population_batch": 8, "validate_on": None, "population_on": None}


@pytest.fixture(autouse=True)
def small_set():
    with mock.patch.object(questions, "load_questions", few_questions):
        yield


def run(folder, **options):
    return train(make_config("quick", task="turns", **{**TINY, **options}), folder, progress="none")


@pytest.mark.parametrize("model", READERS)
def test_every_reader_trains(tmp_path, model):
    final = run(tmp_path / "run", model=model, rows="all", dropout=0.2, skip=True, bilinear=True)
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [record["iteration"] for record in records if record["kind"] == "valid"] == [3, 6]
    assert {"loss", "error"} <= set(records[-2]) and {"test_loss", "test_error"} <= set(records[-1])
    assert records[-1]["test_error"] == final["test_error"] and 0 <= final["test_error"] <= 1
    trained = load(tmp_path / "run")
    assert trained.model.reader.name == model and set(trained.statistics) == set(trained.model.terms)
    scores = evaluate_run(tmp_path / "run")
    assert scores["turns (embedded), test set"].loss == pytest.approx(final["test_loss"], rel=1e-6)
    by_few = evaluate_run(tmp_path / "run", batch_size=3)["turns (embedded), test set"]
    assert by_few.loss == pytest.approx(final["test_loss"], rel=1e-5)          # float32; who is beside it is no matter


@pytest.mark.parametrize("options", [{"model": "bn_e2", "dropout": 0.2}, {"model": "lstm", "bucket": 2}])
def test_a_resumed_run_is_the_same_run(tmp_path, options):
    run(tmp_path / "whole", **options)
    run(tmp_path / "cut", **{**options, "iterations": 4})
    train(make_config("quick", task="turns", **{**TINY, **options}), tmp_path / "cut", resume=True, progress="none")
    whole, cut = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "cut"))
    losses = [{key: value for key, value in record.items() if key != "seconds"} for record in whole]
    again = [{key: value for key, value in record.items() if key != "seconds"} for record in cut]
    assert [each for each in losses if each["iteration"] == 6] == [each for each in again if each["iteration"] == 6]


def test_a_run_learns(tmp_path):
    """The rule of these questions, "the name after of": four names, so that guessing is wrong three times of four."""
    final = run(tmp_path / "run", iterations=300, validate_every=100, hidden=16, learning_rate=1e-2)
    assert final["test_error"] < 0.3


def test_the_authors_slip_in_clipping():
    """Norms up to 100 pass; beyond, what is left has a norm of ten times the root."""
    config = make_config("quick", task="turns", clip_slip=True)
    for norm, left in ((5.0, 5.0), (99.0, 99.0), (400.0, 200.0)):
        grads = {"a": np.array([0.6 * norm], np.float32), "b": np.array([[0.8 * norm]], np.float32)}
        clipped, before = config.clipped(grads)
        assert math.hypot(clipped["a"][0], clipped["b"][0, 0]) == pytest.approx(left, rel=1e-6)
        assert before == pytest.approx(norm, rel=1e-6) and clipped["a"].dtype == np.float32
    clipped, _ = make_config("quick", task="turns").clipped(grads)
    assert math.hypot(clipped["a"][0], clipped["b"][0, 0]) == pytest.approx(10, rel=1e-6)


def test_other_questions_than_the_runs_are_refused(tmp_path):
    run(tmp_path / "run")
    other = few_questions()
    with mock.patch.object(questions, "load_questions",
                           lambda *_: question_set({"train": other.train.questions[1:], "valid": other.valid.questions,
                                                    "test": other.test.questions}, 50, name="turns", title="turns")):
        with pytest.raises(DataError, match="turns: the run was made on other questions, SHA-256"):
            evaluate_run(tmp_path / "run")


@pytest.mark.parametrize(("options", "message"), [
    ({"model": "rnn"}, "model: expected one of lstm, bnlstm, bn_everywhere, bn_e1, bn_e2, bilstm, got 'rnn'"),
    ({"layers": 2}, "layers: the reader 'bn_e1' has 1, got 2; leave it out"),
    ({"noise": 0.1}, "noise: the reader 'bn_e1' has 0.0, got 0.1"),
    ({"input_statistics": "step"}, "input_statistics: the reader 'bn_e1' has 'sequence', got 'step'"),
    ({"rows": "some"}, "rows: expected one of live, all"),
    ({"dropout": 1.0}, "dropout: expected"),
    ({"bucket": 0}, "bucket: expected"),
    ({"relabel": "never"}, "relabel: expected one of example, batch, none"),
    ({"data": "words"}, "data: expected one of"),
])
def test_refused_settings(options, message):
    with pytest.raises(ValueError, match=message):
        make_config("quick", task="turns", **options)


def test_the_papers_settings():
    config = make_config(task="cnn", model="bn_everywhere")
    assert (config.hidden, config.batch, config.learning_rate, config.clip) == (240, 64, 8e-5, 10.0)
    assert config.rule.__name__ == "Adam" and config.rows == "live" and config.relabel == "example"
    config = make_config(task="cnn", model="bn_e1")
    assert (config.batch, config.learning_rate) == (40, 8e-4)
    assert config.test_batch == 40      # 1,000 whole articles at 240 units would take tens of gigabytes


def test_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items() if value is not None]
    assert main(["train", "turns", "--model", "bn_e1", "--progress", "none", "--population-on", "16", *given]) == 0
    assert "% of the answers wrong, with population statistics" in capsys.readouterr().out
    assert main(["evaluate", "runs/turns-bn_e1-quick"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    for line in (first, second):
        assert line.endswith("population statistics, 100.0 % of the answers are in the passage")
    for how in ("averaged", "batch"):
        assert main(["evaluate", "runs/turns-bn_e1-quick", "--statistics", how]) == 0
        assert f"{how} statistics, 100.0 %" in capsys.readouterr().out
    for option in (["--whole"], ["--length", "10"]):
        assert main(["evaluate", "runs/turns-bn_e1-quick", *option]) == 2
        assert "expected a run on text, got one on questions" in capsys.readouterr().err
    page = "a folder/page.html"
    assert main(["show", "attention", "runs/turns-bn_e1-quick", "--question", "3", "0", "--html", page]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("question 3: ") and "question 0: " in shown and "page.html" in shown
    page = (tmp_path / page).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.count("<h2>") == 2 and "@placeholder" in page
    for wrong, message in ((["--question", "12"], "question: expected one of 0 .. 11, got 12"),
                           (["--question", "-1"], "question: expected")):
        assert main(["show", "attention", "runs/turns-bn_e1-quick", *wrong]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    config = json.loads((tmp_path / "runs/turns-bn_e1-quick/config.json").read_text())
    assert "bn_e1" in json.dumps(config)


def test_attention_is_shown_as_it_is(tmp_path):
    run(tmp_path / "run", model="bn_e2")
    readings = read_attention(tmp_path / "run", range(5), "test")
    trained, asked = load(tmp_path / "run"), few_questions().test
    for reading in readings:
        alone, y = asked.batch([reading.number])
        alpha, probabilities = trained.model.attention(alone, trained.statistics)
        np.testing.assert_allclose(reading.alpha, alpha[:, 0], rtol=1e-4, atol=1e-6)        # float32, another batch
        np.testing.assert_allclose(reading.probabilities, probabilities[0], rtol=1e-4)
        assert reading.right == (np.argmax(probabilities) == y[0])
        assert len(reading.known) == len(reading.alpha) == len(asked.questions[reading.number].passage)
    assert len(read_attention(tmp_path / "run")) <= 4
    text, coloured = attention_text(readings, False), attention_text(readings, True)
    assert "\x1b" not in text and text.count("question ") == 5 and "%]" in text
    assert coloured.count("\x1b[0m") == sum(len(each.question.passage) for each in readings)
    odd = readings[0]._replace(question=readings[0].question._replace(
        passage=("<b>", *readings[0].question.passage[1:])))
    assert "&lt;b&gt;" in attention_html([odd], "A & B") and "A &amp; B" in attention_html([odd], "A & B")


def test_attention_needs_a_reader(tmp_path):
    import tiny_run

    tiny_run.run(tmp_path / "run")
    with tiny_run.tiny_data(), pytest.raises(ValueError, match="run: expected a run on questions, got one on images"):
        read_attention(tmp_path / "run")


def test_splits_take_their_own_questions():
    split = QuestionSplit([QUESTION], {word: k for k, word in enumerate([*SPECIAL, "@entity0", "@entity1"])}, 2)
    asked, y = split.batch([0])
    assert asked.passage[:, 0].tolist() == [4, 1, 3, 1, 1, 1, 1] and asked.question[0, 0] == 2 and y.tolist() == [1]
