"""Training runs as the figures see them: read from their folders, put in panels, told apart by what differs."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibn.cells import CELLS
from minibn.models import READERS
from minibn.studies.drawing import title_of
from minibn.training.metrics import read_metrics
from minibn.training.packing import reading
from minibn.training.runs import METRICS, read_config
from minibn.training.tasks import TASKS

__all__ = [
    "QUARTILES", "Curve", "alike", "common_points", "curves", "described", "grouped", "read_config_of", "read_curves",
    "settings", "settings_text",
]  # fmt: skip

# They say how long, how often and by which code: not what is learned.
QUIET = {"task", "preset", "seed", "iterations", "engine", "validate_every", "log_every", "checkpoint_every",
         "population_batch", "population_on"}
QUARTILES = (25, 50, 75)        # in which a spread over seeds is told
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
    if config.cell:
        settings["cell"] = f"{config.cell.path}:{config.cell.name}, SHA-256 {config.cell.sha256[:8]}"
    return {"run": Path(folder).name, "model": settings.pop("model"), "settings": settings, "made_with": made_with}


def read_curves(run_folders, kind, *measures, more=lambda config, records: {}):
    """The validation curves of finished or unfinished runs.

    Parameters
    ----------
    run_folders : iterable of path-like
    kind : {"images", "text", "questions"}
        What the runs must be on.
    *measures : str
        What to read from the validation records.
    more : callable
        What else to keep of a run, by name: of its configuration and all its records.

    Returns
    -------
    list of dict
        One per run, in the given order: what `described` gives, "iteration" and the `measures`, ndarrays alike long,
        and "final": what its test found, None before its end.

    Raises
    ------
    ValueError
        A run on something else, or without a validation record yet.
    """
    runs = []
    for folder in run_folders:
        config, made_with = read_config_of(folder, kind)
        path = Path(folder) / METRICS
        records = read_metrics(path)
        points = [record for record in records if record["kind"] == "valid"]
        if not points:
            raise ValueError(f"{folder}: no validation record yet; train longer than validate_every iterations")
        with reading(path, "a validation record is damaged"):
            runs.append({**described(folder, config, made_with),
                         "iteration": np.array([point["iteration"] for point in points]),
                         **{name: np.array([point[name] for point in points], dtype=float) for name in measures},
                         "final": next((record for record in reversed(records) if record["kind"] == "final"), None),
                         **more(config, records)})
    return runs


def grouped(runs, title_of_run):
    """The runs of each panel: title -> runs, in the order of the first run with that title."""
    groups = {}
    for run in runs:
        groups.setdefault(title_of_run(run), []).append(run)
    return groups


def settings(run):
    """The settings that make a run what it is, by name, without options its cell has not, or its reader's name says."""
    model, given = run["model"], run["settings"]
    own = CELLS[model].options if model in CELLS else CELL_OPTIONS
    if TASKS[given["task"]].config.kind == "questions":
        own = READERS[model].cell.options.keys() - READERS[model].options.keys()
    return {name: value for name, value in given.items()
            if name not in QUIET and (name in own or name not in CELL_OPTIONS) and (name, value) != ("cell", None)}


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


def alike(runs):
    """The groups of runs that differ in the seed alone: list of (label, runs); labels tell the groups apart."""
    groups = grouped(runs, lambda run: (run["model"], str(settings(run)))).values()
    each, found = [settings(group[0]) for group in groups], []
    differing = [name for name in dict.fromkeys(name for values in each for name in values)
                 if len({str(values[name]) for values in each if name in values}) > 1]
    for group, values in zip(groups, each, strict=True):
        differences = {name: values[name] for name in differing if name in values}
        words, count = [title_of(group[0]["model"]), settings_text(differences)], len(group)
        if count > 1:
            seeds = len({run["settings"]["seed"] for run in group}) == count
            words.append(f"{count} {'seeds' if seeds else 'runs'}")
        found.append((", ".join(filter(None, words)), group))
    return found


def curves(runs, measure):
    """The groups of `alike` as `Curve`, each at the iterations that all of its runs have."""
    return [_curve(label, group, measure) for label, group in alike(runs)]


def common_points(group, measure, against="iteration"):
    """The iterations that all of these runs have, and what they measured there: ndarrays (points,), (runs, points)."""
    points = [dict(zip(np.asarray(run[against]).tolist(), run[measure], strict=True)) for run in group]
    common = [iteration for iteration in points[0] if all(iteration in each for each in points)]
    return np.array(common), np.array([[each[iteration] for iteration in common] for each in points])


def _curve(label, group, measure):
    iterations, values = common_points(group, measure)
    if not len(iterations):
        names = ", ".join(run["run"] for run in group)
        raise ValueError(f"runs: {names} differ in the seed alone, but were never validated at the same iteration; "
                         "draw them one by one")
    return Curve(label, group[0]["model"], iterations, values)
