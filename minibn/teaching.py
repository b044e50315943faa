"""What the notebooks need: the library's own source beside a derivation, and a look at a reader's answer."""

import ast
import inspect
import textwrap
from html import escape

import numpy as np

from minibn.backend import to_host
from minibn.errors import show

WIDTH = 82      # columns of code that fit beside JupyterLab's file browser
PRE = "white-space:pre;overflow-x:auto;margin:0 0 8px;padding:6px;font-family:monospace;background:#f8f8f8;color:#222"


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
    """Source text that displays itself: ``str(source)`` is plain, Jupyter shows it coloured; its lines never break."""

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

    def _repr_html_(self):
        return "".join(f"<code>{file}</code>{_html(text)}" for file, text in self.parts)


def _html(text):
    """The code, coloured where Pygments is installed, as it is beside every Jupyter kernel."""
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
    except ImportError:
        return f'<pre style="{PRE}">{escape(text)}</pre>'
    return highlight(text, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True, prestyles=PRE))


def check_answer(answer, expected, tolerance=1e-9):
    """Print whether an answer to an exercise is right, without telling the right one.

    Parameters
    ----------
    answer : number, bool, str, ndarray, or collection of str
        ``...`` says that there is none yet.
    expected : callable, or value
        A function without arguments is called only when there is an answer.
    tolerance : float
        Of numbers, relative to the largest of them.

    Returns
    -------
    bool or None
        None without an answer.
    """
    if answer is ...:
        print("Not answered yet: put your answer in the place of the three dots.")
        return None
    expected = expected() if callable(expected) else expected
    fault = _difference(answer, expected, tolerance)
    print(f"Not yet: {fault}." if fault else "Right.")
    return not fault


def _difference(answer, expected, tolerance):
    """What is wrong, in words; empty where nothing is."""
    if isinstance(expected, set | frozenset):
        got = set([answer] if isinstance(answer, str) else answer)
        wrong, missing = len(got - expected), len(expected - got)
        words = [f"{wrong} of your entries {'is' if wrong == 1 else 'are'} wrong"] * bool(wrong)
        return " and ".join(words + [f"{missing} {'is' if missing == 1 else 'are'} missing"] * bool(missing))
    if isinstance(expected, str | bool | np.bool_):
        return "" if answer == expected else f"{show(answer)} is not it"
    try:
        answer, expected = (np.asarray(to_host(value), dtype=np.float64) for value in (answer, expected))
    except (TypeError, ValueError):
        return f"expected numbers, got {show(answer)}"
    if answer.shape != expected.shape:
        return f"expected the shape {expected.shape}, got {answer.shape}"
    wrong = ~(np.abs(answer - expected) <= tolerance * np.abs(expected).max(initial=0))
    if not wrong.any():
        return ""
    if np.abs(answer + expected).max() <= tolerance * np.abs(expected).max():
        return "the sign is the other one"
    return f"{wrong.sum()} of {wrong.size} numbers differ" if wrong.size > 1 else f"{float(answer):.4g} is not it"


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
