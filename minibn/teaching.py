"""What the notebooks need to show the library's own source beside a derivation, never a retyped copy of it."""

import ast
import inspect
import textwrap

WIDTH = 82      # columns of code that fit beside JupyterLab's file browser


def show_source(*functions, docstring=False):
    """The source of functions or classes of minibn, as highlighted code in a notebook and as text elsewhere.

    The code is exactly the library's; the comment of a long line stands closer to it, or above it.

    Parameters
    ----------
    *functions : function or class
        Shown one below the other, in this order.
    docstring : bool
        Show the docstrings too. They are left out by default: the text around the cell takes their place.

    Returns
    -------
    Source

    Examples
    --------
    >>> from minibn.equations.activations import dtanh
    >>> show_source(dtanh)
    # minibn/equations/activations.py
    def dtanh(y):
        return 1 - y * y
    """
    if not functions:
        raise TypeError("functions: expected at least one function or class, got none; "
                        "pass one, as in show_source(minibn.cells.rnn.step_forward)")
    for function in functions:
        if not (inspect.isfunction(function) or inspect.isclass(function)):
            raise TypeError(f"functions: expected functions or classes written in Python, got "
                            f"{type(function).__name__} {function!r}; pass the function itself, not its name or result")
    return Source(functions, docstring)


class Source:
    """Source text that displays itself: ``str(source)`` is plain, Jupyter shows Markdown."""

    def __init__(self, functions, docstring):
        self.parts = []    # of [file, text]; neighbours from one file share its heading
        for function in functions:
            file, text = _file_of(function), _text_of(function, docstring)
            if self.parts and self.parts[-1][0] == file:
                self.parts[-1][1] += f"\n\n{text}"
            else:
                self.parts.append([file, text])

    def __repr__(self):
        return "\n\n".join(f"# {file}\n{text}" for file, text in self.parts)

    def _repr_markdown_(self):
        # Markdown, not HTML: every viewer of notebooks highlights it in its own colours.
        return "\n\n".join(f"`{file}`\n\n```python\n{text}\n```" for file, text in self.parts)


def _file_of(function):
    """The module as a file of the repository: nobody's home folder is shown."""
    return function.__module__.replace(".", "/") + ".py"


def _text_of(function, docstring):
    text = textwrap.dedent(inspect.getsource(function)).rstrip()
    if not docstring:
        text = _without_docstrings(text)
    return "\n".join(map(_narrow, text.splitlines()))


def _narrow(line):
    """The line; where its comment would not fit, that moves up to the code, or above it."""
    code, hash_, comment = line.partition("  # ")
    if len(line) <= WIDTH or not hash_ or not code.strip():
        return line
    code, comment = code.rstrip(), comment.strip()
    if len(f"{code}  # {comment}") <= WIDTH:
        return f"{code}  # {comment}"
    return f"{code[:len(code) - len(code.lstrip())]}# {comment}\n{code}"


def _without_docstrings(text):
    """The same lines without those of any docstring."""
    lines, dropped = text.splitlines(), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) and len(node.body) > 1:
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno
            while last < len(lines) and not lines[last].strip():
                last += 1                      # the empty line behind it
            dropped.update(range(first, last))
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)
