"""What a training run is made of: one frozen dataclass, its presets, and the rules its values obey.

The command line builds its options from these fields, a run's ``config.json`` is these fields, and resuming
compares these fields: there is no second list of settings anywhere.
"""

import math
from dataclasses import asdict, dataclass, field, fields, replace

__all__ = ["PRESETS", "TrainConfig", "make_config", "resolved"]

TASKS = ("mnist", "pmnist")
MODELS = ("rnn", "bnrnn", "lstm", "bnlstm")


PRESETS = {
    "paper": {},
    "quick": {
        "data": "subset",
        "side": 14,
        "iterations": 300,
        "validate_every": 50,
        "log_every": 10,
        "checkpoint_every": 50,
    },
}
"""Named changes to the defaults: ``paper`` changes nothing; ``quick`` takes a few minutes on two cores."""


def _option(default, help, choices=None, kind=None):
    """A field with what the command line needs to know about it."""
    return field(default=default, metadata={"help": help, "choices": choices, "kind": kind or type(default)})


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one run. The defaults are the paper's (preset ``paper``).

    Make one with `make_config`, which fills in what depends on other fields and checks the values.
    """

    task: str = _option("pmnist", "pixels in order (mnist) or in one fixed shuffled order (pmnist)", TASKS)
    model: str = _option("bnlstm", "the network", MODELS)
    preset: str = _option(
        "paper",
        "settings to start from: quick (minutes on two cores, shipped images) or paper (all of MNIST, 100,000 "
        "iterations); the options below win over it",
        tuple(PRESETS),
    )
    data: str = _option("mnist", "all of MNIST, or the 5,000 images shipped with minibn", ("mnist", "subset"))
    side: int = _option(28, "images of 28x28 pixels, or averaged down to 14x14", (28, 14))
    index_map: str = _option(
        "auto",
        "order of the pixels: auto is in_order for mnist and permutation (drawn from the seed) for pmnist; "
        "authors_seed1 is the map of the paper's published curves, drawn with replacement",
        ("auto", "in_order", "permutation", "authors_seed1"),
    )
    hidden: int = _option(100, "hidden units")
    batch: int = _option(100, "examples in a minibatch")
    iterations: int = _option(100_000, "minibatches to train on")
    learning_rate: float = _option(1e-3, "learning rate of RMSProp")
    rmsprop_decay: float = _option(0.9, "decay of RMSProp's mean square (the published scripts have 0.5)")
    clip: float = _option(1.0, "threshold of the global gradient norm")
    gamma: float = _option(0.1, "initial gamma of every batch normalization")
    eps: float = _option(1e-5, "added to the variance in every batch normalization")
    init: str = _option(
        "auto",
        "initial W_h: auto is identity_g (identity for the candidate, one orthogonal matrix for the three "
        "gates) for LSTMs and identity for RNNs",
        ("auto", "orthogonal", "identity_g", "identity"),
    )
    forget_bias: float = _option(1.0, "initial bias of the LSTMs' forget gate")
    cell_offset: bool = _option(False, "give the LSTM the hidden offset inside tanh that the authors' baseline had")
    noise: float | None = _option(
        None,
        "standard deviation of the noise on h0; None is 0.1 for a BN model on pixels in order, else 0",
        kind=float,
    )
    validate_every: int = _option(500, "iterations between validations (500 are one epoch of MNIST)")
    log_every: int = _option(50, "iterations between training records")
    checkpoint_every: int = _option(100, "iterations between checkpoints")
    population_batch: int = _option(5000, "batch size of the passes that estimate the population statistics")
    seed: int = _option(1, "seed of every random number of the run")
    dtype: str = _option("float32", "floating type", ("float32", "float64"))
    engine: str = _option(
        "kernels",
        "what computes the layers: kernels (fast) or equations (the readable code, step by step)",
        ("kernels", "equations"),
    )
    device: str = _option("cpu", "cpu, or cuda (needs CuPy)", ("cpu", "cuda"))

    @property
    def normalized(self):
        """Whether the model has batch normalization."""
        return self.model.startswith("bn")

    def to_dict(self):
        """The fields as a dict, in their order."""
        return asdict(self)


def make_config(preset="paper", **options):
    """A checked `TrainConfig`: a preset, changed by options.

    Parameters
    ----------
    preset : str
        A name in `PRESETS`.
    **options
        Fields of `TrainConfig`; they win over the preset.

    Returns
    -------
    TrainConfig
        With every ``auto`` and None replaced by what it stands for.

    Raises
    ------
    ValueError
        Naming the option, what it may be, and what it was.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    known = {f.name: f for f in fields(TrainConfig)}
    for name in options:
        if name not in known:
            raise ValueError(f"{name}: no such option; expected one of {', '.join(known)}")
    config = TrainConfig(**{**PRESETS[preset], **options, "preset": preset})
    for name, f in known.items():
        _check_type(name, getattr(config, name), f)
    config = resolved(config)
    _check_values(config)
    return config


def resolved(config):
    """The configuration with every ``auto`` and None replaced by what it stands for."""
    changes = {}
    if config.index_map == "auto":
        changes["index_map"] = "permutation" if config.task == "pmnist" else "in_order"
    if config.init == "auto":
        changes["init"] = "identity_g" if config.model.endswith("lstm") else "identity"
    if config.noise is None:
        # With the pixels in order every image starts black: without noise all states of a batch coincide,
        # every variance is zero, and the gradient overflows.
        changes["noise"] = 0.1 if config.normalized and config.task == "mnist" else 0.0
    return replace(config, **changes)


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


def _check_values(config):
    for name in ("hidden", "iterations", "validate_every", "log_every", "checkpoint_every"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name}: expected at least 1, got {getattr(config, name)}")
    for name in ("batch", "population_batch"):
        if getattr(config, name) < 2:
            raise ValueError(
                f"{name}: expected at least 2, got {getattr(config, name)}; one example alone has no variance"
            )
    for name in ("learning_rate", "clip", "gamma", "eps"):
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name}: expected a finite number above 0, got {value}")
    if not 0 <= config.rmsprop_decay < 1:
        raise ValueError(f"rmsprop_decay: expected a number in [0, 1), got {config.rmsprop_decay}")
    if not (config.noise >= 0 and math.isfinite(config.noise)):
        raise ValueError(f"noise: expected a finite number of at least 0, got {config.noise}")
    if not math.isfinite(config.forget_bias):
        raise ValueError(f"forget_bias: expected a finite number, got {config.forget_bias}")
    if config.seed < 0:
        raise ValueError(f"seed: expected at least 0, got {config.seed}")
    if (config.task == "mnist") != (config.index_map == "in_order"):
        raise ValueError(
            f"index_map: {config.index_map!r} does not belong to task {config.task!r}; mnist is in_order, "
            "pmnist is permutation or authors_seed1"
        )
    if config.index_map == "authors_seed1" and config.side != 28:
        raise ValueError(f"index_map: authors_seed1 is a map of 28x28 images, got side {config.side}; use --side 28")
    if config.init == "identity_g" and not config.model.endswith("lstm"):
        raise ValueError(f"init: identity_g is for LSTMs, got model {config.model!r}; use identity or orthogonal")
    defaults = TrainConfig()
    if not config.model.endswith("lstm") and config.forget_bias != defaults.forget_bias:
        raise ValueError(f"forget_bias: only LSTMs have a forget gate, got model {config.model!r}; leave it out")
    if not config.normalized and (config.gamma, config.eps) != (defaults.gamma, defaults.eps):
        raise ValueError(f"gamma, eps: model {config.model!r} has no batch normalization; leave them out")
    if config.cell_offset and config.model != "lstm":
        raise ValueError(f"cell_offset: only the plain lstm has this option, got model {config.model!r}")
