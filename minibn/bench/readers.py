"""`minibn bench --readers`: a whole update of each reader, beside PyTorch's, and what the recurrence has of it."""

import statistics

import numpy as np

from minibn.bench.reader_peers import TorchReader
from minibn.bench.timing import HostClock, alternate, median_ratio
from minibn.models import READERS, AttentiveReader
from minibn.optimizers import Adam, clip_by_global_norm
from minibn.questions import Questions
from minibn.tables import markdown_table

SHAPE = (80, 32, 32, 32)            # T, N, D, H of a passage, as in the questions about Wikipedia
WORDS, NAMES = 3015, 12
OF_PASSAGE = 5 / 16                 # as long are the questions
SHORTEST = 3 / 8                    # of the longest
LEARNING_RATE = 1e-3
READER_ROUNDS = 9
HEADINGS = ("", "ours, ms", "PyTorch, ms", "ours / PyTorch", "ours / PyTorch's LSTM reader", "recurrence")


class OurReader:
    """One of our readers; its `update` is a whole one, by Adam."""

    def __init__(self, variant, questions, y, shape=SHAPE):
        self.questions, self.y = questions, y
        _, _, D, H = shape
        self.model = AttentiveReader(variant, WORDS, NAMES, D, H, H, rows="all", dtype=np.float32, rng=0,
                                     engine="kernels")
        self.optimizer = Adam(self.model.params, LEARNING_RATE)

    def update(self):
        """One update; the loss."""
        loss, grads = self.model.loss_and_grads(self.questions, self.y)
        self.optimizer.step(clip_by_global_norm(grads, 10.0)[0])
        return float(loss)

    def encode(self):
        """What the encoders have of an update: forward and backward."""
        _, cache = self.model.forward(self.questions)
        start = HostClock.mark()
        for name, part in self.model.parts.items():
            given = cache.parts[name]
            h, again = part.forward(given.x, given.mask, statistics_mask=np.ones_like(given.mask))
            part.backward(np.ones_like(h), again)
        return HostClock.seconds(start, HostClock.mark())


def draw_problem(shape=SHAPE):
    """Questions of many lengths, and answers."""
    rng, texts, (T, N, _, _) = np.random.default_rng(1), [], shape
    for steps in (T, max(2, round(OF_PASSAGE * T))):
        lengths = rng.integers(max(1, round(SHORTEST * steps)), steps + 1, N)
        lengths[0] = steps
        mask = np.arange(steps)[:, None] < lengths
        texts += [np.where(mask, rng.integers(1, WORDS, mask.shape), 0), mask]
    return Questions(*texts), rng.integers(0, NAMES, N)


def measure_readers(rounds=READER_ROUNDS, variants=tuple(READERS), shape=SHAPE, say=None):
    """Seconds of an update, everybody in turn in one process: name -> list, and why who could not take part.

    Returns
    -------
    times : dict
        "lstm", "lstm, PyTorch", "lstm, recurrence", ... -> seconds of each round
    failures : dict
    """
    problem = draw_problem(shape)

    def timed(update):
        def turn(repeats):
            update()                                    # caches are cold after the others' turns
            start = HostClock.mark()
            for _ in range(repeats):
                update()
            return {"total": HostClock.seconds(start, HostClock.mark()) / repeats}

        return turn

    turns, failures = {}, {}
    for variant in variants:
        ours = OurReader(variant, *problem, shape)
        turns[variant] = timed(ours.update)
        try:
            turns[f"{variant}, PyTorch"] = timed(TorchReader(ours.model, *problem, LEARNING_RATE).update)
        except ImportError as error:
            failures[f"{variant}, PyTorch"] = str(error)
        turns[f"{variant}, recurrence"] = lambda repeats, ours=ours: {
            "total": statistics.mean(ours.encode() for _ in range(repeats))}
    times, failed = alternate(turns, rounds, say)
    return {name: parts["total"] for name, parts in times.items()}, failures | failed


def readers_text(times, failures, shape=SHAPE):
    """The table of `measure_readers`, as Markdown."""
    rows = []
    for variant in [name for name in times if ", " not in name]:
        mine, theirs = times[variant], times.get(f"{variant}, PyTorch")
        plain = times.get("lstm, PyTorch")
        rows.append((READERS[variant].title, f"{1e3 * statistics.median(mine):.1f}",
                     f"{1e3 * statistics.median(theirs):.1f}" if theirs else "",
                     f"{median_ratio(mine, theirs):.2f}" if theirs else "",
                     f"{median_ratio(mine, plain):.2f}" if plain else "",
                     f"{100 * median_ratio(times[f'{variant}, recurrence'], mine):.0f} %"))
    sizes = ", ".join(f"{name} = {size}" for name, size in zip("TNDH", shape, strict=True))
    why = "".join(f"\n{name}: {reason}" for name, reason in failures.items())
    return (f"An update of a reader, {sizes}, {WORDS} words, float32, all rows: forward, backward, "
            f"clipping, Adam\n\n{markdown_table([HEADINGS, *rows])}\n\nThe recurrence is that of all encoders, forward "
            f"and backward.{why}")
