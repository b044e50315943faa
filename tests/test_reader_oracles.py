"""Whole readers beside an oracle that was written from the paper, differentiated by HIPS autograd and by PyTorch."""

import numpy as np
import pytest
from reader_checks import E, make_questions, make_reader, reader_statistics
from reader_oracle import reader_logits

from minibn.models import READERS

pytestmark = pytest.mark.oracle

TOLERANCE = 1e-8
"""Of the largest gradient of a tensor: float64 rounds at 1e-16, and a batch norm over nearly equal rows, as where all
start alike, multiplies by up to 1/sqrt(eps) = 316 at each of a few steps; 1e-10 was found. Faults are as large as 1."""
PLAIN, WITH_ALL = {}, {"skip": True, "bilinear": True, "padding": "cyclic", "dropout": 0.3}


def by_autograd(p, logits_of, upstream):
    autograd = pytest.importorskip("autograd")
    import autograd.numpy as anp

    logits = logits_of(anp, p)
    return logits, autograd.grad(lambda p: anp.sum(logits_of(anp, p) * upstream))(p)


def by_pytorch(p, logits_of, upstream):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value).requires_grad_() for name, value in p.items()}
    logits = logits_of(torch, tensors)
    (logits * torch.from_numpy(upstream)).sum().backward()
    return logits.detach().numpy(), {name: tensor.grad.numpy() for name, tensor in tensors.items()}


CASES = [(variant, rows, given, options) for variant, reader in READERS.items() for rows in ("live", "all")
         for given, options in [(None, PLAIN), (None, WITH_ALL),
                                *([("x", WITH_ALL), ("all", WITH_ALL)] if reader.cell.normalized else [])]]


@pytest.mark.parametrize("differentiate", [by_autograd, by_pytorch])
@pytest.mark.parametrize("variant, rows, given, options", CASES,
                         ids=lambda value: value if isinstance(value, str) else "with all" if value else "plain")
def test_readers(variant, rows, given, options, differentiate):
    """Unequal lengths, a text that goes on alone, a dead step; words that stand twice, in passage and question."""
    rng = np.random.default_rng(41)
    reader, questions = make_reader(variant, rng, rows=rows, **options), make_questions(rng)
    terms = {None: (), "x": [term for term in reader.terms if term.endswith(".x")], "all": reader.terms}[given]
    statistics = reader_statistics(reader, rng, terms) if terms else None
    data, upstream = reader.draw_data(rng, questions), rng.standard_normal((5, E))
    p = {name: np.array(value) for name, value in reader.params.items()}

    logits, cache = reader.forward(questions, statistics, data)
    grads = reader.backward(upstream, cache)
    expected, gradients = differentiate(
        p, lambda xp, p: reader_logits(xp, p, tuple(questions), variant, rows, "padding" in options, data, statistics),
        upstream)
    np.testing.assert_allclose(logits, expected, rtol=TOLERANCE, atol=TOLERANCE)
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for name in reader.params:
        scale = max(np.abs(gradients[name]).max(), 1e-3 * largest)      # h0 has none through batch statistics
        assert np.abs(grads[name] - gradients[name]).max() <= TOLERANCE * scale, name
