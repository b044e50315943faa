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
import time

import numpy as np

from minibn.backend import to_device, to_host
from minibn.errors import tell
from minibn.training.display import DelayedInterrupt, Display, Interrupted
from minibn.training.folder import METRICS, HeldFolder
from minibn.training.metrics import read_metrics
from minibn.training.packing import reading
from minibn.training.randomness import generator
from minibn.training.resuming import Resumable, check_same_config, find_run
from minibn.training.runs import load_best, refuse_existing
from minibn.training.tasks import make_config
from minibn.training.validation import draw_noise, estimate_statistics, score


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
        If the configuration is not that of the run to resume, or a file of it is missing, damaged, or of another run.
    FloatingPointError
        If a number is not finite: a loss, the gradient, a parameter, a variance of the population. What was saved
        before is kept.
    OSError
        If something cannot be written. What was saved before is kept.
    Interrupted
        After Ctrl-C, when everything has been saved.
    """
    config = make_config(**config.to_dict())        # whoever made it: nothing is written before all values are checked
    with HeldFolder(folder) as held:
        found = find_run(held.folder) if resume else refuse_existing(held.folder)
        if found is not None:
            check_same_config(found.config, config)
        training = _Training(config, held.folder)
        # Numbers that are not finite are looked for where they matter; NumPy's warnings would only come first.
        with np.errstate(all="ignore"), training.opened(found):
            return training.run(progress)


class _Training(Resumable):
    """A run in memory: what is done with it. How it is saved and taken back, `Resumable` says."""

    def __init__(self, config, folder):
        super().__init__(config, folder)
        self.epoch, self.batches = None, None
        self.epoch_length = self.data.train.batches_per_epoch(config.batch)

    # ------------------------------------------------------------------ the loop

    def run(self, progress):
        config, now = self.config, self.progress
        if now.finished:
            tell(f"{config.title}: this run is finished; --iterations above {config.iterations} continues it")
            return self.final_record()
        self.started = time.perf_counter() - now.seconds
        self.display = Display(progress, now.iteration, config.iterations, config.title)
        try:
            with DelayedInterrupt() as interrupt:
                if now.iteration == 0:
                    self.save()
                while now.iteration < config.iterations:
                    self.iterate()
                    self.display.advance()
                    stopping = interrupt.asked      # once: if Ctrl-C comes in the meantime, the next iteration is saved
                    self.keep_books(stopping)
                    if stopping:
                        raise Interrupted(f"saved iteration {now.iteration} in {self.folder}")
            return self.finish()
        finally:
            self.display.close()

    def final_record(self):
        """The last record of a finished run, once it is found to be whole."""
        path = self.folder / METRICS
        measures = self.config.measures(self.progress.best())
        with reading(path, "its last record is damaged"):
            final = read_metrics(path)[-1]
            numbers = [final["best_iteration"], *(final[f"test_{name}"] for name in measures)]
            if final["kind"] != "final" or not all(isinstance(value, int | float) for value in numbers):
                raise ValueError(f"it is of kind {final['kind']}")
        return final

    def iterate(self):
        """One minibatch: gradients, clipping, a step."""
        config = self.config
        self.progress.iteration += 1
        iteration = self.progress.iteration
        x, y = to_device(self.batch(iteration), config.device)
        noise = draw_noise(self.model, config, x.shape[1], "training noise", iteration)
        data = self.model.draw_data(generator(config.seed, "training data", iteration), x)
        loss, grads = self.model.loss_and_grads(x, y, **noise, data=data or None)
        grads, norm = config.clipped(grads)
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

    def score(self, model, split, purpose, what, statistics=None):
        """The `Score` of a model on a split; a loss that is not finite stops training."""
        try:
            return score(model, self.config, split, purpose, statistics=statistics)
        except FloatingPointError:
            self.diverged(what)

    def validate(self):
        """Score with batch statistics on the validation set; the model with the fewest errors so far is kept."""
        config, now = self.config, self.progress
        self.display.note("validating")
        valid = self.data.valid.subset(config.validate_on, generator(config.seed, "validation subset"))
        result = self.score(self.model, valid, "validation noise", "the loss on the validation set")
        measures = config.measures(result)
        best = result.correct > now.best_correct
        if best:
            now.best_loss, now.best_correct, now.best_predictions = result
            now.best_iteration = now.iteration
            self.save_best(self.model, None)
        self.metrics.write("valid", iteration=now.iteration, **measures, best=best, seconds=self.seconds())
        mark = " (best so far)" if best else ""
        self.display.say(f"iteration {now.iteration}/{config.iterations}, validation {config.summary(measures)}{mark}, "
                         f"{self.seconds():.0f} s")

    # ------------------------------------------------------------------ the end

    def finish(self):
        """Population statistics of the best model, and its test results."""
        config, now = self.config, self.progress
        best = load_best(self.folder)
        if best.iteration != now.best_iteration:
            self.exchanged(best.iteration)
        self.display.note("population statistics")
        try:
            statistics = estimate_statistics(best.model, config, self.data.train)
        except FloatingPointError:
            self.diverged("a variance of the population")
        self.save_best(best.model, statistics)
        self.display.note("testing")
        test = self.data.test
        what = f"the loss on the {self.data.test_name}"
        population = self.score(best.model, test, "test noise", what, statistics)
        batch = self.score(best.model, test, "test noise", what) if config.normalized else population
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
        self.display.say(f"best model: iteration {now.best_iteration}, {self.data.test_name}: "
                         f"{config.summary(config.measures(population))}{how}{config.about(test)}")
        return {"kind": "final", **final, "seconds": self.seconds()}

    def seconds(self):
        """Time spent on this run, in all its sittings."""
        return round(time.perf_counter() - self.started, 3)
