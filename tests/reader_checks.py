"""Checks of the Attentive Reader's functions and of whole readers, as in `equation_checks`: `mutants` runs them too."""

from functools import partial

import numpy as np
from equation_checks import EPS, check, normal, positive, statistics_for

import minibn
from minibn.equations import answer, attention, embedding, linear_term, reader_head
from minibn.models import READERS
from minibn.statistics import PopulationStatistics

T, N, C, A, E, V, D = 4, 5, 3, 2, 3, 8, 3
LENGTHS, QUESTION_LENGTHS = (5, 3, 3, 2, 1), (3, 2, 2, 1, 2)    # one row lives alone; one more step is dead


def mask_of(lengths, steps=0):
    return np.arange(max(*lengths, steps))[:, None] < lengths


MASK = mask_of((4, 2, 1, 3, 4))


def check_softmax(method="complex"):
    def forward(e):
        alpha = attention.softmax_forward(e, MASK)
        return (alpha,), alpha

    return check("softmax", forward, lambda dalpha, alpha: {"e": attention.softmax_backward(dalpha, alpha)},
                 {"e": normal(np.random.default_rng(31), T, N)}, method)


def check_locals(forward, backward, output, inputs, fixed, method="complex"):
    """A pair of functions that return their locals."""
    def run(**values):
        cache = getattr(*forward)(**values, **fixed)
        return (cache[output],), {**values, **fixed, **cache}

    def back(upstream, cache):
        function = getattr(*backward)
        wanted = function.__code__.co_varnames[1 : function.__code__.co_argcount]
        found = function(upstream, **{name: cache[name] for name in wanted})
        return {name: found[f"d{name}"] for name in inputs}

    return check(output, run, back, inputs, method)


def check_attention(method="complex"):
    rng = np.random.default_rng(32)
    inputs = {"d": normal(rng, T, N, C), "d_term": normal(rng, T, N, A), "q_term": normal(rng, N, A),
              "b_a": normal(rng, A), "v": normal(rng, A), "similarity": normal(rng, T, N, 1)}
    return check_locals((attention, "attention_forward"), (attention, "attention_backward"), "r", inputs,
                        {"mask": MASK}, method)


def check_similarity(method="complex"):
    rng = np.random.default_rng(33)
    inputs = {"d": normal(rng, T, N, C), "u": normal(rng, N, C), "B": normal(rng, C, A)}
    return check_locals((attention, "similarity_forward"), (attention, "similarity_backward"), "similarity", inputs, {},
                        method)


def check_answer(method="complex"):
    rng = np.random.default_rng(34)
    inputs = {name: normal(rng, N, A) for name in ("r_term", "u_term", "m_term")}
    inputs |= {"b_g": normal(rng, A), "W_y": normal(rng, A, E), "b_y": normal(rng, E)}
    return check_locals((answer, "answer_forward"), (answer, "answer_backward"), "logits", inputs,
                        {"keep": positive(rng, N, A)}, method)


def check_mean(method="complex"):
    def forward(d):
        return (attention.mean_forward(d, MASK),), None

    return check("mean", forward, lambda dm, _: {"d": attention.mean_backward(dm, MASK)},
                 {"d": normal(np.random.default_rng(35), T, N, C)}, method)


def check_embedding(mask=MASK, method="complex"):
    rng = np.random.default_rng(36)
    ids, keep = rng.integers(0, 4, (T, N)), positive(rng, T, N, D)         # 4 of 9 words: each many times

    def forward(M):
        return (embedding.embedding_forward(ids, M, mask, keep),), None

    return check("embedding", forward, lambda dx, _: {"M": embedding.embedding_backward(dx, ids, M=np.zeros((V, D)),
                                                                                        mask=mask, keep=keep)},
                 {"M": normal(rng, V, D)}, method)


def check_linear_term(shape=(T, N, C), normalized=True, mask=None, given=False, method="complex"):
    rng = np.random.default_rng(37)
    statistics = statistics_for(rng, 1, A) if given else None

    def forward(a, P, gamma=None):
        term, cache = linear_term.linear_term_forward(a, P, gamma, EPS, mask, statistics)
        return (term,), cache

    def backward(dterm, cache):
        return dict(zip(("a", "P", "gamma"), linear_term.linear_term_backward(dterm, cache), strict=True))

    inputs = {"a": normal(rng, *shape), "P": normal(rng, C, A), **({"gamma": positive(rng, A)} if normalized else {})}
    return check("linear term", forward, backward, inputs, method)


def check_head(normalized=True, rows=MASK, method="complex"):
    rng = np.random.default_rng(38)
    p = {f"P_{term}": normal(rng, C, A) for term in "dqrum"} | {"B": normal(rng, C, A), "W_y": normal(rng, A, E)}
    p |= {name: normal(rng, A) for name in ("b_a", "v", "b_g")} | {"b_y": normal(rng, E)}
    p |= {f"gamma_{term}": positive(rng, A) for term in "dqrum" if normalized}
    keep = positive(rng, N, A)

    def forward(d, u, **p):
        logits, cache = reader_head.head_forward(d, u, p, EPS, MASK, rows, None, keep)
        return (logits,), cache

    def backward(dlogits, cache):
        dd, du, grads = reader_head.head_backward(dlogits, cache)
        return {"d": dd, "u": du, **grads}

    return check("head", forward, backward, {"d": normal(rng, T, N, C), "u": normal(rng, N, C), **p}, method)


# Whole readers


def make_questions(rng, lengths=LENGTHS, question_lengths=QUESTION_LENGTHS, dead=1):
    """Few words, so that many stand twice, and in passage and question both; the padding cannot be read."""
    texts = []
    for each in (lengths, question_lengths):
        mask = mask_of(each, max(each) + dead)
        texts += [np.where(mask, rng.integers(0, V - 1, mask.shape), -7), mask]
    return minibn.Questions(*texts)


def make_reader(variant, rng, **options):
    """A reader with random, non-zero parameters: zeros would hide what multiplies them."""
    reader = minibn.AttentiveReader(variant, V, E, D, 2, 3, eps=EPS, rng=rng, **options)
    for name, value in reader.params.items():
        of_gamma = "gamma" in name
        reader.params[name] = positive(rng, *value.shape) if of_gamma else normal(rng, *value.shape)
    return reader


def reader_statistics(reader, rng, terms=None, steps=3):
    """Random given statistics of these terms, by default all."""
    found = reader.batch_statistics(make_questions(rng))
    return PopulationStatistics({term: statistics_for(rng, min(steps, len(found[term].mean)), found[term].mean.shape[1])
                                 for term in terms or reader.terms})


def check_reader(variant, given=None, dead=1, method="complex", **options):
    """Every parameter of a reader, with random upstream gradients of the logits.

    `given`: no statistics are (None), those of the input terms ("x"), or all. `dead`: steps behind the longest text;
    without one the question's last state stands where it is reversed.
    """
    rng = np.random.default_rng(39)
    reader, questions = make_reader(variant, rng, **options), make_questions(rng, dead=dead)
    data = reader.draw_data(rng, questions)
    terms = {None: (), "x": [term for term in reader.terms if term.endswith(".x")], "all": reader.terms}[given]
    statistics = reader_statistics(reader, rng, terms) if terms else None

    def forward(**values):
        moved = reader.map_params(lambda value: value)
        for name, value in values.items():
            moved.params[name] = value
        logits, cache = moved.forward(questions, statistics, data)
        return (logits,), (moved, cache)

    def backward(dlogits, cache):
        return cache[0].backward(dlogits, cache[1])

    # All examples start alike: batch norm removes what a learned h_0 adds to all of them.
    zero = [name for name in reader.params if name.endswith("h0")] if reader.terms and given != "all" else ()
    title = f"{variant} reader ({options}, given={given})"
    return check(title, forward, backward, dict(reader.params), method, zero)


READER_CHECKS = {
    "softmax": check_softmax, "attention": check_attention, "similarity": check_similarity, "answer": check_answer,
    "mean": check_mean, "embedding": check_embedding, "embedding, all read": partial(check_embedding, None),
    "linear term": check_linear_term,
    "linear term, plain": partial(check_linear_term, normalized=False),
    "linear term, masked": partial(check_linear_term, mask=MASK),
    "linear term, given": partial(check_linear_term, given=True),
    "linear term of one row": partial(check_linear_term, (N, C)),
    "head": check_head, "head, plain": partial(check_head, False), "head, all rows": partial(check_head, rows=None),
    **{f"reader {variant}, {rows}": partial(check_reader, variant, rows=rows, dead=dead) for variant in READERS
       for rows, dead in (("live", 0), ("all", 1))},
    # The padding's words enter only the statistics of single steps, so BN-everywhere is the one that sees them.
    **{f"reader {variant}, with all": partial(check_reader, variant, rows="all", skip=True, bilinear=True,
                                              padding="cyclic", dropout=0.4) for variant in ("bn_everywhere", "bn_e2")},
}
