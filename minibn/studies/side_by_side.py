"""Work for both cores: a pool of processes with one BLAS thread each, and one progress display for the runs in it."""

import time
from contextlib import contextmanager
from pathlib import Path

from minibn.machine import THREAD_VARIABLES, environment
from minibn.training import read_metrics
from minibn.training.display import Display
from minibn.training.runs import METRICS

POLL_SECONDS = 0.2


@contextmanager
def one_thread_processes(count):
    """A `ProcessPoolExecutor` of `count` processes whose matrix products use one thread each.

    The matrices here are so small that more threads gain nothing, and where somebody else uses the cores,
    threads that wait for each other lose a lot.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    one_thread = environment(dict.fromkeys(THREAD_VARIABLES, "1"))
    with one_thread, ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:                      # Ctrl-C too: what has not begun shall not begin now
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def watch_runs(futures, folders, iterations, progress="auto"):
    """Show how far training runs are, from their metrics files, until all have ended.

    Parameters
    ----------
    futures : dict of str to Future
        By the name to show; each is a call of `minibn.training.train`.
    folders : dict of str to path-like
        The run folder of each.
    iterations : int
        Of all runs together.
    progress : {"auto", "bar", "lines", "none"}
        What to show on stderr: a bar, or a line whenever all runs have one more validation behind them.

    Returns
    -------
    dict of str to dict
        The final record of each run; an exception in one of them is raised here.
    """
    display = Display(progress, 0, iterations, "training")
    shown_iterations, shown_rows = 0, 0
    try:
        while True:
            ended = all(future.done() for future in futures.values())
            records = [_records(folders[name]) for name in futures]
            done = sum(max((record["iteration"] for record in run), default=0) for run in records)
            for _ in range(done - shown_iterations):
                display.advance()
            curves = [[record for record in run if record["kind"] == "valid"] for run in records]
            rows = list(zip(*curves, strict=False))              # the validations that all have behind them
            for row in rows[shown_rows:]:
                display.say(_row_text(futures, row))
            shown_iterations, shown_rows = done, len(rows)
            if done == iterations:
                display.note("population statistics")
            if ended:
                return {name: future.result() for name, future in futures.items()}
            time.sleep(POLL_SECONDS)
    finally:
        display.close()


def _row_text(names, row):
    scores = ", ".join(f"{name} {record['accuracy']:.3f}" for name, record in zip(names, row, strict=True))
    return f"iteration {row[0]['iteration']:4d}, validation accuracy: {scores}"


def _records(folder):
    path = Path(folder) / METRICS
    return read_metrics(path) if path.exists() else []
