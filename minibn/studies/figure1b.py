"""Figure 1(b): how the gradient through a tanh dies as its input's standard deviation grows."""

from functools import partial
from statistics import NormalDist

import numpy as np

from minibn.studies.figure import Figure
from minibn.studies.reference import published_curves
from minibn.tables import markdown_table

SAMPLES = 1000     # per standard deviation, as in the paper
SIGMAS = 1000      # standard deviations, evenly spaced over [0, 1]
SEED = 1
NODES = 80         # of the Gauss-Hermite rule; tanh' is smooth, so this is exact to rounding for sigma <= 1


def compute(sigmas=SIGMAS, samples=SAMPLES, seed=SEED):
    """Sample tanh'(x) = 1 - tanh(x)^2 for x ~ N(0, sigma^2), beside its exact mean and quartiles.

    Parameters
    ----------
    sigmas, samples : int
        Number of standard deviations in [0, 1], and of samples for each.
    seed : int

    Returns
    -------
    dict
        "sigma", "mean", "q25", "q75" (sampled), "exact_mean", "exact_q25", "exact_q75": ndarrays of
        shape (sigmas,).
    """
    if sigmas < 2 or samples < 1:
        raise ValueError(f"sigmas, samples: expected at least 2 and 1, got {sigmas} and {samples}")
    sigma = np.linspace(0.0, 1.0, sigmas)
    x = sigma[:, None] * np.random.default_rng(seed).standard_normal((sigmas, samples))
    slope = tanh_slope(x)
    q25, q75 = np.percentile(slope, [25, 75], axis=1)
    return {"sigma": sigma, "mean": slope.mean(axis=1), "q25": q25, "q75": q75,
            "exact_mean": exact_mean(sigma), "exact_q25": exact_quantile(sigma, 0.25),
            "exact_q75": exact_quantile(sigma, 0.75)}


def tanh_slope(x):
    """tanh'(x) = 1 - tanh(x)^2, element by element."""
    return 1.0 - np.tanh(x) ** 2


def exact_mean(sigma):
    """E[tanh'(x)] for x ~ N(0, sigma^2) by Gauss-Hermite quadrature; same shape as `sigma`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return tanh_slope(np.asarray(sigma)[..., None] * nodes) @ weights / np.sqrt(2.0 * np.pi)


def exact_quantile(sigma, q):
    """The q-quantile of tanh'(x) for x ~ N(0, sigma^2); same shape as `sigma`."""
    # tanh' falls as |x| grows, so this is where |x| has its (1 - q)-quantile, and x its (1 - q/2)-quantile.
    return tanh_slope(np.asarray(sigma) * NormalDist().inv_cdf(1.0 - q / 2.0))


def table(numbers):
    """The mean derivative at three standard deviations: sampled, exact and published."""
    x, y = published_curves("figure_1b")["mean"]
    rows = [["sigma", "sampled", "exact", "published"]]
    for sigma in (0.1, 0.5, 1.0):
        ours = np.interp(sigma, numbers["sigma"], numbers["mean"])
        rows.append([sigma, *(f"{value:.4f}" for value in (ours, exact_mean(sigma), np.interp(sigma, x, y)))])
    return f"Mean of tanh'(x), x ~ N(0, sigma^2):\n\n{markdown_table(rows, 'r')}"


def plot(numbers, ax):
    """Draw what `compute` returned on `ax`, the published curves on top."""
    sigma = numbers["sigma"]
    ax.fill_between(sigma, numbers["q25"], numbers["q75"], color="#4477aa", alpha=0.25, linewidth=0,
                    label="ours: middle half of the samples")
    ax.plot(sigma, numbers["mean"], color="#4477aa", linewidth=1.0, label="ours: mean of the samples")
    ax.plot(sigma, numbers["exact_mean"], color="#222222", linewidth=1.6,
            label="exact mean (Gaussian integral)")
    published = published_curves("figure_1b")
    for series, color, label in (("mean", "#cc3311", "published mean"),
                                 ("q25", "#ee7733", "published quartiles"), ("q75", "#ee7733", None)):
        x, y = published[series]
        ax.plot(x[::5], y[::5], linestyle="none", marker=".", markersize=3, color=color, label=label)
    for gamma, place in ((0.1, (0.13, 1.06)), (1.0, (0.68, 0.16))):
        mean = float(exact_mean(gamma))
        ax.annotate(f"BN with γ = {gamma}: {mean:.3f}", (gamma, mean), place, fontsize=9.5,
                    arrowprops={"arrowstyle": "-", "color": "#222222"})
        ax.plot(gamma, mean, marker="o", color="#222222", clip_on=False)
    ax.set(xlim=(0, 1), ylim=(0, 1.12), xlabel="standard deviation of the input",
           ylabel="derivative of tanh", title="Figure 1(b): tanh saturates early")
    ax.legend(loc="lower left")


FIGURE = Figure(
    name="figure1b", help="the derivative of tanh as its input grows", takes={"seed": "of the samples"},
    compute=compute, table=table, panels=lambda numbers: [partial(plot, numbers)],
)  # fmt: skip
