"""Runs on text beside the published ones: what they were trained on, and in which settings they differ."""

from minibn.data import ptb, stdlib, text8
from minibn.training.tasks import make_config
from minibn.training.texts import TEXT_PRESETS, TextConfig

__all__ = ["KIND", "PUBLISHED", "PUBLISHED_SETTINGS", "describe", "is_published_text"]

KIND = (TextConfig, "text")
"""The class of the settings of these runs, and what they are on."""

TITLES = {
    **{("ptb", form): variant.title for form, variant in ptb.VARIANTS.items()},
    **{("text8", form): part.title for form, part in text8.PARTS.items()},
    ("stdlib", "topics"): stdlib.TITLE,
}
COMPARED = ("length", "batch", "learning_rate", "clip", "gamma", "eps", "init", "forget_bias", "cell_offset", "noise",
            "validate_on")
PUBLISHED_SETTINGS = f"{TEXT_PRESETS['ptb']['paper']['hidden']:,} units"
PUBLISHED = f"published, {PUBLISHED_SETTINGS}"
"""What the published curves of Figure 3 are called."""


def describe(config):
    """What a figure says of a run on text, by name.

    "corpus" is the title that its numbers need, "settings" a text: its units, and whatever differs from the
    ``paper`` preset of its task.
    """
    kept = {name: getattr(config, name) for name in ("task", "model", "data", "hidden", "length", "seed")}
    return {**kept, "corpus": TITLES[config.task, config.data], "settings": _settings(config)}


def is_published_text(run):
    """Whether the published curves are of this run's text: Penn Treebank, the words read as characters."""
    return (run["task"], run["data"]) == ("ptb", "words")


def _settings(config):
    paper = make_config("paper", task=config.task, model=config.model, data=config.data)
    other = [name for name in COMPARED if getattr(config, name) != getattr(paper, name)]
    return ", ".join([f"{config.hidden:,} units",
                      *(f"{name.replace('_', ' ')} {getattr(config, name)}" for name in other)])
