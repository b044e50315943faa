r"""The input term W_x x_t of the whole sequence at once, and its own batch norm.

    x_linear = W_x x_t                        floating x (T, N, D): a matrix product
                                              integer x (T, N), one-hot: rows of W_x
    x_term   = BN(x_linear; gamma_x, 0)       (Eq. 6) statistics per time step, per sequence (BN-e*),
                                              or of the population

The bias is not here: the paper fixes beta_x = 0, and b belongs to the sum of the terms.
"""

from minibn.backend import array_module
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.equations.quantities import Quantity, normalized
from minibn.equations.recurrence import at_step

QUANTITIES = {
    "x_linear": Quantity(r"W_x x_t", "6", "N G"),
    **normalized("x", r"W_x x_t", "5", "G"),
    "x_term": Quantity(r"\mathrm{BN}(W_x x_t; \gamma_x, 0)", "6", "N G"),
}


def project_forward(x, W_x):
    """W_x x_t for floating input.

    Parameters
    ----------
    x : ndarray of shape (T, N, D)
    W_x : ndarray of shape (D, G)

    Returns
    -------
    x_linear : ndarray of shape (T, N, G)
    """
    T, N, D = x.shape
    return (x.reshape(T * N, D) @ W_x).reshape(T, N, -1)              # (T, N, G): one product for all steps


def project_backward(dx_linear, x, W_x):
    """Gradients with respect to x (T, N, D) and W_x (D, G)."""
    T, N, D = x.shape
    rows = dx_linear.reshape(T * N, -1)                               # (T*N, G)
    dW_x = x.reshape(T * N, D).T @ rows                               # (D, G)
    dx = (rows @ W_x.T).reshape(T, N, D)                              # (T, N, D)
    return dx, dW_x


def look_up_forward(x, W_x):
    """W_x x_t for one-hot input: row x[t, n] of W_x (D, G). Integer x (T, N) -> (T, N, G)."""
    return W_x[x]                                                     # (T, N, G)


def look_up_backward(dx_linear, x, W_x):
    """Gradient with respect to W_x (D, G): each row collects from wherever it was looked up."""
    xp = array_module(dx_linear)
    dW_x = xp.zeros(W_x.shape, dtype=dx_linear.dtype)                 # (D, G)
    xp.add.at(dW_x, x, dx_linear)
    return dW_x


def per_step_forward(x_linear, gamma_x, eps, mask=None, statistics=None):
    """BN(W_x x_t; gamma_x, 0) with one set of statistics per time step (Eq. 6).

    Parameters
    ----------
    x_linear : ndarray of shape (T, N, G)
    gamma_x : ndarray of shape (G,)
    eps : float
    mask : bool ndarray of shape (T, N), optional
    statistics : Statistics of arrays (T, 1, G), optional
        Of the population.

    Returns
    -------
    x_term : ndarray of shape (T, N, G)
    caches : list of BatchNormCache
        One per time step. Step by step, and not all at once: a step's temporaries fit in the processor's cache.
    """
    x_term, caches = array_module(x_linear).empty_like(x_linear), []
    for t in range(len(x_linear)):
        live, given = at_step(t, mask, statistics and {"x": statistics})
        x_term[t], cache = batch_norm_forward(x_linear[t], gamma_x, 0.0, eps, live, given and given["x"])
        caches.append(cache)
    return x_term, caches


def per_step_backward(dx_term, caches, observe=None):
    """Backward of `per_step_forward`: dx_linear (T, N, G), and dgamma_x (G,) as a sum over time.

    ``observe(t, gradients)`` is called with the BatchNormGradients of each step.
    """
    xp = array_module(dx_term)
    dx_linear, dgamma_x = xp.empty_like(dx_term), 0
    for t in reversed(range(len(caches))):
        gradients = batch_norm_backward(dx_term[t], caches[t])
        if observe is not None:
            observe(t, gradients)
        dx_linear[t] = gradients.a
        dgamma_x = dgamma_x + gradients.gamma
    return dx_linear, dgamma_x


def per_sequence_forward(x_linear, gamma_x, eps, mask=None, statistics=None):
    """BN(W_x x_t; gamma_x, 0) with one set of statistics for the whole batch of sequences (BN-e*, Section 5.4).

    Parameters are those of `per_step_forward`; the statistics have shape (1, G), and are taken over all live
    examples of all steps.
    """
    T, N, G = x_linear.shape
    live = None if mask is None else mask.reshape(T * N)
    x_term, cache = batch_norm_forward(x_linear.reshape(T * N, G), gamma_x, 0.0, eps, live, statistics)
    return x_term.reshape(T, N, G), [cache]


def per_sequence_backward(dx_term, caches, observe=None):
    """Backward of `per_sequence_forward`: dx_linear (T, N, G) and dgamma_x (G,).

    ``observe(0, gradients)`` is called once, for there is one batch norm; its rows are (T * N, G).
    """
    [cache] = caches
    gradients = batch_norm_backward(dx_term.reshape(cache.a.shape), cache)
    if observe is not None:
        observe(0, gradients)
    return gradients.a.reshape(dx_term.shape), gradients.gamma
