"""Layers: parameters and the equations that use them.

A layer keeps parameters and settings, nothing else: what a forward pass computed is in the cache that it returns,
statistics go in and come out as values, and gradients are new arrays. A `RecurrentLayer` is one recurrence;
its declaration (`minibn.cells`) says which equations it runs. `Stacked` and `Bidirectional` are layers made of layers.
"""

from minibn.layers.base import RecurrentLayer
from minibn.layers.bidirectional import Bidirectional
from minibn.layers.cells import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm
from minibn.layers.stacked import Stacked

__all__ = ["BNLSTM", "BNRNN", "LSTM", "RNN", "BNRNNTwoTerm", "Bidirectional", "RecurrentLayer", "Stacked"]
