"""MNIST, whole and in the part that ships with minibn.

The protocol of the paper: the first 50,000 images of the training file for training, its last 10,000 for
validation, the 10,000 of the other file for the test; pixels divided by 255, no mean subtracted.
"""

import io

import numpy as np

from minibn.data import idx
from minibn.data.batches import Dataset, Split
from minibn.data.files import DataFile, shipped_folders
from minibn.data.sources import PublishedFile, PublishedFiles

# The official address comes last: it often refuses.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)


def _file(name, size, sha256, packed_size, packed_sha256):
    """A file as it is known, and the gz file that was published; some copies have a point for the first hyphen."""
    return PublishedFile(
        DataFile(name, size, sha256),
        aliases=(name.replace("-idx", ".idx"),),
        origin=DataFile(f"{name}.gz", packed_size, packed_sha256),
        mirrors=MIRRORS,
    )


FILES = {
    "train images": _file(
        "train-images-idx3-ubyte",
        47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train labels": _file(
        "train-labels-idx1-ubyte",
        60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "test images": _file(
        "t10k-images-idx3-ubyte",
        7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "test labels": _file(
        "t10k-labels-idx1-ubyte",
        10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}  # fmt: skip
TRAIN_SIZE = 50_000  # of the 60,000 images of the training file

SUBSET_FILE = PublishedFile(
    DataFile("mnist_subset.npz", 845_521, "d930c5a280f493772c5e556e9101c9d8bcf139a544d61d963e802030f5c5217d")
)
SUBSET_TRAIN_SIZE, SUBSET_VALID_SIZE = 4_000, 500


def source():
    """The four files; they may also lie in the folders in which torchvision keeps them."""
    return PublishedFiles("mnist", ("mnist", "MNIST/raw", "raw"), tuple(FILES.values()))


def load_mnist(folder=None, side=28):
    """The full MNIST: 50,000 / 10,000 / 10,000 images.

    Parameters
    ----------
    folder : str or path, optional
        A folder with the four files, plain or packed with gzip, xz or zip, or with a folder ``mnist`` or
        ``MNIST/raw`` that has them. Without it the environment variable ``MINIBN_DATA`` names that folder;
        without both they are downloaded once to the user's cache.
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
    files = source()
    places = files.find(folder)
    arrays = {}
    for (what, file), raw in zip(FILES.items(), files.read(places), strict=True):
        parse = idx.parse_images if what.endswith("images") else idx.parse_labels
        arrays[what] = parse(raw, str(places[file]))
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
    with np.load(io.BytesIO(SUBSET_FILE.read_shipped(subset_place())), allow_pickle=False) as archive:
        return {name: archive[name] for name in ("images", "labels", "indices")}


def subset_place():
    """Where the shipped file lies, or None."""
    return SUBSET_FILE.place(shipped_folders())


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
