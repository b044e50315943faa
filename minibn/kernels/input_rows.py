r"""BN(W_x x_t; gamma_x, 0) as it stands: a step's rows W_x x_t (N, G), centred and scaled, one step at a time.

For input that is looked up, and for floating input of so many features that nothing is gained by folding the batch
norm into the weights (`minibn.kernels.input_folded`). With a = W_x x_t minus the mean, weights w_n, inv = 1/sqrt(Var +
eps) and s = gamma_x inv,

    da = s (e - w (sum_n e) - w a inv^2 (sum_n e a)),        dgamma_x = inv sum_n e a

where those sums return to each example only through the batch's own statistics: not where they were given. The rows
are not kept, but made again in the backward, which takes less time than to fetch them from memory.
"""

import numpy as np

from minibn.kernels import workspace
from minibn.kernels.examples import scale_of, scratch, square_in_units
from minibn.kernels.look_up import SymbolSums, Table
from minibn.kernels.weight_gradient import InputGradient, WeightGradient
from minibn.statistics import Statistics


class InputRows:
    """What `ProjectedInput` and `LookedUpInput` share: statistics per step, the batch's own or given.

    Both have `write_centred(t, examples, out)`, for the forward, where it may have to find the mean of the step, and
    `write_again(t, examples, out)`: W_x x_t minus its mean in `statistics`, zero where dead. And both have
    `gradient()`, which takes the gradients of these rows.
    """

    def __init__(self, call):
        p = call.params
        self.x, self.W_x, self.gamma, self.eps = call.x, p["W_x"], p["gamma_x"], call.eps
        self.own = call.given is None
        shape, dtype = (len(call.x), self.W_x.shape[1]), self.W_x.dtype
        if self.own:
            self.statistics = Statistics(np.empty(shape, dtype), np.empty(shape, dtype))
            self.inv_std = np.empty(shape, dtype)
        else:
            self.statistics = Statistics(*(values[:, 0] for values in call.given["x"]))
            self.inv_std = 1 / np.sqrt(self.statistics.variance + self.eps)

    def forward(self, b, scale, examples):
        """See `minibn.kernels.input_term`."""
        return RowsForward(self, b, scale, examples)

    def backward(self, examples):
        """See `minibn.kernels.input_term`."""
        return RowsBackward(self, examples)


class ProjectedInput(InputRows):
    """Floating x (T, N, D), centred before the product with W_x."""

    def __init__(self, call, examples):
        super().__init__(call)
        self.rows = self.x                                                      # (T, N, D)
        if self.own:
            self.rows = workspace.empty(self.x.shape, self.W_x.dtype)
            mean_x = np.stack(examples.weight)[:, None] @ self.x                # (T, 1, D)
            examples.subtract(slice(None), self.x, mean_x, out=self.rows)
            np.matmul(mean_x[:, 0], self.W_x, out=self.statistics.mean)

    def write_centred(self, t, examples, out):
        np.matmul(self.rows[t], self.W_x, out=out)
        if not self.own:
            examples.subtract(t, out, self.statistics.mean[t], out)

    write_again = write_centred

    def gradient(self):
        return ProjectedGradient(self)


class LookedUpInput(InputRows):
    """Integer x (T, N): rows of W_x."""

    def __init__(self, call, examples):
        super().__init__(call)
        self.table = Table(self.W_x, self.x)

    def write_centred(self, t, examples, out):
        if self.own:
            self.table.take(t, out)
            examples.centre(t, out, self.statistics.mean[t], out)
        else:
            self.write_again(t, examples, out)

    def write_again(self, t, examples, out):
        self.table.take(t, out)
        examples.subtract(t, out, self.statistics.mean[t], out)

    def gradient(self):
        return LookedUpGradient(self)


class RowsForward:
    """Writes the normalized input term and a bias, times `scale`, step by step."""

    def __init__(self, source, b, scale, examples):
        self.source, self.examples = source, examples
        self.gamma, self.b = source.gamma * scale, b * scale
        self.row = np.empty_like(self.b)
        self.squared = workspace.empty((source.x.shape[1], len(b)), b.dtype) if source.own else None

    def write(self, t, offset, out):
        """out = x_term + b + offset at step t."""
        source, row, inv_std = self.source, self.row, self.source.inv_std[t]
        source.write_centred(t, self.examples, out)
        if source.own:
            variance = source.statistics.variance[t]
            np.square(out, out=self.squared)
            np.dot(self.examples.weight[t], self.squared, out=variance)
            scale_of(1, variance, source.eps, out=inv_std)
        np.multiply(inv_std, self.gamma, out=row)
        np.multiply(out, row, out=out)
        np.add(self.b, offset, out=row)
        np.add(out, row, out=out)


class RowsBackward:
    """Takes the gradient of the pre-activations step by step."""

    def __init__(self, source, examples):
        self.source, self.examples = source, examples
        (T, N), G, dtype = source.x.shape[:2], source.W_x.shape[1], source.W_x.dtype
        self.gradient = source.gradient()
        self.s = source.inv_std * source.gamma                                  # (T, G)
        if source.own:
            # How much of each sum over the examples returns to one of them.
            self.m = self.s * np.array(examples.share, dtype)[:, None]
            square, self.per_unit = square_in_units(source.inv_std)
            self.r = self.m * square
        self.sums, self.e_a = np.empty((T, G), dtype), np.empty((T, G), dtype)
        self.row = np.empty(G, dtype)
        [self.a] = scratch(dtype, (N, G))

    def collect(self, t, e):
        """Take e (N, G) of step t; steps must come in descending order."""
        source, examples, a, row, da = self.source, self.examples, self.a, self.row, self.gradient.drows_of(t)
        source.write_again(t, examples, a)
        np.dot(examples.ones, e, out=self.sums[t])
        np.multiply(e, a, out=da)
        np.dot(examples.ones, da, out=self.e_a[t])
        np.multiply(e, self.s[t], out=da)
        if source.own:
            np.multiply(self.r[t], self.e_a[t], out=row)
            np.multiply(row, self.per_unit, out=row)
            np.multiply(a, row, out=a)
            np.subtract(da, a, out=da)
            np.multiply(self.m[t], self.sums[t], out=row)
            examples.subtract(t, da, row, out=da)
        self.gradient.collect(t)

    def finish(self):
        """dx (T, N, D) or None, and the gradients of W_x, gamma_x and b."""
        dx, dW_x = self.gradient.finish()
        dgamma_x = (self.source.inv_std * self.e_a).sum(axis=0)
        return dx, {"W_x": dW_x, "gamma_x": dgamma_x, "b": self.sums.sum(axis=0)}


class ProjectedGradient:
    """dx and dW_x from the gradients of rows x_t W_x, many steps at once."""

    def __init__(self, source):
        (T, N, D), G, dtype = source.rows.shape, source.W_x.shape[1], source.W_x.dtype
        self.weights, self.input = WeightGradient(T, N, D, G, dtype, source.rows), InputGradient(source.W_x, T, N)
        self.drows_of = self.weights.drows_of

    def collect(self, t):
        """The rows of step t are complete."""
        if chunk := self.weights.chunk(t):
            self.input.add(*chunk, self.weights.add(*chunk))

    def finish(self):
        """dx (T, N, D) and dW_x."""
        return self.input.dx, self.weights.total


class LookedUpGradient:
    """dW_x from the gradients of rows that were looked up, step by step."""

    def __init__(self, source):
        (D, G), dtype = source.W_x.shape, source.W_x.dtype
        self.sums, [self.drows] = SymbolSums(source.x, D, G, dtype), scratch(dtype, (source.x.shape[1], G))

    def drows_of(self, t):
        """Where to put the gradient (N, G) of step t."""
        return self.drows

    def collect(self, t):
        """The rows of step t are complete."""
        self.sums.add(t, t + 1, self.drows)

    def finish(self):
        """None, for integers have no gradient, and dW_x."""
        return None, self.sums.total
