"""How Sphinx sets the site. `docs/build.py` makes the pages; no notebook is executed."""

import collections
import inspect
import re

import minibn

project, author, release = "minibn", "The minibn authors", minibn.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode", "numpydoc"]
html_theme, html_title, html_static_path = "furo", "minibn", ["_build/source/_static"]
html_copy_source = html_show_sourcelink = False

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
mathjax_path = "mathjax/tex-svg-full.js"
numpydoc_show_class_members = False
# Heads of notebooks begin where their question does; saved HTML is no lexer's business; many classes have `params`.
suppress_warnings = ["myst.header", "misc.highlighting_failure", "mystnb.unknown_mime_type", "ref.python"]


def field_comments(cls):
    """Field -> the comment behind it in the source: shape and meaning."""
    found = {}
    for line in inspect.getsource(cls).splitlines():
        match = re.match(r"\s+(\w+):.*?#\s*(.*)", line)
        if match:
            found[match[1]] = match[2]
    return found


def mend_docstring(app, what, name, obj, options, lines):
    """Fields of named tuples say what stands behind them in the source; formulas keep their lines."""
    if what == "module":
        for number in range(len(lines) - 1, 1, -1):
            if lines[number].startswith("    ") and not lines[number - 1] and lines[number - 2][:1] not in ("", " "):
                lines[number - 1:number] = ["", "::", ""]
    if isinstance(obj, property | type(collections.namedtuple("P", "x").x)) and lines and lines[0].startswith("Alias"):
        module, cls, field = name.rsplit(".", 2)
        owner = getattr(inspect.importlib.import_module(module), cls, None)
        lines[:] = [field_comments(owner).get(field, "")] if inspect.isclass(owner) else []


def setup(app):
    """Connect the hook."""
    app.connect("autodoc-process-docstring", mend_docstring)
