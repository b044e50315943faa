"""Ctrl-C at a place where nothing is half done."""

import signal
import threading

from minibn.training.display import tell

__all__ = ["DelayedInterrupt", "Interrupted"]


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
