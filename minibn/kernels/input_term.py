r"""BN(W_x x_t; gamma_x, 0) + b, step by step: the input term of the cells that normalize it by itself.

There are four ways to it, chosen here, and all look alike from outside:

    source = normalized_input(call, examples)           what the forward keeps
    source.statistics                                   (T, G), per sequence (1, G); complete after the time loop
    x_term = source.forward(b, scale, examples)
    x_term.write(t, offset, out=)                       out = scale * (BN(W_x x_t) + b) + offset
    x_term = source.backward(examples)
    x_term.collect(t, e)                                e (N, G) is the gradient; t descends
    x_term.sums                                         (T, G): the e collected so far, summed over the examples
    dx, grads = x_term.finish()                         the gradients of W_x, gamma_x and b
"""

from minibn.kernels.input_folded import FoldedInput
from minibn.kernels.input_rows import LookedUpInput, ProjectedInput
from minibn.kernels.input_table import TableInput

WIDE = 24       # features; measured: rows cost 2 % more of a BN-LSTM than folded weights at 16, and 5 % less at 32


def normalized_input(call, examples):
    """The input term of a sequence, the way that is fastest for it."""
    per_sequence = call.input_statistics == "sequence"
    if call.x.ndim == 2:
        return (TableInput if per_sequence else LookedUpInput)(call, examples)
    return (FoldedInput if call.x.shape[2] < WIDE or per_sequence else ProjectedInput)(call, examples)
