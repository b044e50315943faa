"""The sets of questions by name."""

from functools import partial

from minibn.data.cnn import load_cnn
from minibn.data.questions import question_set
from minibn.data.turns import load_turns
from minibn.data.wiki import load_wiki
from minibn.errors import check_choice

FORMS = {
    "cnn": {"top4": load_cnn, "full": partial(load_cnn, None)},
    "wiki": {form: partial(load_wiki, form) for form in ("published", "built")},
    "turns": {"embedded": load_turns},
}
MOST_WORDS = {"cnn": 65_000, "wiki": 3000, "turns": 1000}       # of the vocabulary; the paper's has 65,829, names too


def load_questions(name, form):
    """A set of questions.

    Parameters
    ----------
    name : {"cnn", "wiki", "turns"}
    form : str
        Of cnn "top4", the four sentences of a passage that match the question best, or "full"; of wiki "published",
        those that minibn's published numbers are of, or "built", those of ``minibn data build wiki``; of turns
        "embedded".

    Returns
    -------
    minibn.data.questions.QuestionSet

    Raises
    ------
    DataError
        Files are missing, damaged, or not the expected ones.
    """
    check_choice("name", name, FORMS)
    check_choice("form", form, FORMS[name])
    return question_set(FORMS[name][form](), MOST_WORDS[name], name=name, title=f"{name} ({form})")
