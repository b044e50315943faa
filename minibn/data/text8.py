"""text8: the first 100 million characters of a cleaned English Wikipedia of 2006, or the first 74 million."""

from minibn.data.files import DataFile
from minibn.data.published_text import PublishedText
from minibn.data.sources import PublishedFile, PublishedFiles
from minibn.data.vocabulary import Vocabulary
from minibn.errors import check_choice

VOCABULARY = Vocabulary(" abcdefghijklmnopqrstuvwxyz")
ZIP = DataFile("text8.zip", 31_344_016, "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232")
MIRRORS = ("http://mattmahoney.net/dc/",)
PARTS = {
    "full": PublishedText(
        name="text8",
        title="text8",
        vocabulary=VOCABULARY,
        source=PublishedFiles("text8", ("text8",), (PublishedFile(
            DataFile("text8", 100_000_000, None, md5="3bea1919949baf155f99411df5fada7e"), origin=ZIP, mirrors=MIRRORS,
        ),)),
        sizes=(90_000_000, 5_000_000, 5_000_000),
    ),
    # Its last characters lie in what everybody trains on: they are not the test set of text8.
    "prefix": PublishedText(
        name="text8_prefix",
        title="text8 prefix (64M/5M/5M)",
        vocabulary=VOCABULARY,
        test_part="held-out text",
        source=PublishedFiles("text8", ("text8",), (PublishedFile(
            DataFile("text8.first74m", 74_000_000,
                     "03c7c393562518c05771ac9fa66ccc1990574158768951ff7b20903014336ae8"),
        ),)),
        sizes=(64_000_000, 5_000_000, 5_000_000),
    ),
}  # fmt: skip


def load_text8(length=180, part="full", folder=None):
    """text8: 27 symbols, 90 million characters to train on (64 million of the prefix).

    Parameters
    ----------
    length : int
        Characters in a segment; the paper's are 180, which makes 179 predictions.
    part : {"full", "prefix"}
        "full" is the paper's: 90, 5 and 5 million characters. "prefix" is the first 74 million, split into
        64, 5 and 5: what is measured on it is no test result of text8. See `text8_part`.
    folder : str or path, optional
        A folder with ``text8`` (the prefix: ``text8.first74m``), plain or packed with zip, gzip or xz, or with
        a folder ``text8`` that has it. Without it the environment variable ``MINIBN_DATA`` names that folder; without
        both the full text is downloaded once to the user's cache.

    Returns
    -------
    Corpus

    Raises
    ------
    DataError
        If the file is missing and cannot be downloaded, or is damaged.
    """
    check_choice("part", part, tuple(PARTS))
    return PARTS[part].load(length, folder)


def text8_part(folder=None):
    """Which part `load_text8` can read: "prefix" where only that lies in the data folder, else "full".

    "full" may still have to be downloaded; with a folder that has neither, `load_text8` says what is missing.
    """
    here = {part for part, chosen in PARTS.items() if None not in chosen.source.places(folder).values()}
    return "prefix" if here == {"prefix"} else "full"
