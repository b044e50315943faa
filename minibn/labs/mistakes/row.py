"""One row of the table of mistakes, and how rows are written."""

import re
from typing import NamedTuple

from minibn.labs.source import Edit, Source

KINDS = ("a missing part", "a factor", "the wrong quantity", "a sum or a mean", "a sign", "the derivative",
         "the order or the shape", "the time step", "the mask or the statistics")


class Mistake(NamedTuple):
    """What a person can get wrong: one edited line of the library, and what to say about it.

    The test suite proves that the line matters: its check `check` fails with the edit in place, and says that
    `tensor` is wrong. The grader recognises a student's numbers as those of the edit.
    """

    module: str
    function: str
    edit: Edit
    kind: str           # one of KINDS: hint level 2
    title: str          # a few words: hint level 3
    explanation: str    # what was done, why it is wrong, what to look at
    equation: str       # "Eq. 5", "Section 4"
    check: str          # a check of the test suite that fails
    tensor: str         # what is wrong there

    @property
    def line(self):
        """The line of the library."""
        return self.edit.line

    @property
    def edited(self):
        """The line with the mistake."""
        return self.edit.edited

    @property
    def part(self):
        """What the line computes, in a word or two: nothing of how."""
        head = self.line.split(" ")[0]
        return {"return": "the result", "for": "the loop", "if": "the condition"}.get(head, self.line.split(" = ")[0])

    @property
    def id(self):
        """A name that stays: of the function and the title."""
        return f"{self.place}/{re.sub('[^a-z0-9]+', '-', _spelled(self.title).lower()).strip('-')}"

    @property
    def place(self):
        """The function, and of which cell."""
        cell = self.module.rpartition(".")[2] + "." if self.module.startswith("minibn.cells.") else ""
        return cell + self.function


def _spelled(title):
    """Primes and tildes in words, so that df and df~ have two names."""
    return re.sub("'(?!s )", "_prime", title).replace("~", "_tilde").replace("'", "").replace("_", "-")


class Table:
    """Rows of one function. `add` takes the line by what it assigns.

    Parameters
    ----------
    module, function, equation : str
    check, tensor : str
        For the rows that name no others.
    """

    def __init__(self, module, function, equation, check, tensor="any"):
        self.source = Source(module, function)
        self.equation, self.check, self.tensor = equation, check, tensor
        self.rows = []

    def line(self, start):
        """The text of the one line that begins so."""
        found = [line.text for line in self.source.lines if line.text.startswith(start)]
        if len(found) != 1:
            raise LookupError(f"{self.source.name}: expected one line that begins with {start!r} in "
                              f"{self.source.module}, found {found}; make the table of mistakes follow the code")
        return found[0]

    def add(self, start, part, new, kind, title, explanation, *, tensor=None, check=None, equation=None):
        """A row: in the line that begins with `start`, `new` stands in the place of `part` (None: of all behind ``=``).
        """
        line = self.line(start)
        part = line.partition(" = ")[2] if part is None else part
        if line.count(part) != 1:
            raise LookupError(f"{self.source.name}: expected {part!r} once in {line!r}; correct the row {title!r}")
        self.put(line, line.replace(part, new), kind, title, explanation, tensor=tensor, check=check, equation=equation)

    def put(self, line, edited, kind, title, explanation, *, tensor=None, check=None, equation=None):
        """A row: a whole line, and what stands in its place."""
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        self.rows.append(Mistake(self.source.module, self.source.name, Edit.between(line, edited), kind, title,
                                 explanation, equation or self.equation, check or self.check, tensor or self.tensor))
