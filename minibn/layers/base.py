"""What every layer does: checks, the input term, the initial state, and the way forward and backward.

A backward gives the gradients of its own forward, or it refuses. So a cache that can go backward owns all that it
needs: a copy of the layer's parameters, of x, the mask, the states and the statistics that were given. What it
computed is read-only, and the h that is returned beside it is a copy, the caller's to change.
"""

import numpy as np

from minibn import kernels
from minibn.backend import array_module
from minibn.cells.declaration import sizes_of
from minibn.equations import input_term
from minibn.equations.recurrence import unroll_backward, unroll_forward
from minibn.layers.caches import InputCache, KernelCache, LayerCache
from minibn.layers.checks import (
    check_data,
    check_first_step,
    check_initial_state,
    check_input,
    check_rows,
    check_statistics,
    check_upstream,
)
from minibn.layers.declared import DeclaredLayer
from minibn.layers.layer import PIECE_STEPS
from minibn.statistics import PopulationStatistics, Statistics


class RecurrentLayer(DeclaredLayer):
    """A declared cell with its parameters.

    Parameters
    ----------
    declaration : Cell
        Such as `minibn.cells.lstm.CELL`.
    input_size, hidden_size : int
        D and H.
    dtype : {float64, float32}
    rng : numpy.random.Generator or int, optional
        Draws the weights.
    engine : {"equations", "kernels"}
        The readable equations, or the same mathematics made fast, where the cell has a kernel.
    **options
        Those that the cell declares.
    """

    def forward(self, x, mask=None, initial_state=None, statistics=None, first_step=0, data=None,
                statistics_mask=None):
        """Run the recurrence over a minibatch of sequences.

        Parameters
        ----------
        x : ndarray of shape (T, N, D), or integer ndarray of shape (T, N)
            Time-major input of the parameters' dtype; integers mean one-hot input.
        mask : ndarray of shape (T, N), optional
            True (or 1) where a step is live. Padded steps keep the state.
        initial_state : tuple of ndarray (N, H), optional
            (h_0, c_0), or (h_0,) for RNNs, for each example; by default the learned h0 and c0.
        statistics : PopulationStatistics, optional
            Use these instead of the minibatch's own: for all terms, or for some.
        first_step : int
            The time step of x[0], for a later piece of a long sequence: which rows of `statistics` it uses.
        data : dict of str to ndarray (T, N, ...), optional
            What the cell takes at each step: masks, noise (`draw_data`); by default their expectations.
        statistics_mask : ndarray of shape (T, N), optional
            True (or 1) where a row enters the statistics of its step; by default the mask. Where both are 0, x is
            never read. The statistics of a whole sequence are always those of its live steps: others would depend on
            the length of the padding.

        Returns
        -------
        h : ndarray of shape (T, N, H)
        cache : LayerCache

        Raises
        ------
        TypeError, ValueError
            An argument of the wrong type, dtype, rank or size; NumPy and CuPy mixed; a minibatch of one example
            without `statistics`.
        """
        checked = self._checked(x, mask, initial_state, statistics, first_step, data, statistics_mask)
        cache = self.map_params(kernels.keep)._run(*(_copied(value) for value in checked))
        cache.make_read_only(self)
        return kernels.keep(cache.h), cache

    def forward_only(self, x, mask=None, initial_state=None, statistics=None, first_step=0, data=None,
                     statistics_mask=None):
        """As `forward`, where nobody will go backward: nothing is copied, and `backward` refuses the cache.

        A single step runs the equations: a kernel prepares its weights for a whole sequence first.
        """
        checked = self._checked(x, mask, initial_state, statistics, first_step, data, statistics_mask)
        cache = self._run(*checked, fast=len(checked[0]) > 1)
        return cache.h, cache

    def forward_reading(self, x, initial_state=None, statistics=None, first_step=0):
        """See `minibn.layers.layer.Layer`. A kernel makes its weights and statistics ready once for many steps."""
        shared = array_module(x) is np and x.dtype == np.intp          # a kernel would look into a copy of any other
        for start in range(0, len(x), PIECE_STEPS):
            piece, t = x[start:start + PIECE_STEPS], first_step + start
            checked = self._checked(piece, None, initial_state, statistics, t, None, None)
            piece, mask, state, given, _, counted, _ = checked
            call = self._call(piece, mask, state, given, counted)
            if self.engine != "kernels" or not shared or not kernels.takes(call, self.terms):
                yield from super().forward_reading(x, initial_state, statistics, first_step)
                return
            stored = yield from kernels.steps(self.kernel, call)
            initial_state = tuple(states[-1] for states in (stored.h, stored.c) if states is not None)

    def backward(self, dh, cache, observe=None, observe_input=None):
        """Back-propagate through time.

        Parameters
        ----------
        dh : ndarray of shape (T, N, H)
            Gradient of the loss with respect to h, only the loss terms of each step itself.
        cache : LayerCache
            Of this layer's `forward`; it is not changed, and may be used again. Whatever became of the layer's
            parameters, of x or h since then, the gradients are those of that very forward pass.
        observe : callable, optional
            ``observe(t, gradients, dstate)``: sees the total derivatives of every quantity at step t.
        observe_input : callable, optional
            ``observe_input(t, gradients)``: those of the batch norm of the input term, where there is one; only
            once, with t = 0, where it is per sequence.

        Returns
        -------
        dx : ndarray of shape (T, N, D), or None for integer x
        grads : dict
            Keys and shapes of `params`; h0 and c0 are (N, H) when an initial_state was given.
        """
        check_upstream(self, dh, cache)
        if isinstance(cache, KernelCache) and observe is None and observe_input is None:
            dx, dstate, grads = kernels.backward(self.kernel, dh, cache.call, cache.stored)
        else:
            dx, dstate, grads = cache.layer._equations_backward(dh, cache, observe, observe_input)
        if cache.read is not None and dx is not None:
            dx = array_module(dx).where(cache.read[..., None], dx, 0)  # the rest is never read, whatever dh holds
        if cache.learned_state:
            dstate = tuple(d.sum(axis=0) for d in dstate)             # (H,): h_0 is broadcast over the batch
        grads = {**grads, **dict(zip(self.state_names, dstate, strict=True))}
        return dx, {name: grads[name] for name in cache.layer.params}

    def draw_data(self, rng, T, N):
        """What the cell takes at each step, drawn for training: name -> ndarray (T, N, ...), on the layer's device.

        `rng` is a numpy.random.Generator. Most cells take nothing: the dict is empty.
        """
        return {name: self._of_the_layer(row.draw(rng, (T, *shape), self.options))
                for name, row, shape in self._data_of(N)}

    def _data_of(self, N):
        """(name, row of the declaration, shape of one step) of what the cell takes at each step."""
        return [(name, row, sizes_of(row.shape, {"N": N, **self.sizes})) for name, row in self.declaration.data.items()]

    def _of_the_layer(self, values):
        """An array of the host in the dtype and on the device of the layer."""
        return array_module(self.reference).asarray(np.asarray(values).astype(self.reference.real.dtype))

    def _checked(self, x, mask, initial_state, statistics, first_step, data, statistics_mask):
        """What `_run` takes: x with zeros where it is not read, masks as bool, given states, statistics and data."""
        if self.engine == "kernels":
            kernels.STORE.serve(self)
        check_input(self, x, mask, statistics_mask)
        mask, counted = (None if rows is None else rows != 0 for rows in (mask, statistics_mask))      # (T, N)
        read = mask if mask is None or counted is None else mask | counted
        if read is not None:
            x = array_module(x).where(read if x.ndim == 2 else read[..., None], x, 0)
        check_rows(self, x)
        T, N = x.shape[:2]
        if initial_state is not None:
            check_initial_state(self, initial_state, N)
            initial_state = tuple(initial_state)
        first_step = check_first_step(first_step)
        check_statistics(self, statistics, N)
        given = self._statistics_at(statistics, first_step, T) if self.terms and statistics else None
        if data is not None:
            check_data(self, data, T, N)
        else:                               # at each step the same
            data = {name: [self._of_the_layer(row.expectation(shape, self.options))] * T
                    for name, row, shape in self._data_of(N)}
        return x, mask, initial_state, given, data, counted, read

    def _run(self, x, mask, initial_state, given, data, counted, read, fast=True):
        """The forward pass on checked arguments: everything that it computed."""
        call = self._call(x, mask, initial_state, given, counted)
        if fast and self.engine == "kernels" and kernels.takes(call, self.terms):
            cache = KernelCache(self, call, kernels.forward(self.kernel, call))
        else:
            inputs = self._input_forward(call)
            cache = LayerCache(self, inputs, self._recur_forward(inputs.x_term, call, data))
        cache.learned_state, cache.read = initial_state is None, read
        return cache

    def _call(self, x, mask, state, given, counted):
        """What a kernel is given of checked arguments, and the equations too."""
        if state is None:
            learned = [self.params[name] for name in self.state_names]
            state = tuple(array_module(x).broadcast_to(value, (x.shape[1], *value.shape)) for value in learned)
        return kernels.Call(x, state, self.params, mask, given, self.eps, self.input_statistics, counted)

    def _equations_backward(self, dh, cache, observe, observe_input):
        dx_term, dstate, grads = self._recur_backward(dh, cache.sequence, observe)
        dx, input_grads = self._input_backward(dx_term, cache.inputs, observe_input)
        return dx, dstate, {**grads, **input_grads}

    def _recur_forward(self, x_term, call, data):
        """The recurrence, from the input term (T, N, G)."""
        T, given = len(x_term), call.given or {}
        statistics = [{term: Statistics(*(values[t] for values in given[term])) if term in given else None
                       for term in self.terms if term != "x"} for t in range(T)]
        live = None if call.counted is None else call.mask            # to the step itself it matters only then
        per_step = {"x_term": x_term, "live": _each_step(live, T), "mask": _each_step(call.rows, T),
                    "statistics": statistics, **data}
        return unroll_forward(self.find("step_forward"), dict(zip(self.declaration.states, call.state, strict=True)),
                              per_step, {**self.options, **self.params}, call.mask)

    def _recur_backward(self, dh, sequence, observe):
        others = ("W_x", "gamma_x", *self.state_names) if "x" in self.terms else ("W_x", *self.state_names)
        parameters = [name for name in self.params if name not in others]
        return unroll_backward(self.find("step_backward"), dh, sequence, parameters, observe)

    def _input_forward(self, call):
        x, p = call.x, self.params
        project = input_term.look_up_forward if x.ndim == 2 else input_term.project_forward
        x_linear = project(x, p["W_x"])
        if "x" not in self.terms:
            return InputCache(x, x_linear, x_linear, ())
        normalize, mask = {"step": (input_term.per_step_forward, call.rows),
                           "sequence": (input_term.per_sequence_forward, call.mask)}[self.input_statistics]
        x_term, x_bn = normalize(x_linear, p["gamma_x"], self.eps, mask, (call.given or {}).get("x"))
        return InputCache(x, x_linear, x_term, x_bn)

    def _input_backward(self, dx_term, inputs, observe=None):
        grads, dx_linear = {}, dx_term
        if inputs.x_bn:
            backward = {"step": input_term.per_step_backward, "sequence": input_term.per_sequence_backward}
            dx_linear, grads["gamma_x"] = backward[self.input_statistics](dx_term, inputs.x_bn, observe)
        if inputs.x.ndim == 2:
            return None, {**grads, "W_x": input_term.look_up_backward(dx_linear, inputs.x, self.params["W_x"])}
        dx, dW_x = input_term.project_backward(dx_linear, inputs.x, self.params["W_x"])
        return dx, {**grads, "W_x": dW_x}

    def _statistics_at(self, statistics, first_step, T):
        """The rows of the given statistics for T steps: term -> Statistics (T, 1, G); "x" per sequence: (1, G)."""
        given = PopulationStatistics(statistics).at_steps(first_step, T, self.dtype.type(0).real.dtype)
        if self.input_statistics == "sequence" and "x" in given:
            given["x"] = Statistics(*(values[0] for values in given["x"]))
        return given

    def _add_noise(self, noise):
        first, *others = (self.params[name] for name in self.state_names)
        return (first + noise, *(array_module(noise).broadcast_to(value, (len(noise), *value.shape))
                                 for value in others))

    @property
    def noise_size(self):
        """The width of h0."""
        return self.output_size

    @property
    def widest(self):
        """The width of the largest array of a step."""
        return max(self.width(self.declaration.input), self.input_size)

    def needs_whole(self, statistics):
        """Whether a sequence cannot be run in pieces: its input term has statistics of the whole of it."""
        return self.input_statistics == "sequence" and "x" not in (statistics or {})


def _each_step(mask, T):
    """What each step is given of a mask (T, N), or of None."""
    return [None] * T if mask is None else mask


def _copied(value):
    """A copy of an array, or of all arrays in a tuple or dict; None stays None."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [kernels.keep(value[0])] * len(value)        # the same at each step
    if isinstance(value, tuple):
        items = [_copied(item) for item in value]
        return value._make(items) if hasattr(value, "_make") else tuple(items)
    return kernels.keep(value)
