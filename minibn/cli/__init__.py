"""The command ``minibn``: arguments in, one function call, text out. The work is done in the rooms it calls.

A user's mistake is one line on stderr and exit code 2; MINIBN_DEBUG=1 shows the traceback instead. Rooms are
imported inside the handlers, so that ``minibn --help`` is quick.
"""

import os
import sys

import minibn
from minibn.cli import lab, runs, sweeps, tools
from minibn.cli.parser import Parser
from minibn.errors import one_line
from minibn.training.display import tell

__all__ = ["main"]

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
            options = vars(_parser().parse_args(arguments))
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


def _parser():
    parser = Parser(prog="minibn",
                    description="Recurrent batch normalization by hand: every gradient written out and checked.",
                    epilog="MINIBN_DATA names a folder with data sets; MINIBN_DEBUG=1 shows tracebacks.")
    parser.add_argument("--version", action="version", version=f"minibn {minibn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (*runs.COMMANDS, *sweeps.COMMANDS, *tools.COMMANDS, lab.add_lab):
        add(commands)
    return parser
