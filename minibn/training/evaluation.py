"""Looking at a run afterwards: what its best model does on the validation and the test set."""

import errno
from pathlib import Path

from minibn.training.checkpoints import read_checkpoint, write_checkpoint
from minibn.training.metrics import MetricsFile
from minibn.training.runs import BEST, METRICS, load_best, pack_model, pack_statistics
from minibn.training.tasks import load_data
from minibn.training.validation import estimate_statistics, score

__all__ = ["STATISTICS", "evaluate_run"]

STATISTICS = ("population", "batch", "averaged")


def evaluate_run(folder, statistics="population", batch_size=None, device=None):
    """Loss and accuracy of a run's best model.

    Parameters
    ----------
    folder : path-like
    statistics : {"population", "batch", "averaged"}
        Normalize with the population statistics of each time step, with those of the batch at hand, or with
        the population's averaged over time (the paper's ablation). If the run ended before its population
        statistics were estimated, they are estimated now and saved with the model.
    batch_size : int, optional
        By default that of training for batch statistics, else 1,000.
    device : {"cpu", "cuda"}, optional
        By default the one it was trained on.

    Returns
    -------
    dict of str to Score
        For the validation set and for what the data set calls its test set.
    """
    if statistics not in STATISTICS:
        raise ValueError(f"statistics: expected one of {', '.join(STATISTICS)}, got {statistics!r}")
    best = load_best(folder, device)
    config = best.config
    data = load_data(config, best.order)
    given = None
    if statistics != "batch":
        given = best.statistics
        if given is None:
            given = estimate_statistics(best.model, config, data.train)
            _save(folder, best, given)
        if statistics == "averaged":
            given = given.averaged_over_time()
    return {
        name: score(best.model, config, split, purpose, statistics=given, batch_size=batch_size)
        for name, split, purpose in (
            ("validation set", data.valid, "validation noise"),
            (data.test_name, data.test, "test noise"),
        )
    }


def _save(folder, best, statistics):
    """Keep the statistics with the model, unless somebody is training it: then its end will do so."""
    folder = Path(folder)
    try:
        lock = MetricsFile(folder / METRICS)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return
        raise
    with lock:
        if int(read_checkpoint(folder / BEST)["iteration"]) != best.iteration:
            return  # a better one was saved while we estimated
        arrays = pack_model(best.config, best.model, best.order)
        write_checkpoint(folder / BEST, {**arrays, "iteration": best.iteration, **pack_statistics(statistics)})
