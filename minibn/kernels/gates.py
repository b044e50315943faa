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


def output_backward(dh, o, tanh_c, do, dc_term, spare):
    """Eq. 4 backward: dc_term (N, H), the gradient before the tanh, and do as `backward` wants it.

        do = dh o tanh_c                dc_term = dh o (1 - tanh_c^2) = dh o - do tanh_c
    """
    np.multiply(dh, o, out=dc_term)
    np.multiply(dc_term, tanh_c, out=do)
    np.multiply(do, tanh_c, out=spare)
    np.subtract(dc_term, spare, out=dc_term)


def backward(dc, c_before, fiog, dfiog, rest, out):
    r"""Eqs. 2 and 3 backward: out (N, 4H) is the gradient of the pre-activations; dc turns into that of c_{t-1}.

    A sigmoid has the slope f (1 - f). The first factor is multiplied early, where the product is needed anyway:

        df~ = (dc f) c_{t-1} (1 - f)            di~ = (dc i) g (1 - i)
        do~ = (dh o) tanh_c (1 - o)             dg~ = (dc i) - (dc i g) g

    Three of the four are of the same form, and end in one product over all of (3, N, H). ``dfiog[2]`` comes with do
    from `output_backward`; the rest of it, and `rest` (3, N, H), are there to compute in.
    """
    (f, i, _, g), (df, di, _, dg), out = fiog, dfiog, by_gate(out)
    np.subtract(1, fiog[:3], out=rest)
    np.multiply(dc, i, out=dg)
    np.multiply(dc, f, out=dc)
    np.multiply(dc, c_before, out=df)
    np.multiply(dg, g, out=di)
    np.multiply(dfiog[:3], rest, out=out[:3])
    np.multiply(di, g, out=di)
    np.subtract(dg, di, out=out[3])


def tanh_slopes(h, slope):
    """slope = 1 - h^2."""
    np.square(h, out=slope)
    np.subtract(1, slope, out=slope)
