"""``minibn reproduce all``: every figure and table whose runs are there, in one page, with a row for each curve."""

from html import escape
from pathlib import Path

import numpy as np

from minibn.studies import figure2, figure3a, question_runs
from minibn.studies.figures import FIGURES, reproduce
from minibn.studies.page import Markup, fill, picture, table
from minibn.studies.runs import QUARTILES, alike
from minibn.sweeps import run_folders
from minibn.training.runs import read_config
from minibn.training.tasks import make_config

__all__ = ["reproduce_all", "rows"]

HEADER = ("figure", "what", "measure", "published", "ours", "spread", "seeds", "of the training", "command of a run")
WITHOUT_RUNS = ("figure1a", "figure1b")
DRAWN = {"images": ("figure2", "figure6"), "text": ("figure3a", "figure6"),
         "questions": ("figure4a", "figure4b", "table4")}
CURVES = {"images": ("Figure 2", figure2), "text": ("Figure 3(a)", figure3a)}


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
    """A row of `HEADER` for each group of runs that differ in the seed alone, on what the published curves are of."""
    if kind == "questions":
        each = question_runs.compute(folders)
        groups, figure = {each[0]["title"]: each}, "Figure 4"
        measure, published = question_runs.MEASURE, lambda runs: {}
    else:
        figure, study = CURVES[kind]
        groups, measure, published = study.panels(study.compute(folders)), study.MEASURE, study.published
    return [_row(figure, title, measure, label, group, published(group))
            for title, runs in groups.items() for label, group in alike(runs)]


def _row(figure, title, measure, label, group, published):
    last = min(int(run["iteration"][-1]) for run in group)
    each = [float(run[measure][np.flatnonzero(run["iteration"] <= last)[-1]]) for run in group]
    low, median, high = np.percentile(each, QUARTILES)
    model, settings = group[0]["model"], group[0]["settings"]
    theirs = published.get(model)
    there = f"{np.interp(last, *theirs):.3f}" if theirs is not None and last <= theirs[0][-1] else "-"
    whole = make_config("paper", task=settings["task"], data=settings["data"]).iterations
    return (figure, f"{title}: {label}", f"{measure.replace('_', ' ')} at {last:,}", there, f"{median:.3f}",
            f"{low:.3f} to {high:.3f}" if len(each) > 1 else "-", len(each), f"{last / whole:.1%}",
            group[0]["made_with"].get("command", "-"))
