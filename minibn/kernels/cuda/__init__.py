"""The kernels for CuPy arrays: the time loop in CUDA C++, one launch for a whole sequence and direction.

The sources (*.cu) are compiled through `cupy.RawModule` when a cell first runs. See `minibn.kernels` for the pairs in
`CELLS`, and `minibn.kernels.cuda.plan` for how the work is cut. Importing this imports CuPy.
"""

from minibn.kernels.cuda import lstm, rnn

__all__ = ["CELLS"]

CELLS = {
    "rnn": (rnn.forward, rnn.backward),
    "bn_rnn": (rnn.bn_forward, rnn.bn_backward),
    "bn_rnn_two_term": (rnn.two_term_forward, rnn.two_term_backward),
    "lstm": (lstm.forward, lstm.backward),
    "bn_lstm": (lstm.bn_forward, lstm.bn_backward),
}
