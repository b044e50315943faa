"""Layers above each other."""

from minibn.layers.composed import Composed, ComposedCache
from minibn.layers.layer import Layer


class StackedCache(ComposedCache):
    """Of a `Stacked`: its output is that of the layer on top."""

    top = property(lambda self: list(self.parts.values())[-1])
    h = property(lambda self: self.top.h)
    last_output = property(lambda self: self.top.last_output)

    def last_output_backward(self, d):
        return self.top.last_output_backward(d)


class Stacked(Composed):
    """Layers above each other: each reads what the one below says.

    Parameters
    ----------
    layers : sequence of layer
        From the lowest on. The input_size of each is the output_size of the one below.

    Attributes
    ----------
    params : mapping
        ``0.W_x``, ..., ``1.W_x``, ...

    Examples
    --------
    >>> import numpy as np, minibn
    >>> deep = minibn.Stacked([minibn.BNLSTM(3, 4, rng=0), minibn.BNLSTM(4, 4, rng=1)])
    >>> h, cache = deep.forward(np.random.default_rng(0).normal(size=(5, 6, 3)))
    >>> h.shape, len(cache.final_state)
    ((5, 6, 4), 4)
    """

    def __init__(self, layers):
        if isinstance(layers, Layer) or not hasattr(layers, "__len__") or not len(layers):
            raise TypeError(f"layers: expected a list of layers, got {type(layers).__name__}; "
                            f"pass [minibn.LSTM(...), ...]")
        super().__init__({str(number): layer for number, layer in enumerate(layers)})
        for number, (below, above) in enumerate(zip(layers, layers[1:], strict=False), start=1):
            if above.input_size != below.output_size:
                raise ValueError(f"layer {number}: expected input_size={below.output_size}, the output of the layer "
                                 f"below, got {above.input_size}; make it with that input_size")

    output_size = property(lambda self: list(self.parts.values())[-1].output_size)

    def _forward(self, x, mask, counted, first_step, part_forward):
        caches, h = {}, x
        for name in self.parts:
            h, caches[name] = part_forward(name, h, counted, first_step)
        return StackedCache(self, caches)

    def _backward(self, dh, cache, part_backward):
        for name in reversed(self.parts):
            dh = part_backward(name, dh)
        return dh
