"""From a configuration to its data, its model and its optimizer."""

from minibn.backend import to_device
from minibn.data import load_mnist, load_mnist_subset, pixel_order
from minibn.data.mnist import FILES, SUBSET_FILE
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN
from minibn.models import SequenceClassifier
from minibn.optimizers import RMSProp
from minibn.training.randomness import generator

__all__ = ["build_model", "build_optimizer", "data_checksums", "load_data"]

LAYERS = {"rnn": RNN, "bnrnn": BNRNN, "lstm": LSTM, "bnlstm": BNLSTM}


def load_data(config, order=None):
    """The run's data set, its pixels in the run's order.

    Parameters
    ----------
    config : TrainConfig
    order : ndarray of int, shape (T,), optional
        The order saved with a run. Without it, it is drawn as the configuration says.

    Returns
    -------
    minibn.data.Dataset
    """
    data = load_mnist(side=config.side) if config.data == "mnist" else load_mnist_subset(side=config.side)
    return data.reordered(pixel_order(config.index_map, data.steps, config.seed) if order is None else order)


def data_checksums(config):
    """SHA-256 by name of the files that the run's data set is read from (and checked against)."""
    files = FILES.values() if config.data == "mnist" else [SUBSET_FILE]
    return {file.name: file.sha256 for file in files}


def build_model(config, classes=10):
    """A freshly initialised model, on the run's device."""
    options = {"dtype": config.dtype, "init": config.init, "engine": config.engine}
    if config.normalized:
        options |= {"gamma": config.gamma, "eps": config.eps}
    if config.model.endswith("lstm"):
        options["forget_bias"] = config.forget_bias
    if config.model == "lstm":
        options["cell_offset"] = config.cell_offset
    rng = generator(config.seed, "parameters")
    cell = LAYERS[config.model](1, config.hidden, rng=rng, **options)
    return to_device(SequenceClassifier(cell, classes, rng=rng), config.device)


def build_optimizer(config, model):
    """The paper's optimizer on the model's parameters."""
    return RMSProp(model.params, config.learning_rate, config.rmsprop_decay)
