"""An option of a run: a field of its settings, with what the command line says of it and what its value may be."""

import json
from dataclasses import field

import numpy as np

from minibn.cells import CELLS
from minibn.errors import check_integer, check_number, show

GIVEN_BY_PRESET = object()
"""Stands for the default of a field whose value depends on the task and the preset."""

CELL_OPTIONS = {name: option for cell in reversed(CELLS.values()) for name, option in cell.options.items()}
"""Name -> Option, of all of minibn's cells."""


def option(help, default=GIVEN_BY_PRESET, choices=None, kind=None, shown=None, **bounds):
    """A field with what the command line needs to know about it; without a default every preset gives one.

    `bounds` of a number are those of `minibn.errors.check_integer` or `check_number`. Where the choices are not all,
    `shown` says what there is.
    """
    kind = kind or (int if default is GIVEN_BY_PRESET else type(default))
    metadata = {"help": help, "choices": choices, "kind": kind, "shown": shown, "bounds": bounds}
    return field(metadata=metadata) if default is GIVEN_BY_PRESET else field(default=default, metadata=metadata)


def cell_fields():
    """A field for each option of a cell. Its values are checked by the declaration of the run's own cell."""
    for name, declared in CELL_OPTIONS.items():
        choices = dict.fromkeys(choice for cell in CELLS.values() if name in cell.options
                                for choice in (*(["auto"] if declared.auto else []), *cell.options[name].choices))
        default = "auto" if declared.auto else declared.default
        yield name, type(default), option(declared.help, default, shown=tuple(choices))


def is_json(value):
    """Whether the value comes back as it is."""
    try:
        return json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        return False


def checked_value(f, value, dtype):
    """The value of the option `f` as a plain Python value."""
    if value is None and f.default is None:
        return None
    kind, choices, bounds = f.metadata["kind"], f.metadata["choices"], f.metadata["bounds"]
    if kind is float:
        return check_number(f.name, value, dtype, **bounds)
    if kind is int and not choices:
        return check_integer(f.name, value, **bounds)
    accepted = {bool: bool | np.bool_, int: int | np.integer}.get(kind, kind)
    if not isinstance(value, accepted):
        raise TypeError(f"{f.name}: expected {kind.__name__}, got {show(value)}; see minibn train --help")
    if choices and value not in choices:
        raise ValueError(f"{f.name}: expected one of {', '.join(map(str, choices))}, got {value!r}")
    return value if type(value) is kind else kind(value)
