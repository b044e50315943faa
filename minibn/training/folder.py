"""The folder of a run: the names of its files, and holding it, so that no two processes train in it at once."""

import contextlib
import errno
import os
from pathlib import Path

from minibn.errors import show
from minibn.training.checkpoints import cannot_write

CONFIG, METRICS, LAST, BEST = FILES = "config.json", "metrics.jsonl", "last.npz", "best.npz"
LOCK = ".lock"
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class InUse(OSError):
    """Another process is training in the folder."""


def folder_path(folder):
    """The folder of a run as a `Path`; a ValueError for what names no folder."""
    name = os.fspath(folder)
    if not name or "\0" in str(name):
        raise ValueError(f"run: expected the name of a folder, got {show(name)}; name one, for example runs/first")
    return Path(name)


class HeldFolder:
    """A run's folder, held by this process alone until the context ends or the process dies; made where it is missing.

    The lock comes first: whatever is decided from the files is decided inside. A lock file that a killed process
    left behind locks nothing. If the context ends in an error before there is a checkpoint, the folder is left as it
    was found: what failed does not stand in the way of the next try. `InUse` if another process holds it.
    """

    def __init__(self, folder):
        self.folder = folder_path(folder)

    def __enter__(self):
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._acquire()
        except BaseException as error:
            self._remove_folders()
            if isinstance(error, (FileExistsError, NotADirectoryError)):
                text = "this is no folder, or in none; name another with --run"
                raise NotADirectoryError(errno.ENOTDIR, text, str(self.folder)) from None
            if isinstance(error, OSError) and not isinstance(error, InUse):
                raise cannot_write(self.folder, error, "nothing was written") from error
            raise
        self._found = {name for name in FILES if (self.folder / name).exists()}
        if self._lock is not None:          # nobody else writes here: what is half written, a killed process left
            for name in FILES:
                for temporary in self.folder.glob(f".{name}.*tmp"):
                    temporary.unlink(missing_ok=True)
        return self

    def __exit__(self, kind, *error):
        with contextlib.suppress(OSError):
            if kind is not None and not (self.folder / LAST).exists():
                for name in set(FILES) - self._found:
                    (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):          # before it is released: the next holder makes a new one
            (self.folder / LOCK).unlink()
        if self._lock is not None:
            self._lock.release()
        self._remove_folders()

    def _acquire(self):
        """The lock; None on a file system without locks: then the user has to take care."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            text = "another process is training in this folder; wait for it, or name another with --run"
            raise InUse(errno.EBUSY, text, str(self.folder)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return None
        return lock

    def _remove_folders(self):
        """Those that were made here, as far as they are empty."""
        with contextlib.suppress(OSError):
            for path in self._made:
                path.rmdir()
