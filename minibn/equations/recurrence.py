r"""A recurrence over time and back-propagation through it, for any of the cells.

Forward, for t = 1 .. T:     state_t = step(state_{t-1}),          padded examples keep state_{t-1};
backward, for t = T .. 1:    d state_t = (loss terms of step t) + (what step t+1 passed back).

The parameters are the same at every step, so their gradients are sums over t.
"""

from minibn.backend import array_module
from minibn.equations.quantities import look_up
from minibn.errors import show


class SequenceCache:
    """Everything a whole-sequence forward computed.

    Attributes
    ----------
    steps : list of named tuples
        One per time step: the quantities of the cell's equations.
    initial_state : tuple of ndarray (N, H)
        h_0, or (h_0, c_0).
    h, c : ndarray of shape (T, N, H)
        The carried states h_1 .. h_T and (LSTMs) c_1 .. c_T: padded examples keep the one before.
    mask : ndarray of shape (T, N), or None

    Any quantity of the equations can be asked for by name (``cache.f_tilde``, ``cache.h_hat``): the
    values of all steps, stacked along a leading time axis.
    """

    def __init__(self, steps, states, initial_state, mask):
        self.steps = steps
        self.states = states
        self.initial_state = initial_state
        self.mask = mask

    def __repr__(self):
        return f"<SequenceCache of {len(self.steps)} steps from {show(self.initial_state)}>"

    @property
    def h(self):
        return self._stacked_state(0)

    @property
    def c(self):
        if len(self.initial_state) < 2:
            raise AttributeError("this cell has no c: its state is h alone")
        return self._stacked_state(1)

    @property
    def final_state(self):
        """The carried state after the last step: (h_T,) or (h_T, c_T)."""
        return self.states[-1]

    def _stacked_state(self, index):
        xp = array_module(self.initial_state[0])
        return xp.stack([state[index] for state in self.states])

    def __getattr__(self, name):
        if name.startswith("__") or "steps" not in self.__dict__:
            raise AttributeError(name)
        values = [look_up(step, name) for step in self.steps]
        return array_module(values[0]).stack(values)


def at_step(t, mask, statistics):
    """The mask (N,) and the given statistics (1, G) of one step, out of those of the sequence; None stays None."""
    return (None if mask is None else mask[t],
            statistics and {term: values._make(value[t] for value in values) for term, values in statistics.items()})


def freeze_forward(live, new, old):
    """The carried state: `new` (N, H) where an example is live (N,), `old` where it is padded."""
    return array_module(new).where(live[:, None], new, old)           # (N, H)


def freeze_backward(dstate, live):
    """Gradients with respect to the new and the old state."""
    xp = array_module(dstate)
    dnew = xp.where(live[:, None], dstate, 0)                         # (N, H)
    dold = xp.where(live[:, None], 0, dstate)                         # (N, H)
    return dnew, dold


def unroll_forward(step, T, initial_state, mask=None):
    """Apply `step` T times.

    Parameters
    ----------
    step : callable
        ``step(t, *state) -> (new state, cache of the step)`` with states as tuples.
    T : int
    initial_state : tuple of ndarray (N, H)
    mask : bool ndarray of shape (T, N), optional

    Returns
    -------
    SequenceCache
    """
    state, steps, states = initial_state, [], []
    for t in range(T):
        new_state, step_cache = step(t, *state)
        if mask is None:
            state = new_state
        else:
            state = tuple(freeze_forward(mask[t], new, old) for new, old in zip(new_state, state, strict=True))
        steps.append(step_cache)
        states.append(state)
    return SequenceCache(steps, states, initial_state, mask)


def unroll_backward(step_backward, dh, cache, parameters, observe=None):
    """Back-propagate through time.

    Parameters
    ----------
    step_backward : callable
        ``step_backward(*dstate, step cache) -> gradients``, a named tuple with the fields ``x_term``,
        ``h_prev`` (and ``c_prev``), and those named by `parameters`.
    dh : ndarray of shape (T, N, H)
        Only the loss terms of each step itself: what comes from later steps is added here.
    cache : SequenceCache
    parameters : tuple of str
        The fields to sum over time.
    observe : callable, optional
        Called as ``observe(t, gradients, dstate)`` at each step: all total derivatives of the step, and
        those of the carried state.

    Returns
    -------
    dx_term : ndarray of shape (T, N, G)
    dinitial_state : tuple of ndarray (N, H)
    totals : dict
        Parameter name -> gradient, summed over time.
    """
    xp = array_module(dh)
    previous = ("h_prev", "c_prev")[:len(cache.initial_state)]
    dstate = tuple(xp.zeros_like(state) for state in cache.initial_state)
    dx_term = xp.empty((len(cache.steps), *cache.steps[0].x_term.shape), dtype=dh.dtype)
    totals = {}
    for t in reversed(range(len(cache.steps))):
        dstate = (dstate[0] + dh[t], *dstate[1:])                     # later steps + this step's own loss terms
        if cache.mask is None:
            dnew = dstate
        else:
            dnew, dold = zip(*(freeze_backward(d, cache.mask[t]) for d in dstate), strict=True)
        gradients = step_backward(*dnew, cache.steps[t])
        if observe is not None:
            observe(t, gradients, dstate)
        dx_term[t] = gradients.x_term
        for name in parameters:
            gradient = getattr(gradients, name)
            totals[name] = totals[name] + gradient if name in totals else gradient
        dstate = tuple(getattr(gradients, name) for name in previous)
        if cache.mask is not None:
            dstate = tuple(d + kept for d, kept in zip(dstate, dold, strict=True))
    return dx_term, dstate, totals
