"""Texts decoded once: the code of every character, kept in the user's cache and mapped into memory from there.

A file is named after where its text came from and after the SHA-256 of the text itself, which is computed
again whenever the file is opened. So a damaged file is noticed, and made again from the source.
"""

from __future__ import annotations

import hashlib
import os
import tempfile

import numpy as np

from minibn.data.files import cache_folder

_CHUNK = 1 << 22  # characters that are decoded at a time


def coded_text(name, source, vocabulary, read):
    """The codes of a text, and its SHA-256.

    Parameters
    ----------
    name : str
        Of the text, in the name of the file.
    source : str
        A digest of what the text is made from: another source is another file.
    vocabulary : Vocabulary
    read : function
        Returns the text (str, or bytes of ASCII); called only if the codes are not in the cache.

    Returns
    -------
    codes : ndarray of uint8, shape (n,), read-only
        Memory-mapped, or in memory where the cache cannot be written.
    sha256 : str
        See `text_sha256`.
    """
    folder, stem = cache_folder() / "codes", f"{name}-{source[:16]}-"
    kept = _open(folder, stem, vocabulary)
    if kept is not None:
        return kept
    codes = vocabulary.encode(read())
    sha256 = text_sha256(codes, vocabulary)
    try:
        _write(folder / f"{stem}{sha256}.npy", codes)
    except OSError:  # a home that is read-only, a full disk: only the next start is slower
        return codes, sha256
    return _open(folder, stem, vocabulary) or (codes, sha256)


def text_sha256(codes, vocabulary):
    """SHA-256 of the text in UTF-8: what ``sha256sum`` says of a file that holds exactly this text."""
    digest = hashlib.sha256()
    for start in range(0, len(codes), _CHUNK):
        digest.update(vocabulary.decode(codes[start : start + _CHUNK]).encode())
    return digest.hexdigest()


def _open(folder, stem, vocabulary):
    try:
        for path in sorted(folder.glob(f"{stem}*.npy")):
            codes = _mapped(path)
            if codes is None:
                continue
            try:
                sha256 = text_sha256(codes, vocabulary)
            except ValueError:  # a code that is outside the vocabulary
                continue
            if path.name == f"{stem}{sha256}.npy":
                return codes, sha256
    except OSError:
        pass
    return None


def _mapped(path):
    try:
        codes = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):  # truncated, or no .npy file
        return None
    return codes if codes.dtype == np.uint8 and codes.ndim == 1 else None


def _write(path, codes):
    """Under another name first: whoever opens ``path`` finds a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, codes)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
