"""A text in three parts: what a language model trains on, is selected by, and is tested on."""

from dataclasses import dataclass

import numpy as np

from minibn.data.codes import text_sha256
from minibn.data.segments import Segments
from minibn.data.vocabulary import Vocabulary

VALID_SHARE = TEST_SHARE = 20  # one part in twenty each, of a text that nobody has split before


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three parts of a text over one vocabulary.

    Attributes
    ----------
    name : str
        In file names and configurations.
    title : str
        What every number measured on it must call it.
    vocabulary : Vocabulary
    train, valid, test : Segments
    test_part : str
        What ``test`` may be called: "test set" only if it is the official one.
    sha256 : str
        Of the text: training, validation and test part, one after another, in UTF-8. Record it with a run.
    """

    name: str
    title: str
    vocabulary: Vocabulary
    train: Segments
    valid: Segments
    test: Segments
    test_part: str
    sha256: str

    @property
    def steps(self):
        """T, the number of predictions in a training segment."""
        return self.train.steps

    @property
    def classes(self):
        """K, the number of different symbols."""
        return len(self.vocabulary)

    @property
    def valid_name(self):
        """What a number measured on ``valid`` is called."""
        return f"{self.title}, validation text"

    @property
    def test_name(self):
        """What a number measured on ``test`` is called."""
        return f"{self.title}, {self.test_part}"

    @property
    def recorded(self):
        """What a run saves, to find these data again, or to notice that they are others."""
        return {"symbols": self.vocabulary.symbols, "text_sha256": self.sha256}

    @property
    def sizes(self):
        """How large each part is, in words."""
        train, valid, test = (len(part.codes) for part in (self.train, self.valid, self.test))
        return f"{train} train, {valid} validation, {test} {self.test_part} characters"


def cut_corpus(codes, sizes, length, **facts):
    """The corpus whose parts have these sizes, without copying the codes.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n,)
    sizes : tuple of three int
        Characters of the training, validation and test part; together n.
    length : int
        Characters in a segment.
    **facts
        The other attributes of `Corpus`.
    """
    if sum(sizes) != len(codes):
        raise ValueError(f"sizes={tuple(sizes)} must be n = {len(codes)} characters together, got {sum(sizes)}")
    train, valid, test = (
        Segments(part, length, len(facts["vocabulary"])) for part in np.split(codes, np.cumsum(sizes)[:-1])
    )
    return Corpus(train=train, valid=valid, test=test, **facts)


def text_corpus(text, length=100, name="text", title=None, test_part="held-out text"):
    """A corpus from a text of one's own: the first 90 % to train, then 5 % to validate, then 5 % held out.

    Parameters
    ----------
    text : str
        Of 2 to 256 different characters: they are the vocabulary, in sorted order.
    length : int
        Characters in a segment; each part must have at least one segment.
    name, title, test_part : str
        See `Corpus`; the title is the name unless given.
    """
    vocabulary = Vocabulary("".join(sorted(set(text))))
    codes = vocabulary.encode(text)
    valid, test = len(codes) // VALID_SHARE, len(codes) // TEST_SHARE
    return cut_corpus(
        codes,
        (len(codes) - valid - test, valid, test),
        length,
        name=name,
        title=name if title is None else title,
        vocabulary=vocabulary,
        test_part=test_part,
        sha256=text_sha256(codes, vocabulary),
    )
