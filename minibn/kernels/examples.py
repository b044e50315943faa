"""Statistics over the examples of a minibatch, in place: weighted sums as products with a vector of weights."""

import math

import numpy as np

from minibn.kernels import workspace


class Examples:
    """Which examples are live at each step, and what each weighs in the batch statistics.

    Attributes
    ----------
    weight : sequence of T arrays (N,)
        1/N, or mask/(number of live examples).
    share : sequence of T scalars
        What one live example weighs: 1/N, or 1/(number of live examples).
    padded : bool ndarray of shape (T, N, 1), or None
        Where an example is padded: it keeps its states. None without a mask.
    dead : bool ndarray of shape (T, N, 1), or None
        Where it is not in the statistics either.
    """

    def __init__(self, call, dtype):
        (T, N), real = call.x.shape[:2], np.zeros(0, dtype).real.dtype
        self.ones = np.ones(N, dtype)
        if call.mask is None:
            self.weight = [np.full(N, 1 / N, dtype)] * T
            self.share = [real.type(1 / N)] * T
            self.padded = self.dead = None
        else:
            count = np.maximum(call.rows.sum(axis=1, keepdims=True), 1)
            self.weight = (call.rows / count).astype(dtype)
            self.share = (1 / count[:, 0]).astype(real)
            self.padded, self.dead = ~call.mask[..., None], ~call.rows[..., None]

    def centre(self, t, a, mean, out):
        """out = a - mean with the batch mean of step t, which is left in `mean` (G,); zero where dead."""
        np.dot(self.weight[t], a, out=mean)
        self.subtract(t, a, mean, out)

    def subtract(self, t, a, mean, out):
        """out = a - mean, zero where dead."""
        np.subtract(a, mean, out=out)
        if self.dead is not None:
            np.copyto(out, 0, where=self.dead[t])

    def freeze(self, t, new, old):
        """The carried state: padded examples keep the one before."""
        if self.padded is not None:
            np.copyto(new, old, where=self.padded[t])

    def hold_back(self, t, dstate, kept):
        """Split a gradient (N, H) of the carried state: `kept` is the part of the padded examples.

        Nothing is multiplied with zero: it may be infinite.
        """
        if self.padded is not None:
            kept.fill(0)
            np.copyto(kept, dstate, where=self.padded[t])
            np.copyto(dstate, 0, where=self.padded[t])

    def pass_on(self, dstate, kept):
        """Add what was held back to what the step itself passes on."""
        if self.padded is not None:
            np.add(dstate, kept, out=dstate)


def scale_of(gamma, variance, eps, out):
    """out = gamma / sqrt(variance + eps), in place."""
    np.add(variance, eps, out=out)
    np.sqrt(out, out=out)
    np.divide(gamma, out, out=out)


def square_in_units(inv_std):
    """inv_std^2 as (inv_std^2 unit, 1 / unit): at large deviations float32 cannot hold what it is multiplied to.

    The unit is a power of two near the largest standard deviation, so that it changes no rounding.
    """
    smallest = float(inv_std.real.min())
    unit = 2.0 ** -math.ceil(math.log2(smallest)) if 0 < smallest < 1 else 1.0
    return inv_std * (inv_std * unit), 1 / unit


def scratch(dtype, *shapes):
    """Arrays of the given shapes to compute in."""
    return [workspace.empty(shape, dtype) for shape in shapes]
