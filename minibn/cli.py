"""The command ``minibn``: arguments in, one function call, text out. The work is done in the rooms it calls.

A user's mistake is one line on stderr and exit code 2; MINIBN_DEBUG=1 shows the traceback instead. Rooms are
imported inside the handlers, so that ``minibn --help`` is quick.
"""

import argparse
import os
import shlex
import sys
from dataclasses import fields

import minibn
from minibn.training.config import PRESETS, TrainConfig

__all__ = ["main"]

DEFAULT_PRESET = "quick"


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 1 a gradient check failed, 2 a mistake or a failure, 130 interrupted.
    """
    options = vars(_parser().parse_args(arguments))
    handler = options.pop("handler")
    try:
        return handler(**options) or 0
    except KeyboardInterrupt as interrupt:
        print(f"minibn: interrupted{f': {interrupt}' if str(interrupt) else ''}", file=sys.stderr)
        return 130
    # What the public functions of minibn raise for a user's mistake, a diverged training, a full disk.
    except (ValueError, TypeError, FloatingPointError, OSError, MemoryError) as error:
        if os.environ.get("MINIBN_DEBUG") == "1":
            raise
        print(f"minibn: error: {_one_line(error)}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line too."""

    def error(self, message):
        self.exit(2, f"minibn: error: {message}; see {self.prog} --help\n")


def _one_line(error):
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # without "[Errno 28]"
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join((text or type(error).__name__).split())


def _parser():
    parser = _Parser(
        prog="minibn",
        description="Recurrent batch normalization by hand: every gradient written out and checked.",
        epilog="MINIBN_DATA names a folder with data sets; MINIBN_DEBUG=1 shows tracebacks.",
    )
    parser.add_argument("--version", action="version", version=f"minibn {minibn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_demo, _add_train, _add_evaluate, _add_reproduce, _add_gradcheck, _add_bench, _add_data):
        add(commands)
    return parser


def _command(commands, name, handler, help):
    parser = commands.add_parser(
        name, help=help, description=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.set_defaults(handler=handler)
    return parser


# ---------------------------------------------------------------------- train


def _add_train(commands):
    parser = _command(commands, "train", _train, "train a network on MNIST, pixel by pixel; the run is a folder")
    parser.add_argument(
        "--run",
        metavar="FOLDER",
        default=argparse.SUPPRESS,
        help="folder of the run (default: runs/TASK-MODEL-PRESET)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in the folder after its last checkpoint"
    )
    _add_progress(parser)
    for f in fields(TrainConfig):
        _add_option(parser, f)


def _add_progress(parser):
    choices, help = ("auto", "bar", "lines", "none"), "what to show; auto is bar on a terminal, else lines"
    parser.add_argument("--progress", choices=choices, default="auto", help=help)


def _add_option(parser, f):
    """One option from one field of `TrainConfig`. Only what the user gives reaches the handler."""
    kind, choices, help = f.metadata["kind"], f.metadata["choices"], f.metadata["help"]
    help = f"{help} (default: {_default_text(f)})"
    if f.name == "task":
        parser.add_argument(f.name, choices=choices, help=f.metadata["help"])
        return
    name = "--" + f.name.replace("_", "-")
    if kind is bool:
        parser.add_argument(name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help)
    else:
        metavar = None if choices else kind.__name__.upper()
        parser.add_argument(name, type=kind, choices=choices, metavar=metavar, default=argparse.SUPPRESS, help=help)


def _default_text(f):
    if f.name == "preset":
        return DEFAULT_PRESET
    others = [f"{preset}: {changes[f.name]}" for preset, changes in PRESETS.items() if f.name in changes]
    return ", ".join([f"paper: {f.default}", *others]) if others else str(f.default)


def _train(resume, progress, run=None, **options):
    from minibn.training import make_config, resumed_config, train
    from minibn.training.runs import CONFIG

    given = {"preset": DEFAULT_PRESET, "model": TrainConfig.model, **options}
    folder = run or os.path.join("runs", "{task}-{model}-{preset}".format(**given))
    if resume and os.path.exists(os.path.join(folder, CONFIG)):
        config = resumed_config(folder, **options)
    else:
        config = make_config(**given)
    try:
        final = train(config, folder, resume=resume, progress=progress)
    except KeyboardInterrupt as interrupt:
        where = str(interrupt) or f"the last checkpoint is in {folder}"
        again = shlex.join(["minibn", "train", config.task, "--run", folder, "--resume"])
        interrupt.args = (f"{where}; continue with: {again}",)
        raise
    how = "with population statistics" if config.normalized else "without batch normalization"
    print(
        f"{folder}: accuracy on the {final['test_name']} {final['test_accuracy']:.4f} {how}, "
        f"model of iteration {final['best_iteration']}"
    )


# ---------------------------------------------------------------------- evaluate, reproduce, demo


def _add_evaluate(commands):
    parser = _command(commands, "evaluate", _evaluate, "loss and accuracy of a run's best model")
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--statistics",
        choices=("population", "batch", "averaged"),
        default="population",
        help=(
            "normalize with the population's statistics of each step, with the batch's own, or with the "
            "population's averaged over time"
        ),
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=None,
        metavar="INT",
        help="examples at a time; None is 1000, or with batch statistics the size used in training",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None, help="None is the device of the run")


def _evaluate(run, statistics, batch_size, device):
    from minibn.training import evaluate_run, read_config

    how = f", {statistics} statistics" if read_config(run)[0].normalized else ""
    for name, result in evaluate_run(run, statistics, batch_size, device).items():
        print(
            f"{name}: loss {result.loss:.4f}, accuracy {result.accuracy:.4f} "
            f"({result.correct} of {result.examples}){how}"
        )


def _add_reproduce(commands):
    parser = _command(commands, "reproduce", _reproduce, "compute and draw a figure of the paper")
    parser.add_argument("name", choices=("figure1a", "figure1a_lstm", "figure1b", "figure2"), help="which")
    parser.add_argument(
        "--output", metavar="FOLDER", default="runs/figures", help="where the picture and its numbers go"
    )
    parser.add_argument("--runs", metavar="FOLDER", nargs="+", default=(), help="figure2: the training runs to draw")
    parser.add_argument("--seed", type=int, metavar="INT", default=1, help="figure1a, figure1b: seed of what is drawn")
    parser.add_argument("--seeds", type=int, metavar="INT", default=1, help="figure1a: how many, from --seed on")


def _reproduce(**options):
    from minibn.studies import reproduce

    print(reproduce(**options))


def _add_demo(commands):
    help = "the whole of it in a minute or two: gradients checked, two networks trained, figures drawn, one page"
    parser = _command(commands, "demo", _demo, help)
    parser.add_argument("--output", metavar="FOLDER", default="runs/demo", help="where the page and its pictures go")
    parser.add_argument("--iterations", type=int, metavar="INT", default=400, help="minibatches for each network")
    parser.add_argument("--hidden", type=int, metavar="INT", default=100, help="hidden units of each network")
    parser.add_argument("--seed", type=int, metavar="INT", default=1, help="seed of every random number")
    _add_progress(parser)


def _demo(**options):
    from minibn.studies.demo import run_demo

    return 0 if run_demo(**options)["gradients_ok"] else 1


# ---------------------------------------------------------------------- gradcheck, bench, data


def _add_gradcheck(commands):
    parser = _command(commands, "gradcheck", _gradcheck, "compare the hand-written gradients with numerical ones")
    parser.add_argument("names", nargs="*", default=["all"], metavar="CELL", help="rnn, bnrnn, lstm, bnlstm or all")


def _gradcheck(names):
    from minibn.gradcheck import gradcheck_table

    text, ok = gradcheck_table(names)
    print(text)
    return 0 if ok else 1


def _add_bench(commands):
    help = "time our cells on this machine, beside bare matrix products and other libraries; their memory and growth"
    parser = _command(commands, "bench", _bench, help)
    modes = parser.add_mutually_exclusive_group()
    mode = {"dest": "mode", "action": "store_const"}
    modes.add_argument("--quick", **mode, const="quick", default="quick", help="under a minute (this)")
    full = "the shapes of the paper's experiments, more rounds: many minutes and 10 GB of memory, on an idle machine"
    modes.add_argument("--full", **mode, const="full", default=argparse.SUPPRESS, help=full)
    shape = "time steps, examples, input features, hidden units; may be repeated; None is those of the mode"
    parser.add_argument("--shape", dest="shapes", action="append", type=_shape, metavar="T,N,D,H", help=shape)
    cells = ("rnn", "bnrnn", "lstm", "bnlstm")
    parser.add_argument("--cells", nargs="+", choices=cells, default=cells, help="which of our cells")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of all numbers")
    parser.add_argument("--threads", type=int, metavar="INT", help="None is OMP_NUM_THREADS, or all cores")
    parser.add_argument("--rounds", type=int, metavar="INT", default=None, help="None is that of the mode")
    parser.add_argument("--json", dest="json_path", metavar="FILE", default=None, help="where the numbers go")
    plot = "runs/bench/scaling.png"
    parser.add_argument("--plot", dest="plot_path", metavar="FILE", default=plot, help="where the picture goes")


def _shape(text):
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected T,N,D,H, for example 784,100,1,100, got {text!r}") from None


def _bench(plot_path, **options):
    from minibn.bench import run_bench

    def show(text):
        say("")
        print(text, end="\n\n", flush=True)

    def say(line):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    run_bench(plot_path=plot_path, show=show, say=say, **options)
    say("")
    print(plot_path)


def _add_data(commands):
    parser = _command(commands, "data", _data, "the data sets: what is here, fetch it, verify it")
    parser.add_argument("action", choices=("list", "fetch", "verify"), help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="which data set; None is every one (fetch: mnist)")


def _data(action, name):
    from minibn.data import fetch_data, list_data, verify_data

    if action == "list":
        print(list_data())
    elif action == "fetch":
        print(fetch_data(name or "mnist"))
    else:
        print(verify_data(name))
