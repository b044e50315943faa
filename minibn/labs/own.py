"""A course's own mistakes: rows in a JSON file, added to the table for one grading.

    [{"lab": 2, "function": "batch_norm_backward", "line": "dhat = dy * gamma", "edited": "dhat = dy * gamma ** 2",
      "title": "gamma squared", "explanation": "You multiplied by gamma twice. Look at the forward pass."}]
"""

import json
from pathlib import Path

from minibn.labs.catalogue import LABS
from minibn.labs.mistakes import KINDS, Mistake
from minibn.labs.source import Edit
from minibn.labs.words import BY_ID

NEEDED = ("lab", "function", "line", "edited", "title", "explanation")


def add_mistakes(path):
    """Add the rows of a file to the labs, for this process.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of Mistake

    Raises
    ------
    ValueError
        The file is none of rows; a row lacks something, names a line that is not there, or cannot be compiled.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"add: {path} is no JSON file that can be read ({error}); write a list of rows") from None
    if not isinstance(rows, list):
        raise ValueError(f"add: expected a list of rows in {path}, got {type(rows).__name__}")
    made = []
    for number, row in enumerate(rows, 1):
        missing = [name for name in NEEDED if not isinstance(row, dict) or name not in row]
        if missing:
            raise ValueError(f"add: row {number} of {path} lacks {', '.join(missing)}")
        made.append(_made(row, f"row {number} of {path}"))
    for ask, mistake in made:
        if mistake.id not in BY_ID:
            ask.mistakes.append(mistake)
            BY_ID[mistake.id] = mistake
    return [mistake for _, mistake in made]


def _made(row, where):
    ask = next((ask for lab in LABS.values() if lab.number == row["lab"] for ask in lab.asks
                if ask.function == row["function"] and lab.judge == "functions"), None)
    if ask is None:
        raise ValueError(f"add: {where}: no lab {row['lab']} asks for {row['function']}; see minibn lab list")
    kind = row.get("kind", "the wrong quantity")
    if kind not in KINDS:
        raise ValueError(f"add: {where}: expected kind to be one of {', '.join(KINDS)}, got {kind!r}")
    edit = Edit.between(row["line"], row["edited"])
    mistake = Mistake(ask.module, ask.function, edit, kind, row["title"], row["explanation"],
                      row.get("equation", "Section 3"), "", "any")
    try:
        ask.source.program((edit,))
    except (LookupError, SyntaxError, ValueError) as error:
        raise ValueError(f"add: {where}: {error}") from None
    return ask, mistake
