"""``minibn lab check``: what a student runs, as often as they like. Seconds, one screen."""

import json
import os
from pathlib import Path

from minibn.labs.catalogue import LABS, VERSION
from minibn.labs.grade import grade_file
from minibn.labs.sandbox import LIMITS, run_file
from minibn.labs.words import VERDICTS, sentences

ATTEMPTS = ".attempts.json"
LAST_LEVEL = 3          # that attempts lead to; the line itself is said only where the teacher wants it


def open_folder(folder):
    """The lab of a hand-out, and what its teacher chose: (Lab, settings of ``lab.json``).

    Raises
    ------
    ValueError
        The folder is none of a lab, or of another version.
    """
    path = Path(folder) / "lab.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        lab = LABS[settings["lab"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"lab: expected a folder made by `minibn lab make`, with a file lab.json, got {folder}; go "
                         f"there, or name it: minibn lab check lab2") from None
    if settings.get("version") != VERSION:
        raise ValueError(f"lab: {folder} was made for version {settings.get('version')} of the labs, and this is "
                         f"{VERSION}; make it again, and copy your functions over")
    return lab, settings


def check(folder, seed=None, limits=LIMITS, run=run_file):
    """Grade the file of a hand-out, with hints that grow with the attempts.

    Returns
    -------
    text : str
    ok : bool
        Whether all points are there.
    """
    folder = Path(folder)
    lab, settings = open_folder(folder)
    seed = settings.get("seed", 1) if seed is None else seed
    results, remarks, log = grade_file(folder / f"{lab.name}.py", lab, seed, settings.get("variant", ""), LAST_LEVEL,
                                       limits, run)
    attempts = _count(folder, results, (folder / f"{lab.name}.py"))
    for result in results:
        result.hint_level = settings.get("hints") or min(LAST_LEVEL, attempts.get(result.id, 1))
    if not settings.get("hints") and any(result.mistakes and result.hint_level < LAST_LEVEL for result in results):
        remarks = [*remarks, "the hints say more with each attempt: change something and check again"]
    return screen(lab, results, remarks, log, seed), all(result.points == result.max for result in results)


def _count(folder, results, file):
    """How often each blank was tried and not right; a check of an unchanged file does not count."""
    path = folder / ATTEMPTS
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        attempts = {key: int(value) for key, value in known["attempts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known, attempts = {}, {}
    stamp = hash_of(file)
    if known.get("file") != stamp:
        for result in results:
            if result.verdict not in ("right", "blank"):
                attempts[result.id] = attempts.get(result.id, 0) + 1
        try:
            temporary = path.with_name(path.name + ".new")
            temporary.write_text(json.dumps({"file": stamp, "attempts": attempts}), encoding="utf-8")
            os.replace(temporary, path)
        except OSError:         # a folder that is only read: the hints stay where they are
            pass
    return attempts


def hash_of(file):
    """The SHA-256 of a file; empty where there is none."""
    import hashlib

    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def screen(lab, results, remarks, log, seed):
    """The result as text for a terminal."""
    points = sum(result.points for result in results)
    lines = [f"Lab {lab.number}: {lab.title}", ""]
    wide = max(len(result.id) for result in results)
    for result in results:
        lines.append(f"{result.id:<{wide}}  {result.points:>4g} of {result.max:<3} {VERDICTS[result.verdict]}")
        lines += [f"    {sentence}" for sentence in sentences(result)]
    lines += ["", f"{points:g} of {lab.points} points (seed {seed})"]
    lines += [f"note: {remark}" for remark in remarks]
    if log and any(result.verdict in ("crashed", "timeout") for result in results):
        lines += ["your program printed:", *(f"    {line}" for line in log.splitlines()[-10:])]
    return "\n".join(lines)
