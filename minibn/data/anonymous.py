"""What the recipes share that make questions from raw text. Until it has a label a name is a token ``@...``."""

import re

from minibn.data.question_files import PLACEHOLDER, Question

PARTS = ("train", "valid", "test")
_TELLING = re.compile(r"@.+|[^\W\d_]+('[^\W\d_]+)*")        # names and words: a full stop says nothing of a text


def names(tokens):
    """The different names among the tokens, in their order."""
    return list(dict.fromkeys(token for token in tokens if token[0] == "@" and len(token) > 1))


def best_sentences(sentences, question, k, common=frozenset()):
    """The numbers, in text order, of the `k` sentences that share most different words and names with the question.

    Words of `common` do not count; of sentences that share as many the later one is taken.
    """
    wanted = {token for token in question if _TELLING.fullmatch(token)} - common
    return sorted(sorted(range(len(sentences)), key=lambda j: (len(wanted.intersection(sentences[j])), j))[-k:])


def drawn(rng, items):
    """All items in an order drawn by `rng`: from its `random` alone, which no version of Python will change."""
    return sorted(items, key=lambda _: rng.random())


def anonymous(source, passage, question, answer, labels, rng):
    """The `Question` with one of so many labels for each name, drawn anew; None if there are more names."""
    found = names((*passage, *question))
    if len(found) > labels:
        return None
    label = {token: f"@entity{number}" for token, number in zip(found, drawn(rng, range(labels)), strict=False)}
    asked = tuple(PLACEHOLDER if token == answer else label.get(token, token) for token in question)
    return Question(source, tuple(label.get(token, token) for token in passage), asked, label[answer])
