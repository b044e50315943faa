"""The runs in ``tests/data/``, made by minibn 0.1.0 before its run folders changed: what they are, how they were made.

``python tests/saved_runs.py FOLDER`` makes them again, with the code as it is now. Each is there finished and
unfinished, as a run that was killed after iteration 18, with its last checkpoint at 16. ``scores.json`` holds what
`evaluate_run` said of the finished ones, and sums that tell whether this machine, and each cell's kernel, rounds as the
one that made them.
"""

import contextlib
import hashlib
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import tiny_run

from minibn.cells import CELLS
from minibn.layers import RecurrentLayer
from minibn.training import evaluate_run, make_config, train
from minibn.training.loop import _Training

FOLDER = Path(__file__).parent / "data"
KILLED_AT = 19      # the iteration that never ended
SIZES = {**tiny_run.SMALL, "hidden": 3}
REAL = {**SIZES, "validate_on": 20, "population_on": 40, "population_batch": 20}

# Name -> configuration, and whether its data are cut down to a few images or lines (see `tiny_run`).
RUNS = {
    **{f"mnist-{model}": (make_config("quick", task="mnist", model=model, **SIZES), True)
       for model in ("rnn", "bnrnn", "lstm", "bnlstm")},
    **{f"ptb-{model}": (make_config("quick", task="ptb", model=model, length=8, **SIZES), True)
       for model in ("rnn", "bnrnn", "lstm", "bnlstm")},
    "text8-bnlstm": (make_config("quick", task="text8", data="full", model="bnlstm", length=8, **SIZES), True),
    "pmnist-bnlstm": (make_config("quick", task="pmnist", model="bnlstm", **REAL), False),
    "stdlib-lstm": (make_config("quick", task="stdlib", model="lstm", length=20, **REAL), False),
}


def data_of(name):
    """A context in which the run sees the data that it was made on."""
    return tiny_run.tiny_data() if RUNS[name][1] else contextlib.nullcontext()


class Killed(BaseException):
    """What stands for a power cut."""


def make_finished(name, folder):
    with data_of(name):
        train(RUNS[name][0], folder, progress="none")


def make_unfinished(name, folder):
    iterate = _Training.iterate

    def iterate_or_die(training):
        if training.progress.iteration == KILLED_AT - 1:
            raise Killed
        iterate(training)

    with data_of(name), mock.patch.object(_Training, "iterate", iterate_or_die), contextlib.suppress(Killed):
        train(RUNS[name][0], folder, progress="none")


def scores(name, folder):
    """What `evaluate_run` says: statistics -> data -> loss, right answers, predictions."""
    with data_of(name):
        return {statistics: {part: list(score) for part, score in evaluate_run(folder, statistics).items()}
                for statistics in ("population", "batch", "averaged")}


def rounding():
    """A sum over products and functions as the runs use them: it differs where a machine rounds otherwise."""
    rng = np.random.default_rng(0)
    parts = []
    for H in (3, 12):
        a, b = (rng.standard_normal((n, H)).astype("float32") for n in (4, H))
        parts += [a @ b, np.tanh(a), np.exp(a), np.sqrt(np.square(a)), a.sum(axis=0)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def training_rounding(model):
    """A sum over the gradients of a cell's kernel: it differs also where the kernel computes in another order."""
    rng = np.random.default_rng(0)
    x, dh = (rng.standard_normal((4, 5, width)).astype("float32") for width in (2, 3))
    layer = RecurrentLayer(CELLS[model], 2, 3, dtype=np.float32, rng=1, engine="kernels")
    _, grads = layer.backward(dh, layer.forward(x)[1])
    return hashlib.sha256(b"".join(grads[name].tobytes() for name in sorted(grads))).hexdigest()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    said = {}
    for name in RUNS:
        make_finished(name, folder / "finished" / name)
        make_unfinished(name, folder / "unfinished" / name)
        said[name] = scores(name, folder / "finished" / name)
    sums = {"rounding": rounding(), "training_rounding": {config.model: training_rounding(config.model)
                                                          for config, _ in RUNS.values()}}
    (folder / "scores.json").write_text(json.dumps({**sums, "scores": said}, indent=1) + "\n")
