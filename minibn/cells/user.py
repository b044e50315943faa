"""A cell in a user's own file: named ``my_cell.py:GRU``, known again by the file's SHA-256.

A file is executed when the user names it, and then only if it is the one that was expected. Whoever only has the
record of a cell, from the folder of a run, gets an error that says what to name.
"""

import ast
import hashlib
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from minibn.cells import CELLS
from minibn.cells.check import check_declaration
from minibn.cells.declaration import USER_MODULE, Cell
from minibn.errors import show

FORM = re.compile(r"(.+\.py):(\w+)")
KNOWN = {}
"""(name, SHA-256) -> Cell: those that were named in this process."""


class CellNotNamed(ValueError):
    """The cell of a run is in a file that nobody has named again."""


@dataclass(frozen=True)
class UserCell:
    """Which cell of which file; two are equal wherever the file lies."""

    path: str = field(compare=False)
    name: str
    sha256: str

    def __post_init__(self):
        if not all(isinstance(value, str) for value in (self.path, self.name, self.sha256)):
            raise TypeError("cell: expected path, name and sha256")

    @property
    def known(self):
        """Whether the file was named in this process."""
        return (self.name, self.sha256) in KNOWN

    @property
    def declaration(self):
        """The Cell, if the file was named in this process."""
        if not self.known:
            raise CellNotNamed(f"cell: this run is of {show(f'{self.path}:{self.name}')}, SHA-256 {self.sha256}, and "
                               f"files are executed only where you name them; name it again with --model, in Python "
                               f"with cell=")
        return KNOWN[self.name, self.sha256]


def is_user_cell(model):
    """Whether a user means a cell that is none of minibn's."""
    if isinstance(model, Cell):
        return model not in CELLS.values()
    return isinstance(model, str) and ".py" in model


def open_cell(model, expected=None, outside=None):
    """The `UserCell` that a user names, executed and checked.

    Parameters
    ----------
    model : str or Cell
        ``"my_cell.py:GRU"``, or the declaration itself, imported from a file.
    expected : UserCell, optional
        Nothing else is executed.
    outside : path-like, optional
        A folder whose files are never executed.

    Raises
    ------
    ValueError
        Of one line: there is no such file or declaration, it is another than expected, it cannot be executed, or
        does not do what it declares.
    """
    path, name, content = _read(model)
    cell = UserCell(path, name, hashlib.sha256(content).hexdigest())
    if expected is not None and cell != expected:
        raise ValueError(f"cell: expected {expected.name} of a file with SHA-256 {expected.sha256}, as {expected.path} "
                         f"was, got {name} of {path} with {cell.sha256}; name the file that the run was made with")
    if outside is not None and Path(path).resolve().is_relative_to(Path(outside).resolve()):
        raise ValueError(f"cell: {path} lies in the folder of the run, where nothing is executed; copy it elsewhere")
    declaration = model
    if not isinstance(model, Cell):
        declaration = vars(executed(path, content)).get(name)
    if not isinstance(declaration, Cell):
        raise ValueError(f"cell: expected {name} = Cell(...) in {path}, got {show(declaration)}; correct the name")
    if declaration.name in CELLS or not re.fullmatch(r"[\w-]+", declaration.name):
        raise ValueError(f"cell: expected {path} to call {name} by a word that is no cell of minibn's, got "
                         f"name={declaration.name!r}; choose another")
    if declaration.kernel is not None:
        raise ValueError(f"cell: expected {name} of {path} without a kernel, got kernel={declaration.kernel!r}, which "
                         f"computes a cell of minibn's; take it out")
    try:
        check_declaration(declaration)
    except ValueError as error:
        raise ValueError(str(error).replace(USER_MODULE + cell.sha256, path)) from None
    KNOWN[name, cell.sha256] = declaration
    return cell


def declared_name(model):
    """What the declaration calls itself, found without executing the file; the model itself if it is minibn's."""
    if not is_user_cell(model):
        return model
    path, variable, content = _read(model)
    try:
        body = ast.parse(content).body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"cell: {path} is not Python ({error}); correct it") from error
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and any(
                isinstance(target, ast.Name) and target.id == variable for target in node.targets):
            for keyword in node.value.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    raise ValueError(f'cell: expected a line {variable} = Cell(name="...", ...) in {path}, got none; write it, or name '
                     f'another declaration')


def executed(path, content):
    """The module of a file. Its name says its content, so that another process finds the same again (`Cell`)."""
    module = ModuleType(USER_MODULE + hashlib.sha256(content).hexdigest())
    if module.__name__ in sys.modules:
        return sys.modules[module.__name__]
    module.__file__ = os.path.abspath(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(content, module.__file__, "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        del sys.modules[module.__name__]
        if not isinstance(error, Exception):
            raise
        raise ValueError(f"cell: {path} cannot be executed ({type(error).__name__}: {error}); correct it") from error
    return module


def _read(model):
    """Path, name and content of the file that a user names."""
    if isinstance(model, Cell):
        module = sys.modules[model.module]
        path = getattr(module, "__file__", None)
        name = next((name for name, value in vars(module).items() if value is model), None)
        if path is None or name is None:
            raise ValueError(f"cell: expected a declaration in a file, got {model!r} made in {model.module}; write it "
                             f"to a file, and name that: my_cell.py:{name or 'CELL'}")
    else:
        found = FORM.fullmatch(model)
        if not found:
            raise ValueError(f"model: expected a file and the name of the declaration in it, such as my_cell.py:GRU, "
                             f"got {show(model)}; name both")
        path, name = found.groups()
    try:
        return path, name, Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ValueError(f"cell: cannot read {show(path)} ({getattr(error, 'strerror', None) or error}); correct the "
                         f"name") from error
