"""One run of a sweep, in a process of its own, on this machine or on another."""

import os
import time
from contextlib import nullcontext

from minibn.training import Interrupted, make_config, resumed_config, train
from minibn.training.folder import InUse

__all__ = ["run_one"]

WAIT = 0.5      # seconds until a run that another process holds is tried again


def run_one(name, folder, settings, parent):
    """Train it to its end, from wherever it is.

    Parameters
    ----------
    name : str
    folder : str
        Of the run.
    settings : dict
        Arguments of `make_config`.
    parent : int or None
        The process that has to live on; None on a cluster.

    Returns
    -------
    name : str
    error : str or None
        In one line, why it failed; "" if it was stopped because nobody waits for it any more.
    """
    def deserted():
        return os.getppid() != parent if parent else _closing()

    try:
        with _one_thread():
            while not deserted():
                try:
                    config = resumed_config(folder, **settings) or make_config(**settings)
                    train(config, folder, resume=True, progress="none", stop=deserted)
                    return name, None
                except InUse:       # by another sweep, or by a worker that is not quite dead
                    time.sleep(WAIT)
    except Interrupted:
        pass
    except Exception as error:
        return name, " ".join(f"{error}".split()) or type(error).__name__
    return name, ""


def _one_thread():
    """One thread of BLAS, whatever the process was started with: the bits of a result depend on their number."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)


def _closing():
    """Whether this worker of a cluster is about to end, its scheduler perhaps gone."""
    from distributed import Status, get_worker

    return get_worker().status not in (Status.running, Status.paused)
