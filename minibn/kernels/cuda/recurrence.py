"""Running a recurrence on the GPU: one launch for the whole sequence where it fits, else two launches per step."""

import cupy
import numpy as np

from minibn.kernels.cuda import launch
from minibn.kernels.cuda.plan import sequence_plan, step_plan


def forward(source, name, memory, arrays, h, W_h):
    """Run the forward recurrence `name`: fills h (H, T + 1, N) from its place 0 on, and what else `arrays` hold.

    Parameters
    ----------
    source, name : str
        The file, and the kernels' name without what they do.
    memory : Memory
        Of one step.
    arrays : tuple
        The arguments after those of the plan.
    h : ndarray of shape (H, T + 1, N)
    W_h : ndarray of shape (H, G)
    """
    (H, T, N), G, dtype = (h.shape[0], h.shape[1] - 1, h.shape[2]), W_h.shape[1], h.dtype
    limits = launch.limits()
    plan = sequence_plan(N, H, H, G // H, memory, dtype.itemsize, limits)
    if plan is not None:
        return _one_launch(source, f"{name}_forward_sequence", plan, (*arrays, W_h), G // H)
    plan = step_plan(N, H, memory, dtype.itemsize, limits)
    kernel = launch.kernel(source, f"{name}_forward_step", dtype, plan.shared_bytes)
    h_now, h_linear, W_h_T = h[:, 0].copy(), cupy.empty((G, N), dtype), W_h.T
    launch_step = _step_launcher(kernel, plan, arrays, (h_linear, h_now), dtype)
    for t in range(T):
        cupy.matmul(W_h_T, h_now, out=h_linear)                       # (G, N)
        launch_step(t)


def backward(source, name, memory, arrays, dh_linear, dh_kept, W_h):
    """Run the backward recurrence `name`: fills dh_linear (G, T, N) and what else `arrays` hold.

    Returns
    -------
    dh_0 : ndarray of shape (H, N)
    """
    (G, T, N), H, dtype = dh_linear.shape, len(W_h), dh_linear.dtype
    limits = launch.limits()
    dh_0 = cupy.zeros((H, N), dtype)
    plan = sequence_plan(N, H, G, 1, memory, dtype.itemsize, limits)
    if plan is not None:
        _one_launch(source, f"{name}_backward_sequence", plan, (*arrays, W_h, dh_0), 1)
        return dh_0
    plan = step_plan(N, H, memory, dtype.itemsize, limits)
    kernel = launch.kernel(source, f"{name}_backward_step", dtype, plan.shared_bytes)
    dh_linear_now = cupy.empty((G, N), dtype)
    launch_step = _step_launcher(kernel, plan, arrays, (dh_0, dh_linear_now), dtype)
    for t in reversed(range(T)):
        launch_step(t)
        cupy.matmul(W_h, dh_linear_now, out=dh_0)                     # (H, N)
    dh_0 += dh_kept
    return dh_0


def _one_launch(source, function, plan, arrays, columns_per_unit):
    """Launch a *_sequence kernel; its last arguments are for the split sums and for the barrier."""
    dtype = arrays[-1].dtype
    split_sums = None
    if plan.split > 1:
        split_sums = cupy.empty((plan.split, plan.blocks * plan.units * columns_per_unit, plan.N), dtype)
    arrived = cupy.zeros(1, "uint32")
    given = launch.arguments(dtype, *plan.arguments, *arrays, split_sums, arrived)
    launch.launch_together(launch.kernel(source, function, dtype, plan.shared_bytes), plan, given)


def _step_launcher(kernel, plan, arrays, now, dtype):
    """What launches a *_step kernel for step t. All of its arguments but t are made ready once."""
    workspace = cupy.empty((plan.blocks, plan.workspace), dtype) if plan.workspace else None
    before, after = launch.arguments(dtype, *plan.arguments, *arrays), launch.arguments(dtype, *now, workspace)
    grid, block = (plan.blocks,), (plan.threads,)

    def launch_step(t):
        kernel(grid, block, (*before, np.int32(t), *after), shared_mem=plan.shared_bytes)

    return launch_step
