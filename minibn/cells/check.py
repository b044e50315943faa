"""Does a cell's file say what its functions do? One step runs, and is compared with the table and with the comments."""

import ast
import inspect
import re

import numpy as np

from minibn.cells.declaration import sizes_of

N, D, H = 5, 2, 3                           # with their small multiples all different: a mixed-up axis must not fit
SHAPE = re.compile(r"#\s*\(([^)]*)\)")


def check_declaration(cell):
    """Compare every quantity, gradient, parameter and shape comment of a cell with what it declares.

    Parameters
    ----------
    cell : Cell

    Raises
    ------
    ValueError
        One line that names all that does not fit.
    """
    faults = []
    for when in (None, *(parameter.when for parameter in cell.parameters.values() if parameter.when)):
        faults += [fault for fault in _faults(cell, when) if fault not in faults]
    if faults:
        raise ValueError(f"cell {cell.name}: expected the functions to fit the declaration, got {'; '.join(faults)}; "
                         f"correct the file {cell.module}")


def _faults(cell, when):
    """What does not fit, in words, with the option `when` on."""
    rng = np.random.default_rng(0)
    options = {name: True if name == when else option.default for name, option in cell.options.items()}
    sizes = {"N": N, "D": D, "H": H, **{option.size: options[name] for name, option in cell.options.items()
                                        if option.size}}
    of_the_input = ("W_x", "gamma_x") if "x" in cell.normalized else ("W_x",)
    parameters = {name: parameter.shape for name, parameter in cell.parameters.items()
                  if name not in of_the_input and parameter.when in (None, when)}
    given = {"x_term": f"N {cell.input}", **{f"{name}_prev": f"N {width}" for name, width in cell.states.items()},
             **parameters, **{name: row.shape for name, row in cell.data.items()}}
    values = {name: rng.standard_normal(sizes_of(shape, sizes)) for name, shape in given.items()}
    upstream = {f"d{name}": rng.standard_normal(sizes_of(f"N {width}", sizes)) for name, width in cell.states.items()}
    try:
        step = cell.forward(**{**options, **values})      # as in a layer: BN-RNN has an option and a parameter gamma
        gradients = cell.backward(step, **upstream)
        first = {name: parameter.make(rng, sizes, options) for name, parameter in cell.parameters.items()}
    except Exception as error:
        yield f"{type(error).__name__} on inputs of the declared shapes: {error}"
        return
    table = {name: row.axes for name, row in cell.quantities.items()}
    states = {name: f"N {width}" for name, width in cell.states.items()}
    expected = {**states, **{name: given[name] for name in given if name.endswith("_prev") or name == "x_term"}}
    yield from (f"no row {name!r} in the table of quantities" for name in expected if name not in table)
    yield from _misfits(step, {**expected, **table}, sizes, "")
    yield from _misfits(gradients, {**expected, **table, **parameters}, sizes, "d")
    yield from (f"first value of {name} of shape {np.shape(value)} for ({cell.parameters[name].shape})"
                for name, value in first.items() if np.shape(value) != sizes_of(cell.parameters[name].shape, sizes))
    yield from _comments(cell.find("step_forward"), step._asdict(), sizes)
    yield from _comments(cell.find("step_backward"), {f"d{k}": v for k, v in gradients._asdict().items()}, sizes)


def _misfits(record, shapes, sizes, prefix):
    """What a record lacks, or has in another shape."""
    for name, shape in shapes.items():
        value = getattr(record, name, None)
        if value is None:
            yield f"no variable {prefix}{name}"
        elif np.shape(value) != sizes_of(shape, sizes):
            yield f"{prefix}{name} of shape {np.shape(value)} for ({shape})"


def _comments(function, values, sizes):
    """Arrays that a line of the function assigns without a comment on their shape, or with a wrong one."""
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return
    tree = ast.parse(inspect.cleandoc("\n" + "".join(lines)) if lines[0][:1].isspace() else "".join(lines))
    for node in ast.walk(tree):
        names = [target.id for target in ast.walk(node) if isinstance(target, ast.Name)
                 and isinstance(target.ctx, ast.Store)] if isinstance(node, ast.Assign) else []
        comment = SHAPE.search(lines[node.end_lineno - 1]) if names else None
        for name in names:
            if not isinstance(values.get(name), np.ndarray):
                continue
            if comment is None:
                yield f"no comment on the shape of {name} in line {first + node.lineno - 1}"
            elif sizes_of(comment[1].replace(",", " "), sizes) != values[name].shape:
                yield f"({comment[1]}) beside {name} of shape {values[name].shape} in line {first + node.lineno - 1}"
