"""The data room: reading, checking, ordering and batching; every bad file and batch has its error."""

import ast
import contextlib
import gzip
import hashlib
import http.server
import io
import itertools
import lzma
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minibn import data
from minibn.data import catalogue, downloads, files, idx, mnist

full_mnist = pytest.mark.skipif(
    not os.environ.get("MINIBN_DATA"), reason="MINIBN_DATA names no folder with the full MNIST"
)


# A small MNIST in the same format: 60 + 10 images, split 50 / 10 / 10.


def idx_images(images, magic=2051):
    return struct.pack(">4I", magic, *images.shape) + images.tobytes()


def idx_labels(labels, magic=2049):
    return struct.pack(">2I", magic, len(labels)) + labels.tobytes()


def describe(name, raw):
    return files.DataFile(name, len(raw), hashlib.sha256(raw).hexdigest())


class SmallMnist:
    """Four files, plain (``bodies``) and as published (``raw``); ``publish`` makes the loader expect exactly these."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        rng = np.random.default_rng(5)
        self.images = rng.integers(0, 256, (70, 28, 28), dtype=np.uint8)
        self.labels = rng.integers(0, 10, 70, dtype=np.uint8)
        bodies = (
            idx_images(self.images[:60]),
            idx_labels(self.labels[:60]),
            idx_images(self.images[60:]),
            idx_labels(self.labels[60:]),
        )
        self.bodies = dict(zip(mnist.FILES, bodies, strict=True))
        self.names = {what: file.origin.name for what, file in mnist.FILES.items()}
        monkeypatch.setattr(mnist, "TRAIN_SIZE", 50)
        monkeypatch.delenv("MINIBN_DATA", raising=False)
        self.publish()

    def publish(self, **changes):
        self.raw = {what: gzip.compress(body, mtime=0) for what, body in self.bodies.items()}
        table = {
            what: replace(
                file,
                content=describe(file.name, self.bodies[what]),
                origin=describe(self.names[what], self.raw[what]),
                **changes,
            )
            for what, file in mnist.FILES.items()
        }
        self.monkeypatch.setattr(mnist, "FILES", table)

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for what, raw in self.raw.items():
            (folder / self.names[what]).write_bytes(raw)
        return folder


@pytest.fixture
def small(monkeypatch):
    return SmallMnist(monkeypatch)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty user's cache."""
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "minibn" / "mnist"


@pytest.fixture
def no_network(monkeypatch):
    """pooch as it is without a network; counts the addresses that were tried."""
    tried = []

    def refuse(url, **_):
        tried.append(url)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    return tried


@contextlib.contextmanager
def serving(monkeypatch, handler):
    """A web server on this machine; returns its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of files; returns (folder that it serves, its address)."""
    root = tmp_path / "www"
    root.mkdir()

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=root)

    with serving(monkeypatch, Files) as address:
        yield root, address


# Full MNIST: where it is found


@pytest.mark.parametrize("subfolder", ["mnist", "."])
@pytest.mark.parametrize("how", ["folder", "environment"])
def test_files_are_found_by_argument_and_environment(
    small, tmp_path, monkeypatch, no_network, subfolder, how
):
    small.write(tmp_path / subfolder)
    if how == "environment":
        monkeypatch.setenv("MINIBN_DATA", str(tmp_path))
    mnist_data = data.load_mnist(tmp_path if how == "folder" else None)
    assert [len(part) for part in (mnist_data.train, mnist_data.valid, mnist_data.test)] == [50, 10, 10]
    # The first images train, the last of the training file validate, and the test comes from the other file.
    rows = small.images.reshape(70, 784)
    for part, chosen in (
        (mnist_data.train, np.s_[:50]),
        (mnist_data.valid, np.s_[50:60]),
        (mnist_data.test, np.s_[60:]),
    ):
        assert np.array_equal(part.images, rows[chosen])
        assert np.array_equal(part.labels, small.labels[chosen])
    assert mnist_data.test_name == "test set"
    assert no_network == []


def test_the_argument_wins_over_the_environment(small, tmp_path, monkeypatch):
    small.write(tmp_path / "mnist")
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "nowhere"))
    assert len(data.load_mnist(tmp_path).train) == 50


def zipped(name, raw):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, raw)
    return packed.getvalue()


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize(("form", "pack"), [
    ("", lambda name, raw: raw),
    (".gz", lambda name, raw: gzip.compress(raw, 1, mtime=7)),       # not the published bytes
    (".xz", lambda name, raw: lzma.compress(raw)),
    (".zip", zipped),
], ids=["raw", "gz", "xz", "zip"])  # fmt: skip
def test_mnist_in_every_form(small, tmp_path, no_network, dotted, form, pack):
    folder = tmp_path / ("MNIST/raw" if dotted else "mnist")         # the first is torchvision's
    folder.mkdir(parents=True)
    for what, raw in small.bodies.items():
        name = small.names[what].removesuffix(".gz").replace("-idx", ".idx" if dotted else "-idx")
        (folder / f"{name}{form}").write_bytes(pack(name, raw))
    assert np.array_equal(data.load_mnist(tmp_path).test.labels, small.labels[60:])
    assert no_network == []
    path = next(folder.glob("t10k-labels*"))
    path.write_bytes(pack(path.stem if form else path.name, small.bodies["test labels"] + b"\0"))
    with pytest.raises(data.DataError, match=rf"{path.name}: damaged or not .* found 19 bytes with SHA"):
        data.load_mnist(tmp_path)


@pytest.mark.parametrize("closed", [".", "mnist"])
def test_a_folder_that_cannot_be_read(small, tmp_path, monkeypatch, closed):
    """Not by permissions: root may read everything."""
    home = tmp_path / "home"
    small.write(home / "mnist")
    folder, stat, access = home / closed, os.stat, os.access

    def refused(path):
        return not isinstance(path, int) and folder in Path(os.fsdecode(path)).parents

    def closed_stat(path, *args, **keywords):
        if refused(path):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **keywords)

    monkeypatch.setattr(os, "stat", closed_stat)
    monkeypatch.setattr(os, "access", lambda path, mode: not refused(Path(path) / "x") and access(path, mode))
    monkeypatch.setenv("MINIBN_DATA", str(home))
    for ask in (data.load_mnist, data.list_data, data.verify_data, lambda: data.fetch_data("mnist")):
        with pytest.raises(data.DataError) as caught:
            ask()
        assert str(caught.value).startswith(f"{folder}: this folder cannot be read (Permission denied); ")


@pytest.mark.parametrize("how", ["folder", "MINIBN_DATA"])
def test_missing_folder_and_missing_file(small, tmp_path, monkeypatch, no_network, how):
    def load(folder):
        if how == "folder":
            return data.load_mnist(folder)
        monkeypatch.setenv("MINIBN_DATA", str(folder))
        return data.load_mnist()

    with pytest.raises(data.DataError, match=rf"{how}='.*nowhere' is not a folder"):
        load(tmp_path / "nowhere")
    small.write(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(data.DataError) as caught:
        load(tmp_path)
    message = str(caught.value)
    for part in ("t10k-labels-idx1-ubyte.gz", str(tmp_path), "minibn data fetch mnist", "MINIBN_DATA"):
        assert part in message
    assert "\n" not in message
    assert no_network == []  # a folder of the user's is never filled without being asked


# Full MNIST: downloads


def test_download_goes_to_the_cache_once(small, cache, server, monkeypatch, capfd):
    root, address = server
    small.write(root / "good")
    small.publish(mirrors=(address + "good/",))
    assert len(data.load_mnist().train) == 50
    assert sorted(path.name for path in cache.iterdir()) == sorted(small.names.values())
    assert "100%" in capfd.readouterr().err  # a progress bar
    small.publish(mirrors=())
    assert len(data.load_mnist().train) == 50  # from the cache


def test_the_next_mirror_is_tried_after_a_missing_and_after_a_wrong_file(small, cache, server, monkeypatch):
    root, address = server
    small.write(root / "good")
    small.write(root / "wrong")
    for path in (root / "wrong").iterdir():
        path.write_bytes(damage_flip(path.read_bytes()))
    small.publish(mirrors=tuple(address + name for name in ("absent/", "wrong/", "good/")))
    assert len(data.load_mnist().train) == 50

    small.publish(mirrors=tuple(address + name for name in ("absent/", "wrong/")))
    for path in cache.iterdir():
        path.unlink()
    with pytest.raises(data.DataError, match=r"answered HTTP 404.*another SHA-256"):
        data.load_mnist()
    assert list(cache.iterdir()) == []  # neither the wrong file nor a temporary one stays


class Odd(http.server.BaseHTTPRequestHandler):
    """A server that sends a file of 1000 bytes wrongly, by the folder it is asked for."""

    def do_GET(self):
        answer = self.path.split("/")[1]
        if answer == "silent":
            return
        if answer == "waiting":
            released.wait(600)
            return
        self.send_response(200)
        if answer not in ("endless", "slow"):
            self.send_header("Content-Length", "300" if answer == "page" else "1000")
        self.end_headers()
        self.wfile.flush()
        if answer == "stuck":
            self.wfile.write(bytes(10))
            released.wait(600)
        with contextlib.suppress(OSError):          # nobody reads any more
            for _ in itertools.repeat(0, 300 if answer in ("page", "closing") else 10 ** 9):
                self.wfile.write(b"x")
                if answer == "slow" and released.wait(0.01):
                    break


released = threading.Event()


@pytest.mark.parametrize(("answer", "reason"), [
    ("endless", "sent more than the 1000 bytes of the file"),
    ("page", "offers 300 bytes, the right file has 1000"),
    ("closing", "closed the connection after 300 of 1000 bytes"),
    ("silent", "closed the connection without an answer"),
    ("waiting", "did not answer within 0.1 seconds"),
    ("stuck", "sent nothing for 0.1 seconds, after 10 of 1000 bytes"),
    ("slow", "sent [0-9]+ of 1000 bytes in 0.2 seconds, too slow"),
])  # fmt: skip
def test_a_mirror_that_does_not_send_the_file(tmp_path, monkeypatch, answer, reason):
    released.clear()
    if answer in ("waiting", "stuck"):
        monkeypatch.setattr(downloads, "READ_SECONDS", 0.1)
    if answer == "slow":
        monkeypatch.setattr(downloads, "TOTAL_SECONDS", 0.2)
    with serving(monkeypatch, Odd) as address:
        with pytest.raises(data.DataError, match=rf"\({address}{answer}/: {reason}\)"):
            downloads.download(describe("file", b"y" * 1000), tmp_path / "file", [f"{address}{answer}/"], "wait")
        released.set()
    assert list(tmp_path.iterdir()) == []


def test_downloads_obey_the_umask_and_sweep_old_temporary_files_away(server, tmp_path):
    root, address = server
    (root / "file").write_bytes(b"right")
    target = tmp_path / "here" / "file"
    target.parent.mkdir()
    old, fresh, mine = (target.parent / name for name in ("tmpab_c1d2x", "tmp01234567", "tmp notes"))
    for path in (old, fresh, mine):
        path.write_bytes(b"half")
    for path in (old, mine):
        os.utime(path, (0, 0))
    before = os.umask(0o027)
    try:
        downloads.download(describe("file", b"right"), target, [address], "wait")
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640 or os.name == "nt"
    assert sorted(target.parent.iterdir()) == sorted([target, fresh, mine])


def test_fetching_sweeps_even_where_nothing_is_missing(small, cache):
    old = small.write(cache) / "tmp76543210"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert data.fetch_data("mnist").count("already here") == 4 and not old.exists()


def test_without_network_one_error_says_what_to_do(small, cache, no_network):
    with pytest.raises(data.DataError) as caught:
        data.load_mnist()
    message = str(caught.value)
    for part in ("train-images-idx3-ubyte.gz", str(cache), "minibn data fetch mnist", "MINIBN_DATA"):
        assert part in message
    assert "\n" not in message
    assert no_network == [
        mirror + "train-images-idx3-ubyte.gz" for mirror in mnist.MIRRORS
    ]  # each once, in order


def test_a_refused_connection_prints_nothing_beside_the_error(small, cache, monkeypatch, capfd):
    monkeypatch.setattr(pooch.get_logger(), "level", 10)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))  # the discard port: nobody listens
    with pytest.raises(data.DataError, match="could not be downloaded"):
        data.load_mnist()
    assert capfd.readouterr() == ("", "")
    assert pooch.get_logger().level == 10  # as the caller had it


def test_a_cache_that_cannot_be_made(small, cache, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(data.DataError, match="cannot be made.*MINIBN_DATA"):
        data.load_mnist()


def test_the_published_mirrors_and_hashes():
    assert [mirror.split("/")[2] for mirror in mnist.MIRRORS] == [
        "ossci-datasets.s3.amazonaws.com",
        "storage.googleapis.com",
        "yann.lecun.com",
    ]
    assert all(len(file.sha256) == 64 for file in mnist.FILES.values())


# Full MNIST: damaged files


def damage_flip(raw):
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


@pytest.mark.parametrize("where", ["folder", "cache"])
@pytest.mark.parametrize(
    "damage", [damage_flip, lambda raw: raw[:-7], lambda raw: b""], ids=["flip", "cut", "empty"]
)
def test_hashes_are_checked_on_reuse(small, cache, no_network, tmp_path, where, damage):
    folder = small.write(cache if where == "cache" else tmp_path / "mnist")
    assert len(data.load_mnist(None if where == "cache" else folder).train) == 50
    path = folder / small.names["train labels"]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError) as caught:
        data.load_mnist(None if where == "cache" else folder)
    expected = mnist.FILES["train labels"]
    message = str(caught.value)
    for part in (path, "damaged", expected.sha256, expected.size):
        assert str(part) in message
    assert "minibn data fetch mnist" in message and "\n" not in message
    assert no_network == []


def test_images_and_labels_must_be_equally_many(small, tmp_path):
    small.bodies["test labels"] = idx_labels(small.labels[60:69])
    small.publish()
    with pytest.raises(data.DataError, match="t10k-images.* 10 images .*t10k-labels.* 9 labels"):
        data.load_mnist(small.write(tmp_path / "mnist"))


def test_a_label_of_10_is_refused(small, tmp_path):
    labels = small.labels[:60].copy()
    labels[17] = 10
    small.bodies["train labels"] = idx_labels(labels)
    small.publish()
    with pytest.raises(data.DataError, match=r"train-labels.*0\.\.9, found 10 at place 17"):
        data.load_mnist(small.write(tmp_path / "mnist"))


PICTURES = np.arange(3 * 784, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)


@pytest.mark.parametrize(
    ("parse", "body", "message"),
    [
        (idx.parse_images, idx_images(PICTURES, magic=2049), "magic number 2051.*found magic number 2049"),
        (idx.parse_images, idx_images(PICTURES, magic=0x01080000), "magic number"),
        (idx.parse_images, idx_images(PICTURES)[:-1], "3 x 28 x 28 = 2352 bytes, 2351 bytes follow"),
        (idx.parse_images, idx_images(PICTURES) + b"\0", "2352 bytes, 2353 bytes follow"),
        (idx.parse_images, idx_images(PICTURES[:, :14, :14]), "28x28 pixels, found 14x14"),
        (idx.parse_images, idx_images(PICTURES[:0]), "no example"),
        (idx.parse_images, idx_images(PICTURES)[:9], "header of 16 bytes, the file has 9"),
        # Sizes whose product overflows 64 bits must not look like a small file.
        (idx.parse_images, struct.pack(">4I", 2051, 2**32 - 1, 28, 28), "bytes, 0 bytes follow"),
        (idx.parse_labels, idx_labels(np.arange(3, dtype=np.uint8), magic=2051), "magic number 2049"),
        (idx.parse_labels, idx_labels(np.arange(3, dtype=np.uint8))[:-1], "3 = 3 bytes, 2 bytes follow"),
        (idx.parse_labels, idx_labels(np.arange(0, dtype=np.uint8)), "no example"),
        (idx.parse_labels, b"\0\0", "header of 8 bytes"),
    ],
)
def test_bad_idx_files(parse, body, message):
    with pytest.raises(data.DataError, match=f"some file: .*{message}"):
        parse(body, "some file")


# The real full MNIST


@full_mnist
def test_full_mnist():
    images = data.load_mnist()
    assert [len(part) for part in (images.train, images.valid, images.test)] == [50_000, 10_000, 10_000]
    assert images.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert images.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    counts = np.bincount(images.train.labels, minlength=10) + np.bincount(images.valid.labels, minlength=10)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    total = images.train.images.sum(dtype=np.int64) + images.valid.images.sum(dtype=np.int64)
    assert round(total / (60_000 * 784 * 255), 6) == 0.130660  # the known mean of the training file
    assert len(images.train.batches(100)) == 500
    assert "mnist: whole and readable" in data.verify_data("mnist")


@full_mnist
def test_every_image_of_the_subset_is_a_real_training_image():
    subset, whole = mnist.read_subset(), data.load_mnist()
    # All of them lie in the first 50,000 images of the training file.
    assert np.array_equal(whole.train.images[subset["indices"]], subset["images"].reshape(-1, 784))
    assert np.array_equal(whole.train.labels[subset["indices"]], subset["labels"])


# The shipped subset


def test_subset_splits():
    subset = data.load_mnist_subset()
    assert (
        subset.name == "mnist_subset" and subset.side == 28 and subset.steps == 784 and subset.classes == 10
    )
    parts = (subset.train, subset.valid, subset.test)
    assert [len(part) for part in parts] == [4_000, 500, 500]
    for part, each in zip(parts, (400, 50, 50), strict=True):
        assert np.bincount(part.labels).tolist() == [each] * 10
        assert part.images.dtype == np.uint8 and part.images.max() == 255 and part.images.min() == 0
    rows = np.concatenate([part.images for part in parts])
    assert len(np.unique(rows, axis=0)) == 5_000  # no image in two parts
    assert subset.test_name == "held-out images"
    # Shuffled: a batch in the order of the file holds many digits.
    assert all(len(np.unique(y)) >= 8 for _, y in subset.train.batches(100))


def test_subset_pooled_to_14x14():
    whole, pooled = data.load_mnist_subset(), data.load_mnist_subset(side=14)
    assert pooled.side == 14 and pooled.steps == 196
    indices = np.arange(50)
    x, y = pooled.valid.batch(indices, np.float64)
    large, y_large = whole.valid.batch(indices, np.float64)
    means = large.reshape(14, 2, 14, 2, 50).mean(axis=(1, 3)).reshape(196, 50, 1)
    assert np.abs(x - means).max() < 1e-15  # two ways of rounding one division
    assert np.array_equal(y, y_large)
    with pytest.raises(ValueError, match="side must be 28 .* or 14 .*, got 20"):
        data.load_mnist_subset(side=20)


def test_subset_file_is_found_in_a_wheel_and_in_a_checkout(tmp_path):
    # Copies of the package: with the data inside it, as in an installed wheel, and with the data beside it.
    package = Path(data.__file__).parent.parent
    for home, folder in (("wheel", "minibn/_datasets"), ("checkout", "datasets")):
        root = tmp_path / home
        shutil.copytree(
            package / "data", root / "minibn" / "data", ignore=shutil.ignore_patterns("__pycache__")
        )
        (root / "minibn" / "__init__.py").touch()
        for needed in ("errors.py", "questions.py", "tables.py"):
            shutil.copy(package / needed, root / "minibn")
        (root / folder).mkdir(parents=True)
        shutil.copy(mnist.subset_place(), root / folder)
        program = (
            "from minibn.data import mnist; print(mnist.subset_place(), len(mnist.load_mnist_subset().train))"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        place, count = run.stdout.rsplit(" ", 1)
        assert Path(place) == (root / folder / "mnist_subset.npz").resolve() and int(count) == 4_000


def test_damaged_or_missing_subset(tmp_path, monkeypatch):
    damaged = tmp_path / "mnist_subset.npz"
    damaged.write_bytes(damage_flip(mnist.subset_place().read_bytes()))
    monkeypatch.setattr(mnist, "subset_place", lambda: damaged)
    with pytest.raises(
        data.DataError, match="mnist_subset.npz: damaged.*expected.*found.*install minibn again"
    ):
        data.load_mnist_subset()
    monkeypatch.setattr(mnist, "subset_place", lambda: None)
    with pytest.raises(data.DataError, match="mnist_subset.npz is not beside the package"):
        data.load_mnist_subset()


def test_the_card_states_the_hashes_and_its_program_parses():
    card = (mnist.subset_place().parent / "mnist_subset.md").read_text(encoding="utf-8")
    assert mnist.SUBSET_FILE.sha256 in card
    for array in mnist.read_subset().values():
        assert hashlib.sha256(array.tobytes()).hexdigest() in card
    ast.parse(card.split("```python\n")[1].split("```")[0])


# The order of pixels


def test_in_order_and_permutation():
    assert data.pixel_order("in_order", 196).tolist() == list(range(196))
    order = data.pixel_order("permutation", 784, seed=3)
    assert order.dtype == np.int64 and sorted(order.tolist()) == list(range(784))
    assert np.array_equal(order, data.pixel_order("permutation", 784, seed=3))
    assert not np.array_equal(order, data.pixel_order("permutation", 784, seed=4))
    assert not np.array_equal(order, np.arange(784))


def test_the_authors_map_is_with_replacement():
    drawn = data.pixel_order("replacement", 784, seed=3)        # of 784 draws about 784 / e are of no pixel
    assert drawn.shape == (784,) and 470 < len(set(drawn.tolist())) < 520
    order = data.pixel_order("authors_seed1", 784, seed=99)  # the seed is part of the name
    assert order.dtype == np.int64 and order.shape == (784,)
    assert order[:10].tolist() == [37, 235, 72, 767, 715, 645, 144, 129, 583, 749]
    counts = np.bincount(order, minlength=784)
    assert (counts > 0).sum() == 501 and counts.max() == 6
    np.random.seed(1)  # noqa: NPY002 -- the call of the authors' time
    assert np.array_equal(order, np.random.randint(0, 784, 784))  # noqa: NPY002


def test_bad_pixel_orders():
    with pytest.raises(ValueError, match="784 pixels .* got 196"):
        data.pixel_order("authors_seed1", 196)
    with pytest.raises(
        ValueError, match="index_map must be one of in_order, permutation, replacement, authors_seed1, got 'perm'"
    ):
        data.pixel_order("perm")
    with pytest.raises(ValueError, match="pixels must be at least 1, got 0"):
        data.pixel_order("in_order", 0)


def test_one_map_for_all_splits():
    subset = data.load_mnist_subset()
    order = data.pixel_order("authors_seed1")
    mapped = subset.reordered(order)
    for part in ("train", "valid", "test"):
        assert np.array_equal(getattr(mapped, part).images, getattr(subset, part).images[:, order])
        assert np.array_equal(getattr(mapped, part).labels, getattr(subset, part).labels)
    assert np.array_equal(mapped.order, order) and np.array_equal(subset.order, np.arange(784))
    x, _ = subset.train.batch(np.arange(3))
    x_mapped, _ = mapped.train.batch(np.arange(3))
    assert np.array_equal(x_mapped, x[order])
    assert mapped.test_name == "held-out images" and mapped.name == subset.name
    # A second map acts on the first one's steps.
    reverse = np.arange(784)[::-1]
    assert np.array_equal(mapped.reordered(reverse).order, order[::-1])
    for bad in (np.arange(785), np.array([-1]), np.array([], int), np.zeros((2, 2), int), np.array([0.5])):
        with pytest.raises(ValueError, match="order must"):
            subset.reordered(bad)


# Batches


@given(count=st.integers(2, 300), batch_size=st.integers(2, 310), seed=st.none() | st.integers(0, 5))
@example(count=101, batch_size=100, seed=None)
@example(count=3, batch_size=2, seed=0)
@example(count=2, batch_size=2, seed=0)
def test_batches_cover_every_example_once_and_never_one_alone(count, batch_size, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = data.batch_indices(count, batch_size, rng)
    flat = np.concatenate(batches)
    assert sorted(flat.tolist()) == list(range(count))
    if seed is None:
        assert flat.tolist() == list(range(count))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert 2 <= len(batches[-1]) <= batch_size + 1
    assert data.batch_count(count, batch_size) == len(batches)
    if count % batch_size != 1:
        assert len(batches[-1]) == (count % batch_size or batch_size)
    else:
        assert len(batches[-1]) == batch_size + 1


def test_shuffling_is_determined_by_the_seed():
    epochs = [
        np.concatenate(data.batch_indices(50, 8, np.random.default_rng(seed))).tolist() for seed in (1, 1, 2)
    ]
    assert epochs[0] == epochs[1] != epochs[2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1, 10), ValueError, "count: expected at least 2, got 1"),
        ((0, 10), ValueError, "count: expected at least 2, got 0"),
        ((10, 1), ValueError, "batch_size: expected at least 2, got 1; one example alone"),
        ((10, 2.5), TypeError, "batch_size: expected an integer, got 2.5"),
        ((10, 2, 1), TypeError, r"rng must be a numpy.random.Generator .* np.random.default_rng\(seed\)"),
    ],
)
def test_bad_batch_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        data.batch_indices(*arguments)


def small_split(count=7, pixels=12):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, pixels), dtype=np.uint8)
    return data.Split(images, rng.integers(0, 10, count, dtype=np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_batch_is(dtype):
    split = small_split()
    x, y = split.batch(np.array([4, 0, 6]), dtype)
    assert x.shape == (12, 3, 1) and x.dtype == dtype and x.flags.c_contiguous
    assert y.shape == (3,) and y.dtype == np.int64
    for n, index in enumerate((4, 0, 6)):
        # One correctly rounded division in the dtype asked for.
        assert np.array_equal(x[:, n, 0], split.images[index].astype(dtype) / dtype(255))
        assert y[n] == split.labels[index]
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got int64"):
        split.batch(np.array([0, 1]), np.int64)


def test_white_is_one_and_black_is_zero():
    split = data.Split(np.array([[0, 255], [255, 0]], np.uint8), np.array([0, 1]))
    assert split.batch(np.array([0]))[0][:, 0, 0].tolist() == [0.0, 1.0]


def test_batches_by_number_equal_batches_in_turn():
    split = small_split(count=11)
    batches = split.batches(5, np.random.default_rng(2), np.float64)
    assert len(batches) == 2  # 5 and 5 + 1
    in_turn = list(batches)
    assert [len(y) for _, y in in_turn] == [5, 6]
    again = split.batches(5, np.random.default_rng(2), np.float64)
    for k in (1, 0):
        for a, b in zip(again[k], in_turn[k], strict=True):
            assert np.array_equal(a, b) and a.dtype == b.dtype
    assert split.batches_per_epoch(5) == 2
    rest = again[1:]
    assert len(rest) == 1 and np.array_equal(next(iter(rest))[0], in_turn[1][0])
    with pytest.raises(ValueError, match="count: expected at least 2"):
        small_split(count=1).batches(5)


ROWS, LABELS = np.zeros((3, 4), np.uint8), np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (ROWS.astype(float), LABELS, TypeError, "images must be uint8 .* got float64"),
        (ROWS.reshape(3, 2, 2), LABELS, ValueError, r"images must have the shape \(n, pixels\).*reshape"),
        (ROWS[:0], LABELS[:0], ValueError, "images must have the shape"),
        (ROWS.tolist(), LABELS, TypeError, "images must be a NumPy array, got list"),
        (ROWS, LABELS[:2], ValueError, r"labels must have the shape \(n,\) = \(3,\), got \(2,\)"),
        (ROWS, LABELS + 0.5, TypeError, "labels must be integers, got float64"),
        (ROWS, LABELS + 10, ValueError, r"labels must lie in 0..classes-1 = 0..9, found 10..10"),
        (ROWS, LABELS.astype(int) - 1, ValueError, "found -1..-1"),
        (ROWS.astype(np.uint16) + 256, LABELS, ValueError, "0..white = 0..255, found 256"),
    ],
)
def test_bad_splits(images, labels, error, message):
    with pytest.raises(error, match=message):
        data.Split(images, labels)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"white": 0}, ValueError, "white: expected at least 1, got 0"),
        ({"white": np.nan}, TypeError, "white: expected an integer, got nan"),
        ({"classes": 1}, ValueError, "classes: expected at least 2, got 1"),
    ],
)
def test_scales_that_would_divide_by_nothing(change, error, message):
    with pytest.raises(error, match=message):
        data.Split(0 * ROWS, 0 * LABELS, **change)


# Values of a user's own batch


def own_batch():
    rng = np.random.default_rng(1)
    mask = np.ones((4, 3))
    mask[2:, 1] = 0
    return {"x": rng.normal(size=(4, 3, 2)), "y": np.array([0, 1, 4]), "classes": 5, "mask": mask}


def test_sound_batches_pass():
    batch = own_batch()
    data.check_batch(**batch)
    data.check_batch(**{**batch, "mask": None})
    for dtype in (bool, np.int8, np.float32):
        data.check_batch(**{**batch, "mask": batch["mask"].astype(dtype)})
    batch["x"][3, 1] = np.nan  # a padded step is never read
    labels = np.zeros((4, 3), int)
    labels[3, 1] = -1
    data.check_batch(**{**batch, "y": labels})
    symbols = np.zeros((4, 3), np.int32)
    symbols[3, 1] = -1
    data.check_batch(symbols, batch["y"], 5, batch["mask"], symbols=2)
    for x, y in data.load_mnist_subset(side=14).valid.batches(100):
        data.check_batch(x, y, 10)


def put(array, place, value):
    changed = array.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda b: {"x": put(b["x"], (1, 2, 0), np.nan)},
            ValueError,
            r"x must be finite .* nan at .* = \(1, 2, 0\)",
        ),
        (lambda b: {"x": put(b["x"], (0, 0, 1), np.inf)}, ValueError, "x must be finite .* inf"),
        (
            lambda b: {"x": put(b["x"], (3, 1, 0), np.nan), "mask": None},
            ValueError,
            r"nan at .* = \(3, 1, 0\)",
        ),
        (lambda b: {"x": b["x"][:0]}, ValueError, r"x must have each of \(T, N, D\) .* empty sequences"),
        (lambda b: {"x": b["x"][:, :, 0]}, ValueError, r"x must have the shape \(T, N, D\), got \(4, 3\)"),
        (lambda b: {"x": b["x"].astype(int)}, ValueError, r"x must have the shape \(T, N\) for integers"),
        (lambda b: {"x": b["x"].astype(complex)}, TypeError, "x must be of a floating or an integer type"),
        (lambda b: {"x": b["x"].tolist()}, TypeError, "x must be a NumPy array, got list"),
        (
            lambda b: {"x": np.full((4, 3), -1)},
            ValueError,
            r"x must be at least 0 .* -1 at \(t, n\) = \(0, 0\)",
        ),
        (lambda b: {"x": np.full((4, 3), 7), "symbols": 7}, ValueError, r"x must be in 0..symbols-1 = 0..6"),
        (
            lambda b: {"y": np.array([0, 5, 1])},
            ValueError,
            r"y must lie in 0..classes-1 = 0..4, found 5 at 1",
        ),
        (lambda b: {"y": np.array([0, 1, -1])}, ValueError, "found -1 at 2"),
        (lambda b: {"y": put(np.zeros((4, 3), int), (1, 1), 9)}, ValueError, r"found 9 at \(1, 1\)"),
        (lambda b: {"y": b["y"].astype(float)}, TypeError, "y must be of an integer type, got float64"),
        (lambda b: {"y": b["y"][:2]}, ValueError, r"y must have the shape \(N,\) = \(3,\) or"),
        (
            lambda b: {"mask": put(b["mask"], (0, 2), 0.5)},
            ValueError,
            r"mask must be 0 or 1 .* 0.5 at \(0, 2\)",
        ),
        (lambda b: {"mask": put(b["mask"], (0, 2), np.nan)}, ValueError, "mask must be 0 or 1 .* nan"),
        (lambda b: {"mask": b["mask"].astype(complex)}, TypeError, "mask must be bool or of a real type"),
        (
            lambda b: {"mask": b["mask"].T},
            ValueError,
            r"mask must have the shape \(T, N\) = \(4, 3\), got \(3, 4\)",
        ),
        (
            lambda b: {"mask": put(b["mask"], np.s_[:, 2], 0)},
            ValueError,
            "mask leaves example 2 no live step",
        ),
        (lambda b: {"classes": 1}, ValueError, "classes must be at least 2, got 1"),
    ],
)
def test_bad_values(change, error, message):
    batch = own_batch()
    with pytest.raises(error, match=message):
        data.check_batch(**{**batch, **change(batch)})


@pytest.mark.parametrize("wrong", [0.5, np.nan])
def test_a_mask_that_is_neither_0_nor_1_makes_no_batch(wrong):
    class Padded:
        def batch(self, indices, dtype):
            mask = np.ones((4, len(indices)))
            mask[1, 0] = wrong if 2 in indices else 0
            return np.zeros((4, len(indices), 1), dtype), np.zeros(len(indices), int), mask

    batches = data.Batches(Padded(), [np.array([0, 1]), np.array([2, 3])])
    assert len(batches[0]) == 3
    with pytest.raises(ValueError, match=r"mask must be 0 or 1 everywhere, found .* at \(1, 0\)"):
        batches[1]


# What the command line prints


def test_list_names_presence_place_size_and_licence(small, cache, tmp_path, monkeypatch):
    header, full, subset, *_ = data.list_data().splitlines()
    assert header.split() == ["name", "present", "size", "contents", "licence", "where"]
    assert (
        full.startswith("mnist ")
        and "0 of 4 files" in full
        and str(cache.parent) in full
        and "CC BY-SA 3.0" in full
    )
    assert subset.startswith("mnist_subset ") and "1 of 1 files" in subset and "0.8 MB" in subset
    assert "BSD-3" in subset and str(mnist.subset_place().parent) in subset
    small.write(tmp_path / "mine" / "mnist")
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "mine"))
    assert "4 of 4 files" in data.list_data() and str(tmp_path / "mine" / "mnist") in data.list_data()


def test_verify(small, cache, tmp_path, monkeypatch):
    report = data.verify_data()
    assert "mnist: not here" in report and "mnist_subset: whole and readable" in report
    assert "500 held-out images" in report
    with pytest.raises(data.DataError, match="minibn data fetch mnist"):
        data.verify_data("mnist")
    small.write(cache)
    report = data.verify_data("mnist").splitlines()
    assert len(report) == 5 and "50 train, 10 validation, 10 test set" in report[-1]
    path = cache / small.names["test images"]
    path.write_bytes(damage_flip(path.read_bytes()))
    for name in ("mnist", None):
        with pytest.raises(data.DataError, match="t10k-images.*damaged"):
            data.verify_data(name)
    with pytest.raises(data.DataError, match="no data set 'mnits'; the names are mnist, mnist_subset"):
        data.verify_data("mnits")


@pytest.mark.parametrize("home", ["cache", "environment"])
def test_fetch_fills_and_repairs(small, cache, server, tmp_path, monkeypatch, home):
    root, address = server
    small.write(root / "good")
    small.publish(mirrors=(address + "good/",))
    folder = cache
    if home == "environment":
        folder = tmp_path / "mine" / "mnist"
        (tmp_path / "mine").mkdir()
        monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "mine"))
    assert data.fetch_data("mnist").count(": fetched") == 4
    path = folder / small.names["train images"]
    path.write_bytes(b"damaged")
    report = data.fetch_data("mnist")
    assert report.count("fetched again") == 1 and report.count("already here") == 3
    assert path.read_bytes() == small.raw["train images"]
    assert len(data.load_mnist().train) == 50


def test_a_failed_repair_keeps_the_file(small, cache, no_network):
    path = small.write(cache) / small.names["train images"]
    path.write_bytes(b"damaged")
    with pytest.raises(data.DataError, match="train-images.*could not be downloaded"):
        data.fetch_data("mnist")
    assert path.read_bytes() == b"damaged"


def test_fetching_the_subset_says_that_it_is_here():
    assert "ships with minibn" in data.fetch_data("mnist_subset")
    with pytest.raises(data.DataError, match="no data set 'ptbs'"):
        data.fetch_data("ptbs")


def test_every_source_is_listed():
    assert set(catalogue.SOURCES) == {line.split()[0] for line in data.list_data().splitlines()[1:]}


def test_importing_the_room_imports_neither_pooch_nor_tqdm():
    modules = ("pooch", "tqdm", "matplotlib", "cupy")
    program = f"import sys, minibn.data; print([m for m in {modules} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
