"""The commands ``minibn demo | reproduce | gradcheck | bench | data``."""

import argparse
import sys

from minibn.cli.parser import add_progress, path


def add_reproduce(parser):
    from minibn.studies.figures import FIGURES

    def takers(option):
        names = {}
        for name, figure in FIGURES.items():
            if option in figure.takes:
                names.setdefault(figure.takes[option], []).append(name)
        return "; ".join(f"{', '.join(those)}: {what}" for what, those in names.items())

    parser.set_defaults(handler=_reproduce)
    what = "; ".join(f"{name}: {figure.help}" for name, figure in FIGURES.items())
    parser.add_argument("name", choices=(*FIGURES, "all"), help=f"{what}; all: whatever the runs allow, in one page")
    parser.add_argument(
        "--output", metavar="FOLDER", type=path, default="runs/figures", help="where the picture and its numbers go"
    )
    runs = f"training runs to draw: {takers('runs')}"
    parser.add_argument("--runs", metavar="FOLDER", type=path, nargs="+", default=(), help=runs)
    parser.add_argument("--seed", type=int, metavar="INT", default=1, help=f"seed; {takers('seed')}")
    parser.add_argument("--seeds", type=int, metavar="INT", default=1, help=takers("seeds"))
    numbers = "draw the JSON file of an earlier figure of this name again, computing nothing"
    parser.add_argument("--numbers", metavar="FILE", type=path, default=None, help=numbers)


def _reproduce(name, **options):
    from minibn.studies import reproduce, reproduce_all
    from minibn.studies.figure import OPTIONS

    if name != "all":
        print(reproduce(name=name, **options))
        return
    for option in ("seed", "seeds", "numbers"):
        if options.pop(option) != OPTIONS.get(option):
            raise ValueError(f"{option}: all figures at once do not take it; leave it out, or name a figure")
    print(reproduce_all(**options))


def add_demo(parser):
    parser.set_defaults(handler=_demo)
    where = "where the page and its pictures go"
    parser.add_argument("--output", metavar="FOLDER", type=path, default="runs/demo", help=where)
    parser.add_argument("--iterations", type=int, metavar="INT", default=400, help="minibatches for each network")
    parser.add_argument("--hidden", type=int, metavar="INT", default=100, help="hidden units of each network")
    parser.add_argument("--seed", type=int, metavar="INT", default=1, help="seed of every random number")
    add_progress(parser)


def _demo(**options):
    from minibn.studies.demo import run_demo

    return 0 if run_demo(**options)["gradients_ok"] else 1


def add_gradcheck(parser):
    from minibn.cells import CELLS

    parser.set_defaults(handler=_gradcheck)
    parser.add_argument("names", nargs="*", default=["all"], metavar="CELL",
                        help=f"{', '.join(CELLS)}, readers, all, or FILE.py:NAME")


def _gradcheck(names):
    from minibn.gradcheck import gradcheck_table

    text, ok = gradcheck_table(names)
    print(text)
    return 0 if ok else 1


def add_bench(parser):
    from minibn.cells import CELLS

    parser.set_defaults(handler=_bench)
    modes = parser.add_mutually_exclusive_group()
    mode = {"dest": "mode", "action": "store_const"}
    modes.add_argument("--quick", **mode, const="quick", default="quick", help="two or three minutes (this)")
    full = "the shapes of the paper's experiments, more rounds: many minutes and 10 GB of memory, on an idle machine"
    modes.add_argument("--full", **mode, const="full", default=argparse.SUPPRESS, help=full)
    readers = "a whole update of each reader, beside PyTorch's; threads are OMP_NUM_THREADS, or all cores"
    modes.add_argument("--readers", **mode, const="readers", default=argparse.SUPPRESS, help=readers)
    shape = "time steps, examples, input features, hidden units; may be repeated; None is those of the mode"
    parser.add_argument("--shape", dest="shapes", action="append", type=_shape, metavar="T,N,D,H", help=shape)
    cells = tuple(CELLS)
    parser.add_argument("--cells", nargs="+", choices=cells, default=cells, help="which of our cells")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of all numbers")
    threads = "None is OMP_NUM_THREADS, or one and as many as there are cores"
    parser.add_argument("--threads", type=int, nargs="+", metavar="INT", help=threads)
    parser.add_argument("--rounds", type=int, metavar="INT", default=None, help="None is that of the mode")
    file = {"metavar": "FILE", "type": path}
    parser.add_argument("--json", dest="json_path", **file, default=None, help="where the numbers go")
    plot = "runs/bench/scaling.png"
    parser.add_argument("--plot", dest="plot_path", **file, default=plot, help="where the picture goes")


def _shape(text):
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected T,N,D,H, for example 784,100,1,100, got {text!r}") from None


def _bench(plot_path, **options):
    from minibn.bench import run_bench
    from minibn.bench.readers import READER_ROUNDS, SHAPE, measure_readers, readers_text

    def show(text):
        _say("")
        print(text, end="\n\n", flush=True)

    if options["mode"] == "readers":
        for shape in options["shapes"] or [SHAPE]:
            show(readers_text(*measure_readers(options["rounds"] or READER_ROUNDS, shape=shape, say=_say), shape))
        return
    run_bench(plot_path=plot_path, show=show, say=_say, **options)
    _say("")
    print(plot_path)


def _say(line):
    """A line on stderr: on a terminal the next one takes its place, and an empty one leaves nothing."""
    from minibn.errors import tell

    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        tell(line)


def add_data(parser):
    parser.set_defaults(handler=_data)
    parser.add_argument("action", choices=("list", "fetch", "verify", "build"), help="what to do")
    each = "which data set; None is every one (fetch: mnist, build: wiki)"
    parser.add_argument("name", nargs="?", metavar="NAME", help=each)


def _data(action, name):
    from minibn.data import DataError, fetch_data, list_data, verify_data
    from minibn.data.wiki import build_wiki

    if action == "list":
        print(list_data(name))
    elif action == "fetch":
        print(fetch_data("mnist" if name is None else name))
    elif action == "build":
        if name not in (None, "wiki"):
            raise DataError(f"build: expected wiki, got {name!r}; fetch other data sets")
        report = build_wiki(_say)
        _say("")
        print("\n".join(report))
    else:
        print(verify_data(name))

