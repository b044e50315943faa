"""SGD, RMSProp, Adam and gradient clipping, in the exact forms behind the paper's results.

The paper's models were trained with Blocks, whose rules differ in small ways from the better known ones (a
``max`` where others add an epsilon, no bias correction in RMSProp). Those small ways are written out here:

=========  =======================================================================================
SGD        p <- p - lr g
RMSProp    m <- rho m + (1 - rho) g^2,                     p <- p - lr g / max(sqrt(m), 1e-5)
Adam       m <- b_t m + (1 - b_t) g,                       b_t = 0.9 (1 - 1e-8)^(t-1)
           v <- 0.999 v + 0.001 g^2,
           lr_t = lr sqrt(1 - 0.999^t) / (1 - 0.9^t),      p <- p - lr_t m / (sqrt(v) + 1e-8)
clipping   before any of them: g <- g min(1, threshold / ||g||), one norm over all parameters
=========  =======================================================================================

What the paper calls "RMSProp momentum" is rho; there is no momentum. Every averaged quantity starts at zero.

Nothing here reads a value back from the arrays (no ``float``, no ``if`` on them), so on a GPU nothing waits.
Hyperparameters stay Python floats: a NumPy float64 scalar would turn float32 parameters into float64.
"""

import math
from collections.abc import Mapping

import numpy as np

from minibn.backend import array_module
from minibn.errors import check_number, check_same_backend, is_array, show

__all__ = ["OPTIMIZERS", "SGD", "Adam", "RMSProp", "clip_by_global_norm"]


def clip_by_global_norm(grads, threshold):
    """Rescale all gradients together when their common L2 norm exceeds a threshold.

    Parameters
    ----------
    grads : mapping of str to ndarray
        Gradients by parameter name. They are not changed.
    threshold : float
        The largest norm that is let through; the paper uses 1.

    Returns
    -------
    clipped : dict of str to ndarray
        The gradients, rescaled to norm ``threshold`` if theirs was larger, else equal to those given.
    norm : ndarray of shape ()
        The norm before clipping. It stays on the arrays' device.

    Notes
    -----
    Everything is divided by the largest element before it is squared. So finite gradients never overflow on
    the way to a finite norm: 1e30 is a possible gradient in float32, its square is not. A gradient that is
    not finite makes the norm not finite, which is how training notices it.
    """
    threshold = check_number("threshold", threshold, above=0, remedy="the paper has 1")
    if not isinstance(grads, Mapping) or not all(is_array(grad) or np.isscalar(grad) for grad in grads.values()):
        raise TypeError(f"grads: expected a dict of arrays, got {show(grads)}; pass the dict a backward returned")
    if not any(grad.size for grad in grads.values()):
        raise ValueError("grads: expected at least one gradient, got none; pass the dict a backward returned")
    xp = array_module(*grads.values())
    with np.errstate(all="ignore"):  # whether it is finite, the norm says
        largest = xp.max(xp.stack([xp.max(xp.abs(grad)) for grad in grads.values() if grad.size]))
        scale = xp.where(largest > 0, largest, xp.ones_like(largest))
        squares = [xp.sum(xp.square(grad / scale)) for grad in grads.values()]
        scaled_norm = xp.sqrt(xp.sum(xp.stack(squares)))
        norm = xp.asarray(scale * scaled_norm)
        # Two factors, one of which may be tiny and the other huge: their product need not fit in float32.
        # Where nothing is clipped both are exactly one, and the gradients keep their every bit.
        too_large = norm > threshold
        divisor = xp.where(too_large, scale, xp.ones_like(scale))
        factor = xp.where(too_large, threshold / scaled_norm, xp.ones_like(scaled_norm))
        clipped = {name: xp.asarray(grad / divisor * factor) for name, grad in grads.items()}
    return clipped, norm


class SGD:
    """Gradient descent, p <- p - lr g; also the frame of the other rules.

    Parameters
    ----------
    params : mapping of str to ndarray
        The parameters, updated in place by `step`. A model's ``params`` serves.
    learning_rate : float
        Above zero.

    Notes
    -----
    An optimizer's memory is two things: how many steps it has taken, and for each parameter the arrays its
    rule averages. `state_arrays` hands all of it out for a checkpoint, `load_state_arrays` takes it back.
    """

    slots = ()
    """Names of the arrays this rule keeps for every parameter."""

    def __init__(self, params, learning_rate=1e-3):
        self.params = params
        self.learning_rate = check_number("learning_rate", learning_rate, above=0)
        self.steps = 0
        self.state = {slot: {name: array_module(param).zeros_like(param) for name, param in params.items()}
                      for slot in self.slots}

    def step(self, grads):
        """Update every parameter in place from its gradient.

        Parameters
        ----------
        grads : mapping of str to ndarray
            One gradient per parameter, of the parameter's shape.

        Raises
        ------
        ValueError
            If a gradient is missing, belongs to no parameter, or has another shape than its parameter.
        """
        self._check(grads)
        self.steps += 1
        for name, param in self.params.items():
            param -= self._update(name, grads[name])

    def _update(self, name, grad):
        """What is subtracted from the parameter `name`."""
        return self.learning_rate * grad

    def _check(self, grads):
        missing = [name for name in self.params if name not in grads]
        unknown = [name for name in grads if name not in self.params]
        if missing or unknown:
            raise ValueError(f"grads: expected one gradient per parameter; missing: {', '.join(missing) or 'none'}; "
                             f"unknown: {', '.join(unknown) or 'none'}; pass the whole dict that backward returned")
        for name, param in self.params.items():
            check_same_backend(param, **{f"grads[{name!r}]": grads[name]})
            if grads[name].shape != param.shape:
                raise ValueError(f"grads[{name!r}]: expected its parameter's shape {param.shape}, got "
                                 f"{grads[name].shape}; a gradient per example must be summed over the examples first")

    def state_arrays(self):
        """The optimizer's memory as a flat dict of arrays: ``steps`` and ``<slot>.<parameter>``.

        The arrays are the live ones, not copies: save them before the next step.
        """
        arrays = {f"{slot}.{name}": array for slot, kept in self.state.items() for name, array in kept.items()}
        return {"steps": np.asarray(self.steps, dtype=np.int64), **arrays}

    def load_state_arrays(self, arrays):
        """Take back what `state_arrays` handed out; the values are copied to the parameters' device.

        Raises
        ------
        ValueError
            If names or shapes are not those of this optimizer on these parameters.
        """
        expected = self.state_arrays()
        if set(arrays) != set(expected):
            odd = sorted(set(arrays) ^ set(expected))
            where = "missing" if odd[0] in expected else "not part of it"
            raise ValueError(f"arrays: expected the state of {type(self).__name__} on these parameters, but {odd[0]!r} "
                             f"is {where}; load a checkpoint of the same model and optimizer")
        for key, mine in expected.items():
            if arrays[key].shape != mine.shape:
                raise ValueError(f"arrays[{key!r}]: expected shape {mine.shape}, got {arrays[key].shape}; load a "
                                 f"checkpoint of the same model")
        for slot, kept in self.state.items():
            for name, mine in kept.items():
                mine[...] = array_module(mine).asarray(arrays[f"{slot}.{name}"], dtype=mine.dtype)
        self.steps = int(arrays["steps"])


class RMSProp(SGD):
    """RMSProp in the form of the authors' code (Blocks).

    m <- rho m + (1 - rho) g^2 and p <- p - lr g / max(sqrt(m), 1e-5), with m zero at first and no correction
    of that start: the first step has size lr / sqrt(1 - rho), whatever the gradient.

    Parameters
    ----------
    params : mapping of str to ndarray
        The parameters, updated in place by `step`.
    learning_rate : float
        Above zero; 1e-3 in the paper.
    decay : float
        rho, in [0, 1). The paper says 0.9; the scripts published with it use 0.5.
    """

    slots = ("mean_square",)
    smallest_root = 1e-5
    """The floor under sqrt(m): a maximum, not a summand."""

    def __init__(self, params, learning_rate=1e-3, decay=0.9):
        super().__init__(params, learning_rate)
        self.decay = check_number("decay", decay, at_least=0, below=1)

    def _update(self, name, grad):
        xp = array_module(grad)
        mean_square = self.state["mean_square"][name]
        mean_square *= self.decay
        mean_square += (1.0 - self.decay) * xp.square(grad)
        return self.learning_rate * grad / xp.maximum(xp.sqrt(mean_square), self.smallest_root)


class Adam(SGD):
    """Adam in the form of the authors' code (Blocks, March 2016).

    The bias correction is folded into the learning rate, epsilon is added to the root of the uncorrected
    second moment, and the first moment's coefficient decays by 1 - 1e-8 a step (which is negligible, and
    theirs).

    Parameters
    ----------
    params : mapping of str to ndarray
        The parameters, updated in place by `step`.
    learning_rate : float
        Above zero; 2e-3 for the paper's Penn Treebank.
    beta1, beta2 : float
        Decay of the first and the second moment, in [0, 1).
    """

    slots = ("first_moment", "second_moment")
    epsilon = 1e-8
    first_moment_decay = 1.0 - 1e-8

    def __init__(self, params, learning_rate=2e-3, beta1=0.9, beta2=0.999):
        super().__init__(params, learning_rate)
        self.beta1 = check_number("beta1", beta1, at_least=0, below=1)
        self.beta2 = check_number("beta2", beta2, at_least=0, below=1)

    def _update(self, name, grad):
        xp = array_module(grad)
        t = self.steps
        learning_rate = self.learning_rate * math.sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t)
        beta1 = self.beta1 * self.first_moment_decay ** (t - 1)
        first, second = self.state["first_moment"][name], self.state["second_moment"][name]
        first *= beta1
        first += (1.0 - beta1) * grad
        second *= self.beta2
        second += (1.0 - self.beta2) * xp.square(grad)
        return learning_rate * first / (xp.sqrt(second) + self.epsilon)


OPTIMIZERS = {"sgd": SGD, "rmsprop": RMSProp, "adam": Adam}
"""Those that training knows, by the names of the command line."""
