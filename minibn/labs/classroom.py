"""Grading a class: a folder of submissions in, a folder of results out; one broken file never stops the rest."""

import json
import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from minibn.labs.catalogue import VERSION
from minibn.labs.grade import Result, grade_file, judges_for
from minibn.labs.report import class_page, student_page
from minibn.labs.sandbox import BROWSER, LIMITS
from minibn.labs.student import hash_of

RESULTS, UNRECOGNISED, PARTS = "results.json", "unrecognised.jsonl", "graded"
LARGEST_FILE = 1_000_000


def find_submissions(folder, lab):
    """Name of a student -> file, or zip: one entry of the folder each.

    Raises
    ------
    ValueError
        There is no such folder, or nothing in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"submissions: expected a folder with one file, folder or zip for each student, got {folder}")
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.suffix not in ("", ".py", ".zip") and not entry.is_dir():
            continue
        if entry.is_dir():
            inside = sorted(entry.rglob(f"{lab.name}.py")) or sorted(entry.rglob("*.py"))
            found[entry.name] = inside[0] if inside else entry / f"{lab.name}.py"
        elif entry.suffix in (".py", ".zip"):
            found[entry.stem] = entry
    if not found:
        raise ValueError(f"submissions: {folder} holds no .py file, no folder and no zip; put one entry there for each "
                         f"student")
    return found


def grade_class(lab, submissions, report, seed=1, jobs=2, limits=LIMITS, variant="", hint_level=3, say=print):
    """Grade all submissions, and write the report.

    Parameters
    ----------
    lab : Lab
    submissions : path-like
        A folder; each file, folder or zip in it is a student's.
    report : path-like
        Results are written here as they come. A grading that was interrupted goes on; what is there is kept where
        file, seed, lab and limits are the same.
    seed : int
        Of the inputs, for the whole class.
    jobs : int
        Submissions at a time.
    limits : Limits
    variant, hint_level
        As in `minibn.labs.grade.grade_file`.
    say : callable
        Gets a line for each submission.

    Returns
    -------
    dict
        What ``results.json`` holds.
    """
    if BROWSER:
        raise ValueError("grade: a browser has no processes to run other people's code in; grade on a computer")
    report = Path(report)
    found = find_submissions(submissions, lab)
    parts = report / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    (report / "lab.json").write_text(json.dumps({"lab": lab.number, "version": VERSION}) + "\n", encoding="utf-8")
    judges_for(lab.number, variant, seed)       # made once, here, before the threads want it
    rows = sum(len(ask.mistakes) for ask in lab.asks)
    made_with = [VERSION, lab.number, variant, seed, hint_level, limits.seconds, limits.memory, rows]
    graded = {}
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        futures = {pool.submit(_graded, name, path, lab, parts, made_with, limits): name
                   for name, path in found.items()}
        for number, future in enumerate(as_completed(futures), 1):
            name = futures[future]
            graded[name] = future.result()
            say(f"{number}/{len(found)}  {name}: {graded[name]['points']:g} of {graded[name]['max']}")
    graded = dict(sorted(graded.items()))
    whole = {"lab": lab.number, "title": lab.title, "seed": seed, "variant": variant, "version": VERSION,
             "hint_level": hint_level, "submissions": graded}
    write(report / RESULTS, json.dumps(whole, indent=1) + "\n")
    write(report / UNRECOGNISED, "".join(
        json.dumps({"student": name, **blank}) + "\n" for name, one in graded.items() for blank in one["blanks"]
        if blank["verdict"] == "unrecognised"))
    write(report / "index.html", class_page(lab, whole))
    for name, one in graded.items():
        write(report / f"{file_name(name)}.html", student_page(lab, name, one, whole))
    return whole


def _graded(name, path, lab, parts, made_with, limits):
    """The entry of one student, from an earlier grading if it is the same; whatever happens, there is one."""
    place, stamp = parts / f"{file_name(name)}.json", [*made_with, hash_of(path)]
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        if kept["made_with"] == stamp:
            return kept["result"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    _, _, variant, seed, hint_level, *_ = made_with
    try:
        results, remarks, log = _grade_entry(path, lab, seed, variant, hint_level, limits)
    except Exception as error:      # one submission never stops the rest
        results = [Result(blank.id, ask.function, 0.0, blank.points, "crashed", seed=seed, hint_level=hint_level,
                          error=f"grading failed: {type(error).__name__}: {error}")
                   for ask in lab.asks for blank in ask.blanks]
        remarks, log = ["grading failed; please look at this one by hand"], ""
    entry = {"points": round(sum(result.points for result in results), 2), "max": lab.points, "file": path.name,
             "blanks": [result.as_json() for result in results], "remarks": remarks, "log": log}
    write(place, json.dumps({"made_with": stamp, "result": entry}))
    return entry


def _grade_entry(path, lab, seed, variant, hint_level, limits):
    if path.suffix != ".zip":
        return grade_file(path, lab, seed, variant, hint_level, limits)
    with tempfile.TemporaryDirectory(prefix="minibn-zip-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [info for info in archive.infolist() if info.filename.endswith(".py")
                         and info.file_size <= LARGEST_FILE]
                for info in names:      # by their last name, so that no path leads elsewhere
                    (Path(folder) / Path(info.filename).name).write_bytes(archive.read(info))
        except (zipfile.BadZipFile, RuntimeError, OSError) as error:
            return grade_file(Path(folder) / f"{lab.name}.py", lab, seed, variant, hint_level, limits)[0], [
                f"the zip cannot be read: {error}"], ""
        files = sorted(Path(folder).glob("*.py"))
        own = [file for file in files if file.name == f"{lab.name}.py"] or files or [Path(folder) / f"{lab.name}.py"]
        return grade_file(own[0], lab, seed, variant, hint_level, limits)


def file_name(name):
    """A name as a file: letters, digits, and little else."""
    return "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name).strip(". ") or "student"


def write(path, text):
    """Into a file beside it first: no reader ever sees half a result."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
