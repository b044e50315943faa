"""Figure 1(a): how the gradient fades on its way back through a batch-normalized tanh RNN, for ten gammas.

The network is untrained: one batch norm on the sum W_h h_{t-1} + W_x x_t (`minibn.BNRNN`), W_h the identity,
W_x orthogonal, permuted pixels, no noise, one batch. What is drawn is the norm over the hidden units of the
total derivative of the batch-mean loss with respect to each example's h_t, averaged over the batch.
"""

import numpy as np

from minibn.data import load_mnist_subset, pixel_order
from minibn.equations.affine import affine_backward, affine_forward
from minibn.equations.losses import softmax_cross_entropy_backward, softmax_cross_entropy_forward
from minibn.layers import BNRNN
from minibn.models import SequenceClassifier
from minibn.studies.reference import published_curve

GAMMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
HIDDEN = 100
BATCH = 100
SEED = 1
EARLY = 100      # the step whose norm is compared with the last one's
SIZE = (8.0, 5.0)  # inches
FLOOR = 1e-26    # bottom of the published figure; its values came from float32 and end at 4e-25


def image_batch(seed=SEED, size=BATCH):
    """A batch of real images as permuted pixels: x (784, size, 1) float64 and y (size,)."""
    data = load_mnist_subset(side=28)
    data = data.reordered(pixel_order("permutation", data.steps, seed))
    return data.train.batches(size, rng=np.random.default_rng(seed), dtype=np.float64)[0]


def compute(x, y, gammas=GAMMAS, hidden=HIDDEN, seed=SEED):
    """The gradient norms of one batch, for each gamma; the weights are the same for all.

    Parameters
    ----------
    x : ndarray of shape (T, N, D), float64
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


def gradient_norms(x, y, gamma, hidden, rng):
    """One curve, ndarray of shape (T,); parameters as in `compute`."""
    cell = BNRNN(x.shape[2], hidden, gamma=gamma, dtype=np.float64, rng=rng, init="identity")
    model = SequenceClassifier(cell, int(y.max()) + 1, rng=rng)
    h, cache = cell.forward(x)                                        # (T, N, H)
    logits = affine_forward(h[-1], model.params["W_y"], model.params["b_y"])
    dlogits = softmax_cross_entropy_backward(softmax_cross_entropy_forward(logits, y)[1])
    dh = np.zeros_like(h)
    dh[-1] = affine_backward(dlogits, h[-1], model.params["W_y"])[0]
    norms = np.empty(len(x))

    def observe(t, gradients, dstate):
        norms[t] = np.linalg.norm(dstate[0], axis=1).mean()

    cell.backward(dh, cache, observe=observe)
    return norms


def ratios(numbers):
    """For each gamma, the norm at step 100 over the norm at the last step: (gamma, ours, published).

    Ratios, because the level carries the batch size and the output layer; published values are interpolated
    in their logarithm, and None where they underflowed.
    """
    rows = []
    for gamma, norm in zip(numbers["gamma"], np.asarray(numbers["norm"]), strict=True):
        t, published = published_curve("figure_1a", f"gamma={gamma:.2f}")
        theirs = None
        if t[0] <= EARLY:
            theirs = float(10 ** np.interp(EARLY, t, np.log10(published)) / published[-1])
        rows.append((float(gamma), float(norm[EARLY] / norm[-1]), theirs))
    return rows


def table(numbers):
    """`ratios` as text."""
    lines = [f"norm at step {EARLY} / norm at the last step", f"{'gamma':>7} {'ours':>9} {'published':>10}"]
    for gamma, ours, published in ratios(numbers):
        theirs = "underflow" if published is None else f"{published:.1e}"
        lines.append(f"{gamma:7.1f} {ours:9.1e} {theirs:>10}")
    return "\n".join(lines)


def plot(numbers, ax):
    """Draw what `compute` returned on `ax` (solid), over the published curves (dashed)."""
    import matplotlib

    gammas, norms = np.asarray(numbers["gamma"]), np.asarray(numbers["norm"])
    colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(gammas)))
    for gamma, norm, color in zip(gammas, norms, colors, strict=True):
        ax.plot(norm, color=color, linewidth=1.8, label=f"{gamma:.1f}")
        t, published = published_curve("figure_1a", f"gamma={gamma:.2f}")
        ax.plot(t, published, color=color, linewidth=1.0, linestyle=(0, (4, 2)))
    ax.set(yscale="log", xlim=(0, norms.shape[1]), ylim=(FLOOR, 10), xlabel="time step t",
           ylabel=r"$\|\partial\,\mathrm{loss}\, /\, \partial h_t\|$, mean over the batch",
           title="Figure 1(a): a large γ lets the gradient vanish")
    styles = [ax.plot([], [], color="#444444", linestyle=linestyle, label=label)[0]
              for linestyle, label in (("-", "ours"), ((0, (4, 2)), "published"))]
    ax.add_artist(ax.legend(handles=styles, loc="lower left", ncols=2))
    ax.legend(handles=ax.lines[:2 * len(gammas):2], title="γ", loc="center left", bbox_to_anchor=(1.0, 0.5))
