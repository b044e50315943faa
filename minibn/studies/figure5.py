"""Figure 5: population statistics of a trained BN-LSTM over time, and how fast they converge, from a run folder.

Every step has statistics of its own, because those of the first steps, when the state is still that of the learned
h0 and c0, are others. How fast they become stationary says how long a training segment has to be for the last
step's to serve all later ones.
"""

from functools import partial

import numpy as np

from minibn.backend import to_host
from minibn.studies.figure import Figure
from minibn.studies.reference import published_curves
from minibn.studies.runs import described, read_config_of
from minibn.studies.text_runs import KIND, corpus_of, is_published_text, units_and_others
from minibn.tables import markdown_table
from minibn.training.evaluation import open_run

__all__ = ["FIGURE", "PANELS", "compute", "convergence", "plot", "published", "table"]

UNITS = 30
SEED = 1
TOLERANCE = 0.05
COLOR = "#0077bb"
PANELS = {
    "recurrent_mean": "Mean of the recurrent term",
    "cell_mean": "Mean of the cell",
    "recurrent_var": "Variance of the recurrent term",
    "cell_var": "Variance of the cell",
}
PUBLISHED_EPS = 1e-5    # in the published variance of the recurrent term, which is this where all states are the same


def compute(runs, units=UNITS, seed=SEED):
    """The population statistics of the recurrent term W_h h_{t-1} and of the cell c_t of one run, at every step.

    Parameters
    ----------
    runs : sequence of one path-like
        Folder of a run on text whose model normalizes its recurrent term and its cell, as a BN-LSTM does. If it ended
        before its statistics were estimated, they are estimated now and saved with the model.
    units : int
        How many of each term to keep; drawn without replacement, all if there are fewer. The recurrent term has four
        for each hidden unit.
    seed : int
        Of that draw.

    Returns
    -------
    dict
        What `minibn.studies.runs.described` gives; for each name in `PANELS` the statistics of the chosen units,
        ndarray (units, T), variances without epsilon; "units", which these are of each term; and
        "steps_to_converge", by panel name the median over all units of `convergence`; of a run longer than the
        published also "steps_to_converge_cut", the same of its first steps, as many as are published.

    Raises
    ------
    ValueError
        Not one run; a run on something else, or of another model.
    """
    if len(runs) != 1:
        raise ValueError(f"runs: expected one run for figure5, got {len(runs)}; draw them one by one")
    [folder] = runs
    config, made_with = read_config_of(folder, KIND)
    if units < 1:
        raise ValueError(f"units: expected at least 1, got {units}")
    statistics = open_run(folder, "cpu").statistics if config.normalized else {}
    if not {"h", "c"} <= set(statistics):
        raise ValueError("runs: expected a model that normalizes its recurrent term and its cell, as bnlstm does, for "
                         f"figure5, got {folder}, one of {config.model}; name another run")
    every = by_panel(statistics)
    rng = np.random.default_rng(seed)         # a term's mean and variance are of the same units
    chosen = {term: np.sort(rng.permutation(len(every[f"{term}_mean"]))[:units]) for term in ("recurrent", "cell")}
    numbers = {**described(folder, config, made_with), "units": chosen,
               "steps_to_converge": median_convergence(every)}
    T = published()["recurrent_mean"].shape[1]
    if every["recurrent_mean"].shape[1] > T:
        cut = {panel: values[:, :T] for panel, values in every.items()}
        numbers["steps_to_converge_cut"] = median_convergence(cut)
    return numbers | {panel: values[chosen[panel.split("_")[0]]] for panel, values in every.items()}


def by_panel(statistics):
    """All units' population statistics over time: panel name -> ndarray of shape (units, T)."""
    h, c = to_host(statistics["h"]), to_host(statistics["c"])
    values = {"recurrent_mean": h.mean, "cell_mean": c.mean, "recurrent_var": h.variance, "cell_var": c.variance}
    return {panel: values[panel].T.astype(np.float64) for panel in PANELS}


def published():
    """The published lines in the same form: panel name -> ndarray of shape (30, 49).

    The units of different panels are not the same, and the variance of the recurrent term includes epsilon.
    """
    lines = {}
    for series, (_, values) in published_curves("figure_5").items():
        lines.setdefault(series.split()[0], []).append(values)
    return {panel: np.array(lines[panel]) for panel in PANELS}


def convergence(values, scale):
    """The step from which on each unit stays within `TOLERANCE` times its scale of its last value.

    Parameters
    ----------
    values : ndarray of shape (units, T)
    scale : ndarray of shape (units,) or float

    Returns
    -------
    ndarray of int, shape (units,)
        0 for a unit that is there from the first step on; at most T - 1.
    """
    away = np.abs(values - values[:, -1:]) > TOLERANCE * np.broadcast_to(scale, len(values))[:, None]
    T = values.shape[1]
    return np.where(away.any(axis=1), T - np.argmax(away[:, ::-1], axis=1), 0)


def median_convergence(every):
    """The median over the units of `convergence`, by panel name.

    The scales are those on which a normalization feels a difference, which divides by the standard deviation: a
    variance is compared with the unit's own last one, and a mean with the last standard deviation, the median of the
    panel beside it, since the published means are not of the same units as the published variances. (The range of
    each unit's own curve would not do: where it hardly moves, it is the noise of the estimate.)
    """
    steps = {}
    for panel, values in every.items():
        last = every[panel.replace("mean", "var")][:, -1]
        scale = last if panel.endswith("var") else np.sqrt(np.median(last))
        steps[panel] = float(np.median(convergence(values, scale)))
    return steps


def plot(numbers, ax, panel):
    """Draw one of `PANELS`: our units, over the published ones (thin, grey) if they are of the same text."""
    for values in numbers[panel]:
        ours, = ax.plot(values, color=COLOR, linewidth=0.9, alpha=0.7)
    ours.set_label(f"ours, {units_and_others(numbers)}")
    if is_published_text(numbers):
        for values in published()[panel]:
            theirs, = ax.plot(values, color="#999999", linewidth=0.7, zorder=1.5)
        theirs.set_label("published, other units")
    step = numbers["steps_to_converge"][panel]
    ax.axvline(step, color="#222222", linewidth=1.2, linestyle=":", label=f"ours, converged: step {step:g}")
    ax.set(xlim=(0, np.shape(numbers[panel])[1] - 1), title=f"{PANELS[panel]}, {corpus_of(numbers)}",
           xlabel="time step t")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.35 * (high - low))        # the lines fill the whole panel: room for the legend above them
    ax.legend(loc="upper right")


def table(numbers):
    """The steps to convergence as a Markdown table, ours beside the published, and what that means in words."""
    columns = {"ours": numbers["steps_to_converge"]}
    texts = [f"The step from which on a variance differs from its last value by at most {TOLERANCE:.0%}, and a mean by "
             f"at most {TOLERANCE:.0%} of the last standard deviation; median over all units."]
    if is_published_text(numbers):
        if "steps_to_converge_cut" in numbers:
            T = published()["recurrent_mean"].shape[1]
            columns[f"ours, first {T} steps"] = numbers["steps_to_converge_cut"]
        columns["published"] = median_convergence(published())
        texts.append(f"The published lines are of 30 units and of segments of 50 characters; their variance of the "
                     f"recurrent term includes epsilon, {PUBLISHED_EPS:g}, ours does not.")
    rows = [["", *columns], *([name, *(f"{steps[panel]:g}" for steps in columns.values())]
                              for panel, name in PANELS.items())]
    where = f"{numbers['run']}: {corpus_of(numbers)}, {units_and_others(numbers)}"
    return "\n\n".join([where, markdown_table(rows), *texts])


FIGURE = Figure(
    name="figure5", help="the population statistics over time",
    takes={"runs": "one run of bnlstm on text", "seed": "of the choice of units"},
    compute=compute, table=table, panels=lambda numbers: [partial(plot, numbers, panel=panel) for panel in PANELS],
    size=(5.3, 3.8), columns=2,
)  # fmt: skip
