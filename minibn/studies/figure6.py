"""Figure 6: training and validation by initial gamma, on permuted MNIST and on Penn Treebank, from run folders.

The paper's panels of Penn Treebank are labelled in bits per character, but their values are in nats, and their steps
are stretched by 1 / ln 2: the division meant for the one hit the other. Both readings are drawn, ours beside each.
"""

from functools import partial

import numpy as np

from minibn.studies import figure2, text_runs
from minibn.studies.drawing import PUBLISHED_STYLE, ordered_colors
from minibn.studies.figure import Figure
from minibn.studies.reference import published_curves
from minibn.studies.runs import QUARTILES, common_points, grouped, read_curves, settings
from minibn.tables import markdown_table
from minibn.training.runs import read_config

__all__ = ["FIGURE", "compute", "groups", "panels", "statement", "table"]

PARTS = {"train": "training", "valid": "validation"}
PUBLISHED_SIZE = {False: "28x28, the authors' index map", True: "1,000 units"}


def compute(runs):
    """The losses of runs whose cell has a gamma, others left out: see `minibn.studies.runs.read_curves`.

    "iteration" and "loss" are of the validations, with batch statistics; "train_iteration" and "train_loss" of the
    minibatches, as means since the record before. All in nats.
    """
    found = []
    for folder in runs:
        config = read_config(folder)[0]
        if "gamma" in config.declaration.options:
            found += read_curves([folder], config.kind, "loss", more=lambda config, records: _training(records))
    if not found:
        raise ValueError("runs: expected some with batch normalization, got none; name others")
    return found


def _training(records):
    points = [record for record in records if record["kind"] == "train"]
    return {"train_iteration": np.array([point["iteration"] for point in points]),
            "train_loss": np.array([point["loss"] for point in points], dtype=float)}


def groups(numbers):
    """The runs on the same thing, by gamma: title -> gamma -> runs; an error if they differ in more than the seed."""
    found = {}
    for title, runs in grouped(numbers, _title).items():
        each = [{"model": run["model"], **settings(run)} for run in runs]
        others = [name for name in each[0] if name != "gamma" and len({str(one.get(name)) for one in each}) > 1]
        if others:
            raise ValueError(f"runs: expected runs that differ in gamma and the seed alone, got others in "
                             f"{', '.join(others)} ({title}); draw them apart")
        found[title] = dict(sorted(grouped(runs, lambda run: run["settings"]["gamma"]).items()))
    return found


def _is_text(run):
    return run["settings"]["task"] not in ("mnist", "pmnist")


def _title(run):
    if _is_text(run):
        return f"{text_runs.corpus_of(run)}, {run['settings']['hidden']:,} units"
    return figure2.title_of_run(run)


def curve(runs, part):
    """Iterations that all of these runs have, and the losses there, (runs, points)."""
    return common_points(runs, *(("train_loss", "train_iteration") if part == "train" else ("loss", "iteration")))


def published(is_text, part, printed=False):
    """gamma -> (iteration, loss): in nats of images, in bits of text, or as it was printed."""
    name = "figure_6_pmnist" if not is_text else "figure_6_ptb" if printed else "figure_6_ptb_corrected"
    return {float(series.split()[0].partition("=")[2]): xy for series, xy in published_curves(name).items()
            if series.endswith(part)}


def at_the_end(by_gamma):
    """The last iteration at which all were validated, and gamma -> seed -> the loss there."""
    common = set.intersection(*(set(curve(runs, "valid")[0].tolist()) for runs in by_gamma.values()))
    if not common:
        raise ValueError("runs: these were never validated at the same iteration; draw them one by one")
    last = max(common)
    return last, {gamma: {run["settings"]["seed"]: float(run["loss"][list(run["iteration"]).index(last)])
                          for run in runs} for gamma, runs in by_gamma.items()}


def statement(by_gamma):
    """What the paper says of gamma, as numbers, of the seeds that every gamma has.

    Returns
    -------
    dict
        "correlation": of the ranks of gamma and of the loss, for each seed; "difference": the loss at the largest
        gamma less that at the smallest, for each seed, in nats; "spread": the largest standard deviation over the
        seeds of one gamma.
    """
    losses = at_the_end(by_gamma)[1].values()
    seeds = sorted(set.intersection(*map(set, losses)))
    table = np.array([[of_seed[seed] for seed in seeds] for of_seed in losses])     # (gammas, seeds)
    ranks = table.argsort(axis=0).argsort(axis=0)
    return {"correlation": [float(np.corrcoef(np.arange(len(table)), rank)[0, 1]) for rank in ranks.T],
            "difference": (table[-1] - table[0]).tolist(),
            "spread": float(table.std(axis=1, ddof=1).max()) if len(seeds) > 1 else 0.0}


def table(numbers):
    """Every group as a Markdown table, and the paper's statement as numbers."""
    return "\n\n".join(_table(title, by_gamma) for title, by_gamma in groups(numbers).items())


def _table(title, by_gamma):
    is_text = _is_text(next(iter(by_gamma.values()))[0])
    unit = np.log(2) if is_text else 1.0
    last, losses = at_the_end(by_gamma)
    theirs = published(is_text, "valid")
    rows = [["gamma", "seeds", f"validation loss at {last:,}, median", "quartiles",
             f"published there ({PUBLISHED_SIZE[is_text]})"]]
    for gamma, each in losses.items():
        low, median, high = np.percentile(list(each.values()), QUARTILES) / unit
        other = theirs.get(gamma)
        there = f"{np.interp(last, *other):.3f}" if other and last <= other[0][-1] else None
        rows.append([gamma, len(each), f"{median:.3f}", f"{low:.3f} to {high:.3f}", there])
    if len(losses) < 2:
        return f"{title}\n\n{markdown_table(rows, 'r')}"
    said = statement(by_gamma)
    differences = _list(np.array(said["difference"]) / unit, "+.3f")
    words = (f"Rank correlation of gamma and the loss, for each seed: {_list(said['correlation'], '+.2f')}. "
             f"Loss at the largest gamma less that at the smallest: {differences}; largest standard deviation "
             f"between seeds: {said['spread'] / unit:.3f}.")
    units = "Bits per character." if is_text else "Cross-entropy in nats."
    return f"{title}. {units}\n\n{markdown_table(rows, 'r')}\n\n{words}"


def _list(values, form):
    return ", ".join(format(value, form) for value in values)


def panels(numbers):
    """Training and validation of each group; of text in both readings."""
    found = []
    for title, by_gamma in groups(numbers).items():
        is_text = _is_text(next(iter(by_gamma.values()))[0])
        for printed in ((False, True) if is_text else (False,)):
            found += [partial(_plot, title, by_gamma, part, is_text, printed) for part in PARTS]
    return found


def _plot(title, by_gamma, part, is_text, printed, ax):
    unit = np.log(2) if is_text and not printed else 1.0
    stretched = 1 / np.log(2) if printed else 1.0
    theirs, last, lows, highs = published(is_text, part, printed), 0, [], []
    for (gamma, runs), color in zip(by_gamma.items(), ordered_colors(len(by_gamma)), strict=True):
        iterations, losses = curve(runs, part)
        keep = iterations > 0
        low, median, high = np.percentile(losses[:, keep] / unit, QUARTILES, axis=0)
        x = iterations[keep] * stretched
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(x, median, color=color, linewidth=1.6, label=f"gamma {gamma}")
        last = max(last, x[-1])
        lows, highs = [*lows, low.min()], [*highs, median.max()]
    for gamma, color in zip(by_gamma, ordered_colors(len(by_gamma)), strict=True):
        if gamma in theirs:
            x, y = theirs[gamma]
            shown = (x > 0) & (x <= 1.001 * last)       # the stretched steps are rounded
            ax.plot(x[shown], y[shown], color=color, **PUBLISHED_STYLE, marker="x" if shown.sum() == 1 else None)
            lows, highs = [*lows, *y[shown]], [*highs, *y[shown]]
    margin = 0.05 * (max(highs) - min(lows))
    reading = ", as printed: nats, steps / ln 2" if printed else ""
    ax.set(title=f"{title}\n{PARTS[part]}{reading}", xlim=(0, last * 1.02), xlabel="training step",
           ylim=(min(lows) - margin, max(highs) + margin),
           ylabel="nats" if printed else "bits per character" if is_text else "cross-entropy, nats")
    if part == "valid":
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="ours; dashed or x: published")


FIGURE = Figure(name="figure6", help="training and validation by initial gamma",
                takes={"runs": "runs on images or text"}, compute=compute, table=table, panels=panels, size=(5.3, 3.6),
                columns=2)
