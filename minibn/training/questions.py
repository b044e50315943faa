"""Runs on questions about passages, with the Attentive Reader (Section 5.4 of the paper)."""

from dataclasses import dataclass, replace

from minibn.backend import array_module
from minibn.data import DataError, load_questions, wiki_form
from minibn.models import READERS, AttentiveReader
from minibn.models.reader_parts import PADDING, ROWS
from minibn.training.config import Task, TrainConfig
from minibn.training.options import option

PAPER = {"hidden": 240, "batch": 64, "learning_rate": 8e-5, "clip": 10.0, "iterations": 800_000,
         "validate_every": 1000, "log_every": 100, "checkpoint_every": 500, "population_batch": 64,
         "population_on": 64_000}
# Validation on whole batches: a smaller last one would have statistics of another kind.
QUICK = PAPER | {"hidden": 32, "batch": 32, "learning_rate": 1e-3, "iterations": 3000, "validate_every": 250,
                 "validate_on": 992, "log_every": 50, "population_batch": 32, "population_on": 960}
PRESETS = {
    "cnn": {"paper": PAPER | {"data": "top4"}, "quick": QUICK | {"data": "top4"}},
    "wiki": {"paper": PAPER | {"data": "auto"}, "quick": QUICK | {"data": "auto"}},
    "turns": {"paper": PAPER | {"data": "embedded"},
              "quick": QUICK | {"data": "embedded", "learning_rate": 3e-3, "iterations": 1500, "validate_every": 100,
                                "validate_on": 288}},
}
"""``paper``: the paper's size, for a long time or a GPU; ``quick`` takes a minute or two on one core.

The paper's BN-e* and BN-e** had batches of 40 and a learning rate of 8e-4; `QuestionConfig.of_model` says so.
"""


@dataclass(frozen=True, kw_only=True)
class QuestionConfig(TrainConfig):
    """The settings of a run on questions. A subclass says which: the forms of its data."""

    model: str = option("the reader: bn_e1 and bn_e2 are the paper's BN-e* and BN-e**, bilstm is a control", "bn_e1",
                        tuple(READERS))
    rows: str = option("which rows enter the statistics of a step: live, or all as in the authors' code", "live", ROWS)
    padding: str = option("what is read behind the end of a text: zero, or the text again (cyclic)", "zero", PADDING)
    skip: bool = option("the mean of the passage's states goes into the answer too, as in the authors' code", False)
    bilinear: bool = option("the similarity of passage and question goes into the attention, as in the authors' code",
                            False)
    dropout: float = option("probability to drop a number of the embeddings and of the answer vector", 0.0, at_least=0,
                            below=1)
    relabel: str = option("names get new numbers in training: in each example, in each batch as in the authors' code, "
                          "or none", "example", ("example", "batch", "none"))
    clip_slip: bool = option("clip as the authors' code does by mistake: a norm beyond clip^2 to clip times its root",
                             False)
    bucket: int = option("batches whose examples are sorted by length together; 1: none are", 1, at_least=1)

    kind = "questions"
    papers_optimizer = "adam"
    input_size = add_output = None      # a reader is no cell with an output: `make_model`
    test_batch = property(lambda self: self.batch)      # it holds whole texts at once, as in training

    @classmethod
    def named(cls, model, cell):
        if model not in READERS or cell is not None:
            raise ValueError(f"model: expected one of {', '.join(READERS)}, got {model!r}")
        return model, None

    @classmethod
    def of_model(cls, preset, model):
        of_sequences = READERS[model].options.get("input_statistics") == "sequence"
        larger = {"batch": 40, "learning_rate": 8e-4} if preset == "paper" and of_sequences else {}
        return {**super().of_model(preset, model), **READERS[model].options, **larger}

    @classmethod
    def declaration_of(cls, model, cell):
        return READERS[model].cell

    @property
    def title(self):
        return self._title(f"{self.task} ({self.data})")

    def check_together(self):
        super().check_together()
        for name, value in {"layers": 1, "noise": 0.0, "cell_option": None, **READERS[self.model].options}.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name}: the reader {self.model!r} has {value!r}, got {getattr(self, name)!r}; leave "
                                 f"it out")

    def make_model(self, rng, recorded):
        options = {name: getattr(self, name) for name in (
            "rows", "padding", "skip", "bilinear", "dropout", "gamma", "eps", "forget_bias", "init", "dtype", "engine")}
        sizes = dict.fromkeys(("embedding_size", "hidden_size", "attention_size"), self.hidden)
        words = str(recorded["words"]).count("\n") + 1
        return AttentiveReader(self.model, words, int(recorded["entities"]), **sizes, rng=rng, **options)

    def load_data(self, recorded=None):
        """The questions as a `minibn.data.QuestionSet`; words, entities, lengths and a SHA-256 are recorded."""
        found = load_questions(self.task, self.data)
        if recorded and str(recorded["text_sha256"]) != found.recorded["text_sha256"]:
            raise DataError(f"{found.title}: the run was made on other questions, SHA-256 {recorded['text_sha256']}, "
                            f"these have {found.recorded['text_sha256']}; use the run's")
        return found.prepared(self.relabel, self.bucket)

    def data_checksums(self, recorded):
        return {f"{self.task} ({self.data})": recorded["text_sha256"]}

    def clipped(self, grads):
        clipped, norm = super().clipped(grads)
        if not self.clip_slip:
            return clipped, norm
        xp = array_module(norm)
        scale = xp.where(norm > self.clip ** 2, self.clip / xp.sqrt(norm), 1.0)
        return {name: (scale * grad).astype(grad.dtype) for name, grad in grads.items()}, norm

    def measures(self, score):
        return {"loss": score.loss, "error": 1 - score.accuracy, "predictions": score.predictions}

    def error_rate(self, measures):
        return measures["error"]

    def summary(self, measures):
        return f"loss {measures['loss']:.4f}, {100 * measures['error']:.2f} % of the answers wrong"

    def about(self, split):
        return f", {100 * split.answer_in_passage:.1f} % of the answers are in the passage"


@dataclass(frozen=True, kw_only=True)
class CNNConfig(QuestionConfig):
    """News, as in the paper."""

    data: str = option("the four sentences of a passage that match the question best, or the full passage",
                       choices=("top4", "full"), kind=str)


@dataclass(frozen=True, kw_only=True)
class WikiConfig(QuestionConfig):
    """Wikipedia."""

    data: str = option("the questions that the published numbers are of, those that minibn data build makes, or those "
                       "that are here (auto)", choices=("auto", "published", "built"), kind=str)

    def resolved(self):
        return replace(super().resolved(), data=wiki_form() if self.data == "auto" else self.data)


@dataclass(frozen=True, kw_only=True)
class TurnsConfig(QuestionConfig):
    """Shakespeare."""

    data: str = option("embedded: they ship with minibn", choices=("embedded",), kind=str)


TASKS = (
    Task("cnn", "questions about news, of which you have the files", CNNConfig, PRESETS["cnn"]),
    Task("wiki", "questions about Wikipedia: made by minibn data build", WikiConfig, PRESETS["wiki"]),
    Task("turns", "who speaks next in Shakespeare: needs no download", TurnsConfig, PRESETS["turns"]),
)
