"""Runs beside each other, grouped by the settings in which they differ: a table, a file, curves; seeds with spread."""

import csv
from pathlib import Path

import numpy as np

from minibn.studies.drawing import ordered_colors
from minibn.studies.output import save_figure
from minibn.studies.runs import QUARTILES, alike, curves, read_curves
from minibn.sweeps import run_folders
from minibn.tables import markdown_table
from minibn.training.runs import read_config

__all__ = ["compared", "draw", "read_runs", "write_csv"]

ABOUT = ("Median (quartiles) over the seeds, the lowest validation error first. Each run is judged where its own error "
         "on the validation set, with batch statistics, is lowest; its test is of that model, with population "
         "statistics.")


def compared(folders):
    """The groups of runs that differ in the seed alone, the best first, and a Markdown table of them.

    Parameters
    ----------
    folders : sequence of path-like
        Runs, and sweeps, all on one task. Only what was validated counts.

    Returns
    -------
    groups : list of dict
        "label", "runs" (names), "seeds", "iteration" (the lowest of the last ones), "error_rate", "best_iteration",
        "loss" (of each run, where its error on the validation set is lowest), "test_error_rate" (None before its end).
    text : str

    Raises
    ------
    ValueError
        Runs on several tasks, or none that was validated.
    """
    groups = [_group(label, runs) for label, runs in alike(read_runs(folders))]
    groups.sort(key=lambda group: np.median(group["error_rate"]))
    rows = [[group["label"], len(group["runs"]), f"{group['iteration']:,}", _spread(group["error_rate"]),
             _spread(group["loss"]), _spread(group["best_iteration"], "{:,.0f}"), _spread(group["test_error_rate"])]
            for group in groups]
    head = ["", "runs", "iterations", "validation error", "loss there", "at iteration", "test error"]
    table = markdown_table([head, *rows], "lr")
    return groups, f"{table}\n\n{ABOUT}"


def write_csv(groups, path):
    """One row for each group, with median and quartiles of each quantity, and one column for each."""
    names = ("error_rate", "loss", "best_iteration", "test_error_rate")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["label", "runs", "iteration", *(f"{name}_{part}" for name in names
                                                      for part in ("q25", "median", "q75"))])
        for group in groups:
            numbers = [value for name in names for value in _quartiles(group[name])]
            out.writerow([group["label"], len(group["runs"]), group["iteration"], *numbers])


def draw(folders, path):
    """The validation errors of all groups while training, PNG: medians in bands from quartile to quartile."""
    groups = curves(read_runs(folders), "error_rate")
    colors = ordered_colors(len(groups))

    def plot(ax):
        for curve, color in zip(groups, colors, strict=True):
            low, median, high = np.percentile(curve.values, QUARTILES, axis=0)
            ax.fill_between(curve.iteration, low, high, color=color, alpha=0.2, linewidth=0)
            ax.plot(curve.iteration, median, color=color, linewidth=1.6, label=curve.label)
        ax.set(xlabel="training iteration", ylabel="validation error", xlim=(0, None))
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_figure(path, plot, size=(9.0, 4.4))


def read_runs(folders):
    """Runs, and those of sweeps, on one task, as `read_curves` gives them: "loss", "error_rate", "test_error_rate"."""
    folders = run_folders(folders)
    tasks = dict.fromkeys(read_config(folder)[0].task for folder in folders)
    if len(tasks) > 1:
        raise ValueError(f"folders: expected runs on one task, got {' and '.join(tasks)}; compare them apart")
    return read_curves(folders, read_config(folders[0])[0].kind, "loss", more=_errors)


def _errors(config, records):
    final = [{name.removeprefix("test_"): value for name, value in record.items() if name.startswith("test_")}
             for record in records if record["kind"] == "final"]
    return {"error_rate": np.array([config.error_rate(record) for record in records if record["kind"] == "valid"]),
            "test_error_rate": config.error_rate(final[-1]) if final else None}


def _group(label, runs):
    lowest = [int(run["error_rate"].argmin()) for run in runs]
    at_best = {name: [float(run[name][k]) for run, k in zip(runs, lowest, strict=True)]
               for name in ("error_rate", "loss", "iteration")}
    return {"label": label, "runs": [run["run"] for run in runs],
            "seeds": [run["settings"]["seed"] for run in runs], "best_iteration": at_best.pop("iteration"), **at_best,
            "iteration": min(int(run["iteration"][-1]) for run in runs),
            "test_error_rate": [run["test_error_rate"] for run in runs]}


def _quartiles(each):
    return [None] * 3 if None in each else np.percentile(each, QUARTILES).tolist()


def _spread(each, form="{:.4f}"):
    """Median and quartiles in words; a dash where a run has none."""
    low, median, high = _quartiles(each)
    if median is None:
        return "-"
    words = [form.format(value) for value in (low, median, high)]
    return words[1] if len(each) == 1 or words[0] == words[2] else f"{words[1]} ({words[0]} to {words[2]})"
