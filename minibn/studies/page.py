"""One self-contained HTML page: text, tables and pictures in a single file that opens anywhere, offline."""

import base64
from html import escape
from pathlib import Path

CSS = """
:root { color-scheme: light dark;
  --text: #1d232b; --soft: #5b6673; --line: #d9dfe6; --back: #ffffff; --card: #f4f6f9; --accent: #0067a3; }
@media (prefers-color-scheme: dark) { :root {
  --text: #e4e8ee; --soft: #9aa6b4; --line: #343c47; --back: #14181d; --card: #1e242c; --accent: #6db8e8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 54rem; padding: 1.5rem 1rem 4rem; background: var(--back);
  color: var(--text); font: 17px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p { margin: .6rem 0; }
.lead, figcaption, footer { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0; }
.card { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.6rem; line-height: 1.2; color: var(--accent); }
.card span { font-size: .88rem; color: var(--soft); }
figure { margin: 1rem 0; }
figure img { width: 100%; height: auto; display: block; background: #fff; border-radius: .6rem;
  padding: .4rem; }
figcaption { font-size: .92rem; margin-top: .4rem; }
.wide { overflow-x: auto; }
pre { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; margin: .6rem 0;
  overflow: auto; max-height: 24rem; font: 12.5px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
table { border-collapse: collapse; font-size: .95rem; font-variant-numeric: tabular-nums;
  margin: .6rem 0; }
th, td { text-align: left; padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
footer { margin-top: 3rem; font-size: .9rem; }
"""


def write_page(path, title, lead, sections, footer):
    """Write the page.

    Parameters
    ----------
    path : str or Path
    title, lead, footer : str
        Plain text.
    sections : list of (str, list of str)
        Heading (may be empty) and the pieces below it, made by the functions of this file.
    """
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="lead">{escape(lead)}</p>']
    for heading, pieces in sections:
        if heading:
            parts.append(f"<h2>{escape(heading)}</h2>")
        parts.extend(pieces)
    parts.append(f"<footer>{escape(footer)}</footer>")
    Path(path).write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(parts) + "\n</body>\n</html>\n", encoding="utf-8")


def paragraph(text):
    """Plain text."""
    return f"<p>{escape(text)}</p>"


def cards(values):
    """The few numbers to see first: a list of (value, what it is)."""
    boxes = "".join(f'<div class="card"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
                    for value, what in values)
    return f'<div class="cards">{boxes}</div>'


def picture(path, description, caption):
    """A PNG file, embedded; `description` is what a person who cannot see it is told."""
    data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    return (f'<figure><img src="data:image/png;base64,{data}" alt="{escape(description)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>")


def terminal_text(text):
    """Text in columns, as a terminal shows it."""
    return f"<pre>{escape(text)}</pre>"


def table(header, rows):
    """A table of plain texts."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
