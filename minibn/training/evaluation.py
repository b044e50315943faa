"""Looking at a run afterwards: what its best model does on the validation and the test set."""

import math
from contextlib import contextmanager
from functools import cached_property

from minibn.backend import to_device
from minibn.errors import check_integer, tell
from minibn.training.checkpoints import write_checkpoint
from minibn.training.display import Display
from minibn.training.folder import BEST, HeldFolder, InUse, folder_path
from minibn.training.packing import pack_statistics, reading, scalar
from minibn.training.runs import load_best, read_run
from minibn.training.validation import Score, estimate_statistics, score

STATISTICS = ("population", "batch", "averaged")


def evaluate_run(folder, statistics="population", batch_size=None, device=None, lengths=None, cell=None):
    """Loss and accuracy of a run's best model.

    Parameters
    ----------
    folder : path-like
    statistics : {"population", "batch", "averaged"}
        Normalize with the population statistics of each time step, with those of the batch at hand, or with
        the population's averaged over time (the paper's ablation). If the run ended before its population
        statistics were estimated, they are estimated now and at last saved with the model, if that is possible.
    batch_size : int, optional
        By default that of training for batch statistics and for readers, else 1,000.
    device : {"cpu", "cuda"}, optional
        By default the one it was trained on.
    lengths : sequence of int, optional
        Of a run on text: the test text only, cut into segments of each of these lengths.
    cell : str or Cell, optional
        Of a run with a cell of the user's own, as in `minibn.load`.

    Returns
    -------
    dict of str to Score
        For the validation set and for what the data set calls its test set; or for each length.
    """
    with evaluated(folder, statistics, device, cell) as opened:
        return opened.splits(batch_size, lengths)


def evaluate_whole_text(folder, statistics="population", device=None, piece_steps=None, progress="auto", cell=None):
    """Score of a run's best model on the whole test text as one sequence, batch 1 (Table 2 of the paper).

    Streams over time in bounded memory, and in float64: rounding adds up over hundreds of thousands of steps.

    Parameters
    ----------
    folder, device, cell
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
    with evaluated(folder, statistics, device, cell) as opened:
        return opened.whole_text(piece_steps, progress)


def open_run(folder, device=None, cell=None):
    """The `Best` of a run; its population statistics are estimated now if the run ended before that, and saved."""
    with evaluated(folder, "population", device, cell) as opened:
        opened.given()
        return opened.best


@contextmanager
def evaluated(folder, statistics="population", device=None, cell=None):
    """An `Evaluation`; statistics that had to be estimated are saved at its end, after the results."""
    opened = Evaluation(folder, statistics, device, cell)
    yield opened
    if opened.estimated:
        _save(opened.folder, opened.best)


class Evaluation:
    """A run's best model and its data; the arguments are those of `evaluate_run`."""

    def __init__(self, folder, statistics, device, cell):
        if statistics not in STATISTICS:
            raise ValueError(f"statistics: expected one of {', '.join(STATISTICS)}, got {statistics!r}")
        self.folder, self.statistics = folder_path(folder), statistics
        self.best, self.estimated = load_best(folder, device, cell), False

    @cached_property
    def data(self):
        """The run's data, read when they are needed: a model that has its statistics can be looked at without."""
        with reading(self.folder / BEST):
            return self.best.config.load_data(self.best.recorded)

    def given(self):
        """The statistics to normalize with; None: the batch's own."""
        if self.statistics == "batch":
            return None
        if self.best.statistics is None:
            found = estimate_statistics(self.best.model, self.best.config, self.data.train)
            self.best, self.estimated = self.best._replace(statistics=found), True
        return self.best.statistics.averaged_over_time() if self.statistics == "averaged" else self.best.statistics

    def splits(self, batch_size=None, lengths=None):
        """What `evaluate_run` gives."""
        if batch_size is not None:
            batch_size = check_integer("batch_size", batch_size, 2, "one example alone has no variance")
        parts, given = self.parts(lengths), self.given()
        return {name: score(self.best.model, self.best.config, split, purpose, statistics=given, batch_size=batch_size)
                for name, (split, purpose) in parts.items()}

    def parts(self, lengths=None):
        """What is evaluated: name -> split, and the purpose of its noise."""
        data = self.data
        if lengths is not None:
            cut = self.best.config.cut(data, lengths)
            return {name: (split, "test noise") for name, split in cut.items()}
        return {data.valid_name: (data.valid, "validation noise"), data.test_name: (data.test, "test noise")}

    def whole_text(self, piece_steps=None, progress="auto"):
        """What `evaluate_whole_text` gives."""
        config = self.best.config
        if self.statistics == "batch":
            raise ValueError("statistics: expected population or averaged, got 'batch'; one sequence has no batch")
        x, y = to_device(config.whole(self.data), config.device)
        given = self.given()
        model = self.best.model.map_params(lambda param: param.astype("float64"))
        display = Display(progress, 0, len(x), config.title)
        try:
            loss, correct = model.totals(x, y, statistics=given, piece_steps=piece_steps, observe=display.advance)
        finally:
            display.close()
        loss = float(loss) / y.size
        if not math.isfinite(loss):
            raise FloatingPointError("the loss of the model on the whole text is not finite; train another one")
        return {f"{self.data.test_name}, one sequence": Score(loss, int(correct), y.size)}


def _save(folder, best):
    """Keep the statistics with the model, if the folder can be held and written; else say why not."""
    try:
        with HeldFolder(folder):
            arrays = read_run(folder).read(BEST)
            if scalar(arrays, "iteration", "i") == best.iteration:       # else a better one was saved in the meantime
                write_checkpoint(folder / BEST, arrays | pack_statistics(best.statistics))
    except InUse:
        tell(f"{folder / BEST}: the population statistics are not saved; the process that trains here will do so")
    except OSError as error:
        reason = error.__cause__ or error
        tell(f"{folder / BEST}: the population statistics are not saved, and will be estimated again ({reason})")
