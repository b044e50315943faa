"""What the pictures have in common: the cells' colours, colours in an order, and labels at the ends of curves.

matplotlib is imported on use.
"""

import textwrap

import numpy as np

from minibn.cells import CELLS
from minibn.models import READERS

__all__ = [
    "COLORS", "LABEL", "MODEL_NAMES", "PUBLISHED_STYLE", "colors_of", "label_ends", "label_starts", "ordered_colors",
    "shades", "title_of",
]  # fmt: skip

# Apart for colour-blind readers, too (after Paul Tol's schemes).
COLORS = {"rnn": "#888888", "bnrnn": "#117733", "bnrnn_two_term": "#999933", "lstm": "#cc3311", "bnlstm": "#0077bb"}
OTHER_COLORS = ("#aa4499", "#ee7733", "#222222", "#33bbee")     # of cells that have none of their own
COLORS |= dict(zip((name for name in READERS if name not in COLORS), OTHER_COLORS, strict=True))
MODEL_NAMES = {name: model.title for name, model in {**CELLS, **READERS}.items()}
PUBLISHED_STYLE = {"linewidth": 1.3, "linestyle": (0, (4, 2))}
LABEL = {"fontsize": 9.5, "linespacing": 1.05}
LABEL_WIDTH = 24        # characters in a line of a label


def title_of(model):
    """What people call a cell: its title, or the name of one that is not ours."""
    return MODEL_NAMES.get(model, model)


def colors_of(models):
    """A colour for each cell: name -> colour; those without one of their own get one in the order they come."""
    others = [model for model in dict.fromkeys(models) if model not in COLORS]
    return COLORS | {model: OTHER_COLORS[place % len(OTHER_COLORS)] for place, model in enumerate(others)}


def shades(color, count):
    """`count` colours around one, from dark to light; one is the colour itself."""
    from matplotlib.colors import to_rgb

    if count == 1:
        return [color]
    rgb = np.array(to_rgb(color))
    mixed = np.linspace(-0.6, 0.4, count)       # with black, with white
    return [tuple(rgb * (1 + mix) if mix < 0 else rgb + (1 - rgb) * mix) for mix in mixed]


def ordered_colors(count):
    """`count` colours in the order of the rainbow, whose neighbours can be told apart: ndarray (count, 3)."""
    import matplotlib

    rainbow = matplotlib.colormaps["turbo"](np.linspace(0.03, 0.95, count))[:, :3]
    brightness = rainbow @ (0.3, 0.59, 0.11)
    return rainbow * np.minimum(1, 0.5 / brightness)[:, None]            # yellow is hard to read on white


def label_ends(ax, lines, at=-1, x=1.03):
    """Write the label of each line beside one of its points, in its colour. Set the limits of `ax` before.

    Labels that would overlap are moved apart, and a thin line leads from each to its point.

    Parameters
    ----------
    ax : matplotlib Axes
    lines : sequence of Line2D
    at : int
        Which point: the last one, or another index.
    x : float
        Where the labels begin, in widths of the panel from its left side; one at the left of it ends there.
    """
    if not lines:
        return
    points = [line.get_xydata()[at] for line in lines]
    texts = [_wrapped(line.get_label()) for line in lines]
    line_height = 1.2 * LABEL["fontsize"] * ax.figure.dpi / 72 / ax.get_window_extent().height
    heights = [line_height * len(text.splitlines()) for text in texts]
    wanted = ax.transAxes.inverted().transform(ax.transData.transform(points))[:, 1]
    for line, point, text, y in zip(lines, points, texts, apart(wanted, heights), strict=True):
        lead = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6, "shrinkA": 0, "shrinkB": 1,
                "relpos": (x < 0.5, 0.5)}
        ax.annotate(text, point, (x, y), textcoords="axes fraction", color=line.get_color(), annotation_clip=False,
                    horizontalalignment="right" if x < 0.5 else "left", verticalalignment="center", **LABEL,
                    arrowprops=lead)


def _wrapped(label):
    """A label in short lines, broken behind commas only."""
    whole = label.replace(" ", "\u00a0").replace(",\u00a0", ", ")
    return textwrap.fill(whole, LABEL_WIDTH, break_long_words=False, break_on_hyphens=False)


def label_starts(ax, lines, at=5):
    """Make room at the left, and write the label of each line where it begins; on it where that lies below the picture.

    Parameters
    ----------
    ax, lines
        As for `label_ends`.
    at : int
        Which point counts as the beginning.
    """
    from matplotlib.patheffects import withStroke

    share = 0.75 * ax.figure.dpi / ax.get_window_extent().width         # of the width: 0.75 inches
    bottom, last = ax.get_ylim()[0], lines[0].get_xdata()[-1]
    ax.set(xlim=(-last * share / (1 - share), last * 1.002), xticks=range(0, int(last) + 1, 200))
    shown = [line for line in lines if line.get_ydata()[at] > bottom]
    label_ends(ax, shown, at, 0.9 * share)
    for place, line in enumerate(line for line in lines if line not in shown):
        height = bottom * 10 ** (1.5 + 1.5 * (place % 2))               # neighbours are close to each other
        point = line.get_xydata()[np.argmax(line.get_ydata() > height)]
        ax.text(*point, line.get_label(), color=line.get_color(), horizontalalignment="center", **LABEL,
                path_effects=[withStroke(linewidth=3, foreground="white")])


def apart(wanted, heights, lowest=-0.05, highest=1.05):
    """Places as near to the wanted ones as can be, so that things of these heights do not overlap.

    Parameters
    ----------
    wanted, heights : sequence of float
    lowest, highest : float
        What they keep between, if there is room.

    Returns
    -------
    ndarray
    """
    wanted, heights = np.asarray(wanted, dtype=float), np.asarray(heights, dtype=float)
    order = np.argsort(wanted, kind="stable")
    # Without the heights of those below, the places only have to be in order: what collides meets at its mean.
    middles = np.cumsum(heights[order]) - heights[order] / 2
    groups = []
    for value in wanted[order] - middles:
        groups.append([value])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    squeezed = np.concatenate([np.full(len(group), np.mean(group)) for group in groups])
    places = np.empty(len(order))
    places[order] = np.clip(squeezed, lowest, max(lowest, highest - heights.sum())) + middles
    return places
