"""A class of students: a folder of submissions of one lab, drawn from a seed, with what was planted in each.

``python tests/lab_class.py LAB FOLDER --seed 1 --size 30`` writes them, and ``planted.json`` beside the folder.
"""

import argparse
import ast
import json
import random
import re
from pathlib import Path

from minibn.labs.catalogue import LABS
from minibn.labs.make import module_text

HOSTILE = {
    "crashed": ("raise RuntimeError('I give up')",),
    "timeout": ("while True:\n        pass", "import time\n    time.sleep(1000)"),
    "memory": ("np.ones((1 << 34,))",),
    "exit": ("import os\n    os._exit(0)",),
    "signal": ("import ctypes\n    ctypes.string_at(0)",),
    "recursion": ("def deep(n):\n        return deep(n + 1)\n    deep(0)",),
    "file": ("open('big.bin', 'wb').write(b'x' * 100_000_000)",),
    "flood": ("print('x' * 20_000_000)",),                                  # harmless: it is right
}
KINDS = ("right", "right", "one", "one", "one", "double", "double", "unknown", "float32", "blank", "crashed", "timeout",
         "memory", "exit", "flood")


def solved(lab):
    """The lab's file with the library's lines in it."""
    return module_text(lab, solution=True)


def with_mistakes(lab, rows):
    """The same with the lines of these mistakes."""
    text = solved(lab)
    for ask in lab.asks:
        own = [row.edit for row in rows if (row.module, row.function) == (ask.module, ask.function)]
        if own:
            text = text.replace(ask.source.text.rstrip(), ask.source.edited(own).rstrip())
    return re.sub(r"\n\n\n\n+", "\n\n\n", text)


def with_first_line(lab, ask, line):
    """The solved lab in which one function begins with another line."""
    text, source = solved(lab), ask.source.text.rstrip()
    first = ask.source.body[0].lineno - 1
    lines = source.splitlines()
    return text.replace(source, "\n".join([*lines[:first], f"    {line}", *lines[first:]]))


def submission(lab, kind, rng):
    """(text of the file, what was planted in it)."""
    asks = [ask for ask in lab.asks if len({row.line for row in ask.mistakes if not row.line.startswith("return")}) > 1]
    ask = rng.choice(asks)
    rows = [row for row in ask.mistakes if not row.line.startswith("return")]
    if kind in ("right", "flood"):
        text = solved(lab) if kind == "right" else with_first_line(lab, ask, HOSTILE[kind][0])
        return text, {"verdict": "right", "mistakes": []}
    if kind in ("one", "double"):
        chosen = rng.sample(rows, 1 if kind == "one" else 2)
        while len({row.line for row in chosen}) < len(chosen):
            chosen = rng.sample(rows, len(chosen))
        return with_mistakes(lab, chosen), {"verdict": kind, "mistakes": [row.id for row in chosen]}
    if kind == "float32":
        row = rng.choice(rows)
        text = with_mistakes(lab, [row])
        wrapped = f"\n\n_{ask.function} = {ask.function}\n\n\ndef {ask.function}(*args, **kwargs):\n" \
                  f"    return _in_float32(_{ask.function}, args, kwargs)\n"
        return text + FLOAT32 + wrapped, {"verdict": "float32", "mistakes": [row.id]}
    if kind == "blank":
        return module_text(lab), {"verdict": "blank", "mistakes": []}
    if kind == "unknown":
        target = rng.choice([line for line in ask.source.lines if len(line.names) == 1
                             and line.text.startswith(ast.unparse(ask.source.body[line.top])[:5])
                             and not line.text.startswith(("xp", "if", "for", "all_rows"))]
                            or [ask.source.lines[0]])
        edited = ask.source.text.splitlines()
        indent = edited[target.first][:len(edited[target.first]) - len(edited[target.first].lstrip())]
        edited.insert(target.last + 1, f"{indent}{target.names[0]} = {target.names[0]} * 1.2345678 + 0.01")
        text = solved(lab).replace(ask.source.text.rstrip(), "\n".join(edited).rstrip())
        return text, {"verdict": "unrecognised", "line": target.names[0], "mistakes": []}
    return with_first_line(lab, ask, rng.choice(HOSTILE[kind])), {"verdict": kind, "mistakes": []}


FLOAT32 = '''


def _to(value, dtype):
    if isinstance(value, np.ndarray):
        return value.astype(dtype) if value.dtype.kind == "f" else value
    if hasattr(value, "_replace") and hasattr(value, "_asdict"):
        return value._replace(**{name: _to(part, dtype) for name, part in value._asdict().items()})
    if isinstance(value, dict):
        return {name: _to(part, dtype) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_to(part, dtype) for part in value)
    return np.float32(value) if isinstance(value, float) and dtype == np.float32 else value


def _in_float32(function, args, kwargs):
    return function(*_to(args, np.float32), **_to(kwargs, np.float32))
'''


def write_class(lab, folder, seed=1, size=30):
    """Write the submissions; returns name -> what was planted."""
    rng, folder = random.Random(seed), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    planted = {}
    for number in range(size):
        kind = KINDS[number % len(KINDS)]
        text, what = submission(lab, kind, rng)
        name = f"{number:02d}-{kind}"
        place = folder / name / f"{lab.name}.py" if number % 2 else folder / f"{name}.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
        planted[name] = what
    return planted


def agrees(planted, entry):
    """Whether a graded submission says what was planted; else, in words, what it says."""
    verdicts = [blank["verdict"] for blank in entry["blanks"]]
    named = {key for blank in entry["blanks"] for key in blank["mistakes"]} | {
        key for blank in entry["blanks"] for group in blank["alternatives"] for key in group}
    kind = planted["verdict"]
    said = f"{sorted(set(verdicts))} {sorted(named)}"
    if kind == "right":
        return True if set(verdicts) == {"right"} else said
    if kind in ("one", "double", "float32"):
        fine = set(planted["mistakes"]) <= named or "format" in verdicts
        return True if fine else said
    if kind in ("exit", "signal", "recursion", "file"):
        kind = "crashed"
    if kind == "unrecognised":
        lines = {name for blank in entry["blanks"] for name in blank["where"].get("lines", [])}
        return True if kind in verdicts and planted["line"] in lines and not named else f"{said} {sorted(lines)}"
    return True if kind in verdicts and not named else said


def main():
    """Write a class."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=30)
    args = parser.parse_args()
    planted = write_class(LABS[args.lab], args.folder, args.seed, args.size)
    args.folder.with_suffix(".planted.json").write_text(json.dumps(planted, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
