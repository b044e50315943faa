"""Training runs as the figures see them: read from their folders, put in panels, told apart by what differs."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibn.cells import CELLS
from minibn.studies.drawing import title_of
from minibn.training.metrics import read_metrics
from minibn.training.packing import reading
from minibn.training.runs import METRICS, read_config

__all__ = ["Curve", "curves", "described", "grouped", "read_config_of", "read_curves", "settings", "settings_text"]

# They say how long, how often and by which code: not what is learned.
QUIET = {"task", "preset", "seed", "iterations", "engine", "validate_every", "log_every", "checkpoint_every",
         "population_batch", "population_on"}
CELL_OPTIONS = {name for cell in CELLS.values() for name in cell.options}


def read_config_of(folder, kind):
    """The settings of a run and what it was made with; an error unless it is on data of that `kind`."""
    config, made_with = read_config(folder)
    if config.kind != kind:
        raise ValueError(f"runs: expected runs on {kind}, got {folder}, a run on {config.task}; leave it out")
    return config, made_with


def described(folder, config, made_with):
    """A run's "run" (the folder's name), "model", "settings" (dict) and "made_with"."""
    settings = config.to_dict()
    return {"run": Path(folder).name, "model": settings.pop("model"), "settings": settings, "made_with": made_with}


def read_curves(run_folders, kind, measure):
    """The validation curves of finished or unfinished runs.

    Parameters
    ----------
    run_folders : iterable of path-like
    kind : {"images", "text"}
        What the runs must be on.
    measure : str
        What to read from the validation records.

    Returns
    -------
    list of dict
        One per run, in the given order: what `described` gives, and "iteration" and `measure`, ndarrays of one length.

    Raises
    ------
    ValueError
        A run on something else, or without a validation record yet.
    """
    runs = []
    for folder in run_folders:
        config, made_with = read_config_of(folder, kind)
        path = Path(folder) / METRICS
        points = [record for record in read_metrics(path) if record["kind"] == "valid"]
        if not points:
            raise ValueError(f"{folder}: no validation record yet; train longer than validate_every iterations")
        with reading(path, "a validation record is damaged"):
            runs.append({**described(folder, config, made_with),
                         "iteration": np.array([point["iteration"] for point in points]),
                         measure: np.array([point[measure] for point in points], dtype=float)})
    return runs


def grouped(runs, title_of_run):
    """The runs of each panel: title -> runs, in the order of the first run with that title."""
    groups = {}
    for run in runs:
        groups.setdefault(title_of_run(run), []).append(run)
    return groups


def settings(run):
    """The settings that make a run what it is, by name, without the options that its cell does not have."""
    own = CELLS[run["model"]].options if run["model"] in CELLS else CELL_OPTIONS
    return {name: value for name, value in run["settings"].items()
            if name not in QUIET and (name in own or name not in CELL_OPTIONS)}


def settings_text(values):
    """Settings in a few words, such as "gamma 0.3, no cell offset"."""
    return ", ".join(_in_words(name.replace("_", " "), value) for name, value in values.items())


def _in_words(name, value):
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {'all' if value is None else value}"


class Curve(NamedTuple):
    """What one label stands for: one run, or several that differ in the seed alone, of which it is the median."""

    label: str
    model: str
    iteration: np.ndarray
    values: np.ndarray      # (runs, points)

    @property
    def median(self):
        """The median over the runs at every point."""
        return np.median(self.values, axis=0)


def curves(runs, measure):
    """The runs of one panel as curves, labelled by the settings in which they differ.

    Runs that differ in the seed alone are one `Curve`, at the iterations that all of them have.
    """
    alike = {}
    for run in runs:
        alike.setdefault((run["model"], *settings(run).items()), []).append(run)
    each = [settings(group[0]) for group in alike.values()]
    differing = [name for name in dict.fromkeys(name for values in each for name in values)
                 if len({values[name] for values in each if name in values}) > 1]
    return [_curve(group, {name: values[name] for name in differing if name in values}, measure)
            for group, values in zip(alike.values(), each, strict=True)]


def _curve(group, differences, measure):
    model, count = group[0]["model"], len(group)
    words = [title_of(model), settings_text(differences)]
    if count > 1:
        seeds = len({run["settings"]["seed"] for run in group}) == count
        words.append(f"{count} {'seeds' if seeds else 'runs'}")
    points = [dict(zip(np.asarray(run["iteration"]).tolist(), run[measure], strict=True)) for run in group]
    common = [iteration for iteration in points[0] if all(iteration in each for each in points)]
    if not common:
        names = ", ".join(run["run"] for run in group)
        raise ValueError(f"runs: {names} differ in the seed alone, but were never validated at the same iteration; "
                         "draw them one by one")
    return Curve(", ".join(filter(None, words)), model, np.array(common),
                 np.array([[each[iteration] for iteration in common] for each in points]))
