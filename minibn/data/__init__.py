"""Real data: reading it, checking it, cutting it into minibatches.

    data = minibn.data.load_mnist_subset(side=14)
    order = minibn.data.pixel_order("permutation", data.steps, seed=1)
    data = data.reordered(order)
    for x, y in data.train.batches(100, rng=np.random.default_rng(7)):
        ...                                   # x (T, N, 1) in [0, 1], y (N,)

Bad files raise `DataError`, which is a ValueError; batches of one's own go through `check_batch`.
"""

from minibn.data.batches import Batches, Dataset, Split, batch_indices
from minibn.data.catalogue import fetch_data, list_data, verify_data
from minibn.data.checks import check_batch
from minibn.data.files import DataError
from minibn.data.mnist import load_mnist, load_mnist_subset
from minibn.data.orders import INDEX_MAPS, pixel_order

__all__ = [
    "INDEX_MAPS",
    "Batches",
    "DataError",
    "Dataset",
    "Split",
    "batch_indices",
    "check_batch",
    "fetch_data",
    "list_data",
    "load_mnist",
    "load_mnist_subset",
    "pixel_order",
    "verify_data",
]
