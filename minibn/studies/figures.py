"""The figures that `reproduce` makes: of each, what is computed, told and drawn, and which options it takes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minibn.errors import check_integer
from minibn.studies import figure1a, figure1a_seeds, figure1b, figure2, figure3a, figure3b, figure5
from minibn.studies.output import save_figure, write_numbers

__all__ = ["FIGURES", "Figure", "reproduce"]


class Figure(NamedTuple):
    """How one figure is made.

    Attributes
    ----------
    compute : callable
        Of the options it takes, by name, gives the numbers.
    tell : callable
        Of the numbers, gives a text.
    panels : callable
        Of the numbers, gives functions that draw one panel each: ``draw(ax)``.
    takes : tuple of str
        Which of "runs", "seed" and "seeds"; a figure of runs is told in Markdown, and that becomes a file too.
    layout : dict
        Of the picture, see `minibn.studies.output.save_figure`.
    """

    compute: Callable
    tell: Callable
    panels: Callable
    takes: tuple
    layout: dict = {}


def _compute_figure1a(seed, seeds):
    if seeds > 1:
        return figure1a_seeds.compute(_range(seed, seeds))
    return figure1a.compute(*figure1a.image_batch(seed), seed=seed)


def _module_of_figure1a(numbers):
    return figure1a_seeds if "seed" in numbers else figure1a


def _range(seed, seeds):
    return range(seed, seed + seeds)


def _from_runs(module):
    """A figure with a panel for each group of comparable runs."""

    def tell(numbers):
        panels = module.panels(numbers)
        return "\n\n".join(f"{title}\n\n{module.table(runs)}" for title, runs in panels.items())

    def draw(numbers):
        return [partial(module.plot, runs, title=title) for title, runs in module.panels(numbers).items()]

    return Figure(lambda runs: module.compute(runs), tell, draw, takes=("runs",))


FIGURES = {
    "figure1a": Figure(
        _compute_figure1a,
        lambda numbers: _module_of_figure1a(numbers).table(numbers),
        lambda numbers: [partial(_module_of_figure1a(numbers).plot, numbers)],
        takes=("seed", "seeds"),
        layout={"size": figure1a.SIZE},
    ),
    "figure1a_lstm": Figure(
        lambda seed, seeds: figure1a_seeds.compute_lstm(_range(seed, seeds)),
        figure1a_seeds.table_lstm,
        lambda numbers: [partial(figure1a_seeds.plot_lstm, numbers, state=state) for state in "hc"],
        takes=("seed", "seeds"),
    ),
    "figure1b": Figure(
        lambda seed: figure1b.compute(seed=seed),
        figure1b.table,
        lambda numbers: [partial(figure1b.plot, numbers)],
        takes=("seed",),
    ),
    "figure2": _from_runs(figure2),
    "figure3a": _from_runs(figure3a),
    "figure3b": _from_runs(figure3b),
    "figure5": Figure(
        lambda runs, seed: figure5.compute(runs, seed=seed),
        figure5.table,
        lambda numbers: [partial(figure5.plot, numbers, panel=panel) for panel in figure5.PANELS],
        takes=("runs", "seed"),
        layout={"size": figure5.SIZE, "columns": 2},
    ),
}


def reproduce(name, output="runs/figures", runs=(), seed=1, seeds=1):
    """Compute one figure of the paper, and write ``name.png`` and ``name.json`` (of runs ``name.md`` too).

    ``figure1a_lstm`` is Figure 1(a) for the LSTM and the BN-LSTM, which the paper does not show.

    Parameters
    ----------
    name : {"figure1a", "figure1a_lstm", "figure1b", "figure2", "figure3a", "figure3b", "figure5"}
    output : path-like
        Folder to write to; made where it is missing. Files of these names in it are replaced.
    runs : sequence of path-like
        Figures 2, 3(a), 3(b) and 5 only: the folders of the training runs to draw. Those of Figure 3 are runs on
        text, that of Figure 5 is one of a BN-LSTM on text.
    seed : int
        Figures 1(a), 1(b) and 5: of the weights, the order of the pixels and the batch; of the samples; of the
        choice of units.
    seeds : int
        Figure 1(a): how many seeds, from ``seed`` on; with more than one, medians and spread are drawn.

    Returns
    -------
    str
        What was found, and where the files are.

    Raises
    ------
    ValueError
        Unknown name; a figure of runs without runs, or runs with another figure; seeds with others than 1(a).
    """
    if name not in FIGURES:
        raise ValueError(f"name: expected one of {', '.join(FIGURES)}, got {name!r}")
    figure = FIGURES[name]
    if ("runs" in figure.takes) != bool(runs):
        raise ValueError(f"runs: {_those_with('runs')}, and no other figure, are drawn from training runs; "
                         "name their folders")
    seed, seeds = check_integer("seed", seed), check_integer("seeds", seeds)
    if seeds < 1 or (seeds > 1 and "seeds" not in figure.takes):
        raise ValueError(f"seeds: expected 1, or more for {_those_with('seeds')}, got {seeds} for {name}")
    options = {"runs": runs, "seed": seed, "seeds": seeds}
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    picture, numbers_file = output / f"{name}.png", output / f"{name}.json"
    numbers = figure.compute(**{option: options[option] for option in figure.takes})
    text = figure.tell(numbers)
    if "runs" in figure.takes:
        (output / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    save_figure(picture, *figure.panels(numbers), **figure.layout)
    write_numbers(numbers_file, numbers)
    return f"{text}\n\n{picture}\n{numbers_file}"


def _those_with(option):
    """The names of the figures that take an option, as a sentence has them."""
    *names, last = [name for name, figure in FIGURES.items() if option in figure.takes]
    return f"{', '.join(names)} and {last}"
