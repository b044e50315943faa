"""Published texts: under which names a text may lie in a folder, how it is unpacked, and where it comes from.

A text is known by the checksum of its own bytes, whatever it was packed with: a plain file, the same file
packed with xz or gzip, and an archive that holds it are equally good.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from minibn.data.files import (
    ENVIRONMENT_VARIABLE,
    DataError,
    DataFile,
    check_content,
    data_home,
    download,
    ensure,
    place_of,
)

# A damaged packed file shows itself in one of these ways, depending on the format and on the byte that is hit.
_DAMAGE = (OSError, EOFError, KeyError, NotImplementedError, RuntimeError,
           lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError)  # fmt: skip


@dataclass(frozen=True)
class TextFile:
    """One published text.

    Attributes
    ----------
    text : DataFile
        Its plain form.
    packed : tuple of str
        Names of packed files and archives that may hold it.
    origin : DataFile, optional
        What is downloaded to get it; None where there is nothing to download.
    mirrors : tuple of str
        Addresses of folders that have ``origin``.
    """

    text: DataFile
    packed: tuple[str, ...] = ()
    origin: DataFile | None = None
    mirrors: tuple[str, ...] = ()

    @property
    def name(self):
        return self.text.name

    @property
    def size(self):
        """Bytes of the plain text."""
        return self.text.size

    def place(self, home, subfolder):
        """Where the text lies, in whatever form; None if nowhere.

        The form that is downloaded is looked for first, so that a damaged other one is out of the way once
        it was fetched again.
        """
        forms = dict.fromkeys(([self.origin.name] if self.origin else []) + [self.name, *self.packed])
        places = (place_of(DataFile(form, 0, None), home, subfolder) for form in forms)
        return next((place for place in places if place is not None), None)

    def read(self, place, remedy):
        """The bytes of the text in the file ``place``, unpacked and checked.

        Raises
        ------
        DataError
            If the file cannot be read or unpacked, or if it holds another text.
        """
        try:
            with _opened(place, self.name) as stream:
                raw = stream.read(self.size + 1)  # one too many would show that it is another text
        except _DAMAGE as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{place}: cannot be read or unpacked ({reason}); {remedy}") from None
        return check_content(raw, self.text, place, remedy)


@dataclass(frozen=True)
class TextSource:
    """The files of one corpus.

    Attributes
    ----------
    name : str
        As in the catalogue.
    subfolder : str
        Of the data folder, where the files lie and where downloads go.
    files : tuple of TextFile
    """

    name: str
    subfolder: str
    files: tuple[TextFile, ...]

    @property
    def remedy(self):
        files = ", ".join(file.name for file in self.files)
        origins = {file.origin.name for file in self.files if file.origin} - {file.name for file in self.files}
        packed = f" (or {', '.join(sorted(origins))})" if origins else ""
        fetch = f"run `minibn data fetch {self.name}`, or " if all(file.origin for file in self.files) else ""
        return f"{fetch}set {ENVIRONMENT_VARIABLE} to a folder with {files}{packed}"

    @property
    def digest(self):
        """One SHA-256 for the published checksums of all files: it names what is made from them."""
        return hashlib.sha256("\n".join(file.text.checksum[1] for file in self.files).encode()).hexdigest()

    def places(self, folder=None):
        """Where each file lies (None: not here). Never downloads."""
        home, _ = data_home(folder)
        return {file: file.place(home, self.subfolder) for file in self.files}

    def find(self, folder=None):
        """Where each file lies, after downloading what is missing if no folder was named.

        Raises
        ------
        DataError
            If a file is missing, and a folder was named or the file cannot be downloaded.
        """
        home, ours = data_home(folder)
        found = {}
        for file in self.files:
            found[file] = file.place(home, self.subfolder)
            if found[file] is None and ours and file.origin:
                self._download(file, home / self.subfolder / file.origin.name)
                found[file] = file.place(home, self.subfolder)
            if found[file] is None:
                raise DataError(f"{file.name} is neither in {home / self.subfolder} nor in {home}; {self.remedy}")
        return found

    def read(self, places):
        """The texts at these places, as a list of bytes, each checked."""
        return [file.read(place, self.remedy) for file, place in places.items()]

    def fetch(self):
        """Make sure that the data folder has the texts, intact; replace damaged ones. Returns text lines."""
        home, _ = data_home()
        lines = []
        for file in self.files:
            place, state = ensure(
                file.place(home, self.subfolder),
                home / self.subfolder / file.origin.name,
                read=lambda path, file=file: file.read(path, self.remedy),
                get=lambda path, file=file: self._download(file, path),
            )
            file.read(place, self.remedy)  # an archive's checksum says nothing of its member
            lines.append(f"{file.name}: {state}, {file.text.checksum_name} of the text verified, {place}")
        return lines

    def _download(self, file, target):
        download(file.origin, target, file.mirrors, self.remedy)


@contextmanager
def _opened(place, name):
    """The bytes of the text ``name`` in a plain or packed file, or in an archive, as a stream."""
    ending = place.suffix
    if ending == ".xz":
        with lzma.open(place) as stream:
            yield stream
    elif ending == ".gz":
        with gzip.open(place) as stream:
            yield stream
    elif ending == ".zip":
        with zipfile.ZipFile(place) as archive, archive.open(name) as stream:
            yield stream
    elif ending == ".tgz":
        with tarfile.open(place, "r:gz") as archive:
            # The folders inside an archive are its maker's business. A member that is no file has no stream.
            members = [member for member in archive if PurePosixPath(member.name).name == name and member.isfile()]
            if not members:
                raise tarfile.ReadError(f"no {name} inside")
            with archive.extractfile(members[0]) as stream:
                yield stream
    else:
        with open(place, "rb") as stream:
            yield stream
