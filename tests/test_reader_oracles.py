"""Whole readers beside an oracle that was written from the paper, differentiated by HIPS autograd and by PyTorch."""

import numpy as np
import pytest
from reader_checks import E, make_questions, make_reader, reader_statistics
from reader_oracle import mean_cross_entropy, reader_logits

from minibn.models import READERS

pytestmark = pytest.mark.oracle

TOLERANCE = 1e-8
"""Of the largest gradient of a tensor: float64 rounds at 1e-16, and a batch norm over nearly equal rows, as where all
start alike, multiplies by up to 1/sqrt(eps) = 316 at each of a few steps; 1e-10 was found. Faults are as large as 1."""
MORE = {"skip": True, "bilinear": True, "dropout": 0.3}


def by_autograd(p, objective):
    autograd = pytest.importorskip("autograd")
    import autograd.numpy as anp

    return objective(anp, p), autograd.grad(lambda p: objective(anp, p))(p)


def by_pytorch(p, objective):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value).requires_grad_() for name, value in p.items()}
    value = objective(torch, tensors)
    value.backward()
    return value.item(), {name: tensor.grad.numpy() for name, tensor in tensors.items()}


CASES = [(variant, rows, padding, given, more) for variant, reader in READERS.items() for rows in ("live", "all")
         for padding in ("zero", "cyclic") for more in ({}, MORE)
         for given in (None, *(("x", "all") if more and reader.cell.normalized else ()))]


@pytest.mark.parametrize("dead", [0, 1])      # with 0 the longest text fills the last step, as in training
@pytest.mark.parametrize("differentiate", [by_autograd, by_pytorch])
@pytest.mark.parametrize("variant, rows, padding, given, more", CASES,
                         ids=lambda value: value if isinstance(value, str) else "with all" if value else "plain")
def test_readers(variant, rows, padding, given, more, differentiate, dead):
    """Unequal lengths, a text that goes on alone, a dead step or none; words twice, in passage and question."""
    rng = np.random.default_rng(41)
    reader, questions = make_reader(variant, rng, rows=rows, padding=padding, **more), make_questions(rng, dead=dead)
    terms = {None: (), "x": [term for term in reader.terms if term.endswith(".x")], "all": reader.terms}[given]
    statistics = reader_statistics(reader, rng, terms) if terms else None
    data, upstream, y = reader.draw_data(rng, questions), rng.standard_normal((5, E)), rng.integers(0, E, 5)
    p = {name: np.array(value) for name, value in reader.params.items()}

    def logits_of(xp, p):
        return reader_logits(xp, p, tuple(questions), variant, rows, padding == "cyclic", data, statistics)

    def weighted(xp, p):
        return (logits_of(xp, p) * (xp.from_numpy(upstream) if hasattr(xp, "from_numpy") else upstream)).sum()

    logits, cache = reader.forward(questions, statistics, data)
    np.testing.assert_allclose(logits, logits_of(np, p), rtol=TOLERANCE, atol=TOLERANCE)
    for objective, value, grads in [
            (weighted, (logits * upstream).sum(), reader.backward(upstream, cache)),
            (lambda xp, p: mean_cross_entropy(xp, logits_of(xp, p), y),
             *reader.loss_and_grads(questions, y, statistics, data))]:
        expected, gradients = differentiate(p, objective)
        np.testing.assert_allclose(value, expected, rtol=TOLERANCE, atol=TOLERANCE)
        largest = max(np.abs(gradient).max() for gradient in gradients.values())
        for name in reader.params:
            scale = max(np.abs(gradients[name]).max(), 1e-3 * largest)      # h0 has none through batch statistics
            assert np.abs(grads[name] - gradients[name]).max() <= TOLERANCE * scale, name
