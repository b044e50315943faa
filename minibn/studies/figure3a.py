"""Figure 3(a): validation bits per character while training on Penn Treebank, from run folders."""

import numpy as np

from minibn.studies import learning_curves
from minibn.studies.reference import published_curves
from minibn.studies.text_runs import KIND, PUBLISHED, describe, is_published_text

__all__ = ["compute", "panels", "plot", "table"]

MEASURE = "bits_per_character"
EPOCH = 791     # iterations: 50,594 segments of 100 characters in batches of 64
TABLE_EPOCHS = (1, 2, 5, 10, 15)
MOST_ROWS = 12  # of the table of another text, whose epochs are not these


def compute(run_folders):
    """The validation curves of finished or unfinished runs on text.

    Parameters
    ----------
    run_folders : iterable of path-like
        Folders with ``config.json`` and ``metrics.jsonl``.

    Returns
    -------
    list of dict
        One per run, in the given order: "run" (the folder's name), "task", "model", "data", "hidden", "length",
        "seed", "corpus", "settings", "made_with" (command, commit, machine, date), and "iteration" and
        "bits_per_character", ndarrays of one length; with batch statistics, as in the paper's figure.

    Raises
    ------
    ValueError
        A run is not on text, or has no validation record yet.
    """
    return learning_curves.read_runs(run_folders, *KIND, describe, MEASURE)


def panels(numbers):
    """The runs grouped by their text and their size: title -> runs."""
    return learning_curves.grouped(numbers, lambda run: f"{run['corpus']}, {run['hidden']:,} units")


def plot(runs, ax, title=""):
    """Draw the runs of one panel, over the published curves where they are of the same text."""
    published = _published(runs)
    learning_curves.plot(runs, ax, MEASURE, published, PUBLISHED)
    # An untrained model's bits, log2 of the vocabulary, would leave no room for the rest: the line comes from above.
    bits = np.concatenate([line.get_ydata(orig=False)[line.get_xdata(orig=False) > 0] for line in ax.lines])
    margin = 0.05 * np.ptp(bits) or 0.1
    ax.set(ylim=(bits.min() - margin, bits.max() + margin), title=title, ylabel="validation, bits per character")
    ax.legend(loc="best")


def table(runs):
    """One panel as a Markdown table, our bits per character beside the published, and the lowest of each in words.

    The rows are the ends of the epochs that the paper's curves are compared at, or, of another text, some validation
    points.
    """
    published = _published(runs)
    iterations = [EPOCH * epoch for epoch in TABLE_EPOCHS] if published else _some(learning_curves.validated(runs))
    text = learning_curves.table(runs, iterations, MEASURE, published, PUBLISHED)
    lowest = [_lowest(learning_curves.label(run, "ours"), run["iteration"], run[MEASURE]) for run in runs]
    lowest += [_lowest(f"{learning_curves.MODEL_NAMES[model]}, {PUBLISHED}", *curve)
               for model, curve in published.items()]
    return f"{text}\n\nLowest: {'; '.join(lowest)}."


def _published(runs):
    """Published curves of the models among `runs`, if these were trained on the paper's text: model -> (x, y)."""
    if not all(map(is_published_text, runs)):
        return {}
    return learning_curves.published_models(published_curves("figure_3a"), runs)


def _some(iterations):
    """At most `MOST_ROWS` of them, evenly spread, the last one included."""
    chosen = np.linspace(len(iterations), 0, min(len(iterations), MOST_ROWS), endpoint=False)
    return [iterations[int(place) - 1] for place in chosen]


def _lowest(name, iterations, bits):
    best = int(np.argmin(bits))
    return f"{name}: {bits[best]:.3f} at iteration {int(iterations[best]):,}"
