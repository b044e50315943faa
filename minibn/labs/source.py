"""The library's own functions as lists of lines: to blank, to edit, and to execute one after the other.

A line is one statement, however many lines of text it takes; of a loop or a condition it is the head. It is written
without its comment, and is found again by that text, so that a table of edits follows the code or fails.
"""

import ast
import inspect
import re
import textwrap
from copy import copy
from functools import cached_property
from importlib import import_module
from operator import attrgetter
from os.path import commonprefix
from typing import NamedTuple

TOKEN = re.compile(r"\s+|\w+|\*\*|.")
RESULT = "result"       # the name of what a function returns without a name


class Line(NamedTuple):
    """One statement of a function, or the head of a loop or a condition."""

    first: int          # its first and last line in the function's source, from 0
    last: int
    text: str           # without indentation and comments
    names: tuple        # that it assigns; of a head: that all below it assigns
    top: int            # the number of the statement of the body in which it stands


class Edit(NamedTuple):
    """A part of a line, from `begin` to `end`, and what stands in its place."""

    line: str
    begin: int
    end: int
    new: str

    @classmethod
    def between(cls, line, edited):
        """The smallest edit that makes one line of another: two on one line often leave each other alone."""
        old, new = (TOKEN.findall(text) for text in (line, edited))
        tail = len(commonprefix([old[::-1], new[::-1]]))
        old, new = old[:len(old) - tail], new[:len(new) - tail]
        head = len(commonprefix([old, new]))
        begin = len("".join(old[:head]))
        return cls(line, begin, begin + len("".join(old[head:])), "".join(new[head:]))

    def apart(self, other):
        """Whether both can be made: they are of two lines, or have no more than a space in common."""
        first, second = sorted((self, other), key=lambda edit: edit.begin)
        return self.line != other.line or not self.line[second.begin:first.end].strip()

    @property
    def edited(self):
        """The whole line with the edit in place."""
        return self.line[:self.begin] + self.new + self.line[self.end:]


class Source:
    """A function of the library that a lab can ask for.

    Parameters
    ----------
    module, name : str
        Where it stands: ``minibn.cells.lstm``, ``step_backward``.
    """

    def __init__(self, module, name):
        self.module, self.name = module, name
        self.original = attrgetter(name)(import_module(module))
        self.text = textwrap.dedent(inspect.getsource(self.original))
        self.arguments = tuple(inspect.signature(self.original).parameters)
        [self.tree] = ast.parse(self.text).body
        self.body = self.tree.body[1:] if ast.get_docstring(self.tree) else self.tree.body
        self._programs = {}

    @cached_property
    def lines(self):
        """Every `Line` of the function, in order."""
        found = [self._line(node, number) for number, top in enumerate(self.body) for node in ast.walk(top)
                 if isinstance(node, ast.stmt)]
        return sorted(found, key=lambda line: line.first)

    def _line(self, node, top):
        last = node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno
        parts = [code_of(line) for line in self.text.splitlines()[node.lineno - 1:last]]
        parts = [part for part in parts if part]
        text = parts[0]
        for part in parts[1:]:
            text += part if text.endswith(("(", "[", "{")) else f" {part}"
        return Line(node.lineno - 1, last - 1, text, assigned(node), top)

    def find(self, text):
        """The line of this text.

        Raises
        ------
        LookupError
            It is not there exactly once: the table of mistakes no longer fits the code.
        """
        found = [line for line in self.lines if line.text == text]
        if len(found) != 1:
            raise LookupError(f"{self.name}: expected the line {text!r} once in {self.module}, found it {len(found)} "
                              f"times; make the table of mistakes follow the code")
        return found[0]

    def edited(self, edits=()):
        """The source with all edits in place, which have to be `apart`."""
        lines = self.text.splitlines()
        for text in {edit.line for edit in edits}:
            line, new, end = self.find(text), text, len(text)
            for edit in sorted((edit for edit in edits if edit.line == text), key=lambda edit: -edit.begin):
                new = new[:edit.begin] + edit.new + new[min(edit.end, end):]
                end = edit.begin
            indent = lines[line.first][:len(lines[line.first]) - len(lines[line.first].lstrip())]
            lines[line.first:line.last + 1] = [indent + new] + [""] * (line.last - line.first)
        return "\n".join(lines)

    def function(self, edits=()):
        """The function with the edits, in a namespace of its own: nothing of the library is touched."""
        space = dict(vars(import_module(self.module)))
        exec(compile(self.edited(edits), f"<{self.name}>", "exec"), space)
        return space[self.name]

    @cached_property
    def _program(self):
        return Program(self, self.text)

    def program(self, edits=()):
        """The function with the edits as a `Program`, made once; it shares the statements that are as they were."""
        if edits not in self._programs:
            self._programs[edits] = self._changed(edits)
        return self._programs[edits]

    def _changed(self, edits):
        tops = {self.find(edit.line).top for edit in edits}
        if self._program.whole is not None or len(self.body) - 1 in tops:
            return Program(self, self.edited(edits))
        lines, changed = self.edited(edits).splitlines(), {}
        for top in tops:
            node = self.body[top]
            [changed[top]] = ast.parse(textwrap.dedent("\n".join(lines[node.lineno - 1:node.end_lineno]))).body
        return self._program.changed(changed)


class Program:
    """A function as statements that are executed one by one, so that a value can be exchanged between two of them.

    Attributes
    ----------
    steps : list of (code, names)
        Each statement, and the names that it assigns for the last time.
    places : dict
        Name -> where the function returns it: a path of `minibn.labs.answers.leaves`.
    """

    def __init__(self, source, text):
        [tree] = ast.parse(text).body
        body = tree.body[1:] if ast.get_docstring(tree) else tree.body
        self.space = dict(vars(import_module(source.module)))
        arguments = inspect.signature(source.original).parameters.values()
        self.space |= {one.name: one.default for one in arguments if one.default is not one.empty}
        self.whole = None
        returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
        if returns != [body[-1]]:       # it returns in the middle: one statement, the call
            exec(compile(text, f"<{source.name}>", "exec"), self.space)
            self.whole = self.space[source.name]
            self.steps, self.places = [], {RESULT: ""}
            return
        *body, last = body
        self.called = source.name
        self.places = places_of(source.body[-1].value, {name for node in source.body for name in assigned(node)})
        parts = {name: ast.unparse(_part(last.value, path)) for name, path in self.places.items()}
        other = {name: part for name, part in parts.items() if part != name}    # that is returned in its place
        if other:
            body += ast.parse(f"{', '.join(other)} = {', '.join(other.values())}").body
        self.nodes = body
        last_of = self._last()
        self.steps = [self._step(number, node, last_of) for number, node in enumerate(body)]

    def changed(self, nodes):
        """Another program, with some statements replaced: number -> statement."""
        other = copy(self)
        other.nodes = [nodes.get(number, node) for number, node in enumerate(self.nodes)]
        last_of = other._last()
        other.steps = [other._step(number, node, last_of) if number in nodes or last_of != self._last_of else
                       self.steps[number] for number, node in enumerate(other.nodes)]
        return other

    def _last(self):
        self._last_of = {name: number for number, node in enumerate(self.nodes) for name in assigned(node)}
        return self._last_of

    def _step(self, number, node, last_of):
        code = compile(ast.fix_missing_locations(ast.Module([node], [])), f"<{self.called}>", "exec")
        return code, tuple(name for name in assigned(node) if last_of[name] == number)

    def run(self, arguments, exchange):
        """Execute it; ``exchange(name, value)`` says with which value of a name the later statements go on."""
        space = {**self.space, **arguments}
        if self.whole is not None:
            exchange(RESULT, self.whole(**arguments))
        for code, names in self.steps:
            exec(code, space)
            for name in names:
                if name in space:       # else a branch that was not taken
                    space[name] = exchange(name, space[name])


def code_of(line):
    """A line without indentation and comment. No string of these functions has a #."""
    return line.split("#")[0].strip()


def assigned(node):
    """The names that a statement assigns, and all statements in it; not what a loop runs over."""
    targets = [target for inner in ast.walk(node) if isinstance(inner, ast.Assign | ast.AugAssign)
               for target in (inner.targets if isinstance(inner, ast.Assign) else [inner.target])]
    return tuple(dict.fromkeys(name for target in targets for name in _names_in(target)))


def _names_in(target):
    if isinstance(target, ast.Tuple | ast.List):
        return [name for part in target.elts for name in _names_in(part)]
    while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
        target = target.value
    return [target.id]


def _part(value, path):
    """What a returned expression has at a path. {**locals(), "di": dg} has dg at di."""
    for key in filter(None, path.split(".")):
        if isinstance(value, ast.Dict):
            named = {one.value: part for one, part in zip(value.keys, value.values, strict=True) if one}
        elif ast.unparse(value) == "locals()":
            named = {}
        else:
            named = {str(number): part for number, part in enumerate(getattr(value, "elts", None) or value.args)}
        value = named.get(key) or ast.Name(key, ast.Load())
    return value


def places_of(value, known, path=""):
    """Where a returned expression has each name: {} of ``locals()`` is everything, under its own name."""
    if isinstance(value, ast.Name):
        return {value.id: path} if value.id in known else {}
    if isinstance(value, ast.Call) and ast.unparse(value) == "locals()":
        return {name: name for name in known}
    parts = value.elts if isinstance(value, ast.Tuple) else value.args if isinstance(value, ast.Call) else []
    if not parts or not all(isinstance(part, ast.Name | ast.Tuple | ast.Call) for part in parts) or (
            isinstance(value, ast.Call) and not ast.unparse(value.func)[0].isupper()):
        return {RESULT: path}
    found = {}
    for number, part in enumerate(parts):
        found |= places_of(part, known, f"{path}.{number}".lstrip("."))
    return found
