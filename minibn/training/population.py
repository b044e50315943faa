"""Population statistics: the plain average of batch statistics over the training set (Section 4 of the paper)."""

import numpy as np

from minibn.backend import array_module, to_host
from minibn.statistics import PopulationStatistics, Statistics, average_over_batches


def estimate_population_statistics(model, batches, draw_noise=None, draw_data=None, stages=None):
    """Average each step's mean and biased variance over minibatches.

    Run after training, with the final parameters: averages kept during training lag behind the weights. Every
    batch has the same weight, a smaller last one too; the variance between the batches' means is not added.
    A batch shorter than the longest is continued with the values of its last step.

    Parameters
    ----------
    model : model or layer
    batches : iterable, or callable that gives one
        Of (x, y) or (x, y, mask), x being what the model's `loss` takes. Large batches fit: the model streams over
        time. For more than one stage it is gone through more than once.
    draw_noise : callable, optional
        ``draw_noise(batch index, N) -> ndarray (N, H)``, added to a model's h0 as in training.
    draw_data : callable, optional
        ``draw_data(batch index, T, N) -> dict``, what the cell takes at each step (masks, noise), as in training;
        by default their expectations.
    stages : sequence of sequences of str, optional
        The terms that each pass over the batches estimates, with those of the passes before it given. By default the
        model's `population_stages`, or one pass for all terms. A term whose variance vanishes at some step multiplies
        by 1/sqrt(eps) what the terms before it differ by between batches: these come first, then.

    Returns
    -------
    PopulationStatistics
        Term -> Statistics of arrays (T_max, G), in the dtype and on the device of the model.

    Raises
    ------
    TypeError, ValueError
        No batch has a live step; an iterator, which is used up after one pass, for several stages; stages that are not
        all terms once; noise for a layer.
    """
    if draw_noise is not None and not hasattr(model, "cell"):
        raise ValueError("draw_noise: expected None for a layer, got a function; pass a model, which adds noise to h0")
    if not model.terms:
        return PopulationStatistics()
    stages = stages or getattr(model, "population_stages", None) or (model.terms,)
    if sorted(term for stage in stages for term in stage) != sorted(model.terms):
        raise ValueError(f"stages: expected each of the terms {', '.join(model.terms)} once, got "
                         f"{[list(stage) for stage in stages]}")
    if len(stages) > 1 and hasattr(batches, "__next__"):
        raise TypeError(f"batches: expected something to go through {len(stages)} times, a list or a function, got an "
                        f"iterator; pass list(batches), or a function that makes it")
    xp = array_module(next(iter(model.params.values())))
    given = PopulationStatistics()
    for stage in stages:
        each = batches() if callable(batches) else batches
        found = average_over_batches(_of_each_batch(model, each, draw_noise, draw_data, given or None))
        if not found:
            raise ValueError("batches: expected at least one minibatch with a live step, got none; "
                             "pass an iterable of (x, y) or (x, y, mask), not one that is used up")
        given |= {term: Statistics(*(xp.asarray(values.astype(model.dtype)) for values in found[term]))
                  for term in stage}
    return PopulationStatistics({term: given[term] for term in model.terms})


def _of_each_batch(model, batches, draw_noise, draw_data, given):
    """The statistics of each batch that has a live step, in float64 on the host, where those `given` are fixed."""
    for index, (x, _, *rest) in enumerate(batches):
        mask = rest[0] if rest else None
        settings = {} if mask is None else {"mask": mask}
        settings |= {} if draw_noise is None else {"initial_noise": draw_noise(index, x.shape[1])}
        settings |= {} if draw_data is None else {"data": draw_data(index, *x.shape[:2])}
        of_batch = model.batch_statistics(x, **settings, statistics=given)
        if mask is None or to_host(mask).any():
            yield {term: Statistics(*(to_host(values).astype(np.float64) for values in statistics))
                   for term, statistics in of_batch.items()}
