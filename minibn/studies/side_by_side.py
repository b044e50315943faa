"""Several training runs at once, one process each, with one progress display for all."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from minibn.training import read_metrics, train
from minibn.training.display import Display

POLL_SECONDS = 0.2
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def train_side_by_side(configs, folders, progress="auto"):
    """Train one run per configuration, all at the same time.

    Parameters
    ----------
    configs : dict of str to TrainConfig
        By the name to show.
    folders : dict of str to path-like
        The run folder of each.
    progress : {"auto", "bar", "lines", "none"}
        What to show on stderr.

    Returns
    -------
    dict of str to dict
        The final record of each run.

    Raises
    ------
    Exception
        Whatever `minibn.training.train` raised in one of them, once all have ended.
    """
    total = sum(config.iterations for config in configs.values())
    display = Display(progress, 0, total, " and ".join(configs))
    try:
        with _one_thread_each(), ProcessPoolExecutor(len(configs), mp_context=get_context("spawn")) as pool:
            futures = {name: pool.submit(train, config, folders[name], progress="none")
                       for name, config in configs.items()}
            _watch(futures, folders, display)
            return {name: future.result() for name, future in futures.items()}
    finally:
        display.close()


def _watch(futures, folders, display):
    """Show how far the runs are, from their metrics files, until all have ended."""
    shown_iterations, shown_rows = 0, 0
    while True:
        ended = all(future.done() for future in futures.values())
        records = {name: _records(folders[name]) for name in futures}
        done = sum(max((r["iteration"] for r in of_run), default=0) for of_run in records.values())
        for _ in range(done - shown_iterations):
            display.advance()
        shown_iterations = done
        curves = {name: [r for r in of_run if r["kind"] == "valid"] for name, of_run in records.items()}
        rows = list(zip(*curves.values(), strict=False))         # the validations that all runs have behind them
        for row in rows[shown_rows:]:
            scores = ", ".join(f"{name} {r['accuracy']:.3f}" for name, r in zip(curves, row, strict=True))
            display.say(f"iteration {row[0]['iteration']:4d}, validation accuracy: {scores}")
        shown_rows = len(rows)
        if ended:
            return
        time.sleep(POLL_SECONDS)


def _records(folder):
    path = Path(folder) / "metrics.jsonl"
    return read_metrics(path) if path.exists() else []


@contextmanager
def _one_thread_each():
    """Processes started in here get one BLAS thread each: matrices this small gain nothing from more."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update({name: value or "1" for name, value in before.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
