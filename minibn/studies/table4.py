"""Table 4: test error of readers, and how fast they got there, from run folders; the paper's numbers beside them."""

import numpy as np

from minibn.studies import question_runs
from minibn.studies.drawing import title_of
from minibn.studies.figure import Figure
from minibn.studies.reference import published_table
from minibn.studies.runs import alike
from minibn.tables import markdown_table

__all__ = ["FIGURE", "compute", "first_at", "table"]

EARLY = 1_000       # updates
ERRORS = (0.65, 0.60, 0.57)
PUBLISHED = {       # row -> table, metric
    "published, cnn (full), test error": ("4", "test error rate (%)"),
    "published, cnn (full), validation error": ("4", "validation error rate (%)"),
    "published, cnn (top4), lowest validation error": ("text", "minimum validation error rate (%)"),
}


def compute(runs):
    """What Table 4 says, and more, of finished or unfinished runs on the same questions.

    Returns
    -------
    list of dict
        One for each model, or group of runs that differ in the seed alone: "label", "model", "questions", "runs" (the
        folders' names), "seeds", "predictions" of the validation set, "settings" and "made_with" of the first, and
        "quantities": name -> {"each": one number per run, "median", "low", "high"}. None is a number that a run has
        not (yet); it counts as larger than all others.
    """
    found = question_runs.compute(runs)
    return [{
        "label": label, "model": group[0]["model"], "questions": question_runs.title_of_runs(group),
        "runs": [run["run"] for run in group], "seeds": [run["settings"]["seed"] for run in group],
        **{name: group[0][name] for name in ("predictions", "settings", "made_with")},
        "quantities": {name: _spread(each) for name, each in _quantities(group).items()},
    } for label, group in alike(found)]


def first_at(error, iterations, errors):
    """The iteration at which a validation error is first so low, on the line between validations; None if never."""
    reached = np.flatnonzero(np.asarray(errors) <= error)
    if not len(reached):
        return None
    last = reached[0]
    return float(np.interp(-error, -errors[max(last - 1, 0):last + 1], iterations[max(last - 1, 0):last + 1]))


def table(groups):
    """The groups as the columns of a Markdown table, the published numbers of their models below, and what they are."""
    papers = {name: {row["model"]: row["value"] / 100 for row in published_table(number) if row["metric"] == metric}
              for name, (number, metric) in PUBLISHED.items()}
    names = [*groups[0]["quantities"]] if groups else []
    columns = [["", *names, *papers]]
    for group in groups:
        published = [values.get(title_of(group["model"])) for values in papers.values()]
        columns.append([group["label"], *map(_cell, group["quantities"].values()), *map(_number, published)])
    ours = {title_of(group["model"]) for group in groups}
    for title in dict.fromkeys(title for values in papers.values() for title in values if title not in ours):
        columns.append([title, *[None] * len(names), *(_number(values.get(title)) for values in papers.values())])
    told = [markdown_table(zip(*columns, strict=True))]
    if groups:
        told = [groups[0]["questions"], *told, "Median (lowest to highest) over the seeds; - where a run never got "
                "there or has not ended. The test is with population statistics, validations with those of the batch."]
    return "\n\n".join(told)


def _quantities(runs):
    """Name -> one number for each run, or None."""
    def at(iteration, run):
        return float(np.interp(iteration, run["iteration"], run["loss"])) if run["iteration"][-1] >= iteration else None

    return {
        "test error": [run["test_error"] for run in runs],
        "best validation error": [float(run["error"].min()) for run in runs],
        f"cross-entropy at {EARLY:,} updates": [at(EARLY, run) for run in runs],
        "cross-entropy at the end": [float(run["loss"][-1]) for run in runs],
        "updates": [int(run["iteration"][-1]) for run in runs],
        **{f"updates to error {error:.2f}": [first_at(error, run["iteration"], run["error"]) for run in runs]
           for error in ERRORS},
    }


def _spread(each):
    values = [np.inf if value is None else value for value in each]
    found = {"median": np.median(values), "low": min(values), "high": max(values)}
    return {"each": each, **{name: float(value) if np.isfinite(value) else None for name, value in found.items()}}


def _cell(spread):
    median, low, high = (_number(spread[name]) or "-" for name in ("median", "low", "high"))
    return median if low == high else f"{median} ({low} to {high})"


def _number(value):
    if value is None:
        return None
    return f"{value:,.0f}" if value > 10 else f"{value:.3f}"        # updates, or an error or a cross-entropy


FIGURE = Figure(
    name="table4", help="test error of readers and how fast they learn, beside the paper's",
    takes={"runs": "runs on questions"}, compute=compute, table=table, panels=lambda groups: [], alone=True,
)  # fmt: skip
