"""What a layer does whatever it is made of: long sequences in pieces, statistics of a batch, noise on its states."""

from abc import ABC, abstractmethod

from minibn.backend import array_module, to_host
from minibn.errors import check_array, check_same_backend, check_same_dtype, check_sizes
from minibn.layers.checks import check_input
from minibn.statistics import Statistics, continue_dead_steps

PIECE_ELEMENTS = 2 ** 22      # of one (steps, N, G) array in `forward_in_pieces`: 16 MiB in float32, times ten
PIECE_STEPS = 2 ** 10         # at most: the equations keep some ten kilobytes of small arrays for each, N = 1 or not


class Layer(ABC):
    """A recurrence, or several: `RecurrentLayer`, `Stacked`, `Bidirectional`.

    Attributes
    ----------
    params : mapping
    input_size, output_size : int
        D, and the width of h.
    state_names : tuple of str
        The parameters where the states start: h0, c0; in the order of `initial_state` and ``cache.final_state``.
    terms : tuple of str
        The normalized terms, those with statistics.
    """

    sees_ahead = False          # whether h_t depends on later steps

    @abstractmethod
    def forward_only(self, x, mask=None, initial_state=None, statistics=None, first_step=0, data=None,
                     statistics_mask=None):
        """As `forward`, where nobody will go backward: nothing is copied, and `backward` refuses the cache."""

    def forward_reading(self, x, initial_state=None, statistics=None, first_step=0):
        """Yield h_t (N, H) for symbols x (T, N), each of which need not be known before that of the step before it.

        For whoever draws a symbol from h_t and writes it to ``x[t + 1]``. Nobody goes backward from here.
        """
        for t in range(len(x)):
            _, cache = self.forward_only(x[t:t + 1], None, initial_state, statistics, first_step + t)
            initial_state = cache.final_state
            yield cache.last_output

    @abstractmethod
    def _add_noise(self, noise):
        """The learned states of every example, with `noise` on each h0: a flat tuple."""

    @property
    @abstractmethod
    def noise_size(self):
        """The width of the noise on the states: that of h0, of every part together."""

    @property
    @abstractmethod
    def widest(self):
        """The width of the largest array of a step."""

    @abstractmethod
    def needs_whole(self, statistics):
        """Whether a sequence cannot be run in pieces."""

    @property
    def reference(self):
        """A parameter: its dtype and its device are those of the layer."""
        return next(iter(self.params.values()))

    @property
    def dtype(self):
        """The dtype of the parameters, which x must have too."""
        return self.reference.dtype

    def noisy_state(self, x, noise):
        """The learned states of every example with `noise` on each h0, to pass as `initial_state`.

        Parameters
        ----------
        x : ndarray
            The input of the minibatch.
        noise : ndarray of shape (N, noise_size), or None
            None gives None: the learned states themselves.
        """
        if noise is None:
            return None
        check_input(self, x, None)
        check_array("initial_noise", noise, "N H", N=x.shape[1], H=self.noise_size)
        check_same_backend(self.reference, initial_noise=noise)
        check_same_dtype(self.dtype, initial_noise=noise)
        return self._add_noise(noise)

    def batch_statistics(self, x, mask=None, initial_state=None, data=None, statistics=None, statistics_mask=None):
        """The statistics that every normalized term was normalized with: term -> Statistics of arrays (T, G).

        They are the batch's own but for the terms in `statistics`. Streams over time, so that large batches fit in
        memory. A step without an example to count has no statistics: it gets those of the last such step before it, or
        of the first one after.
        """
        pieces = [cache.statistics(self.terms) for _, cache in
                  self.forward_in_pieces(x, mask, initial_state, statistics, data=data,
                                         statistics_mask=statistics_mask)]
        rows = mask if statistics_mask is None else statistics_mask
        xp, live = array_module(x), None if rows is None else to_host(rows != 0).any(axis=1)        # (T,)
        return {term: Statistics(*(continue_dead_steps(xp.concatenate(values), live) for values in
                                   zip(*(piece[term] for piece in pieces), strict=True)))
                for term in self.terms}

    def forward_in_pieces(self, x, mask=None, initial_state=None, statistics=None, piece_steps=None, data=None,
                          statistics_mask=None):
        """Run `forward_only` on consecutive pieces of a sequence and yield each (h, cache): bounded memory.

        The states are those of one long forward pass, since a step's statistics are its own. A piece has
        `piece_steps` steps, by default as many as fit in a few dozen MiB. Where the input is normalized per
        sequence and the statistics are the batch's, and where a layer reads backward, there is only one piece: the
        whole.
        """
        check_input(self, x, mask, statistics_mask)
        T, N = x.shape[:2]
        if piece_steps is None:
            piece_steps = T if self.sees_ahead else min(PIECE_STEPS, max(1, PIECE_ELEMENTS // (N * self.widest)))
        check_sizes(piece_steps=piece_steps)
        if self.sees_ahead and piece_steps < T:
            raise ValueError(f"piece_steps: expected at least T={T}, got {piece_steps}; a bidirectional layer reads "
                             f"whole sequences")
        if self.needs_whole(statistics):
            piece_steps = T
        for start in range(0, T, piece_steps):
            piece = slice(start, start + piece_steps)
            of_piece = data and {name: values[piece] for name, values in data.items()}
            live, counted = (None if rows is None else rows[piece] for rows in (mask, statistics_mask))
            h, cache = self.forward_only(x[piece], live, initial_state, statistics, start, of_piece, counted)
            yield h, cache
            initial_state = cache.final_state
