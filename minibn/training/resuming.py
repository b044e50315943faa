"""Going on with a run: with which settings, what must be there, and how a training becomes a checkpoint and back."""

import errno
from contextlib import contextmanager
from dataclasses import fields, replace

import numpy as np

from minibn.backend import array_module, to_device, to_host
from minibn.cells.user import is_user_cell
from minibn.training import packing
from minibn.training.checkpoints import RESTORE, NotFinite, checksum, read_checkpoint, write_checkpoint
from minibn.training.folder import BEST, CONFIG, LAST, METRICS, folder_path
from minibn.training.metrics import MetricsFile, kept_bytes
from minibn.training.runs import Run, name_again, read_run, start_run
from minibn.training.tasks import make_config


def find_run(folder):
    """The `Run` to resume in a folder, None where there is none yet. A lost ``config.json`` is made from ``last.npz``.

    If ``last.npz`` is missing although the run has trained, that is an error: its records or best model are here.
    """
    folder = folder_path(folder)
    here = {name for name in (CONFIG, LAST, BEST) if (folder / name).exists()}
    if (folder / METRICS).exists() and (folder / METRICS).stat().st_size:
        here.add(METRICS)
    if LAST in here:
        return read_run(folder) if CONFIG in here else _restored(folder)
    if trained := sorted(here - {CONFIG}):
        text = f"{LAST} is missing, but {' and '.join(trained)} show that this run was trained; {RESTORE}"
        raise FileNotFoundError(errno.ENOENT, text, str(folder))
    return read_run(folder) if here else None


def _restored(folder):
    """The `Run` that ``last.npz`` tells of."""
    path = folder / LAST
    arrays = read_checkpoint(path)
    with packing.reading(path):
        token = packing.token_of(arrays)
        data = None if token is None else checksum(packing.recorded_data(arrays))
        note = {"restored": f"{CONFIG} was lost and made again from {LAST}; what the run was made with is not known"}
        return Run(folder, packing.config_of(arrays), note, token, data)


def check_same_config(recorded, asked):
    """Refuse to resume with other settings. More iterations are allowed: they continue a finished run."""
    for f in fields(recorded):
        before, now = getattr(recorded, f.name), getattr(asked, f.name, None)
        if before == now or (f.name == "iterations" and now > before):
            continue
        what = "at least the run's" if f.name == "iterations" else "the run's"
        raise ValueError(f"{f.name}: expected {what} {before!r} with --resume, got {now!r}; leave the option out, or "
                         "start another run with --run")


def resumed_config(folder, **options):
    """The settings to resume a run with: its own, unless it is given more iterations. None where there is no run.

    Parameters
    ----------
    folder : path-like
    **options
        What the user asked for explicitly; it must agree with the run. A user's cell must be named again.
    """
    run = find_run(folder)
    if run is None:
        return None
    recorded = run.config
    # First the task alone: other tasks have other options.
    check_same_config(recorded, replace(recorded, task=options.get("task", recorded.task)))
    if is_user_cell(options.get("model")):
        name_again(run, options.pop("model"))
    asked = replace(recorded, **options).resolved()
    check_same_config(recorded, asked)
    return make_config(**asked.to_dict())


class Resumable:
    """What of a training is kept in its folder, and taken back from there.

    A training that can `seconds()`, which have been spent on it in all its sittings.
    """

    def __init__(self, config, folder):
        self.config, self.folder = config, folder
        self.data = config.load_data()
        self.model = config.build_model(self.data.recorded)
        self.optimizer = config.build_optimizer(self.model)
        self.progress = packing.Progress()
        self.metrics, self.token = None, None
        # Sums of loss and gradient norm, and their number, since the last training record. They live on
        # the device, so that no iteration waits for it.
        self.sums = to_device(np.zeros(3), config.device)

    @contextmanager
    def opened(self, found):
        """The files of the run, which is new, or `found`. What is found is read whole before anything is written."""
        config, folder = self.config, self.folder
        if found is None:
            run = start_run(folder, config, self.data.recorded)
        else:
            if (folder / LAST).exists():
                self.restore(found)
            run = replace(found, config=config, data=found.data and checksum(self.data.recorded))
            if run != found or not (folder / CONFIG).exists():
                run.write()
        self.token = run.token
        try:
            with MetricsFile(folder / METRICS) as self.metrics:
                self.metrics.cut_back(self.progress.records)
                yield
        except KeyboardInterrupt as interrupt:
            if not interrupt.args:
                interrupt.args = (self.saved(),)
            raise

    def save(self):
        """Write ``last.npz``: nothing that is not finite, and counting no record that could still be lost."""
        now = self.progress
        now.records, now.seconds = self.metrics.records, self.seconds()
        self.metrics.sync()
        optimizer = packing.prefixed("optimizer/", to_host(self.optimizer.state_arrays()))
        self.write(LAST, self.model, {**optimizer, **now.pack(), "progress/sums": to_host(self.sums)})

    def save_best(self, model, statistics):
        """Write ``best.npz``."""
        iteration = np.asarray(self.progress.best_iteration)
        self.write(BEST, model, {"iteration": iteration, **packing.pack_statistics(statistics)})

    def write(self, name, model, more):
        """Write a checkpoint of the run: what each begins with, and more."""
        arrays = packing.pack_model(self.config, model, self.data.recorded, self.token)
        try:
            write_checkpoint(self.folder / name, arrays | more)
        except NotFinite:
            self.diverged("a parameter")

    def restore(self, run):
        """Take everything back from ``last.npz``, and see whether what it counts on is there too. Writes nothing."""
        path, now = self.folder / LAST, self.progress
        arrays = run.read(LAST)
        # First the data, which may be others now: another text could have another alphabet, another NumPy may draw
        # another permutation.
        recorded = packing.recorded_data(arrays)
        if checksum(self.data.recorded) != checksum(recorded):
            with packing.reading(path):
                self.data = self.config.load_data(recorded)
        packing.unpack_model(path, arrays, self.model)
        with packing.reading(path):
            self.optimizer.load_state_arrays(packing.under("optimizer/", arrays))
            now = self.progress = packing.Progress.unpack(arrays)
            if arrays["progress/sums"].shape != self.sums.shape:
                raise ValueError("progress/sums are not three numbers")
            self.sums[:] = array_module(self.sums).asarray(arrays["progress/sums"])
        if now.iteration > self.config.iterations:
            raise ValueError(f"iterations: expected at least the {now.iteration} that {path} has behind it, got "
                             f"{self.config.iterations}; ask for more with --iterations")
        kept_bytes(self.folder / METRICS, now.records)
        if now.best_iteration or (self.folder / BEST).exists():
            self.check_best(run)
        if now.finished and now.iteration < self.config.iterations:
            now.finished = 0
            now.records -= 1  # the final record: there will be another

    def check_best(self, run):
        """Refuse a ``best.npz`` that is missing, damaged, or not the one of the progress: it will be needed at the end.

        A later one than the checkpoint is good: the run was killed between the two, and will write it again.
        """
        path, now = self.folder / BEST, self.progress
        if not path.exists():
            text = f"the best model, of iteration {now.best_iteration}, is missing; {RESTORE}"
            raise FileNotFoundError(errno.ENOENT, text, str(path))
        arrays = run.read(BEST)
        packing.check_params(path, arrays, self.model)
        with packing.reading(path):
            iteration = packing.scalar(arrays, "iteration", "i")
        if iteration != now.best_iteration and iteration <= now.iteration:
            self.exchanged(iteration)

    def exchanged(self, iteration):
        raise ValueError(f"{self.folder / BEST}: expected the model of iteration {self.progress.best_iteration}, got "
                         f"that of iteration {iteration}; {RESTORE}")

    def diverged(self, what):
        """Stop before anything is saved."""
        raise FloatingPointError(f"{what} is not finite at iteration {self.progress.iteration} or shortly before; "
                                 f"training stopped. {self.saved()}; {self.config.remedy} in a new run")

    def saved(self):
        """Which iteration is saved, as a sentence: what ``last.npz`` says, whatever happened since."""
        path = self.folder / LAST
        if not path.exists():
            return "There is no checkpoint yet"
        iteration = packing.Progress.unpack(read_checkpoint(path)).iteration
        return f"The last good checkpoint is {path}, iteration {iteration}"
