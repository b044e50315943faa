"""What a figure declares, so that `minibn reproduce` can make it: the form of `FIGURE` in a figure's file."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

__all__ = ["OPTIONS", "Figure", "figure_of_runs"]

OPTIONS = {"runs": (), "seed": 1, "seeds": 1}
"""What a figure may take, and what it is when nobody says: folders of runs, a seed, a number of seeds."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure: what is computed for it, told and drawn."""

    name: str                   # as `minibn reproduce` calls it
    help: str                   # what it shows, in a few words
    takes: dict                 # name of an option in `OPTIONS` -> what it is to this figure
    compute: Callable           # compute(**options it takes) -> numbers that JSON can hold, arrays too
    table: Callable             # table(numbers) -> text, in Markdown
    panels: Callable            # panels(numbers) -> list of draw(ax), one for each panel; none: no picture
    size: tuple = (8.0, 4.4)    # inches of a panel
    columns: int = 1            # panels in a row
    alone: bool = False         # whether there is something to show without runs, if it takes runs


def figure_of_runs(*, panels, plot, table, **declared):
    """A `Figure` with a panel for each group of runs that can be compared.

    Parameters
    ----------
    panels : callable
        Of the numbers, gives title -> runs.
    plot, table : callable
        Of such runs: ``plot(runs, ax, title)``, ``table(runs)``.
    **declared
        The rest of the `Figure`.
    """
    return Figure(
        table=lambda numbers: "\n\n".join(f"{title}\n\n{table(runs)}" for title, runs in panels(numbers).items()),
        panels=lambda numbers: [partial(plot, runs, title=title) for title, runs in panels(numbers).items()],
        **declared,
    )
