"""A classifier of whole sequences: a recurrent cell, and a softmax on its last state."""

import copy

import numpy as np

from minibn.backend import array_module
from minibn.equations.affine import affine_backward, affine_forward
from minibn.equations.losses import log_softmax, softmax_cross_entropy_backward, softmax_cross_entropy_forward
from minibn.errors import check_array, check_below, check_same_backend, check_same_dtype
from minibn.initializers import orthogonal
from minibn.models.params import NestedParams


class SequenceClassifier:
    """softmax(W_y h_T + b_y) on the last carried state of a cell (Section 5.1 of the paper).

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

    def __init__(self, cell, classes, *, rng=None):
        if not isinstance(classes, int | np.integer) or classes < 2:
            raise ValueError(f"classes: expected an integer of at least 2, got {classes!r}; pass the number of labels")
        if isinstance(cell, type) or not hasattr(cell, "state_names"):
            raise TypeError(f"cell: expected a layer, for example a minibn.BNLSTM, got {type(cell).__name__}; make one")
        self.cell, self.classes = cell, int(classes)
        rng = np.random.default_rng(rng)
        xp = array_module(cell.params["W_h"])
        W_y = orthogonal(rng, cell.hidden_size, self.classes).astype(cell.dtype)
        self._own = {"W_y": xp.asarray(W_y), "b_y": xp.zeros(self.classes, dtype=cell.dtype)}

    @property
    def params(self):
        return NestedParams({"cell": self.cell.params, "": self._own})

    @property
    def terms(self):
        """The normalized terms of the cell."""
        return self.cell.terms

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

    def loss(self, x, y, mask=None, statistics=None, initial_noise=None):
        """Mean cross-entropy in nats, a 0-d array; parameters as in `loss_and_grads`. Keeps no cache."""
        self._check_batch(x, y)
        return softmax_cross_entropy_forward(self.logits(x, mask, statistics, initial_noise), y)[0]

    def loss_and_grads(self, x, y, mask=None, statistics=None, initial_noise=None):
        """Mean cross-entropy and its gradient with respect to every parameter.

        Parameters
        ----------
        x : ndarray of shape (T, N, D), or integer ndarray of shape (T, N)
        y : integer ndarray of shape (N,)
            Labels 0 .. K-1.
        mask : ndarray of shape (T, N), optional
        statistics : PopulationStatistics, optional
            Instead of the minibatch's own.
        initial_noise : ndarray of shape (N, H), optional
            Added to h0, for each example; drawn by the caller.

        Returns
        -------
        loss : 0-d ndarray, in nats
        grads : dict
            Keys and shapes of `params`.
        """
        self._check_batch(x, y)
        cell, xp = self.cell, array_module(x)
        state = self._noisy_state(x, initial_noise)
        h, cache = cell.forward(x, mask=mask, initial_state=state, statistics=statistics)
        logits = affine_forward(h[-1], self._own["W_y"], self._own["b_y"])                   # (N, K)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y)
        dlogits = softmax_cross_entropy_backward(loss_cache)                                 # (N, K)
        dh_T, dW_y, db_y = affine_backward(dlogits, h[-1], self._own["W_y"])
        dh = xp.zeros_like(h)                                                                # (T, N, H)
        dh[-1] = dh_T
        _, grads = cell.backward(dh, cache)
        if state is not None:
            for name in cell.state_names:                             # the learned state was broadcast, plus noise
                grads[name] = grads[name].sum(axis=0)                 # (H,)
        return loss, {**{f"cell.{name}": value for name, value in grads.items()}, "W_y": dW_y, "b_y": db_y}

    def logits(self, x, mask=None, statistics=None, initial_noise=None):
        """W_y h_T + b_y (N, K), in pieces over time: memory does not grow with T."""
        state = self._noisy_state(x, initial_noise)
        for h, _ in self.cell.forward_in_pieces(x, mask, state, statistics):
            h_T = h[-1]
        return affine_forward(h_T, self._own["W_y"], self._own["b_y"])

    def predict(self, x, mask=None, statistics=None, initial_noise=None):
        """Class probabilities (N, K); their argmax is the label."""
        return array_module(x).exp(log_softmax(self.logits(x, mask, statistics, initial_noise)))

    def batch_statistics(self, x, mask=None, initial_noise=None):
        """The batch statistics of every normalized term: term -> Statistics of arrays (T, G)."""
        return self.cell.batch_statistics(x, mask, self._noisy_state(x, initial_noise))

    def _noisy_state(self, x, noise):
        """The learned state of every example with `noise` (N, H) on h0; None, the learned state itself, without."""
        if noise is None:
            return None
        cell = self.cell
        check_array("x", x, "T N" if getattr(x, "ndim", 3) == 2 else "T N D", kinds="fciu")
        N, H = x.shape[1], cell.hidden_size
        check_array("initial_noise", noise, "N H", N=N, H=H)
        check_same_backend(cell.params["W_h"], initial_noise=noise)
        check_same_dtype(cell.dtype, initial_noise=noise)
        h_0 = cell.params["h0"] + noise                                                      # (N, H)
        return (h_0, *(array_module(noise).broadcast_to(cell.params[name], (N, H)) for name in cell.state_names[1:]))

    def _check_batch(self, x, y):
        check_array("x", x, "T N" if getattr(x, "ndim", 3) == 2 else "T N D", kinds="fciu")
        check_array("y", y, "N", kinds="iu", N=x.shape[1])
        check_same_backend(self.cell.params["W_h"], y=y)
        check_below("y", y, self.classes)
