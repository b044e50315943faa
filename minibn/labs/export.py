"""A report in the formats of others: Gradescope, CSV, lines of JSON."""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

from minibn.labs.classroom import RESULTS, file_name, write
from minibn.labs.words import VERDICTS, sentences

FORMATS = ("gradescope", "csv", "jsonl")


def export(report, to):
    """Write the results of a report in another format, into the folder of the report.

    Parameters
    ----------
    report : path-like
        A folder that `minibn.labs.classroom.grade_class` made.
    to : {"gradescope", "csv", "jsonl"}

    Returns
    -------
    list of Path
    """
    report = Path(report)
    try:
        whole = json.loads((report / RESULTS).read_text(encoding="utf-8"))
        submissions = whole["submissions"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"report: expected a folder made by `minibn lab grade`, with a file {RESULTS}, got {report}"
                         ) from None
    if to not in FORMATS:
        raise ValueError(f"to: expected {', '.join(FORMATS)}, got {to!r}")
    if to == "gradescope":
        folder = report / "gradescope"
        folder.mkdir(exist_ok=True)
        made = {folder / f"{file_name(name)}.json": json.dumps(gradescope(one), indent=1) + "\n"
                for name, one in submissions.items()}
    elif to == "csv":
        made = {report / "results.csv": _table(submissions)}
    else:
        made = {report / "results.jsonl": "".join(
            json.dumps({"student": name, **one}) + "\n" for name, one in submissions.items())}
    for path, text in made.items():
        write(path, text)
    return list(made)


def gradescope(one):
    """One submission as Gradescope's ``results.json``."""
    tests = [{"score": blank["points"], "max_score": blank["max"], "name": blank["id"],
              "status": "passed" if blank["points"] == blank["max"] else "failed",
              "output": "\n".join([VERDICTS[blank["verdict"]], *sentences(SimpleNamespace(**blank))]),
              "visibility": "visible"} for blank in one["blanks"]]
    return {"score": one["points"], "output": "\n".join(one["remarks"]), "visibility": "visible", "tests": tests}


def _table(submissions):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    blanks = [blank["id"] for blank in next(iter(submissions.values()), {"blanks": []})["blanks"]]
    writer.writerow(["student", "points", *blanks, *(f"{name} mistakes" for name in blanks)])
    for name, one in submissions.items():
        writer.writerow([_inert(name), one["points"], *(blank["points"] for blank in one["blanks"]),
                         *(" ".join(blank["mistakes"]) or blank["verdict"] for blank in one["blanks"])])
    return text.getvalue()


def _inert(text):
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
