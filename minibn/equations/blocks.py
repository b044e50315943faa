"""The gates of a cell are computed side by side, as blocks of one array."""

from minibn.backend import array_module


def split(tilde, count):
    """The `count` blocks (N, H) of (N, count * H)."""
    H = tilde.shape[-1] // count
    return tuple(tilde[..., k * H:(k + 1) * H] for k in range(count))


def join(*blocks):
    """(N, count * H) out of blocks (N, H)."""
    return array_module(blocks[0]).concatenate(blocks, axis=1)
