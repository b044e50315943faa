"""Pictures to look at: eight claims about recurrent batch norm, each computed in seconds and drawn from its numbers.

    numbers = mixing.compute()
    mixing.plot(numbers, ax)
    write(mixing.PICTURE, "folder")         # a still; where time or gamma moves, a GIF and an SVG with a slider

Every picture is one file, which declares itself in an object `PICTURE`. ``python -m minibn.pictures FOLDER`` writes
all of them.
"""

from minibn.pictures import gradient_by_gamma, graph, jacobian, mixing, population, projection, ridge, saturation
from minibn.pictures.picture import Picture, write

__all__ = ["PICTURES", "Picture", "captions", "gradient_by_gamma", "graph", "jacobian", "mixing", "population",
           "projection", "ridge", "saturation", "write"]

PICTURES = {module.PICTURE.name: module.PICTURE for module in (
    gradient_by_gamma, mixing, jacobian, ridge, saturation, projection, graph, population)}


def captions(folder):
    """Name of a file -> its title, its claim, the command that writes it into `folder`, and where it is explained."""
    return {name: {"title": picture.title, "claim": picture.claim, "notebook": picture.notebook,
                   "command": f"python -m minibn.pictures {folder} {picture.name}"}
            for picture in PICTURES.values() for name in picture.files}
