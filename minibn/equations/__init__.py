"""The paper's equations, forward and backward by hand, as pure functions.

Row vectors: a minibatch is (N, features), a linear map is ``x @ W``. Sequences are time-major (T, N, features).
Every ``*_forward`` has its ``*_backward`` right below, in the reverse order of the same lines; ``dname`` is the
total derivative of the loss with respect to ``name``.
"""
