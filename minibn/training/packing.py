"""What stands in the checkpoints of a run: how a model, its statistics and the progress become arrays, and back.

``params/*``, ``data/*`` and ``config`` stand in both files, and the ``token`` of the run; ``optimizer/*`` and
``progress/*`` in ``last.npz``; ``iteration``, ``statistics_estimated`` and ``statistics/*`` in ``best.npz``.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np

from minibn.backend import array_module, to_device, to_host
from minibn.cells.user import CellNotNamed
from minibn.data import DataError
from minibn.statistics import PopulationStatistics
from minibn.training.checkpoints import RESTORE
from minibn.training.metrics import parse_object
from minibn.training.tasks import make_config
from minibn.training.validation import Score

OLDER = {"engine": "equations"}     # what runs did whose configuration does not say, having been made before it could
OTHER = "give the folder that this checkpoint was made in"


@dataclass
class Progress:
    """How far a run is; part of every ``last.npz``."""

    iteration: int = 0
    best_loss: float = 0.0
    best_correct: int = -1
    best_predictions: int = 1
    best_iteration: int = 0
    records: int = 0
    finished: int = 0
    seconds: float = 0.0

    def best(self):
        """The best validation so far, as a `Score`."""
        return Score(self.best_loss, self.best_correct, self.best_predictions)

    def pack(self):
        """The arrays of a checkpoint that say it."""
        return prefixed("progress/", {name: np.asarray(value) for name, value in vars(self).items()})

    @classmethod
    def unpack(cls, arrays):
        """The inverse of `pack`."""
        now = cls(**{f.name: scalar(arrays, f"progress/{f.name}", f.type.__name__[0]) for f in fields(cls)})
        if min(now.iteration, now.best_iteration, now.records, now.best_correct + 1, now.best_predictions - 1) < 0:
            raise ValueError(f"it counts {now}")
        return now


@contextmanager
def reading(path, otherwise="not a checkpoint of this version of minibn"):
    """Whatever is wrong with the content of a file is a ValueError that names the file, and what to do."""
    try:
        yield
    except (DataError, CellNotNamed):       # not the file's fault
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: {otherwise} ({what}); {RESTORE}") from error


def settings_of(values):
    """The `TrainConfig` of settings read from a file."""
    return make_config(**{**OLDER, **values})


def config_of(arrays):
    """The settings inside a checkpoint."""
    return settings_of(parse_object(scalar(arrays, "config", "U").encode()))


def token_of(arrays):
    """The token of the run that a checkpoint belongs to; None in one of an older version."""
    return scalar(arrays, "token", "U") if "token" in arrays else None


def scalar(arrays, name, kind):
    """One value of a checkpoint, as a Python object; refuse an array of another kind, or of more than one."""
    array = arrays[name]
    if array.ndim or array.dtype.kind != kind:
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
    return array.item()


def prefixed(prefix, arrays):
    """The arrays with a prefix before their names."""
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def under(prefix, arrays):
    """Those of the arrays whose names begin so, without the prefix."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def pack_model(config, model, recorded, token=None):
    """What every checkpoint begins with: the parameters, the settings, what is recorded of the data, whose it is."""
    return {**prefixed("params/", to_host(dict(model.params))), **prefixed("data/", recorded),
            "config": json.dumps(config.to_dict()), **({} if token is None else {"token": token})}


def recorded_data(arrays):
    """What a checkpoint says of the data: without it nobody knows what the model was trained on."""
    recorded = under("data/", arrays)
    if not recorded:
        raise ValueError("it does not say what data it was trained on")
    return recorded


def check_params(path, arrays, model):
    """Refuse a checkpoint whose parameters are not those of the model: names, shapes and types. Returns them."""
    saved = under("params/", arrays)
    for name in sorted(set(saved) | set(model.params)):
        if name not in saved or name not in model.params:
            where = "the model" if name in model.params else "the checkpoint"
            raise ValueError(f"{path}: a checkpoint of another model: parameter {name!r} is only in {where}; {OTHER}")
        param = model.params[name]
        if saved[name].shape != param.shape or saved[name].dtype != param.dtype:
            raise ValueError(f"{path}: a checkpoint of another model: {name} is {saved[name].dtype} "
                             f"{saved[name].shape} in it, but {param.dtype} {param.shape} in the model; {OTHER}")
    return saved


def unpack_model(path, arrays, model):
    """Copy a checkpoint's parameters into a model, after checking that they are that model's."""
    saved = check_params(path, arrays, model)
    for name, param in model.params.items():
        param[...] = array_module(param).asarray(saved[name])


def pack_statistics(statistics):
    """What ``best.npz`` says about the population statistics, which may not be estimated yet (None)."""
    arrays = {} if statistics is None else to_host(statistics).to_arrays()
    return {"statistics_estimated": np.asarray(statistics is not None), **prefixed("statistics/", arrays)}


def unpack_statistics(arrays, model, device):
    """The inverse of `pack_statistics`, on the model's device, once they are found to be those of such a model."""
    if not scalar(arrays, "statistics_estimated", "b"):
        return None
    statistics = to_device(PopulationStatistics.from_arrays(under("statistics/", arrays)), device)
    model.check_statistics(statistics)
    return statistics
