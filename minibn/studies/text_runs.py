"""Runs on text beside the published ones: what they were trained on, and how they differ from the paper's."""

from minibn.data import ptb, stdlib, text8
from minibn.studies.drawing import title_of
from minibn.studies.runs import settings, settings_text
from minibn.training.tasks import TASKS, make_config

__all__ = ["KIND", "PUBLISHED", "corpus_of", "is_published_text", "ours_and_published", "units_and_others"]

KIND = "text"
"""What these runs are on."""

TITLES = {
    **{("ptb", form): variant.title for form, variant in ptb.VARIANTS.items()},
    **{("text8", form): part.title for form, part in text8.PARTS.items()},
    ("stdlib", "topics"): stdlib.TITLE,
}
PUBLISHED_SETTINGS = f"{TASKS['ptb'].presets['paper']['hidden']:,} units"
PUBLISHED = f"published, {PUBLISHED_SETTINGS}"
"""What the published curves of Figure 3 are called."""


def corpus_of(run):
    """The title that a run's numbers need."""
    return TITLES[run["settings"]["task"], run["settings"]["data"]]


def is_published_text(run):
    """Whether the published curves are of this run's text: Penn Treebank, the words read as characters."""
    return (run["settings"]["task"], run["settings"]["data"]) == ("ptb", "words")


def units_and_others(run):
    """A run's units, and whatever differs from the ``paper`` preset of its task, in a few words."""
    given = run["settings"]
    paper = make_config("paper", task=given["task"], data=given["data"]).to_dict()
    other = {name: value for name, value in settings(run).items()
             if name not in ("hidden", "device") and value != paper[name]}
    return ", ".join(filter(None, [f"{given['hidden']:,} units", settings_text(other)]))


def ours_and_published(runs, published):
    """The settings of our runs in a few words; where something `published` stands beside them, its too."""
    each = dict.fromkeys(f"{title_of(run['model'])}: {units_and_others(run)}" for run in runs)
    alike = {text.partition(": ")[2] for text in each}
    ours = alike.pop() if len(alike) == 1 else "; ".join(each)
    return f"Ours: {ours}." + (f" Published: {PUBLISHED_SETTINGS}." if published else "")
