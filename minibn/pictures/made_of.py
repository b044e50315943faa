"""What each quantity of a step is computed from, read from the cell's own source.

A step is one flat function with a line for each quantity, so the lines are the computation graph: whatever a line
reads, its quantity is made of. Nothing has to be declared, and a cell in a user's file has a graph, too.
"""

import ast
import inspect
import textwrap

from minibn.equations.batch_norm import batch_norm_forward


def made_of(cell):
    """The computation graph of one step, with the statistics of the minibatch.

    Parameters
    ----------
    cell : Cell
        Such as `minibn.cells.bn_lstm.CELL`.

    Returns
    -------
    dict
        Name of a quantity -> names of the quantities that it is directly computed from, in the cell's order.
    """
    parts = {"x_term": {"x_term"}, **{f"{state}_prev": {f"{state}_prev"} for state in cell.states}}
    found = {name: () for name in parts}

    def assign(name, sources):
        """A quantity is a part of what follows; any other local variable passes on what it was made of."""
        if name in cell.quantities:
            found[name] = tuple(other for other in cell.quantities if other in sources)
        parts[name] = {name} if name in cell.quantities else sources

    for targets, value in _assignments(cell.find("step_forward")):
        if _calls(value, batch_norm_forward):
            (y, cache), (a, *_) = targets, value.args
            term, inside = cache.removesuffix("_bn"), {"a": _read(a, parts)}
            for names, inner in _assignments(batch_norm_forward):
                sources = _read(inner, inside)
                for name in names:
                    outer = y if name == "y" else f"{term}_{name}"
                    if outer in cell.quantities:
                        assign(outer, sources)
                        inside[name] = parts[outer]
        else:
            sources = _read(value, parts)
            for name in targets:
                assign(name, sources)
    return {name: found[name] for name in cell.quantities}


def _assignments(function):
    """(names, expression) of each line that assigns; of an ``if``, the lines of its first branch."""
    def lines(body):
        for line in body:
            if isinstance(line, ast.If):
                yield from lines(line.body)
            elif isinstance(line, ast.Assign):
                yield [node.id for node in ast.walk(line.targets[0]) if isinstance(node, ast.Name)], line.value

    [definition] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    yield from lines(definition.body)


def _calls(value, function):
    return isinstance(value, ast.Call) and getattr(value.func, "id", None) == function.__name__


def _read(value, parts):
    """The quantities behind the names that an expression reads."""
    return set().union(*(parts.get(node.id, ()) for node in ast.walk(value) if isinstance(node, ast.Name)))
