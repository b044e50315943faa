"""The site: `python docs/build.py` puts its pages together in ``docs/_build/source`` and lets Sphinx set them.

The pages of this folder, the notebooks with their saved outputs (none is executed), the gallery, the labs, the table of
mistakes and the reference. Nothing is written by hand twice: lists and tables are made from what they list.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

from minibn.labs.make import repository

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = HERE / "_build"
SOURCE, HTML = BUILD / "source", BUILD / "html"

MATHJAX = "mathjax-3.2.2.tgz"
MATHJAX_SHA256 = "1b9c0a1c44df864e915690558e72adb9cc5203360daefd385084ced3b6c64c09"
ROOMS = ("equations", "cells", "layers", "models", "gradcheck", "tracing", "training", "sweeps", "studies",
         "pictures", "labs")
ALONE = ("statistics", "optimizers", "initializers", "exchange", "teaching")
USE = ("install", "command_line", "sweeps", "defaults", "results", "speed", "correctness", "layout")
TEACH = ("teaching", "students")


def main():
    """Put the pages together, fetch what sets the formulas, and build. Returns Sphinx's exit code."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for folder in ("_static", "pictures"):
        (SOURCE / folder).mkdir(parents=True)
    for make in (pages, notebooks, gallery, labs, mistakes, quantities, reference, home):
        make()
    fetch_mathjax(SOURCE / "_static" / "mathjax")
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", HERE, "-d", BUILD / "doctrees"]
    return subprocess.run([*sphinx, SOURCE, HTML], check=False).returncode or try_page()


def try_page():
    """The page that checks labs in the browser, and the wheel that it loads."""
    shutil.copy(HERE / "try.html", HTML)
    wheels = BUILD / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run = subprocess.run([*pip, "-w", wheels, ROOT], check=False)
    for wheel in wheels.glob("*.whl"):
        shutil.copy(wheel, HTML / "minibn-py3-none-any.whl")
    return run.returncode or ("LITE" in os.environ and lite(wheels))


def lite(wheels):
    """JupyterLite with the notebooks and the wheel, where the variable LITE is set: the browser runs them."""
    folder = BUILD / "lite"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".*"))
    wheel = next(wheels.glob("*.whl"))
    command = [sys.executable, "-m", "jupyter", "lite", "build", "--contents", folder, "--output-dir", HTML / "lite",
               "--lite-dir", wheels, "--piplite-wheels", wheel]
    return subprocess.run(command, cwd=BUILD, check=False).returncode      # it leaves a file where it stands


def write(name, text):
    """A page, from its name and text."""
    path = SOURCE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip() + "\n", encoding="utf-8")


def relinked(text, folder):
    """The text with links that leave `folder` turned to pages of the site, or to the project's own files."""
    def link(found):
        label, target = found.groups()
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith(("#", "mailto:")) or not path:
            return found[0]
        there = (folder / path).resolve()
        if not there.is_relative_to(ROOT):
            return found[0]
        inside = there.relative_to(ROOT).as_posix()
        if there.suffix in (".md", ".ipynb") and inside.startswith(("docs/", "notebooks/")) and there.exists() \
                and "results" not in inside:
            site = inside.removeprefix("docs/").replace("notebooks/README.md", "notebooks/index.md")
            back = "../" if folder.name == "notebooks" else ""
            return f"{label}({back}{site})"
        if there.suffix in (".png", ".gif", ".svg") and there.exists():
            name = inside.replace("/", "-")         # two figures may be called alike
            shutil.copy(there, SOURCE / "pictures" / name)
            return f"{label}(/pictures/{name})"
        return f"{label}({repository()}/blob/main/{inside})"
    return re.sub(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)", link, text)


def pages():
    """The pages of this folder."""
    for path in sorted(HERE.glob("*.md")):
        write(path.name, relinked(path.read_text(encoding="utf-8"), HERE))


def notebooks():
    """The notebooks, as they are saved."""
    names = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for cell in document["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = relinked("".join(cell["source"]), path.parent)
        write(f"notebooks/{path.name}", json.dumps(document))
        names.append(path.stem)
    shutil.copy(ROOT / "notebooks" / "gru.py", SOURCE / "notebooks")
    text = relinked((ROOT / "notebooks" / "README.md").read_text(encoding="utf-8"), ROOT / "notebooks")
    write("notebooks/index.md", f"{text}\n\n{toctree(names)}")


def toctree(names, caption="", hidden=True):
    """A list of pages, for Sphinx."""
    lines = ["```{toctree}", *([":hidden:"] * hidden), *([f":caption: {caption}"] * bool(caption)), "", *names, "```"]
    return "\n".join(lines)


def gallery():
    """The pictures, each with its claim."""
    captions = json.loads((HERE / "gallery" / "captions.json").read_text(encoding="utf-8"))
    shutil.copytree(HERE / "gallery", SOURCE / "_static" / "gallery")
    text = ["# Gallery", "", "Each picture is one claim. `python -m minibn.pictures FOLDER` draws them.", ""]
    for file, about in captions.items():
        text += [f"## {about['title']}", ""] if f"## {about['title']}" not in text else []
        text += [about["claim"], ""] if about["claim"] not in text else []
        if file.endswith(".svg"):       # drawn by the page itself, so that its slider and its hovering work
            text += ["```{raw} html", f'<object data="_static/gallery/{file}" type="image/svg+xml" '
                                      f'style="max-width:100%" aria-label="{about["title"]}"></object>', "```", ""]
        else:
            text += [f"![{about['title']}](/_static/gallery/{file})", ""]
    write("gallery.md", "\n".join(text))


def labs():
    """Each worksheet without its solutions, and a list of all."""
    from colab import link_to

    from minibn.labs import LABS
    from minibn.labs.make import BEGIN, readme, without_solution, worksheet

    rows = ["# Labs", "", "Functions to write, and a grader that names the mistake. `minibn lab make 1` writes "
            "the first one. For [students](../students.md); for [teachers](../teaching.md). Or "
            "<a href=\"../try.html\">try one in the browser</a>.", "",
            "| lab | minutes | points |", "|---|---:|---:|"]
    for lab in LABS.values():
        rows.append(f"| [{lab.number}. {lab.title}]({lab.name}.md) | {lab.minutes} | {lab.points} |")
        parts = re.split(r"(^```python\n.*?^```\n?)", worksheet(lab), flags=re.S | re.M)[1:]
        shown = [without_solution(part) if BEGIN in part else part for part in parts]
        link = link_to(f"notebooks/labs/{lab.name}.ipynb")
        write(f"labs/{lab.name}.md", f"{readme(lab)}\n{link}\n\n{''.join(shown)}")
    write("labs/index.md", "\n".join([*rows, "", toctree([lab.name for lab in LABS.values()])]))


def mistakes():
    """The table that the grader knows."""
    from minibn.labs import LABS

    text = ["# The mistakes that the grader knows", "", "Each is the library with one line changed. The test suite "
            "sees every one of them, and the grader recognises it in a student's numbers.", ""]
    for lab in LABS.values():
        if any(ask.mistakes for ask in lab.asks):
            text += [f"## Lab {lab.number}: {lab.title}", ""]
        for ask in lab.asks:
            if ask.mistakes:
                text += [f"### {ask.module.rpartition('.')[2]}.{ask.function}", "", "| mistake | | what is said |",
                         "|---|---|---|"]
                text += [f"| {cell(row.title)} | {row.equation} | {cell(row.explanation)} |" for row in ask.mistakes]
                text.append("")
    write("mistakes.md", "\n".join(text))


def cell(text):
    """Text in a cell of a table."""
    return re.sub(r"([|*_~<\[\]{}`$\\])", r"\\\1", text)


def quantities():
    """The quantities of each cell, with their formulas, as the cells declare them."""
    from minibn.cells import CELLS

    text = ["# Quantities", "", "Every quantity of a step has a name, which is that of a local variable; its "
            "gradient is called `d` and that name.", ""]
    for declared in CELLS.values():
        text += [f"## {declared.title}", "", "| name | formula | equation | axes |", "|---|---|---|---|"]
        text += [f"| `{name}` | ${quantity.latex}$ | {quantity.equation} | {quantity.axes} |"
                 for name, quantity in declared.quantities.items()]
        text.append("")
    write("reference/quantities.md", "\n".join(text))


def reference():
    """A page for the public names, one for each room, one for each file that stands alone."""
    listed = ["quantities", "minibn"]
    write("reference/minibn.rst", module("minibn", ":imported-members:\n   :no-index:"))
    for room in ROOMS:
        files = [path for path in sorted((ROOT / "minibn" / room).rglob("*.py")) if not path.name.startswith("__")]
        names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
        title = f"minibn.{room}"
        write(f"reference/{room}.rst", "\n".join([title, "=" * len(title), "", f".. automodule:: {title}", "",
                                                  *(module(name, level="-") for name in names)]))
        listed.append(room)
    for name in ALONE:
        write(f"reference/{name}.rst", module(f"minibn.{name}"))
        listed.append(name)
    write("reference/index.md", f"# Reference\n\nThe rooms of the library; the source stands behind each name.\n\n"
                                f"{toctree(listed, hidden=False)}")


def module(name, option="", level="="):
    """The documentation of one module."""
    lines = [name, level * len(name), "", f".. automodule:: {name}", "   :members:", "   :member-order: bysource"]
    return "\n".join([*lines, *([f"   {option}"] * bool(option)), ""])


def home():
    """The first page: the README, up to where it lists what there is."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    write("index.md", "\n\n".join([
        relinked(readme, ROOT), toctree(["notebooks/index", "labs/index"], "Learn"), toctree(["gallery"], "Look"),
        toctree(USE, "Use"), toctree(["reference/index"], "Reference"), toctree([*TEACH, "mistakes"], "Teach")]))


def fetch_mathjax(folder):
    """What sets the formulas, from its npm archive: once, checked, and kept in ``docs/_build``."""
    archive = BUILD / MATHJAX
    if not archive.exists():
        registry = os.environ.get("npm_config_registry", "https://registry.npmjs.org").rstrip("/")
        with urllib.request.urlopen(f"{registry}/mathjax/-/{MATHJAX}") as answer:
            archive.write_bytes(answer.read())
    content = archive.read_bytes()
    if hashlib.sha256(content).hexdigest() != MATHJAX_SHA256:
        archive.unlink()
        raise SystemExit(f"{MATHJAX}: its SHA-256 is not the one expected; it is removed, build again")
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        for member in files.getmembers():
            path = member.name.removeprefix("package/")
            if path == "es5/tex-svg-full.js":        # one file sets all formulas, as outlines: no fonts
                folder.mkdir(parents=True)
                (folder / "tex-svg-full.js").write_bytes(files.extractfile(member).read())


if __name__ == "__main__":
    sys.exit(main())
