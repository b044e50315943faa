"""The floor: the matrix products that one forward and backward pass of a cell cannot do without, and nothing else.

As the equations have them, with whole sequences in (T, N, G) and (T, N, H) arrays:

    forward     X W_x over T*N rows;  T times h_{t-1} W_h
    backward    T times dgates_t W_h^T;  H^T dgates over T*N rows;  X^T dgates over T*N rows

and fused, the same multiplications with less memory to go through: input and state side by side are multiplied with
[W_h; W_x] at once, and the gradients of the gates never leave the processor's cache before they have been used:

    forward     T times [h_{t-1}, x_t] [W_h; W_x]
    backward    T times dgates_t W_h^T;  [H, X]^T dgates over a few steps at a time

(The product for dx is left out: a cell whose input is data need not do it.) Every product writes into memory that is
there; batch normalization adds no product.
"""

import numpy as np

from minibn.backend import array_module, to_device
from minibn.bench.timing import Timed, clock_for
from minibn.cells.declaration import sizes_of

CHUNK_ROWS = 1024           # of one fused product of the backward: enough for BLAS to run at full speed


class Products(Timed):
    """The matrix products of a plain cell, one for each term of its equations."""

    def __init__(self, entrant, setting):
        T, N, D, H = setting.shape
        [G] = sizes_of(entrant.cell.input, {"H": H})
        rng = np.random.default_rng(0)

        def random(*shape):
            return to_device(rng.standard_normal(shape, dtype=setting.dtype), setting.device)

        self.make_arrays(random, T, N, D, H, G)
        self.matmul = array_module(self.W_h).matmul
        self.clock = clock_for(setting.device)

    def make_arrays(self, random, T, N, D, H, G):
        """Everything that is read or written."""
        self.x, self.h = random(T * N, D), random(T, N, H)
        self.W_x, self.W_h = random(D, G), random(H, G)
        self.gates = random(T, N, G)                  # the input term, then the gradients in its place
        self.step, self.dh = random(N, G), random(N, H)
        self.dW_x, self.dW_h = random(D, G), random(H, G)

    def forward(self):
        """Input projection, and the recurrent product of each step."""
        self.matmul(self.x, self.W_x, out=self.gates.reshape(len(self.x), -1))
        for h in self.h:
            self.matmul(h, self.W_h, out=self.step)

    def backward(self, kept=None):
        """Through the recurrent product of each step; then the weights' gradients."""
        rows = self.gates.reshape(len(self.x), -1)    # (T*N, G)
        for dgates in self.gates[::-1]:
            self.matmul(dgates, self.W_h.T, out=self.dh)
        self.matmul(self.h.reshape(len(self.x), -1).T, rows, out=self.dW_h)
        self.matmul(self.x.T, rows, out=self.dW_x)


class FusedProducts(Products):
    """The same multiplications in fewer and smaller passes over memory."""

    def make_arrays(self, random, T, N, D, H, G):
        """Everything that is read or written."""
        self.rows = random(T, N, H + D)               # h_{t-1} and x_t
        self.W, self.W_h = random(H + D, G), random(H, G)
        self.chunk = random(max(1, min(T, CHUNK_ROWS // N)), N, G)       # gradients of some steps
        self.step, self.dh = random(N, G), random(N, H)
        self.dW = random(H + D, G)

    def forward(self):
        """One product at each step."""
        for rows in self.rows:
            self.matmul(rows, self.W, out=self.step)

    def backward(self, kept=None):
        """Through each step; the weights' gradient whenever a chunk of steps is done."""
        for start in range(0, len(self.rows), len(self.chunk)):
            rows = self.rows[start:start + len(self.chunk)]
            for dgates in self.chunk[:len(rows)]:
                self.matmul(dgates, self.W_h.T, out=self.dh)
            rows = rows.reshape(-1, rows.shape[2])
            self.matmul(rows.T, self.chunk.reshape(-1, self.chunk.shape[2])[:len(rows)], out=self.dW)
