"""One self-contained HTML page from a template: text, tables and pictures in a file that opens anywhere, offline."""

import base64
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

__all__ = ["Markup", "fill", "picture", "table"]


class Markup(str):
    """Text that is HTML already."""


def fill(template, **values):
    """The file `template` of this folder with the values in place of its ``$names``; all but `Markup` are escaped."""
    page = Template((resources.files(__package__) / template).read_text(encoding="utf-8"))
    return page.substitute({name: value if isinstance(value, Markup) else escape(str(value))
                            for name, value in values.items()})


def picture(path, description):
    """A PNG file, embedded; `description` is what a person who cannot see it is told."""
    data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    return Markup(f'<img src="data:image/png;base64,{data}" alt="{escape(description)}">')


def table(rows):
    """A table of plain texts; the first row is the heading."""
    head, *body = ["".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in row)
                   for row, tag in zip(rows, ["th"] + ["td"] * len(rows), strict=False)]
    lines = "".join(f"<tr>{line}</tr>" for line in body)
    return Markup(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>')
