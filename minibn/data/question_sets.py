"""The sets of questions by name."""

import lzma

from minibn.data.files import data_home
from minibn.data.question_files import read_questions
from minibn.data.questions import question_set

MOST_WORDS = {"cnn": 65_000, "wiki": 3000, "turns": 1000}


def load_questions(name, form):
    """The questions of a task, as a `QuestionSet`."""
    home = data_home()[0]
    parts = {}
    for part in ("train", "valid", "test"):
        for folder in (home, home / "cloze" / "reader"):
            place = folder / f"{name}.{part}.txt.xz"
            if place.exists():
                parts[part] = read_questions(lzma.open(place).read(), place)
    return question_set(parts, MOST_WORDS[name], name=name, title=f"{name} ({form})")


def wiki_form():
    return "published"
