"""One time step as text, for a terminal."""

import numpy as np

from minibn.tracing.html import shown_columns

ROWS = 6


def step_text(step):
    """The table of one `minibn.tracing.step.Step`: the numbers, an example a line."""
    lines = [f"{step.title}, step t = {step.t} of 0 .. {step.T - 1}: {step.N} examples, one a line"
             + (f", {step.padded} padded (marked /)" if step.padded else ""), ""]
    blocks = [_block(step, quantity) for quantity in step]
    names = ("quantity", "eq.", "shape", "value", "gradient of the loss")
    cells = [names, *(row for block in blocks for row in block)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    for row in cells:
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _block(step, quantity):
    """The lines of one quantity: name and shape on the first one."""
    values = _numbers(quantity.value, step, quantity)
    gradients = ["none: integers"] if quantity.gradient is None else _numbers(quantity.gradient, step, quantity)
    equation = f"({quantity.equation})" if quantity.equation else ""
    heads = [(quantity.name, equation, str(quantity.shape).replace(" ", ""))]
    heads += [("", "", "")] * (len(values) - 1)
    gradients += [""] * (len(values) - len(gradients))
    return [(*head, value, gradient) for head, value, gradient in zip(heads, values, gradients, strict=True)]


def _numbers(values, step, quantity):
    values = values[:, None] if values.ndim == 1 else values
    columns, _ = shown_columns(values.shape[1], quantity.gates)
    padded = np.zeros(len(values), bool) if step.live is None or len(values) == 1 else ~step.live
    lines = ["".join(f"{value:10.3g}" for value in row[columns]) + (" ..." if len(columns) < len(row) else "")
             + (" /" if dead else "") for row, dead in zip(values[:ROWS], padded, strict=False)]
    return lines + ["..."] * (len(values) > ROWS)
