"""Runs on sequential and permuted MNIST, pixel by pixel (Section 5.1 of the paper)."""

from dataclasses import dataclass, replace

from minibn.data import load_mnist, load_mnist_subset, pixel_order
from minibn.data.mnist import FILES, SUBSET_FILE
from minibn.data.orders import INDEX_MAPS
from minibn.models import SequenceClassifier
from minibn.training.config import Task, TrainConfig
from minibn.training.options import option

CLASSES = 10

PAPER = {"data": "mnist", "side": 28, "hidden": 100, "batch": 100, "iterations": 100_000, "learning_rate": 1e-3,
         "validate_every": 500, "log_every": 50, "checkpoint_every": 100, "population_batch": 5000}
QUICK = PAPER | {"data": "subset", "side": 14, "iterations": 300, "validate_every": 50, "log_every": 10,
                 "checkpoint_every": 50}
PRESETS = {"paper": PAPER, "quick": QUICK}
"""``paper``: 200 epochs of MNIST; ``quick`` takes a few minutes on two cores with the shipped images."""


@dataclass(frozen=True, kw_only=True)
class ImageConfig(TrainConfig):
    """The settings of a run on images."""

    data: str = option("all of MNIST, or the 5,000 images shipped with minibn", choices=("mnist", "subset"), kind=str)
    noise: float | None = option("standard deviation of the noise on h0; None is 0.1 for a BN model on pixels in "
                                 "order, else 0", None, kind=float, at_least=0)
    side: int = option("images of 28x28 pixels, or averaged down to 14x14", choices=(28, 14))
    index_map: str = option(
        "order of the pixels: auto is in_order for mnist and permutation (drawn from the seed) for pmnist; "
        "authors_seed1 is the map of the paper's published curves, drawn with replacement; replacement draws such a "
        "map from the seed",
        "auto",
        ("auto", *INDEX_MAPS),
    )
    kind = "images"

    @property
    def remedy(self):
        if self.normalized and self.task == "mnist" and self.noise == 0:
            return "on pixels in order a BN model needs noise on h0 (0.1)"
        return super().remedy

    def resolved(self):
        changes = {}
        if self.index_map == "auto":
            changes["index_map"] = "permutation" if self.task == "pmnist" else "in_order"
        if self.noise is None:
            # With the pixels in order every image starts black: without noise all states of a batch coincide,
            # every variance is zero, and the gradient overflows.
            changes["noise"] = 0.1 if self.normalized and self.task == "mnist" else 0.0
        return replace(super().resolved(), **changes)

    def check_together(self):
        super().check_together()
        if (self.task == "mnist") != (self.index_map == "in_order"):
            raise ValueError(f"index_map: {self.index_map!r} does not belong to task {self.task!r}; mnist is in_order, "
                             "pmnist is permutation, replacement or authors_seed1")
        if self.index_map == "authors_seed1" and self.side != 28:
            raise ValueError(f"index_map: authors_seed1 is a map of 28x28 images, got side {self.side}; use --side 28")

    def load_data(self, recorded=None):
        """The images as a `minibn.data.Dataset`, their pixels in the run's order, which is what is recorded."""
        data = load_mnist(side=self.side) if self.data == "mnist" else load_mnist_subset(side=self.side)
        order = recorded["order"] if recorded else pixel_order(self.index_map, data.steps, self.seed)
        return data.reordered(order)

    def data_checksums(self, recorded):
        files = FILES.values() if self.data == "mnist" else [SUBSET_FILE]
        return {file.name: file.sha256 for file in files}

    def input_size(self, recorded):
        return 1

    def add_output(self, cell, rng, recorded):
        return SequenceClassifier(cell, CLASSES, rng=rng)

    def measures(self, score):
        return {"loss": score.loss, "accuracy": score.accuracy}

    def summary(self, measures):
        return f"loss {measures['loss']:.4f}, accuracy {measures['accuracy']:.4f}"


TASKS = (
    Task("mnist", "images of digits, pixel by pixel in order", ImageConfig, PRESETS),
    Task("pmnist", "images of digits, pixel by pixel in one fixed shuffled order", ImageConfig, PRESETS),
)
