"""What a person sees while a run goes on, a bar or lines on stderr, and Ctrl-C at a place where nothing is half done.

Showing never stops a run: where stderr is closed, or its reader has gone, nothing is shown.
"""

import contextlib
import signal
import sys
import threading
import time

from minibn.errors import tell

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
        if sys.stderr is None or getattr(sys.stderr, "closed", False):
            mode = "none"
        elif mode == "auto":
            mode = "bar" if sys.stderr.isatty() else "lines"
        self.mode, self.title, self.bar = mode, title, None
        self.first, self.done, self.total, self.started = done, done, total, time.perf_counter()
        if mode == "bar":
            from tqdm import tqdm

            with contextlib.suppress(OSError, ValueError):
                self.bar = tqdm(total=total, initial=done, desc=title, unit="it", dynamic_ncols=True)

    def advance(self, steps=1):
        """So many more iterations."""
        self.done += steps
        self._bar("update", steps)

    def note(self, text):
        """What is going on, beside the bar."""
        self._bar("set_postfix_str", text)

    def say(self, text):
        """A line that stays; where there is no bar that says it, with the time left."""
        if self.mode == "lines":
            tell(f"{self.title}: {text}{self._left()}")
        else:
            self._bar("write", f"{self.title}: {text}", file=sys.stderr)

    def close(self):
        """Leave the bar as it is."""
        self._bar("close")

    def _left(self):
        """The time left at the pace so far, in words: nothing at the beginning and at the end."""
        if not self.first < self.done < self.total:
            return ""
        pace = (time.perf_counter() - self.started) / (self.done - self.first)
        seconds = pace * (self.total - self.done)
        return f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"

    def _bar(self, method, *arguments, **options):
        if self.bar is not None:
            with contextlib.suppress(OSError, ValueError):
                getattr(self.bar, method)(*arguments, **options)


class Interrupted(KeyboardInterrupt):
    """Training stopped at the user's wish, after everything was saved. The message says where."""


class DelayedInterrupt:
    """Inside this context the first Ctrl-C only sets `asked`; the second interrupts at once, as usual.

    It does nothing where Ctrl-C does not mean what it usually means: outside the main thread, where Python cannot
    handle signals, and in a process that ignores it.
    """

    def __init__(self):
        self.asked = False

    def __enter__(self):
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._active = in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._active:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception):
        if self._active:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        tell("\nminibn: saving after this iteration; Ctrl-C again stops at once")
