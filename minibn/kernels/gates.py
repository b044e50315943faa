r"""The four gates of an LSTM as one tanh.

    sigma(z) = 1/2 tanh(z/2) + 1/2

so with the pre-activations of f, i, o halved (the halves are folded into weights, gammas and biases) one tanh over
all of (N, 4H) serves all gates:

    u = tanh(PRE * tilde),    f, i, o = u/2 + 1/2,    g = u

and d tilde = POST * (what reaches the gate) * (1 - u^2), with the factor POST folded in again.
"""

import numpy as np

PRE = (0.5, 0.5, 0.5, 1.0)          # of f, i, o, g
POST = (0.25, 0.25, 0.25, 1.0)


def per_unit(factors, H, dtype):
    """A factor for each gate as a row (4H,)."""
    return np.repeat(np.array(factors, dtype=dtype), H)


def by_gate(a):
    """A view (4, N, H) of the pre-activations (N, 4H).

    Products want (N, 4H); everything between two products is a third faster on arrays (4, N, H), where each gate
    is contiguous. The change from one to the other is made by the tanh, and by the last product of the backward.
    """
    return a.reshape(len(a), 4, -1).transpose(1, 0, 2)


def open_gates(u, gates):
    """f, i, o = u/2 + 1/2, into `gates` (3, N, H)."""
    np.multiply(u[:3], 0.5, out=gates)
    np.add(gates, 0.5, out=gates)


def slopes(u, slope):
    """slope = 1 - u^2."""
    np.square(u, out=slope)
    np.subtract(1, slope, out=slope)
