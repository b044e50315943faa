"""Where the boxes of a computation graph stand: rows from the first quantity to the last, and lanes for long edges.

Every quantity stands below all that it is made of. The statistics of one batch norm share a row. An edge that
passes a row goes round its right end.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """A box: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float
    row: int


def rows_of(made_of, statistics):
    """Name -> row. `statistics` are names that stand beside what they are made of, if that is one of them, too."""
    row = {}
    for name, sources in made_of.items():           # in the order of the forward pass
        row[name] = max((row[other] + (not {name, other} <= statistics) for other in sources), default=0)
    for name, sources in made_of.items():
        uses = [row[other] for other in made_of if name in made_of[other]]
        if not sources and uses:
            row[name] = min(uses) - 1               # what comes from outside stands just above its first use
    return row


def ordered(made_of, row, statistics):
    """The names of each row from left to right: above what they lead to in the next row; other names at the right.

    Statistics stay in their own order: mean, variance, and what follows from the variance.
    """
    lines = [[name for name in made_of if row[name] == k] for k in range(max(row.values()) + 1)]
    for k in range(len(lines) - 2, -1, -1):
        def place(name, below=lines[k + 1]):
            hits = [below.index(other) for other in below if name in made_of[other]]
            return sum(hits) / len(hits) if hits else len(below) + 1

        if not statistics & set(lines[k]):
            lines[k].sort(key=place)
    return lines


def place_boxes(made_of, statistics, widths, height, gap=(14, 26), margin=12):
    """Name -> Place, rows centred above each other, for boxes of these widths (by name) and of one height."""
    row = rows_of(made_of, statistics)
    lines = ordered(made_of, row, statistics)
    totals = [sum(widths[name] for name in line) + gap[0] * (len(line) - 1) for line in lines]
    middle, places = margin + max(totals) / 2, {}
    for k, (line, total) in enumerate(zip(lines, totals, strict=True)):
        x = middle - total / 2
        for name in line:
            places[name] = Place(x, margin + k * (height + gap[1]), widths[name], height, k)
            x += widths[name] + gap[0]
    return places


def route(places, source, target, lane):
    """The path of an edge, as the ``d`` of an SVG path; where it passes rows, `lane` pixels right of their boxes."""
    a, b = places[source], places[target]
    if a.row == b.row:                              # beside each other
        y = a.y + a.height / 2
        return f"M{a.x + a.width:g} {y:g}L{b.x - 3:g} {y:g}"
    start, end = (a.x + a.width / 2, a.y + a.height), (b.x + b.width / 2, b.y - 3)
    passed = [place for place in places.values() if a.row < place.row < b.row]
    stops = [start, end]
    if passed:
        x = max(place.x + place.width for place in passed) + lane
        top, bottom = min(place.y for place in passed), max(place.y + place.height for place in passed)
        stops[1:1] = [(x, top + 6), (x, bottom - 6)]
    path = f"M{start[0]:g} {start[1]:g}"
    for (x1, y1), (x2, y2) in zip(stops, stops[1:], strict=False):
        bend = (y2 - y1) / 2
        path += f"C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"
    return path
