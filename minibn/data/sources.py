"""Published files: under which names each may lie in a folder, whether it is the right one, and where it comes from.

A file is known by the checksum of its own bytes, whatever it was packed with: the plain file, the same packed
with gzip, xz or zip, and an archive that holds it are equally good.
"""

import hashlib
from dataclasses import dataclass

from minibn.data.downloads import download
from minibn.data.files import ENVIRONMENT_VARIABLE, DataError, DataFile, data_home, is_file, sweep
from minibn.data.packing import FORMS, unpack


@dataclass(frozen=True)
class PublishedFile:
    """One published file.

    Attributes
    ----------
    content : DataFile
        Its plain form.
    aliases : tuple of str
        Other names of the plain form.
    archives : tuple of str
        Archives that may hold it.
    origin : DataFile, optional
        What is downloaded to get it; None where there is nothing to download.
    mirrors : tuple of str
        Addresses of folders that have ``origin``.
    """

    content: DataFile
    aliases: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    origin: DataFile | None = None
    mirrors: tuple[str, ...] = ()

    @property
    def name(self):
        return self.content.name

    @property
    def size(self):
        """Bytes of the plain form."""
        return self.content.size

    @property
    def sha256(self):
        """Of the plain form."""
        return self.content.sha256

    @property
    def names(self):
        """What the plain form may be called."""
        return (self.name, *self.aliases)

    def place(self, folders):
        """Where the file lies, in whatever form; None if nowhere.

        The form that is downloaded is looked for first, in the folder that it goes to, so that a damaged other
        one is out of the way once it was fetched again.
        """
        downloaded = [self.origin.name] if self.origin else []
        packed = [name + form for name in self.names for form in FORMS]
        for name in dict.fromkeys([*downloaded, *packed, *self.archives]):
            for folder in folders:
                if is_file(folder / name):
                    return folder / name
        return None

    def read(self, place, remedy):
        """The bytes of the file that lies at ``place`` in some form, unpacked and checked.

        Hashed on every reading: a file can be damaged after it was fetched. The bytes returned are those hashed.

        Raises
        ------
        DataError
            If it cannot be read or unpacked, or if it is another file; names what was expected and found.
        """
        checksum = self.content.checksum_name
        expected = f"expected {self.size} bytes with {checksum} {self.content.checksum[1]}"
        most = 16 * self.size + (1 << 20)
        try:
            # Twice the size has room for a text whose line endings were converted.
            raw, size = unpack(place, self.names, 2 * self.size + 1, most)
        except MemoryError:
            raise
        except ImportError as error:
            raise DataError(f"{place}: this Python has no module {error.name} to unpack it; unpack it yourself, or "
                            f"{remedy}") from None
        except Exception as error:  # damage shows in many ways, by the format and by the byte that is hit
            if getattr(error, "strerror", None):
                raise DataError(f"{place}: cannot be read or unpacked ({error.strerror}); {remedy}") from None
            raise DataError(f"{place}: damaged, cannot be read or unpacked ({str(error) or type(error).__name__}): "
                            f"{expected} inside, found a file of {place.stat().st_size} bytes; {remedy}") from None
        if size == self.size and self._digest(raw) == self.content.checksum[1]:
            return raw
        found = f"{size} bytes" if size < most or place.stat().st_size == size else f"more than {most} bytes"
        if size == len(raw):
            if self._digest(raw.replace(b"\r\n", b"\n")) == self.content.checksum[1]:
                raise DataError(f"{place}: its line endings were converted to those of Windows (CRLF): {expected}, "
                                f"found {found}; convert them back (dos2unix), or {remedy}")
            found += f" with {checksum} {self._digest(raw)}"
        raise DataError(f"{place}: damaged or not the expected file: {expected}, found {found}; {remedy}")

    def read_shipped(self, place):
        """The bytes of the file if it ships with minibn; `place` is None where it is missing."""
        remedy = "install minibn again"
        if place is None:
            raise DataError(f"{self.name} is not beside the package; {remedy}")
        return self.read(place, remedy)

    def verify(self, place, remedy):
        """Read it; what was found, as a text line."""
        self.read(place, remedy)
        return f"{place}: {self.content.checksum_name} of the content ok, {self.size} bytes"

    def _digest(self, raw):
        return hashlib.new(self.content.checksum[0], raw, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class PublishedFiles:
    """The files of one data set.

    Attributes
    ----------
    name : str
        As in the catalogue.
    subfolders : tuple of str
        Of the data folder, where the files may lie beside that folder itself; downloads go to the first.
    files : tuple of PublishedFile
    made_by : str
        The command that makes those that are not downloaded.
    """

    name: str
    subfolders: tuple[str, ...]
    files: tuple[PublishedFile, ...]
    made_by: str = ""

    @property
    def remedy(self):
        files = ", ".join(file.name for file in self.files)
        origins = {file.origin.name for file in self.files if file.origin} - {file.name for file in self.files}
        packed = f" (or {', '.join(sorted(origins))})" if origins else ""
        command = f"minibn data fetch {self.name}" if all(file.origin for file in self.files) else self.made_by
        run = f"run `{command}`, or " if command else ""
        return f"{run}set {ENVIRONMENT_VARIABLE} to a folder with {files}{packed}"

    @property
    def digest(self):
        """One SHA-256 for the published checksums of all files: it names what is made from them."""
        return hashlib.sha256("\n".join(file.content.checksum[1] for file in self.files).encode()).hexdigest()

    def places(self, folder=None):
        """Where each file lies (None: not here). Never downloads."""
        folders = self._folders(data_home(folder)[0])
        return {file: file.place(folders) for file in self.files}

    def find(self, folder=None):
        """Where each file lies, after downloading what is missing if no folder was named.

        Raises
        ------
        DataError
            If a file is missing, and a folder was named or the file cannot be downloaded.
        """
        home, ours = data_home(folder)
        folders, found = self._folders(home), {}
        for file in self.files:
            found[file] = file.place(folders)
            if found[file] is None and ours and file.origin:
                found[file] = self._download(file, folders)
            if found[file] is None:
                raise self._missing(file, folders)
        return found

    def read(self, places):
        """The files at these places, as a list of bytes, each checked."""
        return [file.read(place, self.remedy) for file, place in places.items()]

    def fetch(self):
        """Make sure that the data folder has the files, intact; replace damaged ones. Returns text lines."""
        folders = self._folders(data_home()[0])
        sweep(folders[0])
        lines = []
        for file in self.files:
            place, state = file.place(folders), "already here"
            try:
                if place is not None:
                    file.read(place, self.remedy)
            except DataError:
                if file.origin is None:
                    raise
                state = "was damaged, fetched again"
            if place is None:
                state = "fetched"
            if state != "already here":
                place = self._download(file, folders)
                file.read(place, self.remedy)  # an archive's checksum says nothing of its member
            lines.append(f"{file.name}: {state}, {file.content.checksum_name} of the content verified, {place}")
        return lines

    def _folders(self, home):
        return [*(home / subfolder for subfolder in self.subfolders), home]

    def _missing(self, file, folders):
        where = f"neither in {folders[0]} nor in" if len(folders) > 1 else "not in"
        return DataError(f"{file.name} is {where} {folders[-1]}; {self.remedy}")

    def _download(self, file, folders):
        if file.origin is None:
            raise self._missing(file, folders)
        target = folders[0] / file.origin.name
        download(file.origin, target, file.mirrors, self.remedy)
        return target
