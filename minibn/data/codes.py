"""Texts decoded once: the code of every character, kept in the user's cache and mapped into memory from there.

A file is named after where its text came from and after the SHA-256 of the text itself, which is computed when a
process first opens the file, and compared with what is known of the published text. So a damaged file, or another
text, is noticed, and made again from the source.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from minibn.data.files import DataFile, cache_folder, is_file, write_whole
from minibn.data.vocabulary import Vocabulary

_CHUNK = 1 << 22  # characters that are decoded at a time
# What this process has opened and hashed. The codes of a replaced file stay mapped, so that no other file gets its
# number; a file that is changed in place gets another time.
_OPENED = {}


@dataclass(frozen=True)
class CodedText:
    """A text whose codes are kept.

    Attributes
    ----------
    name : str
        Of the text, in the name of the file.
    source : str
        A digest of what the text is made from: another source is another file.
    vocabulary : Vocabulary
    known : DataFile, optional
        Size and checksum of the text, where somebody has published or computed them.
    """

    name: str
    source: str
    vocabulary: Vocabulary
    known: DataFile | None = None

    @property
    def folder(self):
        return cache_folder() / "codes"

    @property
    def stem(self):
        """What the name of the file starts with; the SHA-256 of the text follows."""
        return f"{self.name}-{self.source[:16]}-"

    def load(self, read):
        """The codes and their SHA-256; hashed once by a process.

        Parameters
        ----------
        read : function
            Returns the text (str, or bytes of ASCII); called only if the codes are not in the cache.

        Returns
        -------
        codes : ndarray of uint8, shape (n,), read-only
            Memory-mapped, or in memory where the cache cannot be written.
        sha256 : str
            See `text_sha256`.
        """
        kept = next((kept for path in self._paths() if (kept := self._open(path))), None)
        if kept is not None:
            return kept
        in_memory = self, self.folder
        if in_memory in _OPENED:
            return _OPENED[in_memory]
        codes = self.vocabulary.encode(read())
        sha256 = text_sha256(codes, self.vocabulary)
        path = self.folder / f"{self.stem}{sha256}.npy"
        try:
            write_whole(path, lambda file: np.save(file, codes))
            _remove(other for other in self._paths() if other != path)
            kept = _OPENED[self._key(path)] = np.load(path, mmap_mode="r", allow_pickle=False), sha256
        except OSError:  # a home that is read-only, a full disk: only the next start is slower
            kept = _OPENED[in_memory] = codes, sha256
        return kept

    def verify(self):
        """Look at the files of the cache again, whatever this process has seen; a line for each."""
        _OPENED.clear()
        return [
            f"{path}: the decoded text, SHA-256 ok"
            if self._open(path)
            else f"{path}: the decoded text is damaged or another one; not used, made again"
            for path in self._paths()
        ]

    def _paths(self):
        try:
            return sorted(self.folder.glob(f"{self.stem}*.npy"))
        except OSError:
            return []

    def _key(self, path):
        state = path.stat()
        return self, path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns

    def _open(self, path):
        """The codes in this file and their SHA-256; None unless they are the text."""
        try:
            if not is_file(path):  # opening a FIFO would wait for ever
                return None
            key = self._key(path)
            if key not in _OPENED:
                codes = np.load(path, mmap_mode="r", allow_pickle=False)
                if codes.dtype != np.uint8 or codes.ndim != 1:
                    return None
                if self.known is not None and len(codes) != self.known.size:
                    return None
                sha256 = text_sha256(codes, self.vocabulary)
                if path.name != f"{self.stem}{sha256}.npy" or not self._is_known(codes, sha256):
                    return None
                _OPENED[key] = codes, sha256
            return _OPENED[key]
        except MemoryError:
            raise
        except Exception:  # whatever is wrong with a file here, it can be made again
            return None

    def _is_known(self, codes, sha256):
        if self.known is None:
            return True
        kind, expected = self.known.checksum
        return expected == (sha256 if kind == "sha256" else _digest(kind, codes, self.vocabulary))


def text_sha256(codes, vocabulary):
    """SHA-256 of the text in UTF-8: what ``sha256sum`` says of a file that holds exactly this text."""
    return _digest("sha256", codes, vocabulary)


def _digest(kind, codes, vocabulary):
    digest = hashlib.new(kind, usedforsecurity=False)
    for start in range(0, len(codes), _CHUNK):
        digest.update(vocabulary.decode(codes[start : start + _CHUNK]).encode())
    return digest.hexdigest()


def _remove(paths):
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:  # a folder, or somebody else's
            continue
