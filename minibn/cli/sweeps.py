"""The commands ``minibn sweep | compare``, which make and look at many runs."""

import argparse
import json
from dataclasses import fields

from minibn.cli.parser import add_command, add_progress, path
from minibn.cli.runs import add_option

NOT_SWEPT = ("task", "cell", "cell_option", "iterations")       # of one value each


def add_sweep(parser):
    """``minibn sweep TASK ...``, ``minibn sweep file NAME``."""
    from minibn.sweeps.plan import NAMED
    from minibn.training.tasks import TASKS

    what = parser.add_subparsers(title="what", metavar="TASK", required=True)
    for task in TASKS.values():
        help = f"each option may have several values: {task.help}"
        parser = _add(what, task.name, help, task=task.name, source=None)
        for f in fields(task.config):
            if f.name not in NOT_SWEPT:
                many = {} if f.metadata["kind"] is bool else {"nargs": "+"}
                add_option(parser, task, f, **many)
    parser = _add(what, "file", f"a list in a file: {', '.join(NAMED)}, or FILE.toml", task=None)
    parser.add_argument("source", metavar="NAME", help="one of these, or a TOML file")
    parser.add_argument("--set", dest="settings", metavar="NAME=VALUE", type=_setting, action="append", default=[],
                        help="another value of a setting, of all runs, as often as you like")


def _add(what, name, help, **known):
    parser = add_command(what, name, _sweep, help)
    parser.set_defaults(**known)
    parser.add_argument("--out", metavar="FOLDER", type=path, required=True,
                        help="where the runs go; the same command again goes on there")
    parser.add_argument("--seeds", type=int, metavar="INT", default=argparse.SUPPRESS, help="1 to this number")
    parser.add_argument("--iterations", type=int, metavar="INT", default=argparse.SUPPRESS,
                        help="minibatches to train each on; more than before continue finished runs")
    parser.add_argument("--jobs", type=int, metavar="INT", default=None,
                        help="processes, each with one thread; None is the number of cores")
    parser.add_argument("--scheduler", metavar="ADDRESS", default=None,
                        help="of a dask cluster, whose workers do the work and see the folder: tcp://host:8786")
    add_progress(parser)
    return parser


def _setting(text):
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name.replace("-", "_"), json.loads(value)
    except ValueError:
        return name.replace("-", "_"), value


def _sweep(task, source, out, jobs, scheduler, progress, settings=(), **options):
    from minibn.studies.compare import compared
    from minibn.sweeps import plan, read_plan, sweep

    made = {"task": task, "grid": {}} if source is None else read_plan(source)
    if "seeds" in options:
        made["seeds"] = options.pop("seeds")
    grid = {name: value if isinstance(value, list) else [value] for name, value in options.items()}
    given = {**grid, **{name: [value] for name, value in settings}}
    made["grid"] = {**made["grid"], **given}
    if "runs" in made:
        made["runs"] = [{name: value for name, value in run.items() if name not in given} for run in made["runs"]]
    try:
        said = sweep(plan(**made), out, jobs, scheduler, progress)
    except KeyboardInterrupt as interrupt:
        interrupt.args = (f"what was saved is in {out}; the same command goes on",)
        raise
    failed = [run for run in said["runs"] if run["status"] == "failed"]
    if said["finished"]:
        print(compared([out])[1])
    for run in failed:
        print(f"failed: {run['run']}: {run['error']}")
    print(f"{out}: {said['finished']} finished, {said['failed']} failed, {said['waiting']} waiting")
    return 0 if said["finished"] == sum(said[status] for status in ("finished", "failed", "waiting")) else 1


def add_compare(parser):
    """``minibn compare FOLDER ...``."""
    parser.set_defaults(handler=_compare)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=path, help="runs, and sweeps, all on one task")
    parser.add_argument("--csv", metavar="FILE", type=path, default=None, help="where the table goes")
    parser.add_argument("--plot", metavar="FILE", type=path, default=None, help="where the curves go, PNG")


def _compare(folders, csv, plot):
    from minibn.studies.compare import compared, draw, write_csv

    groups, text = compared(folders)
    print(text)
    if csv:
        write_csv(groups, csv)
    if plot:
        draw(folders, plot)
    for file in filter(None, (csv, plot)):
        print(file)

