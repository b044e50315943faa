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


def compute(runs):
    """A dict for each group of runs that differ in the seed alone; None, what a run has not yet, counts as largest."""
    return [{
        "label": label, **{name: group[0][name] for name in ("model", "title", "predictions", "settings", "made_with")},
        "runs": [run["run"] for run in group], "seeds": [run["settings"]["seed"] for run in group],
        "quantities": {name: _spread(each) for name, each in _quantities(group).items()},
    } for label, group in alike(question_runs.compute(runs))]


def first_at(error, iterations, errors):
    """The iteration at which a validation error is first so low, on the line between validations; None if never."""
    reached = np.flatnonzero(errors <= error)
    if not len(reached):
        return None
    between = slice(max(reached[0] - 1, 0), reached[0] + 1)
    return float(np.interp(-error, -errors[between], iterations[between]))


def table(groups):
    """The groups as the columns of a Markdown table, with the published numbers, also of models that are not there."""
    papers = {}
    for row in published_table("4") + published_table("text"):
        name = f"published, {row['task']}, {row['metric'].removesuffix(' (%)')}"
        papers.setdefault(name, {})[row["model"]] = row["value"] / 100
    names = groups[0]["quantities"] if groups else {}
    ours = {group["label"]: (title_of(group["model"]), group["quantities"]) for group in groups}
    others = {title: (title, dict.fromkeys(names, _spread([None]))) for values in papers.values() for title in values
              if title not in [title for title, _ in ours.values()]}
    cells = [[label, *map(_cell, quantities.values()), *(_number(values.get(title)) for values in papers.values())]
             for label, (title, quantities) in (ours | others).items()]
    text = markdown_table(zip(["", *names, *papers], *cells, strict=True))
    return text if not groups else (
        f"{groups[0]['title']}\n\n{text}\n\nMedian (lowest to highest) over the seeds; - where a run never got there, "
        "or has not ended. The test is with population statistics, validations with those of the batch.")


def _quantities(runs):
    """Name -> one number for each run, or None."""
    return {
        "test error": [run["test_error"] for run in runs],
        "best validation error": [float(run["error"].min()) for run in runs],
        f"cross-entropy at {EARLY:,} updates": [float(np.interp(EARLY, run["iteration"], run["loss"]))
                                                if run["iteration"][-1] >= EARLY else None for run in runs],
        "cross-entropy at the end": [float(run["loss"][-1]) for run in runs],
        "updates": [int(run["iteration"][-1]) for run in runs],
        **{f"updates to error {e:.2f}": [first_at(e, run["iteration"], run["error"]) for run in runs] for e in ERRORS},
    }


def _spread(each):
    values = [np.inf if value is None else value for value in each]
    found = {"median": np.median(values), "low": min(values), "high": max(values)}
    return {"each": each, **{name: float(value) if np.isfinite(value) else None for name, value in found.items()}}


def _cell(spread):
    median, low, high = (_number(spread[name]) for name in ("median", "low", "high"))
    return median if low == high else f"{median} ({low} to {high})"


def _number(value):
    return "-" if value is None else f"{value:,.0f}" if value > 10 else f"{value:.3f}"     # updates, or an error or so


FIGURE = Figure(name="table4", help="test error of readers and how fast they learn, beside the paper's", alone=True,
                takes={"runs": "runs on questions"}, compute=compute, table=table, panels=lambda groups: [])
