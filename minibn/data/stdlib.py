"""A text that every Python carries: the topics of its own documentation, as ``help()`` shows them."""

import re

from minibn.data.corpus import text_corpus
from minibn.data.files import DataError

TITLE = "Python documentation (stdlib)"


def load_stdlib(length=100):
    """The documentation in Python's standard library: about 470,000 characters of English.

    It differs a little between versions of Python: compare numbers only where `Corpus.sha256` agrees.

    Parameters
    ----------
    length : int
        Characters in a segment.

    Returns
    -------
    Corpus
        The first 90 % to train, then 5 % to validate, then 5 % held out.

    Raises
    ------
    DataError
        If this Python was built without its documentation.
    """
    return text_corpus(stdlib_text(), length, name="stdlib", title=TITLE)


def stdlib_text():
    """The topics in the order of their names, joined by newlines, printable ASCII and newlines only."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "this Python has no module pydoc_data.topics, which holds the text; "
            "use a Python with its whole standard library, or another data set"
        ) from None
    return re.sub(r"[^\n -~]", "", "\n".join(topics[name] for name in sorted(topics)))
