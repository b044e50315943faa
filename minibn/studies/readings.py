"""Which reading of the paper matters? Runs that differ from the specification in one setting, and what that changes.

The paper leaves some things open, and the authors' code does others differently (`docs/defaults.md`). Runs with the
same seed see the same minibatches, so each is compared with the run of its own seed: what is common to both drops out.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from minibn.statistics import PopulationStatistics, Statistics
from minibn.studies.compare import read_runs
from minibn.studies.drawing import title_of
from minibn.studies.figure import Figure
from minibn.studies.runs import settings, settings_text
from minibn.tables import markdown_table
from minibn.training.folder import BEST
from minibn.training.runs import load_best
from minibn.training.validation import score

__all__ = ["FIGURE", "compute", "plot", "table", "tested"]


def compute(runs):
    """The validation error and loss of every reading, and what it changes.

    Parameters
    ----------
    runs : sequence of path-like
        Of a sweep. The most common settings are those of the specification, for each model.

    Returns
    -------
    list of dict
        For each model and reading: "model", "reading" (in words; "" is the specification), "seeds", "iteration" (the
        last that all have), "error_rate" and "loss" there, for each seed, and "change" of the error: less that of the
        specification with the same seed. "tested" of the specification: what `tested` gives for each seed.
    """
    found, each = [], read_runs(runs)
    folders = {Path(folder).name: Path(folder) for folder in runs}
    last = min(int(run["iteration"][-1]) for run in each)
    for model in dict.fromkeys(run["model"] for run in each):
        own = [(settings(run), run) for run in each if run["model"] == model]
        names = dict.fromkeys(name for values, _ in own for name in values)
        usual = {name: _most_common([values.get(name) for values, _ in own]) for name in names}
        readings = {}
        for values, run in own:
            differing = {name: value for name, value in values.items() if value != usual[name]}
            readings.setdefault(settings_text(differing), {})[run["settings"]["seed"]] = (*_at(run, last), run["run"])
        if "" not in readings:
            raise ValueError(f"runs: expected one of {model} with the settings that most others share, got none; each "
                             f"reading is compared with it")
        found += [_entry(model, reading, of_seeds, readings[""], last) for reading, of_seeds in readings.items()]
        if all((folders[name] / BEST).exists() for _, _, name in readings[""].values()):
            usual = next(entry for entry in found if entry["model"] == model and not entry["reading"])
            usual["tested"] = [tested(folders[readings[""][seed][2]]) for seed in usual["seeds"]]
    return found


def tested(folder):
    """The test error of a run's best model, as specified and otherwise: words -> share of errors.

    "" is with the population statistics of each step. Empty for a model without batch normalization, or before its end.
    """
    best = load_best(folder)
    config, model, given = best.config, best.model, best.statistics
    if not config.normalized or given is None:
        return {}
    N, test = config.batch, config.load_data(best.recorded).test
    unbiased = PopulationStatistics({term: Statistics(one.mean, one.variance * (N / (N - 1)))
                                     for term, one in given.items()})
    ways = {"": (config, given), "statistics averaged over time": (config, given.averaged_over_time()),
            "statistics of the test batch": (config, None), "unbiased variance": (config, unbiased)}
    if getattr(model, "noise_size", 0) and config.noise:
        ways["no noise"] = (replace(config, noise=0.0), given)
    return {words: 1 - score(model, settings, test, "test noise", statistics).accuracy
            for words, (settings, statistics) in ways.items()}


def _most_common(values):
    return max(values, key=values.count)


def _at(run, iteration):
    [place] = np.flatnonzero(run["iteration"] == iteration)
    return float(run["error_rate"][place]), float(run["loss"][place])


def _entry(model, reading, of_seeds, usual, iteration):
    seeds = sorted(of_seeds.keys() & usual.keys())
    return {"model": model, "reading": reading, "seeds": seeds, "iteration": iteration,
            "error_rate": [of_seeds[seed][0] for seed in seeds], "loss": [of_seeds[seed][1] for seed in seeds],
            "change": [of_seeds[seed][0] - usual[seed][0] for seed in seeds]}


def table(entries):
    """A row for each reading, the one that changes most first."""
    rows = [["", "reading", "seeds", "validation error", "change", "lowest to highest change"]]
    for entry in sorted(entries, key=lambda entry: (entry["model"], -abs(np.median(entry["change"])))):
        change = entry["change"]
        both = ([f"{np.median(change):+.4f}", f"{min(change):+.4f} to {max(change):+.4f}"] if entry["reading"]
                else [None, None])
        rows.append([title_of(entry["model"]), entry["reading"] or "as specified", len(entry["seeds"]),
                     f"{np.median(entry['error_rate']):.4f}", *both])
    text = (f"{markdown_table(rows, 'llr')}\n\nAfter {entries[0]['iteration']:,} iterations, medians over the seeds. "
            f"The change is that to the run with the same seed, as specified.")
    return "\n\n".join([text, *(_tested_table(entry) for entry in entries if any(entry.get("tested", ())))])


def _tested_table(entry):
    """The specified runs, tested otherwise."""
    rows = [[f"{title_of(entry['model'])}, tested with", "test error", "change", "lowest to highest change"]]
    for words in entry["tested"][0]:
        each = [of_seed[words] for of_seed in entry["tested"]]
        change = [of_seed[words] - of_seed[""] for of_seed in entry["tested"]]
        both = [f"{np.median(change):+.4f}", f"{min(change):+.4f} to {max(change):+.4f}"] if words else [None, None]
        rows.append([words or "population statistics of each step", f"{np.median(each):.4f}", *both])
    return markdown_table(rows, "lr")


def plot(entries, ax):
    """The changes, a line for each reading: every seed a dot, the median a bar."""
    shown = sorted((entry for entry in entries if entry["reading"]), key=lambda entry: np.median(entry["change"]))
    for place, entry in enumerate(shown):
        ax.plot(entry["change"], [place] * len(entry["change"]), "o", color="#0077bb", markersize=5, alpha=0.7)
        ax.plot([np.median(entry["change"])] * 2, [place - 0.3, place + 0.3], color="#222222", linewidth=1.6)
    ax.axvline(0, color="#666666", linewidth=1.2, linestyle=":")
    labels = [f"{title_of(entry['model'])}: {entry['reading']}" for entry in shown]
    ax.set_yticks(range(len(shown)), labels)
    ax.set(xlabel=f"change of the validation error after {entries[0]['iteration']:,} iterations",
           title="What each reading of the paper changes")


FIGURE = Figure(name="readings", help="what each reading of the paper changes", takes={"runs": "runs of a sweep"},
                compute=compute, table=table, panels=lambda entries: [lambda ax: plot(entries, ax)], size=(8.0, 3.8))
