"""Ctrl-C at a place where nothing is half done."""

import signal
import sys
import threading

__all__ = ["DelayedInterrupt", "Interrupted"]


class Interrupted(KeyboardInterrupt):
    """Training stopped at the user's wish, after everything was saved. The message says where."""


class DelayedInterrupt:
    """Inside this context the first Ctrl-C only sets `asked`; the second interrupts at once, as usual.

    Outside the main thread, where Python cannot handle signals, it does nothing.
    """

    def __init__(self):
        self.asked = False

    def __enter__(self):
        self._active = threading.current_thread() is threading.main_thread()
        if self._active:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception):
        if self._active:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print(
            "\nminibn: saving after this iteration; Ctrl-C again stops at once", file=sys.stderr, flush=True
        )
