"""The package as a whole: what importing it costs, what its wheel contains, and that a skipped oracle is a failure."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import minibn

ROOT = Path(__file__).resolve().parent.parent


def run_python(*arguments, **environment):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_one_version_everywhere():
    assert version("minibn") == minibn.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE).group(1) == minibn.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\d\S*)", changelog, re.MULTILINE).group(1) == minibn.__version__


@pytest.mark.parametrize("module", ["minibn", "minibn.cli", "minibn.studies"])
def test_importing_loads_nothing_heavy(module):
    code = (f"import {module}, sys; "
            "print(*{'cupy', 'matplotlib', 'pooch', 'tqdm', 'torch', 'autograd', 'requests'} & set(sys.modules))")
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


def test_it_works_without_the_optional_modules_of_the_standard_library():
    """Browsers and some builds of Python lack these; whoever needs one imports it where it is used."""
    code = """
import sys
blocked = ("lzma", "_lzma", "bz2", "_bz2", "ssl", "_ssl", "sqlite3", "multiprocessing", "subprocess", "fcntl")
sys.modules.update(dict.fromkeys(blocked))      # importing one raises ImportError
import pkgutil
import numpy as np
import minibn
x = np.random.default_rng(0).standard_normal((3, 4, 2))
assert minibn.check_gradients(minibn.BNLSTM(2, 3, rng=0), x).ok
assert len(minibn.data.load_mnist_subset(side=14).train) == 4000
for module in pkgutil.walk_packages(minibn.__path__, "minibn."):
    if not module.name.startswith(("minibn.kernels.cuda", "minibn.__main__", "minibn.cli.__main__")):
        __import__(module.name)
print(sorted({"pooch", "requests", "matplotlib", "tqdm", "cupy"} & set(sys.modules)))
"""
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_the_code_in_the_readme_runs(capsys):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert capsys.readouterr().out and names["model"].cell is names["cell"] and names["x"].shape == (99, 64)
    assert names["alpha"].shape == names["questions"].shape and names["answers"].shape == (32, 8)
    assert abs(names["loss"] / np.log(2) - np.log2(names["corpus"].classes)) < 0.02     # bits, before any training


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT,
                   check=True, capture_output=True)
    return next(folder.glob("minibn-*.whl"))


def test_wheel_contains_the_data_and_nothing_foreign(wheel):
    assert wheel.name == f"minibn-{minibn.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    published = sorted((ROOT / "minibn" / "studies" / "reference").glob("*.csv"))
    expected = {f"minibn/studies/reference/{path.name}" for path in published}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "minibn").rglob("*.py")}
    shipped = {f"minibn/_datasets/{name}" for name in ("mnist_subset.npz", "tinyshakespeare.txt.gz")}
    assert expected and (expected | modules | shipped) <= set(names)
    assert all(name.startswith(("minibn/", f"minibn-{minibn.__version__}.dist-info/")) for name in names)


def test_wheel_works_outside_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = ("import minibn; from minibn.data import load_mnist_subset; from minibn.studies import published_curve; "
            "print(minibn.__file__, len(load_mnist_subset(14).train), len(published_curve('figure_1b', 'mean')))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")})
    assert result.returncode == 0, result.stderr
    place, images, axes = result.stdout.split()
    assert Path(place).is_relative_to(tmp_path) and (images, axes) == ("4000", "2")


@pytest.mark.parametrize("required, words", [("0", "1 passed, 2 skipped"), ("1", "1 failed, 1 passed, 1 error")])
def test_a_skipped_oracle_fails_where_oracles_are_required(required, words, tmp_path):
    """A test that is skipped, and a whole file."""
    skip = "pytest.importorskip('an_oracle_nobody_has')\n"
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    passing = "\n\ndef test_passing():\n    pass\n"
    (tmp_path / "tests" / "test_file.py").write_text(f"import pytest\n\n{skip}")
    (tmp_path / "tests" / "test_one.py").write_text(
        f"import pytest\n\n\n@pytest.mark.oracle\ndef test_oracle():\n    {skip}")
    (tmp_path / "tests" / "test_two.py").write_text(f"import pytest\n\n\n@pytest.mark.oracle{passing[1:]}")
    result = run_python("-m", "pytest", str(tmp_path), "-p", "no:cacheprovider", "--continue-on-collection-errors",
                        MINIBN_REQUIRE_ORACLES=required)
    assert (result.returncode != 0) == (required == "1"), result.stdout
    assert words in result.stdout
