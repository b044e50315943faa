"""Lab 3 with columns for examples: (4H, N), as in many lecture notes."""

import numpy as np


def step_forward(x_term, h_prev, c_prev, W_h, b, beta_c=0.0):
    H, N = c_prev.shape[1], len(c_prev)
    A = W_h.T @ h_prev.T + x_term.T + b.reshape(-1, 1)
    A = A.reshape(4, H, N)
    F, In, Out = (0.5 * (1 + np.tanh(A[k] / 2)) for k in range(3))
    G = np.tanh(A[3])
    C = F * c_prev.T + In * G
    offset = np.reshape(beta_c, (-1, 1))
    T = np.tanh(C + offset)
    return {"h": (Out * T).T, "c": C.T}


def step_backward(dh, dc, h_prev, c_prev, W_h, f, i, g, o, tanh_c):
    H, N = c_prev.shape[1], len(c_prev)
    D = np.zeros((4, H, N))
    back = (dh * o).T * (1 - tanh_c.T ** 2)
    cell = back + dc.T
    D[0] = cell * c_prev.T * (f - f * f).T
    D[1] = cell * g.T * (i - i * i).T
    D[2] = (dh * tanh_c).T * (o - o * o).T
    D[3] = cell * i.T * (1 - g * g).T
    D = D.reshape(4 * H, N)
    return {"dx_term": D.T, "db": D.sum(axis=1), "dW_h": (D @ h_prev).T, "dh_prev": (W_h @ D).T,
            "dc_prev": (cell * f.T).T, "dbeta_c": back.sum(axis=1)}
