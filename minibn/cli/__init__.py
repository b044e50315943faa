"""The command ``minibn``: arguments in, one function call, text out. The work is done in the rooms it calls.

A user's mistake is one line on stderr and exit code 2; MINIBN_DEBUG=1 shows the traceback instead. Rooms are
imported inside the handlers, and the options of a command are made when it is asked for, so that ``minibn --help`` is
quick.
"""

import os
import sys
from importlib import import_module

import minibn
from minibn.cli.parser import Parser, add_command
from minibn.errors import one_line, tell

__all__ = ["main"]

COMMANDS = {        # the file of its options, and what it does
    "train": ("runs", "train a network; the run is a folder"),
    "evaluate": ("runs", "loss and errors of a run's best model"),
    "sample": ("runs", "write text with a run's best model"),
    "show": ("runs", "show what a trained model does"),
    "sweep": ("sweeps", "train many networks: settings, their values, seeds"),
    "compare": ("sweeps", "put runs beside each other, by the settings that differ"),
    "demo": ("tools", "the whole of it in a minute or two: gradients checked, two networks trained, figures drawn, one "
                      "page"),
    "reproduce": ("tools", "compute and draw a figure of the paper"),
    "gradcheck": ("tools", "compare the hand-written gradients with numerical ones"),
    "bench": ("tools", "time our cells on this machine, beside bare matrix products and other libraries; their memory "
                       "and growth"),
    "data": ("tools", "the data sets: what is here, fetch it, verify it, build it"),
    "lab": ("lab", "hand-outs for a course, and a grader that names the mistake"),
}
READER_GONE = 141       # 128 and the number of SIGPIPE, as of other tools in a pipe whose reader has ended


def main(arguments=None):
    """Run the command line; `arguments` (list of str) are by default those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 1 a gradient check or a run of a sweep failed, 2 a mistake or a failure, 130 interrupted,
        141 nobody reads the output any more.
    """
    _mend_streams()
    try:
        try:
            options = vars(_parser(arguments).parse_args(arguments))
            return options.pop("handler")(**options) or 0
        finally:
            sys.stdout.flush()      # here, where its failure can be told
    except KeyboardInterrupt as interrupt:
        tell(f"minibn: interrupted{f': {interrupt}' if str(interrupt) else ''}")
        return 130
    except BrokenPipeError:
        _drop_stdout()
        return READER_GONE
    except Exception as error:      # whatever a user can get wrong, a diverged training, a full disk
        if os.environ.get("MINIBN_DEBUG") == "1":
            raise
        tell(f"minibn: error: {_told(error)}")
        _drop_stdout()
        return 2


# What the public functions of minibn raise for a user's mistake; anything else shows its type and a way to learn more.
EXPECTED = (ValueError, TypeError, ArithmeticError, OSError, MemoryError, ImportError)


def _told(error):
    if isinstance(error, EXPECTED):
        return one_line(error)
    return f"{type(error).__name__}: {one_line(error)} (unexpected; MINIBN_DEBUG=1 shows where)"


def _mend_streams():
    """Where stdin, stdout or stderr was closed, write to nowhere: else the next file opened would take its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    if hasattr(sys.stdout, "reconfigure"):      # a character that the terminal lacks, or no character at all
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_stdout():
    """Nothing more of what is still to be written: Python would try again when it ends, and complain."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (OSError, ValueError):       # it has no file
            pass


def _parser(arguments=None):
    """The parser, with the options of the command that the arguments begin with."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = Parser(prog="minibn",
                    description="Recurrent batch normalization by hand: every gradient written out and checked.",
                    epilog="MINIBN_DATA names a folder with data sets; MINIBN_DEBUG=1 shows tracebacks.")
    parser.add_argument("--version", action="version", version=f"minibn {minibn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (file, help) in COMMANDS.items():
        command = add_command(commands, name, None, help)
        if arguments[:1] == [name]:
            getattr(import_module(f"minibn.cli.{file}"), f"add_{name}")(command)
    return parser
