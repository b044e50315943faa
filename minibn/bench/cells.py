"""Our cells: forward, backward, and a whole training iteration."""

import numpy as np

from minibn.backend import to_device
from minibn.bench.memory import allocating_lines, device_bytes, measure_memory
from minibn.bench.timing import clock_for, mean_of_repeats
from minibn.cells import CELLS
from minibn.data.batches import Split
from minibn.layers import RecurrentLayer
from minibn.models import SequenceClassifier
from minibn.optimizers import RMSProp, clip_by_global_norm

CLASSES = 10
POOL = 4                                  # batches of different examples
TRACED_SHAPE = (12, 16, 3, 512)           # for counting: the smallest array of a step, one row, has 2 KiB or more
SMALLEST_ARRAY = 2000                     # bytes; the Python objects of one line stay below


def make_problem(cell, setting, engine="equations"):
    """A cell on the host, its input and an upstream gradient: the same numbers for every entrant.

    Returns
    -------
    cell : layer
    x : ndarray of shape (T, N, D)
    dh : ndarray of shape (T, N, H)
        Random at every step.
    """
    T, N, D, H = setting.shape
    rng = np.random.default_rng(1)
    layer = RecurrentLayer(CELLS[cell], D, H, dtype=np.dtype(setting.dtype), rng=np.random.default_rng(0),
                           engine=engine)
    return (layer, rng.random((T, N, D), dtype=setting.dtype),
            rng.standard_normal((T, N, H), dtype=setting.dtype))


class Cell:
    """One of our cells under one engine."""

    def __init__(self, entrant, setting):
        self.entrant, self.setting = entrant, setting
        problem = make_problem(entrant.cell, setting, entrant.engine)
        self.cell, self.x, self.dh = (to_device(part, setting.device) for part in problem)
        self.clock = clock_for(setting.device)
        self.training = None

    def measure(self, repeats):
        """Seconds of forward, backward, and of a training iteration."""
        if self.training is None:
            self.training = Training(self.cell, self.setting)
        return mean_of_repeats(lambda: {**self.run_layer(), "iteration": self.run_iteration()}, repeats)

    def run_layer(self):
        """Seconds of forward and backward. To throw the cache away belongs to the backward, as in training."""
        clock = self.clock
        start = clock.mark()
        h, cache = self.cell.forward(self.x)
        middle = clock.mark()
        dx, grads = self.cell.backward(self.dh, cache)
        del h, cache, dx, grads
        end = clock.mark()
        return {"forward": clock.seconds(start, middle), "backward": clock.seconds(middle, end)}

    def run_iteration(self):
        """Seconds of a training iteration."""
        start = self.clock.mark()
        self.training.iterate()
        end = self.clock.mark()
        return self.clock.seconds(start, end)

    device_bytes = staticmethod(device_bytes)

    def memory(self):
        """What the forward keeps, the peak, and which lines of the time loop allocate; on the host."""
        found = measure_memory(self.cell, self.x, self.dh)
        small = self.setting._replace(shape=TRACED_SHAPE)
        cell, x, dh = make_problem(self.entrant.cell, small, self.entrant.engine)
        found["allocating_lines"] = allocating_lines(cell, x, dh, SMALLEST_ARRAY)
        return found


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
