"""A layer, traced: step through a derivation."""

import numpy as np

from minibn.backend import to_host
from minibn.errors import is_array
from minibn.gradcheck.arguments import require_layer
from minibn.gradcheck.layers import describe_call
from minibn.tracing.check import check_trace
from minibn.tracing.record import record
from minibn.tracing.slider import show
from minibn.tracing.step import Step


class Trace:
    """What `minibn.trace` returns.

    Attributes
    ----------
    quantities : dict
        Name -> Traced, in the order of the forward pass; ``trace[name]`` is short for it. Values and gradients
        are stacked over time, (T, N, H) say, on the host. What is normalized per sequence has one row for all.
    dx, grads
        What the layer's backward returned.
    cache : LayerCache
    """

    def __init__(self, cell, x, dh, mask=None, initial_state=None, statistics=None, data=None):
        require_layer(cell, model=False)
        if not is_array(dh):
            raise TypeError(f"dh: expected an array (T, N, H), the gradient of a loss with respect to h, got "
                            f"{type(dh).__name__}; draw one, rng.standard_normal((T, N, H)), or take that of your loss")
        # Copies: training on must not change what was traced.
        self.cell, self.dh = cell.map_params(lambda value: value.copy()), dh.copy()
        self.mask, self.initial_state, self.statistics, self.data = mask, initial_state, statistics, data
        self.given = {} if initial_state is None else dict(zip(self.cell.state_names, initial_state, strict=True))
        self.quantities, self.cache, self.dx, self.grads = record(
            self.cell, x, dh, mask=mask, initial_state=initial_state, statistics=statistics, data=data)

    def __len__(self):
        """T, the number of time steps."""
        return len(self.dh)

    def __getitem__(self, name):
        if name not in self.quantities:
            raise KeyError(f"{name!r} is not in this trace: it has {', '.join(self.quantities)}")
        return self.quantities[name]

    def at(self, t, names=None):
        """One time step, as a table in Jupyter and as text in ``print``.

        Parameters
        ----------
        t : int
            From 0; -1 is the last.
        names : sequence of str, optional
            Only these quantities, in this order.

        Returns
        -------
        Step
        """
        T, N = len(self), self.dh.shape[-2]
        if not isinstance(t, int | np.integer) or not -T <= t < T:
            raise ValueError(f"t: expected a time step 0 .. {T - 1} (or -{T} .. -1 from the end), got {t!r}; "
                             f"steps count from 0")
        _check_names(names, self.quantities)
        t = int(t) % T
        at_t = {name: quantity._replace(value=_row(quantity.value, t), gradient=_row(quantity.gradient, t))
                for name, quantity in self.quantities.items()}
        return Step(self.cell.title, t, T, N, {name: at_t[name] for name in names or at_t}, self._live(t, names))

    def _live(self, t, names):
        """The examples that are not padded at step t; None: all."""
        return None if self.cache.mask is None else to_host(self.cache.mask)[t]

    def check(self, names=None, **options):
        """Check the gradient of every intermediate, at every step, by moving it in place.

        The layer's own forward runs again, a little is added to the quantity right where it is computed, and
        everything after it follows. Also checks x, the parameters and the states that the sequence starts from.
        A float32 trace is checked on a float64 copy.

        Parameters
        ----------
        names : sequence of str, optional
            Only these quantities (and inputs).
        **options
            ``method``, ``elementwise``, ``tolerance``, ``step``, ``max_elements``, ``seed`` and ``title`` of
            `minibn.gradcheck.check_gradient_values`.

        Returns
        -------
        TraceReport
            ``report.ok``, ``report.worst``, ``report.first_wrong``; ``print(report)`` is a table.

        Raises
        ------
        ValueError
            A name that is not in the trace; a quantity that no line of the forward pass computes.
        """
        _check_names(names, [*self.quantities, *self.cell.params])
        return check_trace(self.in_float64(), names, **options)

    def show(self, names=None, t=0):
        """A slider over time in Jupyter, with buttons to play the forward pass, and back-propagation through time.

        Needs ipywidgets; without it the steps stand below each other, folded. Outside Jupyter step `t` is printed.

        Parameters
        ----------
        names : sequence of str, optional
            Only these quantities, in this order.
        t : int
            The step to begin with.
        """
        show(self, names, t)

    @property
    def title(self):
        """The layer, the sizes, and what the normalized terms were normalized with."""
        T, N, H = self.dh.shape
        return describe_call(self.cell.title, {"T": T, "N": N, "D": self.cell.input_size, "H": H}, self.cache.x,
                             self.cell.terms, self.mask, self.statistics, self.initial_state)

    def __repr__(self):
        return f"<trace of {self.title}; {len(self.quantities)} quantities at each step; .at(t), .show(), .check()>"

    def arguments(self, values):
        """Positional and named arguments of the forward, where x and the given states are those of `values`."""
        start = tuple(values[name] for name in self.given) or None
        settings = {"mask": self.mask, "statistics": self.statistics, "data": self.data}
        return (values["x"],), {"initial_state": start, **settings}

    def inputs(self):
        """What is checked beside the quantities: name -> array, name -> gradient."""
        gradients = {**self.grads} if self.dx is None else {"x": self.dx, **self.grads}
        return {"x": self.cache.x, **self.cell.params, **self.given}, gradients

    def wholes(self, cache):
        """The quantities that are one array for all steps: name -> array."""
        return {}

    def in_float64(self):
        """The trace, or one in float64 on the host where it is another."""
        if self.cell.dtype == np.float64 and isinstance(self.dh, np.ndarray):
            return self
        cell, x, dh, mask, state, statistics, data = to_host(
            [self.cell, self.cache.x, self.dh, self.mask, self.initial_state, self.statistics, self.data])
        state = state and tuple(value.astype(np.float64) for value in state)
        data = data and {name: values.astype(np.float64) for name, values in data.items()}
        x = x.astype(np.float64) if x.dtype.kind == "f" else x
        return Trace(cell.map_params(lambda value: value.astype(np.float64)), x, dh.astype(np.float64),
                     mask, state, statistics, data)


def _check_names(names, known):
    """Refuse what is not a list of known names."""
    if isinstance(names, str) or any(name not in known for name in names or ()):
        raise ValueError(f"names: expected a list out of {', '.join(known)}; got {names!r}; correct the names")


def _row(values, t):
    """The values of step t; of what is normalized per sequence, those of all steps."""
    return None if values is None else values[min(t, len(values) - 1)]
