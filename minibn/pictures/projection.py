"""Picture 6: the three paths of batch norm's backward add up to a projection (Eq. 5).

One feature and N = 3 examples, so that its gradient `da` is an arrow in space. The direct path is the upstream
gradient, scaled. The path through the mean takes away what points along (1, 1, 1), and brings the arrow down to the
plane where the sum over the batch is zero. The path through the variance takes away what points along `hat`. What is
left is orthogonal to both: moving all examples together, or stretching them, changes no output.
"""

from functools import partial

import numpy as np

from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.pictures.picture import Picture

A = (0.6, 1.5, -1.2)
DY = (-0.1, 1.7, 0.4)
EPS = 1e-12             # with the usual 1e-5 a rest of that size is left along `hat`
STYLES = {
    "direct": {"color": "#0077bb", "linestyle": "-", "label": "direct"},
    "mean": {"color": "#cc3311", "linestyle": "--", "label": "through the mean"},
    "variance": {"color": "#aa6600", "linestyle": (0, (1, 1.2)), "label": "through the variance"},
    "da": {"color": "#111111", "linestyle": "-", "label": "da, their sum"},
}


def compute(a=A, dy=DY, gamma=1.0, eps=EPS):
    """The three paths from dy (N,) to a (N,), of one feature with N = 3 examples.

    Parameters
    ----------
    a, dy : sequence of three floats
    gamma, eps : float

    Returns
    -------
    dict
        "direct", "mean", "variance": ndarray (3,); "da" (3,), as `batch_norm_backward` gives it; "hat" (3,); "axes"
        (3, 3): unit vectors along (1, 1, 1), along `hat`, and across both.
    """
    _, cache = batch_norm_forward(np.array(a)[:, None], np.array([gamma]), 0.0, eps)
    gradients = batch_norm_backward(np.array(dy)[:, None], cache)
    weight = cache.weight.T                                                     # (N, 1): the derivative of the mean
    hat = cache.hat[:, 0]
    ones, along = np.ones(3) / np.sqrt(3), hat / np.linalg.norm(hat)
    return {"direct": (gradients.hat * cache.inv_std)[:, 0],
            "mean": (weight * gradients.mean)[:, 0],
            "variance": (weight * 2 * (cache.a - cache.mean) * gradients.variance)[:, 0],
            "da": gradients.a[:, 0], "hat": hat, "axes": np.array([ones, along, np.cross(ones, along)])}


def plot(numbers, ax, above=False):
    """Draw the arrows from the side, where (1, 1, 1) points upwards, or from above, in the plane of sum zero."""
    ones, along, rest = numbers["axes"]
    direct, landed = numbers["direct"], numbers["direct"] + numbers["mean"]
    if above:
        view = np.array([rest, along])
        _path(ax, view @ (0 * landed), view @ landed, {**STYLES["direct"], "label": "direct + mean"}, alpha=0.55)
        _path(ax, view @ landed, view @ numbers["da"], STYLES["variance"])
        _path(ax, view @ (0 * landed), view @ numbers["da"], STYLES["da"], width=3)
        ax.axvline(0, color="#999999", linewidth=0.9)
        for n in range(3):
            example = view @ np.eye(3)[n]
            ax.plot(*np.outer(example, (0, 0.35)), color="#bbbbbb", linewidth=0.9, zorder=1)
            ax.text(*0.42 * example, f"$a_{n + 1}$", color="#777777", ha="center", va="center", fontsize=9.5)
        words = ("left to the gradient", r"along $\hat a$ (stretches the batch)")
        title = "from above: the plane of sum zero"
    else:
        sideways = landed / np.linalg.norm(landed)
        view = np.array([sideways, ones])
        _path(ax, view @ (0 * direct), view @ direct, STYLES["direct"])
        _path(ax, view @ direct, view @ landed, STYLES["mean"])
        ax.plot(*np.outer(view @ landed, (0, 1)), color=STYLES["direct"]["color"], alpha=0.55, linewidth=1.2)
        ax.axhline(0, color="#999999", linewidth=0.9)
        words = ("in the plane of sum zero", "along (1, 1, 1) (moves the batch)")
        title = "from the side"
    corner, side = (view @ landed)[0], 0.1
    ax.plot((corner - side, corner - side, corner), (0, side, side), color="#555555", linewidth=0.9)   # a right angle
    reach = np.linalg.norm(direct)
    limits = (-0.3 * reach, reach)
    ax.set(xlabel=words[0], ylabel=words[1], title=title, aspect="equal", xlim=limits, ylim=limits)
    ax.legend(loc="upper left")


def _path(ax, start, end, style, width=2.2, alpha=1.0):
    """An arrow, and a line for the legend and for the limits of the panel."""
    ax.plot(*np.transpose([start, end]), linewidth=width, alpha=alpha, **style)
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "mutation_scale": 16, "color": style["color"],
                                            "linewidth": 0, "shrinkA": 0, "shrinkB": 0})


PICTURE = Picture(
    name="projection", title="Three paths add up to a projection: no sum over the batch, nothing along â",
    claim="The gradient of batch norm's input is what is left of the upstream gradient without its part along "
          "(1, 1, 1), which the mean takes away, and along the normalized input, which the variance takes (Eq. 5).",
    notebook="02_batch_normalization.ipynb", compute=compute,
    panels=lambda numbers: [partial(plot, numbers, above=above) for above in (False, True)], size=(5.0, 4.4),
)  # fmt: skip
