r"""The Attentive Reader behind its encoders (Section 5.4): from what they say of passage and question to the logits.

`minibn.equations.attention` finds r in the passage, `minibn.equations.answer` answers. Each of their terms is
`minibn.equations.linear_term`: with a batch norm of its own where there is a gamma for it. What has no parameter is
left out: "P_m" is the mean-passage skip, "B" the similarity.
"""

from typing import NamedTuple

from minibn.equations.answer import answer_backward, answer_forward
from minibn.equations.attention import (
    attention_backward,
    attention_forward,
    mean_backward,
    mean_forward,
    similarity_backward,
    similarity_forward,
)
from minibn.equations.linear_term import linear_term_backward, linear_term_forward
from minibn.equations.quantities import Quantity, Record, normalized
from minibn.equations.recurrence import call
from minibn.errors import brief

STATES = {"d": Quantity(r"d_t", "", "N C"), "u": Quantity("u", "", "N C"), "m": Quantity("m", "", "N C")}
LINEAR = {"d": "P_d d_t", "q": "P_q u", "r": "P_r r", "u": "P_u u", "m": "P_m m"}
NORMALIZED = {term: {f"{term}_linear": Quantity(latex, "", "N A"), **normalized(term, latex, "5", "A")}
              for term, latex in LINEAR.items()}
"""What `linear_term` computes on its way to each term that has a batch norm: term -> rows."""


class HeadCache(NamedTuple):
    """What the head computed."""

    terms: dict         # "d", "q", "r", "u", "m" -> LinearTermCache
    records: dict       # "states", "similarity", "attention", "answer" -> Record
    mask: object        # (T, N) bool

    __repr__ = brief


def head_forward(d, u, p, eps, mask, rows=None, statistics=None, keep=1.0):
    """The logits (N, E).

    Parameters
    ----------
    d : ndarray of shape (T, N, C)
        The states of the passage.
    u : ndarray of shape (N, C)
        The state of the question.
    p : dict
        Parameters: P_d, P_q, b_a, v; P_r, P_u, b_g, W_y, b_y; perhaps P_m, B, and gamma_d, gamma_q, ...
    eps : float
    mask : bool ndarray of shape (T, N)
        The words of the passage.
    rows : bool ndarray of shape (T, N), optional
        Those that enter the statistics of P_d d_t; by default all.
    statistics : dict of str to Statistics of arrays (1, A), optional
        Given ones of some terms, "d", "q", "r", "u", "m".
    keep : ndarray of shape (N, A), or 1.0
        The dropout mask of g.

    Returns
    -------
    logits : ndarray of shape (N, E)
    cache : HeadCache
    """
    terms, records, given = {}, {}, statistics or {}

    def term(name, a, rows=None):
        value, terms[name] = linear_term_forward(a, p[f"P_{name}"], p.get(f"gamma_{name}"), eps, rows, given.get(name))
        return value

    states = {"d": d, "u": u} | ({"m": mean_forward(d, mask)} if "P_m" in p else {})
    records["states"] = Record(states)
    values = {**p, **states, "mask": mask, "keep": keep}
    if "B" in p:
        records["similarity"] = Record(call(similarity_forward, values))
        values["similarity"] = records["similarity"].similarity       # (T, N, 1)
    values["d_term"], values["q_term"] = term("d", d, rows), term("q", u)                    # (T, N, A), (N, A)
    records["attention"] = Record(call(attention_forward, values))
    values["r_term"], values["u_term"] = term("r", records["attention"].r), term("u", u)     # (N, A)
    if "P_m" in p:
        values["m_term"] = term("m", states["m"])                     # (N, A)
    records["answer"] = Record(call(answer_forward, values))
    return records["answer"].logits, HeadCache(terms, records, mask)


def head_backward(dlogits, cache, observe=None):
    """Backward of `head_forward`.

    ``observe(name, gradients)`` is called with those of each Record and of each batch norm.

    Returns
    -------
    dd : ndarray of shape (T, N, C)
    du : ndarray of shape (N, C)
    grads : dict
        Of every parameter.
    """
    observe, grads = observe or (lambda name, gradients: None), {}

    def term(name, dterm):
        da, grads[f"P_{name}"], grads[f"gamma_{name}"] = linear_term_backward(
            dterm, cache.terms[name], lambda _, gradients: observe(name, gradients))
        return da

    def backward(name, function, **upstream):
        gradients = Record.of_gradients(call(function, {**cache.records[name]._asdict(), **upstream}))
        observe(name, gradients)
        return gradients

    said = backward("answer", answer_backward, dlogits=dlogits)
    dr, du = term("r", said.r_term), term("u", said.u_term)           # (N, C)
    found = backward("attention", attention_backward, dr=dr)
    dd = found.d + term("d", found.d_term)                            # (T, N, C)
    du = du + term("q", found.q_term)                                 # (N, C)
    dm = None
    if "m" in cache.terms:
        dm = term("m", said.m_term)                                   # (N, C)
        dd = dd + mean_backward(dm, cache.mask)                       # (T, N, C)
    if "similarity" in cache.records:
        alike = backward("similarity", similarity_backward, dsimilarity=found.similarity)
        dd, du, grads["B"] = dd + alike.d, du + alike.u, alike.B
    observe("states", Record({"d": dd, "u": du, "m": dm}))
    grads |= {"b_a": found.b_a, "v": found.v, "b_g": said.b_g, "W_y": said.W_y, "b_y": said.b_y}
    return dd, du, grads
