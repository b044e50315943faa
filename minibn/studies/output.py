"""How a study's picture and numbers become files: PNG and JSON. matplotlib is imported on use."""

import json
from pathlib import Path

import numpy as np

STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "minibn",           # the same picture is the same file
}


def save_figure(path, *plots, size=(7.0, 4.4), columns=None, widths=None, title=None, **options):
    """Draw one picture and write it as a file, PNG if nothing else is said.

    Parameters
    ----------
    path : str, Path or binary file
        File to write; its folder must exist.
    *plots : callable
        Each draws one panel: ``plot(ax)``.
    size : (float, float)
        Inches of one panel.
    columns : int, optional
        Panels in a row. None is all of them; else it must divide their number.
    widths : sequence of float, optional
        Of the columns, relative to each other. None is all the same.
    title : str, optional
        Over all panels.
    **options
        Of matplotlib's ``savefig``: ``format``, ``dpi``.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()           # the reader's own settings stay out of our pictures
        matplotlib.rcParams.update(STYLE)
        # Figure, not pyplot: no window, no global list of figures, whatever backend the reader has chosen.
        columns = columns or len(plots)
        rows = len(plots) // columns
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths)
        for plot, ax in zip(plots, axes.flat, strict=True):
            plot(ax)
        if title:
            figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize=12)
        figure.savefig(path, **{"format": "png", **options})


def write_numbers(path, numbers):
    """Write a dict (or a list of dicts) of arrays and scalars as JSON, floats with six significant digits.

    ``json.loads`` reads it back; the plot functions take lists as well as arrays.
    """
    numbers = plain(numbers)
    # One line per entry: readable, and a change shows as the lines that changed.
    if isinstance(numbers, dict):
        lines = [f"{json.dumps(key)}: {_dumps(value)}" for key, value in numbers.items()]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
    else:
        text = "[\n" + ",\n".join(map(_dumps, numbers)) + "\n]\n"
    Path(path).write_text(text, encoding="utf-8")


def _dumps(value):
    return json.dumps(value, allow_nan=False)


def plain(value):
    """The value as JSON holds it: lists and floats with six significant digits."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
