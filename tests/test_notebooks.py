"""Every notebook is committed as a reader wants to see it, and runs again from a fresh kernel, solutions included.

The code of a solution stands in its folded ``<details>``; it is executed after the notebook's own cells.
"""

import base64
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install nbformat nbclient ipykernel")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbformat nbclient ipykernel")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install nbformat nbclient ipykernel")

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 600               # for one cell: ends only what hangs
PICTURE_BYTES = 250_000
EXERCISES = 3

# What must not be read in a file that others open: somebody's home folder, or a place on one machine.
FOLDERS = "home|root|Users|tmp|usr|var|mnt|opt|work|srv|private|content"
PLACES = re.compile(rf"(?<![\w.~<])/(?:{FOLDERS})/[\w.]|\b[A-Z]:\\\\?\w")
SOLUTION = re.compile(r"^<details>.*?^</details>", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def after(notebook, heading):
    """The code cell that follows a heading."""
    [place] = [k for k, cell in enumerate(notebook.cells) if cell.source.strip() == heading]
    return notebook.cells[place + 1]


def outputs(notebook):
    return [(cell.id, output) for cell in code_cells(notebook) for output in cell.outputs]


def solutions(notebook):
    """The folded solutions, each as its Markdown text."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return SOLUTION.findall(text)


def texts_of(notebook):
    """Every text that a reader can see: sources, and outputs but for pictures."""
    for cell in notebook.cells:
        yield cell.id, cell.source
    for cell_id, output in outputs(notebook):
        yield cell_id, output.get("text", "")
        for kind, data in output.get("data", {}).items():
            if kind != "image/png":
                yield cell_id, str(data)


def require_clean_outputs(notebook):
    for cell_id, output in outputs(notebook):
        assert output.output_type != "error", f"{cell_id}: {output.get('ename')}: {output.get('evalue')}"
        assert output.get("name") != "stderr", f"{cell_id} wrote on stderr: {output.text}"


def require_no_machine_paths(notebook):
    for cell_id, text in texts_of(notebook):
        found = PLACES.search(text)
        around = found and text[max(0, found.start() - 40):found.end() + 40]
        assert not found, f"{cell_id} names a place on one machine: ... {around} ..."


def has_picture(cell):
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def test_there_are_notebooks():
    assert PATHS


@every_notebook
def test_committed_as_executed(path):
    notebook = read(path)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run it once from top to bottom, in a fresh kernel, and save it"
    require_clean_outputs(notebook)
    require_no_machine_paths(notebook)
    kernel = notebook.metadata.kernelspec
    assert kernel.name == "python3" and kernel.display_name == "Python 3", "another reader's kernel has no such name"
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "widgets"}


@every_notebook
def test_opens_with_a_question_and_its_picture_and_ends_with_a_check_and_exercises(path):
    notebook = read(path)
    cells = code_cells(notebook)
    assert "?" in notebook.cells[0].source, "the first cell asks the question"
    assert has_picture(cells[0]), "the first code cell draws the picture that answers it"
    assert "assert " in after(notebook, "## Check").source, "a cell checks what the notebook said"
    folded = solutions(notebook)
    assert len(folded) >= EXERCISES and all(CODE.search(text) for text in folded)
    answers = [cell for cell in cells if "check_answer(" in cell.source]
    assert len(answers) >= EXERCISES and all("..." in cell.source for cell in answers), "a cell for each answer"


@every_notebook
def test_pictures_are_small(path):
    for cell_id, output in outputs(read(path)):
        picture = output.get("data", {}).get("image/png")
        if picture:
            size = len(base64.b64decode(picture))
            assert size <= PICTURE_BYTES, f"{cell_id}: a picture of {size} bytes"


@every_notebook
def test_runs_from_a_fresh_kernel(path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)       # the kernel's own: pictures inline
    committed = read(path)
    fresh = read(path)
    for cell in code_cells(fresh):
        cell.outputs, cell.execution_count = [], None
    solution_code = [code for text in solutions(fresh) for code in CODE.findall(text)]
    fresh.cells += [nbformat.v4.new_code_cell(code, id=f"solution-{k}") for k, code in enumerate(solution_code)]

    nbclient.NotebookClient(fresh, timeout=SECONDS, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(FOLDER)}}).execute()

    require_clean_outputs(fresh)
    require_no_machine_paths(fresh)
    for before, now in zip(code_cells(committed), code_cells(fresh), strict=False):
        assert has_picture(before) == has_picture(now), f"{before.id}: the saved pictures are not those of this code"


def test_the_index_names_every_notebook():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in PATHS if path.name not in index] == []
    linked = re.findall(r"\]\(([\w.]+\.ipynb)\)", index)
    assert [name for name in linked if not (FOLDER / name).exists()] == []
