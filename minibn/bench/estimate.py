"""``python -m minibn.bench.estimate``: what the CUDA kernels' step-by-step path should cost on cards that we have not.

Nothing here is measured but the host's share. Each step is a product and a kernel on the GPU, and two launches on the
host. The GPU's time follows from counts: multiplications at a share of the card's peak, or the bytes of W_h where they
do not stay in its cache; and the bytes that the kernel reads and writes. The host works ahead, so that a step takes the
longer of the two.
"""

from typing import NamedTuple

from minibn.tables import markdown_table


class Card(NamedTuple):
    """A GPU, as its maker describes it."""

    float32: float      # 10^12 operations a second, without tensor cores
    float64: float
    memory: float       # 10^9 bytes a second
    cache: float        # bytes, L2


CARDS = {"H200": Card(67, 34, 4800, 50e6), "A100": Card(19.5, 9.7, 1555, 40e6), "L4": Card(30.3, 0.47, 300, 48e6),
         "T4": Card(8.1, 0.25, 320, 4e6)}
SHAPE = (99, 64, 1000)          # T, N, H of the paper's Penn Treebank
SHARE = 0.6                     # of the peak that a library's product of this size reaches; a guess
HOST_US = 38                    # of a step: 45 measured on an H200's host, less 7 for arguments that are made once
LAUNCH_US = 3                   # until a launched kernel runs; a guess
# Arrays (N, 4H) that a step's kernel reads or writes; those of (N, H) are quarters.
ARRAYS = {"LSTM": {"forward": 4.25, "backward": 4}, "BN-LSTM": {"forward": 5.25, "backward": 7}}


def step_us(card, dtype, arrays):
    """Microseconds of a step on the GPU, in either direction."""
    _, N, H = SHAPE
    itemsize = 4 if dtype == "float32" else 8
    weights = 4 * H * H * itemsize
    multiplied = 2 * N * 4 * H * H / (SHARE * getattr(card, dtype) * 1e6)
    read = weights / (card.memory * 1e3) if weights > card.cache else 0
    kernel = arrays * 4 * N * H * itemsize / (card.memory * 1e3)
    return max(multiplied, read) + kernel + 2 * LAUNCH_US


def rows():
    """A row for each card, dtype and cell: microseconds of a step, and who decides."""
    for name, card in CARDS.items():
        for dtype in ("float32", "float64"):
            for cell, arrays in ARRAYS.items():
                each = [step_us(card, dtype, count) for count in arrays.values()]
                whole = [SHAPE[0] * max(us, HOST_US) / 1e3 for us in each]
                yield (name, dtype, cell, *(f"{us:.0f}" for us in each), str(HOST_US),
                       *(f"{ms:.1f}" for ms in whole), "the host" if max(each) < HOST_US else "the GPU")


if __name__ == "__main__":
    print(f"Estimated, not measured: T, N, H = {SHAPE}, step by step\n")
    print(markdown_table([("", "", "", "forward, us", "backward, us", "host, us", "forward, ms", "backward, ms",
                           "who decides"), *rows()]))
