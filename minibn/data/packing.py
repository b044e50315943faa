"""The bytes of a file, whatever it is packed with.

The modules that unpack are imported where they are used: some Pythons are built without one or the other.
"""

from contextlib import contextmanager
from pathlib import PurePosixPath

FORMS = ("", ".gz", ".xz", ".zip")
"""What may stand behind the name of a file that is packed alone."""

_PACKED = (".xz", ".gz", ".zip", ".tgz")
_CHUNK = 1 << 20


def unpack(place, names, keep, count):
    """The first bytes of a file, and its size.

    Parameters
    ----------
    place : Path
        The file itself, packed or plain, or an archive that holds it.
    names : tuple of str
        What it may be called in an archive.
    keep : int
        As many bytes are kept.
    count : int
        The size of what is packed is counted no further: a small file can unpack to more than any disk holds.

    Returns
    -------
    tuple of (bytes, int)
    """
    with _opened(place, names) as stream:
        raw = stream.read(keep)
        if place.suffix not in _PACKED:
            return raw, place.stat().st_size
        size = len(raw)
        while size < count and (more := stream.read(_CHUNK)):
            size += len(more)
    return raw, size


@contextmanager
def _opened(place, names):
    ending = place.suffix
    if ending == ".xz":
        import lzma

        with lzma.open(place) as stream:
            yield stream
    elif ending == ".gz":
        import gzip

        with gzip.open(place) as stream:
            yield stream
    elif ending == ".zip":
        import zipfile

        with zipfile.ZipFile(place) as archive:
            name = next((name for name in names if name in archive.namelist()), names[0])
            with archive.open(name) as stream:
                yield stream
    elif ending == ".tgz":
        import tarfile

        with tarfile.open(place, "r:gz") as archive:
            # The folders inside an archive are its maker's business. A member that is no file has no stream.
            members = (member for member in archive if PurePosixPath(member.name).name in names and member.isfile())
            member = next(members, None)
            if member is None:
                raise tarfile.ReadError(f"no {names[0]} inside")
            with archive.extractfile(member) as stream:
                yield stream
    else:
        with open(place, "rb") as stream:
            yield stream
