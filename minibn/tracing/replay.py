"""Run a layer's own forward again, with something added to one quantity in the middle of it.

The functions that the layer runs are compiled a second time, from their own source, with a visit after every
assignment, argument and return: there a nudge can be added to what has just been computed, and everything after it
follows. So there is no second statement of the equations that could differ from the first, and what a student has
changed or blanked in them is what runs. Where a quantity is computed is found by looking: it is the visit that saw
the very array that the cache holds.
"""

import ast
import inspect
import sys
import textwrap
from types import FunctionType, ModuleType, SimpleNamespace

import numpy as np

EQUATIONS = ("minibn.equations", "minibn.cells")
METHODS = ("_input_forward", "_recur_forward")      # of a layer: everything that computes a quantity is below them
READER_METHOD = "_read"                             # of a reader: everything behind its encoders is


class Replay:
    """A copy of a layer that can be nudged: ``layer``, whose ``params`` may be rebound.

    Nothing can be nudged inside the functions ``without_source``, a list of names.
    """

    def __init__(self, cell):
        self.layer = cell.map_params(lambda value: value)
        self.without_source = []
        self._made = {}
        for _, leaf in self.layer.leaves():
            leaf.find = {"step_forward": self._visited(leaf.find("step_forward"))}.__getitem__
            for name in METHODS:
                setattr(leaf, name, self._visited(getattr(type(leaf), name)).__get__(leaf))
        if read := getattr(type(cell), READER_METHOD, None):
            setattr(self.layer, READER_METHOD, self._visited(read).__get__(self.layer))
        self._seen, self._nudges, self._count = None, {}, 0

    def forward(self, nudges, arguments, settings):
        """The layer's forward, with each of the `nudges` (number of the visit -> array) added."""
        self._nudges, self._count = nudges, 0
        return self.layer.forward_only(*arguments, **settings)

    def record(self, arguments, settings):
        """The cache of a forward without nudges, and its visits: pairs (variable, array)."""
        self._seen = []
        try:
            _, cache = self.forward({}, arguments, settings)
            return cache, self._seen
        finally:
            self._seen = None

    def _visit(self, variable, value):
        if not isinstance(value, np.ndarray):
            return value
        if self._seen is not None:
            self._seen.append((variable, value))          # holds the array, so that no other can take its identity
        nudge = self._nudges.get(self._count)
        self._count += 1
        return value if nudge is None else value + nudge

    def _visited(self, function):
        """The function, compiled again with visits; so are the functions of the equations that it calls."""
        if function in self._made:
            return self._made[function]
        try:
            lines, first = inspect.getsourcelines(function)
        except (OSError, TypeError):
            self.without_source.append(function.__qualname__)
            return function
        tree = ast.parse(textwrap.dedent("".join(lines)))
        ast.increment_lineno(tree, first - 1)             # tracebacks show the original lines
        closure = inspect.getclosurevars(function).nonlocals
        world = dict(function.__globals__)
        code = compile(_with_visits(tree, closure), inspect.getsourcefile(function) or "<source>", "exec")
        exec(code, world)
        made = self._made[function] = world["__make__"](self._visit, **closure)
        for name, value in self._used_by(function.__code__, function.__globals__):
            world[name] = value
        return made

    def _used_by(self, code, namespace):
        """The visited form of each function of the equations that `code` names, in itself or through a module."""
        names = set(_names_in(code))
        for name in names & set(namespace):
            value = namespace[name]
            if isinstance(value, ModuleType) and value.__name__.startswith(EQUATIONS):
                inside = {attribute: vars(value)[attribute] for attribute in names & set(vars(value))}
                yield name, SimpleNamespace(**{attribute: self._visited(member) if _is_ours(member) else member
                                               for attribute, member in inside.items()})
            elif _is_ours(value):
                yield name, self._visited(value)


def _is_ours(value):
    """A function of the equations, or one that somebody has put in the place of one."""
    if not isinstance(value, FunctionType):
        return False
    root = (value.__module__ or "").partition(".")[0]
    return value.__module__.startswith(EQUATIONS) if root == "minibn" else root not in sys.stdlib_module_names


def _names_in(code):
    """Global names and attributes that a code object uses, nested functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _names_in(constant)


def _with_visits(tree, closure):
    """``def __make__(__visit__, <the closure's names>)``, which returns the one function of `tree` with visits."""
    function = tree.body[0]
    function.decorator_list = []
    _Visits().visit(function)
    made = ast.parse(f"def __make__({', '.join(['__visit__', *closure])}):\n    return {function.name}")
    made.body[0].body.insert(0, function)
    return ast.fix_missing_locations(made)


class _Visits(ast.NodeTransformer):
    """Adds ``name = __visit__("name", name)`` after every assignment to a name, and at the entry of a function."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        entry = [_visit_of(argument.arg, node) for argument in arguments if argument.arg != "self"]
        node.body = entry + node.body
        return node

    def visit_Assign(self, node):
        self.generic_visit(node)
        names = [target.id for target in ast.walk(ast.Tuple(elts=node.targets, ctx=ast.Store()))
                 if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)]
        return [node, *(_visit_of(name, node) for name in names)]

    def visit_AugAssign(self, node):
        """``c += d`` as ``c = c + d``: what c was before stays what it was."""
        if not isinstance(node.target, ast.Name):
            return node
        before = ast.Name(id=node.target.id, ctx=ast.Load())
        sum_ = ast.BinOp(left=before, op=node.op, right=node.value)
        return self.visit_Assign(ast.copy_location(ast.Assign(targets=[node.target], value=sum_), node))

    def visit_Return(self, node):
        self.generic_visit(node)
        if node.value is not None:
            node.value = ast.copy_location(_call("return", node.value), node)
        return node


def _visit_of(name, node):
    target, value = ast.Name(id=name, ctx=ast.Store()), ast.Name(id=name, ctx=ast.Load())
    return ast.copy_location(ast.Assign(targets=[target], value=_call(name, value)), node)


def _call(variable, value):
    visit = ast.Name(id="__visit__", ctx=ast.Load())
    return ast.Call(func=visit, args=[ast.Constant(value=variable), value], keywords=[])
