"""What every layer does: checks, the input term, the initial state, and the way forward and backward.

A backward gives the gradients of its own forward, or it refuses. So a cache that can go backward owns all that it
needs: a copy of the layer's parameters, of x, the mask, the states and the statistics that were given. What it
computed is read-only, and the h that is returned beside it is a copy, the caller's to change.
"""

from minibn import kernels
from minibn.backend import array_module
from minibn.equations import input_term
from minibn.equations.recurrence import unroll_backward, unroll_forward
from minibn.errors import check_sizes
from minibn.layers.caches import InputCache, KernelCache, LayerCache
from minibn.layers.checks import (
    check_first_step,
    check_initial_state,
    check_input,
    check_rows,
    check_statistics,
    check_upstream,
)
from minibn.layers.declared import DeclaredLayer
from minibn.statistics import PopulationStatistics, Statistics

PIECE_ELEMENTS = 2 ** 22      # of one (steps, N, G) array in `forward_in_pieces`: 16 MiB in float32, times ten
PIECE_STEPS = 2 ** 10         # at most: the equations keep some ten kilobytes of small arrays for each, N = 1 or not


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

    def forward(self, x, mask=None, initial_state=None, statistics=None, first_step=0):
        """Run the recurrence over a minibatch of sequences.

        Parameters
        ----------
        x : ndarray of shape (T, N, D), or integer ndarray of shape (T, N)
            Time-major input of the parameters' dtype; integers mean one-hot input.
        mask : ndarray of shape (T, N), optional
            True (or 1) where a step is live. Padded steps keep the state, are left out of the statistics,
            and their x is never read.
        initial_state : tuple of ndarray (N, H), optional
            (h_0, c_0), or (h_0,) for RNNs, for each example; by default the learned h0 and c0.
        statistics : PopulationStatistics, optional
            Use these instead of the minibatch's own.
        first_step : int
            The time step of x[0], for a later piece of a long sequence: which rows of `statistics` it uses.

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
        checked = self._checked(x, mask, initial_state, statistics, first_step)
        cache = self.map_params(kernels.keep)._run(*(_copied(value) for value in checked))
        cache.make_read_only(self)
        return kernels.keep(cache.h), cache

    def forward_only(self, x, mask=None, initial_state=None, statistics=None, first_step=0):
        """As `forward`, where nobody will go backward: nothing is copied, and `backward` refuses the cache."""
        cache = self._run(*self._checked(x, mask, initial_state, statistics, first_step))
        return cache.h, cache

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
        if cache.mask is not None and dx is not None:
            dx = array_module(dx).where(cache.mask[..., None], dx, 0)  # padding is never read, whatever dh holds
        if cache.learned_state:
            dstate = tuple(d.sum(axis=0) for d in dstate)             # (H,): h_0 is broadcast over the batch
        grads = {**grads, **dict(zip(self.state_names, dstate, strict=True))}
        return dx, {name: grads[name] for name in cache.layer.params}

    def _checked(self, x, mask, initial_state, statistics, first_step):
        """What `_run` takes: x with zeros at padded steps, the mask as bool, the given states and statistics."""
        if self.engine == "kernels":
            kernels.STORE.serve(self)
        check_input(self, x, mask)
        if mask is not None:
            mask = mask != 0                                          # (T, N)
            x = array_module(x).where(mask if x.ndim == 2 else mask[..., None], x, 0)        # padding is never read
        check_rows(self, x)
        T, N = x.shape[:2]
        if initial_state is not None:
            check_initial_state(self, initial_state, N)
            initial_state = tuple(initial_state)
        first_step = check_first_step(first_step)
        check_statistics(self, statistics, N)
        given = self._statistics_at(statistics, first_step, T) if self.terms and statistics is not None else None
        return x, mask, initial_state, given

    def _run(self, x, mask, initial_state, given):
        """The forward pass on checked arguments: everything that it computed."""
        state = initial_state
        if state is None:
            learned = [self.params[name] for name in self.state_names]
            state = tuple(array_module(x).broadcast_to(value, (x.shape[1], *value.shape)) for value in learned)
        run = self._kernels_forward if self.engine == "kernels" else self._equations_forward
        cache = run(x, state, mask, given)
        cache.learned_state = initial_state is None
        return cache

    def _equations_forward(self, x, state, mask, given):
        inputs = self._input_forward(x, mask, given and given.get("x"))
        recurrent = given and {term: values for term, values in given.items() if term != "x"}
        return LayerCache(self, inputs, self._recur_forward(inputs.x_term, state, mask, recurrent))

    def _equations_backward(self, dh, cache, observe, observe_input):
        dx_term, dstate, grads = self._recur_backward(dh, cache.sequence, observe)
        dx, input_grads = self._input_backward(dx_term, cache.inputs, observe_input)
        return dx, dstate, {**grads, **input_grads}

    def _recur_forward(self, x_term, state, mask, given):
        """The recurrence; `given` are statistics (T, 1, G) of each term but the input's, or None."""
        T, terms = len(x_term), [term for term in self.terms if term != "x"]
        statistics = [{term: given and Statistics(*(values[t] for values in given[term])) for term in terms}
                      for t in range(T)]
        per_step = {"x_term": x_term, "mask": [None] * T if mask is None else mask, "statistics": statistics}
        options = {name: getattr(self, name) for name, option in self.declaration.options.items() if option.kept}
        return unroll_forward(self.find("step_forward"), dict(zip(self.declaration.states, state, strict=True)),
                              per_step, {**options, **self.params}, mask)

    def _recur_backward(self, dh, sequence, observe):
        others = ("W_x", "gamma_x", *self.state_names) if "x" in self.terms else ("W_x", *self.state_names)
        parameters = [name for name in self.params if name not in others]
        return unroll_backward(self.find("step_backward"), dh, sequence, parameters, observe)

    def _kernels_forward(self, x, state, mask, given):
        call = kernels.Call(x, state, self.params, mask, given, self.eps, self.input_statistics)
        return KernelCache(self, call, kernels.forward(self.kernel, call))

    def _input_forward(self, x, mask, given):
        p = self.params
        project = input_term.look_up_forward if x.ndim == 2 else input_term.project_forward
        x_linear = project(x, p["W_x"])
        if "x" not in self.terms:
            return InputCache(x, x_linear, x_linear, ())
        normalize = {"step": input_term.per_step_forward, "sequence": input_term.per_sequence_forward}
        x_term, x_bn = normalize[self.input_statistics](x_linear, p["gamma_x"], self.eps, mask, given)
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

    def batch_statistics(self, x, mask=None, initial_state=None):
        """The batch statistics of every normalized term: term -> Statistics of arrays (T, G).

        Streams over time, so that large batches fit in memory. A step without a live example has no
        statistics: its rows are meaningless.
        """
        pieces = [cache.statistics(self.terms)
                  for _, cache in self.forward_in_pieces(x, mask=mask, initial_state=initial_state)]
        xp = array_module(x)
        return {term: Statistics(*(xp.concatenate(values) for values in
                                   zip(*(piece[term] for piece in pieces), strict=True)))
                for term in self.terms}

    def forward_in_pieces(self, x, mask=None, initial_state=None, statistics=None, piece_steps=None):
        """Run `forward_only` on consecutive pieces of a sequence and yield each (h, cache): bounded memory.

        The states are those of one long forward pass, since a step's statistics are its own. A piece has
        `piece_steps` steps, by default as many as fit in a few dozen MiB. Where the input is normalized per
        sequence and the statistics are the batch's, there is only one piece: the whole.
        """
        check_input(self, x, mask)
        T, N = x.shape[:2]
        if piece_steps is None:
            widest = max(self.width(self.declaration.input), self.input_size)
            piece_steps = min(PIECE_STEPS, max(1, PIECE_ELEMENTS // (N * widest)))
        check_sizes(piece_steps=piece_steps)
        if self.input_statistics == "sequence" and statistics is None:
            piece_steps = T
        for start in range(0, T, piece_steps):
            piece = slice(start, start + piece_steps)
            of_piece = x[piece], None if mask is None else mask[piece]
            h, cache = self.forward_only(*of_piece, initial_state, statistics, start)
            yield h, cache
            initial_state = cache.final_state

    def _statistics_at(self, statistics, first_step, T):
        """The rows of the given statistics for T steps: term -> Statistics (T, 1, G); "x" per sequence: (1, G)."""
        given = PopulationStatistics(statistics).at_steps(first_step, T, self.dtype.type(0).real.dtype)
        if self.input_statistics == "sequence":
            given["x"] = Statistics(*(values[0] for values in given["x"]))
        return given



def _copied(value):
    """A copy of an array, or of all arrays in a tuple or dict; None stays None."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, tuple):
        items = [_copied(item) for item in value]
        return value._make(items) if hasattr(value, "_make") else tuple(items)
    return kernels.keep(value)
