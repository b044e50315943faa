"""The tasks, and the way from a task's name to the settings of a run on it."""

from dataclasses import fields
from importlib import import_module

from minibn.cells import CELLS
from minibn.cells.user import UserCell, is_user_cell, open_cell
from minibn.training.config import CELL_OPTIONS, TrainConfig

FILES = ("images", "texts")
TASKS = {task.name: task for file in FILES for task in import_module(f"minibn.training.{file}").TASKS}
"""Name -> `Task`."""


def make_config(preset="paper", task="pmnist", **options):
    """The checked settings of a run: a task's preset, changed by options.

    Parameters
    ----------
    preset : {"paper", "quick"}
    task : str
        A name in `TASKS`.
    **options
        Fields of the task's `TrainConfig`; they win over the preset. `model` is the name of a cell of minibn's,
        ``"my_cell.py:GRU"`` for the declaration GRU in a user's file, which is then executed, or a declaration.

    Returns
    -------
    TrainConfig
        With every ``auto`` and None replaced by what it stands for.

    Raises
    ------
    ValueError
        Naming the option, what it may be, and what it was.
    """
    if task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    config_class, presets = TASKS[task].config, TASKS[task].presets
    if preset not in presets:
        raise ValueError(f"preset: expected one of {', '.join(presets)}, got {preset!r}")
    known = [f.name for f in fields(config_class)]
    for name in options:
        if name not in known:
            raise ValueError(f"{name}: no such option for {task}; expected one of {', '.join(known)}")
    if options.get("optimizer", "paper") != "paper" and "learning_rate" not in options:
        raise ValueError(f"learning_rate: expected one for optimizer {options['optimizer']!r}, since the preset's is "
                         f"for the paper's; give --learning-rate too")
    values = {**presets[preset], **options, "preset": preset, "task": task}
    model, cell = _cell(values.pop("model", TrainConfig.model), values.pop("cell", None))
    if cell is not None and not cell.known:     # of a run: its settings can be read, and are complete
        return config_class(**values, model=model, cell=cell).checked()
    declared = (cell.declaration if cell else CELLS[model]).options
    defaults = {name: declared[name].default for name in CELL_OPTIONS if name in declared and not declared[name].auto}
    config = config_class(**{**defaults, **values}, model=model, cell=cell).checked().resolved()
    config.check_together()
    return config


def _cell(model, cell):
    """The name of a cell, and a `UserCell` if it is none of minibn's."""
    if cell is not None:
        return model, cell if isinstance(cell, UserCell) else UserCell(**cell)
    if is_user_cell(model):
        cell = open_cell(model)
        return cell.declaration.name, cell
    name = getattr(model, "name", model)
    if not isinstance(name, str) or name not in CELLS:
        raise ValueError(f"model: expected one of {', '.join(CELLS)}, or FILE.py:NAME, got {model!r}")
    return name, None
