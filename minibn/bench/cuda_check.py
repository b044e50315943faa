"""Everything that needs a GPU, in one call: build the CUDA kernels, check them, time them.

    python -m minibn.bench.cuda_check [--json FILE] [--quick]

1. Builds every source for both precisions (the first time this takes a minute; CuPy keeps the result).
2. Compares every cell and every way of running it with the equations, computed by NumPy: one step to 1e-12 (float64)
   and 2e-5 (float32) of the largest value, sequences to ten times what the equations move when the batch is permuted
   or each parameter changes by one rounding (without batch norm a permuted batch changes nothing, and a recurrence with
   large random weights is chaotic: it amplifies one rounding a million times in 30 steps).
3. Times forward and backward for every way of cutting the work. The ways are chosen by a model with guessed constants
   (`minibn.kernels.cuda.plan`): this table says how good the guesses are.
4. Runs `minibn bench --device cuda` for the LSTM and the BN-LSTM: against PyTorch, where it is installed.

What was found goes to the JSON file before the last part begins, which takes minutes, and again after it. The exit
code is 1 if a comparison fails.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time

import numpy as np

from minibn.backend import to_device, to_host
from minibn.bench.cells import OurLayer, make_problem
from minibn.bench.entrants import Entrant, Setting
from minibn.bench.run import run_bench
from minibn.cells import CELLS, bn_lstm, lstm
from minibn.errors import tell

SHAPES = ((99, 64, 50, 1000), (784, 100, 1, 100))        # the one that is quick to compare with others first
CHECKED_SIZES = ((45, 3, 33), (100, 1, 100), (13, 2, 1), (64, 5, 128))     # N, D, H
WAYS = {"as chosen": None, "no split": (1,), "split 2": (2,), "split 4": (4,), "split 8": (8,), "step by step": ()}
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
SEQUENCE = 30
TURNS = 10
BENCH_ROUNDS = 3
KERNELS = [cell for cell in CELLS.values() if cell.kernel]
SOURCES = {"lstm.cu": "lstm_forward_step", "rnn.cu": "rnn_forward_step", "input_term.cu": "normalize_forward"}


@contextlib.contextmanager
def way(splits):
    """Let the plans be cut only this way; None: as they are chosen."""
    from minibn.kernels.cuda import plan

    kept = plan.SPLITS
    plan.SPLITS = kept if splits is None else splits
    try:
        yield
    finally:
        plan.SPLITS = kept


def build():
    """Compile everything; returns the seconds for each source and precision."""
    from minibn.kernels.cuda import launch

    seconds = {}
    for name, function in SOURCES.items():
        for dtype in TOLERANCE:
            start = time.perf_counter()
            # The number of registers is known only after compilation, which `get_function` alone does not ask for.
            assert launch.kernel(name, function, dtype).num_regs > 0
            seconds[f"{name} {dtype}"] = time.perf_counter() - start
    return seconds


def values(cell, problem, device="cpu", order=slice(None)):
    """h, dx and all gradients on the host, of the examples in `order` and put back."""
    x, dh, mask, states = problem
    back = np.argsort(np.arange(x.shape[1])[order])
    given = [x[:, order], None if mask is None else mask[:, order], tuple(state[order] for state in states)]
    h, cache = cell.forward(*to_device(given, device))
    dx, grads = cell.backward(to_device(dh[:, order], device), cache)
    h, dx, grads = to_host([h, dx, grads])
    per_example = {name: grads[name][back] for name in cell.state_names}
    return {"h": h[:, back], "dx": dx[:, back], **grads, **per_example}


def nudged(layer, rng):
    """The layer with each parameter changed by one rounding, up or down."""
    def nudge(value):
        return value * (1 + np.finfo(value.dtype).eps * rng.choice((-1, 1), value.shape)).astype(value.dtype)

    return layer.map_params(nudge)


def distances(expected, got):
    """For each value the largest difference, relative to the largest value (at least 1e-3 of the largest gradient)."""
    floor = 1e-3 * max(np.abs(value).max() for name, value in expected.items() if name != "h")
    return {name: float(np.abs(value - got[name]).max() / max(np.abs(value).max(), floor))
            for name, value in expected.items()}


def compare(cell, dtype, sizes, masked):
    """The worst distance of one step, and of a sequence in units of what is allowed, for every way that fits."""
    worst = {}
    for T in (1, SEQUENCE):
        N, D, H = sizes
        layer, x, dh = make_problem(cell, Setting((T, N, D, H), dtype))
        rng = np.random.default_rng(5)
        for name, value in layer.params.items():
            drawn = rng.uniform(0.2, 0.6, value.shape) if "gamma" in name else rng.normal(0, 0.4, value.shape)
            layer.params[name] = drawn.astype(dtype)
        mask = None
        if masked:
            mask = rng.random((T, N)) < 0.7
            mask[:, :8] = True
        # States of each example: with one for all, the first step of a batch norm would normalize rounding errors.
        states = tuple(rng.normal(0, 0.5, (N, H)).astype(dtype) for _ in layer.state_names)
        problem = (x, dh, mask, states)
        expected = values(layer, problem)
        allowed = dict.fromkeys(expected, TOLERANCE[dtype])
        if T > 1:
            eps = np.finfo(dtype).eps
            moved = [distances(expected, values(layer, problem, order=rng.permutation(N))) for _ in range(5)]
            moved += [distances(expected, values(nudged(layer, rng), problem)) for _ in range(5)]
            allowed = {name: max(10 * max(m[name] for m in moved), 8 * eps) for name in expected}
        fast = to_device(layer, "cuda")
        fast.engine = "kernels"
        for name, splits in WAYS.items():
            with way(splits):
                found = distances(expected, values(fast, problem, "cuda"))
            # Not max(): a NaN must not get lost in it.
            shares = [found[key] / allowed[key] for key in found]
            share = float(max(shares)) if np.isfinite(shares).all() else float("inf")
            worst[name, "step" if T == 1 else "sequence"] = share
    return worst


def check(say):
    """All comparisons; returns the rows that fail, and the worst share of what is allowed."""
    failures, worst = [], 0.0
    for cell in KERNELS:
        for dtype in TOLERANCE:
            here = 0.0
            for sizes in CHECKED_SIZES:
                for masked in (False, True):
                    shares = compare(cell, dtype, sizes, masked)
                    here = max(here, *shares.values())
                    failures += [(cell.name, dtype, sizes, masked, *key, share)
                                 for key, share in shares.items() if not share <= 1]
            say(f"{cell.title} {dtype}: at worst {here:.2f} of what is allowed")
            worst = max(worst, here)
    return failures, worst


def times(cell, dtype, shape):
    """Median milliseconds of forward and backward for every way."""
    layer, rows = OurLayer(Entrant("", OurLayer, cell, "kernels"), Setting(shape, dtype, "cuda")), {}
    for name, splits in WAYS.items():
        with way(splits):
            turns = [layer.run() for _ in range(TURNS + 2)][2:]
        rows[name] = [1e3 * statistics.median(turn[part] for turn in turns) for part in ("forward", "backward")]
    return rows


def main(arguments=None):
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m minibn.bench.cuda_check",
                                     description="Build, check and time the CUDA kernels on this machine's GPU.")
    parser.add_argument("--json", help="where all numbers go")
    parser.add_argument("--quick", action="store_true", help="without the comparison with other libraries")
    options = parser.parse_args(arguments)
    try:
        to_device(np.zeros(1), "cuda")
        found = {"build": build()}
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("seconds to build:", {name: round(seconds, 1) for name, seconds in found["build"].items()})
    found["failures"], found["worst"] = check(print)
    found["times"] = {}
    print(f"\n{'milliseconds, median of ' + str(TURNS):42}" + "".join(f"{name:>18}" for name in WAYS))
    for shape in SHAPES:
        for dtype in TOLERANCE:
            for cell in KERNELS:
                title = f"{cell.title} {dtype} {','.join(map(str, shape))}"
                rows = found["times"][title] = times(cell, dtype, shape)
                print(f"{title:42}" + "".join(f"{a:9.2f}+{b:8.2f}" for a, b in rows.values()), flush=True)
    _write(options.json, found)
    if not options.quick:
        found["bench"] = run_bench("full", SHAPES, (lstm.CELL.name, bn_lstm.CELL.name), "cuda", rounds=BENCH_ROUNDS,
                                   show=lambda text: print(f"\n{text}", flush=True), say=tell)
        _write(options.json, found)
    for failure in found["failures"]:
        print("differs from the equations:", *failure)
    print("all comparisons passed" if not found["failures"] else f"{len(found['failures'])} comparisons failed")
    return 1 if found["failures"] else 0


def _write(path, found):
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found, file)


if __name__ == "__main__":
    sys.exit(main())
