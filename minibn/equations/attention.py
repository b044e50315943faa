r"""The attention of the Attentive Reader (Section 5.4): where in a passage to look for the answer.

    z_t = P_d d_t + P_q u + b_a [+ (B d_t) . (B u)]         d_t: what the encoder says of step t, u: of the question
    e_t = v . tanh(z_t)
    alpha = softmax of e over the live steps of each passage
    r = sum_t alpha_t d_t

The two terms arrive computed, each with its own batch norm where the reader has one: `d_term`, `q_term`. The last
one, a scalar for each step that is added to every unit, is never normalized.
"""

from minibn.backend import array_module
from minibn.equations.activations import dtanh, tanh
from minibn.equations.quantities import Quantity

MASKED = -1e30      # the score of a padded step: its exponential is 0, and a passage without live steps stays finite

QUANTITIES = {
    "d_term": Quantity(r"\mathrm{BN}(P_d d_t; \gamma_d, 0)", "", "N A"),
    "q_term": Quantity(r"\mathrm{BN}(P_q u; \gamma_q, 0)", "", "N A"),
    "similarity": Quantity(r"(B d_t) \cdot (B u)", "", "N 1"),
    "z": Quantity(r"z_t", "", "N A"),
    "tanh_z": Quantity(r"\tanh(z_t)", "", "N A"),
    "e": Quantity(r"e_t", "", "N"),
    "alpha": Quantity(r"\alpha_t", "", "N"),
    "r": Quantity(r"\sum_t \alpha_t d_t", "", "N C"),
}


def softmax_forward(e, mask=None):
    """The weights of the live steps (T, N) of each example: they add up to 1, and are 0 where it is padded."""
    xp = array_module(e)
    if mask is not None:
        e = xp.where(mask, e, MASKED)
    exp_e = xp.exp(e - e.real.max(axis=0))                            # (T, N)
    return exp_e / exp_e.sum(axis=0)                                  # (T, N)


def softmax_backward(dalpha, alpha):
    """Each weight takes from all others: de_t = alpha_t (dalpha_t - sum_s alpha_s dalpha_s)."""
    return alpha * (dalpha - (alpha * dalpha).sum(axis=0))            # (T, N)


def attention_forward(d, d_term, q_term, b_a, v, mask=None, similarity=0.0):
    """From the states of a passage (T, N, C) to what was found in it, r (N, C)."""
    z = d_term + q_term + b_a + similarity                            # (T, N, A)
    tanh_z = tanh(z)                                                  # (T, N, A)
    e = tanh_z @ v                                                    # (T, N)
    alpha = softmax_forward(e, mask)                                  # (T, N)
    r = (alpha[..., None] * d).sum(axis=0)                            # (N, C)
    return locals()


def attention_backward(dr, d, v, tanh_z, alpha):
    """Backward of `attention_forward`, from the gradient (N, C) of r.

    The question's term is the same at every step, so its gradient is a sum over time.
    """
    dd = alpha[..., None] * dr                                        # (T, N, C)
    dalpha = (d * dr).sum(axis=-1)                                    # (T, N)
    de = softmax_backward(dalpha, alpha)                              # (T, N)
    dtanh_z = de[..., None] * v                                       # (T, N, A)
    dv = (de[..., None] * tanh_z).sum(axis=(0, 1))                    # (A,)
    dz = dtanh_z * dtanh(tanh_z)                                      # (T, N, A)
    dsimilarity = dz.sum(axis=-1, keepdims=True)                      # (T, N, 1)
    db_a = dz.sum(axis=(0, 1))                                        # (A,)
    dq_term = dz.sum(axis=0)                                          # (N, A)
    dd_term = dz                                                      # (T, N, A)
    return locals()


def similarity_forward(d, u, B):
    """(B d_t) . (B u): d (T, N, C), u (N, C), B (C, A) -> (T, N, 1), and what it was made of."""
    d_B = d @ B                                                       # (T, N, A)
    u_B = u @ B                                                       # (N, A)
    similarity = (d_B * u_B).sum(axis=-1, keepdims=True)              # (T, N, 1)
    return locals()


def similarity_backward(dsimilarity, d, u, B, d_B, u_B):
    """Gradients with respect to d, u and B, which both are multiplied with."""
    dd_B = dsimilarity * u_B                                          # (T, N, A)
    du_B = (dsimilarity * d_B).sum(axis=0)                            # (N, A)
    C, A = B.shape
    dB = u.T @ du_B + d.reshape(-1, C).T @ dd_B.reshape(-1, A)        # (C, A)
    du = du_B @ B.T                                                   # (N, C)
    dd = dd_B @ B.T                                                   # (T, N, C)
    return locals()


def mean_forward(d, mask):
    """The mean (N, C) of the live d_t of each passage; of one without any, zero."""
    xp = array_module(d)
    count = xp.maximum(mask.sum(axis=0), 1).astype(d.real.dtype)      # (N,)
    return xp.where(mask[..., None], d, 0).sum(axis=0) / count[:, None]


def mean_backward(dm, mask):
    """Gradient with respect to d (T, N, C): each live step has its share."""
    xp = array_module(dm)
    count = xp.maximum(mask.sum(axis=0), 1).astype(dm.real.dtype)     # (N,)
    return xp.where(mask[..., None], dm / count[:, None], 0)          # (T, N, C)
