"""Layers: parameters and the equations that use them.

A layer keeps parameters and settings, nothing else: what a forward pass computed is in the cache that it returns,
statistics go in and come out as values, and gradients are new arrays. One layer is one recurrence; its class says
which equations it runs.
"""

from minibn.layers.lstm import BNLSTM, LSTM
from minibn.layers.rnn import BNRNN, RNN, BNRNNTwoTerm

__all__ = ["BNLSTM", "BNRNN", "LSTM", "RNN", "BNRNNTwoTerm"]
