r"""A recurrence over time and back-propagation through it, for any cell.

Forward, for t = 1 .. T:     state_t = step(state_{t-1}),          padded examples keep state_{t-1};
backward, for t = T .. 1:    d state_t = (loss terms of step t) + (what step t+1 passed back).

A step is called with what its signature names, and returns its local variables. The parameters are the same at every
step, so their gradients are sums over t.
"""

import inspect
from functools import lru_cache

from minibn.backend import array_module
from minibn.equations.quantities import Record
from minibn.errors import show


class SequenceCache:
    """Everything a whole-sequence forward computed.

    Attributes
    ----------
    steps : list of Record
        One per time step: the quantities of the cell's equations.
    names : tuple of str
        Of the states.
    states : list of tuples of ndarray (N, width)
        Those carried out of each step: padded examples keep the one before. ``cache.h`` and (LSTMs) ``cache.c``
        are (T, N, H).
    initial_state : tuple of ndarray (N, width)
        h_0, or (h_0, c_0).
    mask : ndarray of shape (T, N), or None

    Any quantity of the equations can be asked for by name (``cache.f_tilde``, ``cache.h_hat``): the
    values of all steps, stacked along a leading time axis.
    """

    def __init__(self, steps, names, states, initial_state, mask):
        self.steps = steps
        self.names = names
        self.states = states
        self.initial_state = initial_state
        self.mask = mask

    def __repr__(self):
        return f"<SequenceCache of {len(self.steps)} steps from {show(self.initial_state)}>"

    @property
    def final_state(self):
        """The carried state after the last step: (h_T,) or (h_T, c_T)."""
        return self.states[-1]

    def __getattr__(self, name):
        if name.startswith("__") or "steps" not in self.__dict__:
            raise AttributeError(name)
        if name in self.names:
            values = [state[self.names.index(name)] for state in self.states]
        else:
            values = [getattr(step, name) for step in self.steps]
        return array_module(values[0]).stack(values)


def at_step(t, mask, statistics):
    """The mask (N,) and the given statistics (1, G) of one step, out of those of the sequence; None stays None."""
    return (None if mask is None else mask[t],
            statistics and {term: values._make(value[t] for value in values) for term, values in statistics.items()})


def freeze_forward(live, new, old):
    """The carried state: `new` (N, H) where an example is live (N,), `old` where it is padded; None: all are live."""
    return new if live is None else array_module(new).where(live[:, None], new, old)         # (N, H)


def freeze_backward(dstate, live):
    """Gradients with respect to the new and the old state."""
    if live is None:
        return dstate, 0
    xp = array_module(dstate)
    dnew = xp.where(live[:, None], dstate, 0)                         # (N, H)
    dold = xp.where(live[:, None], 0, dstate)                         # (N, H)
    return dnew, dold


def names_read_by(function, offered):
    """Those of the names `offered` that the signature of a function has; all, where it ends in ``**others``."""
    return _read_by(function, tuple(offered))


@lru_cache(maxsize=1000)
def _read_by(function, offered):
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return offered
    missing = [name for name, parameter in parameters.items()
               if name not in offered and parameter.default is parameter.empty]
    if missing:
        raise TypeError(f"{function.__name__}: expected names out of {', '.join(offered)}; got {', '.join(missing)}; "
                        f"declare them, or correct the signature")
    return tuple(name for name in parameters if name in offered)


def call(function, values):
    """The function, called with those of the values that it names."""
    return function(**{name: values[name] for name in names_read_by(function, values)})


def unroll_forward(step_forward, initial_state, per_step, constants, mask=None):
    """Apply a step T times.

    Parameters
    ----------
    step_forward : callable
        Gets those of `per_step`, `constants` and, for a state h, ``h_prev`` that it names; returns its variables.
    initial_state : dict
        Name -> ndarray (N, width).
    per_step : dict
        Name -> one value for each step: ``x_term``, ``live``, ``mask``, ``statistics``.
    constants : dict
        Parameters and options.
    mask : bool ndarray of shape (T, N), optional
        Padded examples keep their states.

    Returns
    -------
    SequenceCache
    """
    names, start = tuple(initial_state), tuple(initial_state.values())
    previous = [f"{name}_prev" for name in names]
    read = names_read_by(step_forward, [*per_step, *previous, *constants])
    fixed = {name: value for name, value in constants.items() if name in read}
    varying = [(name, values) for name, values in per_step.items() if name in read]
    before = [(name, place) for place, name in enumerate(previous) if name in read]
    state, steps, states = start, [], []
    for t in range(len(per_step["x_term"])):
        variables = step_forward(**fixed, **{name: values[t] for name, values in varying},
                                 **{name: state[place] for name, place in before})
        new_state = tuple(variables[name] for name in names)
        live = None if mask is None else mask[t]
        state = tuple(freeze_forward(live, new, old) for new, old in zip(new_state, state, strict=True))
        steps.append(Record(variables))
        states.append(state)
    return SequenceCache(steps, names, states, start, mask)


def unroll_backward(step_backward, dh, cache, parameters, observe=None):
    """Back-propagate through time.

    Parameters
    ----------
    step_backward : callable
        Gets those of ``dh`` (and ``dc``: one for each state) and of the step's Record that it names; returns its
        variables: among them ``dx_term``, ``dh_prev`` (and ``dc_prev``), and ``dW`` for each parameter W.
    dh : ndarray of shape (T, N, H)
        Only the loss terms of each step itself: what comes from later steps is added here.
    cache : SequenceCache
    parameters : iterable of str
        Those to sum over time.
    observe : callable, optional
        Called as ``observe(t, gradients, dstate)`` at each step: the Record of all total derivatives of the step
        (``gradients.f`` is df), and the derivatives of the carried state.

    Returns
    -------
    dx_term : ndarray of shape (T, N, G)
    dinitial_state : tuple of ndarray (N, width)
    totals : dict
        Parameter name -> gradient, summed over time.
    """
    xp = array_module(dh)
    above, previous = [f"d{name}" for name in cache.names], [f"d{name}_prev" for name in cache.names]
    read = names_read_by(step_backward, [*above, *cache.steps[0]._fields])
    computed = [name for name in read if name not in above]
    arriving = [(name, place) for place, name in enumerate(above) if name in read]
    dstate = tuple(xp.zeros_like(state) for state in cache.initial_state)
    dx_term = xp.empty((len(cache.steps), *cache.steps[0].x_term.shape), dtype=dh.dtype)
    totals = {}
    for t in reversed(range(len(cache.steps))):
        dstate = (dstate[0] + dh[t], *dstate[1:])                     # later steps + this step's own loss terms
        if cache.mask is None:
            dnew = dstate
        else:
            dnew, dold = zip(*(freeze_backward(d, cache.mask[t]) for d in dstate), strict=True)
        step = vars(cache.steps[t])
        upstream = {name: dnew[place] for name, place in arriving}
        gradients = step_backward(**upstream, **{name: step[name] for name in computed})
        if observe is not None:
            observe(t, Record.of_gradients(gradients), dstate)
        dx_term[t] = gradients["dx_term"]
        for name in parameters:
            gradient = gradients[f"d{name}"]
            totals[name] = totals[name] + gradient if name in totals else gradient
        dstate = tuple(gradients[name] for name in previous)
        if cache.mask is not None:
            dstate = tuple(d + kept for d, kept in zip(dstate, dold, strict=True))
    return dx_term, dstate, totals
