"""Who takes part: the bare matrix products, our cells, and the cells of others.

An entrant is a plain value, so that it can be sent to the process where it runs; `build` makes there what is timed:
an object with ``measure(repeats) -> {part: seconds}``.
"""

from typing import NamedTuple

CELLS = {"rnn": "RNN", "bnrnn": "BN-RNN", "lstm": "LSTM", "bnlstm": "BN-LSTM"}
ENGINES = ("kernels", "equations")
PLAIN_LSTM = "PyTorch nn.LSTM"


class Setting(NamedTuple):
    """What all entrants of a table share."""

    shape: tuple            # (T, N, D, H)
    dtype: str = "float32"
    device: str = "cpu"


class Entrant(NamedTuple):
    """One row of the table."""

    name: str
    kind: str               # products, fused products, minibn, torch, jax; scaling
    cell: str               # rnn, bnrnn, lstm, bnlstm; of the products: rnn (G = H) or lstm (G = 4H)
    engine: str = ""        # of minibn: kernels, equations


def entrants(cells=tuple(CELLS), device="cpu"):
    """The rows of a table, in the order in which they take turns.

    Parameters
    ----------
    cells : sequence of {"rnn", "bnrnn", "lstm", "bnlstm"}
    device : {"cpu", "cuda"}
        JAX takes part on the CPU only.
    """
    rows = []
    for cell in ("rnn", "lstm"):
        if {cell, f"bn{cell}"} & set(cells):
            rows += [Entrant(products_name(cell), "products", cell),
                     Entrant(f"{products_name(cell)}, fused", "fused products", cell)]
    rows += [Entrant(f"{CELLS[cell]}, {engine}", "minibn", cell, engine) for cell in cells for engine in ENGINES]
    if "lstm" in cells or "bnlstm" in cells:              # the plain LSTM is what BN-LSTMs are compared with, too
        rows.append(Entrant(PLAIN_LSTM, "torch", "lstm"))
    if "bnlstm" in cells:
        rows.append(Entrant("PyTorch eager BN-LSTM", "torch", "bnlstm"))
    if device == "cpu":
        rows += [Entrant(f"JAX {CELLS[cell]}", "jax", cell) for cell in cells if cell in ("lstm", "bnlstm")]
    return rows


def products_name(cell):
    """The row of the matrix products that a cell cannot do without."""
    return f"products of an {CELLS[cell.removeprefix('bn')]}"


def build(entrant, setting):
    """What is timed; only here are the libraries of others imported.

    Raises
    ------
    ImportError
        The entrant's library is not installed.
    """
    if entrant.kind == "minibn":
        from minibn.bench.cells import Cell

        return Cell(entrant, setting)
    if entrant.kind == "scaling":
        from minibn.bench.scaling import CellAtAnyShape

        return CellAtAnyShape(entrant, setting)
    if entrant.kind.endswith("products"):
        from minibn.bench import products

        return {"products": products.Products, "fused products": products.FusedProducts}[entrant.kind](entrant, setting)
    from minibn.bench import peers

    return {"torch": peers.TorchCell, "jax": peers.JaxCell}[entrant.kind](entrant, setting)
