"""The floor: the matrix products that one forward and backward pass of a cell cannot do without, and nothing else.

    forward     X W_x over T*N rows;  T times h_{t-1} W_h
    backward    T times dgates_t W_h^T;  H^T dgates over T*N rows;  X^T dgates over T*N rows

(The product for dx is left out: a cell whose input is data need not do it.) Shapes, dtype and memory are those of
the cells: whole sequences lie in (T, N, G) and (T, N, H) arrays, every product writes into memory that is there.
"""

import numpy as np

from minibn.backend import array_module, to_device
from minibn.bench.memory import device_bytes
from minibn.bench.timing import clock_for, mean_of_repeats


class Products:
    """The matrix products of a plain cell; batch normalization adds none."""

    def __init__(self, entrant, setting):
        T, N, D, H = setting.shape
        G = H * (4 if entrant.cell == "lstm" else 1)
        rng = np.random.default_rng(0)

        def random(*shape):
            return to_device(rng.standard_normal(shape, dtype=setting.dtype), setting.device)

        self.x, self.h = random(T * N, D), random(T, N, H)
        self.W_x, self.W_h = random(D, G), random(H, G)
        self.gates = random(T, N, G)                  # the input term, then the gradients in its place
        xp = array_module(self.x)
        self.step, self.dh = xp.empty_like(self.gates[0]), xp.empty_like(self.h[0])
        self.dW_x, self.dW_h = xp.empty_like(self.W_x), xp.empty_like(self.W_h)
        self.matmul = xp.matmul
        self.clock = clock_for(setting.device)

    device_bytes = staticmethod(device_bytes)

    def measure(self, repeats):
        """Seconds of the products in each direction."""
        return mean_of_repeats(self._run, repeats)

    def _run(self):
        matmul, clock, T = self.matmul, self.clock, len(self.h)
        rows = self.gates.reshape(len(self.x), -1)    # (T*N, G)
        start = clock.mark()
        matmul(self.x, self.W_x, out=rows)
        for t in range(T):
            matmul(self.h[t], self.W_h, out=self.step)
        middle = clock.mark()
        for t in reversed(range(T)):
            matmul(self.gates[t], self.W_h.T, out=self.dh)
        matmul(self.h.reshape(len(self.x), -1).T, rows, out=self.dW_h)
        matmul(self.x.T, rows, out=self.dW_x)
        end = clock.mark()
        return {"forward": clock.seconds(start, middle), "backward": clock.seconds(middle, end)}
