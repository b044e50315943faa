"""A run is a folder: its settings, metrics, last checkpoint and best model. Opening, checking, loading it.

``config.json``    the settings, and what the run was made with
``metrics.jsonl``  one record per line
``last.npz``       everything needed to go on: parameters, optimizer, progress
``best.npz``       the parameters with the lowest validation error; in the end also the population statistics
"""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibn.backend import array_module, to_device, to_host
from minibn.statistics import PopulationStatistics
from minibn.training.checkpoints import read_checkpoint, write_atomically
from minibn.training.config import TrainConfig
from minibn.training.provenance import made_with
from minibn.training.tasks import make_config
from minibn.training.validation import Score

__all__ = [
    "TrainedModel",
    "check_same_config",
    "load",
    "load_best",
    "pack_model",
    "read_config",
    "start_run",
    "unpack_model",
]

CONFIG, METRICS, LAST, BEST = "config.json", "metrics.jsonl", "last.npz", "best.npz"
OLDER = {"engine": "equations"}     # what runs did whose configuration does not say, having been made before it could


class TrainedModel(NamedTuple):
    """A model and its population statistics (None if its run ended before they were estimated)."""

    model: object
    statistics: PopulationStatistics | None


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


class Best(NamedTuple):
    """What ``best.npz`` holds."""

    config: TrainConfig
    model: object
    statistics: PopulationStatistics | None
    recorded: dict
    iteration: int


def load(folder, device=None):
    """The best model of a run, with its population statistics.

    Parameters
    ----------
    folder : path-like
        A run, for example ``"runs/demo"``.
    device : {"cpu", "cuda"}, optional
        Where to; by default the device it was trained on.

    Returns
    -------
    TrainedModel

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such run, it has no best model yet, or its file is damaged.
    """
    best = load_best(folder, device)
    return TrainedModel(best.model, best.statistics)


def load_best(folder, device=None):
    """Everything in a run's ``best.npz``, as a `Best`."""
    folder = Path(folder)
    read_config(folder)  # a folder that is no run says so
    path = folder / BEST
    if not path.exists():
        raise FileNotFoundError(2, "this run has no best model yet; go on with --resume", str(path))
    arrays = read_checkpoint(path)
    config = config_of(path, arrays)
    if device is not None:
        config = make_config(**{**config.to_dict(), "device": device})
    recorded = recorded_data(path, arrays)
    model = config.build_model(recorded)
    unpack_model(path, arrays, model)
    statistics = None
    if arrays["statistics_estimated"]:
        statistics = to_device(PopulationStatistics.from_arrays(_under("statistics/", arrays)), config.device)
    return Best(config, model, statistics, recorded, int(arrays["iteration"]))


def start_run(folder, config):
    """Make the folder of a new run and write its ``config.json``.

    Raises
    ------
    FileExistsError
        If there is a run in it already.
    """
    folder = Path(folder)
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, config, made_with(config))


def refuse_existing(folder):
    """Raise if this folder holds a run: training never overwrites one."""
    for name in (CONFIG, METRICS, LAST, BEST):
        if (Path(folder) / name).exists():
            raise FileExistsError(
                17,
                "there is a run here already; continue it with --resume, or name another folder with --run",
                str(folder),
            )


def write_config(folder, config, made_with):
    """Write ``config.json``, all or nothing."""
    text = json.dumps({"config": config.to_dict(), "made_with": made_with}, indent=2) + "\n"
    write_atomically(Path(folder) / CONFIG, text.encode())


def read_config(folder):
    """The settings of a run and what it was made with.

    Returns
    -------
    config : TrainConfig
    made_with : dict
    """
    path = Path(folder) / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            2, f"no run here (it has no {CONFIG}); runs are made by `minibn train`", str(folder)
        ) from None
    try:
        content = json.loads(text)
        return make_config(**{**OLDER, **content["config"]}), content["made_with"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: damaged, or of another version of minibn ({error}); train again in a new folder"
        ) from error


def check_same_config(recorded, asked):
    """Refuse to resume with other settings. More iterations are allowed: they continue a finished run.

    Raises
    ------
    ValueError
        Naming the first option that differs.
    """
    for f in fields(recorded):
        before, now = getattr(recorded, f.name), getattr(asked, f.name, None)
        if before == now or (f.name == "iterations" and now > before):
            continue
        what = "at least the run's" if f.name == "iterations" else "the run's"
        raise ValueError(
            f"{f.name}: expected {what} {before!r} with --resume, got {now!r}; leave the option out, or "
            "start another run with --run"
        )


def resumed_config(folder, **options):
    """The settings to resume a run with: its own, unless it is given more iterations.

    Parameters
    ----------
    folder : path-like
    **options
        What the user asked for explicitly; it must agree with the run.
    """
    recorded, _ = read_config(folder)
    # First the task alone: other tasks have other options.
    check_same_config(recorded, replace(recorded, task=options.get("task", recorded.task)))
    asked = replace(recorded, **options).resolved()
    check_same_config(recorded, asked)
    return make_config(**asked.to_dict())


def pack_model(config, model, recorded):
    """What every checkpoint begins with: the parameters, the settings, and what is recorded of the data."""
    params = to_host(dict(model.params))
    return {
        **{f"params/{name}": array for name, array in params.items()},
        **{f"data/{name}": value for name, value in recorded.items()},
        "config": json.dumps(config.to_dict()),
    }


def recorded_data(path, arrays):
    """What a checkpoint says of the data: without it nobody knows what the model was trained on."""
    recorded = _under("data/", arrays)
    if not recorded:
        raise ValueError(
            f"{path}: not a checkpoint of this version of minibn (it does not say what data it was trained on); "
            "train again in a new folder"
        )
    return recorded


def pack_statistics(statistics):
    """What ``best.npz`` says about the population statistics, which may not be estimated yet (None)."""
    arrays = {} if statistics is None else to_host(statistics).to_arrays()
    return {
        "statistics_estimated": np.asarray(statistics is not None),
        **{f"statistics/{name}": array for name, array in arrays.items()},
    }


def unpack_model(path, arrays, model):
    """Copy a checkpoint's parameters into a model, after checking that they are that model's."""
    saved = _under("params/", arrays)
    for name in sorted(set(saved) | set(model.params)):
        if name not in saved or name not in model.params:
            where = "the model" if name in model.params else "the checkpoint"
            raise ValueError(f"{path}: a checkpoint of another model: parameter {name!r} is only in {where}; {OTHER}")
        param = model.params[name]
        if saved[name].shape != param.shape or saved[name].dtype != param.dtype:
            raise ValueError(
                f"{path}: a checkpoint of another model: {name} is {saved[name].dtype} {saved[name].shape} "
                f"in it, but {param.dtype} {param.shape} in the model; {OTHER}"
            )
        param[...] = array_module(param).asarray(saved[name])


OTHER = "give the folder that this checkpoint was made in"


def config_of(path, arrays):
    """The settings inside a checkpoint."""
    try:
        return make_config(**{**OLDER, **json.loads(str(arrays["config"]))})
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: not a checkpoint of this version of minibn ({error}); train again in a new folder"
        ) from error


def _under(prefix, arrays):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
