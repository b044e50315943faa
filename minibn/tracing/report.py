"""What the check of a trace found: quantities by time steps."""

from dataclasses import dataclass

from minibn.gradcheck import Report
from minibn.tables import plain_table

COLUMNS = 12
"""So many time steps stand side by side; of a longer trace the last ones, where the way back begins."""


@dataclass(frozen=True, repr=False)
class TraceReport(Report):
    """A `minibn.gradcheck.Report` with an entry for each quantity and step, ``report["h_hat[3]"]``.

    Attributes
    ----------
    quantities : tuple of str
        In the order of the forward pass.
    T : int
    """

    quantities: tuple = ()
    T: int = 0

    @property
    def first_wrong(self):
        """The first entry that fails on the way back, from the last step to the first; None if all are right.

        What comes after it on the way back may be wrong only because it is.
        """
        failed = {entry.name: entry for entry in self.entries if not entry.ok}
        back = (f"{name}[{t}]" for t in reversed(range(self.T)) for name in reversed(self.quantities))
        return next((failed[label] for label in back if label in failed), next(iter(failed.values()), None))

    def to_dict(self):
        """As `minibn.gradcheck.Report.to_dict`, and the name of the first wrong quantity (None if all are right)."""
        first = self.first_wrong
        return {**super().to_dict(), "first_wrong": first and first.name}

    def __str__(self):
        entries = {entry.name: entry for entry in self.entries}
        times = range(max(0, self.T - COLUMNS), self.T)
        rows = [["quantity", *(f"t = {t}" for t in times)]]
        rows += [[name, *(_cell(entries.get(f"{name}[{t}]")) for t in times)] for name in self.quantities]
        summed = plain_table([(name, _cell(entry)) for name, entry in entries.items() if "[" not in name], "l")
        hidden = self.T - len(times)
        lines = [self.title, f"{self.method}, {self.evaluations} evaluations", "", plain_table(rows)]
        lines += [f"({hidden} earlier steps not shown)"] * bool(hidden)
        lines += ["", "inputs and parameters", summed] * bool(summed)
        return "\n".join([*lines, "", self.summary(), *self._faults(), *(f"note: {note}" for note in self.notes)])

    def _faults(self):
        if self.ok:
            return []
        first = self.first_wrong
        lines = [f"first wrong on the way back: {first.name}; what comes after it may be wrong only because of it",
                 f"  by hand {first.analytic:+.9e}, moved in place {first.numeric:+.9e}"
                 + ("" if first.index is None else f", at [{','.join(map(str, first.index))}]")]
        return lines + [f"  hint: {first.hint}"] * bool(first.hint)


def _cell(entry):
    if entry is None:
        return ""
    return f"{entry.error:.0e}" if entry.ok else f"FAIL {entry.error:.0e}"
