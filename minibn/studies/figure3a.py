"""Figure 3(a): validation bits per character while training on Penn Treebank, from run folders."""

import numpy as np

from minibn.studies import learning_curves
from minibn.studies.drawing import label_ends
from minibn.studies.figure import figure_of_runs
from minibn.studies.reference import published_curves
from minibn.studies.runs import grouped, read_curves
from minibn.studies.text_runs import KIND, PUBLISHED, corpus_of, is_published_text, ours_and_published

__all__ = ["FIGURE", "compute", "panels", "plot", "published", "table"]

MEASURE = "bits_per_character"      # with batch statistics, as in the paper's figure
EPOCH = 791     # iterations: 50,594 segments of 100 characters in batches of 64
TABLE_EPOCHS = (1, 2, 5, 10, 15)
MOST_ROWS = 12  # of the table of another text, whose epochs are not these


def compute(runs):
    """The validation curves of finished or unfinished runs on text: see `minibn.studies.runs.read_curves`."""
    return read_curves(runs, KIND, MEASURE)


def panels(numbers):
    """The runs grouped by their text and their size: title -> runs."""
    return grouped(numbers, lambda run: f"{corpus_of(run)}, {run['settings']['hidden']:,} units")


def plot(runs, ax, title=""):
    """Draw the runs of one panel, over the published curves where they are of the same text."""
    lines = learning_curves.plot(runs, ax, MEASURE, published(runs), PUBLISHED)
    # An untrained model's bits, log2 of the vocabulary, would leave no room for the rest: the line comes from above.
    bits = np.concatenate([line.get_ydata(orig=False)[line.get_xdata(orig=False) > 0] for line in lines])
    margin = 0.05 * np.ptp(bits) or 0.1
    ax.set(ylim=(bits.min() - margin, bits.max() + margin), title=title, ylabel="validation, bits per character")
    label_ends(ax, lines)


def table(runs):
    """One panel as a Markdown table, our bits per character beside the published, and the lowest of each in words.

    The rows are the ends of the epochs that the paper's curves are compared at, or, of another text, some validation
    points.
    """
    theirs = published(runs)
    iterations = [EPOCH * epoch for epoch in TABLE_EPOCHS] if theirs else _some(learning_curves.validated(runs))
    text = learning_curves.table(runs, iterations, MEASURE, theirs)
    return "\n\n".join([text, learning_curves.lowest(runs, MEASURE, theirs), ours_and_published(runs, theirs)])


def published(runs):
    """Published curves of the models among `runs`, if these were trained on the paper's text: model -> (x, y)."""
    if not all(map(is_published_text, runs)):
        return {}
    return learning_curves.published_models(published_curves("figure_3a"), runs)


def _some(iterations):
    """At most `MOST_ROWS` of them, evenly spread, the last one included."""
    chosen = np.linspace(len(iterations), 0, min(len(iterations), MOST_ROWS), endpoint=False)
    return [iterations[int(place) - 1] for place in chosen]


FIGURE = figure_of_runs(
    name="figure3a", help="bits per character while training on text", takes={"runs": "runs on text"},
    compute=compute, panels=panels, plot=plot, table=table, size=(8.0, 3.8),
)  # fmt: skip
