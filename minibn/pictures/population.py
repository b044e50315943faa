"""Picture 8: population statistics over time against their average over time (Section 4 of the paper).

At test time each step has a mean and a variance of its own. The paper's ablation takes their average over time: one
dashed line for every solid one. Where the two differ, a step is normalized with numbers that are not its own.
"""

from functools import partial

import numpy as np

from minibn.layers import BNLSTM
from minibn.pictures.picture import Picture
from minibn.studies.drawing import COLORS, shades
from minibn.studies.figure1a import image_batch
from minibn.training.population import estimate_population_statistics

TERMS = {"h": "$W_h h_{t-1}$, recurrent term", "c": "$c_t$, the cell"}
UNITS = (0, 1, 2, 3)
SHOWN = 60              # steps; later nothing happens
ZERO = 1e-9             # shares of the average below this are rounding
HIDDEN, BATCH, BATCHES, SEED = 32, 100, 4, 1


def compute(population=None, hidden=HIDDEN, seed=SEED):
    """Variance of each unit at each step, and its average over time.

    Parameters
    ----------
    population : PopulationStatistics, optional
        Of a BN-LSTM; by default of an untrained one with `hidden` units on shuffled pixels, 14 x 14 of them.
    hidden, seed : int

    Returns
    -------
    dict
        For the terms "h" and "c": ndarray (T, G), the variances; "h_average", "c_average": (G,).
    """
    if population is None:
        cell = BNLSTM(1, hidden, rng=seed, init="identity_g")
        x, y = image_batch(seed, BATCHES * BATCH, side=14)
        batches = [(x[:, k::BATCHES], y[k::BATCHES]) for k in range(BATCHES)]
        population = estimate_population_statistics(cell, batches)
    averaged = population.averaged_over_time()
    return {term: population[term].variance for term in TERMS} | {
        f"{term}_average": averaged[term].variance[0] for term in TERMS}


def plot(numbers, ax, term="h", units=UNITS):
    """Draw the variances of some units over time (solid) and the averages of the same units (dashed)."""
    variance, average = numbers[term][:SHOWN, list(units)], numbers[f"{term}_average"][list(units)]
    zero = variance < ZERO * average
    variance = np.where(zero, np.nan, variance)             # a logarithmic axis has no place for it
    for unit, color in zip(range(len(units)), shades(COLORS["bnlstm"], len(units)), strict=True):
        ax.plot(variance[:, unit], color=color, linewidth=1.7)
        ax.axhline(average[unit], color=color, linewidth=1.2, linestyle=(0, (4, 2)))
    for style, label in (("-", "at each step"), ((0, (4, 2)), "average over all steps")):
        ax.plot([], [], color=COLORS["bnlstm"], linestyle=style, label=f"{label}, {len(units)} units")
    if zero[0].all():
        ax.text(0.02, 0.02, "at t = 0 all variances are zero", transform=ax.transAxes, fontsize=9.5, color="#555555")
    ax.set(yscale="log", title=TERMS[term], xlabel="time step t", ylabel="variance over the population",
           ylim=(0.25 * np.nanmin(variance), 2 * max(np.nanmax(variance), average.max())))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.05))


PICTURE = Picture(
    name="population", title="The first steps have statistics of their own, far from their average over time",
    claim="The population variances of the recurrent term and of the cell move over the first steps before they "
          "settle, so that their average over time is wrong at the beginning of every sequence (Section 4).",
    notebook="10_population_statistics_over_time.ipynb", compute=compute,
    panels=lambda numbers: [partial(plot, numbers, term=term) for term in TERMS], size=(5.2, 3.8),
)  # fmt: skip
