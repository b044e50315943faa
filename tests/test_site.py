"""The site: pages that link to each other, one address for the project, and a build without a warning."""

import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import minibn
from minibn.labs import LABS
from minibn.labs.make import notebook

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not (DOCS / "build.py").exists(), reason="the site's source is not there")


@pytest.fixture(scope="module")
def colab():
    return runpy.run_path(str(DOCS / "colab.py"), run_name="colab")


@pytest.fixture(scope="module")
def build():
    return runpy.run_path(str(DOCS / "build.py"), run_name="build")


def test_the_address_stands_in_one_place(build):
    address = build["repository"]()
    assert address.startswith("https://")
    texts = [path for folder in ("minibn", "docs", "tests", "notebooks") for path in (ROOT / folder).rglob("*")
             if path.suffix in (".py", ".md", ".html") and "_build" not in path.parts]
    assert [path.name for path in texts if address in path.read_text(encoding="utf-8")] == []


def test_notebooks_and_labs_can_be_opened_in_colab(colab):
    """`python docs/colab.py` writes what has to be there."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        assert json.loads(text) == json.loads(colab["with_setup"](text, f"notebooks/{path.name}")), path.name
    for lab in LABS.values():
        assert (ROOT / "notebooks" / "labs" / f"{lab.name}.ipynb").read_text(encoding="utf-8") == notebook(lab)


def test_every_page_is_listed(build):
    listed = {*build["USE"], *build["TEACH"]}
    assert {path.stem for path in DOCS.glob("*.md")} == listed


def test_links_are_turned_to_pages(build):
    turned = build["relinked"]
    assert turned("[a](../notebooks/04_bn_lstm.ipynb)", DOCS) == "[a](notebooks/04_bn_lstm.ipynb)"
    assert turned("[a](https://x.y/z)", DOCS) == "[a](https://x.y/z)"
    assert turned("[a](../LICENSE)", DOCS) == f"[a]({build['repository']()}/blob/main/LICENSE)"


def test_what_the_page_in_the_browser_runs(tmp_path):
    """Its own Python, where the modules are absent that a browser lacks. With Pyodide itself it was not tried here."""
    [code] = re.findall(r"runPython\(`(.*?)`\)", (DOCS / "try.html").read_text(encoding="utf-8"), re.DOTALL)
    absent = ("lzma", "ssl", "sqlite3", "multiprocessing", "subprocess", "fcntl", "tqdm", "pooch", "matplotlib",
              "filelock")
    before = f"import sys\nsys.platform = 'emscripten'\nsys.modules.update(dict.fromkeys({absent}))\n"
    after = "\nprint(len(titles), say(1, begin(1)))"
    run = subprocess.run([sys.executable, "-c", before + code + after], cwd=tmp_path, capture_output=True, text=True,
                         check=False)
    assert run.stdout.startswith("6 Lab 1") and "0 of 10 points" in run.stdout, run.stderr


@pytest.mark.slow
def test_the_site_builds_without_a_warning():
    if importlib.util.find_spec("furo") is None:
        pytest.skip("the extra `docs` is not installed")
    run = subprocess.run([sys.executable, str(DOCS / "build.py")], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and not run.stderr, run.stderr
    html = DOCS / "_build" / "html"
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = (html / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert "Open in Colab" in page
        assert json.loads(path.read_text(encoding="utf-8"))["cells"]
    names = (html / "reference" / "minibn.html").read_text(encoding="utf-8")
    assert all(re.search(rf">{name}<", names) for name in minibn.__all__)
    assert sum(path.stat().st_size for path in html.rglob("*") if path.is_file()) < 25 * 2 ** 20
