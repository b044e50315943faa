"""Saving arrays so that a crash leaves the old file or the new one, and reading them with suspicion.

A checkpoint is an ``.npz`` of plain arrays (never pickle) with a SHA-256 over names, types, shapes and bytes: the zip
format's own checksums do not notice a member that is missing or exchanged. None holds a number that is not finite.
"""

import contextlib
import errno
import hashlib
import io
import math
import os
import secrets
import zipfile
from pathlib import Path

import numpy as np

CHECKSUM = "sha256"
RESTORE = "restore it from a copy, or train again in a new folder"
REMEDIES = {
    "make room and use --resume": (errno.ENOSPC,),
    "your quota is used up: make room and use --resume": (errno.EDQUOT,),
    "name another folder with --run, or copy the run to one that can be written": (errno.EROFS,),
    "change its permissions, name another folder with --run, or copy the run to one of yours":
        (errno.EACCES, errno.EPERM),
    "name another folder with --run":
        (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}
NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}   # from file systems that cannot do it


class NotFinite(FloatingPointError):
    """An array that was to be saved holds an infinity or a NaN."""


def write_checkpoint(path, arrays):
    """Replace the file at `path` by a checkpoint of these arrays, all or nothing.

    They are host arrays or texts. A NotFinite or an OSError leaves the previous file untouched.
    """
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    if not_finite := _first_not_finite(arrays):
        raise NotFinite(f"{path}: {not_finite} holds a number that is not finite; nothing was written")
    content = io.BytesIO()
    np.savez(content, **arrays, **{CHECKSUM: np.asarray(checksum(arrays))})
    write_atomically(path, content.getvalue())


def read_checkpoint(path):
    """The arrays of a checkpoint, after checking that they are what was written; else a ValueError or an OSError."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            arrays = _read_arrays(file)
        expected = str(arrays.pop(CHECKSUM))
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no checkpoint here", str(path)) from None
    except Exception as error:  # damage shows itself in a dozen ways, depending on which byte is hit
        if isinstance(error, OSError) and error.errno != errno.EINVAL:      # that is a damaged place in the file
            raise OSError(error.errno, f"cannot read: {error.strerror or error}", str(path)) from error
        raise ValueError(f"{path}: damaged, truncated, or not a checkpoint of minibn ({error}); {RESTORE}") from error
    if checksum(arrays) != expected:
        raise ValueError(f"{path}: damaged, its content does not match its own SHA-256; {RESTORE}")
    if not_finite := _first_not_finite(arrays):
        raise ValueError(f"{path}: {not_finite} holds a number that is not finite; {RESTORE}")
    return arrays


def _read_arrays(file):
    """Every member of an open ``.npz``, once the sizes they declare add up to no more than the file.

    We write uncompressed members of plain types, so nothing else is read: a small file cannot unpack to a large one.
    """
    with zipfile.ZipFile(file) as members:
        infos = members.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("a compressed member")
        if sum(info.file_size for info in infos) > os.fstat(file.fileno()).st_size:
            raise ValueError("members larger than the file")
        arrays = {}
        for info in infos:
            with members.open(info) as stream:
                declared = _declared_bytes(stream)
                if stream.tell() + declared != info.file_size:
                    raise ValueError(f"{info.filename} declares {declared} bytes in {info.file_size}")
            with members.open(info) as stream:
                arrays[info.filename.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
                stream.read()   # to the end, where zipfile compares its checksum
    return arrays


def _declared_bytes(stream):
    """How many bytes of plain numbers or text the header of a ``.npy`` announces."""
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array in another format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "biufU":
        raise ValueError(f"an array of {dtype}")
    return math.prod(shape) * dtype.itemsize


def checksum(arrays):
    """A SHA-256 of the names, types, shapes and bytes of arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        digest.update(f"{name}\n{array.dtype.str}\n{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _first_not_finite(arrays):
    """The name of an array with an infinity or a NaN, or None."""
    return next((name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()),
                None)


def write_atomically(path, content):
    """Replace the file at `path` by these bytes: after any crash it is the old file or the new one.

    The bytes go to a temporary file in the same folder, are forced to the disk, and only then take the name;
    at last the folder itself is forced to the disk, since the name is kept there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # nobody else's; see `HeldFolder`
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:              # an interrupt too leaves no half a file behind
        with contextlib.suppress(OSError):      # the error that led here is the one to report
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        kept = "the previous one is intact" if path.exists() else "nothing was written"
        raise cannot_write(path, error, kept) from error
    _sync_folder(path)


def cannot_write(path, error, kept):
    """The `OSError` to raise when `path` cannot be written: why, what is kept, and a remedy that fits the reason."""
    reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    fitting = (remedy for remedy, numbers in REMEDIES.items() if error.errno in numbers)
    remedy = next(fitting, "see to the disk, then use --resume")
    return OSError(error.errno, f"cannot write: {reason}; {kept}; {remedy}", str(path))


def _sync_folder(path):
    if os.name != "posix":  # Windows has no handle for a folder, and needs none
        return
    try:
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            kept = f"{path.name} is written, but might not survive a power cut"
            raise cannot_write(path.parent, error, kept) from error
