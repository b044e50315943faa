"""Training runs of a second, and a script that kills them: ``python tiny_run.py TASK FOLDER MOMENT COUNT``.

Used by test_kill_and_resume.py, in its own process (the reference, the resumed run) and in others (the killed
runs). The images are real but few: every seventh pixel of 21 training, 13 validation and 11 held-out ones. The
text is the first lines of Moby Dick, cut into as many segments.
"""

import contextlib
import os
import signal
import sys
from dataclasses import replace
from unittest import mock

import numpy as np

from minibn.data import Vocabulary
from minibn.data.corpus import cut_corpus
from minibn.models.base import RecurrentModel
from minibn.training import checkpoints as checkpoints_module
from minibn.training import make_config, train
from minibn.training.checkpoints import read_checkpoint
from minibn.training.images import ImageConfig
from minibn.training.loop import _Training
from minibn.training.metrics import MetricsFile
from minibn.training.texts import TextConfig

# No two intervals share a rhythm: checkpoints fall between records, validations between checkpoints. An epoch
# is five batches, the last one of five images (a batch of one is merged).
SMALL = {
    "hidden": 5,
    "batch": 4,
    "iterations": 23,
    "validate_every": 7,
    "log_every": 3,
    "checkpoint_every": 4,
    "population_batch": 8,
    "seed": 3,
}
CONFIG = make_config("quick", task="mnist", **SMALL)
TEXT_CONFIG = make_config("quick", task="ptb", length=8, **SMALL)
CONFIGS = {"mnist": CONFIG, "ptb": TEXT_CONFIG}
BATCHES_PER_EPOCH = 5

TEXT = """\
Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and
nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of
the world. It is a way I have of driving off the spleen and regulating the circulation. Whenever I find myself
growing grim about the mouth; whenever it is a damp, drizzly November in my soul ...
"""


load_data, load_text = ImageConfig.load_data, TextConfig.load_data


def few_images(config, recorded=None):
    """The subset cut down; otherwise as `load_data`."""
    data = load_data(config)
    parts = {"train": 21, "valid": 13, "test": 11}
    cut = {
        name: replace(split, images=split.images[:count], labels=split.labels[:count])
        for name, count in parts.items()
        for split in [getattr(data, name)]
    }
    return replace(data, **cut).reordered(np.arange(0, data.steps, 7))


def few_lines(config, recorded=None):
    """A corpus of 22, 13 and 11 segments, and a few characters more; one of the 22 makes room for the offset."""
    vocabulary = Vocabulary("".join(sorted(set(TEXT))))
    sizes = [segments * config.length + 3 for segments in (22, 13, 11)]
    facts = {"name": "tiny", "title": "Moby Dick", "test_part": "held-out text", "sha256": "0" * 64}
    codes = vocabulary.encode(TEXT[: sum(sizes)])
    return cut_corpus(codes, sizes, config.length, vocabulary=vocabulary, **facts)


@contextlib.contextmanager
def tiny_data():
    """Within this context training sees the few images, or the few lines."""
    with (
        mock.patch.object(ImageConfig, "load_data", few_images),
        mock.patch.object(TextConfig, "load_data", few_lines),
    ):
        yield


def run(folder, config=CONFIG, **options):
    """Train to the end."""
    with tiny_data():
        return train(config, folder, progress="none", **options)


def comparable(path):
    """The arrays of a checkpoint that are the same in every repetition of its run: without the clock and the token."""
    return {name: a for name, a in read_checkpoint(path).items() if name not in ("progress/seconds", "token")}


def stop_at(iteration):
    """A context in which training stops with an ordinary exception after that iteration's books."""
    keep_books = _Training.keep_books

    def stopping(self, asked):
        keep_books(self, asked)
        if self.progress.iteration == iteration:
            raise RuntimeError("stopped by the test")

    return mock.patch.object(_Training, "keep_books", stopping)


def die():
    """What a power cut does: no handler, no clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)


class HalfWritten:
    """A file that takes the first half of what is written to it, and then the process dies."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        die()


def dying_at(count, function, before=True):
    """The function, but its call number `count` (from 1) kills the process, before or after its work."""
    calls = 0

    def wrapped(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count and before:
            die()
        result = function(*args, **kwargs)
        if calls == count:
            die()
        return result

    return wrapped


def patch_moment(config, moment, count):
    """A context in which the run dies at its `count`-th such moment."""
    if moment == "half a checkpoint":
        calls = 0

        def half_open(path, mode):
            nonlocal calls
            calls += mode == "xb"
            return HalfWritten(open(path, mode)) if calls == count and mode == "xb" else open(path, mode)

        return mock.patch.object(checkpoints_module, "open", half_open, create=True)
    if moment == "before fsync":
        return mock.patch.object(os, "fsync", dying_at(count, os.fsync))
    if moment == "before rename":
        return mock.patch.object(os, "replace", dying_at(count, os.replace))
    if moment == "after rename":
        return mock.patch.object(os, "replace", dying_at(count, os.replace, before=False))
    if moment == "half a record":
        write = MetricsFile.write
        calls = 0

        def half_write(self, kind, **values):
            nonlocal calls
            calls += 1
            if calls == count:
                self._file.write(b'{"kind": "tra')
                die()
            write(self, kind, **values)

        return mock.patch.object(MetricsFile, "write", half_write)
    if moment == "validation":  # totals are asked for in validation and in the test only, batch by batch
        return mock.patch.object(RecurrentModel, "totals", dying_at(count, RecurrentModel.totals))
    if moment == "first batch of an epoch":  # in the middle of its update: some parameters new, some old
        with tiny_data():
            model = config.build_model(config.load_data().recorded)
        rule = type(config.build_optimizer(model))
        call = count * BATCHES_PER_EPOCH * len(model.params) + len(model.params) // 2
        return mock.patch.object(rule, "_update", dying_at(call, rule._update))
    if moment == "population statistics":
        return mock.patch.object(RecurrentModel, "batch_statistics", dying_at(count, RecurrentModel.batch_statistics))
    raise ValueError(moment)


if __name__ == "__main__":
    config, folder, moment, count = CONFIGS[sys.argv[1]], sys.argv[2], sys.argv[3], int(sys.argv[4])
    print("ready", flush=True)
    with contextlib.nullcontext() if moment == "any" else patch_moment(config, moment, count):
        run(folder, config, resume=True)
