"""``minibn reproduce all``: every figure and table whose runs are there, in one page, with a row for each curve."""

from html import escape
from pathlib import Path

import numpy as np

from minibn.studies import figure2, figure3a, question_runs
from minibn.studies.drawing import title_of
from minibn.studies.figures import FIGURES, reproduce
from minibn.studies.page import Markup, fill, picture, table
from minibn.studies.reference import published_table
from minibn.studies.runs import QUARTILES, alike
from minibn.sweeps import run_folders
from minibn.training.runs import read_config
from minibn.training.tasks import make_config

__all__ = ["reproduce_all", "rows"]

HEADER = ("figure", "what", "measure", "published", "ours", "spread", "seeds", "of the training", "command of a run")
WITHOUT_RUNS = ("figure1a", "figure1b")
DRAWN = {"images": ("figure2", "figure6"), "text": ("figure3a", "figure6"),
         "questions": ("figure4a", "figure4b", "table4")}
CURVES = {"images": ("Figure 2", figure2), "text": ("Figure 3(a)", figure3a), "questions": ("Figure 4", question_runs)}
# Of the best model by validation, with population statistics; and by how much the paper's unit is smaller than ours.
TESTS = {"images": ("accuracy", 100), "text": ("bits_per_character", 1), "questions": ("error", 100)}
TABLES = {"mnist": ("1", "MNIST"), "pmnist": ("1", "pMNIST"), "ptb": ("2", "Penn Treebank (character level)"),
          "text8": ("3", "text8"), "cnn": ("4", "CNN QA (full)")}


def reproduce_all(output, runs=()):
    """Draw what these runs allow, and Figure 1, which needs none; write ``all.html``.

    Parameters
    ----------
    output : path-like
    runs : sequence of path-like
        Runs and sweeps, on whatever task.

    Returns
    -------
    str
        The page, and what could not be drawn, and why.
    """
    output, by_kind, said = Path(output), {}, []
    for folder in run_folders(runs):
        by_kind.setdefault(read_config(folder)[0].kind, []).append(folder)
    drawn = dict.fromkeys(WITHOUT_RUNS, ())
    for kind, names in DRAWN.items():
        drawn |= {name: (*drawn.get(name, ()), *by_kind[kind]) for name in names if kind in by_kind}
    parts = []
    for name, folders in drawn.items():
        try:
            text = reproduce(name, output, folders)
        except ValueError as error:     # of runs that cannot be compared
            said.append(f"{name}: not drawn ({error})")
            continue
        file = output / f"{name}.png"
        shown = picture(file, FIGURES[name].help) if str(file) in text else ""
        parts.append(f"<h2>{name}: {FIGURES[name].help}</h2>{shown}"
                     f"<details><summary>numbers</summary><pre>{escape(text)}</pre></details>")
    found = [row for kind, folders in by_kind.items() for row in rows(kind, folders)]
    page = output / "all.html"
    page.write_text(fill("all.html", rows=table([HEADER, *found]), parts=Markup("\n".join(parts))), encoding="utf-8")
    return "\n".join([*said, str(page)])


def rows(kind, folders):
    """Rows of `HEADER` for each group of runs that differ in the seed alone: its validation, and its test if it ended.

    Published numbers stand in them only where they are of the same data.
    """
    figure, study = CURVES[kind]
    found = []
    for title, runs in study.panels(study.compute(folders)).items():
        theirs = study.published(runs)
        for label, group in alike(runs):
            last = min(int(run["iteration"][-1]) for run in group)
            each = [float(run[study.MEASURE][np.flatnonzero(run["iteration"] <= last)[-1]]) for run in group]
            what, there = f"{study.MEASURE.replace('_', ' ')} at {last:,}", _at(last, theirs.get(group[0]["model"]))
            found.append(_row(figure, f"{title}: {label}", what, there, each, last, group[0]))
            if {run["final"] and run["final"]["iteration"] for run in group} == {last}:     # all ended, equally late
                table, what, there, each = _tested(kind, group, bool(theirs))
                found.append(_row(table, f"{title}: {label}", what, there, each, last, group[0]))
    return found


def _at(iteration, curve):
    """The published value at an iteration, None beyond the curve's end or without one."""
    return float(np.interp(iteration, *curve)) if curve is not None and iteration <= curve[0][-1] else None


def _tested(kind, group, same_data):
    """A table of the paper, what it lists, what it says of this model, and what the test of each of ours found."""
    (measure, unit), run = TESTS[kind], group[0]
    number, task = TABLES.get(run["settings"]["task"], (None, None))
    value = {row["model"]: row["value"] for row in published_table(number) if row["task"] == task and
             not row["metric"].startswith("validation")} if number and (same_data or number == "3") else {}
    theirs = value.get(title_of(run["model"]))
    return (f"Table {number}" if number else "-", f"test {measure.replace('_', ' ')}",
            None if theirs is None else theirs / unit, [one["final"][f"test_{measure}"] for one in group])


def _row(figure, what, measure, there, each, last, run):
    low, median, high = np.percentile(each, QUARTILES)
    settings = run["settings"]
    whole = make_config("paper", task=settings["task"], data=settings["data"]).iterations
    return (figure, what, measure, "-" if there is None else f"{there:.3f}", f"{median:.3f}",
            f"{low:.3f} to {high:.3f}" if len(each) > 1 else "-", len(each), f"{last / whole:.1%}",
            run["made_with"].get("command", "-"))
