"""How the time of forward plus backward grows with T, with N and with H, one of them at a time."""

import statistics
from functools import partial

import numpy as np

from minibn.bench.timing import alternate

AXES = {"T": "T, time steps", "N": "N, examples in the minibatch", "H": "H, hidden units"}
STRAIGHT = ("T", "N")       # the time should be a straight line in these


def measure_scaling(workers, base, sizes, rounds, say=None):
    """Measure along each axis from one shape.

    Parameters
    ----------
    workers : dict of str to worker
        Of `minibn.bench.entrants.scaling_entrants`.
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
    def shape(axis, size):
        return tuple(size if name == axis else given for name, given in zip("TNDH", base, strict=True))

    # Points of different axes may be the same shape; it is measured once.
    shapes = dict.fromkeys(shape(axis, size) for axis in AXES for size in sizes[axis])
    turns = {(name, point): partial(worker.ask, "measure_at", point)
             for point in shapes for name, worker in workers.items()}
    times, failures = alternate(turns, rounds, say=say)
    lost = {name: reason for (name, _), reason in failures.items()}
    found = {"base": list(base), "failures": lost}
    for axis in AXES:
        seconds = {name: [statistics.median(times[name, shape(axis, size)]["total"]) for size in sizes[axis]]
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
    ax.set_xlabel(AXES[axis])
    ax.set_ylabel("forward + backward, milliseconds")
    ax.set_title(", ".join(f"{name} = {size}" for name, size in zip("TNDH", found["base"], strict=True)
                           if name != axis))
    if axis == next(iter(AXES)):
        ax.set_ylim(top=5 * ax.get_ylim()[1])            # room for the legend, which serves all panels
        ax.legend(loc="upper left")
