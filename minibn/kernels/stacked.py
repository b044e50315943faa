r"""W_h h_{t-1} + W_x x_t + b for the cells without a batch norm, times `scale`, step by step.

For floating x one product, rows [h_{t-1}, x_t, 1] times [W_h; W_x; b]; for integer x the product with W_h, and rows of
the table W_x + b. Both look alike from outside:

    inputs = stack(call, scale)
    inputs.rows                                 (T + 1, N, .): the first H columns are h_0 .. h_T, yet to be written
    inputs.write(t, out=)
    gradient = stack_gradient(call, rows)       the gradient of step t goes into `drows_of(t)`
    gradient.collect(t)                         t descends
    dx, grads = gradient.finish()               the gradients of W_h, W_x and b
"""

import numpy as np

from minibn.kernels import workspace
from minibn.kernels.look_up import SymbolSums, Table
from minibn.kernels.weight_gradient import InputGradient, WeightGradient


def stack(call, scale):
    """The sum of the terms, the way that is fastest for the input."""
    return (Split if call.x.ndim == 2 else Stacked)(call, scale)


def stack_gradient(call, rows):
    """The gradient of the terms themselves, whatever they were scaled with, from the rows of the stack."""
    return (SplitGradient if call.x.ndim == 2 else StackedGradient)(call, rows)


class Stacked:
    """Floating x (T, N, D)."""

    def __init__(self, call, scale):
        p, h_0, (T, N, D) = call.params, call.state[0], call.x.shape
        (H, G), dtype = p["W_h"].shape, p["W_h"].dtype
        self.weights = workspace.empty((H + D + 1, G), dtype)
        np.multiply(p["W_h"], scale, out=self.weights[:H])
        np.multiply(p["W_x"], scale, out=self.weights[H:-1])
        np.multiply(p["b"], scale, out=self.weights[-1])
        self.rows = workspace.empty((T + 1, N, H + D + 1), dtype)
        self.rows[0, :, :H] = h_0
        self.rows[:T, :, H:-1] = call.x
        self.rows[:T, :, -1] = 1

    def write(self, t, out):
        """out (N, G) = the sum of the terms at step t."""
        np.matmul(self.rows[t], self.weights, out=out)


class Split(Stacked):
    """Integer x (T, N): what is left of the stack is W_h."""

    def __init__(self, call, scale):
        p, h_0, (T, N) = call.params, call.state[0], call.x.shape
        (H, G), dtype = p["W_h"].shape, p["W_h"].dtype
        self.weights, table = workspace.empty((H, G), dtype), workspace.empty(p["W_x"].shape, dtype)
        np.multiply(p["W_h"], scale, out=self.weights)
        np.add(p["W_x"], p["b"], out=table)
        np.multiply(table, scale, out=table)
        self.table = Table(table, call.x)
        self.rows, self.looked_up = workspace.empty((T + 1, N, H), dtype), workspace.empty((N, G), dtype)
        self.rows[0] = h_0

    def write(self, t, out):
        super().write(t, out)
        self.table.take(t, self.looked_up)
        np.add(out, self.looked_up, out=out)


class StackedGradient:
    """The gradient of `Stacked`: of many steps at once."""

    def __init__(self, call, rows):
        T, N, K = rows[:-1].shape
        self.H, G = call.params["W_h"].shape
        self.weights = WeightGradient(T, N, K, G, rows.dtype, rows[:T])
        self.drows_of = self.weights.drows_of
        self.input = self._input_gradient(call)

    def _input_gradient(self, call):
        return InputGradient(call.params["W_x"], *call.x.shape[:2])

    def collect(self, t):
        """The rows of step t are complete."""
        if chunk := self.weights.chunk(t):
            self.input.add(*chunk, self.weights.add(*chunk))

    def finish(self):
        """dx (T, N, D) or None, and the gradients of W_h, W_x and b."""
        total, H = self.weights.total, self.H
        return self.input.dx, {"W_h": total[:H], "W_x": total[H:-1], "b": total[-1]}


class SplitGradient(StackedGradient):
    """The gradient of `Split`."""

    def _input_gradient(self, call):
        return SymbolSums(call.x, *call.params["W_x"].shape, self.weights.total.dtype, self.weights.steps)

    def finish(self):
        table = self.input.total
        return None, {"W_h": self.weights.total, "W_x": table, "b": table.sum(axis=0)}
