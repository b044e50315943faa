"""What a training run is made of: a frozen dataclass of settings, and what its task makes of them.

The command line builds its options from these fields, a run's ``config.json`` is these fields, and resuming
compares these fields: there is no second list of settings anywhere. What is particular to a kind of task stands
in its subclass: `minibn.training.images`, `minibn.training.texts`. `minibn.training.tasks.make_config` makes them.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, fields

from minibn.backend import to_device
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN
from minibn.training.randomness import generator

__all__ = ["INITS", "TrainConfig", "option"]

LAYERS = {"rnn": RNN, "bnrnn": BNRNN, "lstm": LSTM, "bnlstm": BNLSTM}
INITS = ("auto", "orthogonal", "identity_g", "identity")
GIVEN_BY_PRESET = object()
"""Stands for the default of a field whose value depends on the task and the preset."""


def option(help, default=GIVEN_BY_PRESET, choices=None, kind=None):
    """A field with what the command line needs to know about it; without a default every preset gives one."""
    kind = kind or (int if default is GIVEN_BY_PRESET else type(default))
    metadata = {"help": help, "choices": choices, "kind": kind}
    return field(metadata=metadata) if default is GIVEN_BY_PRESET else field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(ABC):
    """The settings that every run has. Make one with `make_config`, which fills in and checks the values."""

    task: str = option("what to train on", kind=str)
    model: str = option("the network", "bnlstm", tuple(LAYERS))
    preset: str = option(
        "settings to start from: quick (reduced, for two cores) or paper (the paper's, for a long time or a GPU); the "
        "options below win over it",
        "paper",
        ("paper", "quick"),
    )
    data: str = option("which form of the data", kind=str)
    hidden: int = option("hidden units")
    batch: int = option("examples in a minibatch")
    iterations: int = option("minibatches to train on")
    learning_rate: float = option("learning rate", kind=float)
    clip: float = option("threshold of the global gradient norm", 1.0)
    gamma: float = option("initial gamma of every batch normalization", 0.1)
    eps: float = option("added to the variance in every batch normalization", 1e-5)
    init: str = option("initial W_h", "auto", INITS)
    forget_bias: float = option("initial bias of the LSTMs' forget gate", 1.0)
    cell_offset: bool = option("give the LSTM the hidden offset inside tanh that the authors' baseline had", False)
    noise: float | None = option("standard deviation of the noise on h0", None, kind=float)
    validate_every: int = option("iterations between validations")
    validate_on: int | None = option(
        "examples of the validation set that validations use, drawn once from the seed; None is all", None, kind=int
    )
    log_every: int = option("iterations between training records")
    checkpoint_every: int = option("iterations between checkpoints")
    population_batch: int = option("batch size of the pass that estimates the population statistics")
    population_on: int | None = option(
        "examples of the training set in that pass, drawn once from the seed; None is all", None, kind=int
    )
    seed: int = option("seed of every random number of the run", 1)
    dtype: str = option("floating type", "float32", ("float32", "float64"))
    engine: str = option(
        "what computes the layers: kernels (fast) or equations (the readable code, step by step)",
        "kernels",
        ("kernels", "equations"),
    )
    device: str = option("cpu, or cuda (needs CuPy)", "cpu", ("cpu", "cuda"))

    @property
    def title(self):
        """What is trained, in two or three words."""
        return f"{self.task} {self.model}"

    @property
    def normalized(self):
        """Whether the model has batch normalization."""
        return self.model.startswith("bn")

    def to_dict(self):
        """The fields as a dict, in their order."""
        return asdict(self)

    # ------------------------------------------------------------------ what a task makes of its settings

    @abstractmethod
    def resolved(self):
        """The configuration with every ``auto`` and None replaced by what it stands for."""

    @abstractmethod
    def load_data(self, recorded=None):
        """The run's data: splits ``train``, ``valid`` and ``test``, ``test_name``, and ``recorded``.

        Parameters
        ----------
        recorded : dict of str to ndarray, optional
            What a run saved of its data: the same data are given back, or it is an error.
        """

    @abstractmethod
    def data_checksums(self):
        """SHA-256 by name of what the run's data are read from (and checked against)."""

    @abstractmethod
    def build_optimizer(self, model):
        """The paper's optimizer on the model's parameters."""

    @abstractmethod
    def measures(self, score):
        """What is recorded of a `Score`, by name."""

    @abstractmethod
    def summary(self, measures):
        """The measures of a `Score` in words."""

    @abstractmethod
    def _input_size(self, recorded):
        """D, from what is recorded of the data."""

    @abstractmethod
    def _add_output(self, cell, rng, recorded):
        """The model around a cell."""

    def build_model(self, recorded):
        """A freshly initialised model, on the run's device; `recorded` is that of the data."""
        options = {"dtype": self.dtype, "init": self.init, "engine": self.engine}
        if self.normalized:
            options |= {"gamma": self.gamma, "eps": self.eps}
        if self.model.endswith("lstm"):
            options["forget_bias"] = self.forget_bias
        if self.model == "lstm":
            options["cell_offset"] = self.cell_offset
        rng = generator(self.seed, "parameters")
        cell = LAYERS[self.model](self._input_size(recorded), self.hidden, rng=rng, **options)
        return to_device(self._add_output(cell, rng, recorded), self.device)

    # ------------------------------------------------------------------ checks

    def check_types(self):
        """Raise a ValueError if an option has the wrong type, or is none of its choices."""
        for f in fields(self):
            _check_type(f.name, getattr(self, f.name), f)

    def check_values(self):
        """Raise a ValueError that names the option, what it may be, and what it was."""
        for name in ("hidden", "iterations", "validate_every", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("batch", "population_batch", "validate_on", "population_on"):
            value = getattr(self, name)
            if value is not None and value < 2:
                raise ValueError(f"{name}: expected at least 2, got {value}; one example alone has no variance")
        for name in ("learning_rate", "clip", "gamma", "eps"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a finite number above 0, got {value}")
        if not (self.noise >= 0 and math.isfinite(self.noise)):
            raise ValueError(f"noise: expected a finite number of at least 0, got {self.noise}")
        if not math.isfinite(self.forget_bias):
            raise ValueError(f"forget_bias: expected a finite number, got {self.forget_bias}")
        if self.seed < 0:
            raise ValueError(f"seed: expected at least 0, got {self.seed}")
        self._check_model()

    def _check_model(self):
        """Options that only some models have."""
        default = {f.name: f.default for f in fields(self)}
        is_lstm = self.model.endswith("lstm")
        if self.init == "identity_g" and not is_lstm:
            raise ValueError(f"init: identity_g is for LSTMs, got model {self.model!r}; use identity or orthogonal")
        if not is_lstm and self.forget_bias != default["forget_bias"]:
            raise ValueError(f"forget_bias: only LSTMs have a forget gate, got model {self.model!r}; leave it out")
        if not self.normalized and (self.gamma, self.eps) != (default["gamma"], default["eps"]):
            raise ValueError(f"gamma, eps: model {self.model!r} has no batch normalization; leave them out")
        if self.cell_offset and self.model != "lstm":
            raise ValueError(f"cell_offset: only the plain lstm has this option, got model {self.model!r}")


def _check_type(name, value, f):
    if value is None and f.default is None:
        return
    kind = f.metadata["kind"]
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or isinstance(value, bool) != (kind is bool):
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r}")
    choices = f.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(str, choices))}, got {value!r}")
