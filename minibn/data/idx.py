"""The IDX format of MNIST: a big-endian header, then one byte a pixel or a label."""

import struct

import numpy as np

from minibn.data.files import DataError

IMAGES_MAGIC = 2051  # 0x00000803: unsigned bytes, 3 dimensions
LABELS_MAGIC = 2049  # 0x00000801: unsigned bytes, 1 dimension


def parse_images(raw, name, side=28):
    """The images in the bytes of an IDX file.

    Parameters
    ----------
    raw : bytes
        The file, unpacked.
    name : str
        What to call it in an error.
    side : int
        The height and width that every image must have.

    Returns
    -------
    ndarray of uint8, shape (n, side, side), read-only

    Raises
    ------
    DataError
        If the file is truncated, has another magic number or size, or holds no image.
    """
    count, rows, columns = _header(raw, name, IMAGES_MAGIC, "images", 3)
    if (rows, columns) != (side, side):
        raise DataError(f"{name}: expected images of {side}x{side} pixels, found {rows}x{columns}")
    return _body(raw, name, 16, (count, rows, columns))


def parse_labels(raw, name, classes=10):
    """The labels in the bytes of an IDX file: ndarray of uint8, shape (n,), each in 0..classes-1.

    See `parse_images`; a label out of range is a DataError too.
    """
    (count,) = _header(raw, name, LABELS_MAGIC, "labels", 1)
    labels = _body(raw, name, 8, (count,))
    if labels.max() >= classes:
        worst = int(labels.argmax())
        raise DataError(f"{name}: expected labels 0..{classes - 1}, found {labels[worst]} at place {worst}")
    return labels


def check_counts(images, labels, images_name, labels_name):
    """Raise DataError unless there are as many labels as images."""
    if len(images) != len(labels):
        raise DataError(
            f"{images_name} holds {len(images)} images but {labels_name} holds {len(labels)} labels; "
            "take both files from the same data set"
        )


def _header(data, name, magic, what, dimensions):
    length = 4 + 4 * dimensions
    if len(data) < length:
        raise DataError(f"{name}: expected an IDX header of {length} bytes, the file has {len(data)} bytes")
    found, *sizes = struct.unpack_from(f">{1 + dimensions}I", data)
    if found != magic:
        raise DataError(f"{name}: expected IDX {what} (magic number {magic}), found magic number {found}")
    return sizes


def _body(data, name, offset, shape):
    expected, found = int(np.prod(shape, dtype=object)), len(data) - offset
    if found != expected:
        sizes = " x ".join(str(size) for size in shape)
        raise DataError(f"{name}: the header announces {sizes} = {expected} bytes, {found} bytes follow")
    if not expected:
        raise DataError(f"{name}: the file holds no example")
    return np.frombuffer(data, np.uint8, offset=offset).reshape(shape)
