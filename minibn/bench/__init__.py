"""How fast, how large, against what: measured on the machine at hand.

    report = run_bench(mode="quick")        # numbers, as JSON would hold them
    print(report_text(report))

Every entrant (the bare matrix products, our cells, PyTorch and JAX where they are installed) lives in a process of
its own and they take turns, A B C A B C: whatever else the machine does falls on all of them alike.
"""

from minibn.bench.report import report_text
from minibn.bench.run import PLANS, run_bench

__all__ = ["PLANS", "report_text", "run_bench"]
