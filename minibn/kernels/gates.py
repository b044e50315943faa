r"""The four gates of an LSTM as one tanh.

    sigma(z) = 1/2 tanh(z/2) + 1/2

so with the pre-activations of f, i, o halved (the halves are folded into weights, gammas and biases) one tanh over
the whole (N, 4H) block serves all gates:

    u = tanh(PRE * tilde),    f, i, o = u/2 + 1/2,    g = u

and d tilde = POST * (what reaches the gate) * (1 - u^2), with the factor POST folded in again.
"""

import numpy as np

PRE = (0.5, 0.5, 0.5, 1.0)          # of f, i, o, g
POST = (0.25, 0.25, 0.25, 1.0)


def per_unit(factors, H, dtype):
    """A factor for each gate as a row (4H,)."""
    return np.repeat(np.array(factors, dtype=dtype), H)


def blocks(a):
    """The blocks f, i, o, g (N, H) of an array (N, 4H)."""
    H = a.shape[1] // 4
    return a[:, :H], a[:, H:2 * H], a[:, 2 * H:3 * H], a[:, 3 * H:]


def open_gates(u, gate):
    """gate = u/2 + 1/2 for all four blocks: contiguous memory, which is faster than leaving g out."""
    np.multiply(u, 0.5, out=gate)
    np.add(gate, 0.5, out=gate)


def slopes(u, slope):
    """slope = 1 - u^2."""
    np.square(u, out=slope)
    np.subtract(1, slope, out=slope)
