"""Which runs a sweep is made of: settings, each with the values it takes, or a list of settings; times seeds.

Every run has a folder of its own, named by the checksum of its task and of what differs from the defaults, without
`iterations`. So a new option of minibn's renames nothing, and more iterations continue what is there.
"""

import hashlib
import json
import tomllib
from importlib import resources
from itertools import product
from pathlib import Path
from typing import NamedTuple

from minibn.errors import check_integer
from minibn.training.config import TrainConfig
from minibn.training.options import CELL_OPTIONS
from minibn.training.tasks import TASKS, make_config

__all__ = ["NAMED", "Planned", "plan", "read_plan"]

NAMED = tuple(sorted(entry.name[:-5] for entry in (resources.files(__package__) / "named").iterdir()
                     if entry.name.endswith(".toml")))
"""The sweeps that come with minibn."""
KEYS = {"task": str, "seeds": int, "grid": dict, "runs": list}


class Planned(NamedTuple):
    """One run of a sweep."""

    name: str               # of its folder
    model: str              # as the user calls it: the name of a cell, or FILE.py:NAME
    config: TrainConfig


def plan(task, grid=None, seeds=1, runs=({},)):
    """The runs of a sweep.

    Parameters
    ----------
    task : str
    grid : dict, optional
        Setting -> list of values: every combination is a run. A setting that a model does not have is left out for it.
    seeds : int
        1 to this number, unless the settings say which.
    runs : sequence of dict
        Settings of single runs, each of which is combined with the grid.

    Returns
    -------
    list of Planned
        Each once.

    Raises
    ------
    ValueError
        No value for a setting, one that there is not, or settings that do not go together.
    """
    grid = {name: list(values) for name, values in (grid or {}).items()}
    for name, values in grid.items():
        if not values:
            raise ValueError(f"{name}: expected at least one value, got none; name some, or leave it out")
    if not runs:
        raise ValueError("runs: expected at least one, got none; a single empty one stands for the grid alone")
    grid.setdefault("seed", list(range(1, check_integer("seeds", seeds, at_least=1) + 1)))
    found = {}
    for settings in runs:
        free = {name: values for name, values in grid.items() if name not in settings}
        for values in product(*free.values()):
            one = _planned(task, {**settings, **dict(zip(free, values, strict=True))})
            found.setdefault(one.name, one)
    return list(found.values())


def _planned(task, settings):
    if task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    of_task = TASKS[task].config
    model = settings.get("model", of_task.model)
    declared = of_task.declaration_of(*of_task.named(model, None)).options
    had = {name: value for name, value in settings.items() if name not in CELL_OPTIONS or name in declared}
    config = make_config(**{"preset": "quick", "task": task, **had})
    return Planned(_name(config, model), model, config)


def _name(config, model):
    """The model and a checksum."""
    usual = make_config(config.preset, config.task, model=model)
    own = {name: value for name, value in config.to_dict().items()
           if value != getattr(usual, name) and name != "iterations"}
    cell = config.cell and [config.cell.name, config.cell.sha256]
    key = json.dumps([config.task, config.preset, config.model, cell, own], sort_keys=True)
    return f"{config.model}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def read_plan(source):
    """What a TOML file says, or a sweep that comes with minibn: the arguments of `plan`, and what it is for.

    Parameters
    ----------
    source : str
        One of `NAMED`, or a file. It has a `task`, `seeds`, a table `[grid]` of settings with their lists of values,
        tables `[[runs]]` of settings; all but the task may be missing. Other settings are those of every run.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        It is no such file.
    """
    if source in NAMED:
        text = (resources.files(__package__) / "named" / f"{source}.toml").read_text(encoding="utf-8")
    elif Path(source).suffix == ".toml":
        text = Path(source).read_text(encoding="utf-8")
    else:
        raise ValueError(f"sweep: expected a task ({', '.join(TASKS)}), a sweep of minibn's ({', '.join(NAMED)}), or a "
                         f"file .toml, got {source!r}")
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"sweep: {source} is not TOML ({error}); correct it") from None
    for name, kind in KEYS.items():
        if not isinstance(said.get(name, kind()), kind) or name == "task" not in said:
            raise ValueError(f"sweep: expected {name} of {source} to be {kind.__name__}, got {said.get(name)!r}")
    grid = said.get("grid", {})
    if wrong := [name for name, values in grid.items() if not isinstance(values, list)]:
        raise ValueError(f"{wrong[0]}: expected a list of values in [grid] of {source}, got {grid[wrong[0]]!r}")
    fixed = {name: [value] for name, value in said.items() if name not in KEYS}
    return {"task": said["task"], "grid": {**fixed, **grid}, "seeds": said.get("seeds", 1),
            "runs": said.get("runs", [{}])}
