"""What every subcommand is made with."""

import argparse


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line too."""

    def error(self, message):
        self.exit(2, f"minibn: error: {message}; see {self.prog} --help\n")


def add_command(commands, name, handler, help):
    """A subcommand; `handler` is called with its options by name and returns an exit code, or None for 0."""
    parser = commands.add_parser(name, help=help, description=help,
                                 formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.set_defaults(handler=handler)
    return parser


def add_progress(parser):
    """The option --progress."""
    choices, help = ("auto", "bar", "lines", "none"), "what to show; auto is bar on a terminal, else lines"
    parser.add_argument("--progress", choices=choices, default="auto", help=help)


def path(text):
    """The type of an option that names a file or a folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected the name of a file or folder, got {text!r}")
    return text
