"""How good a model is on a split, with batch or population statistics, and the estimation of the latter."""

import math
from typing import NamedTuple

import numpy as np

from minibn.backend import array_module, to_device, to_host
from minibn.statistics import PopulationStatistics
from minibn.training.population import estimate_population_statistics
from minibn.training.randomness import generator, normal


class Score(NamedTuple):
    """What a model does on a split."""

    loss: float
    """Mean cross-entropy of a prediction, in nats."""
    correct: int
    predictions: int
    """How many: one for each image, one for each character but the first of each segment."""

    @property
    def accuracy(self):
        """The fraction of the predictions that are right."""
        return self.correct / self.predictions

    @property
    def bits(self):
        """The loss in bits: of a character, bits per character."""
        return self.loss / math.log(2)


def draw_noise(model, config, N, purpose, *index):
    """The noise on the states of a model that takes some: ``initial_noise`` (N, its noise_size), or nothing."""
    noise = normal((N, model.noise_size), config.noise, config.dtype, config.seed, purpose, *index)
    return {} if noise is None else {"initial_noise": to_device(noise, config.device)}


def score(model, config, split, purpose, statistics=None, batch_size=None):
    """Loss and accuracy of a model on every example of a split, in its order.

    Parameters
    ----------
    model : model
    config : TrainConfig
    split : minibn.data.Split or minibn.data.Segments
    purpose : str
        Of the noise on h0 (``minibn.training.randomness.PURPOSES``), drawn for the whole split at once: with given
        statistics the result does not depend on the batch size.
    statistics : PopulationStatistics, optional
        By default those of each batch, as in training.
    batch_size : int, optional
        By default that of training with batch statistics, `TrainConfig.test_batch` with given ones.

    Returns
    -------
    Score

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    if batch_size is None:
        batch_size = config.batch if statistics is None else config.test_batch
    noise = draw_noise(model, config, len(split), purpose)
    total, predictions, start = None, 0, 0
    for batch in split.batches(batch_size, dtype=config.dtype):
        x, y = to_device(batch, config.device)
        N = x.shape[1]
        piece = {name: values[start : start + N] for name, values in noise.items()}
        start += N
        predictions += y.size
        with np.errstate(all="ignore"):  # whether they are finite, the loss says
            sums = model.totals(x, y, statistics=statistics, **piece)
        sums = array_module(x).stack(sums)
        total = sums if total is None else total + sums  # stays on the device until the last batch
    loss, correct = to_host(total).tolist()
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss of the model is not finite ({purpose.split()[0]} set); train another one")
    return Score(loss / predictions, int(correct), predictions)


def estimate_statistics(model, config, split):
    """Population statistics by one pass over the training set: a plain average over its batches.

    The batches have the authors' sizes (5,000 images, 100 or 1,000 segments), and the order of the file.

    Returns
    -------
    PopulationStatistics
        Empty for a model without batch normalization.

    Raises
    ------
    FloatingPointError
        If one of them is not finite.
    """
    if not config.normalized:
        return PopulationStatistics()

    def noise_of(batch, N):
        return draw_noise(model, config, N, "population noise", batch).get("initial_noise")

    def data_of(batch, T, N):
        return model.cell.draw_data(generator(config.seed, "population data", batch), T, N) or None

    split = split.subset(config.population_on, generator(config.seed, "population subset"))
    batches = split.batches(config.population_batch, dtype=config.dtype)
    drawn = {"draw_noise": noise_of, "draw_data": data_of} if hasattr(model, "cell") else {}
    with np.errstate(all="ignore"):
        found = estimate_population_statistics(model, lambda: (to_device(batch, config.device) for batch in batches),
                                               **drawn)
    for term, statistics in found.items():
        if not all(np.isfinite(to_host(values)).all() for values in statistics):
            raise FloatingPointError(f"the population statistics of {term!r} are not finite; train another model")
    return found
