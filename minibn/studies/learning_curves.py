"""Validation curves of training runs over the published ones: drawn, and put in a table.

Which runs a figure is drawn from, what was validated and what is comparable, its own file says.
"""

import numpy as np

from minibn.studies.drawing import COLORS, MODEL_NAMES, PUBLISHED_STYLE, colors_of, shades, title_of
from minibn.studies.runs import curves
from minibn.tables import markdown_table

__all__ = ["COLORS", "MODEL_NAMES", "lowest", "plot", "published_models", "table", "validated"]


def plot(runs, ax, measure, published, published_as="published", against="iteration", error=None):
    """Draw the runs of one panel (solid) over the published curves (dashed, as far as ours reach, if there are any).

    Of runs that differ in the seed alone the median is drawn, in a band from the lowest to the highest, or as wide as
    the `error`; its label says how many they are.

    Parameters
    ----------
    runs : list of dict
        As from `minibn.studies.runs.read_curves`, the values under the key `measure`.
    ax : matplotlib Axes
    measure : str
    published : dict
        Model -> (iteration, value); empty if there is nothing to compare with. They are called `published_as`.
    against : {"iteration", "seconds"}
        What is read from left to right; the seconds include the validations.
    error : str, optional
        The key of the values' standard errors.

    Returns
    -------
    list of Line2D
        For `minibn.studies.drawing.label_ends`, once the limits are set.
    """
    ours = curves(runs, measure)
    models = [curve.model for curve in ours]
    palettes = {model: iter(shades(color, models.count(model))) for model, color in colors_of(models).items()
                if model in models}
    lines = []
    where, off = ([curve.median for curve in curves(runs, what)] for what in (against, error or measure))
    for curve, x, half in zip(ours, where, off, strict=True):
        color = next(palettes[curve.model])
        low, high = ((curve.median - half, curve.median + half) if error else
                     (curve.values.min(axis=0), curve.values.max(axis=0)))
        if (high > low).any():
            ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        lines += ax.plot(x, curve.median, color=color, linewidth=1.8, marker="o", markersize=3.5, label=curve.label)
    last = max((x[-1] for x in where), default=np.inf)
    for model, (iteration, values) in published.items():
        shown = iteration <= last
        if not (shown & (iteration > 0)).any():
            continue        # of theirs we have the untrained network only
        lines += ax.plot(iteration[shown], values[shown], color=COLORS[model], **PUBLISHED_STYLE,
                         label=f"{title_of(model)}, {published_as}")
    ax.set(xlim=(0, ax.dataLim.x1 * 1.02), xlabel=f"training {against}")
    return lines


def table(runs, iterations, measure, published):
    """One panel as a Markdown table: our values (medians over seeds) beside the published ones, and the differences.

    The rows are those of `iterations` that a run has reached, or all validation points of runs too short for any
    of them; the other parameters are those of `plot`.
    """
    reached = validated(runs)
    iterations = sorted(set(reached) & set(iterations)) or reached
    columns = [["iteration", *(f"{i:,}" for i in iterations)]]
    for curve in curves(runs, measure):
        ours = [_at(i, curve.iteration, curve.median) for i in iterations]
        columns.append([f"{curve.label}, ours", *map(_format, ours)])
        if curve.model in published:
            theirs = [_at(i, *published[curve.model]) for i in iterations]
            column = [f"{title_of(curve.model)}, published", *map(_format, theirs)]
            columns += [column] * (column not in columns)
            columns.append(["difference", *(None if None in pair else f"{pair[0] - pair[1]:+.3f}"
                                            for pair in zip(ours, theirs, strict=True))])
    return markdown_table(zip(*columns, strict=True), "r")


def lowest(runs, measure, published):
    """The lowest value of each curve, ours and the published ones, and where it is, in words."""
    found = [(f"{curve.label}, ours", curve.iteration, curve.median) for curve in curves(runs, measure)]
    found += [(f"{title_of(model)}, published", *curve) for model, curve in published.items()]
    words = [f"{name}: {values.min():.3f} at iteration {int(iterations[values.argmin()]):,}"
             for name, iterations, values in found]
    return f"Lowest: {'; '.join(words)}."


def validated(runs):
    """The iterations at which any of the runs was validated, sorted; the untrained model's is left out."""
    return sorted({int(i) for run in runs for i in run["iteration"] if i > 0})


def published_models(series, runs):
    """Of published curves by series name, those of the models among `runs`: model -> (x, y)."""
    models = dict.fromkeys(run["model"] for run in runs)
    return {model: series[title_of(model)] for model in models if title_of(model) in series}


def _at(iteration, iterations, values):
    """The value recorded at this iteration, or None."""
    found = np.flatnonzero(np.asarray(iterations) == iteration)
    return float(values[found[0]]) if len(found) else None


def _format(value):
    return None if value is None else f"{value:.3f}"
