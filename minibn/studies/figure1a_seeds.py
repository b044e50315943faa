"""Figure 1(a) for several seeds, and the same study for the LSTMs, which the paper does not show.

A seed draws the weights, the order of the pixels and the batch. The logarithms are what is kept: in float64
the norms reach 1e-120, and medians over seeds are taken of orders of magnitude.
"""

import numpy as np

from minibn.layers import BNLSTM, LSTM
from minibn.models import SequenceClassifier
from minibn.studies import figure1a
from minibn.studies.gradient_flow import state_gradient_norms
from minibn.studies.reference import published_curve

LSTM_GAMMAS = (0.1, 0.3, 0.5, 0.7, 1.0)     # those of Figure 6
EVERY = 9                                   # steps between the points that are kept: 783 = 87 * 9
FIRST = (0, 1, 2, 3)                        # kept too: the steps where the variances are still near zero
SLOPE_STEPS = 50


def compute(seeds, gammas=figure1a.GAMMAS):
    """The batch-normalized tanh RNN for each seed and gamma.

    Parameters
    ----------
    seeds : sequence of int
    gammas : sequence of float

    Returns
    -------
    dict
        "seed" (S), "gamma" (K), "t" (P): the steps that are kept; "log10_norm" (S, K, P), rounded to 0.01;
        "slope" (S, K): decades per step over the last 50 steps, positive where the gradient shrinks on its way
        back.
    """
    curves = []
    for seed in seeds:
        x, y = figure1a.image_batch(seed)
        curves.append(figure1a.compute(x, y, gammas, seed=seed)["norm"])
    return {"seed": list(seeds), "gamma": list(gammas), **_thinned(log10_norm=curves), "slope": slopes(curves)}


def compute_lstm(seeds, gammas=LSTM_GAMMAS, hidden=figure1a.HIDDEN):
    """The BN-LSTM for each seed and gamma, and the LSTM, all as the paper's MNIST networks begin.

    Returns
    -------
    dict
        "seed", "t" as in `compute`; "series" (K): the gammas, and last None for the LSTM; "log10_norm_h" and
        "log10_norm_c" (S, K, P), of the total derivatives with respect to h_t and c_t.
    """
    series = [*gammas, None]
    h, c = [], []
    for seed in seeds:
        x, y = figure1a.image_batch(seed)
        norms = [lstm_gradient_norms(x, y, gamma, hidden, seed) for gamma in series]
        h.append([norm["h"] for norm in norms])
        c.append([norm["c"] for norm in norms])
    return {"seed": list(seeds), "series": series, **_thinned(log10_norm_h=h, log10_norm_c=c)}


def lstm_gradient_norms(x, y, gamma, hidden=figure1a.HIDDEN, rng=figure1a.SEED):
    """{"h": (T,), "c": (T,)} of one BN-LSTM, or of the LSTM for gamma None."""
    rng = np.random.default_rng(rng)
    settings = {"dtype": x.dtype, "rng": rng, "init": "identity_g"}
    cell = LSTM(x.shape[2], hidden, **settings) if gamma is None else BNLSTM(
        x.shape[2], hidden, gamma=gamma, **settings)
    return state_gradient_norms(SequenceClassifier(cell, int(y.max()) + 1, rng=rng), x, y)


def slopes(norms):
    """Decades per step over the last 50 steps, of norms (..., T)."""
    logs = np.log10(norms)
    return np.round((logs[..., -1] - logs[..., -1 - SLOPE_STEPS]) / SLOPE_STEPS, 4)


def published_slope(gamma):
    """The same number of the published curve."""
    t, norm = published_curve("figure_1a", f"gamma={gamma:.2f}")
    before = np.interp(t[-1] - SLOPE_STEPS, t, np.log10(norm))
    return float((np.log10(norm[-1]) - before) / SLOPE_STEPS)


def ratios(numbers):
    """For each seed and gamma (S, K): log10 of the norm at step 100 over that at the last step."""
    logs = np.asarray(numbers["log10_norm"])
    return logs[:, :, list(numbers["t"]).index(figure1a.EARLY)] - logs[:, :, -1]


def table(numbers):
    """Ratios and slopes as text: median, smallest and largest over the seeds, published."""
    logs, slope = ratios(numbers), np.asarray(numbers["slope"])
    lines = [f"{len(logs)} seeds: norm at step {figure1a.EARLY} / norm at the last step; slope in decades per step "
             f"over the last {SLOPE_STEPS}",
             f"{'gamma':>5} {'median':>9} {'smallest':>9} {'largest':>9} {'published':>10} "
             f"{'slope':>8} {'published':>9}"]
    published = figure1a.published_ratios(numbers["gamma"])
    for k, (gamma, theirs) in enumerate(zip(numbers["gamma"], published, strict=True)):
        ours = [f"{_power(value):>9}" for value in (np.median(logs[:, k]), logs[:, k].min(), logs[:, k].max())]
        theirs = "underflow" if theirs is None else f"{theirs:.1e}"
        lines.append(f"{gamma:5.1f} {' '.join(ours)} {theirs:>10} {np.median(slope[:, k]):8.4f} "
                     f"{published_slope(gamma):9.4f}")
    return "\n".join(lines)


def table_lstm(numbers):
    """The gradient of h_t at step 100 over that at the last step, as text: median, smallest and largest."""
    logs = np.asarray(numbers["log10_norm_h"])
    logs = logs[:, :, list(numbers["t"]).index(figure1a.EARLY)] - logs[:, :, -1]
    lines = [f"{len(logs)} seeds: norm at step {figure1a.EARLY} / norm at the last step",
             f"{'':14} {'median':>9} {'smallest':>9} {'largest':>9}"]
    for gamma, values in zip(numbers["series"], logs.T, strict=True):
        ours = [f"{_power(value):>9}" for value in (np.median(values), values.min(), values.max())]
        lines.append(f"{_name(gamma):14} {' '.join(ours)}")
    return "\n".join(lines)


def plot(numbers, ax):
    """Draw what `compute` returned: median (solid), the middle half of the seeds (band), published (dashed)."""
    logs = np.asarray(numbers["log10_norm"])                          # (S, K, P)
    low, median, high = 10.0 ** np.quantile(logs, [0.25, 0.5, 0.75], axis=0)
    for k, color in enumerate(figure1a.colors(len(numbers["gamma"]))):
        ax.fill_between(numbers["t"], low[k], high[k], color=color, alpha=0.15, linewidth=0)
    figure1a.plot({"gamma": numbers["gamma"], "t": numbers["t"], "norm": median}, ax)
    ax.set(title=f"Figure 1(a), {len(logs)} seeds: a large γ lets the gradient vanish")


def plot_lstm(numbers, ax, state="h"):
    """Draw what `compute_lstm` returned for one state: medians, and the middle half of the seeds."""
    logs = np.asarray(numbers[f"log10_norm_{state}"])
    low, median, high = 10.0 ** np.quantile(logs, [0.25, 0.5, 0.75], axis=0)
    colors = [*figure1a.colors(len(numbers["series"]) - 1), "#cc3311"]
    for k, (gamma, color) in enumerate(zip(numbers["series"], colors, strict=True)):
        ax.fill_between(numbers["t"], low[k], high[k], color=color, alpha=0.15, linewidth=0)
        ax.plot(numbers["t"], median[k], color=color, linewidth=1.8, label=_name(gamma),
                linestyle="--" if gamma is None else "-")
    ax.set(yscale="log", xlim=(0, numbers["t"][-1]), xlabel="time step t",
           ylabel=rf"$\|\partial\,\mathrm{{loss}}\, /\, \partial {state}_t\|$, mean over the batch")
    ax.legend(loc="best")


def _name(gamma):
    return "LSTM" if gamma is None else f"BN-LSTM, γ={gamma}"


def _power(log10):
    return f"{10.0 ** log10:.1e}"


def _thinned(**curves):
    """log10 of each array of norms (..., T) at the kept steps, rounded; and "t", these steps."""
    T = np.shape(next(iter(curves.values())))[-1]
    t = sorted({*FIRST, figure1a.EARLY, *range(T - 1, -1, -EVERY)})
    return {"t": t, **{name: np.round(np.log10(norms)[..., t], 2) for name, norms in curves.items()}}
