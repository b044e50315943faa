"""One time step as HTML: formulas for MathJax, values and gradients as small tables of numbers, coloured.

Self-contained: no script, no picture file. A cell shows its number with two digits (three where one points at it);
its colour says the sign, how strong it is the size. Where a page takes the style sheet away, as
JupyterLab does with a notebook that the reader has not run yet, the heat maps are black on white, by old-fashioned
attributes; the style sheet makes their colours transparent, to suit light and dark pages.
"""

import re
from html import escape

import numpy as np

ROWS, COLUMNS = 6, 8
"""At most so many examples and features of a quantity are drawn."""
SHADES = (0.10, 0.25, 0.45, 0.70, 1.0)
ORANGE, BLUE = "240,150,40", "80,165,245"               # apart for every kind of colour vision
POSITIVE = ("#fed", "#fdb", "#fc8", "#fb5", "#f92")     # orange on white, in the shades above
NEGATIVE = ("#eff", "#cef", "#adf", "#7bf", "#4af")
STYLE = "".join([
    "<style>",
    ".mbn{overflow-x:auto;font:14px/1.4 sans-serif}",
    ".mbn .h{margin:4px 0 8px}",
    ".mbn .h b{font-size:17px}",
    ".mbn table,.mbn tr,.mbn td,.mbn th{border:0;padding:0;margin:0;background:none;border-collapse:collapse;",
    "font-size:14px;white-space:nowrap;vertical-align:middle;text-align:left!important}",
    ".mbn table.q>tbody>tr>*{padding:4px 18px 4px 4px;border-bottom:1px solid rgba(128,128,128,.3)}",
    ".mbn code{background:none;padding:0;font-size:13px}",
    ".mbn table.m{width:auto;table-layout:auto;outline:1px solid rgba(128,128,128,.5);color:inherit!important}",
    ".mbn table.m td.e{display:none}",
    ".mbn table.m td{min-width:38px;padding:0 3px;cursor:default;font:12px/18px monospace;text-align:right!important}",
    ".mbn table.m th{font:11px/14px monospace;opacity:.75;text-align:center!important}",
    ".mbn table.m .b{border-left:2px solid rgba(128,128,128,.9)}",
    ".mbn table.m tr.d td{background-image:repeating-linear-gradient(45deg,rgba(128,128,128,.6) 0 1px,",
    "transparent 1px 5px)}",
    ".mbn table.m td.x{outline:2px solid #d22;outline-offset:-2px}",
    ".mbn.w table.q>tbody>tr>:last-child{opacity:.15}",
    ".mbn small{display:block;opacity:.75;font-size:12px}",
    *(f".mbn table.m td[bgcolor='{colour}']{{background-color:rgba({rgb},{shade})"
      f"{';color:#000' if shade > 0.5 else ''}}}" for rgb, colours in ((ORANGE, POSITIVE), (BLUE, NEGATIVE))
      for colour, shade in zip(colours, SHADES, strict=True)),
    "</style>",
])


def step_html(step, dimmed=False):
    """The table of one `minibn.tracing.step.Step`; `dimmed`: its gradients are pale."""
    rows = "".join(_row(step, quantity) for quantity in step)
    return (f"{STYLE}<div class=\"mbn{' w' * dimmed}\"><div class=h>{_head(step)}</div><table class=q><tbody>"
            f"<tr><th>formula<th>in the code<th>Eq.<th>shape<th>value<th>gradient of the loss{rows}</table></div>")


def _head(step):
    padded = f", {step.padded} padded (hatched)" if step.padded else ""
    return (f"<b>{escape(step.title)}, step <i>t</i> = {step.t}</b> of 0 … {step.T - 1}<br>{step.N} examples are the "
            f"rows{padded}. Orange is positive, blue negative, stronger is larger, up to the ± beside each table.")


def _row(step, quantity):
    gradient = "none: integers" if quantity.gradient is None else heat_map(quantity.gradient, step.live, quantity.gates)
    return (f"<tr><td>${escape(quantity.latex)}$<td><code>{escape(quantity.name)}</code>"
            f"<td>{f'({escape(quantity.equation)})' if quantity.equation else ''}"
            f"<td>{escape(' × '.join(map(str, quantity.shape)))}"
            f"<td style=text-align:left>{heat_map(quantity.value, step.live, quantity.gates)}"
            f"<td style=text-align:left>{gradient}")


def heat_map(values, live=None, gates=""):
    """A table of signs and shades for an array (N,), (N, G) or (1, G).

    Padded examples, those not ``live``, are hatched. ``gates`` are the letters of the blocks that the features are
    in, such as fiog.
    """
    values, columns, padded = cut(values, live, gates)
    shown = values[:ROWS, columns]
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    width = len(columns) // max(len(gates), 1)
    edges = [bool(gates) and j % width == 0 and j > 0 for j in range(len(columns))]
    head = "".join(f"<th bgcolor=#fff{' class=b' if k else ''} colspan={width}>{gate}" for k, gate in enumerate(gates))
    body = [f"<tr>{head}"] if gates else []
    for n, row in enumerate(shown):
        cells = "".join(_cell(value, largest, n, k, edge) for k, value, edge in zip(columns, row, edges, strict=True))
        body.append(f"<tr class=d>{cells}<td class=e>/" if padded[n] else f"<tr>{cells}")
    left_out = "" if shown.shape == values.shape else f", {shown.shape[0]} × {shown.shape[1]} shown"
    return (f'<table class=m style="display:inline-table;margin:0;color:#000">{"".join(body)}'
            f"</table><small>± {largest:.3g}{left_out}</small>")


def cut(values, live, gates):
    """The array with two axes, which features are drawn (of each gate the same number), which rows are padded."""
    values = values[:, None] if values.ndim == 1 else values
    padded = np.zeros(len(values), bool) if live is None or len(values) == 1 else ~live
    blocks = len(gates) or 1
    width = values.shape[1] // blocks
    columns = [k * width + j for k in range(blocks) for j in range(min(width, COLUMNS // blocks))]
    return values, columns, padded


def _cell(value, largest, n, k, edge):
    mark, colour, names = short(value), "#fff", ["b"] * edge
    if not np.isfinite(value):
        names.append("x")
    elif value:
        # Divided first: five times 1e308 is more than a float holds.
        level = min(len(SHADES) - 1, int(abs(float(value)) / largest * len(SHADES)))
        colour = (POSITIVE if value > 0 else NEGATIVE)[level]
    classes = f" class='{' '.join(names)}'" if len(names) > 1 else f" class={names[0]}" if names else ""
    return f"<td{classes} bgcolor={colour} title=[{n},{k}]:{value:+.3g}>{mark}"


def short(value):
    """A number in as few letters as two digits take: .31, −1.2, 4.5e-7."""
    if not np.isfinite(value):
        return "?" if np.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{value:.2g}" if value else "0"
    text = re.sub(r"e([+-])0*", lambda match: "e" + match[1].strip("+"), text).replace("0.", ".", 1)
    return f"−{text[1:]}" if text.startswith("-") else text
