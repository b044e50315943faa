"""Where data files lie, and what is known of each.

A data folder is, in this order: the ``folder`` argument, the folder named by the environment variable
``MINIBN_DATA``, the cache that pooch keeps for this user. Only the cache is ever filled without being asked.
"""

import contextlib
import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT_VARIABLE = "MINIBN_DATA"

# What pooch and we call a file that is not whole yet. One that old belongs to a process that was killed: no download
# takes as long.
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}(\.tmp)?|.+\.(npy|xz)\.[0-9a-f]{8}\.tmp")
_OLD_SECONDS = 3600


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
        If a folder was named, by argument or environment, and is not there or cannot be read.
    """
    named = folder if folder is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if named is None:
        return cache_folder(), True
    home = Path(os.path.expanduser(named))
    found = look_at(home)
    if found is None or not stat.S_ISDIR(found.st_mode):
        by = "folder" if folder is not None else ENVIRONMENT_VARIABLE
        raise DataError(f"{by}={str(named)!r} is not a folder; name one that holds the data files, or none")
    return home, False


def look_at(path):
    """What `os.stat` says of a path; None where there is nothing. DataError where nobody may look."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):     # ValueError: a NUL in the name
        return None
    except OSError as error:
        closed = (folder for folder in reversed(path.parents) if not os.access(folder, os.X_OK))
        raise DataError(
            f"{next(closed, path.parent)}: this folder cannot be read ({error.strerror or error}); "
            f"change its permissions, or set {ENVIRONMENT_VARIABLE} to another one"
        ) from None


def is_file(path):
    """Whether a plain file lies there; DataError where nobody may look."""
    found = look_at(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def shipped_folders():
    """Where files lie that ship with minibn: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    return package / "_datasets", package.parent / "datasets"


def write_whole(path, write):
    """Call ``write(file)`` under another name first: whoever opens ``path`` finds a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def sweep(folder):
    """Remove temporary files that a process left here when it was killed, long ago."""
    try:
        paths = list(folder.iterdir())
    except OSError:  # no such folder, or nobody may look
        return
    for path in paths:
        try:
            state = path.lstat()
            if (
                _TEMPORARY.fullmatch(path.name)
                and stat.S_ISREG(state.st_mode)
                and time.time() - state.st_mtime > _OLD_SECONDS
            ):
                path.unlink()
        except OSError:  # somebody else was faster, or owns it
            continue
