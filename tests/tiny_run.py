"""A training run of a second, and a script that kills it: ``python tiny_run.py FOLDER MOMENT COUNT``.

Used by test_kill_and_resume.py, in its own process (the reference, the resumed run) and in others (the killed
runs). The data are real but few: every seventh pixel of 21 training, 13 validation and 11 held-out images.
"""

import contextlib
import os
import signal
import sys
from dataclasses import replace
from unittest import mock

import numpy as np

from minibn.optimizers import RMSProp
from minibn.training import checkpoints as checkpoints_module
from minibn.training import loop, make_config, train
from minibn.training.metrics import MetricsFile
from minibn.training.tasks import load_data

# No two intervals share a rhythm: checkpoints fall between records, validations between checkpoints. An epoch
# is five batches, the last one of five images (a batch of one is merged).
CONFIG = make_config(
    "quick",
    task="mnist",
    hidden=5,
    batch=4,
    iterations=23,
    validate_every=7,
    log_every=3,
    checkpoint_every=4,
    population_batch=8,
    seed=3,
)
BATCHES_PER_EPOCH = 5


def few_images(config, order=None):
    """The subset cut down; otherwise as `load_data`."""
    data = load_data(config)
    parts = {"train": 21, "valid": 13, "test": 11}
    cut = {
        name: replace(split, images=split.images[:count], labels=split.labels[:count])
        for name, count in parts.items()
        for split in [getattr(data, name)]
    }
    return replace(data, **cut).reordered(np.arange(0, data.steps, 7))


@contextlib.contextmanager
def tiny_data():
    """Within this context training sees the few images."""
    with mock.patch.object(loop, "load_data", few_images):
        yield


def run(folder, **options):
    """Train to the end."""
    with tiny_data():
        return train(CONFIG, folder, progress="none", **options)


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


def patch_moment(moment, count):
    """A context in which the run dies at its `count`-th such moment."""
    if moment == "half a checkpoint":
        calls = 0

        def half_open(path, mode):
            nonlocal calls
            calls += 1
            return HalfWritten(open(path, mode)) if calls == count else open(path, mode)

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
    if moment == "validation":  # logits are asked for in validation and in the test only, batch by batch
        from minibn.models import SequenceClassifier

        return mock.patch.object(SequenceClassifier, "logits", dying_at(count, SequenceClassifier.logits))
    if moment == "first batch of an epoch":  # in the middle of its update: some parameters new, some old
        from minibn.training.tasks import build_model

        parameters = len(build_model(CONFIG).params)
        call = count * BATCHES_PER_EPOCH * parameters + parameters // 2
        return mock.patch.object(RMSProp, "_update", dying_at(call, RMSProp._update))
    if moment == "population statistics":
        from minibn.models import SequenceClassifier

        dying = dying_at(count, SequenceClassifier.batch_statistics)
        return mock.patch.object(SequenceClassifier, "batch_statistics", dying)
    raise ValueError(moment)


if __name__ == "__main__":
    folder, moment, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    print("ready", flush=True)
    with contextlib.nullcontext() if moment == "any" else patch_moment(moment, count):
        run(folder, resume=True)
