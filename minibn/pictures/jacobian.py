"""Picture 3: the Jacobian of one step, d h_t / d h_{t-1}, and its singular values as gamma moves.

One step of the batch-normalized tanh RNN (`minibn.cells.bn_rnn`: Eqs. 1 and 5), with all examples of the batch in one
vector of N H numbers. Batch norm removes two directions of each unit (the mean and the spread over the batch): 2 H
singular values are zero. The others say by how much a step back stretches or shrinks a gradient.
"""

from functools import partial

import numpy as np

from minibn.cells import bn_rnn
from minibn.layers import BNRNN
from minibn.pictures.picture import Movement, Picture, stills
from minibn.studies.drawing import COLORS

GAMMAS = tuple(np.round(np.arange(0.1, 2.01, 0.1), 2).tolist())
STILLS = (0.1, 1.0)
T, N, D, H = 40, 8, 3, 4
INPUT = 0.02            # the size of the input, small beside the recurrent term
SEED = 0


def compute(gammas=GAMMAS, seed=SEED):
    """The Jacobian of the last of T steps, for each gamma; weights and input are the same for all.

    Parameters
    ----------
    gammas : sequence of float
    seed : int

    Returns
    -------
    dict
        "gamma" (K); "jacobian" (K, N H, N H): row (n, i), column (m, j) is d h_t[n, i] / d h_{t-1}[m, j];
        "singular" (K, N H), from the largest to the smallest.
    """
    jacobians = np.array([step_jacobian(settled_step(gamma, seed)) for gamma in gammas])
    return {"gamma": np.array(gammas), "jacobian": jacobians,
            "singular": np.linalg.svd(jacobians, compute_uv=False)}


def settled_step(gamma, seed=SEED):
    """What one step of a BN-RNN computes, after T - 1 others: a Record, of an orthogonal W_h and a weak input."""
    rng = np.random.default_rng(seed)
    cell = BNRNN(D, H, gamma=gamma, rng=rng)
    x, h_0 = INPUT * rng.normal(size=(T, N, D)), 0.1 * rng.normal(size=(N, H))
    cache = cell.forward(x, initial_state=(h_0,))[1]
    return cache.sequence.steps[-1]


def step_jacobian(step):
    """d h_t / d h_{t-1} as (N H, N H): one backward of the step for each of its rows."""
    size = step.h.size
    upstream = np.eye(size).reshape(size, *step.h.shape)
    return np.array([bn_rnn.CELL.backward(step, dh=dh).h_prev.ravel() for dh in upstream])


def plot(numbers, ax, gamma=STILLS[0], spectrum=False):
    """Draw the Jacobian at one gamma as a heat map, or its singular values over those of all others."""
    return movement(numbers).draw(ax, int(spectrum), int(np.argmin(np.abs(numbers["gamma"] - gamma))))


def movement(numbers):
    """Gamma moves."""
    labels = [f"γ = {gamma:.1f}" for gamma in numbers["gamma"]]
    panels = [(_map_backdrop, partial(_map_frame, numbers)),
              (partial(_spectrum_backdrop, numbers), partial(_spectrum_frame, numbers))]
    return Movement(labels, panels, int(np.argmin(np.abs(numbers["gamma"] - STILLS[0]))))


def _map_backdrop(ax):
    places, names = np.arange(N) * H + (H - 1) / 2, [f"{n}" for n in range(N)]
    ax.set(xticks=places, xticklabels=names, yticks=places, yticklabels=names,
           xlabel="$h_{t-1}$: units of example n", ylabel="$h_t$: units of example m")
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(True)
    scale = ax.figure.colorbar(ax.imshow([[-1, 1]], cmap="PuOr_r", visible=False), ax=ax)
    scale.set_label("derivative")
    for edge in np.arange(1, N) * H - 0.5:
        ax.axhline(edge, color="#999999", linewidth=0.6)
        ax.axvline(edge, color="#999999", linewidth=0.6)


def _map_frame(numbers, ax, k):
    image = ax.imshow(numbers["jacobian"][k], vmin=-1, vmax=1, cmap="PuOr_r", interpolation="none")
    title = ax.text(0, 1.02, f"γ = {numbers['gamma'][k]:.1f}", transform=ax.transAxes, va="bottom", fontsize=12)
    return [image, title]


def _spectrum_backdrop(numbers, ax):
    places = np.arange(1, N * H + 1)
    ax.plot(places, numbers["singular"].T, color="#dddddd", linewidth=0.8)
    ax.axhline(1, color="#222222", linewidth=0.8, linestyle=":")
    ax.text(N * H + 1.4, 0.1, "two of each\nunit are 0", ha="right", color="#555555", fontsize=9.5)
    ax.set(xlabel="singular values, from the largest", ylabel="how much a step back stretches (factor)",
           ylim=(-0.05, 1.1 * numbers["singular"].max()))


def _spectrum_frame(numbers, ax, k):
    values = numbers["singular"][k]
    line, = ax.plot(np.arange(1, len(values) + 1), values, color=COLORS["bnrnn"], linewidth=1.2,
                    marker="o", markersize=4)
    kept = values[:(N - 2) * H]
    words = ax.text(0.98, 0.96, f"γ = {numbers['gamma'][k]:.1f}: from {kept.max():.2f} to {kept.min():.2f}",
                    transform=ax.transAxes, ha="right", va="top", color=COLORS["bnrnn"])
    return [line, words]


PICTURE = Picture(
    name="jacobian", title="At a small γ one step back neither shrinks nor stretches the gradient",
    claim="The singular values of the Jacobian of one step of a BN-RNN lie around 1 at a small γ and spread out as γ "
          "grows; two directions of each unit are always lost to its mean and its variance (Eqs. 1 and 5).",
    notebook="06_gradient_flow.ipynb", compute=compute, movement=movement,
    panels=lambda numbers: stills(movement(numbers)), size=(4.8, 4.0),
)  # fmt: skip
