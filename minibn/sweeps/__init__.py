"""Many runs: grids of settings times seeds, on the cores of this machine or on a cluster of the user's.

minibn.sweeps.sweep(plan("pmnist", {"model": ["bnlstm", "lstm"], "gamma": [0.1, 0.3]}, seeds=3), "runs/gammas")
"""

from minibn.sweeps.execute import sweep
from minibn.sweeps.plan import Planned, plan, read_plan
from minibn.sweeps.state import is_sweep, read_sweep, run_folders

__all__ = ["Planned", "is_sweep", "plan", "read_plan", "read_sweep", "run_folders", "sweep"]
