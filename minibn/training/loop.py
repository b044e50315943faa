"""The training loop: minibatches, validation, checkpoints, and at last the numbers that are reported.

One iteration is four lines (`_Training.iterate`). All the rest is about being able to stop: the loop may be
killed between any two instructions, and resuming from ``last.npz`` gives the same parameters and the same
records, bit for bit. Three habits make that true:

- every random number is a function of the seed, its purpose and the iteration (`minibn.training.randomness`);
- ``last.npz`` counts the records that were written before it, and resuming cuts ``metrics.jsonl`` back to
  that count;
- ``best.npz`` is written before the ``last.npz`` that mentions it. Killed in between, the resumed run does
  the same validation again and writes the same ``best.npz`` again.
"""

import math
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from minibn.backend import array_module, to_device, to_host
from minibn.optimizers import clip_by_global_norm
from minibn.training import runs
from minibn.training.checkpoints import read_checkpoint, write_checkpoint
from minibn.training.display import Display
from minibn.training.interrupt import DelayedInterrupt, Interrupted
from minibn.training.metrics import MetricsFile, read_metrics
from minibn.training.randomness import generator, normal
from minibn.training.validation import estimate_statistics, score

__all__ = ["train"]


def train(config, folder, resume=False, progress="auto"):
    """Train a model as the configuration says; the run is a folder.

    Parameters
    ----------
    config : TrainConfig
        From `make_config`.
    folder : path-like
        Where the run is kept: ``config.json``, ``metrics.jsonl``, ``last.npz``, ``best.npz``.
    resume : bool
        Continue the run in the folder from its last checkpoint. Where there is no run yet, one is started: a
        job that may be killed at any moment can always be started with the same command.
    progress : {"auto", "bar", "lines", "none"}
        What to show on stderr.

    Returns
    -------
    dict
        The run's final record: test loss and accuracy of the best model.

    Raises
    ------
    FileExistsError
        If there is a run in the folder and ``resume`` was not asked for.
    ValueError
        If the configuration is not that of the run to resume, or a file of it is damaged.
    FloatingPointError
        If the loss or the gradient is not finite. What was saved before is kept.
    OSError
        If something cannot be written. What was saved before is kept.
    Interrupted
        After Ctrl-C, when everything has been saved.
    """
    folder = Path(folder)
    resume = resume and (folder / runs.CONFIG).exists()
    if resume:
        recorded, made_with = runs.read_config(folder)
        runs.check_same_config(recorded, config)
    else:
        runs.refuse_existing(folder)
    training = _Training(config, folder)
    if not resume:
        runs.start_run(folder, config)
    with MetricsFile(folder / runs.METRICS) as training.metrics:
        if resume and recorded != config:
            runs.write_config(folder, config, made_with)
        if (folder / runs.LAST).exists():
            training.restore()
        training.metrics.cut_back(training.progress.records)
        # Numbers that are not finite are looked for where they matter; NumPy's warnings would only come first.
        with np.errstate(all="ignore"):
            return training.run(progress)


class _Training:
    """A run in memory."""

    def __init__(self, config, folder):
        self.config, self.folder = config, folder
        self.data = config.load_data()
        self.model = config.build_model(self.data.recorded)
        self.optimizer = config.build_optimizer(self.model)
        self.progress = runs.Progress()
        self.metrics = None
        # Sums of loss and gradient norm, and their number, since the last training record. They live on
        # the device, so that no iteration waits for it.
        self.sums = to_device(np.zeros(3), config.device)
        self.epoch, self.batches = None, None
        self.epoch_length = self.data.train.batches_per_epoch(config.batch)

    # ------------------------------------------------------------------ the loop

    def run(self, progress):
        config, now = self.config, self.progress
        if now.finished:
            final = read_metrics(self.folder / runs.METRICS)[-1]
            print(
                f"{config.title}: this run is finished; --iterations above {config.iterations} continues it",
                file=sys.stderr,
            )
            return final
        self.started = time.perf_counter() - now.seconds
        self.display = Display(progress, now.iteration, config.iterations, config.title)
        try:
            with DelayedInterrupt() as interrupt:
                if now.iteration == 0:
                    self.save()
                while now.iteration < config.iterations:
                    self.iterate()
                    self.display.advance()
                    self.keep_books(interrupt.asked)
                    if interrupt.asked:
                        raise Interrupted(f"saved iteration {now.iteration} in {self.folder}")
            return self.finish()
        finally:
            self.display.close()

    def iterate(self):
        """One minibatch: gradients, clipping, a step."""
        config = self.config
        self.progress.iteration += 1
        iteration = self.progress.iteration
        x, y = to_device(self.batch(iteration), config.device)
        shape = (x.shape[1], config.hidden)
        noise = normal(shape, config.noise, config.dtype, config.seed, "training noise", iteration)
        loss, grads = self.model.loss_and_grads(x, y, initial_noise=to_device(noise, config.device))
        grads, norm = clip_by_global_norm(grads, config.clip)
        self.optimizer.step(grads)
        self.sums[0] += loss
        self.sums[1] += norm
        self.sums[2] += 1

    def batch(self, iteration):
        """The minibatch of an iteration (counted from 1): every epoch is shuffled anew."""
        config, train = self.config, self.data.train
        epoch, index = divmod(iteration - 1, self.epoch_length)
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches = train.batches(config.batch, rng=generator(config.seed, "shuffle", epoch), dtype=config.dtype)
        return self.batches[index]

    def keep_books(self, stopping):
        """After an iteration: what is due of record, validation and checkpoint, in this order."""
        config, now = self.config, self.progress

        def due(every):
            return now.iteration % every == 0 or now.iteration == config.iterations

        record, validate = due(config.log_every), due(config.validate_every)
        save = validate or due(config.checkpoint_every) or stopping
        if record or save:
            loss, norm = self.averages()
        if record:
            self.metrics.write("train", iteration=now.iteration, loss=loss, grad_norm=norm, seconds=self.seconds())
            self.sums[:] = 0
            self.display.note(f"loss {loss:.4f}")
        if validate:
            self.validate()
        if save:
            self.save()

    def averages(self):
        """Mean loss and gradient norm since the last record; both must be finite."""
        loss, norm, count = to_host(self.sums).tolist()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = "the loss" if not math.isfinite(loss) else "the norm of the gradient"
            self.diverged(what)
        return loss / count, norm / count

    def diverged(self, what):
        """Stop before anything is saved."""
        config, now = self.config, self.progress
        saved = int(read_checkpoint(self.folder / runs.LAST)["progress/iteration"])
        remedy = "use another learning rate or seed"
        if config.normalized and config.task == "mnist" and config.noise == 0:
            remedy = "on pixels in order a BN model needs noise on h0 (0.1)"
        raise FloatingPointError(
            f"{what} is not finite at iteration {now.iteration} or shortly before; training stopped. "
            f"The last good checkpoint is {self.folder / runs.LAST}, iteration {saved}; {remedy} in a new run"
        )

    def validate(self):
        """Score with batch statistics on the validation set; the model with the fewest errors so far is kept."""
        config, now = self.config, self.progress
        self.display.note("validating")
        valid = self.data.valid.subset(config.validate_on, generator(config.seed, "validation subset"))
        result = score(self.model, config, valid, "validation noise")
        if not math.isfinite(result.loss):
            self.diverged("the loss on the validation set")
        measures = config.measures(result)
        best = result.correct > now.best_correct
        if best:
            now.best_loss, now.best_correct, now.best_predictions = result
            now.best_iteration = now.iteration
            self.save_best(self.model, None)
        self.metrics.write(
            "valid", iteration=now.iteration, **measures, best=best, seconds=self.seconds()
        )
        mark = " (best so far)" if best else ""
        self.display.say(
            f"iteration {now.iteration}/{config.iterations}, validation {config.summary(measures)}{mark}, "
            f"{self.seconds():.0f} s"
        )

    # ------------------------------------------------------------------ the end

    def finish(self):
        """Population statistics of the best model, and its test results."""
        config, now = self.config, self.progress
        best = runs.load_best(self.folder)
        if best.iteration != now.best_iteration:
            raise ValueError(
                f"{self.folder / runs.BEST}: expected the model of iteration {now.best_iteration}, got that of "
                f"iteration {best.iteration}; it was exchanged or restored, so train again in a new folder"
            )
        self.display.note("population statistics")
        statistics = estimate_statistics(best.model, config, self.data.train)
        self.save_best(best.model, statistics)
        self.display.note("testing")
        test = self.data.test
        population = score(best.model, config, test, "test noise", statistics=statistics)
        batch = score(best.model, config, test, "test noise") if config.normalized else population
        final = {
            "iteration": now.iteration,
            "best_iteration": now.best_iteration,
            "test_name": self.data.test_name,
            **{f"best_valid_{name}": value for name, value in config.measures(now.best()).items()},
            **{f"test_{name}": value for name, value in config.measures(population).items()},
            **{f"test_{name}_batch_statistics": value for name, value in config.measures(batch).items()},
        }
        self.metrics.write("final", **final, seconds=self.seconds())
        now.finished = 1
        self.save()
        how = " with population statistics" if config.normalized else ""
        self.display.say(
            f"best model: iteration {now.best_iteration}, {self.data.test_name}: "
            f"{config.summary(config.measures(population))}{how}"
        )
        return {"kind": "final", **final, "seconds": self.seconds()}

    # ------------------------------------------------------------------ saving and restoring

    def seconds(self):
        """Time spent on this run, in all its sittings."""
        return round(time.perf_counter() - self.started, 3)

    def save(self):
        """Write ``last.npz``: nothing that is not finite, and counting no record that could still be lost."""
        now = self.progress
        now.records, now.seconds = self.metrics.records, self.seconds()
        arrays = runs.pack_model(self.config, self.model, self.data.recorded)
        arrays |= {f"optimizer/{name}": array for name, array in to_host(self.optimizer.state_arrays()).items()}
        if not all(np.isfinite(array).all() for array in arrays.values() if isinstance(array, np.ndarray)):
            self.diverged("a parameter")
        arrays |= {f"progress/{f.name}": np.asarray(getattr(now, f.name)) for f in fields(now)}
        arrays["progress/sums"] = to_host(self.sums)
        self.metrics.sync()
        write_checkpoint(self.folder / runs.LAST, arrays)

    def save_best(self, model, statistics):
        """Write ``best.npz``."""
        arrays = runs.pack_model(self.config, model, self.data.recorded)
        arrays["iteration"] = np.asarray(self.progress.best_iteration)
        arrays |= runs.pack_statistics(statistics)
        write_checkpoint(self.folder / runs.BEST, arrays)

    def restore(self):
        """Take everything back from ``last.npz``."""
        path = self.folder / runs.LAST
        arrays = read_checkpoint(path)
        runs.check_same_config(runs.config_of(path, arrays), self.config)
        # First the data, which may be others now: another text could have another alphabet, another NumPy may draw
        # another permutation.
        recorded = runs.recorded_data(path, arrays)
        if any(not np.array_equal(self.data.recorded[name], value) for name, value in recorded.items()):
            self.data = self.config.load_data(recorded)
        runs.unpack_model(path, arrays, self.model)
        kept = {name.removeprefix("optimizer/"): a for name, a in arrays.items() if name.startswith("optimizer/")}
        self.optimizer.load_state_arrays(kept)
        now = self.progress
        for f in fields(now):
            setattr(now, f.name, arrays[f"progress/{f.name}"].item())
        self.sums[:] = array_module(self.sums).asarray(arrays["progress/sums"])
        if now.finished and now.iteration < self.config.iterations:
            now.finished = 0
            now.records -= 1  # the final record: there will be another
