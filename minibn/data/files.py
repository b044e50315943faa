"""Where data files lie, whether they are the right ones, and how they get here.

A data folder is, in this order: the ``folder`` argument, the folder named by the environment variable
``MINIBN_DATA``, the cache that pooch keeps for this user. Only the cache is ever filled without being asked.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT_VARIABLE = "MINIBN_DATA"


class DataError(ValueError):
    """A data file is missing, damaged, not the expected one, or cannot be fetched."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, as its origin published it."""

    name: str
    size: int
    sha256: str | None
    md5: str | None = None  # for the few of which no SHA-256 is known

    @property
    def checksum(self):
        """The strongest known checksum: its name in hashlib, and its value."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)

    @property
    def checksum_name(self):
        """What a person calls that checksum."""
        return "SHA-256" if self.sha256 else "MD5"


def cache_folder():
    """The folder that downloads go to when nothing else is said (no folder is made here).

    Raises
    ------
    DataError
        If this user has no home folder to keep a cache in.
    """
    import pooch

    try:
        folder = Path(pooch.os_cache("minibn"))
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise DataError(f"HOME is not set, and this user has no home folder for downloads; set {ENVIRONMENT_VARIABLE} "
                        "to a folder that holds the data files")
    return folder


def data_home(folder=None):
    """The data folder, and whether it is our own cache.

    Parameters
    ----------
    folder : str or path, optional
        Taken as it is. Otherwise ``MINIBN_DATA`` counts, otherwise the user's cache.

    Returns
    -------
    tuple of (Path, bool)

    Raises
    ------
    DataError
        If a folder was named, by argument or environment, and is not there.
    """
    named = folder if folder is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if named is None:
        return cache_folder(), True
    try:
        home = Path(named).expanduser()
        found = home.is_dir()
    except (RuntimeError, ValueError):      # ~ of nobody, a NUL
        found = False
    if not found:
        by = "folder" if folder is not None else ENVIRONMENT_VARIABLE
        raise DataError(f"{by}={str(named)!r} is not a folder; name one that holds the data files, or none")
    return home, False


def place_of(file, home, subfolder):
    """Where ``file`` lies in ``home/subfolder`` or in ``home`` itself; None when in neither."""
    for place in (home / subfolder / file.name, home / file.name):
        if place.is_file():
            return place
    return None


def ensure(place, target, read, get):
    """Fetch a file that is missing (``place`` None) or that cannot be read.

    Parameters
    ----------
    place : Path or None
    target : Path
        Where the file goes when it has to be fetched.
    read : function of a path
        Raises DataError unless the file there is whole and the right one.
    get : function of a path
        Fetches the file to there.

    Returns
    -------
    tuple of (Path, str)
        Where the file is now, and what was done, in words.
    """
    if place is None:
        get(target)
        return target, "fetched"
    try:
        read(place)
    except DataError:
        get(target)
        return target, "was damaged, fetched again"
    return place, "already here"


def read_checked(path, file, remedy):
    """The bytes of ``path``, once they are known to be those of ``file``.

    Hashed on every reading: a file can be damaged after it was fetched. The bytes returned are those hashed.

    Raises
    ------
    DataError
        Naming the file, what was expected, what was found, and the remedy.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    return check_content(raw, file, path, remedy)


def check_content(raw, file, path, remedy):
    """The bytes ``raw``, found at ``path``, if they are those of ``file``; else DataError."""
    kind, expected = file.checksum
    found = hashlib.new(kind, raw, usedforsecurity=False).hexdigest()
    if found != expected:
        name = file.checksum_name
        raise DataError(
            f"{path}: damaged or not the expected file: expected {file.size} bytes with {name} {expected}, "
            f"found {len(raw)} bytes with {name} {found}; {remedy}"
        )
    return raw


def download(file, target, mirrors, remedy):
    """Fetch ``file`` to the path ``target``, trying each address of ``mirrors`` once, in order.

    pooch writes to a temporary file, checks the checksum, and only then moves the file to its place: an
    existing file is replaced by the right one or left as it is.

    Raises
    ------
    DataError
        If the folder cannot be written, or if no mirror gave the right file.
    """
    import pooch

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{target.parent}: cannot be made ({error.strerror or error}); "
            f"set {ENVIRONMENT_VARIABLE} to a folder that can be written"
        ) from None
    # pooch announces every attempt on stderr; what fails is told once, in one line, at the end.
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    failures = []
    try:
        for mirror in mirrors:
            try:
                pooch.retrieve(
                    mirror + file.name,
                    known_hash=":".join(file.checksum),
                    fname=target.name,
                    path=target.parent,
                    downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
                )
                return
            except (
                OSError,
                ValueError,
            ) as error:  # errors of requests are OSErrors, a wrong hash a ValueError
                failures.append(f"{mirror}: {_reason(error, file)}")
    finally:
        logger.setLevel(level)
    raise DataError(
        f"{file.name} could not be downloaded to {target.parent} ({'; '.join(failures)}); "
        f"with a network {remedy}"
    )


def _reason(error, file):
    if isinstance(error, ValueError) and "hash" in str(error).lower():
        return f"sent a file with another {file.checksum_name}"
    if getattr(error, "response", None) is not None:
        return f"answered HTTP {error.response.status_code}"
    return type(error).__name__ if not getattr(error, "strerror", None) else error.strerror
