"""The paper's cells, one file each: the step, its backward, the table of its quantities, and the declaration `CELL`."""

from importlib import import_module

from minibn.cells.check import check_declaration
from minibn.cells.declaration import Cell, Data, Option, Parameter

__all__ = ["CELLS", "Cell", "Data", "Option", "Parameter", "check_declaration"]

FILES = ("rnn", "irnn", "bn_rnn", "bn_rnn_two_term", "lstm", "bn_lstm")
DEFAULT = "bnlstm"      # what is trained where nobody says otherwise
CELLS = {cell.name: cell for cell in (import_module(f"{__name__}.{file}").CELL for file in FILES)}
