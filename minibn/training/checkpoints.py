"""Saving arrays so that a crash leaves the old file or the new one, and reading them with suspicion.

A checkpoint is an ``.npz`` of plain arrays (never pickle) that carries a SHA-256 over the names, types,
shapes and bytes of its own content. The zip format has checksums of its own, but they cover each member
alone: they do not notice a member that is missing or exchanged.
"""

import errno
import hashlib
import io
import os
from pathlib import Path

import numpy as np

__all__ = ["read_checkpoint", "write_atomically", "write_checkpoint"]

CHECKSUM = "sha256"


def write_checkpoint(path, arrays):
    """Replace the file at `path` by a checkpoint of these arrays, all or nothing.

    Parameters
    ----------
    path : path-like
        Where; its folder must exist.
    arrays : dict of str to ndarray
        Host arrays; a str is stored as an array of one string.

    Raises
    ------
    OSError
        If it cannot be written, for example on a full disk: the previous file is then untouched.
    """
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    content = io.BytesIO()
    np.savez(content, **arrays, **{CHECKSUM: np.asarray(_checksum(arrays))})
    write_atomically(path, content.getvalue())


def read_checkpoint(path):
    """The arrays of a checkpoint, after checking that they are what was written.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, damaged, or no checkpoint of minibn.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no checkpoint here", str(path)) from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        expected = str(arrays.pop(CHECKSUM))
    except Exception as error:  # damage shows itself in a dozen ways, depending on which byte is hit
        raise ValueError(f"{path}: damaged, truncated, or not a checkpoint of minibn ({error}); {REMEDY}") from error
    if _checksum(arrays) != expected:
        raise ValueError(f"{path}: damaged, its content does not match its own SHA-256; {REMEDY}")
    return arrays


REMEDY = "restore it from a copy, or train again in a new folder"


def write_atomically(path, content):
    """Replace the file at `path` by these bytes: after any crash it is the old file or the new one.

    The bytes go to a temporary file in the same folder, are forced to the disk, and only then take the name;
    at last the folder itself is forced to the disk, since the name is kept there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")  # one name: a killed run leaves at most one, reused later
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        kept = "the previous one is intact" if path.exists() else "nothing was written"
        raise OSError(error.errno, f"cannot write: {reason}; {kept}; make room and use --resume", str(path)) from error
    except BaseException:  # an interrupt: leave no half a file behind
        _remove(temporary)
        raise
    _sync_folder(path.parent)


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass  # it never came to be, or the disk is gone: the error that led here is the one to report


def _sync_folder(folder):
    if os.name != "posix":  # Windows has no handle for a folder, and needs none
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _checksum(arrays):
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}\n{array.dtype.str}\n{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
