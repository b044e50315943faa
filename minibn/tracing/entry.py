"""minibn.trace: step through a derivation."""

from minibn.models import AttentiveReader
from minibn.tracing.reader import ReaderTrace
from minibn.tracing.trace import Trace


def trace(cell, x, dh, mask=None, initial_state=None, statistics=None, data=None):
    """Every intermediate quantity of every equation at every time step, with the gradient of the loss.

    Runs the layer's own forward and backward once; the loss is ``sum(dh * h)``. A whole `minibn.AttentiveReader` can
    be traced too: then `x` are its `minibn.Questions`, and `dh` (N, E) is the gradient of its logits.

    Parameters
    ----------
    cell : layer or AttentiveReader
    x : ndarray of shape (T, N, D), or integer ndarray of shape (T, N)
    dh : ndarray of shape (T, N, H)
        Gradient of the loss with respect to h, only the loss terms of each step itself.
    mask, initial_state, statistics, data : optional
        As for the layer's ``forward``.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError, ValueError
        `cell` is a model, a class or a function; `dh` is not an array; whatever ``forward`` and ``backward`` refuse.

    Examples
    --------
    >>> import numpy as np, minibn
    >>> rng = np.random.default_rng(0)
    >>> cell = minibn.BNLSTM(input_size=3, hidden_size=2, rng=rng)
    >>> x, dh = rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 4, 2))
    >>> trace = minibn.trace(cell, x, dh)
    >>> trace["f_tilde"].gradient.shape
    (3, 4, 2)
    >>> trace.at(1)["h_mean"].latex
    '\\\\widehat{\\\\mathbb{E}}[W_h h_{t-1}]'
    >>> trace.check(["c", "h"]).ok
    True
    """
    if not isinstance(cell, AttentiveReader):
        return Trace(cell, x, dh, mask, initial_state, statistics, data)
    if mask is not None or initial_state is not None:
        raise ValueError("mask, initial_state: expected none for a reader, got one; its questions have masks")
    return ReaderTrace(cell, x, dh, statistics, data)
