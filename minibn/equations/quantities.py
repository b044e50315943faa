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
    """The local variables of one step by name, in the order of the mathematics: like a named tuple, but typed by no one.

    What a batch norm computed is one level down: ``step.h_hat`` is ``step.h_bn.hat``.

    Parameters
    ----------
    variables : dict
        As ``locals()`` gives them.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables):
        object.__setattr__(self, "_variables", variables)

    @classmethod
    def of_gradients(cls, variables):
        """Those that are gradients, by the names of what they are the gradients of: ``dh_prev`` is ``h_prev``."""
        return cls({name[1:]: value for name, value in variables.items() if name[0] == "d"})

    def __getattr__(self, name):
        if name == "_variables":                    # while a copy is being made
            raise AttributeError(name)
        variables = self._variables
        if name in variables:
            return variables[name]
        term, _, inner = name.partition("_")
        bn = variables.get(f"{term}_bn")
        if inner not in getattr(bn, "_fields", ()):
            raise AttributeError(f"no quantity called {name!r} among {', '.join(variables)}")
        return getattr(bn, inner)

    def __setattr__(self, name, value):
        raise AttributeError(f"{name}: expected nothing to be assigned to a record; make another, "
                             f"record._replace({name}=...)")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={show(v)}' for name, v in self._variables.items())})"

    def __iter__(self):
        return iter(self._variables.values())

    def __getstate__(self):
        return self._variables

    def __setstate__(self, variables):
        object.__setattr__(self, "_variables", variables)

    @property
    def _fields(self):
        """The names, as those of a named tuple."""
        return tuple(self._variables)

    def _asdict(self):
        """Name -> value."""
        return dict(self._variables)

    def _replace(self, **changed):
        """Another record with some values changed."""
        return type(self)({**self._variables, **changed})
