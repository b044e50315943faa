"""A student's file, read but not executed: is it Python, what is still blank, does it use what it should write?"""

import ast
from dataclasses import dataclass, field

SOLUTIONS = ("minibn.equations", "minibn.kernels", "minibn.cells", "minibn.statistics", "minibn.labs.source",
             "minibn.labs.catalogue", "minibn.labs.ladder", "minibn.labs.mistakes", "inspect", "torch", "jax",
             "autograd", "tensorflow")
LARGEST = 1_000_000     # bytes of a file


@dataclass
class Submission:
    """What can be said of a file without running it.

    Attributes
    ----------
    text : str
    error : str
        Why it cannot be run: no such file, not Python. Empty where it can.
    blanks : dict
        Function -> the names whose lines are still ``name = ...``.
    missing : list of str
        Functions that were asked for and are not there.
    remarks : list of str
        What a teacher may want to look at.
    """

    text: str = ""
    error: str = ""
    blanks: dict = field(default_factory=dict)
    missing: list = field(default_factory=list)
    remarks: list = field(default_factory=list)


def read(path, functions):
    """Read the file that should define these functions."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Submission(error=f"the file cannot be read: {error.strerror or error}")
    if len(content) > LARGEST:
        return Submission(error=f"the file has {len(content)} bytes; expected at most {LARGEST}")
    try:
        tree = ast.parse(content)
        text = content.decode("utf-8-sig")
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if getattr(error, "lineno", None) else ""
        return Submission(error=f"the file is not Python{line}: {getattr(error, 'msg', error)}")
    except (RecursionError, MemoryError):
        return Submission(error="the file is nested too deeply to be read")
    last = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    others = {name for node in tree.body if not isinstance(node, ast.FunctionDef) for name in _bound(node)}
    return Submission(text, blanks={name: _left(last[name]) for name in functions if name in last},
                      missing=[name for name in functions if name not in last and name not in others],
                      remarks=_remarks(tree, functions))


def is_blank(node):
    """Whether a statement is still ``name = ...``, as the hand-out had it."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is ...


def _left(function):
    """The names that blank lines of a function assign."""
    names = [target for node in ast.walk(function) if is_blank(node) for target in ast.walk(node)
             if isinstance(target, ast.Name)]
    return tuple(target.id for target in names)


def _bound(node):
    if isinstance(node, ast.Assign):
        return [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [node.name] if hasattr(node, "name") else []


def _remarks(tree, functions):
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            taken = [alias.name for alias in node.names if alias.name in functions]
            if taken and (node.module or "").startswith("minibn"):
                found.append(f"line {node.lineno}: takes {', '.join(taken)} from {node.module}, which it should write")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in (
                "__import__", "exec", "eval"):
            found.append(f"line {node.lineno}: calls {node.func.id}")
            continue
        else:
            continue
        used = {name for name in SOLUTIONS for module in modules if f"{module}.".startswith(f"{name}.")}
        if used:
            found.append(f"line {node.lineno}: imports {', '.join(sorted(used))}")
    return list(dict.fromkeys(found))
