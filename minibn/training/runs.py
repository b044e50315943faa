"""A run is a folder: its settings, metrics, last checkpoint and best model. Opening, checking, loading it.

``config.json``    the settings, what the run was made with, and what its checkpoints must agree with
``metrics.jsonl``  one record per line
``last.npz``       everything needed to go on: parameters, optimizer, progress
``best.npz``       the parameters with the lowest validation error; in the end also the population statistics

The files of a run show that they belong together: every checkpoint is compared with ``config.json`` when it is read,
its settings without `iterations`, its record of the data, and a token drawn at random when the run was started.
A folder without tokens was made by an older version: there the settings alone are compared.
"""

import errno
import json
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from minibn.cells.user import open_cell
from minibn.errors import show
from minibn.machine import made_with
from minibn.statistics import PopulationStatistics
from minibn.training import packing
from minibn.training.checkpoints import RESTORE, checksum, read_checkpoint, write_atomically
from minibn.training.config import TrainConfig
from minibn.training.folder import BEST, CONFIG, LAST, METRICS, folder_path
from minibn.training.metrics import parse_object
from minibn.training.tasks import make_config


class TrainedModel(NamedTuple):
    """A model and its population statistics (None if its run ended before they were estimated)."""

    model: object
    statistics: PopulationStatistics | None


class Best(NamedTuple):
    """What ``best.npz`` holds."""

    config: TrainConfig
    model: object
    statistics: PopulationStatistics | None
    recorded: dict
    iteration: int


@dataclass(frozen=True)
class Run:
    """What ``config.json`` says of a run."""

    folder: Path
    config: TrainConfig
    made_with: dict
    token: str | None
    data: str | None    # SHA-256 of what is recorded of the data

    def write(self):
        """Write ``config.json``, all or nothing."""
        said = {"config": self.config.to_dict(), "made_with": self.made_with, "data": self.data, "token": self.token}
        text = json.dumps({name: value for name, value in said.items() if value is not None}, indent=2) + "\n"
        write_atomically(self.folder / CONFIG, text.encode())

    def read(self, name):
        """The arrays of one of the run's checkpoints, which has shown that it is this run's; else an error."""
        path = self.folder / name
        arrays = read_checkpoint(path)
        with packing.reading(path):
            config, token = packing.config_of(arrays), packing.token_of(arrays)
            data = checksum(packing.recorded_data(arrays))
        for f in fields(self.config):
            ours, its = getattr(self.config, f.name), getattr(config, f.name, None)
            if f.name != "iterations" and ours != its:
                self._refuse(path, f"{f.name}: expected the run's {ours!r}, got {its!r}")
        if self.data is not None and data != self.data:
            self._refuse(path, "it was trained on other data")
        if token != self.token:
            self._refuse(path, f"its token is {token}, not {self.token}")
        return arrays

    def _refuse(self, path, difference):
        raise ValueError(f"{path}: belongs to another run than {self.folder / CONFIG} ({difference}); "
                         f"put the file of this run back, or train again in a new folder")


def load(folder, device=None, cell=None):
    """The best model of a run, with its population statistics.

    Parameters
    ----------
    folder : path-like
        A run, for example ``"runs/demo"``.
    device : {"cpu", "cuda"}, optional
        Where to; by default the device it was trained on.
    cell : str or Cell, optional
        Of a run with a cell of the user's own: the same again, ``"my_cell.py:GRU"`` or the declaration. Its file is
        executed if its SHA-256 is that of the run.

    Returns
    -------
    TrainedModel

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such run, it has no best model yet, or a file is damaged or of another run.
    """
    best = load_best(folder, device, cell)
    return TrainedModel(best.model, best.statistics)


def load_best(folder, device=None, cell=None):
    """Everything in a run's ``best.npz``, as a `Best`."""
    run = read_run(folder)
    if cell is not None:
        name_again(run, cell)
    path = run.folder / BEST
    if not path.exists():
        text = "this run has no best model yet; go on with --resume"
        if (run.folder / LAST).exists() and packing.Progress.unpack(run.read(LAST)).best_iteration:
            text = f"the best model of this run is missing; {RESTORE}"
        raise FileNotFoundError(errno.ENOENT, text, str(path))
    arrays = run.read(BEST)
    config = run.config if device is None else make_config(**{**run.config.to_dict(), "device": device})
    recorded = packing.recorded_data(arrays)
    with packing.reading(path):
        model = config.build_model(recorded)
    packing.unpack_model(path, arrays, model)
    with packing.reading(path):
        statistics = packing.unpack_statistics(arrays, model, config.device)
        return Best(config, model, statistics, recorded, packing.scalar(arrays, "iteration", "i"))


def name_again(run, cell):
    """Execute the file of a run's cell, which the user names; a ValueError if it is another, or minibn's own."""
    if run.config.cell is not None:
        open_cell(cell, run.config.cell, outside=run.folder)
    elif cell != run.config.model:
        raise ValueError(f"model: expected the run's {run.config.model!r}, got {show(cell)}; leave it out")


def start_run(folder, config, recorded=None):
    """Make the folder of a new run, with a token of its own, and write its ``config.json``; returns the `Run`.

    `recorded` (dict of str to ndarray) is what is recorded of the data.
    """
    folder = folder_path(folder)
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = None if recorded is None else checksum(recorded)
    made = {**made_with(), "data_sha256": config.data_checksums(recorded)}
    run = Run(folder, config, made, secrets.token_hex(16), data)
    run.write()
    return run


def refuse_existing(folder):
    """Raise if this folder holds a run: training never overwrites one."""
    for name in (CONFIG, METRICS, LAST, BEST):
        if (Path(folder) / name).exists():
            text = "there is a run here already; continue it with --resume, or name another folder with --run"
            raise FileExistsError(errno.EEXIST, text, str(folder))


def read_config(folder):
    """The settings of a run and what it was made with. A user's cell need not be named for that.

    Returns
    -------
    config : TrainConfig
    made_with : dict
    """
    run = read_run(folder)
    return run.config, run.made_with


def read_run(folder):
    """The `Run` in a folder; an error if there is none, or its ``config.json`` is missing or damaged."""
    folder = folder_path(folder)
    path = folder / CONFIG
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        here = [name for name in (LAST, BEST, METRICS) if (folder / name).exists()]
        remedy = "runs are made by `minibn train`"
        if here:
            remedy = f"{', '.join(here)} {'is' if len(here) == 1 else 'are'} here, so restore it from a copy"
        if LAST in here:
            remedy += f", or from {LAST} with `minibn train TASK --run {folder} --resume`"
        raise FileNotFoundError(errno.ENOENT, f"no run here (it has no {CONFIG}); {remedy}", str(folder)) from None
    except OSError as error:
        raise OSError(error.errno, f"cannot read: {error.strerror or error}", str(path)) from error
    with packing.reading(path, "damaged, or of another version of minibn"):
        said = parse_object(text)
        for name, kind in (("config", dict), ("made_with", dict), ("token", str | None), ("data", str | None)):
            if not isinstance(said.setdefault(name, None), kind):
                raise ValueError(f"{name} is missing, or something else")
        return Run(folder, packing.settings_of(said["config"]), said["made_with"], said["token"], said["data"])
