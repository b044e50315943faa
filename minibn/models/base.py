"""What the models share: a cell, and a softmax on the states that it passes through."""

import copy
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from minibn.backend import array_module
from minibn.equations.affine import affine_backward, affine_forward
from minibn.equations.losses import log_softmax, softmax_cross_entropy_backward, softmax_cross_entropy_forward
from minibn.errors import brief, check_array, check_below, check_same_backend
from minibn.initializers import orthogonal
from minibn.layers.checks import check_input, check_leaves, check_names
from minibn.layers.params import NestedParams


class ModelCache(NamedTuple):
    """What a model's backward needs of its forward."""

    cell: object        # the cell's own cache
    states: object      # (N, H) or (T, N, H): those that the softmax reads
    W_y: object         # (H, K)

    __repr__ = brief


class RecurrentModel(ABC):
    """softmax(W_y h + b_y) on carried states h of a cell.

    Subclasses say which states these are and where their labels stand: `label_axes`, the pair `_read_forward`,
    `_read_backward`, and `_live`.

    Parameters
    ----------
    cell : layer
        For example `minibn.BNLSTM`; the model uses this very object.
    classes : int
        K.
    rng : numpy.random.Generator or int, optional
        Draws W_y, an orthogonal (H, K) matrix; b_y (K,) is zero.

    Attributes
    ----------
    params : mapping
        ``cell.W_x``, ..., ``W_y``, ``b_y``.
    """

    label_axes = ""                 # of y: "N" or "T N"

    def __init__(self, cell, classes, *, rng=None):
        if isinstance(cell, type) or not hasattr(cell, "state_names"):
            raise TypeError(f"cell: expected a layer, for example a minibn.BNLSTM, got {type(cell).__name__}; make one")
        self.cell, self.classes = cell, int(classes)
        rng = np.random.default_rng(rng)
        xp = array_module(cell.reference)
        W_y = orthogonal(rng, cell.output_size, self.classes).astype(cell.dtype)
        self._own = {"W_y": xp.asarray(W_y), "b_y": xp.zeros(self.classes, dtype=cell.dtype)}

    def __repr__(self):
        return f"{type(self).__name__}({self.cell!r}, classes={self.classes})"

    @property
    def params(self):
        return NestedParams({"cell": self.cell.params, "": self._own})

    @property
    def terms(self):
        """The normalized terms of the cell."""
        return self.cell.terms

    @property
    def noise_size(self):
        """The width of the noise on the cell's states."""
        return self.cell.noise_size

    def draw_data(self, rng, x):
        """What the cell takes at each step, drawn for training on x."""
        return self.cell.draw_data(rng, *x.shape[:2])

    def check_statistics(self, statistics):
        """Refuse statistics of another model."""
        check_names("statistics", statistics, self.terms)
        check_leaves(self.cell.leaves(), statistics)

    @property
    def dtype(self):
        """The dtype of the parameters, which x must have too."""
        return self.cell.dtype

    def map_params(self, function):
        """A copy of the model with `function` applied to every parameter."""
        other = copy.copy(self)
        other.cell = self.cell.map_params(function)
        other._own = {name: function(value) for name, value in self._own.items()}
        return other

    def loss(self, x, y, mask=None, statistics=None, initial_noise=None, data=None):
        """Mean cross-entropy in nats, a 0-d array; parameters as in `loss_and_grads`. Keeps no cache."""
        self._check_batch(x, y, mask)
        logits = self.logits(x, mask, statistics, initial_noise, data)
        return softmax_cross_entropy_forward(logits, y, self._live(mask))[0]

    def loss_and_grads(self, x, y, mask=None, statistics=None, initial_noise=None, data=None):
        """Mean cross-entropy over the live predictions, and its gradient with respect to every parameter.

        Parameters
        ----------
        x : ndarray of shape (T, N, D), or integer ndarray of shape (T, N)
        y : integer ndarray of shape (N,) for a classifier, (T, N) for a language model
            Labels 0 .. K-1; padded ones are never read.
        mask : ndarray of shape (T, N), optional
        statistics : PopulationStatistics, optional
            Instead of the minibatch's own.
        initial_noise : ndarray of shape (N, H), optional
            Added to h0, for each example; drawn by the caller. H is the cell's `noise_size`.
        data : dict of str to ndarray (T, N, ...), optional
            What the cell takes at each step, drawn by the caller (`cell.draw_data`); by default their expectations.

        Returns
        -------
        loss : 0-d ndarray, in nats
        grads : dict
            Keys and shapes of `params`.
        """
        self._check_batch(x, y, mask)
        logits, cache = self.forward(x, mask, statistics, initial_noise, data)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y, self._live(mask))
        return loss, self.backward(softmax_cross_entropy_backward(loss_cache), cache)

    def forward(self, x, mask=None, statistics=None, initial_noise=None, data=None):
        """W_y h + b_y, to go backward from.

        Returns
        -------
        logits : ndarray of shape (N, K) for a classifier, (T, N, K) for a language model
        cache : ModelCache
        """
        state = self.cell.noisy_state(x, initial_noise)
        h, cache = self.cell.forward(x, mask=mask, initial_state=state, statistics=statistics, data=data)
        [(_, states)] = self._read_forward([(h, cache)])                                     # (N, H) or (T, N, H)
        W_y = self._own["W_y"].copy()                                 # what is learned later does not reach the cache
        return affine_forward(states, W_y, self._own["b_y"]), ModelCache(cache, states, W_y)

    def backward(self, dlogits, cache):
        """The gradients of every parameter, from those of the logits: a dict with the keys and shapes of `params`."""
        dstates, dW_y, db_y = affine_backward(dlogits, cache.states, cache.W_y)
        dh = self._read_backward(dstates, cache.cell)                                        # (T, N, H)
        _, grads = self.cell.backward(dh, cache.cell)
        for name in self.cell.state_names:
            if grads[name].ndim == 2:                                 # the learned state was broadcast, plus noise
                grads[name] = grads[name].sum(axis=0)                 # (H,)
        return {**{f"cell.{name}": value for name, value in grads.items()}, "W_y": dW_y, "b_y": db_y}

    def totals(self, x, y, mask=None, statistics=None, initial_noise=None, piece_steps=None, observe=None, data=None):
        """The sums over live predictions of cross-entropy, in nats, and of right answers: memory does not grow with T.

        Parameters
        ----------
        x, y, mask, statistics, initial_noise, data
            As in `loss_and_grads`.
        piece_steps : int, optional
            Time steps to run at once, as in the cell's `forward_in_pieces`; it changes no result, only the memory.
        observe : callable, optional
            ``observe(steps)`` after each piece, with its number of steps: how far a long text is.

        Returns
        -------
        loss, correct : 0-d float64 ndarray
            On the device of x: nothing waits for it. Each prediction's loss is made float64 before it is added.
        """
        self._check_batch(x, y, mask)
        xp, live = array_module(x), self._live(mask)
        loss, correct = xp.zeros((), dtype="float64"), xp.zeros((), dtype="float64")
        for place, logits in self._logits_in_pieces(x, mask, statistics, initial_noise, data, piece_steps,
                                                      observe):
            log_p_y, right = score_predictions(logits, y[place], None if live is None else live[place])
            loss -= log_p_y.sum()
            correct += right.sum()
        return loss, correct

    def logits(self, x, mask=None, statistics=None, initial_noise=None, data=None):
        """W_y h + b_y, (N, K) for a classifier and (T, N, K) for a language model; keeps no cache."""
        pieces = self._logits_in_pieces(x, mask, statistics, initial_noise, data)
        return array_module(x).concatenate([logits for _, logits in pieces])

    def predict(self, x, mask=None, statistics=None, initial_noise=None, data=None):
        """Probabilities of the shape of `logits`; their argmax is the label."""
        return array_module(x).exp(log_softmax(self.logits(x, mask, statistics, initial_noise, data)))

    def batch_statistics(self, x, mask=None, initial_noise=None, data=None, statistics=None):
        """The statistics of every normalized term, the batch's own but for those given; as `Layer.batch_statistics`."""
        return self.cell.batch_statistics(x, mask, self.cell.noisy_state(x, initial_noise), data, statistics)

    def _logits_in_pieces(self, x, mask, statistics, initial_noise, data=None, piece_steps=None, observe=None):
        """Yield (place of their labels in y, logits), in pieces over time."""
        state = self.cell.noisy_state(x, initial_noise)

        def pieces():
            for h, cache in self.cell.forward_in_pieces(x, mask, state, statistics, piece_steps, data):
                yield h, cache
                if observe is not None:
                    observe(len(h))

        for place, states in self._read_forward(pieces()):
            yield place, affine_forward(states, self._own["W_y"], self._own["b_y"])

    @abstractmethod
    def _read_forward(self, pieces):
        """Of (h, cache) of consecutive pieces, yield (place of their labels in y, states for the softmax)."""

    @abstractmethod
    def _read_backward(self, dstates, cache):
        """The gradient dh (T, N, H) from that of the states that were read from one piece, the whole."""

    @abstractmethod
    def _live(self, mask):
        """Which of y are predictions that count, of the shape of y; None where all are."""

    def _check_batch(self, x, y, mask):
        check_input(self.cell, x, mask)
        T, N = x.shape[:2]
        sizes = {"T": T, "N": N}
        check_array("y", y, self.label_axes, kinds="iu", **{axis: sizes[axis] for axis in self.label_axes.split()})
        check_same_backend(self.cell.reference, y=y)
        live = self._live(mask)
        check_below("y", y if live is None else array_module(y).where(live != 0, y, 0), self.classes)


def score_predictions(logits, y, live=None):
    """log softmax(z)_y of each prediction, in float64, and whether its largest logit is the label's.

    Parameters
    ----------
    logits : ndarray of shape (..., K)
    y : integer ndarray of shape (...)
    live : ndarray of shape (...), optional
        The others score zero, whatever their labels are.

    Returns
    -------
    log_p_y : float64 ndarray of shape (...)
    right : bool ndarray of shape (...)
    """
    xp = array_module(logits)
    if live is not None:
        y = xp.where(live != 0, y, 0)
    log_p_y = xp.take_along_axis(log_softmax(logits), y[..., None], axis=-1)[..., 0].astype("float64")
    right = logits.argmax(axis=-1) == y
    if live is not None:
        log_p_y, right = xp.where(live != 0, log_p_y, 0), right & (live != 0)
    return log_p_y, right
