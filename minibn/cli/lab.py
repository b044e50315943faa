"""The command ``minibn lab list | make | check | grade | export | mistakes``."""

import argparse
import re

from minibn.cli.parser import add_command, path

__all__ = ["add_lab"]


def add_lab(parser):
    from minibn.cli.parser import Parser

    parser.set_defaults(handler=lambda: parser.print_help())
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=Parser)
    add_command(actions, "list", _list, "the labs: what each asks for, minutes and points")

    make = add_command(actions, "make", _make, "write the folder that students get")
    make.add_argument("number", type=int, metavar="N", help="which lab, 1 to 8")
    make.add_argument("--out", type=path, metavar="FOLDER", default=None, help="where; None is labN")
    make.add_argument("--variant", default="", metavar="NAME", help="another specification, not in the library")
    make.add_argument("--solution", action="store_true", help="with the solutions in place, for the teacher")
    hints = "1 where, 2 what kind, 3 the mistake, 4 the line; None: from 1 to 3 with the attempts"
    make.add_argument("--hints", type=int, choices=(1, 2, 3, 4), default=None, help=hints)

    check = add_command(actions, "check", _check, "for students: check the lab in this folder; exit code 0 if all is "
                                                  "right")
    check.add_argument("folder", type=path, nargs="?", default=".", metavar="FOLDER", help="of the lab")
    check.add_argument("--seed", type=int, metavar="INT", default=None, help="of the inputs; None is the lab's own")

    grade = add_command(actions, "grade", _grade, "for teachers: grade a folder of submissions")
    grade.add_argument("folder", type=path, metavar="LAB", help="the lab's folder, as the students got it")
    grade.add_argument("submissions", type=path, metavar="SUBMISSIONS", help="one file, folder or zip a student")
    grade.add_argument("--out", type=path, metavar="FOLDER", default="report", help="where the report goes")
    grade.add_argument("--seed", type=int, metavar="INT", default=1, help="of the inputs")
    grade.add_argument("--jobs", type=int, metavar="INT", default=2, help="submissions at a time")
    grade.add_argument("--limit", type=_seconds, metavar="SECONDS", default=20.0, help="time for each function")
    grade.add_argument("--memory", type=_bytes, metavar="SIZE", default="1024M", help="for each submission, where the "
                                                                                      "system can limit it")
    grade.add_argument("--hints", type=int, choices=(1, 2, 3, 4), default=3, help="what the students' pages say")

    export = add_command(actions, "export", _export, "write a report in the format of another system")
    export.add_argument("report", type=path, metavar="REPORT", help="a folder that grade made")
    export.add_argument("--to", choices=("gradescope", "csv", "jsonl"), required=True, help="which")

    mistakes = add_command(actions, "mistakes", _mistakes, "the table of mistakes that the grader knows")
    mistakes.add_argument("number", type=int, nargs="?", metavar="N", help="of one lab; None is all")
    own = "a JSON file with a course's own rows, which are added"
    for action in (mistakes, grade):
        action.add_argument("--add", type=path, metavar="FILE", default=None, help=own)


def _lab(number):
    from minibn.labs import LABS

    if number not in LABS:
        raise ValueError(f"N: expected the number of a lab, 1 to {max(LABS)}, got {number}; see minibn lab list")
    return LABS[number]


def _list():
    from minibn.labs import LABS
    from minibn.labs.variants import VARIANTS

    for lab in LABS.values():
        print(f"{lab.number}  {lab.title:<36} {lab.minutes:>4} min  {lab.points:>3} points  "
              f"{', '.join(blank.id for blank in lab.blanks)}")
        if lab.number in VARIANTS:
            print(f"   variants: {', '.join(VARIANTS[lab.number])}")


def _make(number, out, variant, solution, hints):
    from minibn.labs import make_lab

    for made in make_lab(_lab(number), out or f"lab{number}", variant, solution, hints):
        print(made)


def _check(folder, seed):
    from minibn.labs import check

    text, ok = check(folder, seed)
    print(text)
    return 0 if ok else 1


def _grade(folder, submissions, out, seed, jobs, limit, memory, hints, add):
    _add(add)
    from minibn.errors import tell
    from minibn.labs import grade_class
    from minibn.labs.sandbox import Limits
    from minibn.labs.student import open_folder

    lab, settings = open_folder(folder)
    grade_class(lab, submissions, out, seed, jobs, Limits(limit, memory), settings.get("variant", ""), hints, tell)
    print(f"{out}/index.html")


def _export(report, to):
    from minibn.labs import export

    made = export(report, to)
    print(made[0] if len(made) == 1 else f"{made[0].parent}: {len(made)} files")


def _add(file):
    if file is not None:
        from minibn.labs.own import add_mistakes

        add_mistakes(file)


def _mistakes(number, add):
    _add(add)
    from minibn.labs import LABS

    for lab in [_lab(number)] if number is not None else LABS.values():
        for ask in lab.asks:
            for row in ask.mistakes:
                print(f"{row.id}  [{row.equation}, {row.kind}]\n    {row.line}\n -> {row.edited}\n    "
                      f"{row.explanation}\n")


def _seconds(text):
    try:
        value = float(text.removesuffix("s"))
        if value > 0:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected seconds, such as 20 or 20s, got {text!r}")


def _bytes(text):
    found = re.fullmatch(r"(\d+)([KMG]?)B?", text, flags=re.I)
    if not found:
        raise argparse.ArgumentTypeError(f"expected a size, such as 1024M or 2G, got {text!r}")
    return int(found[1]) * {"": 1, "K": 2 ** 10, "M": 2 ** 20, "G": 2 ** 30}[found[2].upper()]
