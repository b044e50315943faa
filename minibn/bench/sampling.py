"""Sampling: a text is drawn character by character, and each waits for the one before: T = 1, N = 1.

There is nothing to share a product among, so the weights are read once for each character. What a character cannot do
without are two products of a vector with a matrix, W_h and the output's W_y.
"""

import statistics
import time

import numpy as np

from minibn.bench.peers import library
from minibn.bench.timing import median_ratio
from minibn.layers import RecurrentLayer
from minibn.models import LanguageModel
from minibn.training.population import estimate_population_statistics

SYMBOLS = 50            # as many as Penn Treebank has
LENGTH = 500            # characters of one text, as `minibn sample` writes if it is not told otherwise
STEPS = 50              # of a text that statistics are estimated on
PRODUCTS = "its matrix products"


class Sampler:
    """What draws a text with ``draw()``."""

    def measure(self, repeats):
        """Mean seconds of a text, in so many after one that is not counted."""
        self.draw()
        start = time.perf_counter()
        for _ in range(repeats):
            self.draw()
        return {"total": (time.perf_counter() - start) / repeats}


class OurSampler(Sampler):
    """What `minibn sample` does."""

    def __init__(self, entrant, setting):
        cell = RecurrentLayer(entrant.cell, SYMBOLS, setting.shape[-1], dtype=np.dtype(setting.dtype), rng=0,
                              engine=entrant.engine)
        self.model = LanguageModel(cell, SYMBOLS, rng=1)
        text = np.random.default_rng(2).integers(SYMBOLS, size=(STEPS + 1, 20))
        self.statistics = estimate_population_statistics(self.model, [(text[:-1], text[1:])]) if cell.terms else None

    def draw(self):
        """A text."""
        self.model.sample(np.zeros(1, np.intp), LENGTH, rng=3, statistics=self.statistics)


class SamplingProducts(Sampler):
    """The two products of each character, in memory that is there."""

    def __init__(self, entrant, setting):
        H, rng = setting.shape[-1], np.random.default_rng(0)
        self.pairs = [(rng.standard_normal((1, H), setting.dtype), rng.standard_normal((H, G), setting.dtype),
                       np.empty((1, G), setting.dtype)) for G in (4 * H, SYMBOLS)]

    def draw(self):
        """The products of a text."""
        for _ in range(LENGTH):
            for h, W, out in self.pairs:
                np.matmul(h, W, out=out)


class TorchSampler(Sampler):
    """``nn.LSTM``, one character at a time, a linear output and ``multinomial``."""

    def __init__(self, entrant, setting):
        torch = self.torch = library("torch", "PyTorch")
        H, dtype = setting.shape[-1], getattr(torch, setting.dtype)
        torch.set_num_threads(setting.threads)
        self.lstm, self.output = torch.nn.LSTM(SYMBOLS, H, dtype=dtype), torch.nn.Linear(H, SYMBOLS, dtype=dtype)
        self.one_hot = torch.eye(SYMBOLS, dtype=dtype)

    def draw(self):
        """A text."""
        symbol, state = 0, None
        with self.torch.no_grad():
            for _ in range(LENGTH):
                h, state = self.lstm(self.one_hot[symbol].view(1, 1, -1), state)
                symbol = self.torch.multinomial(self.output(h[0, 0]).softmax(0), 1).item()


def sampling_rows(times):
    """Rows of median seconds "total" of a character and ratios "to_products", from `minibn.bench.timing.alternate`."""
    return [{"name": name, "total": statistics.median(mine["total"]) / LENGTH,
             "to_products": None if name == PRODUCTS or PRODUCTS not in times else
             median_ratio(mine["total"], times[PRODUCTS]["total"])} for name, mine in times.items()]
