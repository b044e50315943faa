"""What a person sees while a run goes on: a progress bar on a terminal, a line per validation elsewhere."""

import sys

__all__ = ["PROGRESS", "Display"]

PROGRESS = ("auto", "bar", "lines", "none")


class Display:
    """Progress on stderr.

    Parameters
    ----------
    mode : str
        ``bar`` (tqdm), ``lines`` (one a validation), ``none``; ``auto`` is a bar on a terminal, else lines.
    done, total : int
        Iterations at the start and at the end.
    title : str
        Stands before the bar or the line.
    """

    def __init__(self, mode, done, total, title):
        if mode not in PROGRESS:
            raise ValueError(f"progress: expected one of {', '.join(PROGRESS)}, got {mode!r}")
        if mode == "auto":
            mode = "bar" if sys.stderr.isatty() else "lines"
        self.mode, self.title, self.bar = mode, title, None
        if mode == "bar":
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, desc=title, unit="it", dynamic_ncols=True)

    def advance(self, steps=1):
        """So many more iterations."""
        if self.bar is not None:
            self.bar.update(steps)

    def note(self, text):
        """What is going on, beside the bar."""
        if self.bar is not None:
            self.bar.set_postfix_str(text)

    def say(self, text):
        """A line that stays."""
        if self.bar is not None:
            self.bar.write(f"{self.title}: {text}", file=sys.stderr)
        elif self.mode == "lines":
            print(f"{self.title}: {text}", file=sys.stderr, flush=True)

    def close(self):
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
