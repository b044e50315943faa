"""`minibn bench --readers`: a whole update of each reader, beside PyTorch's, and what the recurrence has of it."""

import statistics

import numpy as np

from minibn.bench.reader_peers import TorchReader
from minibn.bench.timing import HostClock, alternate, median_ratio
from minibn.models import READERS, AttentiveReader
from minibn.optimizers import Adam, clip_by_global_norm
from minibn.questions import Questions
from minibn.tables import markdown_table

SIZES = {"vocabulary": 3015, "entities": 12, "embedding_size": 32, "hidden_size": 32, "attention_size": 32}
STEPS, EXAMPLES = {"passage": 80, "question": 25}, 32           # as in the questions about Wikipedia
SHORTEST = {"passage": 30, "question": 6}
LEARNING_RATE = 1e-3
READER_ROUNDS = 9
HEADINGS = ("", "ours, ms", "PyTorch, ms", "ours / PyTorch", "ours / PyTorch's LSTM reader", "recurrence")


class OurReader:
    """One of our readers; its `update` is a whole one, by Adam."""

    def __init__(self, variant, questions, y):
        self.questions, self.y = questions, y
        self.model = AttentiveReader(variant, **SIZES, rows="all", dtype=np.float32, rng=0, engine="kernels")
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


def draw_problem():
    """Questions with lengths as in the questions about Wikipedia, and answers."""
    rng, texts = np.random.default_rng(1), []
    for text, steps in STEPS.items():
        lengths = rng.integers(SHORTEST[text], steps + 1, EXAMPLES)
        lengths[0] = steps
        mask = np.arange(steps)[:, None] < lengths
        texts += [np.where(mask, rng.integers(1, SIZES["vocabulary"], mask.shape), 0), mask]
    return Questions(*texts), rng.integers(0, SIZES["entities"], EXAMPLES)


def measure_readers(rounds=READER_ROUNDS, variants=tuple(READERS), say=None):
    """Seconds of an update, everybody in turn in one process: name -> list, and why who could not take part.

    Returns
    -------
    times : dict
        "lstm", "lstm, PyTorch", "lstm, recurrence", ... -> seconds of each round
    failures : dict
    """
    problem = draw_problem()

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
        ours = OurReader(variant, *problem)
        turns[variant] = timed(ours.update)
        try:
            turns[f"{variant}, PyTorch"] = timed(TorchReader(ours.model, *problem, LEARNING_RATE).update)
        except ImportError as error:
            failures[f"{variant}, PyTorch"] = str(error)
        turns[f"{variant}, recurrence"] = lambda repeats, ours=ours: {
            "total": statistics.mean(ours.encode() for _ in range(repeats))}
    times, failed = alternate(turns, rounds, say)
    return {name: parts["total"] for name, parts in times.items()}, failures | failed


def readers_text(times, failures):
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
    sizes = f"T = {STEPS['passage']}, {STEPS['question']}, N = {EXAMPLES}, D = H = A = {SIZES['hidden_size']}"
    why = "".join(f"\n{name}: {reason}" for name, reason in failures.items())
    return (f"An update of a reader, {sizes}, {SIZES['vocabulary']} words, float32, all rows: forward, backward, "
            f"clipping, Adam\n\n{markdown_table([HEADINGS, *rows])}\n\nThe recurrence is that of all encoders, forward "
            f"and backward.{why}")
