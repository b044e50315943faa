"""What a training run is made of: a frozen dataclass of settings, and what its task makes of them.

The command line builds its options from these fields, a run's ``config.json`` is these fields, and resuming
compares these fields: there is no second list of settings anywhere. What is particular to a kind of task stands
in its subclass: `minibn.training.images`, `minibn.training.texts`. `minibn.training.tasks.make_config` makes them.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from minibn.backend import to_device
from minibn.errors import check_integer, check_number, show
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN
from minibn.training.randomness import generator

__all__ = ["INITS", "TrainConfig", "option"]

LAYERS = {"rnn": RNN, "bnrnn": BNRNN, "lstm": LSTM, "bnlstm": BNLSTM}
INITS = ("auto", "orthogonal", "identity_g", "identity")
MANY = {"at_least": 2, "remedy": "one example alone has no variance"}
GIVEN_BY_PRESET = object()
"""Stands for the default of a field whose value depends on the task and the preset."""


def option(help, default=GIVEN_BY_PRESET, choices=None, kind=None, **bounds):
    """A field with what the command line needs to know about it; without a default every preset gives one.

    `bounds` of a number are those of `minibn.errors.check_integer` or `check_number`.
    """
    kind = kind or (int if default is GIVEN_BY_PRESET else type(default))
    metadata = {"help": help, "choices": choices, "kind": kind, "bounds": bounds}
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
    hidden: int = option("hidden units", at_least=1)
    batch: int = option("examples in a minibatch", **MANY)
    iterations: int = option("minibatches to train on", at_least=1)
    learning_rate: float = option("learning rate", kind=float, above=0)
    clip: float = option("threshold of the global gradient norm", 1.0, above=0)
    gamma: float = option("initial gamma of every batch normalization", 0.1, above=0)
    eps: float = option("added to the variance in every batch normalization", 1e-5, above=0)
    init: str = option("initial W_h", "auto", INITS)
    forget_bias: float = option("initial bias of the LSTMs' forget gate", 1.0)
    cell_offset: bool = option("give the LSTM the hidden offset inside tanh that the authors' baseline had", False)
    noise: float | None = option("standard deviation of the noise on h0", None, kind=float, at_least=0)
    validate_every: int = option("iterations between validations", at_least=1)
    validate_on: int | None = option(
        "examples of the validation set that validations use, drawn once from the seed; None is all",
        None,
        kind=int,
        **MANY,
    )
    log_every: int = option("iterations between training records", at_least=1)
    checkpoint_every: int = option("iterations between checkpoints", at_least=1)
    population_batch: int = option("batch size of the pass that estimates the population statistics", **MANY)
    population_on: int | None = option(
        "examples of the training set in that pass, drawn once from the seed; None is all",
        None,
        kind=int,
        **MANY,
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
        size = self._input_size(recorded)
        try:
            model = self._add_output(LAYERS[self.model](size, self.hidden, rng=rng, **options), rng, recorded)
        except (MemoryError, OverflowError, ValueError) as error:
            raise ValueError(f"hidden: {self.hidden} units are too many for the memory of this machine ({error}); "
                             f"use fewer") from error
        return to_device(model, self.device)

    # ------------------------------------------------------------------ checks

    def checked(self):
        """The same settings as plain Python values, each of its kind and within its bounds.

        Numbers are looked at as the run's dtype holds them: 1e300 is infinite in float32.

        Raises
        ------
        ValueError
            Naming the option, what it may be, and what it was.
        """
        by_name = {f.name: f for f in fields(self)}
        try:
            dtype = _checked(by_name["dtype"], self.dtype, None)
            return replace(self, **{name: _checked(f, getattr(self, name), dtype) for name, f in by_name.items()})
        except TypeError as error:      # the value of an option, whatever is wrong with it
            raise ValueError(str(error)) from None

    def check_together(self):
        """Raise a ValueError if options do not go together: some are of some models only."""
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


def _checked(f, value, dtype):
    """The value of the option `f` as a plain Python value."""
    if value is None and f.default is None:
        return None
    kind, choices, bounds = f.metadata["kind"], f.metadata["choices"], f.metadata["bounds"]
    if kind is float:
        return check_number(f.name, value, dtype, **bounds)
    if kind is int and not choices:
        return check_integer(f.name, value, **bounds)
    accepted = {bool: bool | np.bool_, int: int | np.integer, str: str}[kind]
    if not isinstance(value, accepted):
        raise TypeError(f"{f.name}: expected {kind.__name__}, got {show(value)}; see minibn train --help")
    if choices and value not in choices:
        raise ValueError(f"{f.name}: expected one of {', '.join(map(str, choices))}, got {value!r}")
    return kind(value)
