"""The paper's cells by the names that users know: each is a `RecurrentLayer` of one declaration."""

from inspect import Parameter, Signature, signature

from minibn.cells import bn_lstm, bn_rnn, bn_rnn_two_term, lstm, rnn
from minibn.layers.base import RecurrentLayer


class CellLayer(RecurrentLayer):
    """A layer whose class says which cell it is."""

    def __init__(self, input_size, hidden_size, **settings):
        super().__init__(self.declaration, input_size, hidden_size, **settings)

    def __init_subclass__(cls, **settings):
        """What ``help`` shows: the options of the cell by name, with their defaults."""
        super().__init_subclass__(**settings)
        if "declaration" in vars(cls):
            _, _, *sizes, dtype, rng, engine, _ = signature(RecurrentLayer.__init__).parameters.values()
            options = [Parameter(name, Parameter.KEYWORD_ONLY, default=option.default)
                       for name, option in cls.declaration.options.items()]
            cls.__signature__ = Signature([*sizes, *options, dtype, rng, engine])


class RNN(CellLayer):
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

    declaration = rnn.CELL


class BNRNN(CellLayer):
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

    declaration = bn_rnn.CELL


class BNRNNTwoTerm(CellLayer):
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

    declaration = bn_rnn_two_term.CELL


class LSTM(CellLayer):
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
    init : {"orthogonal", "identity_g", "identity", "tiled"}
        Of W_h, see `minibn.initializers.recurrent_weights`.
    """

    declaration = lstm.CELL


class BNLSTM(CellLayer):
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

    declaration = bn_lstm.CELL
