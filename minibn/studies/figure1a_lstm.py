"""Figure 1(a) for the LSTM and the BN-LSTM, which the paper does not show: the same study, of h_t and of c_t."""

from functools import partial

import numpy as np

from minibn.layers import BNLSTM, LSTM
from minibn.models import SequenceClassifier
from minibn.studies import figure1a
from minibn.studies.drawing import label_starts, ordered_colors, title_of
from minibn.studies.figure import Figure
from minibn.studies.figure1a import counted_seeds, draw_bands, image_batch, ratios, spread, thinned
from minibn.studies.gradient_flow import state_gradient_norms
from minibn.tables import markdown_table

GAMMAS = (0.1, 0.3, 0.5, 0.7, 1.0)      # those of Figure 6
STATES = ("h", "c")


def compute(seed=figure1a.SEED, seeds=1, gammas=GAMMAS, hidden=figure1a.HIDDEN):
    """The BN-LSTM for each seed and gamma, and the LSTM, all as the paper's MNIST networks begin.

    Returns
    -------
    dict
        "seed", "t" as of `minibn.studies.figure1a.compute`; "series" (K): the gammas, and last None for the LSTM;
        "log10_norm_h" and "log10_norm_c" (S, K, P), of the total derivatives with respect to h_t and c_t.
    """
    numbers, series = range(seed, seed + seeds), [*gammas, None]
    curves = []
    for number in numbers:
        x, y = image_batch(number)
        curves.append([gradient_norms(x, y, gamma, hidden, number) for gamma in series])
    logs = {f"log10_norm_{state}": [[norms[state] for norms in each] for each in curves] for state in STATES}
    return {"seed": list(numbers), "series": series, **thinned(**logs)}


def gradient_norms(x, y, gamma, hidden=figure1a.HIDDEN, rng=figure1a.SEED):
    """{"h": (T,), "c": (T,)} of one BN-LSTM, or of the LSTM for gamma None."""
    rng = np.random.default_rng(rng)
    settings = {"dtype": x.dtype, "rng": rng, "init": "identity_g"}
    cell = LSTM(x.shape[2], hidden, **settings) if gamma is None else BNLSTM(
        x.shape[2], hidden, gamma=gamma, **settings)
    return state_gradient_norms(SequenceClassifier(cell, int(y.max()) + 1, rng=rng), x, y)


def table(numbers):
    """The gradient of h_t at step 100 over that at the last step as a Markdown table."""
    logs = ratios(numbers, "log10_norm_h")
    rows = [["", *figure1a.SPREAD]]
    for gamma, values in zip(numbers["series"], logs.T, strict=True):
        name = title_of("lstm") if gamma is None else f"{title_of('bnlstm')}, γ = {gamma}"
        rows.append([name, *spread(values)])
    return (f"Norm at step {figure1a.EARLY} / norm at the last step, of h, {counted_seeds(numbers)}:\n\n"
            f"{markdown_table(rows)}")


def plot(numbers, ax, state="h"):
    """Draw what `compute` returned for one state: medians, and the middle half of the seeds."""
    colors = [*ordered_colors(len(numbers["series"]) - 1), "#222222"]
    labels = [title_of("lstm") if gamma is None else f"γ = {gamma}" for gamma in numbers["series"]]
    lines = draw_bands(ax, numbers["t"], numbers[f"log10_norm_{state}"], colors, labels)
    lines[-1].set_linestyle("--")
    ax.set(ylabel=ax.get_ylabel().replace("h_t", f"{state}_t"), ylim=ax.get_ylim(),
           title=f"Gradient of ${state}_t$: LSTM, and BN-LSTM by γ")
    label_starts(ax, lines)


FIGURE = Figure(
    name="figure1a_lstm", help="the same for the LSTM and the BN-LSTM, which the paper does not show",
    takes={"seed": "of the weights, the order of the pixels and the batch", "seeds": "how many, from --seed on"},
    compute=compute, table=table,
    panels=lambda numbers: [partial(plot, numbers, state=state) for state in STATES],
    size=(5.3, 4.4), columns=2,
)  # fmt: skip
