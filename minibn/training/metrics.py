"""``metrics.jsonl``: one JSON object per line, written at once, cut back to the checkpoint on resuming.

Fields that depend on the clock begin with ``seconds``; all others are the same in every repetition of a run.
"""

import errno
import json
import os
from pathlib import Path

__all__ = ["MetricsFile", "read_metrics", "without_clock"]


class MetricsFile:
    """The metrics of a run, open for appending by this process alone.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    OSError
        If another process is training in the same folder.
    """

    def __init__(self, path):
        self.path = Path(path)
        # Unbuffered: a record is with the operating system as soon as it is written, whatever happens to us.
        self._file = open(self.path, "ab", buffering=0)
        try:
            self._lock()
        except OSError:
            self._file.close()
            raise
        self.records = 0

    def cut_back(self, keep):
        """Keep this many records; whatever follows them is cut off, half a line included.

        Raises
        ------
        ValueError
            If there are fewer complete records.
        """
        complete = _complete_lines(self.path)
        if len(complete) < keep:
            raise ValueError(
                f"{self.path}: expected at least the {keep} records of the checkpoint, got {len(complete)}; "
                "restore it from a copy, or train again in a new folder"
            )
        self._file.truncate(sum(map(len, complete[:keep])))
        self.records = keep

    def write(self, kind, **values):
        """Append one record."""
        line = json.dumps({"kind": kind, **values}, allow_nan=False).encode() + b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise OSError(
                error.errno,
                f"cannot write: {reason}; the last checkpoint is intact; make room and use --resume",
                str(self.path),
            ) from error
        self.records += 1

    def sync(self):
        """Force the records to the disk, so that no checkpoint can outlive the records it counts."""
        os.fsync(self._file.fileno())

    def _lock(self):
        """Held until this process ends, however it ends."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = "another process is training in this folder; wait for it, or name another with --run"
            raise OSError(errno.EBUSY, text, str(self.path.parent)) from None
        except OSError:
            pass  # a file system without locks: then the user has to take care

    def close(self):
        """Close the file."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def read_metrics(path):
    """The records of a ``metrics.jsonl``, as a list of dicts; a torn last line is left out."""
    return [json.loads(line) for line in _complete_lines(path)]


def _complete_lines(path):
    return [line for line in Path(path).read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def without_clock(records):
    """The same records without the fields that depend on the clock."""
    return [{key: value for key, value in record.items() if not key.startswith("seconds")} for record in records]
