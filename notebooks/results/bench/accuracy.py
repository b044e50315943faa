"""Errors of the float32 kernels against the equations in float64: python accuracy.py BEFORE AFTER, two checkouts.

For each tensor the geometric mean, over 30 seeds, of the error (root mean square) after by that before, its standard
error, and the median errors. h0 of the BN-LSTM is left out: its gradient is rounding alone.
"""

import json
import os
import statistics
import subprocess
import sys
from math import exp, log

WORKER = """
import json
import numpy as np
import minibn

errors = {}
for name in ("LSTM", "BNLSTM"):
    for T, N, D, H in ((60, 100, 1, 100), (50, 64, 50, 100)):
        for seed in range(30):
            rng, more = np.random.default_rng(seed), np.random.default_rng(seed + 9)
            x, dh = rng.random((T, N, D), dtype=np.float32), rng.standard_normal((T, N, H), dtype=np.float32)
            cells = [getattr(minibn, name)(D, H, dtype=dtype, rng=seed, engine=engine)
                     for dtype, engine in ((np.float64, "equations"), (np.float32, "kernels"))]
            params = {key: (value + 0.05 * more.standard_normal(value.shape)).astype(np.float32)
                      for key, value in cells[0].params.items()}
            found = []
            for cell in cells:
                cell.params = {key: value.astype(cell.dtype) for key, value in params.items()}
                h, cache = cell.forward(x.astype(cell.dtype))
                dx, grads = cell.backward(dh.astype(h.dtype), cache)
                found.append({"h": h, "x": dx, **grads})
            for key, right in found[0].items():
                error = np.sqrt(np.mean((found[1][key] - right) ** 2)) / np.abs(right).max()
                errors.setdefault(f"{name} | {T}, {N}, {D}, {H} | {key}", []).append(float(error))
print(json.dumps(errors))
"""


def errors_in(folder):
    """The errors of this checkout: cell, sizes and tensor -> one for each seed."""
    environment = {**os.environ, "PYTHONPATH": os.path.abspath(folder)}
    return json.loads(subprocess.run([sys.executable, "-c", WORKER], check=True, cwd="/", env=environment,
                                     stdout=subprocess.PIPE).stdout)


def main(before, after):
    before, after = errors_in(before), errors_in(after)
    print("| cell | T, N, D, H | tensor | before | after | ratio |\n| --- | --- | --- | ---: | ---: | ---: |")
    for key, old in before.items():
        if not key.startswith("BNLSTM") or not key.endswith("| h0"):
            logs = [log(b / a) for a, b in zip(old, after[key], strict=True)]
            print(f"| {key} | {statistics.median(old):.1e} | {statistics.median(after[key]):.1e} | "
                  f"{exp(statistics.mean(logs)):.3f} +- {statistics.stdev(logs) / len(logs) ** 0.5:.3f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
