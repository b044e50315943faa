"""How a quantity of an equation is written: one row of the table that stands beside each equation."""

from typing import NamedTuple


class Quantity(NamedTuple):
    """LaTeX, equation number in the paper, and axes of one quantity at one time step."""

    latex: str
    equation: str
    axes: str       # N examples, H hidden units, G = H (RNN) or 4H (LSTM), 1 for a statistic


def normalized(term, latex, equation, axes):
    """The rows of a normalized term: what Eq. 5 computes on its way, under the term's name."""
    mean, variance = rf"\widehat{{\mathbb{{E}}}}[{latex}]", rf"\widehat{{\mathrm{{Var}}}}[{latex}]"
    return {
        f"{term}_mean": Quantity(mean, equation, f"1 {axes}"),
        f"{term}_variance": Quantity(variance, equation, f"1 {axes}"),
        f"{term}_inv_std": Quantity(rf"({variance} + \epsilon)^{{-1/2}}", equation, f"1 {axes}"),
        f"{term}_hat": Quantity(rf"\widehat{{{latex}}}", equation, f"N {axes}"),
    }


def look_up(step, name):
    """The value (or gradient) called `name` in the named tuple of one step.

    Quantities of a batch norm live one level down: ``h_hat`` is ``step.h_bn.hat``.
    """
    if name in step._fields:
        return getattr(step, name)
    term, _, field = name.partition("_")
    inner = getattr(step, f"{term}_bn", None)
    if inner is not None and field in inner._fields:
        return getattr(inner, field)
    raise AttributeError(f"no quantity called {name!r} in {type(step).__name__}")
