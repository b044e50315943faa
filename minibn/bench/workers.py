"""A process for each entrant: no library's threads and no library's memory get in the way of another's."""

import os
import signal
import threading
from contextlib import contextmanager

from minibn.bench.memory import resident_bytes
from minibn.machine import THREAD_VARIABLES, available_cores, environment


class LocalWorker:
    """The same in this process; its resident memory is not the entrant's alone, and stays unknown."""

    def __init__(self, entrant, setting):
        self.entrant, self.setting = entrant, setting

    def wait(self):
        """Until it is built; RuntimeError if it cannot be."""
        self.built = _or_runtime_error(self.entrant.make, self.entrant, self.setting)

    def ask(self, method, *arguments):
        """Call a method of what was built.

        Raises
        ------
        RuntimeError
            It failed; the message says how, in a line.
        """
        return _or_runtime_error(getattr(self.built, method), *arguments)

    def measure(self, repeats):
        """A turn of `minibn.bench.timing.alternate`."""
        return self.ask("measure", repeats)

    def extra_memory(self):
        """Bytes beyond those before the first run, at most; on a GPU all that the library has taken; None: unknown."""
        return None

    def close(self):
        """End it."""


class ProcessWorker(LocalWorker):
    """In a process of its own, with as many threads as the setting says."""

    def __init__(self, entrant, setting):
        from multiprocessing import get_context

        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, entrant, setting), daemon=True)
        settings = dict.fromkeys(THREAD_VARIABLES, str(setting.threads))
        if setting.device == "cpu":
            settings["JAX_PLATFORMS"] = "cpu"
        with environment(settings), _deaf_children():
            self.process.start()
        theirs.close()
        self.device = setting.device

    def ask(self, method, *arguments):
        """See `LocalWorker.ask`."""
        try:
            self.connection.send((method, arguments))
        except OSError:
            raise RuntimeError(self._death()) from None
        return self._receive()

    def extra_memory(self):
        """See `LocalWorker.extra_memory`."""
        return self.ask("device_bytes" if self.device == "cuda" else "extra_memory")

    def wait(self):
        """See `LocalWorker.wait`."""
        self._receive()

    def close(self):
        """End the process; it has nothing to put in order."""
        self.connection.close()
        self.process.kill()
        self.process.join()

    def _receive(self):
        try:
            failed, answer = self.connection.recv()
        except (EOFError, OSError):
            raise RuntimeError(self._death()) from None
        if failed:
            raise RuntimeError(answer)
        return answer

    def _death(self):
        self.process.join(timeout=2)
        code = self.process.exitcode
        why = "killed, perhaps for want of memory" if code is not None and code < 0 else f"exit code {code}"
        return f"its process ended ({why})"


def _serve(connection, entrant, setting):
    """The other side of `ProcessWorker`: builds, then answers until the connection is closed."""
    if hasattr(os, "sched_setaffinity") and setting.threads < available_cores():     # XLA has no other setting for it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:setting.threads])
    try:
        built, before = _or_runtime_error(entrant.make, entrant, setting), resident_bytes()
        connection.send((False, None))
        while True:
            method, arguments = connection.recv()
            if method == "extra_memory":
                answer = before and resident_bytes()[1] - before[0]
            else:
                answer = _or_runtime_error(getattr(built, method), *arguments)
            connection.send((False, answer))
    except RuntimeError as error:
        connection.send((True, str(error)))
    except (EOFError, OSError):
        pass                                          # the parent has closed the connection


def _or_runtime_error(function, *arguments):
    """Call it; whatever goes wrong with an entrant costs its row and not the table."""
    try:
        return function(*arguments)
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise RuntimeError(text if isinstance(error, ImportError | ValueError) else
                           f"{type(error).__name__}: {text}") from error


@contextmanager
def _deaf_children():
    """Processes started here inherit that Ctrl-C is none of their business: the parent ends them."""
    if threading.current_thread() is not threading.main_thread():            # elsewhere signals cannot be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
