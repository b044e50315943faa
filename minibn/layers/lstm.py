"""The LSTM and the batch-normalized LSTM. Gate blocks in the paper's order f, i, o, g."""

import numpy as np

from minibn.equations import bn_lstm, input_term, lstm
from minibn.errors import check_number
from minibn.layers.base import RecurrentLayer
from minibn.layers.checks import check_batch_norm, check_input_statistics


class _FourGates(RecurrentLayer):
    """What both LSTMs share: four blocks, a cell state, and a forget bias."""

    blocks = 4
    state_names = ("h0", "c0")

    def __init__(self, input_size, hidden_size, *, forget_bias=1.0, **settings):
        super().__init__(input_size, hidden_size, **settings)
        forget = lstm.GATES.index("f")
        forget_bias = check_number("forget_bias", forget_bias, self.dtype, remedy="the authors' code has 1.0")
        self.params["b"][forget * self.hidden_size:(forget + 1) * self.hidden_size] = forget_bias


class LSTM(_FourGates):
    """The LSTM of Eqs. 2-4. Parameters W_x (D, 4H), W_h (H, 4H), b (4H,), h0, c0 (H,).

    Parameters
    ----------
    input_size, hidden_size : int
        D and H.
    forget_bias : float
        Initial value of b in the forget block (the authors' code has +1, the paper is silent).
    cell_offset : bool
        Add the trainable beta_c (H,) of the authors' baseline, h = o * tanh(c + beta_c).
    dtype : {float64, float32}
    rng : numpy.random.Generator or int, optional
        Draws the weights.
    engine : {"equations", "kernels"}
        The readable equations, or the same mathematics made fast.
    init : {"orthogonal", "identity_g", "identity"}
        Of W_h, see `minibn.initializers.recurrent_weights`.
    """

    kernel = "lstm"
    quantities = lstm.QUANTITIES

    def __init__(self, input_size, hidden_size, *, cell_offset=False, **settings):
        self.cell_offset = cell_offset
        super().__init__(input_size, hidden_size, **settings)

    def _new_parameters(self, H, G):
        return {"beta_c": np.zeros(H)} if self.cell_offset else {}

    def _recur_forward(self, x_term, state, mask, given):
        p = self.params
        return lstm.lstm_forward(x_term, *state, p["W_h"], p["b"], p.get("beta_c", 0.0), mask)

    def _recur_backward(self, dh, cache, observe):
        return lstm.lstm_backward(dh, cache, observe)


class BNLSTM(_FourGates):
    """The batch-normalized LSTM of Eqs. 6-8.

    Parameters W_x (D, 4H), W_h (H, 4H), b, gamma_x, gamma_h (4H,), gamma_c, beta_c, h0, c0 (H,); statistics
    terms "x", "h" and "c". The betas of the two terms of Eq. 6 are zero, as in the paper: b does their work.

    Parameters
    ----------
    input_size, hidden_size : int
        D and H.
    gamma : float
        Initial value of all three (the paper recommends 0.1).
    eps : float
        Added to the variance.
    input_statistics : {"step", "sequence"}
        Statistics of W_x x_t per time step, or one set for the whole sequence (BN-e*).
    forget_bias, dtype, rng, engine, init
        As for `LSTM`.
    """

    kernel = "bn_lstm"
    terms = ("x", "h", "c")
    quantities = {**input_term.QUANTITIES, **bn_lstm.QUANTITIES}

    def __init__(self, input_size, hidden_size, *, gamma=0.1, eps=1e-5, input_statistics="step", dtype=np.float64,
                 **settings):
        self.gamma, self.eps = check_batch_norm(gamma, eps, dtype)
        self.input_statistics = check_input_statistics(input_statistics)
        super().__init__(input_size, hidden_size, dtype=dtype, **settings)

    def _new_parameters(self, H, G):
        return {"gamma_x": np.full(G, self.gamma), "gamma_h": np.full(G, self.gamma),
                "gamma_c": np.full(H, self.gamma), "beta_c": np.zeros(H)}

    def _recur_forward(self, x_term, state, mask, given):
        p = self.params
        return bn_lstm.bn_lstm_forward(x_term, *state, p["W_h"], p["b"], p["gamma_h"], p["gamma_c"], p["beta_c"],
                                       self.eps, mask, given)

    def _recur_backward(self, dh, cache, observe):
        return bn_lstm.bn_lstm_backward(dh, cache, observe)
