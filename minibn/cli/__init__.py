"""The command ``minibn``: arguments in, one function call, text out. The work is done in the rooms it calls.

A user's mistake is one line on stderr and exit code 2; MINIBN_DEBUG=1 shows the traceback instead. Rooms are
imported inside the handlers, so that ``minibn --help`` is quick.
"""

import os
import sys

import minibn
from minibn.cli import runs, tools
from minibn.cli.parser import Parser

__all__ = ["main"]


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


def _one_line(error):
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # without "[Errno 28]"
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join((text or type(error).__name__).split())


def _parser():
    parser = Parser(
        prog="minibn",
        description="Recurrent batch normalization by hand: every gradient written out and checked.",
        epilog="MINIBN_DATA names a folder with data sets; MINIBN_DEBUG=1 shows tracebacks.",
    )
    parser.add_argument("--version", action="version", version=f"minibn {minibn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (*runs.COMMANDS, *tools.COMMANDS):
        add(commands)
    return parser
