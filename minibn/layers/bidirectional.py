"""Two layers that read a sequence in opposite directions."""

from minibn.backend import array_module
from minibn.equations.reversal import reverse
from minibn.errors import check_integer
from minibn.layers.composed import Composed, ComposedCache


class BidirectionalCache(ComposedCache):
    """Of a `Bidirectional`: outputs stand side by side, those of the backward reader at the steps that they saw."""

    @property
    def h(self):
        """(T, N, H_forward + H_backward)."""
        forward, backward = self.parts.values()
        return array_module(forward.h).concatenate([forward.h, reverse(backward.h, self.mask)], axis=-1)

    @property
    def last_output(self):
        """The forward reader's after the last live step, beside the backward reader's after the first."""
        last = [part.last_output for part in self.parts.values()]
        return array_module(last[0]).concatenate(last, axis=-1)       # (N, H_forward + H_backward)

    def last_output_backward(self, d):
        forward, backward = self.parts.values()
        H = forward.layer.output_size
        dh = [forward.last_output_backward(d[:, :H]), reverse(backward.last_output_backward(d[:, H:]), self.mask)]
        return array_module(d).concatenate(dh, axis=-1)


class Bidirectional(Composed):
    """Two layers that read a sequence in opposite directions; their outputs stand side by side.

    The backward reader reads the live steps of each example in reverse; padding stays where it is. Its batch and
    population statistics are those of its own steps: row t counts from the end of each sequence.

    Parameters
    ----------
    forward, backward : layer
        Of the same input_size.

    Attributes
    ----------
    params : mapping
        ``forward.W_x``, ..., ``backward.W_x``, ...
    """

    sees_ahead = True

    def __init__(self, forward, backward):
        super().__init__({"forward": forward, "backward": backward})
        if forward.input_size != backward.input_size:
            raise ValueError(f"backward: expected input_size={forward.input_size}, that of forward, got "
                             f"{backward.input_size}; both read the same sequence")

    output_size = property(lambda self: sum(part.output_size for part in self.parts.values()))

    def _forward(self, x, mask, counted, first_step, part_forward):
        if check_integer("first_step", first_step):
            raise ValueError(f"first_step: expected 0, got {first_step}; a bidirectional layer reads whole sequences, "
                             f"not later pieces of them")
        _, forward = part_forward("forward", x, counted)
        _, backward = part_forward("backward", reverse(x, mask), None if counted is None else reverse(counted, mask))
        return BidirectionalCache(self, {"forward": forward, "backward": backward})

    def _backward(self, dh, cache, part_backward):
        H = self.parts["forward"].output_size
        dx = part_backward("forward", dh[..., :H])
        dx_reversed = part_backward("backward", reverse(dh[..., H:], cache.mask))
        return None if dx is None else dx + reverse(dx_reversed, cache.mask)
