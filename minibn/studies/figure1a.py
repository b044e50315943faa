"""Figure 1(a): how the gradient fades on its way back through a batch-normalized tanh RNN, for ten gammas.

The network is untrained: one batch norm on the sum W_h h_{t-1} + W_x x_t (`minibn.BNRNN`), W_h the identity,
W_x orthogonal, permuted pixels, no noise, one batch. What is drawn is the norm over the hidden units of the
total derivative of the batch-mean loss with respect to each example's h_t, averaged over the batch.
"""

import numpy as np

from minibn.data import load_mnist_subset, pixel_order
from minibn.layers import BNRNN
from minibn.models import SequenceClassifier
from minibn.studies.gradient_flow import row_norms, state_gradient_norms
from minibn.studies.reference import published_curve

GAMMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
HIDDEN = 100
BATCH = 100
SEED = 1
EARLY = 100      # the step whose norm is compared with the last one's
SIZE = (8.0, 5.0)  # inches
FLOOR = 1e-26    # bottom of the published figure; its values came from float32 and end at 4e-25


def image_batch(seed=SEED, size=BATCH, index_map="permutation", side=28):
    """A batch of real images, pixel by pixel: x (side * side, size, 1) float64 and y (size,)."""
    data = load_mnist_subset(side=side)
    data = data.reordered(pixel_order(index_map, data.steps, seed))
    return data.train.batches(size, rng=np.random.default_rng(seed), dtype=np.float64)[0]


def compute(x, y, gammas=GAMMAS, hidden=HIDDEN, seed=SEED):
    """The gradient norms of one batch, for each gamma; the weights are the same for all.

    Parameters
    ----------
    x : ndarray of shape (T, N, D)
        Its floating type is that of the whole computation. The paper's was float32, where most of these norms
        underflow.
    y : ndarray of int, shape (N,)
    gammas : sequence of float
    hidden, seed : int

    Returns
    -------
    dict
        "gamma": ndarray of shape (K,); "norm": ndarray of shape (K, T), the mean over examples n of
        ||d loss / d h_t,n||, where column t belongs to the step that reads x[t].
    """
    norms = [gradient_norms(x, y, gamma, hidden, np.random.default_rng(seed)) for gamma in gammas]
    return {"gamma": np.array(gammas), "norm": np.array(norms)}


def gradient_norms(x, y, gamma, hidden=HIDDEN, rng=SEED, noise=0.0, norm=row_norms):
    """One curve, ndarray of shape (T,): parameters as in `compute`, and

    noise : float
        Standard deviation of the noise on h_0. The figure has none; pixels in order need 0.1.
    norm : callable
        See `minibn.studies.gradient_flow.state_gradient_norms`.
    """
    rng = np.random.default_rng(rng)
    cell = BNRNN(x.shape[2], hidden, gamma=gamma, dtype=x.dtype, rng=rng, init="identity")
    model = SequenceClassifier(cell, int(y.max()) + 1, rng=rng)
    h_0 = (noise * rng.standard_normal((x.shape[1], hidden))).astype(x.dtype)
    return state_gradient_norms(model, x, y, initial_state=(h_0,), norm=norm)["h"]


def ratios(numbers):
    """For each gamma, the norm at step 100 over the norm at the last step: (gamma, ours, published).

    Ratios, because the level carries the batch size and the output layer; published values are interpolated
    in their logarithm, and None where they underflowed.
    """
    norms = np.asarray(numbers["norm"])
    ours = (norms[:, EARLY] / norms[:, -1]).tolist()
    gammas = np.asarray(numbers["gamma"]).tolist()
    return list(zip(gammas, ours, published_ratios(gammas), strict=True))


def published_ratios(gammas):
    """The published norm at step 100 over that at the last step, or None, for each gamma."""
    found = []
    for gamma in gammas:
        t, norm = published_curve("figure_1a", f"gamma={gamma:.2f}")
        reached = t[0] <= EARLY
        found.append(float(10 ** np.interp(EARLY, t, np.log10(norm)) / norm[-1]) if reached else None)
    return found


def table(numbers):
    """`ratios` as text."""
    lines = [f"norm at step {EARLY} / norm at the last step", f"{'gamma':>7} {'ours':>9} {'published':>10}"]
    for gamma, ours, published in ratios(numbers):
        theirs = "underflow" if published is None else f"{published:.1e}"
        lines.append(f"{gamma:7.1f} {ours:9.1e} {theirs:>10}")
    return "\n".join(lines)


def colors(count):
    """One colour for each gamma, from dark to light."""
    import matplotlib

    return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, count))


def plot(numbers, ax):
    """Draw what `compute` returned on `ax` (solid), over the published curves (dashed).

    "norm" may have a column for some steps only; "t" then says for which.
    """
    gammas, norms = np.asarray(numbers["gamma"]), np.asarray(numbers["norm"])
    steps = np.asarray(numbers.get("t", range(norms.shape[1])))
    drawn = []
    for gamma, norm, color in zip(gammas, norms, colors(len(gammas)), strict=True):
        drawn += ax.plot(steps, norm, color=color, linewidth=1.8, label=f"{gamma:.1f}")
        t, published = published_curve("figure_1a", f"gamma={gamma:.2f}")
        ax.plot(t, published, color=color, linewidth=1.0, linestyle=(0, (4, 2)))
    ax.set(yscale="log", xlim=(0, steps[-1] + 1), ylim=(FLOOR, 10), xlabel="time step t",
           ylabel=r"$\|\partial\,\mathrm{loss}\, /\, \partial h_t\|$, mean over the batch",
           title="Figure 1(a): a large γ lets the gradient vanish")
    styles = [ax.plot([], [], color="#444444", linestyle=linestyle, label=label)[0]
              for linestyle, label in (("-", "ours"), ((0, (4, 2)), "published"))]
    ax.add_artist(ax.legend(handles=styles, loc="lower left", ncols=2))
    ax.legend(handles=drawn, title="γ", loc="center left", bbox_to_anchor=(1.0, 0.5))
