"""Hand-outs, made from the library's own source: the functions with their lines taken out, and a worksheet.

The same command gives the same bytes each time.
"""

import ast
import json
import re
import textwrap
from importlib import import_module, resources
from importlib.metadata import metadata
from pathlib import Path

from minibn.cells import CELLS
from minibn.labs import kit
from minibn.labs.catalogue import VERSION
from minibn.labs.source import RESULT, code_of, places_of
from minibn.labs.variants import VARIANTS

WIDTH = 78
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SETUP = """\
# On Colab, and wherever minibn is not there yet, this installs it and writes the lab's files.
import importlib.util
from pathlib import Path

if importlib.util.find_spec("minibn") is None:
    %pip install --quiet --no-deps git+{address}
if not Path("{lab}.py").exists():
    !minibn lab make {number} --out .
"""
CELL_FILES = {cell.module for cell in CELLS.values()}


def make_lab(lab, out, variant="", solution=False, hint_level=None):
    """Write the folder of a lab.

    Parameters
    ----------
    lab : Lab
    out : path-like
        A new or empty folder, or that of the same lab, whose hand-outs are replaced if nobody has changed them.
    variant : str
        Of `minibn.labs.variants.VARIANTS`.
    solution : bool
        With the library's lines in place: for the teacher, and for tests.
    hint_level : int, optional
        Fixed for this hand-out; by default it rises with the attempts.

    Returns
    -------
    list of Path
    """
    out = Path(out)
    if variant and variant not in VARIANTS.get(lab.number, {}):
        raise ValueError(f"variant: expected {', '.join(VARIANTS.get(lab.number, {})) or 'none'}, got {variant!r}")
    files = {
        "README.md": readme(lab, variant),
        f"{lab.name}.py": module_text(lab, variant, solution),
        f"{lab.name}.ipynb": notebook(lab, variant, solution),
        "lab.json": json.dumps({"lab": lab.number, "version": VERSION, "variant": variant, "hints": hint_level,
                                "seed": 1}, indent=1) + "\n",
    }
    changed = [name for name, text in files.items() if (out / name).exists()
               and (out / name).read_text(encoding="utf-8") != text]
    if changed:
        raise ValueError(f"out: {out} has another {changed[0]}, and work is never overwritten; choose another folder "
                         f"with --out")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in files]


# The module


def module_text(lab, variant="", solution=False):
    """``labN.py``: a docstring, what may be imported, and the functions that are asked for."""
    functions = [_lines(ask, solution) if ask.module in CELL_FILES else _whole(ask, solution) for ask in lab.asks]
    functions = [text if lab.judge != "project" else textwrap.dedent(ask.source.text)
                 for text, ask in zip(functions, lab.asks, strict=True)]
    body = "\n\n\n".join(functions)
    intro = [f'r"""Lab {lab.number}. {lab.title}', ""]
    intro += textwrap.wrap(f"Fill in what is blank, and run `minibn lab check` in this folder. {_asked(lab)} Axes: T "
                           f"time steps, N examples, H units; states and inputs are rows.", WIDTH)
    for module in dict.fromkeys(ask.module for ask in lab.asks if ask.module in CELL_FILES):
        intro += ["", *import_module(module).__doc__.strip().splitlines()]
    if variant:
        intro += ["", *textwrap.wrap(f"A variant is asked for. {VARIANTS[lab.number][variant].sentence}", WIDTH)]
    return "\n".join([*intro, '"""', "", *_imports(lab, body), "", "", body, ""])


def _asked(lab):
    if lab.judge == "project":
        return "Nothing is blank: your labs 2, 4 and 5 are put to work."
    return f"It is worth {lab.points} points: " + ", ".join(
        f"{blank.id} {blank.points}" for blank in lab.blanks) + "."


def _imports(lab, body):
    """The names that the functions need, from NumPy and `minibn.labs.kit`."""
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    originals = {node.id for ask in lab.asks for node in ast.walk(ask.source.tree) if isinstance(node, ast.Name)}
    asked = {ask.function for ask in lab.asks}
    names = sorted((used | originals) & set(kit.__all__) - asked)
    lines = ["import numpy as np", ""]
    if lab.judge == "project":
        own = sorted((used | {"PARTS"}) & set(vars(import_module(lab.asks[0].module))) - asked)
        return [f"from minibn.labs.project import {', '.join(name for name in own if name != 'use')}",
                "from minibn.labs import use"]
    if lab.judge == "catch":
        return [*lines, "from minibn import check_function", "from minibn.labs.kit import BatchNormGradients"]
    line = f"from minibn.labs.kit import {', '.join(names)}"
    return [*lines, line if len(line) <= 100 else textwrap.fill(
        f"from minibn.labs.kit import ({', '.join(names)})", 100, subsequent_indent=" " * 29)]


def _whole(ask, solution):
    """A function without its body; what it returns by name stays, as a list of what is wanted."""
    source = ask.source
    if solution:
        return source.text.rstrip()
    lines, first = source.text.splitlines(), source.body[0].lineno - 1
    while first and lines[first - 1].strip().startswith("#"):
        first -= 1
    kept = [f"    # {line}" for line in textwrap.wrap(ask.equations, WIDTH)]
    kept.append(f'    raise NotImplementedError("{ask.function}")')
    last = source.body[-1]
    named = isinstance(last, ast.Return) and RESULT not in places_of(last.value, _all_names(last.value))
    if named:
        kept += [line for line in lines[last.lineno - 1:last.end_lineno]]
    return "\n".join([*lines[:first], *kept])


def _all_names(node):
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _lines(ask, solution):
    """A step in which every line that computes is ``name = ...``, and its shape stays behind it."""
    source = ask.source
    if solution:
        return source.text.rstrip()
    lines = source.text.splitlines()
    for line in reversed(source.lines):
        if not line.names:
            continue
        target = line.text.split(" = ")[0]
        comment = re.search(r"#.*", lines[line.last])
        blank = f"    {target} = ..."
        lines[line.first:line.last + 1] = [f"{blank:<70}{comment.group()}".rstrip() if comment else blank]
    return "\n".join(lines)


# The worksheet


def repository():
    """The address of the project: it stands in pyproject.toml, and nowhere else."""
    lines = metadata("minibn").get_all("Project-URL") or []
    return next((line.split(", ")[1] for line in lines if line.startswith("Repository, ")), "")


def worksheet(lab):
    """The text of the worksheet: Markdown, with the cells of code between fences."""
    return (resources.files("minibn.labs") / "worksheets" / f"{lab.name}.md").read_text(encoding="utf-8")


def readme(lab, variant=""):
    """The beginning of the worksheet, up to its first cell, and how to work on it."""
    head = worksheet(lab).split("```python")[0].rstrip()
    sentence = VARIANTS[lab.number][variant].sentence if variant else ""
    return "\n".join([
        head, "", *([f"**This hand-out asks for a variant.** {sentence}", ""] * bool(variant)),
        f"Time: about {lab.minutes} minutes. Points: {lab.points}.", "",
        "| blank | points |", "|---|---:|", *(f"| {blank.id} | {blank.points} |" for blank in lab.blanks), "",
        f"Write your code in `{lab.name}.py`. The worksheet `{lab.name}.ipynb` asks the questions and draws your "
        f"results. Check your work as often as you like:", "", "    minibn lab check", "",
        f"Hand in `{lab.name}.py`.", ""])


def notebook(lab, variant="", solution=False):
    """The worksheet as a notebook, byte for byte the same each time; nbgrader reads its solution markers."""
    cells, sentence = [], variant and VARIANTS[lab.number][variant].sentence
    first = ("code", SETUP.format(address=repository(), lab=lab.name, number=lab.number))
    for number, (kind, text) in enumerate([*_cells(worksheet(lab), sentence)[:1], first,
                                           *_cells(worksheet(lab), sentence)[1:]]):
        graded = {}
        if kind == "code" and BEGIN in text:
            text = text if solution else without_solution(text)
            graded = {"nbgrader": {"grade": False, "grade_id": f"{lab.name}-{number}", "locked": False,
                                   "schema_version": 3, "solution": True, "task": False}}
        cell = {"cell_type": kind, "id": f"{lab.name}-{number}", "metadata": graded}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append({**cell, "source": text.splitlines(True)})
    document = {"cells": cells, "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cells(text, sentence):
    """(kind, text) of each cell."""
    return list(_parts(text, sentence))


def _parts(text, sentence):
    for number, part in enumerate(re.split(r"^```python\n(.*?)^```\n?", text, flags=re.S | re.M)):
        part = part.strip("\n")
        if part:
            extra = f"\n\n**This hand-out asks for a variant.** {sentence}" if sentence and number == 0 else ""
            yield ("code" if number % 2 else "markdown"), part + extra


def without_solution(text):
    """The cell with what stands between the markers taken out.

    Raises
    ------
    ValueError
        A marker has no partner.
    """
    kept, inside = [], False
    for line in text.splitlines():
        marker = line.strip()
        if marker == BEGIN and not inside:
            inside = True
            kept.append(f"{line[:len(line) - len(line.lstrip())]}answer = ...")
        elif marker == END and inside:
            inside = False
        elif marker in (BEGIN, END):
            raise ValueError(f"worksheet: {marker!r} has no partner; write {BEGIN!r} above a solution, {END!r} below")
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"worksheet: {BEGIN!r} is not closed; write {END!r} below the solution")
    return "\n".join(kept)


def solution_lines(lab):
    """The library's lines that no hand-out may hold, normalized."""
    return {"".join(code_of(line.text).split()) for ask in lab.asks for line in ask.source.lines
            if line.names and lab.judge == "functions"}
