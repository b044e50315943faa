"""The commands ``minibn train | evaluate | sample``, which make training runs and look at them."""

import argparse
import json
import os
import shlex
import sys
from dataclasses import MISSING, fields
from pathlib import Path

from minibn.cli.parser import add_command, add_progress, path
from minibn.errors import tell

DEFAULT_PRESET = "quick"


def add_train(parser):
    """``minibn train TASK``: the options of each task are the fields of its configuration."""
    from minibn.training.tasks import TASKS

    tasks = parser.add_subparsers(title="tasks", dest="task", metavar="TASK", required=True)
    for task in TASKS.values():
        parser = add_command(tasks, task.name, _train, task.help)
        parser.add_argument("--run", metavar="FOLDER", type=path, default=argparse.SUPPRESS,
                            help="folder of the run (default: runs/TASK-MODEL-PRESET)")
        parser.add_argument("--resume", action="store_true",
                            help="continue the run in the folder after its last checkpoint")
        add_progress(parser)
        for f in fields(task.config):
            if f.name not in ("task", "cell"):      # which TASK and --model say
                add_option(parser, task, f)


def add_option(parser, task, f, **more):
    """One option from one field of a configuration. Only what the user gives reaches the handler."""
    kind, choices, shown = (f.metadata[key] for key in ("kind", "choices", "shown"))
    if kind is bool:
        form = {"action": argparse.BooleanOptionalAction}
    elif kind is dict:
        form = {"action": "append", "type": _named_value, "metavar": "NAME=VALUE"}
    else:
        metavar = f"{{{','.join(shown)}}}" if shown else None if choices else kind.__name__.upper()
        form = {"type": kind, "choices": choices, "metavar": metavar}
    parser.add_argument(f"--{f.name.replace('_', '-')}", default=argparse.SUPPRESS, **form, **more,
                        help=f"{f.metadata['help']} (default: {_default_text(task, f)})")


def _named_value(text):
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _default_text(task, f):
    if f.name == "preset":
        return DEFAULT_PRESET
    values = {preset: given.get(f.name, f.default) for preset, given in task.presets.items()}
    if len(set(values.values())) == 1:
        return str(values[DEFAULT_PRESET])
    return ", ".join(f"{preset}: {None if value is MISSING else value}" for preset, value in values.items())


def _train(task, resume, progress, run=None, **options):
    from minibn.cells.user import declared_name
    from minibn.training import TASKS, make_config, resumed_config, train

    if "cell_option" in options:
        options["cell_option"] = dict(options["cell_option"])
    given = {"preset": DEFAULT_PRESET, "model": TASKS[task].config.model, "task": task, **options}
    folder = run or os.path.join("runs", f"{task}-{declared_name(given['model'])}-{given['preset']}")
    config = resumed_config(folder, task=task, **options) if resume else None
    config = config or make_config(**given)
    try:
        final = train(config, folder, resume=resume, progress=progress)
    except KeyboardInterrupt as interrupt:
        where = str(interrupt) or "nothing new was saved"
        named = ["--model", given["model"]] if config.cell else []
        again = shlex.join(["minibn", "train", config.task, *named, "--run", folder, "--resume"])
        interrupt.args = (f"{where}; continue with: {again}",)
        raise
    how = "with population statistics" if config.normalized else "without batch normalization"
    result = config.summary({name.removeprefix("test_"): value for name, value in final.items()})
    print(f"{folder}: {final['test_name']}: {result}, {how}, model of iteration {final['best_iteration']}")


def _add_run(parser, what):
    parser.add_argument("run", metavar="RUN", type=path, help=what)
    help = "of a run whose cell is in a file of yours: that file again, which is executed if it is the same"
    parser.add_argument("--model", dest="cell", metavar="FILE.py:NAME", default=None, help=help)


def add_evaluate(parser):
    """``minibn evaluate RUN``."""
    parser.set_defaults(handler=_evaluate)
    _add_run(parser, "folder of the run")
    parser.add_argument("--statistics", choices=("population", "batch", "averaged"), default="population",
                        help="normalize with the population's statistics of each step, with the batch's own, or with "
                             "the population's averaged over time")
    parser.add_argument("--batch-size", type=int, default=None, metavar="INT",
                        help="examples at a time; None is 1000, or of readers and with batch statistics the size used "
                             "in training")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None, help="None is the device of the run")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--length", dest="lengths", type=int, nargs="+", default=None, metavar="INT",
                       help="of a run on text: the test text cut into segments of this length, and of this, ...")
    parts.add_argument("--whole", action="store_true",
                       help="of a run on text: the whole test text as one sequence, in float64")


def _evaluate(run, statistics, batch_size, lengths, whole, **where):
    from minibn.training.evaluation import evaluated

    with evaluated(run, statistics, **where) as opened:
        results = opened.whole_text() if whole else opened.splits(batch_size, lengths)
        config = opened.best.config
        how = f", {statistics} statistics" if config.normalized else ""
        about = {} if whole else {name: config.about(split) for name, (split, _) in opened.parts(lengths).items()}
        for name, score in results.items():
            measures = config.summary(config.measures(score))
            right = f"({score.correct} of {score.predictions} right)"
            print(f"{name}: {measures} {right}{how}{about.get(name, '')}", flush=True)


def add_sample(parser):
    """``minibn sample RUN``."""
    parser.set_defaults(handler=_sample)
    _add_run(parser, "folder of a run on text")
    parser.add_argument("--prompt", default="the ", metavar="TEXT", help="what to continue")
    parser.add_argument("--length", type=int, default=500, metavar="INT", help="characters to write")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="FLOAT",
                        help="below 1 the likely characters become likelier still, above 1 the others")
    parser.add_argument("--seed", type=int, default=1, metavar="INT", help="seed of what is drawn")


def _sample(**options):
    import time

    from minibn.training import sample_text

    started = time.perf_counter()
    print(sample_text(**options), flush=True)
    seconds = time.perf_counter() - started
    tell(f"{options['length'] / seconds:,.0f} characters a second, opening the run included")


def add_show(parser):
    """``minibn show attention RUN``."""
    what = parser.add_subparsers(title="what to show", metavar="WHAT", required=True)
    parser = add_command(what, "attention", _show_attention, "where a reader looks, in passages that it read")
    _add_run(parser, "folder of a run on questions")
    parser.add_argument("--question", dest="numbers", type=int, nargs="+", default=None, metavar="INT",
                        help="which questions, from 0; None is two right and two wrong answers")
    parser.add_argument("--split", choices=("train", "valid", "test"), default="valid", help="of which part")
    parser.add_argument("--html", metavar="FILE", type=path, default=None, help="where a page of them goes")


def _show_attention(run, cell, html, **options):
    from minibn.training.attention import attention_html, attention_text, read_attention

    readings = read_attention(run, **options)
    print(attention_text(readings, colours=sys.stdout.isatty()))
    if html is not None:
        Path(html).parent.mkdir(parents=True, exist_ok=True)
        Path(html).write_text(attention_html(readings, f"Attention of {run}"), encoding="utf-8")
        print(f"\n{html}")

