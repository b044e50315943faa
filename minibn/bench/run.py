"""`minibn bench`: the plan, the turns, and everything that was found as one dict."""

import json
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibn.backend import to_device
from minibn.bench import scaling
from minibn.bench.entrants import ENGINES, OurCell, Setting, entrants, sampling_entrants, scaling_entrants
from minibn.bench.report import header_text, memory_text, rows_of, sampling_text, scaling_text, table_text
from minibn.bench.sampling import sampling_rows
from minibn.bench.timing import alternate
from minibn.bench.workers import LocalWorker, ProcessWorker
from minibn.cells import CELLS
from minibn.errors import check_choice, check_sizes
from minibn.layers.checks import check_dtype
from minibn.machine import available_cores, describe_machine
from minibn.studies.output import save_figure


class Plan(NamedTuple):
    """What is measured, and how often."""

    shapes: tuple           # of (T, N, D, H)
    sampling: tuple         # of H
    rounds: int
    scaling_base: tuple
    scaling_sizes: dict     # axis -> sizes
    scaling_rounds: int


PLANS = {
    "quick": Plan(((196, 100, 1, 100),), (200,), 3, (100, 50, 1, 50),
                  {"T": (50, 100, 200), "N": (25, 50, 100), "H": (25, 50, 100)}, 3),
    # the paper's sequential MNIST, the same at 14 x 14 pixels, Penn Treebank with 200 units, and the paper's
    "full": Plan(((196, 100, 1, 100), (784, 100, 1, 100), (99, 64, 50, 200), (99, 64, 50, 1000)), (200, 1000), 15,
                 (196, 100, 1, 100),
                 {"T": (98, 196, 392, 784), "N": (50, 100, 200, 400), "H": (50, 100, 200, 400)}, 7),
}
GPU_ROUNDS = 5      # at most, of a mode: nobody else works there, and each round of the equations is 100,000 launches


def run_bench(mode="quick", shapes=None, cells=tuple(CELLS), device="cpu", dtype="float32", threads=None, rounds=None,
              json_path=None, plot_path=None, show=None, say=None, isolate=True, plan=None):
    """Measure on this machine.

    Parameters
    ----------
    mode : {"quick", "full"}
        Two or three minutes on two idle cores, or everything.
    shapes : sequence of (T, N, D, H), optional
        Instead of the mode's.
    cells : sequence of str
        Names in `minibn.cells.CELLS`.
    device : {"cpu", "cuda"}
    dtype : {"float32", "float64"}
    threads : sequence of int, optional
        Of every entrant, a table for each; by default OMP_NUM_THREADS, or one and as many as there are cores (on a
        GPU these alone). Growth is measured with the last, sampling with the first.
    rounds : int, optional
        Instead of the mode's, which are fewer on a GPU.
    json_path, plot_path : path-like, optional
        Where the numbers and the scaling picture go.
    show : callable, optional
        Is given each part of the text as soon as it is known; ``"\\n\\n"`` joins them to `report_text`.
    say : callable, optional
        Is told, in a line, how far it is.
    isolate : bool
        A process for each entrant.
    plan : Plan, optional
        Instead of the mode's.

    Returns
    -------
    dict
        What the JSON file holds: "machine", "settings", "tables" (times of every round, rows with medians and ratios),
        "memory", "sampling", "scaling". `minibn.bench.report_text` makes it readable.

    Raises
    ------
    ValueError
        Unknown mode, cell, device; sizes that are none; "cuda" without CuPy or a GPU.
    OSError
        A file cannot be written. What was measured has been shown by then.
    """
    check_choice("mode", mode, tuple(PLANS))
    plan = plan or PLANS[mode]
    shapes = plan.shapes if shapes is None else tuple(map(tuple, shapes))
    if device == "cuda":
        plan = plan._replace(rounds=min(plan.rounds, GPU_ROUNDS), scaling_rounds=min(plan.scaling_rounds, GPU_ROUNDS))
    rounds = plan.rounds if rounds is None else rounds
    threads = _threads(device) if threads is None else tuple(threads)
    _check(shapes, cells, dtype, rounds, threads)
    to_device(np.zeros(1), device)                       # no GPU: say so now
    for path in filter(None, (json_path, plot_path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    show, say = show or _ignore, say or _ignore
    dtype = str(np.dtype(dtype))
    start = partial(_workers, isolate=isolate)
    report = {
        "machine": describe_machine(threads, device),
        "settings": {"mode": mode, "device": device, "dtype": dtype, "rounds": rounds},
        "tables": [],
        "memory": [],
        "sampling": [],
    }
    show(header_text(report))
    for shape in shapes:
        for count in threads:
            report["tables"].append(_table(start, Setting(shape, dtype, device, count), cells, rounds, say))
            show(table_text(report["tables"][-1]))
    if device == "cpu":
        for shape in shapes:
            report["memory"].append(_memory(start, Setting(shape, dtype, device), cells, say))
            show(memory_text(report["memory"][-1]))
        for width in plan.sampling if sampling_entrants(cells) else ():
            setting = Setting((1, 1, None, width), dtype, device, threads[0])
            report["sampling"].append(_sampling(start, setting, cells, rounds, say))
            show(sampling_text(report["sampling"][-1]))
    report["scaling"] = _scaling(start, Setting(plan.scaling_base, dtype, device, threads[-1]), cells, plan, say)
    show(scaling_text(report["scaling"]))
    if json_path:
        Path(json_path).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if plot_path:
        save_figure(plot_path, *(partial(scaling.plot_axis, report["scaling"], axis) for axis in scaling.AXES),
                    size=(5.2, 4.2))
    return report


def _threads(device):
    """Where nobody has said it: one thread and all of them; on a GPU, where they decide nothing, all of them alone."""
    asked = os.environ.get("OMP_NUM_THREADS")
    if asked:
        return (int(asked),)
    return (available_cores(),) if device == "cuda" else tuple(dict.fromkeys((1, available_cores())))


def _ignore(text):
    """Nobody wants to know."""


def _check(shapes, cells, dtype, rounds, threads):
    for shape in shapes:
        if len(shape) != 4:
            raise ValueError(f"shapes: expected T,N,D,H, got {_name(shape)}; pass four sizes")
        check_sizes(**dict(zip("TNDH", shape, strict=True)))
        if shape[1] < 2:
            raise ValueError(f"shapes: expected N >= 2 examples, got N={shape[1]}; one alone has no batch statistics")
    for cell in cells:
        check_choice("cells", cell, tuple(CELLS))
    check_dtype(dtype)
    check_sizes(rounds=rounds)
    if not threads:
        raise ValueError("threads: expected at least one number, got none; leave it out to measure one and all cores")
    for count in threads:
        check_sizes(threads=count)


@contextmanager
def _workers(rows, setting, isolate):
    """The workers of these entrants by name, built, and why the others could not be."""
    make = ProcessWorker if isolate else LocalWorker
    workers, failures = {}, {}
    try:
        for row in rows:                                 # all processes load their libraries at the same time
            workers[row.name] = make(row, setting)
        for name, worker in workers.items():
            try:
                worker.wait()
            except RuntimeError as error:
                failures[name] = str(error)
        yield {name: worker for name, worker in workers.items() if name not in failures}, failures
    finally:
        for worker in workers.values():
            worker.close()


def _table(start, setting, cells, rounds, say):
    """Everybody's times at one shape."""
    rows = entrants(cells, setting.device)
    with start(rows, setting) as (workers, failures):
        times, failed = _take_turns(_name(setting.shape), workers, rounds, say)
        extra = {name: workers[name].extra_memory() for name in times}
    return {"shape": list(setting.shape), "threads": setting.threads, "rows": rows_of(rows, times, extra),
            "times": times, "failures": {**failures, **failed}}


def _sampling(start, setting, cells, rounds, say):
    """Everybody's time for a character at one width."""
    with start(sampling_entrants(cells), setting) as (workers, failures):
        times, failed = _take_turns(f"sampling, H = {setting.shape[-1]}", workers, rounds, say)
    return {"shape": list(setting.shape), "threads": setting.threads, "rows": sampling_rows(times), "times": times,
            "failures": {**failures, **failed}}


def _take_turns(what, workers, rounds, say):
    """Times and failures of all, as `minibn.bench.timing.alternate` finds them."""
    say(f"{what}: {len(workers)} entrants start")
    return alternate({name: worker.measure for name, worker in workers.items()}, rounds,
                     say=lambda line: say(f"{what}: {line}"))


def _memory(start, setting, cells, say):
    """What our cells keep, each in a fresh process: nothing that it reuses is there yet."""
    found = {}
    with start([row for row in entrants(cells) if row.make is OurCell], setting) as (workers, _):
        for name, worker in workers.items():
            say(f"{_name(setting.shape)}: memory of {name}")
            found[name] = worker.ask("memory")
    return {"shape": list(setting.shape), "cells": found}


def _scaling(start, setting, cells, plan, say):
    """Our times along each axis, with the first engine that there is, and works."""
    for engines in (ENGINES, ENGINES[1:]):
        rows = scaling_entrants(cells, engines)
        with start(rows, setting) as (workers, _):
            found = scaling.measure_scaling(workers, plan.scaling_base, plan.scaling_sizes, plan.scaling_rounds,
                                            say=lambda line: say(f"scaling: {line}"))
        if len(found["failures"]) < len(rows):
            break
    return found


def _name(shape):
    return ",".join(map(str, shape))
