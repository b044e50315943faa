"""Runs on text, character by character (Section 5.2 of the paper): Penn Treebank, text8, and Python's documentation."""

from abc import abstractmethod
from dataclasses import dataclass, replace

from minibn.data import DataError, Vocabulary, load_ptb, load_stdlib, load_text8, text8_part
from minibn.models import LanguageModel
from minibn.training.config import Task, TrainConfig
from minibn.training.options import option

PTB = {"data": "words", "length": 100, "hidden": 1000, "batch": 64, "iterations": 50 * 791, "learning_rate": 2e-3,
       "validate_every": 791, "log_every": 50, "checkpoint_every": 100, "population_batch": 100}
# An epoch of 90 million characters is 3,907 batches.
TEXT8 = PTB | {"data": "auto", "length": 180, "hidden": 2000, "batch": 128, "iterations": 50 * 3907,
               "learning_rate": 1e-3, "validate_every": 500, "validate_on": 10_000, "population_batch": 1000}
# An epoch is about 65 batches: the text differs between versions of Python.
STDLIB = PTB | {"data": "topics", "iterations": 50 * 65, "validate_every": 65}
TEXT_PRESETS = {
    "ptb": {"paper": PTB, "quick": PTB | {"hidden": 200, "iterations": 15 * 791}},
    "text8": {"paper": TEXT8, "quick": TEXT8 | {"hidden": 200, "iterations": 1000, "validate_on": 1000,
                                                "population_on": 10_000}},
    "stdlib": {"paper": STDLIB, "quick": STDLIB | {"hidden": 200, "iterations": 6 * 65, "log_every": 13}},
}
"""``paper``: the paper's size, and as many iterations as its 50 epochs.

``quick`` has 200 units and takes at most half an hour on two cores.
"""


@dataclass(frozen=True, kw_only=True)
class TextConfig(TrainConfig):
    """The settings of a run on text. A subclass says which: the forms of its data, and `load_corpus`."""

    length: int = option("characters in a segment; all but the first are predicted", at_least=2,
                         remedy="the first character is not predicted")

    kind = "text"
    papers_optimizer = "adam"

    @property
    def title(self):
        return self._title(f"{self.task} ({self.data})")

    @abstractmethod
    def load_corpus(self):
        """The text as a `minibn.data.Corpus`."""

    def load_data(self, recorded=None):
        """The text as a `minibn.data.Corpus`; its symbols and its SHA-256 are what is recorded."""
        corpus = self.load_corpus()
        if recorded and str(recorded["text_sha256"]) != corpus.recorded["text_sha256"]:
            raise DataError(f"{corpus.title}: the run was made on another text, SHA-256 {recorded['text_sha256']}, "
                            f"this one has {corpus.recorded['text_sha256']}; it differs between versions of Python, so "
                            f"use the run's")
        return corpus

    def data_checksums(self, recorded):
        corpus = self.load_data()
        return {corpus.title: corpus.recorded["text_sha256"]}

    def input_size(self, recorded):
        return len(str(recorded["symbols"]))

    def add_output(self, cell, rng, recorded):
        return LanguageModel(cell, str(recorded["symbols"]), rng=rng)

    def measures(self, score):
        """The loss in nats; outside of it always bits per character."""
        return {"loss": score.loss, "bits_per_character": score.bits, "error_rate": 1 - score.accuracy}

    def error_rate(self, measures):
        return measures["error_rate"]

    def summary(self, measures):
        bits, errors = measures["bits_per_character"], measures["error_rate"]
        return f"{bits:.4f} bits per character, {100 * errors:.2f} % of the characters wrong"

    def cut(self, data, lengths):
        return {f"{data.test_name}, length {length}": data.test.with_length(length) for length in lengths}

    def whole(self, data):
        return data.test.whole()

    def vocabulary(self, recorded):
        return Vocabulary(str(recorded["symbols"]))


@dataclass(frozen=True, kw_only=True)
class PTBConfig(TextConfig):
    """Penn Treebank."""

    data: str = option("characters of the word-level files, as in the paper (words), or the files ptb.char.* (chars)",
                       choices=("words", "chars"), kind=str)

    def load_corpus(self):
        return load_ptb(self.length, self.data)


@dataclass(frozen=True, kw_only=True)
class Text8Config(TextConfig):
    """The start of Wikipedia."""

    data: str = option("90/5/5 million characters (full), those of its first 74 million as 64/5/5 (prefix), or what is "
                       "here (auto)", choices=("auto", "full", "prefix"), kind=str)

    def resolved(self):
        return replace(super().resolved(), data=text8_part() if self.data == "auto" else self.data)

    def load_corpus(self):
        return load_text8(self.length, self.data)


@dataclass(frozen=True, kw_only=True)
class StdlibConfig(TextConfig):
    """The help texts that come with Python."""

    data: str = option("topics", choices=("topics",), kind=str)

    def load_corpus(self):
        return load_stdlib(self.length)


TASKS = (
    Task("ptb", "Penn Treebank, character by character", PTBConfig, TEXT_PRESETS["ptb"]),
    Task("text8", "the start of Wikipedia, character by character", Text8Config, TEXT_PRESETS["text8"]),
    Task("stdlib", "Python's own documentation, character by character: needs no download", StdlibConfig,
         TEXT_PRESETS["stdlib"]),
)
