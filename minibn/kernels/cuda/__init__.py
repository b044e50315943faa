"""The kernels for CuPy arrays: the time loop in CUDA C++, one launch for a whole sequence and direction.

The sources (*.cu) are compiled through `cupy.RawModule` when a cell first runs. See `minibn.kernels` for what the
functions return, and `minibn.kernels.cuda.plan` for how the work is cut. Importing this imports CuPy.
"""

from minibn.kernels.cuda import lstm, rnn

__all__ = ["backward", "forward"]


def forward(name, call):
    """Run the kernel of that name over the whole sequence."""
    return _module(name).forward(name, call)


def backward(name, dh, call, stored):
    """Back-propagate `dh` (T, N, H)."""
    return _module(name).backward(name, dh, call, stored)


def _module(name):
    [module] = [module for module in (lstm, rnn) if name in module.KERNELS]
    return module
