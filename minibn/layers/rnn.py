"""The tanh RNN and its batch-normalized forms."""

import numpy as np

from minibn.equations import bn_rnn, input_term, rnn
from minibn.layers.base import RecurrentLayer
from minibn.layers.checks import check_batch_norm, check_input_statistics


class RNN(RecurrentLayer):
    """The tanh RNN of Eq. 1. Parameters W_x (D, H), W_h (H, H), b (H,), h0 (H,).

    Parameters
    ----------
    input_size, hidden_size : int
        D and H.
    dtype : {float64, float32}
    rng : numpy.random.Generator or int, optional
        Draws the weights.
    engine : {"equations", "kernels"}
        The readable equations, or the same mathematics made fast.
    init : {"orthogonal", "identity"}
        Of W_h.
    """

    kernel = "rnn"
    quantities = rnn.QUANTITIES

    def _new_parameters(self, H, G):
        return {}

    def _recur_forward(self, x_term, state, mask, given):
        return rnn.rnn_forward(x_term, *state, self.params["W_h"], self.params["b"], mask)

    def _recur_backward(self, dh, cache, observe):
        return rnn.rnn_backward(dh, cache, observe)


class BNRNN(RecurrentLayer):
    """The RNN of Figure 1(a): one batch norm on W_h h_{t-1} + W_x x_t, whose beta is b.

    Parameters W_x (D, H), W_h (H, H), b, gamma, h0 (H,); statistics term "sum".

    Parameters
    ----------
    gamma : float
        Initial value (the paper recommends 0.1).
    eps : float
        Added to the variance.
    input_size, hidden_size, dtype, rng, engine, init
        As for `RNN`.
    """

    kernel = "bn_rnn"
    terms = ("sum",)
    quantities = bn_rnn.SUM_QUANTITIES

    def __init__(self, input_size, hidden_size, *, gamma=0.1, eps=1e-5, dtype=np.float64, **settings):
        self.gamma, self.eps = check_batch_norm(gamma, eps, dtype)
        super().__init__(input_size, hidden_size, dtype=dtype, **settings)

    def _new_parameters(self, H, G):
        return {"gamma": np.full(G, self.gamma)}

    def _recur_forward(self, x_term, state, mask, given):
        p = self.params
        return bn_rnn.bn_rnn_forward(x_term, *state, p["W_h"], p["gamma"], p["b"], self.eps, mask, given)

    def _recur_backward(self, dh, cache, observe):
        return bn_rnn.bn_rnn_backward(dh, cache, observe)


class BNRNNTwoTerm(RecurrentLayer):
    """The tanh RNN with a batch norm for each term, as Eq. 6 has it for the LSTM.

    Parameters W_x (D, H), W_h (H, H), b, gamma_x, gamma_h, h0 (H,); statistics terms "x" and "h".

    Parameters
    ----------
    gamma, eps
        As for `BNRNN`, gamma for both terms.
    input_statistics : {"step", "sequence"}
        Statistics of W_x x_t per time step, or one set for the whole sequence (BN-e*).
    input_size, hidden_size, dtype, rng, engine, init
        As for `RNN`.
    """

    kernel = "bn_rnn_two_term"
    terms = ("x", "h")
    quantities = {**input_term.QUANTITIES, **bn_rnn.TWO_TERM_QUANTITIES}

    def __init__(self, input_size, hidden_size, *, gamma=0.1, eps=1e-5, input_statistics="step", dtype=np.float64,
                 **settings):
        self.gamma, self.eps = check_batch_norm(gamma, eps, dtype)
        self.input_statistics = check_input_statistics(input_statistics)
        super().__init__(input_size, hidden_size, dtype=dtype, **settings)

    def _new_parameters(self, H, G):
        return {"gamma_x": np.full(G, self.gamma), "gamma_h": np.full(G, self.gamma)}

    def _recur_forward(self, x_term, state, mask, given):
        p = self.params
        return bn_rnn.bn_rnn_two_term_forward(x_term, *state, p["W_h"], p["gamma_h"], p["b"], self.eps, mask, given)

    def _recur_backward(self, dh, cache, observe):
        return bn_rnn.bn_rnn_two_term_backward(dh, cache, observe)
