"""Student code is foreign code: it runs in a process of its own, with limits, and answers with numbers.

This protects from honest mistakes, accidents and crude tricks. It is no wall against a determined attacker: run the
whole command in a container for that (docs/teaching.md).
"""

import io
import json
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minibn
from minibn.labs.worker import READY, answers_of

LARGEST_ANSWER = 64 * 2 ** 20
LOG_KEPT = 4000         # characters of what was printed
START = 60              # seconds that the worker may take to load NumPy on a busy machine
WINDOWS, BROWSER = os.name == "nt", sys.platform == "emscripten"
CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from minibn.labs.worker import main; main()"


class Limits(NamedTuple):
    """Of one function: seconds, and bytes of memory."""

    seconds: float = 20.0
    memory: int = 1024 * 2 ** 20


LIMITS = Limits()


class Reply(NamedTuple):
    """What came of one function.

    ``error`` is None or (verdict, sentence); ``arrays`` are by path, for each draw.
    """

    error: tuple | None
    arrays: list
    float32: bool = False
    remarks: tuple = ()
    seconds: float = 0.0


def run_file(path, lab, functions, seed, limits=LIMITS, variant=""):
    """Run the functions of a file, each on its draws.

    A function that does not come back costs the others nothing: they are started again without it.

    Returns
    -------
    replies : dict
        Function -> `Reply`.
    log : str
        The beginning of what was printed.
    """
    if BROWSER:
        return run_here(path, lab, functions, seed, variant)
    replies, log, left = {}, "", list(functions)
    while left:
        found, how, printed = _one_process(path, lab, left, seed, limits, variant)
        log = log or printed
        replies.update(found)
        left = [name for name in left if name not in found]
        if left:
            replies[left.pop(0)] = Reply(how, [])
    return replies, log


def run_here(path, lab, functions, seed, variant=""):
    """The same in this process, without any limit: for one's own code, where there are no other processes."""
    text = path.read_text(encoding="utf-8-sig")
    frames = answers_of(lab, functions, text, str(path), seed, variant)
    return {meta["function"]: _reply(meta, arrays) for meta, arrays in frames}, ""


def _one_process(path, lab, functions, seed, limits, variant):
    """The replies that came, how it ended if one is missing, what was printed."""
    import subprocess

    root = str(Path(minibn.__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory(prefix="minibn-lab-", ignore_cleanup_errors=True) as folder:
        shutil.copy(path, Path(folder) / path.name)
        for beside in sorted(path.parent.glob("lab[0-9].py")) if lab.judge == "project" else ():
            shutil.copy(beside, Path(folder) / beside.name)
        task = {"lab": lab.number, "functions": functions, "file": path.name, "seed": seed, "variant": variant,
                "seconds": limits.seconds, "memory": limits.memory}
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if WINDOWS else {"start_new_session": True}
        kept = {name: value for name, value in os.environ.items()
                if name in ("SYSTEMROOT", "LD_LIBRARY_PATH", "MINIBN_DATA")}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", CODE, root, json.dumps(task)], cwd=folder, env={**kept, **threads},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **own)
        printed = []
        log = threading.Thread(target=_drain, args=(process.stderr, printed), daemon=True)
        log.start()
        try:
            found, ended = _frames(process, functions, limits)
        finally:
            _kill(process)
            log.join(timeout=1)
            process.stderr.close()
        return found, ended or _ending(process, limits), b"".join(printed).decode("utf-8", "replace")


def _frames(process, functions, limits):
    """The replies as they come; and why no more do, if that is known."""
    frames, found = queue.Queue(), {}
    threading.Thread(target=_read, args=(process.stdout, frames), daemon=True).start()
    patience = START + limits.seconds
    while len(found) < len(functions):
        try:
            frame = frames.get(timeout=patience)
        except queue.Empty:
            return found, ("timeout", f"no answer in {limits.seconds:g} s: an endless loop?")
        if isinstance(frame, str):
            return found, ("format", frame) if frame else None
        try:
            name, reply = _opened(frame)
        except (ValueError, KeyError, OSError, TypeError):
            return found, ("format", "the answer cannot be read")
        if name in functions:
            found[name] = reply
        elif name != READY:
            return found, ("format", "the answer cannot be read")
        patience = limits.seconds
    return found, None


def _read(stream, frames):
    """Frames of bytes into the queue, and at the end a string: empty, or what was wrong."""
    while True:
        head = stream.read(8)
        size = int.from_bytes(head, "little")
        if len(head) < 8 or size > LARGEST_ANSWER:
            frames.put("the answer is larger than 64 MB" if len(head) == 8 else "")
            return
        frames.put(stream.read(size))


def _opened(frame):
    with np.load(io.BytesIO(frame), allow_pickle=False) as archive:
        meta = json.loads(bytes(archive["meta"]))
        arrays = {key: archive[key].astype(np.float64) for key in archive.files if key != "meta"}
    return meta["function"], _reply(meta, arrays)


def _reply(meta, arrays):
    """The `Reply` of one frame; the arrays' names begin with the number of their draw."""
    draws = {}
    for key, value in arrays.items():
        number, _, place = key.partition("/")
        draws.setdefault(int(number), {})[place] = value
    error = meta.get("error")
    return Reply(tuple(error) if error else None, [draws.get(k, {}) for k in range(max(draws, default=-1) + 1)],
                 bool(meta.get("float32")), tuple(meta.get("remarks", ())), float(meta.get("seconds", 0)))


def _ending(process, limits):
    """In words, how a process ended that did not answer."""
    code = process.returncode
    if not WINDOWS and code is not None and code < 0:
        name = signal.Signals(-code).name
        if name == "SIGXCPU" or name == "SIGKILL":
            return "timeout", f"no answer in {limits.seconds:g} s of processor time: an endless loop?"
        if name == "SIGXFSZ":
            return "crashed", "it wrote a file that is too large"
        return "crashed", f"the process ended with signal {-code} ({name})"
    return "crashed", "the process ended without an answer"


def _kill(process):
    """The process, and everything that it started."""
    if process.poll() is None:
        time.sleep(0.02)    # it ends on its own where it has answered
    try:
        if WINDOWS:
            import subprocess

            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()
    process.stdout.close()


def _drain(stream, kept):
    """Read to the end, and keep the beginning."""
    size = 0
    while chunk := stream.read1(65536):
        kept.append(chunk[:max(LOG_KEPT - size, 0)])
        size += len(chunk)
