r"""The four gates of an LSTM as one tanh.

    sigma(z) = 1/2 tanh(z/2) + 1/2

so with the pre-activations of f, i, o halved (the halves are folded into weights, gammas and biases) one tanh over
all of (N, 4H) serves all gates:

    u = tanh(PRE * tilde),    f, i, o = u/2 + 1/2,    g = u
"""

import numpy as np

PRE = (0.5, 0.5, 0.5, 1.0)          # of f, i, o, g


def pre(H, dtype):
    """PRE for each unit, as a row (4H,)."""
    return np.repeat(np.array(PRE, dtype=dtype), H)


def by_gate(a):
    """A view (4, N, H) of the pre-activations (N, 4H).

    Products want (N, 4H); everything between two products is a third faster on arrays (4, N, H), where each gate
    is contiguous. The change from one to the other is made by the tanh, and by the last product of the backward.
    """
    return a.reshape(len(a), 4, -1).transpose(1, 0, 2)


def write(tilde, fiog):
    """fiog (4, N, H) = f, i, o, g of PRE * tilde (N, 4H)."""
    np.tanh(by_gate(tilde), out=fiog)
    fio = fiog[:3]
    np.multiply(fio, 0.5, out=fio)
    np.add(fio, 0.5, out=fio)


def slopes(fiog, slope):
    """What the gradient of each gate is multiplied with: f (1 - f) of a sigmoid, 1 - g^2 of a tanh."""
    np.subtract(1, fiog[:3], out=slope[:3])
    np.multiply(fiog[:3], slope[:3], out=slope[:3])
    tanh_slopes(fiog[3], slope[3])


def tanh_slopes(h, slope):
    """slope = 1 - h^2."""
    np.square(h, out=slope)
    np.subtract(1, slope, out=slope)
