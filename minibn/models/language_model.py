"""A language model: a recurrent cell, and a softmax over the next symbol at every step."""

from collections import deque
from itertools import chain
from numbers import Real

import numpy as np

from minibn.backend import array_module, to_host
from minibn.equations.affine import affine_forward
from minibn.errors import check_array, check_below, check_sizes
from minibn.models.base import RecurrentModel


class LanguageModel(RecurrentModel):
    """softmax(W_y h_t + b_y) on every state of a cell: what symbol comes next (Section 5.2 of the paper).

    Parameters
    ----------
    cell : layer
        For example `minibn.BNLSTM`, with an input_size of K; the model uses this very object.
    vocabulary : sequence of symbols, or int
        Anything of length K, for example a string of the characters; or K itself. y has shape (T, N): in language
        modelling y[t] = x[t + 1].
    rng : numpy.random.Generator or int, optional
        Draws W_y, an orthogonal (H, K) matrix; b_y (K,) is zero.

    Attributes
    ----------
    params : mapping
        ``cell.W_x``, ..., ``W_y``, ``b_y``.
    vocabulary : as given

    Examples
    --------
    >>> import numpy as np, minibn
    >>> model = minibn.LanguageModel(minibn.LSTM(input_size=5, hidden_size=8, rng=0), "abcde", rng=1)
    >>> text = np.array([[0], [1], [2], [3], [4]])                    # (T + 1, N) = (5, 1): the indices of "abcde"
    >>> float(model.loss(text[:-1], text[1:])) < 2
    True
    """

    label_axes = "T N"

    def __init__(self, cell, vocabulary, *, rng=None):
        K = _count_symbols(vocabulary)
        if getattr(cell, "sees_ahead", False):
            raise ValueError(f"cell: expected one that reads forward, got {cell!r}, which sees the next symbol; "
                             f"make the model with the forward reader alone")
        if getattr(cell, "input_size", K) != K:
            raise ValueError(f"cell: expected an input_size of K={K}, the symbols of the vocabulary, "
                             f"got {cell.input_size}; make the cell with input_size={K}")
        super().__init__(cell, K, rng=rng)
        self.vocabulary = vocabulary

    def sample(self, prompt, length, temperature=1.0, rng=None, statistics=None):
        """Continue a text: each new symbol is drawn, and read in turn.

        Parameters
        ----------
        prompt : integer ndarray of shape (T,)
            The symbols to start from, at least one, on the host or the device.
        length : int
            How many to draw.
        temperature : float
            The logits are divided by it: 1 draws what the model predicts, towards 0 always the most probable.
        rng : numpy.random.Generator or int, optional
            Gives one uniform number for each symbol.
        statistics : PopulationStatistics, optional
            A model with batch normalization needs them: one text is a batch of one.

        Returns
        -------
        symbols : int64 ndarray of shape (length,), on the host
        """
        prompt = self._check_prompt(prompt)
        check_sizes(length=length)
        check_temperature(temperature)
        xp = array_module(self._own["W_y"])
        x = xp.asarray(prompt)[:, None]                                                      # (T, N = 1)
        [(_, cache)] = deque(self.cell.forward_in_pieces(x, statistics=statistics), maxlen=1)        # the last piece
        symbols = xp.zeros((length, 1), np.intp)        # (T, N = 1): each is read only after it was drawn
        states = chain([cache.last_output],
                       self.cell.forward_reading(symbols, cache.final_state, statistics, len(prompt)))
        for t, (uniform, h) in enumerate(zip(np.random.default_rng(rng).random(length), states, strict=False)):
            logits = affine_forward(h[0], self._own["W_y"], self._own["b_y"])                # (K,)
            symbols[t] = draw_symbol(to_host(logits), temperature, uniform)
        return to_host(symbols[:, 0]).astype(np.int64)

    def _read_forward(self, pieces):
        t = 0
        for h, _ in pieces:                                           # (steps, N, H)
            yield slice(t, t + len(h)), h
            t += len(h)

    def _read_backward(self, dstates, cache):
        return dstates                                                # (T, N, H)

    def _live(self, mask):
        return mask

    def _check_prompt(self, prompt):
        """The prompt on the host; its values can be checked, for each draw waits for the device anyway."""
        if getattr(prompt, "shape", None) == (0,):
            raise ValueError("prompt: expected at least one symbol, got none; the first one has nothing to follow, "
                             "start with a line break or a space")
        check_array("prompt", prompt, "T", kinds="iu")
        prompt = to_host(prompt)
        check_below("prompt", prompt, self.classes)
        return prompt


def draw_symbol(logits, temperature, uniform):
    """One draw from softmax(logits / temperature), on the host: the same for the same number on every device.

    Parameters
    ----------
    logits : ndarray of shape (K,)
    temperature : float
    uniform : float
        In [0, 1): the inverse of the cumulative distribution is taken there.
    """
    if not np.all(np.isfinite(logits)):
        raise ValueError("logits: expected finite numbers, got some that are not; the training of this model has "
                         "diverged, load an earlier checkpoint")
    z = logits.astype(np.float64)
    z = np.maximum(z - z.max(), -1000 * temperature) / temperature    # exp(-1000) is 0: no tiny temperature overflows
    cumulative = np.exp(z).cumsum()                                   # (K,)
    # Strictly below the last entry, since uniform <= 1 - 2^-53; an entry of probability 0 is never the first above.
    return int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))


def check_temperature(temperature):
    """Refuse what is not a positive number."""
    if not isinstance(temperature, Real) or not temperature > 0:
        raise ValueError(f"temperature: expected a positive number, got {temperature!r}; "
                         f"1.0 draws what the model predicts, 0.01 nearly always the most probable symbol")


def _count_symbols(vocabulary):
    """K of a vocabulary, or of an int."""
    if not isinstance(vocabulary, int | np.integer) and not hasattr(vocabulary, "__len__"):
        raise TypeError(f"vocabulary: expected symbols or their number, got {type(vocabulary).__name__}; "
                        f"pass for example a string of all characters")
    K = int(vocabulary) if isinstance(vocabulary, int | np.integer) else len(vocabulary)
    if K < 2:
        raise ValueError(f"vocabulary: expected at least 2 symbols, got {K}; pass all symbols of the text")
    return K
