"""Who takes part: the bare matrix products, our cells, and the cells of others.

An entrant is a plain value, so that it can be sent to the process where it runs; ``entrant.make(entrant, setting)``
makes there what is timed: an object with ``measure(repeats) -> {part: seconds}``.
"""

from collections.abc import Callable
from typing import NamedTuple

from minibn.bench.cells import CellAtAnyShape, OurCell
from minibn.bench.peers import PEERS, PLAIN
from minibn.bench.products import FusedProducts, Products
from minibn.bench.sampling import PRODUCTS, OurSampler, SamplingProducts, TorchSampler
from minibn.cells import CELLS, Cell

ENGINES = ("kernels", "equations")


class Setting(NamedTuple):
    """What all entrants of a table share."""

    shape: tuple            # (T, N, D, H)
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1        # of each process


class Entrant(NamedTuple):
    """One row of the table."""

    name: str
    make: Callable
    cell: Cell              # of products: the plain one that needs them
    engine: str = ""        # of our cells: kernels, equations


def entrants(cells=tuple(CELLS), device="cpu"):
    """The rows of a table, in the order in which they take turns.

    Parameters
    ----------
    cells : sequence of str
        Names in `minibn.cells.CELLS`.
    device : {"cpu", "cuda"}
        JAX takes part on the CPU only.
    """
    cells = [CELLS[name] for name in cells]
    plain = {products_name(cell): plain_of(cell) for cell in cells}
    rows = [Entrant(f"{name}{how}", make, cell) for name, cell in plain.items()
            for make, how in ((Products, ""), (FusedProducts, ", fused"))]
    rows += [row for cell in cells for row in engines_of(cell, OurCell)]
    rows += [Entrant(peer.name, peer, peer.cell) for peer in PEERS if device in peer.devices
             and (peer.cell in cells or peer is PLAIN and any(has_plain_peer(cell) for cell in cells))]
    return rows


def engines_of(cell, make, engines=ENGINES):
    """An entrant for each of the engines that the cell has."""
    return [Entrant(f"{cell.title}, {engine}", make, cell, engine) for engine in engines
            if cell.kernel or engine != "kernels"]


def scaling_entrants(cells, engines=ENGINES):
    """One for each cell, by name, with the first of the engines that it has; it measures at any shape."""
    return [engines_of(CELLS[name], CellAtAnyShape, engines)[0] for name in cells]


def sampling_entrants(cells):
    """Our cells with a kernel and an LSTM's gates, the products of a character, and PyTorch's LSTM."""
    cells = [CELLS[name] for name in cells if CELLS[name].kernel and has_plain_peer(CELLS[name])]
    ours = [row for cell in cells for row in engines_of(cell, OurSampler)]
    return ours and [Entrant(PRODUCTS, SamplingProducts, PLAIN.cell), *ours,
                     Entrant(PLAIN.name, TorchSampler, PLAIN.cell)]


def plain_of(cell):
    """The cell without normalization that needs the same matrix products: with an input term of the same width."""
    return next((each for each in CELLS.values() if each.input == cell.input and not each.normalized), cell)


def products_name(cell):
    """The row of the matrix products that a cell cannot do without."""
    return f"products of the {plain_of(cell).title}"


def has_plain_peer(cell):
    """Whether PyTorch's ``nn.LSTM`` is what people take instead."""
    return cell.gates == PLAIN.cell.gates
