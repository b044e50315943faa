"""One run of a sweep, in a process of its own, on this machine or on another."""

import os
import threading
import time

from minibn.errors import one_line
from minibn.training import make_config, resumed_config, train
from minibn.training.folder import InUse

__all__ = ["die_with", "run_one"]

WAIT = 0.5      # seconds until a run that another process holds is tried again, and between two looks at the parent


def run_one(name, folder, settings):
    """Train it to its end, from wherever it is, with one thread of BLAS: the bits of a result depend on their number.

    Parameters
    ----------
    name : str
    folder : str
        Of the run.
    settings : dict
        Arguments of `make_config`.

    Returns
    -------
    name : str
    error : str or None
        In one line, why it failed.
    """
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(1):
            while True:
                try:
                    config = resumed_config(folder, **settings) or make_config(**settings)
                    train(config, folder, resume=True, progress="none")
                    return name, None
                except InUse:       # by another sweep, or by a worker that is not quite dead
                    time.sleep(WAIT)
    except Exception as error:
        return name, one_line(error)


def die_with(parent):
    """End this process, which `parent` started, as soon as that one is gone: a run may be killed at any moment."""
    def watch():
        while os.getppid() == parent:
            time.sleep(WAIT)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
