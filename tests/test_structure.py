"""Dependencies point one way: a room imports only from the rooms above it."""

import ast
from pathlib import Path

import pytest

import minibn

PACKAGE = Path(minibn.__file__).parent
ROOMS = ("machine", "errors", "tables", "questions", "backend", "statistics", "equations", "initializers", "cells",
         "kernels", "layers", "models", "exchange", "gradcheck", "tracing", "optimizers", "data", "training",
         "sweeps", "teaching", "studies", "pictures", "labs", "bench", "cli")
FOREIGN = {"torch", "jax", "tensorflow", "autograd"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path):
    """Every module imported anywhere in the file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports in full, not relative"
            yield from ([f"minibn.{name.name}" for name in node.names] if node.module == "minibn" else [node.module])


def test_every_room_is_listed():
    assert {room_of(path) for path in FILES} - {"__init__", "__main__"} == set(ROOMS)


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in ROOMS], ids=lambda path: path.stem)
def test_imports_point_upwards(path):
    allowed = set(ROOMS[:ROOMS.index(room_of(path)) + 1])
    rooms = {module.split(".")[1] for module in imported_modules(path) if module.startswith("minibn.")}
    assert rooms - {"__version__"} <= allowed, f"{path.name} imports from a room below its own"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_framework_in_the_library(path):
    assert not FOREIGN & {module.split(".")[0] for module in imported_modules(path)}
