"""Picture 4: the normalized activations, step by step: the first steps are sharp, then they settle into one shape.

The recurrent term of a BN-LSTM after Eq. 5, `h_hat`. At the first step all examples start from one h_0: nothing
differs, and everything is zero. At the second step they differ by a single pixel, which has few values. Only later
have enough pixels come together for the bell that the statistics of a late step describe.
"""

import numpy as np

from minibn.layers import BNLSTM
from minibn.pictures.picture import Picture
from minibn.studies.drawing import COLORS
from minibn.studies.figure1a import image_batch

STEPS = (0, 1, 2, 3, 5, 8, 12, 20, 40, 80, 195)
EDGES = np.linspace(-4, 4, 82)
HIDDEN, BATCH, SEED = 40, 200, 1
OVERLAP = 2.2           # heights of a row that a histogram may rise
SETTLED = 50            # the shape is that of the steps from here on


def compute(hidden=HIDDEN, batch=BATCH, seed=SEED, edges=EDGES):
    """Histograms of `h_hat` over all units and examples, at each step of an untrained BN-LSTM on shuffled pixels.

    Parameters
    ----------
    hidden, batch : int
        H units, N images of 14 x 14 pixels.
    seed : int
        Of the weights, the order of the pixels and the batch.
    edges : ndarray of shape (B + 1,)

    Returns
    -------
    dict
        "edges" (B + 1); "density" (T, B); "distance" (T): the share of the histogram that lies elsewhere than in the
        average of the late ones, from 0 (the same) to 1.
    """
    x, _ = image_batch(seed, batch, side=14)
    cache = BNLSTM(1, hidden, rng=seed, init="identity_g").forward(x)[1]
    width = np.diff(edges)
    density = np.array([np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / values.size
                        for values in cache.h_hat]) / width                              # (T, B)
    distance = 0.5 * (np.abs(density - density[SETTLED:].mean(axis=0)) * width).sum(axis=1)
    return {"edges": edges, "density": density, "distance": distance}


def plot(numbers, ax, steps=STEPS):
    """Draw a ridge: one histogram a row, the first step on top."""
    middles = (numbers["edges"][1:] + numbers["edges"][:-1]) / 2
    tallest = numbers["density"][SETTLED:].max()
    for place, t in enumerate(steps):
        base = len(steps) - 1 - place
        height = base + np.minimum(numbers["density"][t] / tallest, OVERLAP)
        ax.fill_between(middles, base, height, color=COLORS["bnlstm"], alpha=0.55, linewidth=0, zorder=place + 3)
        ax.plot(middles, height, color="white", linewidth=2.2, zorder=place + 3)
        ax.plot(middles, height, color="#223344", linewidth=1.1, zorder=place + 3)
        ax.text(1.02, base, f"{numbers['distance'][t]:.0%}", transform=ax.get_yaxis_transform(), va="bottom",
                fontsize=9.5)
    ax.text(1.02, len(steps) + 0.4, "lies elsewhere\nthan late steps", transform=ax.get_yaxis_transform(), va="bottom",
            fontsize=9.5)
    ax.set(yticks=range(len(steps)), yticklabels=[f"t = {t}" for t in reversed(steps)], ylim=(-0.2, len(steps) + 1.4),
           xlim=(middles[0], middles[-1]), ylabel="time step",
           xlabel=r"normalized recurrent term $\widehat{W_h h_{t-1}}$ (standard deviations)")
    ax.tick_params(axis="y", length=0)
    ax.grid(False)


PICTURE = Picture(
    name="ridge", title="The first steps are sharp, then the normalized activations settle",
    claim="The recurrent term of a BN-LSTM after normalization is a single spike at the first step, a few values at "
          "the next ones, and settles into one shape within some forty steps (Eqs. 5 and 6).",
    notebook="07_population_statistics.ipynb", compute=compute,
    panels=lambda numbers: [lambda ax: plot(numbers, ax)], size=(7.0, 5.6),
)  # fmt: skip
