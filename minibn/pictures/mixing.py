"""Picture 2: batch norm mixes the examples of a batch, and one step back everything touches everything.

The LSTM (Eqs. 2-4) keeps its examples apart: d L_m / d h_n is zero unless m = n, at every step. In the BN-LSTM
(Eqs. 6-8) the statistics of Eq. 5 belong to all examples, so that every loss reaches every state.
"""

from functools import partial

import numpy as np

from minibn.layers import BNLSTM, LSTM
from minibn.pictures.picture import Movement, Picture, stills

T, N, D, H = 12, 8, 3, 20
SEED = 0
STILL = 4               # steps back from the last one
WEAKEST = 1e-2          # shares of the largest norm below this have the palest colour
CELLS = {"LSTM": LSTM, "BN-LSTM": BNLSTM}


def compute(seed=SEED):
    """How much the loss of example m depends on the state of example n, at each step.

    Example m's loss is u_m . h_{T,m} with a random u_m; each example starts from a state of its own.

    Parameters
    ----------
    seed : int

    Returns
    -------
    dict
        "LSTM", "BN-LSTM": ndarray (T, N, N), ||d L_m / d h_{t,n}|| at [t, m, n].
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(T, N, D))
    states = tuple(0.3 * rng.normal(size=(N, H)) for _ in range(2))
    u = rng.normal(size=(N, H))
    return {name: influence(cell(D, H, rng=1), x, states, u) for name, cell in CELLS.items()}


def influence(cell, x, states, u):
    """||d L_m / d h_{t,n}|| as (T, N, N), one backward pass for each loss L_m = u_m . h_{T,m}; u is (N, H)."""
    h, cache = cell.forward(x, initial_state=states)
    norms = np.empty((len(h), len(u), len(u)))
    for m in range(len(u)):
        dh = np.zeros_like(h)
        dh[-1, m] = u[m]
        cell.backward(dh, cache, observe=lambda t, gradients, dstate, m=m: norms.__setitem__(
            (t, m), np.linalg.norm(gradients.h, axis=1)))
    return norms


def plot(numbers, ax, cell="BN-LSTM", steps_back=STILL):
    """Draw one cell's matrix, so many steps before the last one."""
    return movement(numbers).draw(ax, list(CELLS).index(cell), steps_back)


def movement(numbers):
    """Time moves, backwards as the gradient does."""
    steps = len(numbers["LSTM"])
    panels = [(partial(_backdrop, name), partial(_frame, numbers[name])) for name in CELLS]
    return Movement([_label(back) for back in range(steps)], panels, STILL)


def _backdrop(name, ax):
    ax.set(xticks=range(N), yticks=range(N), xlabel="state of example n", ylabel="loss of example m", title=name)
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(True)
    scale = ax.figure.colorbar(ax.imshow([[WEAKEST, 1]], norm="log", cmap="YlGnBu", visible=False), ax=ax)
    scale.set_label("gradient / the largest one")


def _frame(norms, ax, k):
    matrix = norms[len(norms) - 1 - k]
    share = matrix / matrix.max()
    image = ax.imshow(np.where(share > 0, np.maximum(share, WEAKEST), np.nan), norm="log", vmin=WEAKEST, vmax=1,
                      cmap="YlGnBu", interpolation="none")
    zeros = ax.plot(*np.nonzero(matrix.T == 0), linestyle="none", marker="$0$", markersize=5, color="#777777")
    when = ax.text(1, 1.02, _label(k), transform=ax.transAxes, ha="right", va="bottom")
    return [image, when, *zeros]


def _label(back):
    return "the last step, t = T" if back == 0 else f"t = T − {back}"


PICTURE = Picture(
    name="mixing", title="Batch norm mixes the examples: every loss reaches every state",
    claim="In an LSTM the loss of an example depends on its own state only; in a BN-LSTM it depends, one step back and "
          "ever after, on the state of every example of the batch (Eqs. 5-8).",
    notebook="04_bn_lstm.ipynb", compute=compute, movement=movement,
    panels=lambda numbers: stills(movement(numbers)), size=(4.4, 3.8),
)  # fmt: skip
