"""One time step as text, for a terminal."""

from itertools import zip_longest

from minibn.tables import plain_table
from minibn.tracing.html import ROWS, cut

HEADING = ("quantity", "eq.", "shape", "value", "gradient of the loss")


def step_text(step):
    """The table of one `minibn.tracing.step.Step`: the numbers, an example a line."""
    padded = f", {step.padded} padded (marked /)" if step.padded else ""
    rows = [HEADING, *(row for quantity in step for row in _rows(step, quantity))]
    return (f"{step.title}, step t = {step.t} of 0 .. {step.T - 1}: {step.N} examples, one a line{padded}\n\n"
            f"{plain_table(rows, 'l')}")


def _rows(step, quantity):
    """The lines of one quantity: name and shape on the first one."""
    values = _numbers(quantity.value, step, quantity)
    gradients = ["none: integers"] if quantity.gradient is None else _numbers(quantity.gradient, step, quantity)
    equation = f"({quantity.equation})" if quantity.equation else ""
    return zip_longest([quantity.name], [equation], [str(quantity.shape).replace(" ", "")], values, gradients)


def _numbers(values, step, quantity):
    values, columns, padded = cut(values, step.live, quantity.gates)
    lines = ["".join(f"{value:10.3g}" for value in row[columns]) + (" ..." if len(columns) < len(row) else "")
             + (" /" if dead else "") for row, dead in zip(values[:ROWS], padded, strict=False)]
    return lines + ["..."] * (len(values) > ROWS)
