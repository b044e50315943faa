"""Figure 2: validation accuracy while training on sequential or permuted MNIST, from run folders."""

from minibn.studies import learning_curves
from minibn.studies.drawing import COLORS, LABEL, MODEL_NAMES, label_ends
from minibn.studies.figure import figure_of_runs
from minibn.studies.reference import published_curves
from minibn.studies.runs import grouped, read_curves

__all__ = ["COLORS", "FIGURE", "MODEL_NAMES", "compute", "panels", "plot", "published", "table", "title_of_run"]

# The published permuted curves were made with the authors' index map; a true permutation is a harder task.
PUBLISHED = {"in_order": "figure_2_mnist", "authors_seed1": "figure_2_pmnist"}
INDEX_MAPS = {
    "in_order": "pixels in order",
    "permutation": "permuted pixels",
    "replacement": "pixels drawn with replacement",
    "authors_seed1": "pixels by the authors' index map",
}
TABLE_ITERATIONS = (500, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 50_000, 70_000, 100_000)
MEASURE = "accuracy"        # with batch statistics, as in the paper's figure


def compute(runs):
    """The validation curves of finished or unfinished runs on images: see `minibn.studies.runs.read_curves`."""
    return read_curves(runs, "images", MEASURE)


def panels(numbers):
    """The runs grouped by what they were trained on: title -> runs."""
    return grouped(numbers, title_of_run)


def plot(runs, ax, title=""):
    """Draw the runs of one panel, over the published curves where they are of the same images."""
    lines = learning_curves.plot(runs, ax, MEASURE, published(runs))
    ax.set(ylim=(0, 1), title=title, ylabel="validation accuracy")
    ax.axhline(0.1, color="#666666", linewidth=1.2, linestyle=":")
    ax.text(0.99, 0.09, "guessing", transform=ax.get_yaxis_transform(), color="#666666", horizontalalignment="right",
            verticalalignment="top", **LABEL)
    label_ends(ax, lines)


def table(runs):
    """One panel as a Markdown table: our validation accuracy beside the published one.

    The rows are `TABLE_ITERATIONS`, or all validation points of runs too short for any of them.
    """
    return learning_curves.table(runs, TABLE_ITERATIONS, MEASURE, published(runs))


def title_of_run(run):
    """What a run was trained on: which images, how large, in which order."""
    settings = run["settings"]
    images = "MNIST" if settings["data"] == "mnist" else "5,000 MNIST images"
    return f"{images}, {settings['side']}x{settings['side']}, {INDEX_MAPS[settings['index_map']]}"


def published(runs):
    """Published curves of the models among `runs`, if these saw what the paper's did: model -> (x, y)."""
    settings = runs[0]["settings"]          # those that make the panel's title are the same in all of them
    if settings["data"] != "mnist" or settings["side"] != 28 or settings["index_map"] not in PUBLISHED:
        return {}
    return learning_curves.published_models(published_curves(PUBLISHED[settings["index_map"]]), runs)


FIGURE = figure_of_runs(
    name="figure2", help="accuracy while training on MNIST", takes={"runs": "runs on images"},
    compute=compute, panels=panels, plot=plot, table=table, size=(8.0, 3.6),
)  # fmt: skip
