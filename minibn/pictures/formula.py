"""The formulas of the quantities as SVG text: Greek letters, hats, sub- and superscripts, without a TeX program."""

import re
import xml.etree.ElementTree as ET

SYMBOLS = {"sigma": "σ", "gamma": "γ", "beta": "β", "epsilon": "ε", "odot": "⊙", "cdot": "·"}
ACCENTS = {"tilde": "\u0303", "hat": "\u0302", "widehat": "\u0302"}
SHIFT = {"": 0, "_": 3, "^": -5}        # of the line, downwards


def add_formula(parent, latex, size=13, **attributes):
    """Add a <text> with a formula to an SVG element. Only what the tables of quantities contain is understood."""
    text = ET.SubElement(parent, "text", {"font-size": str(size), "font-style": "italic", **attributes})
    line = 0
    for mark, piece in pieces(latex):
        small = {"font-size": str(size - 4)} if mark else {}
        ET.SubElement(text, "tspan", {"dy": str(SHIFT[mark] - line), **small}).text = piece
        line = SHIFT[mark]


def pieces(latex):
    """(mark, text) one after the other; the mark is "_" for a subscript, "^" for a superscript, else empty."""
    plain = re.sub(r"\\(?:mathrm|mathbb)\{(\w+)\}", r"\1", latex).replace(r"\,", " ")
    plain = re.sub(r"\\(tilde|hat|widehat)\{(\w)(\w*)\}", lambda m: m[2] + ACCENTS[m[1]] + m[3], plain)
    plain = re.sub(r"\\widehat\{((?:[^{}]|\{[^{}]*\})*)\}", r"normalized(\1)", plain)
    plain = re.sub(r"\\([a-zA-Z]+)", lambda m: SYMBOLS.get(m[1], m[1]), plain)
    split = re.split(r"([_^])(\{[^{}]*\}|.)", plain)
    found = [("", split[0])]
    for mark, small, rest in zip(split[1::3], split[2::3], split[3::3], strict=True):
        found += [(mark, small.strip("{}")), ("", rest)]
    return [(mark, piece) for mark, piece in found if piece]
