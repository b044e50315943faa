"""Picture 7: the computation graph of one BN-LSTM step, with the value and the gradient of every quantity in its box.

The quantities are those of the cell's own table, the edges are read from its source (`minibn.pictures.made_of`), the
numbers come from a trace. An SVG file without a script: where one points at a box, its formula and its numbers appear.
"""

import xml.etree.ElementTree as ET

import numpy as np

from minibn.layers import BNLSTM
from minibn.pictures.formula import add_formula
from minibn.pictures.layers_of_graph import place_boxes, route
from minibn.pictures.made_of import made_of
from minibn.pictures.picture import Picture
from minibn.tracing import trace
from minibn.tracing.html import BLUE, ORANGE, short

T, N, D, H = 3, 3, 2, 2
AT = 1                  # the step that is drawn
SEED = 0
CELL = 11               # pixels of a number in a heat map
NUMBER = 44             # pixels of a written number
HEIGHT = 20 + N * CELL + 16
ASIDE = 8 * NUMBER + 24     # the column in which the numbers appear
EXPLAINED = 228             # so far down it explains the picture
STYLE = """
text{font-family:sans-serif;fill:#111}
.edge{fill:none;stroke:#999;stroke-width:1.2;marker-end:url(#head)}
.box{fill:#fff;stroke:#555}
.small{font-size:9px;fill:#444}
.number{font-size:10px;font-family:monospace;text-anchor:end}
.info{visibility:hidden;pointer-events:none}
.node:is(:hover,:focus) .info{visibility:visible}
.node:is(:hover,:focus) .edge{stroke:#111;stroke-width:2.4}
.node:is(:hover,:focus) .box{fill:#fff6d8;stroke:#111}
"""


def compute(seed=SEED, at=AT):
    """One step of a BN-LSTM with random parameters, traced.

    Parameters
    ----------
    seed, at : int

    Returns
    -------
    dict
        "title": of the cell; "step": the `minibn.tracing.Step`, whose quantities have value and gradient, (N, G) or
        (1, G); "made_of": name of a quantity of the cell -> names of those that it is computed from.
    """
    rng = np.random.default_rng(seed)
    cell = BNLSTM(D, H, gamma=0.8, rng=rng)
    for value in cell.params.values():
        value += 0.4 * rng.normal(size=value.shape)
    x, dh = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))
    return {"title": cell.declaration.title, "step": trace(cell, x, dh).at(at), "made_of": made_of(cell.declaration)}


def svg(numbers):
    """The text of the SVG file."""
    step, edges = numbers["step"], numbers["made_of"]
    statistics = {name for name in edges if step[name].axes.startswith("1 ")}
    widths = {name: max(92, 2 * step[name].shape[1] * CELL + 34) for name in edges}
    places = place_boxes(edges, statistics, widths, HEIGHT)
    right = max(place.x + place.width for place in places.values()) + 34
    bottom = max(place.y + place.height for place in places.values()) + 12
    root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {right + ASIDE:g} {bottom:g}",
                              "class": "bn-graph", "width": "100%",
                              "style": f"max-width:{right + ASIDE:g}px;background:white"})
    ET.SubElement(root, "title").text = f"{numbers['title']}, step {step.t}: every quantity, its value and its gradient"
    ET.SubElement(root, "style").text = "".join(f".bn-graph {rule}\n" for rule in STYLE.split("\n") if rule)
    marker = ET.SubElement(root, "marker", id="head", viewBox="0 0 6 6", refX="5", refY="3", orient="auto",
                           markerUnits="userSpaceOnUse", markerWidth="8", markerHeight="8")
    ET.SubElement(marker, "path", d="M0 0L6 3L0 6z", fill="#777")
    _explain(root, numbers, right)
    for lane, (name, sources) in enumerate(edges.items()):
        node = ET.SubElement(root, "g", {"class": "node", "tabindex": "0"})
        for source in sources:
            ET.SubElement(node, "path", {"class": "edge", "d": route(places, source, name, 10 + 10 * (lane % 3))})
        _box(node, step[name], places[name])
        _aside(node, step[name], right, min(max(places[name].y, EXPLAINED), bottom - 200))
    return ET.tostring(root, encoding="unicode")


def _explain(root, numbers, x):
    step = numbers["step"]
    lines = (f"{numbers['title']}, one step (t = {step.t} of 0 … {step.T - 1}), {step.N} examples.", "",
             "In each box: left the value, right the gradient", "of the loss; a row for each example. Orange is",
             "positive; blue, with a bar, is negative; a full", "colour is the number below.", "",
             "Values flow down along the arrows, gradients", "flow up. Where several arrows leave a box, the",
             "gradients that come back are added up; to those", "of h and c the next step adds its own.", "",
             "Point at a box to see its formula and its numbers.")
    for place, words in enumerate(lines):
        ET.SubElement(root, "text", {"x": f"{x:g}", "y": f"{24 + 16 * place}", "font-size": "12"}).text = words


def _box(node, quantity, place):
    """The name, the equation, and two heat maps."""
    x, y, width, height, _ = place
    ET.SubElement(node, "rect", {"class": "box", "x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}",
                                 "height": f"{height:g}", "rx": "4"})
    ET.SubElement(node, "text", {"x": f"{x + 6:g}", "y": f"{y + 14:g}", "font-size": "11",
                                 "font-weight": "bold"}).text = quantity.name
    ET.SubElement(node, "text", {"class": "small", "x": f"{x + width - 5:g}", "y": f"{y + 13:g}",
                                 "text-anchor": "end"}).text = f"({quantity.equation})"
    for values, left in ((quantity.value, x + 6), (quantity.gradient, x + width / 2 + 4)):
        largest = np.abs(values).max() or 1.0
        for n, row in enumerate(values):
            for j, value in enumerate(row):
                _number(node, left + j * CELL, y + 20 + n * CELL, value / largest)
        ET.SubElement(node, "text", {"class": "small", "x": f"{left:g}", "y": f"{y + height - 5:g}"}).text = (
            f"± {short(largest)}")


def _number(node, x, y, share):
    """A number as a small square; what is negative has a bar, for those who see no colours."""
    ET.SubElement(node, "rect", {"x": f"{x:g}", "y": f"{y:g}", "width": str(CELL - 1), "height": str(CELL - 1),
                                 "fill": f"rgb({ORANGE if share > 0 else BLUE})",
                                 "fill-opacity": f"{0.08 + 0.92 * abs(share):.2f}"})
    if share < 0:
        ET.SubElement(node, "path", {"d": f"M{x + 2.5:g} {y + CELL / 2 - 0.5:g}h{CELL - 6}", "stroke": "#123"})


def _aside(node, quantity, x, y):
    """What appears at the right: formula, equation, shape, and all numbers."""
    info = ET.SubElement(node, "g", {"class": "info"})
    ET.SubElement(info, "rect", {"x": f"{x - 8:g}", "y": f"{y:g}", "width": f"{ASIDE:g}", "height": "196",
                                 "fill": "#fffdf4", "stroke": "#555", "rx": "4"})
    add_formula(info, quantity.latex, x=f"{x:g}", y=f"{y + 22:g}")
    axes = " × ".join(quantity.axes.split())
    ET.SubElement(info, "text", {"x": f"{x:g}", "y": f"{y + 42:g}", "font-size": "11"}).text = (
        f"{quantity.name}, Eq. ({quantity.equation}), {axes} = {' × '.join(map(str, quantity.shape))}")
    for words, values, top in (("value", quantity.value, y + 64), ("gradient of the loss", quantity.gradient, y + 130)):
        ET.SubElement(info, "text", {"x": f"{x:g}", "y": f"{top:g}", "font-size": "11",
                                     "font-weight": "bold"}).text = words
        for n, row in enumerate(values):
            for j, value in enumerate(row):
                ET.SubElement(info, "text", {"class": "number", "x": f"{x + (j + 1) * NUMBER:g}",
                                             "y": f"{top + 15 + 14 * n:g}"}).text = short(value)


PICTURE = Picture(
    name="graph", title="One step of the BN-LSTM: every quantity, its value and its gradient",
    claim="The computation graph of one BN-LSTM step: values flow down, gradients flow up, and those of mean and "
          "variance connect the examples of the batch (Eqs. 5-8).",
    notebook="04_bn_lstm.ipynb", compute=compute, svg=svg,
)  # fmt: skip
