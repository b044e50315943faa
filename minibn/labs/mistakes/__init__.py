"""The table of mistakes: what people get wrong in the functions that a lab asks for.

Each row is one edited line of the library. The test suite proves that it matters, and the grader recognises it in a
student's numbers. A course adds rows of its own with a file (``minibn lab mistakes --add``).
"""

from minibn.labs.mistakes import normalization, population, recurrence, steps
from minibn.labs.mistakes.row import KINDS, Mistake, Table

__all__ = ["KINDS", "MISTAKES", "Mistake", "Table", "mistakes_of"]

MISTAKES = (*recurrence.ROWS, *normalization.ROWS, *steps.ROWS, *population.ROWS)


def mistakes_of(module, function):
    """The rows of one function."""
    return [row for row in MISTAKES if (row.module, row.function) == (module, function)]
