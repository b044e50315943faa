"""Figure 2: validation accuracy while training on sequential or permuted MNIST, from run folders."""

from minibn.studies import learning_curves
from minibn.studies.learning_curves import COLORS, MODEL_NAMES
from minibn.studies.reference import published_curves
from minibn.training.images import ImageConfig

__all__ = ["COLORS", "MODEL_NAMES", "compute", "panels", "plot", "table"]

# The published permuted curves were made with the authors' index map; a true permutation is a harder task.
PUBLISHED = {"in_order": "figure_2_mnist", "authors_seed1": "figure_2_pmnist"}
INDEX_MAPS = {
    "in_order": "pixels in order",
    "permutation": "permuted pixels",
    "authors_seed1": "pixels by the authors' index map",
}
TABLE_ITERATIONS = (500, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 50_000, 70_000, 100_000)
KEPT = ("task", "model", "index_map", "data", "side", "seed")


def compute(run_folders):
    """The validation curves of finished or unfinished runs.

    Parameters
    ----------
    run_folders : iterable of path-like
        Folders with ``config.json`` and ``metrics.jsonl``.

    Returns
    -------
    list of dict
        One per run, in the given order: "run" (the folder's name), "task", "model", "index_map", "data",
        "side", "seed", "made_with" (command, commit, machine, date), and "iteration" and "accuracy", ndarrays
        of one length; the accuracy is with batch statistics, as in the paper's figure.

    Raises
    ------
    ValueError
        A run is on text, or has no validation record yet.
    """
    return learning_curves.read_runs(run_folders, ImageConfig, "images", _describe, "accuracy")


def panels(numbers):
    """The runs grouped by what they were trained on: title -> runs."""
    return learning_curves.grouped(numbers, _title)


def plot(runs, ax, title=""):
    """Draw the runs of one panel, over the published curves where they are of the same images."""
    learning_curves.plot(runs, ax, "accuracy", _published(runs))
    ax.axhline(0.1, color="#666666", linewidth=1.2, linestyle=":", label="guessing")
    ax.set(ylim=(0, 1), title=title, ylabel="validation accuracy")
    ax.legend(loc="best")


def table(runs):
    """One panel as a Markdown table: our validation accuracy beside the published one.

    The rows are `TABLE_ITERATIONS`, or all validation points of runs too short for any of them.
    """
    return learning_curves.table(runs, TABLE_ITERATIONS, "accuracy", _published(runs))


def _describe(config):
    return {name: getattr(config, name) for name in KEPT}


def _title(run):
    images = "MNIST" if run["data"] == "mnist" else "5,000 MNIST images"
    return f"{images}, {run['side']}x{run['side']}, {INDEX_MAPS[run['index_map']]}"


def _published(runs):
    """Published curves of the models among `runs`, if these saw what the paper's did: model -> (x, y)."""
    if any(run["data"] != "mnist" or run["side"] != 28 or run["index_map"] not in PUBLISHED for run in runs):
        return {}
    return learning_curves.published_models(published_curves(PUBLISHED[runs[0]["index_map"]]), runs)
