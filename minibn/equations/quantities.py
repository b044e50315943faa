"""How the quantities of an equation are written in a table, and how those of one step are kept."""

from typing import NamedTuple

from minibn.errors import show


class Quantity(NamedTuple):
    """LaTeX, equation number in the paper, and axes of one quantity at one time step."""

    latex: str
    equation: str
    axes: str       # N examples, H hidden units, 4H for four gates (G for any number of them), 1 for a statistic


def normalized(term, latex, equation, axes):
    """The rows of a normalized term: what Eq. 5 computes on its way, under the term's name."""
    mean, variance = rf"\widehat{{\mathbb{{E}}}}[{latex}]", rf"\widehat{{\mathrm{{Var}}}}[{latex}]"
    return {
        f"{term}_mean": Quantity(mean, equation, f"1 {axes}"),
        f"{term}_variance": Quantity(variance, equation, f"1 {axes}"),
        f"{term}_inv_std": Quantity(rf"({variance} + \epsilon)^{{-1/2}}", equation, f"1 {axes}"),
        f"{term}_hat": Quantity(rf"\widehat{{{latex}}}", equation, f"N {axes}"),
    }


class Record:
    """The local variables of one step by name, in the order of the mathematics: as a named tuple, typed by no one.

    What a batch norm computed is one level down: ``step.h_hat`` is ``step.h_bn.hat``.

    Parameters
    ----------
    variables : dict
        As ``locals()`` gives them.
    """

    def __init__(self, variables):
        object.__setattr__(self, "__dict__", variables)         # names cost what attributes cost

    @classmethod
    def of_gradients(cls, variables):
        """Those that are gradients, by the names of what they are the gradients of: ``dh_prev`` is ``h_prev``."""
        return cls({name[1:]: value for name, value in variables.items() if name[0] == "d"})

    def __getattr__(self, name):
        variables = vars(self)
        term, _, inner = name.partition("_")
        bn = variables.get(f"{term}_bn")
        if inner not in getattr(bn, "_fields", ()):
            raise AttributeError(f"no quantity called {name!r} among {', '.join(variables)}")
        return getattr(bn, inner)

    def __setattr__(self, name, value):
        raise AttributeError(f"{name}: expected nothing to be assigned to a record; make another, "
                             f"record._replace({name}=...)")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={show(value)}' for name, value in vars(self).items())})"

    def __iter__(self):
        return iter(vars(self).values())

    @property
    def _fields(self):
        """The names, as those of a named tuple."""
        return tuple(vars(self))

    def _asdict(self):
        """Name -> value."""
        return dict(vars(self))

    def _replace(self, **changed):
        """Another record with some values changed."""
        return type(self)({**vars(self), **changed})
