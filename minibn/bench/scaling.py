"""How the time of forward plus backward grows with T, with N and with H, one of them at a time."""

import statistics

import numpy as np

from minibn.bench.cells import Cell
from minibn.bench.entrants import CELLS, Entrant
from minibn.bench.timing import alternate

AXES = ("T", "N", "H")
POSITION = {"T": 0, "N": 1, "H": 3}
LABELS = {"T": "T, time steps", "N": "N, examples in the minibatch", "H": "H, hidden units"}
STRAIGHT = ("T", "N")       # the time should be a straight line in these


def scaling_entrants(cells, engine):
    """One entrant for each cell; it measures at any shape."""
    return [Entrant(f"{CELLS[cell]}, {engine}", "scaling", cell, engine) for cell in cells]


class CellAtAnyShape:
    """Makes a cell for the shape it is asked for, and throws it away afterwards: only one needs memory at a time."""

    def __init__(self, entrant, setting):
        self.entrant, self.setting = entrant, setting

    def measure_at(self, shape, repeats):
        """Seconds of forward and backward, after one that is not counted."""
        cell = Cell(self.entrant, self.setting._replace(shape=shape))
        cell.run_layer()
        runs = [cell.run_layer() for _ in range(repeats)]
        return {part: sum(run[part] for run in runs) / repeats for part in runs[0]}


class _At:
    """A worker at one shape, which takes its turn like any other."""

    def __init__(self, worker, shape):
        self.worker, self.shape = worker, shape

    def measure(self, repeats):
        return self.worker.ask("measure_at", self.shape, repeats)


def measure_scaling(workers, base, sizes, rounds, say=None):
    """Measure along each axis from one shape.

    Parameters
    ----------
    workers : dict of str to worker
        Built from `scaling_entrants`.
    base : (T, N, D, H)
    sizes : dict
        Axis (T, N, H) -> increasing sizes.
    rounds : int

    Returns
    -------
    dict
        "base"; axis -> {"sizes", "seconds": {name: medians}, "power": {name: p}, "line": {name: deviation}}: the
        time grows like size ** p; for T and N, "line" is how far the points lie from the best straight line at
        most, relative to the points. Plus "failures".
    """
    points = {}
    for axis in AXES:
        for size in sizes[axis]:
            shape = list(base)
            shape[POSITION[axis]] = size
            points[axis, size] = tuple(shape)
    # Points of different axes may be the same shape; it is measured once.
    turns = {(name, shape): _At(worker, shape)
             for shape in dict.fromkeys(points.values()) for name, worker in workers.items()}
    times, failures = alternate(turns, rounds, say=say)
    lost = {name: reason for (name, _), reason in failures.items()}
    found = {"base": list(base), "failures": lost}
    for axis in AXES:
        seconds = {name: [statistics.median(times[name, points[axis, size]]["total"]) for size in sizes[axis]]
                   for name in workers if name not in lost}
        found[axis] = {
            "sizes": list(sizes[axis]),
            "seconds": seconds,
            "power": {name: power(sizes[axis], values) for name, values in seconds.items()},
            "line": {name: line_deviation(sizes[axis], values) for name, values in seconds.items()}
            if axis in STRAIGHT else {},
        }
    return found


def power(sizes, seconds):
    """p of the best fit seconds ~ sizes ** p."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def line_deviation(sizes, seconds):
    """The largest |line - seconds| / seconds of the straight line that fits best in these relative terms."""
    sizes, seconds = np.asarray(sizes, float), np.asarray(seconds, float)
    line = np.polyval(np.polyfit(sizes, seconds, 1, w=1 / seconds), sizes)
    return float(np.max(np.abs(line - seconds) / seconds))


def plot_axis(found, axis, ax):
    """Draw one panel: time against size, both logarithmic, and the slope of a time proportional to the size."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    data = found[axis]
    sizes = data["sizes"]
    curves = {name: [1e3 * value for value in seconds] for name, seconds in data["seconds"].items()}
    for name, values in curves.items():
        ax.loglog(sizes, values, marker="o", label=name)
    if curves:
        slope = 0.6 * min(value / size for values in curves.values() for size, value in zip(sizes, values, strict=True))
        ax.loglog(sizes, [slope * size for size in sizes], color="0.5", linestyle=":", label="proportional")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.minorticks_off()
    ax.set_xlabel(LABELS[axis])
    ax.set_ylabel("forward + backward, milliseconds")
    ax.set_title(", ".join(f"{name} = {size}" for name, size in zip("TNDH", found["base"], strict=True)
                           if name != axis))
    if axis == AXES[0]:
        ax.set_ylim(top=5 * ax.get_ylim()[1])            # room for the legend, which serves all panels
        ax.legend(loc="upper left")
