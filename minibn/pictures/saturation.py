"""Picture 5: which gates saturate: the share of units whose slope is below 0.1, over time and gamma.

The slope is that of the nonlinearity of Eqs. 7 and 8 at its input: sigma' = s (1 - s) for the gates f, i, o, at most
1/4; tanh' = 1 - tanh^2 for the candidate g and the output, at most 1. A unit with no slope passes no gradient.
"""

from functools import partial

import numpy as np

from minibn.equations.activations import dsigmoid, dtanh
from minibn.layers import BNLSTM
from minibn.pictures.picture import Picture
from minibn.studies.figure1a import image_batch

GAMMAS = tuple(np.round(np.arange(0.1, 2.01, 0.1), 2).tolist())
SLOPES = {"f": dsigmoid, "i": dsigmoid, "o": dsigmoid, "g": dtanh, "tanh_c": dtanh}
NAMES = {"f": "forget gate f", "i": "input gate i", "o": "output gate o", "g": "candidate g",
         "tanh_c": "output tanh(c)"}
BELOW = 0.1
HIDDEN, BATCH, SEED = 40, 50, 1


def compute(gammas=GAMMAS, hidden=HIDDEN, batch=BATCH, seed=SEED, below=BELOW):
    """The share of saturated units of an untrained BN-LSTM on shuffled pixels, 14 x 14 of them.

    Parameters
    ----------
    gammas : sequence of float
    hidden, batch : int
        H units, N images.
    seed : int
        Of the weights, the order of the pixels and the batch.
    below : float
        A unit is saturated where its slope is below this.

    Returns
    -------
    dict
        "gamma" (K), and for each of f, i, o, g, tanh_c: ndarray (K, T), the share of units and examples.
    """
    x, _ = image_batch(seed, batch, side=14)
    caches = [BNLSTM(1, hidden, gamma=gamma, rng=seed, init="identity_g").forward(x)[1] for gamma in gammas]
    return {"gamma": np.array(gammas), **{
        name: np.array([(slope(getattr(cache, name)) < below).mean(axis=(1, 2)) for cache in caches])
        for name, slope in SLOPES.items()}}


def plot(numbers, ax, gate="f", scale=False):
    """Draw one gate: time to the right, gamma upwards, darker where more units are saturated."""
    share, gammas = numbers[gate], numbers["gamma"]
    top = max(numbers[name].max() for name in SLOPES)
    half = (gammas[1] - gammas[0]) / 2
    image = ax.imshow(share, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=top, interpolation="none",
                      extent=(-0.5, share.shape[1] - 0.5, gammas[0] - half, gammas[-1] + half))
    ax.set(title=NAMES[gate], xlabel="time step t", ylabel="γ", yticks=(0.1, 0.5, 1.0, 1.5, 2.0))
    ax.grid(False)
    if scale:
        ax.figure.colorbar(image, ax=ax).set_label(f"share of units with slope < {BELOW}")


PICTURE = Picture(
    name="saturation", title="At a small γ hardly anything saturates; the forget gate is the first that does",
    claim="The share of units whose nonlinearity has a slope below 0.1 is almost zero at a small γ and grows with γ in "
          "every gate, least at pixels that are black in most images; the forget gate, whose bias is 1, comes first "
          "(Eqs. 6-8).",
    notebook="06_gradient_flow.ipynb", compute=compute,
    panels=lambda numbers: [partial(plot, numbers, gate=gate, scale=gate == "tanh_c") for gate in SLOPES],
    size=(2.5, 3.2), widths=(1, 1, 1, 1, 1.12),
)  # fmt: skip
