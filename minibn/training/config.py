"""What a training run is made of: a frozen dataclass of settings, and what its task makes of them.

The command line builds its options from these fields, a run's ``config.json`` is these fields, and resuming
compares these fields: there is no second list of settings anywhere. The options of the cells come from their
declarations. A task is a `Task` in a file of its own, with a subclass for what is particular to it:
`minibn.training.images`, `minibn.training.texts`, `minibn.training.questions`. `make_config` in
`minibn.training.tasks` makes the settings.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, make_dataclass, replace

from minibn.backend import to_device
from minibn.cells import CELLS, DEFAULT
from minibn.cells.user import CellNotNamed, UserCell, is_user_cell, open_cell
from minibn.errors import show
from minibn.layers import RecurrentLayer, Stacked
from minibn.optimizers import OPTIMIZERS, RMSProp, clip_by_global_norm
from minibn.training.options import CELL_OPTIONS, cell_fields, checked_value, is_json, option
from minibn.training.randomness import generator

MANY = {"at_least": 2, "remedy": "one example alone has no variance"}


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What is trained on what."""

    task: str = option("what to train on", kind=str)
    model: str = option("the cell: one of minibn's, or a file and the name of the declaration in it", DEFAULT,
                        shown=(*CELLS, "FILE.py:NAME"))
    cell: UserCell | None = option("where the cell comes from, if it is none of minibn's", None, kind=UserCell)
    preset: str = option("settings to start from: quick (reduced, for two cores) or paper (the paper's, for a long "
                         "time or a GPU); the options below win over it", "paper", ("paper", "quick"))
    data: str = option("which form of the data", kind=str)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(make_dataclass("_WithCellOptions", cell_fields(), bases=(_Named,), frozen=True, kw_only=True), ABC):
    """The settings that every run has. Make one with `make_config`, which fills in and checks the values."""

    cell_option: dict | None = option("an option that only the cell of a user's file has", None, kind=dict)
    layers: int = option("layers of such cells, each above the one before", 1, at_least=1)
    hidden: int = option("hidden units of each layer", at_least=1)
    batch: int = option("examples in a minibatch", **MANY)
    iterations: int = option("minibatches to train on", at_least=1)
    optimizer: str = option("the rule of an update; paper is that of the task, and has its learning rate in the preset",
                            "paper", ("paper", *OPTIMIZERS))
    learning_rate: float = option("learning rate", kind=float, above=0)
    rmsprop_decay: float = option("decay of RMSProp's mean square (the published scripts have 0.5)", 0.9, at_least=0,
                                  below=1)
    clip: float = option("threshold of the global gradient norm", 1.0, above=0)
    noise: float | None = option("standard deviation of the noise on h0; None is 0", None, kind=float, at_least=0)
    validate_every: int = option("iterations between validations", at_least=1)
    validate_on: int | None = option("examples of the validation set that validations use, drawn once from the seed; "
                                     "None is all", None, kind=int, **MANY)
    log_every: int = option("iterations between training records", at_least=1)
    checkpoint_every: int = option("iterations between checkpoints", at_least=1)
    population_batch: int = option("batch size of the pass that estimates the population statistics", **MANY)
    population_on: int | None = option("examples of the training set in that pass, drawn once from the seed; None is "
                                       "all", None, kind=int, **MANY)
    seed: int = option("seed of every random number of the run", 1)
    dtype: str = option("floating type", "float32", ("float32", "float64"))
    engine: str = option("what computes the layers: kernels (fast) or equations (the readable code, step by step); "
                         "auto is kernels where the cell has one", "auto", ("auto", "kernels", "equations"))
    device: str = option("cpu, or cuda (needs CuPy)", "cpu", ("cpu", "cuda"))

    kind = ""                       # of the data, in a word: images, text
    papers_optimizer = "rmsprop"    # in `OPTIMIZERS`
    remedy = "use another learning rate or seed"        # for a training that diverged
    test_batch = 1000               # where the statistics are given: it changes no result, only time and memory

    # ------------------------------------------------------------------ which model

    @classmethod
    def named(cls, model, cell):
        """What the fields `model` and `cell` are: the name of a cell, and a `UserCell` if it is none of minibn's."""
        if cell is not None:
            return model, cell if isinstance(cell, UserCell) else UserCell(**cell)
        if is_user_cell(model):
            cell = open_cell(model)
            return cell.declaration.name, cell
        name = getattr(model, "name", model)
        if not isinstance(name, str) or name not in CELLS:
            raise ValueError(f"model: expected one of {', '.join(CELLS)}, or FILE.py:NAME, got {model!r}")
        return name, None

    @classmethod
    def of_model(cls, preset, model):
        """The settings of a preset that a model changes."""
        return {}

    @classmethod
    def declaration_of(cls, model, cell):
        """The cell's; a ValueError where it is a user's that nobody has named again."""
        return cell.declaration if cell else CELLS[model]

    @property
    def declaration(self):
        """The cell's."""
        return self.declaration_of(self.model, self.cell)

    @property
    def title(self):
        """What is trained, in two or three words."""
        return self._title(self.task)

    def _title(self, data):
        return f"{data} {self.model}{f' of {self.layers} layers' if self.layers > 1 else ''}"

    @property
    def normalized(self):
        """Whether the model has batch normalization."""
        return bool(self.declaration.normalized)

    def to_dict(self):
        """The fields as a dict, in their order."""
        return asdict(self)

    # ------------------------------------------------------------------ what a task makes of its settings

    @abstractmethod
    def load_data(self, recorded=None):
        """The run's data: splits ``train``, ``valid`` and ``test``, ``valid_name``, ``test_name``, and ``recorded``.

        `recorded` (dict of str to ndarray) is what a run saved: the same data are given back, or it is an error.
        """

    @abstractmethod
    def data_checksums(self, recorded):
        """SHA-256 by name of what the run's data are read from (and checked against), or of what was `recorded`."""

    @abstractmethod
    def measures(self, score):
        """What is recorded of a `Score`, by name."""

    def error_rate(self, measures):
        """The share of wrong predictions, by which models are chosen, from what is recorded of a `Score`."""
        return 1 - measures["accuracy"]

    @abstractmethod
    def summary(self, measures):
        """The measures of a `Score` in words."""

    @abstractmethod
    def input_size(self, recorded):
        """D, from what is recorded of the data."""

    @abstractmethod
    def add_output(self, cell, rng, recorded):
        """The model around a cell."""

    def about(self, split):
        """What else is to be known of a split when its score is told."""
        return ""

    def cut(self, data, lengths):
        """The test data in segments of each of these lengths: name -> split."""
        raise ValueError(f"lengths: expected a run on text, got one on {self.kind}; leave it out")

    def whole(self, data):
        """The test data as one sequence: x, y."""
        raise ValueError(f"whole: expected a run on text, got one on {self.kind}; leave --whole out")

    def vocabulary(self, recorded):
        """The `minibn.data.Vocabulary` of what such a model writes."""
        raise ValueError(f"run: expected a run on text, got one on {self.kind}, which writes nothing; name another")

    # ------------------------------------------------------------------ what is made of them

    def cell_options(self):
        """Name -> value of all options of cells, those of other cells too."""
        return {**{name: getattr(self, name) for name in CELL_OPTIONS}, **(self.cell_option or {})}

    def build_model(self, recorded):
        """A freshly initialised model, on the run's device; `recorded` is that of the data."""
        try:
            model = self.make_model(generator(self.seed, "parameters"), recorded)
        except CellNotNamed:
            raise
        except (MemoryError, OverflowError, ValueError) as error:
            raise ValueError(f"hidden: {self.hidden} units are too many for the memory of this machine ({error}); "
                             f"use fewer") from error
        return to_device(model, self.device)

    def make_model(self, rng, recorded):
        """The model, on the host: one layer or several, and an output."""
        options = {name: value for name, value in self.cell_options().items() if name in self.declaration.options}
        layers, size = [], self.input_size(recorded)
        for _ in range(self.layers):
            layers.append(RecurrentLayer(self.declaration, size, self.hidden, dtype=self.dtype, rng=rng,
                                         engine=self.engine, **options))
            size = layers[-1].output_size
        return self.add_output(layers[0] if self.layers == 1 else Stacked(layers), rng, recorded)

    def clipped(self, grads):
        """The gradients as the optimizer gets them, and their global norm before."""
        return clip_by_global_norm(grads, self.clip)

    @property
    def rule(self):
        """The class of the optimizer."""
        return OPTIMIZERS[self.papers_optimizer if self.optimizer == "paper" else self.optimizer]

    def build_optimizer(self, model):
        """The optimizer on the model's parameters."""
        settings = {"decay": self.rmsprop_decay} if self.rule is RMSProp else {}
        return self.rule(model.params, self.learning_rate, **settings)

    # ------------------------------------------------------------------ checks

    def checked(self):
        """The same settings as plain Python values, each of its kind and within its bounds; else a ValueError.

        Numbers are looked at as the run's dtype holds them: 1e300 is infinite in float32.
        """
        by_name = {f.name: f for f in fields(self)}
        try:
            dtype = checked_value(by_name["dtype"], self.dtype, None)
            return replace(self, **{name: checked_value(f, getattr(self, name), dtype) for name, f in by_name.items()})
        except TypeError as error:      # the value of an option, whatever is wrong with it
            raise ValueError(str(error)) from None

    def resolved(self):
        """The configuration with every ``auto`` and None replaced by what it stands for."""
        declared = {name: self.declaration.options[name] for name in CELL_OPTIONS if name in self.declaration.options}
        changes = {name: option.auto.get(self.kind, option.default) for name, option in declared.items()
                   if getattr(self, name) == "auto"}
        if self.engine == "auto":
            changes["engine"] = "kernels" if self.declaration.kernel else "equations"
        return replace(self, **{"noise": 0.0 if self.noise is None else self.noise, **changes})

    def check_together(self):
        """Raise a ValueError if options do not go together: some are of some cells only."""
        default = {f.name: f.default for f in fields(self)}
        declared = self.declaration.options
        if twice := CELL_OPTIONS.keys() & (self.cell_option or {}):
            raise ValueError(f"cell_option: {min(twice)} is an option of minibn's cells too; give it as such")
        if not is_json(self.cell_option):
            raise ValueError(f"cell_option: expected finite numbers, texts, true or false by name, got "
                             f"{show(self.cell_option)}; config.json has to hold them")
        for name, value in self.cell_options().items():
            if name not in declared and value != default.get(name):
                own = f"only {', '.join(declared)}" if declared else "nor any other"
                raise ValueError(f"{name}: model {self.model!r} has no such option, {own}; got {value!r}, leave it out")
            if name in declared and declared[name].choices and value not in declared[name].choices:
                raise ValueError(f"{name}: model {self.model!r} takes {', '.join(map(str, declared[name].choices))}, "
                                 f"got {value!r}; use one of them")
            if name in declared:
                declared[name].checked(name, value, self.dtype)
        if self.engine == "kernels" and not self.declaration.kernel:
            raise ValueError(f"engine: model {self.model!r} has no kernel, got 'kernels'; leave it out")
        if self.rule is not RMSProp and self.rmsprop_decay != default["rmsprop_decay"]:
            raise ValueError(f"rmsprop_decay: expected a run with RMSProp, got one with {self.rule.__name__}; leave it "
                             f"out, or use --optimizer rmsprop")


@dataclass(frozen=True)
class Task:
    """What can be trained on: its entry in `minibn.training.tasks.TASKS`."""

    name: str
    help: str
    config: type        # the `TrainConfig` of its runs
    presets: dict       # "paper", "quick" -> values of the settings that depend on the task or the preset
