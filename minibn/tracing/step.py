"""One time step of a trace."""

from minibn.tracing.html import step_html
from minibn.tracing.text import step_text


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
        return step_text(self)

    def __repr__(self):
        return f"<{self.title}, t = {self.t}: {len(self.quantities)} quantities; print it to see them>"

    def _repr_html_(self):
        return step_html(self)
