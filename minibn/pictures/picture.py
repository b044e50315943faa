"""What a picture declares: the form of `PICTURE` in a picture's file, and how it becomes files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minibn.pictures.movement import write_gif, write_slider
from minibn.studies.output import save_figure

__all__ = ["Movement", "Picture", "stills", "write"]

DPI = 110               # of a still


class Movement(NamedTuple):
    """A picture in which time or a parameter moves.

    In each panel ``backdrop(ax)`` draws what stays, ``frame(ax, k)`` what belongs to frame k: it returns the artists.
    """

    labels: list        # one for each frame: "γ = 0.10"
    panels: list        # of (backdrop, frame)
    still: int          # the frame that is shown where nothing moves

    def draw(self, ax, panel, k=None):
        """Frame k of a panel, by default the still one."""
        backdrop, frame = self.panels[panel]
        backdrop(ax)
        return frame(ax, self.still if k is None else k)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: what is computed for it, and how it is drawn."""

    name: str                           # of its files
    title: str                          # the claim in a few words, written over the picture
    claim: str                          # the same as a whole sentence, with where it comes from
    notebook: str                       # where it stands
    compute: Callable                   # compute() -> numbers: a dict or a named tuple of arrays
    panels: Callable | None = None      # panels(numbers) -> list of draw(ax), one for each panel
    movement: Callable | None = None    # movement(numbers) -> Movement
    svg: Callable | None = None         # svg(numbers) -> text of an SVG file, where matplotlib does not draw
    size: tuple = (7.0, 4.0)            # inches of a panel
    columns: int | None = None          # panels in a row; None: all of them
    widths: tuple | None = None         # of the columns, relative to each other

    @property
    def files(self):
        """The names of its files."""
        if self.svg:
            return [f"{self.name}.svg"]
        return [f"{self.name}.png", *(f"{self.name}{end}" for end in (".gif", "_slider.svg") if self.movement)]


def write(picture, folder, numbers=None):
    """Compute a picture and write its files: a still; a GIF and an SVG with a slider where it moves.

    Parameters
    ----------
    picture : Picture
    folder : str or Path
        It is made where it does not exist.
    numbers : optional
        What ``picture.compute()`` returned.

    Returns
    -------
    list of Path
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = picture.compute() if numbers is None else numbers
    paths = [folder / name for name in picture.files]
    if picture.svg:
        paths[0].write_text(picture.svg(numbers), encoding="utf-8")
        return paths
    layout = {"size": picture.size, "columns": picture.columns, "widths": picture.widths, "title": picture.title}
    save_figure(paths[0], *picture.panels(numbers), dpi=DPI, **layout)
    if picture.movement:
        movement = picture.movement(numbers)
        write_gif(paths[1], movement, **layout)
        write_slider(paths[2], movement, **layout)
    return paths


def stills(movement):
    """The still frame of a movement, as panels."""
    return [partial(movement.draw, panel=panel) for panel in range(len(movement.panels))]
