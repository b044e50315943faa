"""The process that runs a student's file: with limits, and with nothing but numbers as its answer.

The parent starts it in an empty folder (`minibn.labs.sandbox`) and says what to run in a line of JSON on its command
line. Each function's answer is a frame on what was standard output: eight bytes with its length, and an archive of
float64 arrays. What the student prints goes elsewhere.
"""

import ast
import io
import json
import linecache
import os
import sys
import time
import traceback

import numpy as np

from minibn.labs.answers import array_of, leaves
from minibn.labs.catalogue import LABS
from minibn.labs.place import in_place
from minibn.labs.submission import is_blank
from minibn.labs.variants import variant_of

GIVEN, READY = "__lab_given__", ""
FILE_BYTES = 10_000_000     # the largest file that a student may write
SHOWN = 300                 # characters of an error message


def main():
    """Run what the command line says."""
    task = json.loads(sys.argv[1])
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)           # the parent reads it, and keeps the beginning
    sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", errors="replace", closefd=False)
    set_limits(task["seconds"] * len(task["functions"]) + 10, task["memory"])
    send(answer, {"function": READY}, {})
    with open(task["file"], encoding="utf-8-sig") as file:
        text = file.read()
    for frame in answers_of(LABS[task["lab"]], task["functions"], text, task["file"], task["seed"], task["variant"]):
        send(answer, *frame)
    answer.flush()
    os._exit(0)             # whatever the student left running


def send(stream, meta, arrays):
    """One frame."""
    buffer = io.BytesIO()
    np.savez(buffer, **{"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}, **arrays)
    stream.write(len(buffer.getvalue()).to_bytes(8, "little") + buffer.getvalue())
    stream.flush()


def set_limits(seconds, memory):
    """Of processor time, memory and files, where the system has them (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    for name, limit in (("RLIMIT_CPU", seconds), ("RLIMIT_AS", memory), ("RLIMIT_FSIZE", FILE_BYTES),
                        ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, name), (int(limit), int(limit)))
        except (AttributeError, ValueError, OSError):       # macOS has no limit of the address space
            pass


def answers_of(lab, functions, text, path, seed, variant=""):
    """(meta, arrays) of each of the functions, as frames that `minibn.labs.sandbox` reads.

    A generator: a function that never returns does not lose the answers of those before it.
    """
    given = {}
    try:
        space = executed(text, path, given)
    except BaseException as error:
        failure = described(error, path)
        for name in functions:
            yield {"function": name, "error": failure}, {}
        return
    for ask in lab.asks:
        if ask.function in functions:
            started = time.perf_counter()
            with in_place(variant_of(lab, variant)):
                meta, arrays = run(lab, ask, space, path, seed, given)
            yield {"function": ask.function, "seconds": time.perf_counter() - started, **meta}, arrays


class _Fill(ast.NodeTransformer):
    """Lines that are still blank take the library's value, so that the others can be judged."""

    def __init__(self):
        self.function = None

    def visit_FunctionDef(self, node):
        outer, self.function = self.function, self.function or node.name
        self.generic_visit(node)
        self.function = outer
        return node

    def visit_Assign(self, node):
        if self.function and is_blank(node):
            names = [name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)]
            call = ast.parse(f"{GIVEN}({self.function!r}, {names!r})", mode="eval").body
            node.value = ast.fix_missing_locations(ast.copy_location(call, node))
            ast.fix_missing_locations(node)
        return node


def executed(text, path, given):
    """The names of the file after it was run as a module, with blank lines filled from `given`."""
    def lookup(function, names):
        values = [given[function][name] for name in names]
        return values[0] if len(values) == 1 else values

    linecache.cache[path] = (len(text), None, text.splitlines(True), path)
    space = {"__name__": "lab", "__file__": path, GIVEN: lookup}
    exec(compile(_Fill().visit(ast.parse(text)), path, "exec", dont_inherit=True), space)
    return space


def run(lab, ask, space, path, seed, given):
    """What one function answers to all draws."""
    from minibn.labs import judges

    function = space.get(ask.function)
    if not callable(function):
        return {"error": ["format", f"{ask.function} is not a function in your file"]}, {}
    try:
        return judges.of(lab).call(ask, function, space, seed, given)
    except BaseException as error:
        return {"error": described(error, path)}, {}


def call(ask, function, space, seed, given):
    """Call it twice on each draw, with arguments of its own."""
    from minibn.labs.draws import draws_of

    arrays, dtypes, remarks = {}, set(), []
    names = set(ask.source.program().places) | set(ask.outputs)

    def convert(value, place):
        dtypes.add(str(getattr(value, "dtype", "")))
        return array_of(value)

    for number, (draw, again, untouched) in enumerate(zip(*(draws_of(ask, seed) for _ in range(3)), strict=True)):
        given[ask.function] = values = {}

        def exchange(name, value, values=values):
            values[name] = value
            return value

        ask.source.program().run(untouched.arguments, exchange)
        with np.errstate(all="ignore"):
            result = function(**draw.arguments)
            second = function(**again.arguments)
        if isinstance(result, dict) and "result" not in names:
            result, second = ({key: one[key] for key in one if key in names} for one in (result, second))
        found, twice = leaves(result, make=convert), leaves(second)
        if not same(found, twice):
            remarks.append("a second call with the same arguments gives another result")
        if not same(_all(draw.arguments), _all(untouched.arguments)):
            remarks.append("it changes its arguments")
        arrays.update({f"{number}/{place}": value for place, value in found.items()})
    return {"float32": dtypes == {"float32"}, "remarks": list(dict.fromkeys(remarks))}, arrays


def _all(arguments):
    """The arrays among the arguments, those in records too."""
    found = {}
    for name, value in arguments.items():
        try:
            found.update(leaves(value, name, lambda leaf, path: np.asarray(leaf)))
        except (TypeError, AttributeError):
            pass
    return found


def same(a, b):
    """Whether two results have the same arrays, to the last bit."""
    return a.keys() == b.keys() and all(
        np.array_equal(a[key], b[key], equal_nan=a[key].dtype.kind == "f") for key in a)


def described(error, path):
    """[verdict, sentence] of what a student's code raised, with the line of the student's file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    where = f" in line {lines[-1]}" if lines else ""
    if isinstance(error, NotImplementedError):
        return ["blank", f"not written yet{where}"]
    if isinstance(error, MemoryError):
        return ["memory", f"it needs more memory than the limit{where}"]
    kind = "file too large" if isinstance(error, OSError) and error.errno == 27 else type(error).__name__
    try:
        words = " ".join(str(error).split())[:SHOWN]
    except BaseException:
        words = ""
    return ["crashed", f"{kind}{where}{': ' + words if words else ''}"]
