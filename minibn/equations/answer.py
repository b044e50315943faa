r"""The answer of the Attentive Reader (Section 5.4), from what was found in the passage and the question.

    g = tanh(P_r r + P_u u [+ P_m m] + b_g)             m: the mean of the passage's states
    logits = W_y g + b_y                                over all entities, in the passage or not

The terms arrive computed, each with its own batch norm where the reader has one. `keep` is the dropout mask of g,
drawn by the caller and already divided by the probability to keep (inverted dropout); 1 keeps everything.
"""

from minibn.equations.activations import dtanh, tanh
from minibn.equations.affine import affine_backward, affine_forward
from minibn.equations.quantities import Quantity

QUANTITIES = {
    "r_term": Quantity(r"\mathrm{BN}(P_r r; \gamma_r, 0)", "", "N A"),
    "u_term": Quantity(r"\mathrm{BN}(P_u u; \gamma_u, 0)", "", "N A"),
    "m_term": Quantity(r"\mathrm{BN}(P_m m; \gamma_m, 0)", "", "N A"),
    "g_tilde": Quantity(r"\tilde{g}", "", "N A"),
    "g": Quantity(r"\tanh(\tilde{g})", "", "N A"),
    "g_kept": Quantity(r"g \odot \mathrm{keep}", "", "N A"),
    "logits": Quantity(r"W_y g + b_y", "", "N E"),
}


def answer_forward(r_term, u_term, b_g, W_y, b_y, m_term=0.0, keep=1.0):
    """From the terms (N, A) to the logits (N, E)."""
    g_tilde = r_term + u_term + m_term + b_g                          # (N, A)
    g = tanh(g_tilde)                                                 # (N, A)
    g_kept = g * keep                                                 # (N, A)
    logits = affine_forward(g_kept, W_y, b_y)                         # (N, E)
    return locals()


def answer_backward(dlogits, W_y, g, g_kept, keep):
    """Backward of `answer_forward`."""
    dg_kept, dW_y, db_y = affine_backward(dlogits, g_kept, W_y)       # (N, A), (A, E), (E,)
    dg = dg_kept * keep                                               # (N, A)
    dg_tilde = dg * dtanh(g)                                          # (N, A)
    db_g = dg_tilde.sum(axis=0)                                       # (A,)
    dr_term = du_term = dm_term = dg_tilde                            # (N, A)
    return locals()
