"""Population statistics: the plain average of batch statistics over the training set (Section 4 of the paper)."""

import numpy as np

from minibn.backend import array_module, to_host
from minibn.statistics import PopulationStatistics, Statistics


def estimate_population_statistics(model, batches, draw_noise=None):
    """Average each step's mean and biased variance over minibatches.

    Run after training, with the final parameters: averages kept during training lag behind the weights. Every
    batch has the same weight, a smaller last one too; the variance between the batches' means is not added.
    A batch shorter than the longest is continued with the values of its last step.

    Parameters
    ----------
    model : model or layer
    batches : iterable
        Of (x, y) or (x, y, mask). Large batches fit: the model streams over time.
    draw_noise : callable, optional
        ``draw_noise(batch index, N) -> ndarray (N, H)``, added to a model's h0 as in training.

    Returns
    -------
    PopulationStatistics
        Term -> Statistics of arrays (T_max, G), in the dtype and on the device of the model.

    Raises
    ------
    ValueError
        No batch has a live step; noise for a layer.
    """
    if draw_noise is not None and not hasattr(model, "cell"):
        raise ValueError("draw_noise: expected None for a layer, got a function; pass a model, which adds noise to h0")
    if not model.terms:
        return PopulationStatistics()
    totals, count = {}, 0
    for index, (x, _, *rest) in enumerate(batches):
        mask = rest[0] if rest else None
        noise = {} if draw_noise is None else {"initial_noise": draw_noise(index, x.shape[1])}
        of_batch = model.batch_statistics(x, mask, **noise)
        live = None if mask is None else to_host(mask).any(axis=1)                           # (T,)
        if live is not None and not live.any():
            continue
        xp = array_module(x)
        for term, statistics in of_batch.items():
            values = np.stack([to_host(value).astype(np.float64) for value in statistics])   # (2, T, G)
            values = continue_dead_steps(values, live) if values.shape[1] == x.shape[0] else values
            totals[term] = _add_ragged(totals[term], values) if term in totals else values
        count += 1
    if not count:
        raise ValueError("batches: expected at least one minibatch with a live step, got none; "
                         "pass an iterable of (x, y) or (x, y, mask), not one that is used up")
    return PopulationStatistics({
        term: Statistics(*(xp.asarray((total / count).astype(model.dtype)) for total in totals[term]))
        for term in model.terms})


def continue_dead_steps(values, live):
    """Give each step without a live example the values of the last live step before it (or the first one after).

    `values` is (2, T, G), `live` (T,) or None.
    """
    if live is None:
        return values
    steps = np.arange(len(live))
    source = np.maximum.accumulate(np.where(live, steps, -1))
    return values[:, np.where(source < 0, np.argmax(live), source)]


def _add_ragged(total, values):
    """The sum of two (2, T, G) arrays, the shorter continued with its last step."""
    T = max(total.shape[1], values.shape[1])

    def continued(array):
        return array[:, np.minimum(np.arange(T), array.shape[1] - 1)]

    return continued(total) + continued(values)
