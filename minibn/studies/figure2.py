"""Figure 2: validation accuracy while training on sequential or permuted MNIST, from run folders."""

from pathlib import Path

import numpy as np

from minibn.studies.reference import published_curves
from minibn.training.metrics import read_metrics
from minibn.training.runs import read_config

MODEL_NAMES = {"rnn": "tanh RNN", "bnrnn": "BN-RNN", "lstm": "LSTM", "bnlstm": "BN-LSTM"}
COLORS = {"rnn": "#888888", "bnrnn": "#117733", "lstm": "#cc3311", "bnlstm": "#0077bb"}
# The published permuted curves were made with the authors' index map; a true permutation is a harder task.
PUBLISHED = {"in_order": "figure_2_mnist", "authors_seed1": "figure_2_pmnist"}
INDEX_MAPS = {
    "in_order": "pixels in order",
    "permutation": "permuted pixels",
    "authors_seed1": "pixels by the authors' index map",
}
TABLE_ITERATIONS = (500, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 50_000, 70_000, 100_000)


def compute(run_folders):
    """The validation curves of finished or unfinished runs.

    Parameters
    ----------
    run_folders : iterable of path-like
        Folders with ``config.json`` and ``metrics.jsonl``.

    Returns
    -------
    list of dict
        One per run, in the given order: "run" (the folder's name), "task", "model", "index_map", "data",
        "side", "seed", "made_with" (command, commit, machine, date), and "iteration" and "accuracy", ndarrays
        of one length; the accuracy is with batch statistics, as in the paper's figure.

    Raises
    ------
    ValueError
        A run has no validation record yet.
    """
    return [_read_run(Path(folder)) for folder in run_folders]


def panels(numbers):
    """The runs grouped by what they were trained on: title -> runs."""
    groups = {}
    for run in numbers:
        images = "MNIST" if run["data"] == "mnist" else "5,000 MNIST images"
        title = f"{images}, {run['side']}x{run['side']}, {INDEX_MAPS[run['index_map']]}"
        groups.setdefault(title, []).append(run)
    return groups


def plot(runs, ax, title=""):
    """Draw the runs of one panel, over the published curves where they are of the same images."""
    published = _published(runs)
    for run in runs:
        ax.plot(run["iteration"], run["accuracy"], color=COLORS[run["model"]], linewidth=1.8,
                marker="o", markersize=3.5, label=MODEL_NAMES[run["model"]] + (", ours" if published else ""))
    last = max(int(run["iteration"][-1]) for run in runs)
    for model, (iteration, accuracy) in published.items():
        shown = iteration <= last
        ax.plot(iteration[shown], accuracy[shown], color=COLORS[model], linewidth=1.3, linestyle=(0, (4, 2)),
                label=f"{MODEL_NAMES[model]}, published")
    ax.axhline(0.1, color="#666666", linewidth=1.2, linestyle=":", label="guessing")
    ax.set(xlim=(0, last * 1.02), ylim=(0, 1), title=title,
           xlabel="training iteration", ylabel="validation accuracy")
    ax.legend(loc="best")


def table(runs):
    """One panel as a Markdown table: our validation accuracy beside the published one.

    The rows are `TABLE_ITERATIONS`, or all validation points of runs too short for any of them.
    """
    published = _published(runs)
    reached = {int(i) for run in runs for i in run["iteration"] if i > 0}
    iterations = sorted(reached & set(TABLE_ITERATIONS)) or sorted(reached)
    header, columns = ["iteration"], [[f"{i:,}" for i in iterations]]
    for run in runs:
        name = MODEL_NAMES[run["model"]]
        ours = [_at(i, run["iteration"], run["accuracy"]) for i in iterations]
        header.append(f"{name}, ours")
        columns.append([_format(value) for value in ours])
        if run["model"] in published:
            theirs = [_at(i, *published[run["model"]]) for i in iterations]
            header += [f"{name}, published", "difference"]
            columns.append([_format(value) for value in theirs])
            columns.append(["" if None in pair else f"{pair[0] - pair[1]:+.3f}"
                            for pair in zip(ours, theirs, strict=True)])
    lines = [header, ["---:"] * len(header), *zip(*columns, strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _read_run(folder):
    config, made_with = read_config(folder)
    points = [record for record in read_metrics(folder / "metrics.jsonl") if record["kind"] == "valid"]
    if not points:
        raise ValueError(f"{folder}: no validation record yet; train longer than validate_every iterations")
    kept = {name: getattr(config, name) for name in ("task", "model", "index_map", "data", "side", "seed")}
    return {"run": folder.name, **kept, "made_with": made_with,
            "iteration": np.array([point["iteration"] for point in points]),
            "accuracy": np.array([point["accuracy"] for point in points], dtype=float)}


def _published(runs):
    """Published curves of the models among `runs`, if these saw what the paper's did: model -> (x, y)."""
    if any(run["data"] != "mnist" or run["side"] != 28 or run["index_map"] not in PUBLISHED for run in runs):
        return {}
    curves = published_curves(PUBLISHED[runs[0]["index_map"]])
    models = dict.fromkeys(run["model"] for run in runs)
    return {model: curves[MODEL_NAMES[model]] for model in models if MODEL_NAMES[model] in curves}


def _at(iteration, iterations, values):
    """The value recorded at this iteration, or None."""
    found = np.flatnonzero(np.asarray(iterations) == iteration)
    return float(values[found[0]]) if len(found) else None


def _format(value):
    return "" if value is None else f"{value:.3f}"
