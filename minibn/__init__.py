"""minibn: recurrent batch normalization, written by hand.

Forward passes and back-propagation through time of the tanh RNN, the LSTM and the batch-normalized LSTM of
Cooijmans et al., "Recurrent Batch Normalization" (ICLR 2017), on NumPy or CuPy arrays.
"""

from importlib import import_module

from minibn.backend import array_module, to_device, to_host
from minibn.exchange import from_torch, to_torch
from minibn.gradcheck import check_function, check_gradients
from minibn.kernels import free_workspaces
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, Bidirectional, BNRNNTwoTerm, RecurrentLayer, Stacked
from minibn.models import AttentiveReader, LanguageModel, Questions, SequenceClassifier
from minibn.statistics import PopulationStatistics, Statistics
from minibn.tracing import trace

__version__ = "0.1.0"

__all__ = ["BNLSTM", "BNRNN", "LSTM", "RNN", "AttentiveReader", "BNRNNTwoTerm", "Bidirectional", "LanguageModel",
           "PopulationStatistics", "Questions", "RecurrentLayer", "SequenceClassifier", "Stacked", "Statistics",
           "array_module", "check_function", "check_gradients", "estimate_population_statistics", "free_workspaces",
           "from_torch", "load", "to_device", "to_host", "to_torch", "trace"]

# Imported when they are asked for: a first `import minibn` needs neither data nor training.
_LATER = {"load": "minibn.training.runs", "estimate_population_statistics": "minibn.training.population"}
_ROOMS = ("data", "studies", "training")


def __getattr__(name):
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name in _ROOMS:
        return import_module(f"minibn.{name}")
    raise AttributeError(f"module 'minibn' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LATER, *_ROOMS})
