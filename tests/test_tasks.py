"""A task is one file and one entry in the registry: everything else finds it there."""

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import minibn
from minibn.cli import main
from minibn.data import Dataset
from minibn.data.batches import Split
from minibn.models import SequenceClassifier
from minibn.training import TASKS, evaluate_run, load, make_config, read_config, sample_text, train
from minibn.training.config import Task, TrainConfig
from minibn.training.options import option


@dataclass(frozen=True, kw_only=True)
class FirstConfig(TrainConfig):
    """Remember the first of some numbers: all that a new task has to say."""

    data: str = option("how they are drawn", choices=("uniform",), kind=str)
    steps: int = option("numbers in a sequence", at_least=1)

    kind = "numbers"
    papers_optimizer = "sgd"

    def load_data(self, recorded=None):
        rng = np.random.default_rng(self.seed)
        values = [rng.integers(0, 256, (size, self.steps), dtype=np.uint8) for size in (20, 10, 10)]
        return Dataset("first numbers", 2, *(Split(part, part[:, 0] // 128) for part in values))

    def data_checksums(self, recorded):
        return {}

    def measures(self, score):
        return {"loss": score.loss, "right": score.accuracy}

    def summary(self, measures):
        return f"{100 * measures['right']:.0f} % right"

    def input_size(self, recorded):
        return 1

    def add_output(self, cell, rng, recorded):
        return SequenceClassifier(cell, 2, rng=rng)


SMALL = {"data": "uniform", "steps": 4, "hidden": 3, "batch": 5, "iterations": 6, "learning_rate": 0.1,
         "validate_every": 3, "log_every": 2, "checkpoint_every": 2, "population_batch": 10}


@pytest.fixture
def first(monkeypatch):
    monkeypatch.setitem(TASKS, "first", Task("first", "remember the first number", FirstConfig,
                                             {"paper": SMALL | {"steps": 8}, "quick": SMALL}))


def test_a_new_task_is_trained_evaluated_and_resumed_from_the_command_line(first, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["train"], ["train", "first"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "first remember the first number" in text and "numbers in a sequence (default: paper: 8, quick: 4)" in text
    assert main(["train", "first", "--progress", "none"]) == 0
    assert "% right, with population statistics" in capsys.readouterr().out
    folder = "runs/first-bnlstm-quick"
    assert main(["train", "first", "--resume", "--iterations", "8", "--progress", "none"]) == 0
    assert read_config(folder)[0].iterations == 8
    capsys.readouterr()
    assert main(["evaluate", folder]) == 0
    assert "% right" in capsys.readouterr().out
    for command in (["evaluate", folder, "--whole"], ["evaluate", folder, "--length", "5"], ["sample", folder]):
        assert main(command) == 2
        assert "expected a run on text, got one on numbers" in capsys.readouterr().err


def test_what_a_task_leaves_to_the_cell_and_the_defaults(first):
    config = make_config("quick", task="first", model="bnlstm")
    assert (config.init, config.noise, config.engine, config.rule.__name__) == ("orthogonal", 0.0, "kernels", "SGD")
    assert config.title == "first bnlstm"


def test_what_it_cannot_do_it_refuses_in_python_too(first, tmp_path):
    train(make_config("quick", task="first"), tmp_path, progress="none")
    assert load(tmp_path).statistics
    for use in (lambda: evaluate_run(tmp_path, lengths=[3]), lambda: sample_text(tmp_path)):
        with pytest.raises(ValueError, match="expected a run on text, got one on numbers"):
            use()


def test_nobody_but_its_file_names_a_task():
    package = Path(minibn.__file__).parent
    for path in [*package.glob("training/*.py"), package / "cli" / "runs.py", package / "cli" / "__init__.py"]:
        if path.stem in ("images", "texts", "questions", "tasks"):       # their files, and the registry
            continue
        named = [node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Constant) and node.value in TASKS]
        assert not named, f"{path.name} names {named}"


@pytest.mark.parametrize(("task", "rule"), [("mnist", "RMSProp"), ("pmnist", "RMSProp"), ("ptb", "Adam"),
                                            ("text8", "Adam"), ("stdlib", "Adam")])
def test_the_papers_optimizer_and_any_other(task, rule):
    assert make_config(task=task).rule.__name__ == rule
    for name, other in (("sgd", "SGD"), ("rmsprop", "RMSProp"), ("adam", "Adam")):
        config = make_config(task=task, optimizer=name, learning_rate=0.25)
        optimizer = config.build_optimizer(FakeModel())
        assert type(optimizer).__name__ == other and optimizer.learning_rate == 0.25
        with pytest.raises(ValueError, match="learning_rate: expected one for optimizer .*; give --learning-rate too"):
            make_config(task=task, optimizer=name)
    decayed = make_config(task=task, optimizer="rmsprop", learning_rate=0.1, rmsprop_decay=0.5)
    assert decayed.build_optimizer(FakeModel()).decay == 0.5
    with pytest.raises(ValueError, match="rmsprop_decay: expected a run with RMSProp, got one with SGD; leave it out"):
        make_config(task=task, optimizer="sgd", learning_rate=0.1, rmsprop_decay=0.5)


class FakeModel:
    params = {"W": np.zeros(2)}
