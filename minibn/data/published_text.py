"""A published text, from its files to a corpus."""

from collections.abc import Callable
from dataclasses import dataclass

from minibn.data.codes import CodedText
from minibn.data.corpus import cut_corpus
from minibn.data.files import DataFile
from minibn.data.sources import PublishedFiles
from minibn.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class PublishedText:
    """One form of a text.

    Attributes
    ----------
    name, title, test_part : str
        See `minibn.data.Corpus`.
    vocabulary : Vocabulary
    source : PublishedFiles
    sizes : tuple of three int
        The characters of its three parts.
    characters : function
        The bytes of one file -> the characters that are read.
    text : DataFile, optional
        Size and checksum of all characters; None where they are those of the only file.
    """

    name: str
    title: str
    vocabulary: Vocabulary
    source: PublishedFiles
    sizes: tuple[int, int, int]
    characters: Callable[[bytes], bytes] = bytes
    text: DataFile | None = None
    test_part: str = "test set"

    @property
    def coded(self):
        """Where its codes are kept."""
        return CodedText(self.name, self.source.digest, self.vocabulary, self.text or self.source.files[0].content)

    def load(self, length=100, folder=None):
        """The corpus, in segments of that many characters; see `load_ptb`, `load_text8`."""
        places = self.source.find(folder)
        codes, sha256 = self.coded.load(lambda: b"".join(map(self.characters, self.source.read(places))))
        return cut_corpus(codes, self.sizes, length, name=self.name, title=self.title, vocabulary=self.vocabulary,
                          test_part=self.test_part, sha256=sha256)
