"""What a cell declares: everything that a layer, a check, a trace or a kernel wants to know of it.

Three rules, and no others:

1.  A function gets what its signature names: the input term ``x_term``; the states ``h_prev``, ``c_prev``; parameters,
    options and per-step data by their own names; ``mask`` (N,) or None, the examples that enter the statistics;
    ``live`` likewise, those that are not padded, where they are others; ``statistics``, term -> Statistics or None. The
    backward gets ``dh``, ``dc`` and whatever it names of what the forward computed.
2.  It returns ``locals()``: a quantity is a local variable, its gradient is ``d`` and its name.
3.  A shape is written in letters: "N 4H". N examples, D input features, H hidden units, and the letters of options.
"""

import hashlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np

from minibn.equations.quantities import Record
from minibn.equations.recurrence import call
from minibn.errors import check_choice

USER_MODULE = "minibn_cell_"        # the name of a module that a user's file became (`minibn.cells.user`): its SHA-256


@dataclass(frozen=True)
class Parameter:
    """The shape of a parameter, and its first value."""

    shape: str                                      # "H 4H"
    first: Callable | float | str = 0.0             # first(rng, shape, options), a number, or the name of an option
    when: str | None = None                         # there only if this option is true

    def make(self, rng, sizes, options):
        """The first value, in float64."""
        shape = sizes_of(self.shape, sizes)
        if callable(self.first):
            return self.first(rng, shape, options)
        return np.full(shape, options[self.first] if isinstance(self.first, str) else self.first, dtype=np.float64)


@dataclass(frozen=True)
class Data:
    """An array that the step takes at each time step: a mask, noise. Randomness is data: the caller draws it."""

    shape: str                                      # of one step: "N H"
    draw: Callable                                  # draw(rng, (T, N, H), options), for training
    expectation: Callable                           # expectation((N, H), options), for evaluation


@dataclass(frozen=True)
class Option:
    """A setting of a cell: an attribute of the layer, and an argument of the functions that name it."""

    default: object
    help: str
    check: Callable | None = None                   # check(name, value, dtype) gives the value, or raises an error
    choices: tuple = ()
    auto: dict = field(default_factory=dict)        # what `auto` means where it is not the default: "images" -> value
    size: str = ""                                  # the letter by which shapes call it
    kept: bool = True                               # False: it only draws first values, and no layer remembers it

    def checked(self, name, value, dtype):
        """The value, as it is kept."""
        if self.choices:
            check_choice(name, value, self.choices)
        return value if self.check is None else self.check(name, value, dtype)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One recurrence. Everything else reads this."""

    name: str                                       # in tables, for those who choose a cell by a word
    title: str                                      # for people
    module: str                                     # its file's __name__: functions are looked up there at each call
    states: dict                                    # name -> width; the first is the output; each starts learned
    input: str                                      # width of x_term
    gates: str = ""                                 # the letters of its blocks, such as fiog
    parameters: dict                                # name -> Parameter, without the states to start from
    quantities: dict                                # name -> Quantity, in the order of the forward pass
    normalized: dict = field(default_factory=dict)  # term -> width; "x" is the input term
    options: dict = field(default_factory=dict)     # name -> Option
    data: dict = field(default_factory=dict)        # name -> Data
    check: str = "complex"                          # of its gradients: "central" where the step has kinks
    kernel: str | None = None                       # its name, a module of `minibn.kernels`
    step_forward: str = "step_forward"
    step_backward: str = "step_backward"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        file = sys.modules[self.module].__file__ if self.module.startswith(USER_MODULE) else None
        return _find, (self.module, self.name, file)

    def __repr__(self):
        return f"<cell {self.name}>"

    def find(self, name):
        """``step_forward`` or ``step_backward``, as it stands in the cell's own module now."""
        return getattr(sys.modules[self.module], getattr(self, name))

    def forward(self, **values):
        """One step on its own: the Record of what `step_forward` computes with those of the values that it names."""
        statistics = dict.fromkeys(term for term in self.normalized if term != "x")
        whole_batch = {"live": None, "mask": None, "statistics": statistics}
        return Record(call(self.find("step_forward"), {**whole_batch, **values}))

    def backward(self, step, **upstream):
        """Its gradients: the Record of ``dh`` and ``dc`` above, and of everything in the step's own Record."""
        return Record.of_gradients(call(self.find("step_backward"), {**step._asdict(), **upstream}))


def sizes_of(shape, sizes):
    """The numbers of a shape: "N 4H" is (N, 4 * H), "4H+4M" is (4 * H + 4 * M,), "SH" is (S * H,)."""
    return _numbers(shape, tuple(sizes.items()))


@lru_cache(maxsize=1000)
def _numbers(shape, sizes):
    sizes = dict(sizes)

    def product(term):
        number, letters = re.fullmatch(r"(\d*)([A-Z]*)", term).groups()
        return int(number or 1) * int(np.prod([sizes[letter] for letter in letters], dtype=int))

    return tuple(sum(map(product, axis.split("+"))) for axis in shape.split())


def _find(module, name, file=None):
    """The declaration of that name in a module: what another process unpickles."""
    if module.startswith(USER_MODULE) and module not in sys.modules:
        from minibn.cells.user import executed

        content = Path(file).read_bytes()
        if USER_MODULE + hashlib.sha256(content).hexdigest() != module:
            raise ValueError(f"cell {name}: {file} has changed since; restore it from a copy")
        executed(file, content)
    return next(value for value in vars(import_module(module)).values() if isinstance(value, Cell)
                and value.name == name)
