"""Figure 1(a): how the gradient fades on its way back through a batch-normalized tanh RNN, for ten gammas.

The network is untrained: one batch norm on the sum W_h h_{t-1} + W_x x_t (`minibn.BNRNN`), W_h the identity,
W_x orthogonal, permuted pixels, no noise, one batch. What is drawn is the norm over the hidden units of the
total derivative of the batch-mean loss with respect to each example's h_t, averaged over the batch.

A seed draws the weights, the order of the pixels and the batch. The logarithms are what is kept: in float64
the norms reach 1e-120, and medians over seeds are taken of orders of magnitude.
"""

from functools import partial

import numpy as np

from minibn.data import load_mnist_subset, pixel_order
from minibn.layers import BNRNN
from minibn.models import SequenceClassifier
from minibn.studies.drawing import PUBLISHED_STYLE, label_starts, ordered_colors
from minibn.studies.figure import Figure
from minibn.studies.gradient_flow import row_norms, state_gradient_norms
from minibn.studies.reference import published_curve
from minibn.tables import markdown_table

GAMMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
HIDDEN = 100
BATCH = 100
SEED = 1
EARLY = 100         # the step whose norm is compared with the last one's
EVERY = 9           # steps between the points that are kept: 783 = 87 * 9
FIRST = (0, 1, 2, 3)    # kept too: the steps where the variances are still near zero
SLOPE_STEPS = 50
SPREAD = ("median", "smallest", "largest")
FLOOR = 1e-26       # bottom of the published figure; its values came from float32 and end at 4e-25


def image_batch(seed=SEED, size=BATCH, index_map="permutation", side=28):
    """A batch of real images, pixel by pixel: x (side * side, size, 1) float64 and y (size,)."""
    data = load_mnist_subset(side=side)
    data = data.reordered(pixel_order(index_map, data.steps, seed))
    return data.train.batches(size, rng=np.random.default_rng(seed), dtype=np.float64)[0]


def compute(seed=SEED, seeds=1, gammas=GAMMAS):
    """The gradient norms for each seed and gamma.

    Parameters
    ----------
    seed, seeds : int
        The first seed, and how many.
    gammas : sequence of float

    Returns
    -------
    dict
        "seed" (S), "gamma" (K), "t" (P): the steps that are kept; "log10_norm" (S, K, P), rounded to 0.01;
        "slope" (S, K): decades per step over the last 50 steps, positive where the gradient shrinks on its way
        back.
    """
    numbers = range(seed, seed + seeds)
    curves = []
    for number in numbers:
        x, y = image_batch(number)
        curves.append([gradient_norms(x, y, gamma, rng=number) for gamma in gammas])    # the same weights for all
    return {"seed": list(numbers), "gamma": list(gammas), **thinned(log10_norm=curves), "slope": slopes(curves)}


def gradient_norms(x, y, gamma, hidden=HIDDEN, rng=SEED, noise=0.0, norm=row_norms):
    """One curve.

    Parameters
    ----------
    x : ndarray of shape (T, N, D)
        Its floating type is that of the whole computation. The paper's was float32, where most of these norms
        underflow.
    y : ndarray of int, shape (N,)
    gamma : float
    hidden : int
    rng : int or Generator
    noise : float
        Standard deviation of the noise on h_0. The figure has none; pixels in order need 0.1.
    norm : callable
        See `minibn.studies.gradient_flow.state_gradient_norms`.

    Returns
    -------
    ndarray of shape (T,)
    """
    rng = np.random.default_rng(rng)
    cell = BNRNN(x.shape[2], hidden, gamma=gamma, dtype=x.dtype, rng=rng, init="identity")
    model = SequenceClassifier(cell, int(y.max()) + 1, rng=rng)
    h_0 = (noise * rng.standard_normal((x.shape[1], hidden))).astype(x.dtype)
    return state_gradient_norms(model, x, y, initial_state=(h_0,), norm=norm)["h"]


def thinned(**curves):
    """log10 of each array of norms (..., T) at the kept steps, rounded; and "t", these steps."""
    T = np.shape(next(iter(curves.values())))[-1]
    t = sorted({*FIRST, EARLY, *range(T - 1, -1, -EVERY)})
    return {"t": t, **{name: np.round(np.log10(norms)[..., t], 2) for name, norms in curves.items()}}


def slopes(norms):
    """Decades per step over the last 50 steps, of norms (..., T)."""
    logs = np.log10(norms)
    return np.round((logs[..., -1] - logs[..., -1 - SLOPE_STEPS]) / SLOPE_STEPS, 4)


def ratios(numbers, name="log10_norm"):
    """For each seed and curve (S, K): log10 of the norm at step 100 over that at the last step.

    Ratios, because the level carries the batch size and the output layer.
    """
    logs = np.asarray(numbers[name])
    return logs[:, :, list(numbers["t"]).index(EARLY)] - logs[:, :, -1]


def published_ratio(gamma):
    """The published norm at step 100 over that at the last step; None where it underflowed."""
    t, norm = published_curve("figure_1a", f"gamma={gamma:.2f}")
    return float(10 ** np.interp(EARLY, t, np.log10(norm)) / norm[-1]) if t[0] <= EARLY else None


def published_slope(gamma):
    """The published decades per step over the last 50 steps."""
    t, norm = published_curve("figure_1a", f"gamma={gamma:.2f}")
    before = np.interp(t[-1] - SLOPE_STEPS, t, np.log10(norm))
    return float((np.log10(norm[-1]) - before) / SLOPE_STEPS)


def table(numbers):
    """Ratios and slopes as a Markdown table: median, smallest and largest over the seeds, published."""
    rows = [["gamma", *SPREAD, "published", "slope", "published"]]
    for gamma, logs, slope in zip(numbers["gamma"], ratios(numbers).T, np.transpose(numbers["slope"]), strict=True):
        published = published_ratio(gamma)
        rows.append([f"{gamma:.1f}", *spread(logs), "underflow" if published is None else f"{published:.1e}",
                     f"{np.median(slope):.4f}", f"{published_slope(gamma):.4f}"])
    return (f"Norm at step {EARLY} / norm at the last step, {counted_seeds(numbers)}; slope in decades per step over "
            f"the last {SLOPE_STEPS}:\n\n{markdown_table(rows, 'r')}")


def spread(logs):
    """The cells under `SPREAD`, of logarithms."""
    return [f"{10.0 ** value:.1e}" for value in (np.median(logs), logs.min(), logs.max())]


def counted_seeds(numbers):
    """How many seeds there are, in words."""
    count = len(numbers["seed"])
    return f"{count} seed{'s' * (count > 1)}"


def plot(numbers, ax):
    """Draw what `compute` returned: median (solid), the middle half of the seeds (band), published (dashed)."""
    colors = ordered_colors(len(numbers["gamma"]))
    labels = [f"γ = {gamma:.1f}" for gamma in numbers["gamma"]]
    lines = draw_bands(ax, numbers["t"], numbers["log10_norm"], colors, labels)
    for gamma, color in zip(numbers["gamma"], colors, strict=True):
        ax.plot(*published_curve("figure_1a", f"gamma={gamma:.2f}"), color=color, **PUBLISHED_STYLE)
    ours = "ours" if len(numbers["seed"]) == 1 else "ours, median and middle half"
    styles = [ax.plot([], [], color="#444444", label=label, **style)[0]
              for label, style in ((ours, {"linewidth": 1.8}), ("published", PUBLISHED_STYLE))]
    ax.legend(handles=styles, loc="lower left")
    ax.set(ylim=(FLOOR, 10), title=f"Figure 1(a), {counted_seeds(numbers)}: a large γ lets the gradient vanish")
    label_starts(ax, lines)


def draw_bands(ax, t, logs, colors, labels):
    """The median of logarithms (S, K, P) over the seeds as lines, in bands of the middle half; the lines."""
    low, median, high = 10.0 ** np.quantile(logs, [0.25, 0.5, 0.75], axis=0)
    lines = []
    for k, (color, label) in enumerate(zip(colors, labels, strict=True)):
        ax.fill_between(t, low[k], high[k], color=color, alpha=0.15, linewidth=0)
        lines += ax.plot(t, median[k], color=color, linewidth=1.8, label=label)
    ax.set(yscale="log", xlabel="time step t",
           ylabel=r"$\|\partial\,\mathrm{loss}\, /\, \partial h_t\|$, mean over the batch")
    return lines



FIGURE = Figure(
    name="figure1a", help="how the gradient fades through an untrained BN-RNN",
    takes={"seed": "of the weights, the order of the pixels and the batch", "seeds": "how many, from --seed on"},
    compute=compute, table=table, panels=lambda numbers: [partial(plot, numbers)], size=(8.0, 5.0),
)  # fmt: skip
