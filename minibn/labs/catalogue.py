"""The labs: which functions each asks for, which lines of them are blanks, and what a blank is worth."""

from dataclasses import dataclass
from functools import cached_property

from minibn.labs.mistakes import mistakes_of
from minibn.labs.source import Source

VERSION = 1
"""Of the labs. A report that another version made is not continued."""
PARTIAL = 0.5
"""The part of a blank's points for exactly one mistake that the grader can name."""
SHARES = {"plain": 0.5, "masked": 0.25, "given": 0.25}
"""What each kind of input counts for; a function that is called with fewer kinds shares the points out over those."""


@dataclass(frozen=True)
class Blank:
    """Some lines of a function, or all of it."""

    id: str
    points: int
    equation: str = ""      # only the lines below the comment with this equation; else the whole function


@dataclass(frozen=True)
class Ask:
    """A function that students write.

    The draws of `minibn.labs.draws` are called as the function is, in its module; `outputs` has to be returned, all
    else of the result may be left out, and is not judged where it is.
    """

    module: str
    function: str
    outputs: tuple
    blanks: tuple
    equations: str = ""     # what stands in the hand-out where the body was

    @cached_property
    def source(self):
        """The library's own."""
        return Source(self.module, self.function)

    @cached_property
    def mistakes(self):
        """The rows of the table for this function."""
        return mistakes_of(self.module, self.function)

    def names(self, blank):
        """The names that the lines of a blank assign."""
        if not blank.equation:
            return tuple(name for line in self.source.lines for name in line.names)
        return tuple(name for line in self.source.lines if self.equation_of(line) == blank.equation
                     for name in line.names)

    def equation_of(self, line):
        """The equation in the nearest comment above a line: "Eq. 3"; empty where there is none."""
        for text in reversed(self.source.text.splitlines()[:line.first]):
            if text.strip().startswith("# Eq."):
                return text.strip("# ").split("(")[0].strip()
        return ""

    def blank_of(self, mistake):
        """The blank in which a mistake stands."""
        equation = self.equation_of(self.source.find(mistake.line))
        return next((blank for blank in self.blanks if blank.equation == equation), self.blanks[-1])


@dataclass(frozen=True)
class Lab:
    """One hand-out."""

    number: int
    title: str
    minutes: int
    asks: tuple = ()
    judge: str = "functions"    # or "catch", "project": labs of their own kind

    @property
    def name(self):
        """``lab2``, of folder and file."""
        return f"lab{self.number}"

    @property
    def points(self):
        """Of all blanks."""
        return sum(blank.points for blank in self.blanks)

    @property
    def blanks(self):
        """Of all functions, in order."""
        return tuple(blank for ask in self.asks for blank in ask.blanks)


def _step(cell, forward, backward, states, gradients):
    """The two functions of a cell's file."""
    module = f"minibn.cells.{cell}"
    return (Ask(module, "step_forward", states, forward),
            Ask(module, "step_backward", ("dx_term", *(f"d{name}_prev" for name in states), *gradients), backward))


def _whole(module, function, outputs, points, equations=""):
    return Ask(module, function, outputs, (Blank(function, points),), equations)


EQUATIONS, STATISTICS = "minibn.equations.", "minibn.statistics"

LABS = {lab.number: lab for lab in (
    Lab(1, "How far does a loss reach?", 60, (
        _whole(EQUATIONS + "activations", "dtanh", ("result",), 2, "tanh'(z), where y = tanh(z)"),
        *_step("rnn", (Blank("rnn_step_forward", 3),), (Blank("rnn_step_backward", 5),), ("h",), ("dW_h", "db")),
    )),
    Lab(2, "Batch normalization, three paths", 120, (
        _whole(STATISTICS, "batch_statistics", ("mean", "variance"), 4,
               "mean = sum_n weight_n a_n,   variance = sum_n weight_n (a_n - mean)^2"),
        _whole(EQUATIONS + "batch_norm", "batch_norm_forward", ("y",), 6,
               "Eq. 5: y = beta + gamma * (a - mean) / sqrt(variance + eps)"),
        _whole(EQUATIONS + "batch_norm", "batch_norm_backward", ("da", "dgamma", "dbeta"), 10,
               "Eq. 5, backwards: the direct path, the path through the mean, the path through the variance"),
    )),
    Lab(3, "The LSTM", 120, _step(
        "lstm",
        (Blank("gates_forward", 2, "Eq. 2"), Blank("cell_forward", 3, "Eq. 3"), Blank("output_forward", 2, "Eq. 4")),
        (Blank("output_backward", 4, "Eq. 4"), Blank("cell_backward", 5, "Eq. 3"), Blank("gates_backward", 4, "Eq. 2")),
        ("h", "c"), ("dW_h", "db", "dbeta_c"))),
    Lab(4, "Through time", 120, (
        _whole(EQUATIONS + "recurrence", "freeze_backward", ("result",), 4,
               "forward: a live example carries on the new state, a padded one keeps the old"),
        _whole(EQUATIONS + "recurrence", "unroll_backward", ("dx_term", "dstate", "totals"), 8,
               "for t = T .. 1:   d state_t = (loss terms of step t) + (what step t+1 passed back)"),
        _whole(EQUATIONS + "losses", "softmax_cross_entropy_forward", ("loss",), 3,
               "L = - mean over live predictions of log softmax(z)_y"),
        _whole(EQUATIONS + "losses", "softmax_cross_entropy_backward", ("result",), 5,
               "dL/dz, out of the softmax, the label and the weight of each prediction"),
    )),
    Lab(5, "The batch-normalized LSTM", 120, _step(
        "bn_lstm",
        (Blank("bn_gates_forward", 4, "Eq. 6"), Blank("bn_cell_forward", 3, "Eq. 7"),
         Blank("bn_output_forward", 4, "Eq. 8")),
        (Blank("bn_output_backward", 5, "Eq. 8"), Blank("bn_cell_backward", 4, "Eq. 7"),
         Blank("bn_gates_backward", 5, "Eq. 6")),
        ("h", "c"), ("dW_h", "db", "dgamma_h", "dgamma_c", "dbeta_c"))),
    Lab(6, "Catch the mutants", 90, (
        Ask("minibn.labs.catch", "check", ("verdicts",), (Blank("caught", 12), Blank("no_false_alarm", 3))),
    ), judge="catch"),
    Lab(7, "At test time", 90, (
        _whole(STATISTICS, "rows_at_steps", ("result",), 4,
               "row t for step t; beyond the end the last row goes on"),
        _whole(STATISTICS, "add_ragged", ("result",), 5,
               "the sum of two, the shorter one continued with its last row"),
        _whole(STATISTICS, "average_over_batches", ("result",), 6,
               "the plain average over batches, at each step"),
    )),
    Lab(8, "Does it learn?", 180, (
        Ask("minibn.labs.project", "learn", ("losses",),
            (Blank("runs", 5), Blank("learns", 8), Blank("agrees", 12))),
    ), judge="project"),
)}
