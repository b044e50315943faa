"""The registry of the figures, and how `minibn reproduce` makes one of them.

A new figure is a file here that declares `FIGURE`, and its name in `FILES`.
"""

import json
from importlib import import_module
from pathlib import Path

from minibn.errors import check_choice, check_integer
from minibn.studies.figure import OPTIONS
from minibn.studies.output import plain, save_figure, write_numbers
from minibn.sweeps import run_folders

__all__ = ["FIGURES", "reproduce"]

FILES = ("figure1a", "figure1a_lstm", "figure1b", "figure2", "figure3a", "figure3b", "figure4a", "figure4b", "figure5",
         "figure6", "readings", "table4")
FIGURES = {figure.name: figure for figure in (import_module(f"minibn.studies.{file}").FIGURE for file in FILES)}


def reproduce(name, output="runs/figures", runs=(), seed=1, seeds=1, numbers=None):
    """Compute a figure or table of the paper, and write ``name.png``, its table ``name.md`` and its ``name.json``.

    Parameters
    ----------
    name : str
        One of `FIGURES`.
    output : path-like
        Folder to write to; made where it is missing. Files of these names in it are replaced.
    runs : sequence of path-like
        The folders of the training runs to draw; that of a sweep stands for all of its runs.
    seed, seeds : int
        The (first) seed of whatever the figure draws at random, and how many of them.
    numbers : path-like, optional
        A ``name.json`` of before: it is drawn again, and nothing is computed.

    Returns
    -------
    str
        What was found, and where the files are.

    Raises
    ------
    ValueError
        Unknown name; an option that this figure does not take; a figure of runs without runs.
    """
    check_choice("name", name, FIGURES)
    figure = FIGURES[name]
    options = {"runs": tuple(runs), "seed": check_integer("seed", seed),
               "seeds": check_integer("seeds", seeds, at_least=1)}
    for option, value in options.items():
        if value != OPTIONS[option] and (numbers is not None or option not in figure.takes):
            takers = ", ".join(other.name for other in FIGURES.values() if option in other.takes)
            what = "a figure from saved numbers" if numbers is not None else name
            raise ValueError(f"{option}: {what} does not take it, got {value}; leave it out (it is for {takers})")
    if numbers is not None:
        found = _saved(numbers)
    elif "runs" in figure.takes and not runs and not figure.alone:
        raise ValueError(f"runs: {name} is drawn from training runs, got none; name their folders")
    else:
        options["runs"] = tuple(run_folders(runs))
        found = plain(figure.compute(**{option: options[option] for option in figure.takes}))
    text, panels = figure.table(found), figure.panels(found)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    files = [output / f"{name}.{ending}" for ending in ("png", "md", "json")]
    if panels:
        save_figure(files[0], *panels, size=figure.size, columns=figure.columns)
    files[1].write_text(text + "\n", encoding="utf-8")
    write_numbers(files[2], found)
    return "\n".join([text, "", *map(str, files if panels else files[1:])])


def _saved(path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"numbers: expected a JSON file that reproduce wrote, got {path} ({error})") from None
