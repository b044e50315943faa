"""The tasks, and the way from a task's name to the settings of a run on it."""

from dataclasses import fields
from importlib import import_module

from minibn.training.options import CELL_OPTIONS

FILES = ("images", "texts", "questions")
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
        ``"my_cell.py:GRU"`` for the declaration GRU in a user's file, which is then executed, or a declaration; on
        questions the name of a reader.

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
    values = {**options, "preset": preset, "task": task}
    model, cell = config_class.named(values.pop("model", config_class.model), values.pop("cell", None))
    if cell is not None and not cell.known:     # of a run: its settings can be read, and are complete
        return config_class(**values, model=model, cell=cell).checked()
    declared = config_class.declaration_of(model, cell).options
    defaults = {name: declared[name].default for name in CELL_OPTIONS if name in declared and not declared[name].auto}
    values = {**defaults, **presets[preset], **config_class.of_model(preset, model), **values}
    config = config_class(**values, model=model, cell=cell).checked().resolved()
    config.check_together()
    return config
