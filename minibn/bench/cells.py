"""Our cells: forward, backward, and a whole training iteration."""

import numpy as np

from minibn.backend import to_device
from minibn.bench.memory import measure_memory
from minibn.bench.timing import Timed, clock_for
from minibn.data.batches import Split
from minibn.layers import RecurrentLayer
from minibn.models import SequenceClassifier
from minibn.optimizers import RMSProp, clip_by_global_norm

CLASSES = 10
POOL = 4                                  # batches of different examples


def make_problem(cell, setting, engine="equations"):
    """A layer on the host, its input and an upstream gradient: the same numbers for every entrant.

    Returns
    -------
    layer : RecurrentLayer
        Of the declaration `cell`.
    x : ndarray of shape (T, N, D)
    dh : ndarray of shape (T, N, H)
        Random at every step.
    """
    T, N, D, H = setting.shape
    rng = np.random.default_rng(1)
    layer = RecurrentLayer(cell, D, H, dtype=np.dtype(setting.dtype), rng=np.random.default_rng(0), engine=engine)
    return (layer, rng.random((T, N, D), dtype=setting.dtype),
            rng.standard_normal((T, N, layer.output_size), dtype=setting.dtype))


class OurLayer(Timed):
    """One of our cells under one engine."""

    def __init__(self, entrant, setting):
        problem = make_problem(entrant.cell, setting, entrant.engine)
        self.layer, self.x, self.dh = (to_device(part, setting.device) for part in problem)
        self.setting, self.clock = setting, clock_for(setting.device)

    def forward(self):
        """h, and the cache."""
        return self.layer.forward(self.x)

    def backward(self, kept):
        """All gradients."""
        self.layer.backward(self.dh, kept[1])


class OurCell(OurLayer):
    """And its training."""

    training = None

    def run(self):
        """Seconds of forward, backward, and of a training iteration."""
        self.training = self.training or Training(self.layer, self.setting)
        times = super().run()
        start = self.clock.mark()
        self.training.iterate()
        return {**times, "iteration": self.clock.seconds(start, self.clock.mark())}

    def memory(self):
        """What the forward keeps, and the peak; on the host."""
        return measure_memory(self.layer, self.x, self.dh)


class CellAtAnyShape:
    """Makes a layer for the shape it is asked for, and throws it away afterwards: only one needs memory at a time."""

    def __init__(self, entrant, setting):
        self.entrant, self.setting = entrant, setting

    def measure_at(self, shape, repeats):
        """Seconds of forward and backward."""
        return OurLayer(self.entrant, self.setting._replace(shape=shape)).measure(repeats)


class Training:
    """The iterations of a training: batch, forward, loss, backward, clipping, RMSProp."""

    def __init__(self, cell, setting):
        T, N, D, _ = setting.shape
        self.setting = setting
        rng = np.random.default_rng(2)
        labels = rng.integers(CLASSES, size=POOL * N)
        if D == 1:                        # pixel by pixel, as in the paper
            images = rng.integers(256, size=(POOL * N, T), dtype=np.uint8)
            split = Split(images, labels)
            self.batch = lambda examples: split.batch(examples, setting.dtype)
        else:
            pool = rng.random((T, POOL * N, D), dtype=setting.dtype)
            self.batch = lambda examples: (pool[:, examples], labels[examples])
        self.examples = rng.permutation(POOL * N).reshape(POOL, N)
        self.model = SequenceClassifier(cell, CLASSES, rng=3)
        self.optimizer = RMSProp(self.model.params)
        self.count = 0

    def iterate(self):
        """One iteration."""
        x, y = to_device(self.batch(self.examples[self.count % POOL]), self.setting.device)
        _, grads = self.model.loss_and_grads(x, y)
        grads, _ = clip_by_global_norm(grads, 1.0)
        self.optimizer.step(grads)
        self.count += 1
