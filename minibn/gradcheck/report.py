"""What a gradient check found, as values and as a table."""

import math
from dataclasses import dataclass

from minibn.tables import plain_table


@dataclass(frozen=True)
class Entry:
    """One tensor's row.

    Attributes
    ----------
    name : str
    shape : tuple of int
    error : float
        ``max|a - n| / max(max|n|, 1e-3 of the largest gradient in the check)``.
    tolerance : float
    index : tuple of int or None
        The worst element; None when only a random direction was measured.
    analytic, numeric : float
        The two values at the worst element, or along the direction.
    how : str
        "element-wise", "direction" or "bisection" (a wrong direction, traced to one element); "missing" or
        "not implemented" where there is no gradient to measure, and the numbers are NaN.
    hint : str
        What kind of fault this looks like; empty when there is none.
    """

    name: str
    shape: tuple
    error: float
    tolerance: float
    index: tuple | None
    analytic: float
    numeric: float
    how: str
    hint: str = ""

    @property
    def ok(self):
        """Whether the error is within the tolerance (a NaN is not)."""
        return self.error <= self.tolerance

    @property
    def severity(self):
        """The error in units of its tolerance; NaN counts as infinite."""
        return math.inf if math.isnan(self.error) else self.error / self.tolerance

    @property
    def measured(self):
        """Whether there was a gradient to measure."""
        return self.how not in ("missing", "not implemented")

    @property
    def wrong(self):
        """Whether it was measured and found wrong, for certain."""
        return self.measured and not self.ok and not self.hint.startswith("no verdict")

    def cells(self):
        """The row of the table."""
        shape = f"({','.join(map(str, self.shape))})"
        if not self.measured:
            return self.name, shape, "", "", self.how, "", "", ""
        where = "direction" if self.index is None else f"[{','.join(map(str, self.index))}]"
        return (self.name, shape, f"{self.error:.1e}", f"{self.tolerance:.0e}", "ok" if self.ok else "FAIL", where,
                f"{self.analytic:+.9e}", f"{self.numeric:+.9e}")


COLUMNS = ("name", "shape", "error", "tolerance", "ok?", "worst at", "analytic", "numeric")


@dataclass(frozen=True)
class Report:
    """The result of a gradient check: ``report.ok``, ``report.worst``, ``report.to_dict()``, ``print(report)``.

    Attributes
    ----------
    title : str
        What was checked, with its sizes.
    method : str
        How: method, step, dtype, tolerance, seed.
    evaluations : int
        How often the function was evaluated.
    entries : tuple of Entry
        One row per tensor, in the order of the inputs.
    notes : tuple of str
        What the reader should know: inputs that were held constant, a check too large for every element.
    """

    title: str
    method: str
    evaluations: int
    entries: tuple
    notes: tuple = ()

    @property
    def ok(self):
        """Whether every tensor is within its tolerance (and there is at least one)."""
        return bool(self.entries) and all(entry.ok for entry in self.entries)

    @property
    def worst(self):
        """The entry with the largest error, measured in its tolerance."""
        return max(self.entries, key=lambda entry: entry.severity)

    def __bool__(self):
        return self.ok

    def __getitem__(self, name):
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(f"{name!r} is not in this report: it has {', '.join(e.name for e in self.entries)}")

    def summary(self):
        """One line: how many tensors, how many failed, the worst error."""
        failed = [entry for entry in self.entries if not entry.ok]
        if not self.entries:
            return "nothing was checked"
        verdict = f"{len(failed)} of {len(self.entries)} FAILED" if failed else f"all {len(self.entries)} ok"
        if not self.worst.measured:
            return f"{verdict}, {self.worst.name} {self.worst.how}"
        return f"{verdict}, worst error {self.worst.error:.1e} ({self.worst.name})"

    def to_dict(self):
        """The same as plain values, ready for JSON: a number that is not finite is None, as JSON has none.

        Returns
        -------
        dict
            The attributes by name, and ``ok``; each entry a dict likewise.
        """
        return {**_plain(vars(self)), "ok": self.ok, "summary": self.summary(),
                "entries": [{**_plain(vars(entry)), "ok": entry.ok} for entry in self.entries]}

    def __repr__(self):
        return f"<gradient check of {self.title}: {self.summary()}>"

    def __str__(self):
        table = plain_table([COLUMNS, *(entry.cells() for entry in self.entries)], "llrrllrr")
        reasons = {}        # one blank leaves many gradients out: its reason is given once
        for entry in self.entries:
            if entry.hint:
                reasons.setdefault((entry.hint, entry.name if entry.measured else ""), []).append(entry.name)
        hints = [f"hint: {', '.join(names)}: {hint}" for (hint, _), names in reasons.items()]
        notes = [f"note: {note}" for note in self.notes]
        method = f"{self.method}, {self.evaluations} evaluations"
        return "\n".join([self.title, method, "", table, "", self.summary(), *hints, *notes])


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
