"""MNIST, whole and in the part that ships with minibn.

The protocol of the paper: the first 50,000 images of the training file for training, its last 10,000 for
validation, the 10,000 of the other file for the test; pixels divided by 255, no mean subtracted.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from minibn.data import idx
from minibn.data.batches import Dataset, Split
from minibn.data.files import (
    ENVIRONMENT_VARIABLE,
    DataError,
    DataFile,
    data_home,
    download,
    ensure,
    place_of,
    read_checked,
)

FILES = {
    "train images": DataFile(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train labels": DataFile(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "test images": DataFile(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "test labels": DataFile(
        "t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}
# The official address comes last: it often refuses.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
TRAIN_SIZE = 50_000  # of the 60,000 images of the training file

SUBSET_FILE = DataFile(
    "mnist_subset.npz", 845_521, "d930c5a280f493772c5e556e9101c9d8bcf139a544d61d963e802030f5c5217d"
)
SUBSET_TRAIN_SIZE, SUBSET_VALID_SIZE = 4_000, 500

_FETCH = f"run `minibn data fetch mnist`, or set {ENVIRONMENT_VARIABLE} to a folder with the four MNIST files"


def load_mnist(folder=None, side=28):
    """The full MNIST: 50,000 / 10,000 / 10,000 images.

    Parameters
    ----------
    folder : str or path, optional
        A folder with the four gz files, or with a folder ``mnist`` that has them. Without it the environment
        variable ``MINIBN_DATA`` names that folder; without both they are downloaded once to the user's cache.
    side : {28, 14}
        14 takes the mean of each 2x2 pixels: 196 steps instead of 784.

    Returns
    -------
    Dataset
        Pixels in order; see `Dataset.reordered`.

    Raises
    ------
    DataError
        If a file is missing and cannot be downloaded, or is not, to the last bit, the published one.
    """
    _check_side(side)
    home, ours = data_home(folder)
    arrays = {}
    for what, file in FILES.items():
        place = place_of(file, home, "mnist")
        if place is None and ours:
            place = home / "mnist" / file.name
            download(file, place, MIRRORS, _FETCH)
        elif place is None:
            raise DataError(f"{file.name} is neither in {home / 'mnist'} nor in {home}; {_FETCH}")
        raw = read_checked(place, file, _FETCH)
        arrays[what] = (idx.parse_images if what.endswith("images") else idx.parse_labels)(raw, str(place))
    whole = {}
    for part in ("train", "test"):
        images, labels = f"{part} images", f"{part} labels"
        idx.check_counts(arrays[images], arrays[labels], FILES[images].name, FILES[labels].name)
        whole[part] = _split(arrays[images], arrays[labels], side)
    return Dataset(
        name="mnist",
        side=side,
        train=_part(whole["train"], 0, TRAIN_SIZE),
        valid=_part(whole["train"], TRAIN_SIZE, None),
        test=whole["test"],
    )


def load_mnist_subset(side=28):
    """The 5,000 MNIST training images that ship with minibn: 4,000 / 500 / 500, all digits equally often.

    The last part is held out from the training file of MNIST: it is not the MNIST test set, and a number
    measured on it is not an MNIST test number.

    Parameters
    ----------
    side : {28, 14}
        14 takes the mean of each 2x2 pixels: 196 steps instead of 784.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    _check_side(side)
    arrays = read_subset()
    whole = _split(arrays["images"], arrays["labels"], side)
    held_out = SUBSET_TRAIN_SIZE + SUBSET_VALID_SIZE
    return Dataset(
        name="mnist_subset",
        side=side,
        train=_part(whole, 0, SUBSET_TRAIN_SIZE),
        valid=_part(whole, SUBSET_TRAIN_SIZE, held_out),
        test=_part(whole, held_out, None),
        test_name="held-out images",
    )


def read_subset():
    """The arrays of the shipped file, checked.

    Returns
    -------
    dict of str to ndarray
        "images" uint8 (5000, 28, 28); "labels" uint8 (5000,); "indices" int32 (5000,), the place of each
        image in the training file of MNIST.
    """
    place = subset_place()
    remedy = "install minibn again"
    if place is None:
        raise DataError(f"{SUBSET_FILE.name} is not beside the package; {remedy}")
    raw = read_checked(place, SUBSET_FILE, remedy)
    with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
        return {name: archive[name] for name in ("images", "labels", "indices")}


def subset_place():
    """Where the shipped file lies: inside an installed package, or beside it in a checkout; else None."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_datasets", package.parent / "datasets"):
        if (folder / SUBSET_FILE.name).is_file():
            return folder / SUBSET_FILE.name
    return None


def fetch_mnist():
    """Make sure that the data folder has the four files, intact; replace damaged ones. Returns text lines."""
    home, _ = data_home()
    lines = []
    for file in FILES.values():
        found = place_of(file, home, "mnist")
        place, state = ensure(
            found,
            found or home / "mnist" / file.name,
            read=lambda path, file=file: read_checked(path, file, _FETCH),
            get=lambda path, file=file: download(file, path, MIRRORS, _FETCH),
        )
        lines.append(f"{file.name}: {state}, SHA-256 verified, {place}")
    return lines


def _check_side(side):
    if side not in (28, 14):
        raise ValueError(f"side must be 28 (as published) or 14 (means of 2x2 pixels), got {side!r}")


def _split(images, labels, side):
    if side == 28:
        return Split(images.reshape(len(images), -1), labels)
    # Sums of four bytes rather than rounded means: nothing is lost, white is 4 * 255.
    sums = images.reshape(len(images), side, 2, side, 2).sum(axis=(2, 4), dtype=np.uint16)
    return Split(sums.reshape(len(images), -1), labels, white=1020)


def _part(split, start, stop):
    return Split(split.images[start:stop], split.labels[start:stop], split.white, split.classes)
