"""One time step of a trace."""

from itertools import zip_longest

from minibn.tables import plain_table
from minibn.tracing.html import ROWS, cut, step_html

HEADING = ("quantity", "eq.", "shape", "value", "gradient of the loss")


class Step:
    """The quantities of one time step: a table in Jupyter, text in ``print``.

    Attributes
    ----------
    t, T, N : int
        Which step (from 0) of how many; the number of examples.
    quantities : dict
        Name -> Traced, with the arrays of this step; ``step[name]`` is short for it.
    live : bool ndarray of shape (N,), or None
        The examples that are not padded.
    """

    def __init__(self, title, t, T, N, quantities, live):
        self.title, self.t, self.T, self.N, self.quantities, self.live = title, t, T, N, quantities, live

    @property
    def padded(self):
        """How many of them are padded at this step."""
        return 0 if self.live is None else int((~self.live).sum())

    def __iter__(self):
        return iter(self.quantities.values())

    def __getitem__(self, name):
        return self.quantities[name]

    def __str__(self):
        padded = f", {self.padded} padded (marked /)" if self.padded else ""
        table = plain_table([HEADING, *(row for quantity in self for row in self._rows(quantity))], "l")
        return f"{self.title}, step t = {self.t} of 0 .. {self.T - 1}: {self.N} examples, one a line{padded}\n\n{table}"

    def __repr__(self):
        return f"<{self.title}, t = {self.t}: {len(self.quantities)} quantities; print it to see them>"

    def _repr_html_(self):
        return step_html(self)

    def _rows(self, quantity):
        """The lines of one quantity: an example a line, name and shape on the first one."""
        equation = f"({quantity.equation})" if quantity.equation else ""
        columns = [self._numbers(array, quantity.gates) for array in (quantity.value, quantity.gradient)]
        return zip_longest([quantity.name], [equation], [str(quantity.shape).replace(" ", "")], *columns)

    def _numbers(self, values, gates):
        if values is None:
            return ["none: integers"]
        values, columns, padded = cut(values, self.live, gates)
        lines = ["".join(f"{value:10.3g}" for value in row[columns]) + (" ..." if len(columns) < len(row) else "")
                 + (" /" if dead else "") for row, dead in zip(values[:ROWS], padded, strict=False)]
        return lines + ["..."] * (len(values) > ROWS)
