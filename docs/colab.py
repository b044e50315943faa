"""What a notebook needs to run on Colab: `python docs/colab.py` writes it into every notebook, from one address.

The link at the end of the first cell, the lines at the top of the first code cell that fetch the project, and the
labs' worksheets in ``notebooks/labs``, which are made by `minibn.labs.make`. Nothing is executed, no output changes.
"""

import json
import re
from pathlib import Path

from minibn.labs import LABS
from minibn.labs.make import notebook, repository

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SETUP = """\
import importlib.util

if importlib.util.find_spec("minibn") is None:      # on Colab: fetch the project, and go to this folder
    !git clone --quiet --depth 1 {address} project
    %pip install --quiet --no-deps ./project
    %cd project/notebooks

"""
LINK = re.compile(r"\n\n\[Open in Colab\]\([^)]*\)$")
TOP = re.compile(r"import importlib\.util\n\nif .*?notebooks\n\n", re.DOTALL)


def link_to(inside):
    """The link that opens a notebook of the repository in Colab."""
    owner = repository().removeprefix("https://github.com/")
    return f"[Open in Colab](https://colab.research.google.com/github/{owner}/blob/main/{inside})"


def with_setup(text, inside):
    """The notebook's text with the link and the lines in place."""
    document = json.loads(text)
    first = document["cells"][0]
    code = next(cell for cell in document["cells"] if cell["cell_type"] == "code")
    first["source"] = _lines(LINK.sub("", "".join(first["source"])) + f"\n\n{link_to(inside)}")
    code["source"] = _lines(SETUP.format(address=repository()) + TOP.sub("", "".join(code["source"]), count=1))
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _lines(text):
    return text.splitlines(True)


def main():
    """Write them."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        path.write_text(with_setup(path.read_text(encoding="utf-8"), f"notebooks/{path.name}"), encoding="utf-8")
    (NOTEBOOKS / "labs").mkdir(exist_ok=True)
    for lab in LABS.values():
        (NOTEBOOKS / "labs" / f"{lab.name}.ipynb").write_text(notebook(lab), encoding="utf-8")


if __name__ == "__main__":
    main()
