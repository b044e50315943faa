"""Picture 1: a small gamma keeps the gradient alive over 784 steps.

Figure 1(a) of the paper with one network, small enough to be computed while one waits: the computation is that of
`minibn.studies.figure1a`, the batch-normalized tanh RNN of Eqs. 1 and 5. Here gamma moves.
"""

from functools import partial

import numpy as np

from minibn.pictures.picture import Movement, Picture, stills
from minibn.studies.drawing import COLORS
from minibn.studies.figure1a import gradient_norms, image_batch, thinned

GAMMAS = tuple(np.round(np.arange(0.05, 1.01, 0.05), 2).tolist())
HIDDEN = BATCH = 40
SEED = 1
STILL = 0.1             # the paper's choice
BOTTOM = 1e-30          # of the picture; below it nothing arrives in any sense
LABELLED, NAMED_AT = (0.4, 0.6, 0.7, 0.8, 1.0), 1e-24       # the curves in grey that are named, and how high at least


def compute(gammas=GAMMAS, hidden=HIDDEN, batch=BATCH, seed=SEED, side=28):
    """How much of the loss arrives at each step of an untrained BN-RNN, for each gamma.

    Parameters
    ----------
    gammas : sequence of float
    hidden, batch : int
        H units, N images.
    seed : int
        Of the weights, the order of the pixels and the batch.
    side : int
        Pixels in a row of an image; T = side^2 steps.

    Returns
    -------
    dict
        "gamma" (K); "t" (P): the steps that are kept, first and last among them; "norm" (K, P): the mean over the
        examples of ||d loss / d h_t||, divided by that of the last step.
    """
    x, y = image_batch(seed, batch, side=side)
    kept = thinned(logs=[gradient_norms(x, y, gamma, hidden, rng=seed) for gamma in gammas])
    logs = kept["logs"]                                                         # (K, P)
    return {"gamma": np.array(gammas), "t": np.array(kept["t"]), "norm": 10.0 ** (logs - logs[:, -1:])}


def plot(numbers, ax, at=STILL):
    """Draw the curve of one gamma over those of all others, in grey."""
    moving = movement(numbers)
    return moving.draw(ax, 0, int(np.argmin(np.abs(numbers["gamma"] - at))))


def movement(numbers):
    """Gamma moves."""
    labels = [f"γ = {gamma:.2f}" for gamma in numbers["gamma"]]
    return Movement(labels, [(partial(_backdrop, numbers), partial(_frame, numbers))],
                    int(np.argmin(np.abs(numbers["gamma"] - STILL))))


def _backdrop(numbers, ax):
    T = numbers["t"][-1] + 1
    ax.plot(numbers["t"], numbers["norm"].T, color="#d8d8d8", linewidth=0.8)
    ax.axhline(1, color="#222222", linewidth=0.8, linestyle=":")
    for gamma, norm in zip(numbers["gamma"], numbers["norm"], strict=True):
        if gamma in LABELLED:
            place = np.argmax(norm > NAMED_AT)          # where the curve begins, or comes up into the picture
            ax.text(numbers["t"][place] + 4, norm[place], f"γ = {gamma:.1f}", color="#666666", fontsize=9, va="center",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    ax.annotate("", (0.30 * T, 1e3), (0.45 * T, 1e3), arrowprops={"arrowstyle": "->", "color": "#555555"})
    ax.text(0.46 * T, 1e3, "the gradient travels this way", color="#555555", fontsize=9.5, va="center")
    ax.set(yscale="log", ylim=(BOTTOM, 1e5), xlim=(0, T - 1), xlabel="time step t (pixels read)",
           ylabel="gradient norm at step t / at the last step")


def _frame(numbers, ax, k):
    norm, gamma = numbers["norm"][k], numbers["gamma"][k]
    line, = ax.plot(numbers["t"], norm, color=COLORS["bnrnn"], linewidth=2.2)
    label = ax.text(0.98, 0.06, f"γ = {gamma:.2f}: {_short(norm[0])} at the first pixel", transform=ax.transAxes,
                    color=COLORS["bnrnn"], ha="right",
                    fontsize=12, bbox={"facecolor": "white", "edgecolor": "none"})
    return [line, label]


def _short(ratio):
    """A ratio in words that stay readable when it has a hundred zeros."""
    return f"{ratio:.2g}" if ratio >= 1e-3 else f"$10^{{{np.log10(ratio):.0f}}}$"


PICTURE = Picture(
    name="gradient_by_gamma", title="A small γ keeps the gradient alive over 784 steps",
    claim="In a batch-normalized RNN that reads an image pixel by pixel, the gradient reaches the first pixel when γ "
          "is small, and vanishes on its way when γ is large (Figure 1a of the paper).",
    notebook="06_gradient_flow.ipynb", compute=compute, movement=movement,
    panels=lambda numbers: stills(movement(numbers)), size=(7.5, 4.2),
)  # fmt: skip
