"""From a task's name to the settings of a run on it."""

from dataclasses import fields

from minibn.training.images import IMAGE_PRESETS, ImageConfig
from minibn.training.texts import TEXT_PRESETS, TextConfig

__all__ = ["CONFIGS", "PRESETS", "make_config"]

CONFIGS = {
    "mnist": ImageConfig,
    "pmnist": ImageConfig,
    "ptb": TextConfig,
    "text8": TextConfig,
    "stdlib": TextConfig,
}
"""The class of a task's settings."""

PRESETS = {"mnist": IMAGE_PRESETS, "pmnist": IMAGE_PRESETS, **TEXT_PRESETS}
"""Task -> preset -> values of the settings that depend on either."""


def make_config(preset="paper", task="pmnist", **options):
    """The checked settings of a run: a task's preset, changed by options.

    Parameters
    ----------
    preset : {"paper", "quick"}
    task : {"mnist", "pmnist", "ptb", "text8", "stdlib"}
    **options
        Fields of the task's `TrainConfig`; they win over the preset.

    Returns
    -------
    TrainConfig
        With every ``auto`` and None replaced by what it stands for.

    Raises
    ------
    ValueError
        Naming the option, what it may be, and what it was.
    """
    if task not in CONFIGS:
        raise ValueError(f"task: expected one of {', '.join(CONFIGS)}, got {task!r}")
    if preset not in PRESETS[task]:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS[task])}, got {preset!r}")
    known = [f.name for f in fields(CONFIGS[task])]
    for name in options:
        if name not in known:
            raise ValueError(f"{name}: no such option for {task}; expected one of {', '.join(known)}")
    config = CONFIGS[task](**{**PRESETS[task][preset], **options, "preset": preset, "task": task})
    config = config.checked().resolved()
    config.check_together()
    return config
