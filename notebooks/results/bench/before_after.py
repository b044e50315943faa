"""Two versions of minibn and PyTorch's nn.LSTM in turns: python before_after.py BEFORE AFTER THREADS ROUNDS T,N,D,H ...

BEFORE and AFTER are folders with a checkout each. Every version runs in a process of its own; a turn is one run that is
not counted, and the mean of the next two (of one, where it is long). Float32, forward and backward, all gradients.
"""

import json
import os
import statistics
import subprocess
import sys
import time

WORKER = """
import json, sys, time
import numpy as np
who, threads = sys.argv[1], int(sys.argv[2])

def make(T, N, D, H):
    rng = np.random.default_rng(1)
    x, dh = rng.random((T, N, D), dtype=np.float32), rng.standard_normal((T, N, H), dtype=np.float32)
    if who == "torch":
        import torch
        torch.set_num_threads(threads)
        lstm, x, dh = torch.nn.LSTM(D, H), torch.from_numpy(x).requires_grad_(), torch.from_numpy(dh)
        def run():
            lstm(x)[0].backward(dh)
            lstm.zero_grad()
            x.grad = None
        return {"nn.LSTM": run}
    import minibn
    def runner(cell):
        def run():
            cell.backward(dh, cell.forward(x)[1])
        return run
    return {name: runner(getattr(minibn, name)(D, H, dtype=np.float32, rng=0, engine="kernels"))
            for name in ("LSTM", "BNLSTM")}

for line in sys.stdin:
    what, *rest = json.loads(line)
    if what == "make":
        runs = make(*rest)
        answer = list(runs)
    else:
        name, count = rest
        runs[name]()
        start = time.perf_counter()
        for _ in range(count):
            runs[name]()
        answer = (time.perf_counter() - start) / count
    print(json.dumps(answer), flush=True)
"""


def main(before, after, threads, rounds, *shapes):
    threads, rounds = int(threads), int(rounds)
    workers = {}
    for who, folder in (("before", before), ("after", after), ("torch", ".")):
        count = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        environment = {**os.environ, **count, "PYTHONPATH": os.path.abspath(folder)}
        workers[who] = subprocess.Popen([sys.executable, "-c", WORKER, who, str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment, cwd="/")

    def ask(who, *question):
        print(json.dumps(question), file=workers[who].stdin, flush=True)
        return json.loads(workers[who].stdout.readline())

    for shape in shapes:
        T, N, D, H = map(int, shape.split(","))
        times = {(who, name): [] for who in workers for name in ask(who, "make", T, N, D, H)}
        for round in range(rounds + 1):             # the first does not count
            for who, name in times:
                time.sleep(0.05)                    # threads of the one before may still spin
                seconds = ask(who, "run", name, 1 if T * H > 70_000 else 2)
                if round:
                    times[who, name].append(seconds)
        peer = times["torch", "nn.LSTM"]
        for (who, name), mine in times.items():
            low, ratio, high = statistics.quantiles([a / b for a, b in zip(mine, peer, strict=True)], n=4)
            print(f"| {shape} | {threads} | {name}, {who} | {1e3 * statistics.median(mine):.1f} | {ratio:.2f} | "
                  f"{low:.2f} to {high:.2f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
