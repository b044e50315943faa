"""Looking at a run afterwards: what its best model does on the validation and the test set."""

import errno
from pathlib import Path

from minibn.backend import to_device
from minibn.training.checkpoints import read_checkpoint, write_checkpoint
from minibn.training.display import Display
from minibn.training.metrics import MetricsFile
from minibn.training.runs import BEST, METRICS, load_best, pack_model, pack_statistics
from minibn.training.texts import TextConfig
from minibn.training.validation import Score, estimate_statistics, score

__all__ = ["STATISTICS", "evaluate_run", "evaluate_whole_text", "open_run"]

STATISTICS = ("population", "batch", "averaged")


def evaluate_run(folder, statistics="population", batch_size=None, device=None, lengths=None):
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
    lengths : sequence of int, optional
        Of a run on text: the test text only, cut into segments of each of these lengths.

    Returns
    -------
    dict of str to Score
        For the validation set and for what the data set calls its test set; or for each length.
    """
    best, data, given = _opened(folder, statistics, device)
    if lengths is None:
        splits = {data.valid_name: (data.valid, "validation noise"), data.test_name: (data.test, "test noise")}
    elif isinstance(best.config, TextConfig):
        splits = {f"{data.test_name}, length {n}": (data.test.with_length(n), "test noise") for n in lengths}
    else:
        raise ValueError("lengths: expected a run on text, got one on images, which have one length; leave it out")
    return {
        name: score(best.model, best.config, split, purpose, statistics=given, batch_size=batch_size)
        for name, (split, purpose) in splits.items()
    }


def evaluate_whole_text(folder, statistics="population", device=None, piece_steps=None, progress="auto"):
    """Score of a run's best model on the whole test text as one sequence, batch 1 (Table 2 of the paper).

    Streams over time in bounded memory, and in float64: rounding adds up over hundreds of thousands of steps.

    Parameters
    ----------
    folder, device
        As in `evaluate_run`.
    statistics : {"population", "averaged"}
        Beyond the segments' length the last step's are repeated. A batch of one has none of its own.
    piece_steps : int, optional
        Steps at a time. It changes no result, only memory and time.
    progress : {"auto", "bar", "lines", "none"}
        What to show on stderr.

    Returns
    -------
    dict of str to Score
        Of one entry.
    """
    if statistics == "batch":
        raise ValueError("statistics: expected population or averaged, got 'batch'; one sequence has no batch")
    best, data, given = _opened(folder, statistics, device)
    if not isinstance(best.config, TextConfig):
        raise ValueError(f"{folder}: expected a run on text, got one on images; leave --whole out")
    model = best.model.map_params(lambda param: param.astype("float64"))
    x, y = to_device(data.test.whole(), best.config.device)
    display = Display(progress, 0, len(x), best.config.title)
    try:
        loss, correct = model.totals(x, y, statistics=given, piece_steps=piece_steps, observe=display.advance)
    finally:
        display.close()
    return {f"{data.test_name}, one sequence": Score(float(loss) / y.size, int(correct), y.size)}


def open_run(folder, device=None):
    """The `Best` of a run; its population statistics are estimated now if the run ended before that."""
    best = load_best(folder, device)
    if best.statistics is None:
        train = best.config.load_data(best.recorded).train
        best = best._replace(statistics=estimate_statistics(best.model, best.config, train))
        _save(folder, best)
    return best


def _opened(folder, statistics, device):
    """The `Best` of a run, its data, and the statistics to normalize with (None: the batch's own)."""
    if statistics not in STATISTICS:
        raise ValueError(f"statistics: expected one of {', '.join(STATISTICS)}, got {statistics!r}")
    best = load_best(folder, device) if statistics == "batch" else open_run(folder, device)
    given = None if statistics == "batch" else best.statistics
    if statistics == "averaged":
        given = given.averaged_over_time()
    return best, best.config.load_data(best.recorded), given


def _save(folder, best):
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
        arrays = pack_model(best.config, best.model, best.recorded)
        write_checkpoint(folder / BEST, {**arrays, "iteration": best.iteration, **pack_statistics(best.statistics)})
