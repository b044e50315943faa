"""Runs on questions beside the published ones: what they have in common, and Figure 4, which is drawn from them."""

from functools import partial

import numpy as np

from minibn.models import READERS
from minibn.studies import learning_curves
from minibn.studies.drawing import title_of
from minibn.studies.figure import Figure
from minibn.studies.reference import published_curves
from minibn.studies.runs import read_curves

__all__ = ["MEASURE", "compute", "figure4", "panels", "published"]

MEASURE = "error"       # with batch statistics, as in the paper's figure
PUBLISHED = {"cnn (top4)": "figure_4a", "cnn (full)": "figure_4b"}
TABLE_ITERATIONS = (100, 250, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 10_000, 50_000, 100_000, 200_000, 300_000)


def compute(runs):
    """The validation curves of runs, all on the same questions, with statistics over the same rows.

    They come in the order of `minibn.models.READERS`: what `minibn.studies.runs.read_curves` gives of "loss", "error"
    and "seconds"; "questions" and "title", what they are on; "predictions", how many in a validation;
    "standard_error", that of each "error"; and "test_error", with population statistics, None before a run's end.
    """
    found = read_curves(runs, "questions", "loss", MEASURE, "seconds", more=_counted)
    kinds = {run["title"]: run["run"] for run in found}
    if len(kinds) > 1:
        each = "; ".join(f"{title} ({run})" for title, run in kinds.items())
        raise ValueError(f"runs: expected runs on the same questions with the same rows, got {each}; draw them apart")
    return sorted(found, key=lambda run: [*READERS].index(run["model"]))


def _counted(config, records):
    valid = [record for record in records if record["kind"] == "valid"]
    count = valid[0].get("predictions", config.validate_on)      # older runs did not record it
    error, questions = np.array([record[MEASURE] for record in valid]), f"{config.task} ({config.data})"
    return {"questions": questions, "title": f"{questions}, statistics over {config.rows} rows", "predictions": count,
            "standard_error": np.sqrt(error * (1 - error) / count), "test_error": records[-1].get("test_error")}


def panels(numbers):
    """All of them together: title -> runs."""
    return {numbers[0]["title"]: numbers}


def published(runs):
    """Published curves of the models among `runs`, if these are on the paper's questions: model -> (x, y)."""
    figure = PUBLISHED.get(runs[0]["questions"]) if runs else None
    return _series(figure, "valid", [run["model"] for run in runs]) if figure else {}


def figure4(name, data, help):
    """One half of Figure 4: our runs against updates and seconds, over its curves if they are on this `data` of cnn."""
    questions, title = f"cnn ({data})", f"cnn ({data}), published"
    series = partial(_series, name.replace("figure", "figure_"))

    def comparable(runs):
        return published([run for run in runs if run["questions"] == questions])

    def table(runs):
        minima = [f"{title_of(model)} {error[0]:.3f}" for model, (_, error) in series("valid minimum").items()]
        sizes = sorted({run["predictions"] for run in runs})
        ours = [runs[0]["title"], learning_curves.table(runs, TABLE_ITERATIONS, MEASURE, comparable(runs)),
                learning_curves.lowest(runs, MEASURE, {}), "Bands: one standard error of the validation set, "
                f"sqrt(p (1 - p) / n), n = {', '.join(map(str, sizes))}."] if runs else []
        return "\n\n".join([*ours, f"{title}, lowest: {', '.join(minima)}."])

    def drawn(runs):
        theirs = comparable(runs)
        found = [partial(_plot, runs, curves, runs[0]["title"], against)
                 for curves, against in ((theirs, "iteration"), ({}, "seconds")) if runs]
        return found if theirs else [*found, partial(_plot, [], series("valid"), title, "iteration")]

    return Figure(name=name, help=help, takes={"runs": "runs on questions"}, compute=compute, table=table,
                  panels=drawn, size=(8.0, 3.8), alone=True)


def _series(figure, what, models=READERS):
    """The published series that end with these words: model -> (iteration, error)."""
    names = {f"{title_of(model)} {what}": model for model in models}
    return {names[name]: (1000 * x, y) for name, (x, y) in published_curves(figure).items() if name in names}


def _plot(runs, published, title, against, ax):
    learning_curves.plot(runs, ax, MEASURE, published, against=against, error="standard_error")
    ax.set(title=title, ylabel="validation error")
    ax.locator_params("x", nbins=5)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))    # lines from the curves' ends to labels would cross them
