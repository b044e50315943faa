"""``metrics.jsonl``: one JSON object per line, written at once, cut back to the checkpoint on resuming.

Fields that depend on the clock begin with ``seconds``; all others are the same in every repetition of a run.
"""

import errno
import json
import math
import os
from contextlib import contextmanager
from pathlib import Path

from minibn.errors import show
from minibn.training.checkpoints import RESTORE, cannot_write


class MetricsFile:
    """The metrics of a run, open for appending. Who writes to it holds the folder (`minibn.training.folder`)."""

    def __init__(self, path):
        self.path = Path(path)
        # Unbuffered: a record is with the operating system as soon as it is written, whatever happens to us.
        with self._writing():
            self._file = open(self.path, "ab", buffering=0)
        self.records = 0

    @contextmanager
    def _writing(self):
        try:
            yield
        except OSError as error:
            raise cannot_write(self.path, error, "the last checkpoint is intact") from error

    def cut_back(self, keep):
        """Keep this many records, checked by `kept_bytes`; what follows is cut off, half a line included."""
        self._file.truncate(kept_bytes(self.path, keep))
        self.records = keep

    def write(self, kind, **values):
        """Append one record."""
        line = json.dumps({"kind": kind, **values}, allow_nan=False).encode() + b"\n"
        with self._writing():
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.records += 1

    def sync(self):
        """Force the records to the disk, so that no checkpoint can outlive the records it counts."""
        with self._writing():
            os.fsync(self._file.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def read_metrics(path):
    """The records of a ``metrics.jsonl``, as a list of dicts; a torn last line is left out.

    Raises
    ------
    ValueError
        A line is no record.
    """
    return [_record(path, number, line) for number, line in enumerate(_complete_lines(path), start=1)]


def kept_bytes(path, keep):
    """How long the first `keep` records are; a ValueError if there are fewer, or one of them is damaged."""
    lines = _complete_lines(path) if keep or Path(path).exists() else []
    if len(lines) < keep:
        raise ValueError(f"{path}: expected at least the {keep} records of the checkpoint, got {len(lines)}; {RESTORE}")
    for number, line in enumerate(lines[:keep], start=1):
        _record(path, number, line)
    return sum(len(line) + 1 for line in lines[:keep])


def parse_object(text):
    """The JSON object in some bytes, as a dict; a ValueError for anything else, and for infinite numbers."""
    try:
        found = json.loads(text.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, got {show(found)}")
    return found


def _finite(text):
    if not math.isfinite(number := float(text)):
        raise ValueError(f"expected finite numbers, got {show(text)}")
    return number


def _record(path, number, line):
    try:
        record = parse_object(line)
        if not isinstance(record.get("kind"), str) or not isinstance(record.get("iteration"), int):
            raise ValueError("it has no kind, or no iteration")
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: damaged, not a record of a run ({error}); {RESTORE}") from error
    return record


def _complete_lines(path):
    """The lines of the file, without their ends; what follows the last end is half a line, and left out."""
    try:
        return Path(path).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, f"the records of the run are missing; {RESTORE}", str(path)) from None


def without_clock(records):
    """The same records without the fields that depend on the clock."""
    return [{key: value for key, value in record.items() if not key.startswith("seconds")} for record in records]
