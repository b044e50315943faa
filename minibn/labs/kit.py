"""What a lab file may import: records, array helpers, and the functions that its own lab does not ask for."""

from minibn.backend import array_module
from minibn.equations.activations import dsigmoid, dtanh, sigmoid, tanh
from minibn.equations.batch_norm import (
    BatchNormCache,
    BatchNormGradients,
    batch_norm_backward,
    batch_norm_forward,
)
from minibn.equations.blocks import join, split
from minibn.equations.losses import CrossEntropyCache, log_softmax
from minibn.equations.quantities import Record
from minibn.equations.recurrence import call, freeze_backward, freeze_forward, names_read_by
from minibn.statistics import (
    PopulationStatistics,
    Statistics,
    add_ragged,
    batch_statistics,
    example_weights,
    rows_at_steps,
)

__all__ = ["BatchNormCache", "BatchNormGradients", "CrossEntropyCache", "PopulationStatistics", "Record", "Statistics",
           "add_ragged", "array_module", "batch_norm_backward", "batch_norm_forward", "batch_statistics", "call",
           "dsigmoid", "dtanh", "example_weights", "freeze_backward", "freeze_forward", "join", "log_softmax",
           "names_read_by", "rows_at_steps", "sigmoid", "split", "tanh"]
