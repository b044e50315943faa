"""Validation curves of training runs over the published ones: read from run folders, drawn, put in a table.

Which runs a figure is drawn from, what was validated and what is comparable, its own file says.
"""

from pathlib import Path

import numpy as np

from minibn.studies.output import markdown_table
from minibn.training.metrics import read_metrics
from minibn.training.packing import reading
from minibn.training.runs import METRICS, read_config

MODEL_NAMES = {"rnn": "tanh RNN", "bnrnn": "BN-RNN", "lstm": "LSTM", "bnlstm": "BN-LSTM"}
COLORS = {"rnn": "#888888", "bnrnn": "#117733", "lstm": "#cc3311", "bnlstm": "#0077bb"}
PUBLISHED_STYLE = {"linewidth": 1.3, "linestyle": (0, (4, 2))}


def read_config_of(folder, kind, what):
    """The settings of a run and what it was made with; an error unless the settings are a `kind`, runs on `what`."""
    config, made_with = read_config(folder)
    if not isinstance(config, kind):
        raise ValueError(f"runs: expected runs on {what}, got {folder}, a run on {config.task}; leave it out")
    return config, made_with


def read_runs(run_folders, kind, what, describe, measure):
    """The validation curves of finished or unfinished runs.

    Parameters
    ----------
    run_folders : iterable of path-like
        Folders with ``config.json`` and ``metrics.jsonl``.
    kind : type
        The class that the runs' settings must have.
    what : str
        What these runs are on, for the error message.
    describe : callable
        Of a run's settings, gives a dict to keep; "model" must be in it, "settings" is a text for its label.
    measure : str
        What to read from the validation records.

    Returns
    -------
    list of dict
        One per run, in the given order: "run" (the folder's name), what `describe` gives, "made_with" (command,
        commit, machine, date), and "iteration" and `measure`, ndarrays of one length.

    Raises
    ------
    ValueError
        A run on something else, or without a validation record yet.
    """
    return [_read_run(Path(folder), kind, what, describe, measure) for folder in run_folders]


def grouped(runs, title_of):
    """The runs of each panel: title -> runs, in the order of the first run with that title."""
    groups = {}
    for run in runs:
        groups.setdefault(title_of(run), []).append(run)
    return groups


def plot(runs, ax, measure, published, published_as="published"):
    """Draw the runs of one panel (solid) over the published curves (dashed, as far as ours reach).

    Parameters
    ----------
    runs : list of dict
        As from `read_runs`.
    ax : matplotlib Axes
    measure : str
        The key of the values.
    published : dict
        Model -> (iteration, value); empty if there is nothing to compare with.
    published_as : str
        What the published curves are called in the legend.
    """
    for run in runs:
        ax.plot(run["iteration"], run[measure], color=COLORS[run["model"]], linewidth=1.8, marker="o",
                markersize=3.5, label=label(run, "ours" if published else None))
    last = max(int(run["iteration"][-1]) for run in runs)
    for model, (iteration, values) in published.items():
        shown = iteration <= last
        ax.plot(iteration[shown], values[shown], color=COLORS[model], label=f"{MODEL_NAMES[model]}, {published_as}",
                **PUBLISHED_STYLE)
    ax.set(xlim=(0, last * 1.02), xlabel="training iteration")


def table(runs, iterations, measure, published, published_as="published"):
    """One panel as a Markdown table: our values beside the published ones, and the differences.

    The rows are those of `iterations` that a run has reached, or all validation points of runs too short for any
    of them; the other parameters are those of `plot`.
    """
    reached = validated(runs)
    iterations = sorted(set(reached) & set(iterations)) or reached
    header, columns = ["iteration"], [[f"{i:,}" for i in iterations]]
    for run in runs:
        ours = [_at(i, run["iteration"], run[measure]) for i in iterations]
        header.append(label(run, "ours"))
        columns.append([_format(value) for value in ours])
        if run["model"] in published:
            theirs = [_at(i, *published[run["model"]]) for i in iterations]
            header += [f"{MODEL_NAMES[run['model']]}, {published_as}", "difference"]
            columns.append([_format(value) for value in theirs])
            columns.append(["" if None in pair else f"{pair[0] - pair[1]:+.3f}"
                            for pair in zip(ours, theirs, strict=True)])
    return markdown_table(header, columns)


def validated(runs):
    """The iterations at which any of the runs was validated, sorted; the untrained model's is left out."""
    return sorted({int(i) for run in runs for i in run["iteration"] if i > 0})


def label(run, whose=None):
    """A run in a legend or the head of a column."""
    return ", ".join(filter(None, (MODEL_NAMES[run["model"]], whose, run.get("settings"))))


def published_models(curves, runs):
    """Of published curves by series name, those of the models among `runs`: model -> (x, y)."""
    models = dict.fromkeys(run["model"] for run in runs)
    return {model: curves[MODEL_NAMES[model]] for model in models if MODEL_NAMES[model] in curves}


def _read_run(folder, kind, what, describe, measure):
    config, made_with = read_config_of(folder, kind, what)
    path = folder / METRICS
    points = [record for record in read_metrics(path) if record["kind"] == "valid"]
    if not points:
        raise ValueError(f"{folder}: no validation record yet; train longer than validate_every iterations")
    with reading(path, "a validation record is damaged"):
        return {"run": folder.name, **describe(config), "made_with": made_with,
                "iteration": np.array([point["iteration"] for point in points]),
                measure: np.array([point[measure] for point in points], dtype=float)}


def _at(iteration, iterations, values):
    """The value recorded at this iteration, or None."""
    found = np.flatnonzero(np.asarray(iterations) == iteration)
    return float(values[found[0]]) if len(found) else None


def _format(value):
    return "" if value is None else f"{value:.3f}"
