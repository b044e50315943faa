"""The paper's published curves and tables as numbers.

They lie in the folder `reference/`, whose README says how they were read.
"""

import csv
from importlib import resources

import numpy as np


def published_curves(figure):
    """All series of one published figure.

    Parameters
    ----------
    figure : str
        Name of a curve file without its ending, for example ``"figure_1a"`` or ``"figure_2_pmnist"``.

    Returns
    -------
    dict of str to (x, y)
        By series name, in the file's order; x and y are float64 ndarrays of one length, sorted by x.

    Raises
    ------
    ValueError
        There is no such file; the message lists what there is.
    """
    points = {}
    for row in _rows(figure):
        points.setdefault(row["series"], []).append((float(row["x"]), float(row["y"])))
    return {series: tuple(np.array(pairs).T) for series, pairs in points.items()}


def published_curve(figure, series):
    """The points (x, y) of one series of `figure`; the error names the series that exist."""
    curves = published_curves(figure)
    if series not in curves:
        raise ValueError(f"series: expected one of {', '.join(map(repr, curves))}, got {series!r}")
    return curves[series]


def published_table(table):
    """The rows of Table `table` ("1" to "4") as dicts: task, model, metric, value (float), source."""
    rows = [{**row, "value": float(row["value"])} for row in _rows("tables") if row["table"] == str(table)]
    if not rows:
        raise ValueError(f"table: expected one of '1', '2', '3', '4', 'text', got {table!r}")
    return rows


def _rows(name):
    folder = resources.files(__package__) / "reference"
    names = sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".csv"))
    if name not in names:
        raise ValueError(f"figure: expected one of {', '.join(names)}, got {name!r}")
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
