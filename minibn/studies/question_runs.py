"""Runs on questions beside the published ones: what they have in common, and Figure 4, which is drawn from them."""

from functools import partial

import numpy as np

from minibn.models import READERS
from minibn.studies import learning_curves
from minibn.studies.drawing import title_of
from minibn.studies.figure import Figure
from minibn.studies.reference import published_curves
from minibn.studies.runs import read_curves

__all__ = ["compute", "figure4", "questions_of", "title_of_runs"]

MEASURE = "error"       # with batch statistics, as in the paper's figure
TABLE_ITERATIONS = (100, 250, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 10_000, 50_000, 100_000, 200_000, 300_000)


def compute(runs):
    """The validation curves of finished or unfinished runs on the same questions.

    Parameters
    ----------
    runs : iterable of path-like

    Returns
    -------
    list of dict
        One per run, in the order of `minibn.models.READERS`: see `minibn.studies.runs.read_curves`; the measures are
        "loss", "error" and "seconds". Also "predictions", the number of questions in a validation; "standard_error",
        that of each "error" for so many questions; and "test_error", with population statistics, None of a run that
        has not ended.

    Raises
    ------
    ValueError
        A run on something else, or without a validation record yet; runs on different questions, or whose statistics
        are over different rows.
    """
    found = read_curves(runs, "questions", "loss", MEASURE, "seconds", more=_counted)
    kinds = {title_of_runs([run]): run["run"] for run in found}
    if len(kinds) > 1:
        each = "; ".join(f"{title} ({run})" for title, run in kinds.items())
        raise ValueError(f"runs: expected runs on the same questions with the same rows, got {each}; draw them apart")
    return sorted(found, key=lambda run: [*READERS].index(run["model"]))


def questions_of(run):
    """What a run is on, such as "wiki (built)"."""
    return f"{run['settings']['task']} ({run['settings']['data']})"


def title_of_runs(runs):
    """What all of them have in common."""
    return f"{questions_of(runs[0])}, statistics over {runs[0]['settings']['rows']} rows"


def _counted(config, records):
    valid = [record for record in records if record["kind"] == "valid"]
    count = valid[0].get("predictions", config.validate_on)      # older runs did not record it
    error = np.array([record[MEASURE] for record in valid])
    return {"predictions": count, "standard_error": np.sqrt(error * (1 - error) / count),
            "test_error": records[-1].get("test_error")}


def figure4(name, data, help):
    """One half of Figure 4: our runs against updates and seconds, over the curves of `name` or beside them.

    Over them if the runs are on the same questions: this `data` of the task cnn.
    """
    questions, curves = f"cnn ({data})", name.replace("figure", "figure_")

    def alike(runs):
        """The published curves that are of the same questions: model -> (iteration, error)."""
        models = {run["model"] for run in runs if questions_of(run) == questions}
        return {model: curve for model, curve in _series(curves, "valid").items() if model in models}

    def table(runs):
        ours = [title_of_runs(runs), learning_curves.table(runs, TABLE_ITERATIONS, MEASURE, alike(runs)),
                learning_curves.lowest(runs, MEASURE, {}), _bands(runs)] if runs else []
        minima = [f"{title_of(model)} {error[0]:.3f}" for model, (_, error) in _series(curves, "valid minimum").items()]
        return "\n\n".join([*ours, f"{questions}, published, lowest: {', '.join(minima)}."])

    def panels(runs):
        published = alike(runs)
        ours = [partial(_plot, runs, "iteration", published), partial(_plot, runs, "seconds", {})] if runs else []
        theirs = partial(_plot_published, _series(curves, "valid"), f"{questions}, published")
        return ours if published else [*ours, theirs]

    return Figure(name=name, help=help, takes={"runs": "runs on questions"}, compute=compute, table=table,
                  panels=panels, size=(8.0, 3.8), alone=True)


def _series(curves, what):
    """The published series that end with these words: model -> (iteration, error)."""
    models = {f"{reader.title} {what}": name for name, reader in READERS.items()}
    return {models[name]: (1000 * x, y) for name, (x, y) in published_curves(curves).items() if name in models}


def _plot(runs, against, published, ax):
    learning_curves.plot(runs, ax, MEASURE, published, against=against, error="standard_error")
    _finish(ax, title_of_runs(runs))


def _plot_published(published, title, ax):
    lines = learning_curves.plot_published(ax, published, "published")
    ax.set(xlim=(0, max(line.get_xdata()[-1] for line in lines)), xlabel=learning_curves.AXES["iteration"])
    _finish(ax, title)


def _finish(ax, title):
    ax.set(title=title, ylabel="validation error")
    ax.locator_params("x", nbins=5)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    # Curves of several lengths: thin lines from their ends to labels would cross others.
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _bands(runs):
    counts = ", ".join(f"{count:,}" for count in sorted({run["predictions"] for run in runs}))
    return f"Bands: one standard error of the validation set, sqrt(p (1 - p) / n), n = {counts}."
