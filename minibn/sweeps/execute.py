"""Executing a sweep through joblib: processes on this machine, or the workers of a dask cluster."""

import logging
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from minibn.errors import check_integer, tell
from minibn.machine import available_cores
from minibn.sweeps.state import State, words
from minibn.sweeps.worker import die_with, run_one
from minibn.training.display import Display

__all__ = ["sweep"]

NEW_POOLS = 3       # at most, where one breaks because a worker was killed
LOOK = 2.0          # seconds between two looks at the folders
PATIENCE = 10       # seconds until a scheduler has answered


def sweep(planned, folder, jobs=None, scheduler=None, progress="auto"):
    """Train all runs that are not finished; the same call again goes on after any kill.

    Parameters
    ----------
    planned : list of Planned
        From `minibn.sweeps.plan`.
    folder : path-like
        Where the runs are kept, each in a folder of its own, and ``sweep.json``, which says how far they are.
    jobs : int, optional
        Processes on this machine, each with one thread of BLAS; by default one for each core.
    scheduler : str, optional
        Address of a dask scheduler, ``tcp://host:8786``, whose workers share the folder: they do the work.
    progress : {"auto", "bar", "lines", "none"}

    Returns
    -------
    dict
        As in ``sweep.json``.

    Raises
    ------
    ImportError
        joblib or dask is not installed.
    ValueError
        More processes than cores; a folder with something else in it.
    OSError
        The scheduler cannot be reached; nothing can be written.
    """
    cores = available_cores()
    jobs = check_integer("jobs", cores if jobs is None else jobs, at_least=1)
    if jobs > cores and not scheduler:
        raise ValueError(f"jobs: expected at most the {cores} cores of this machine, got {jobs}; more would only wait "
                         f"for each other")
    folder = Path(folder).absolute()
    state = State(folder, planned)
    with _pools(jobs, scheduler) as parallel:
        folder.mkdir(parents=True, exist_ok=True)
        state.write()
        display = Display(progress, state.first, state.total, f"sweep on {state.task}")
        watch = _Watch(state, display)
        try:
            _work(planned, state, parallel, watch)
        finally:
            watch.stop()
            display.close()
            state.stop()
            state.write()
    return state.to_dict()


def _work(planned, state, parallel, watch):
    """All runs that are not finished, in one pool after the other while workers are killed."""
    from joblib import delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    for pools_left in reversed(range(NEW_POOLS + 1)):
        left = [one for one in planned if state.runs[one.name].status in ("waiting", "running")]
        calls = [delayed(run_one)(one.name, str(state.folder / one.name), _given(one)) for one in left]
        if not calls:
            return
        try:
            for name, error in parallel()(calls):
                watch.finish(name, error)
        except BrokenProcessPool:
            tell(f"minibn: a worker was killed; {'going on with new ones' if pools_left else 'giving up'}")


def _given(one):
    """The arguments of `make_config` for a run, in a process that may not know the user's cell."""
    settings = {name: value for name, value in one.config.to_dict().items() if name != "cell"}
    return {**settings, "model": one.model}


class _Watch:
    """Looks at the runs from time to time, and says how far they are."""

    def __init__(self, state, display):
        self.state, self.display = state, display
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.ended.wait(LOOK):
            with self.lock:
                self.state.look()
                self._tell()

    def _tell(self):
        with suppress(OSError):     # a full disk: the runs say so
            self.state.write()
        self.display.total = self.state.total
        self.display.advance(self.state.done - self.display.done)
        self.display.note(self.state.line())

    def finish(self, name, error):
        """A run has ended."""
        with self.lock:
            self.state.finish(name, error)
            run = self.state.runs[name]
            if run.status != "waiting":
                self._tell()
                self.display.say(f"{words(run)}{f', failed: {error}' if error else ''}; {self.state.line()}")

    def stop(self):
        """No more."""
        self.ended.set()
        self.thread.join()


@contextmanager
def _pools(jobs, scheduler):
    """What makes one pool of workers after the other: joblib's `Parallel`."""
    from concurrent.futures import CancelledError

    try:
        import threadpoolctl  # noqa: F401
        from joblib import Parallel, parallel_config
        if scheduler:
            from distributed import Client
    except ImportError as error:
        raise ImportError(f"sweep: {error.name} is not installed; pip install 'minibn[sweep]'") from None
    as_they_end = {"return_as": "generator_unordered", "batch_size": 1}
    if not scheduler:
        with parallel_config("loky", inner_max_num_threads=1, initializer=die_with, initargs=(os.getpid(),)):
            yield lambda: Parallel(jobs, **as_they_end)
        return
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)      # what it has to say, we say
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise OSError(f"scheduler: nobody answers at {scheduler} ({type(error).__name__}); start `dask scheduler` "
                      f"there, or correct the address") from None
    try:
        with client, parallel_config("dask", client=client):
            yield lambda: Parallel(-1, pre_dispatch="all", **as_they_end)
    except CancelledError:
        raise OSError(f"scheduler: {scheduler} was lost, or what it had to do was cancelled; nothing saved is "
                      f"lost, and the same command goes on") from None
