"""Initial weights: orthogonal, identity, and the mixtures of the paper and of the authors' code.

Drawn on the host with NumPy, so that a seed means the same numbers on every device.
"""

import numpy as np

from minibn.errors import check_choice


def orthogonal(rng, rows, columns):
    """A (rows, columns) matrix with orthonormal rows or columns, whichever are fewer.

    The factor of matching shape in the singular value decomposition of a Gaussian matrix. A block of a wide
    orthogonal matrix is not orthogonal itself: its singular values spread from near 0 to below 1.
    """
    u, _, v = np.linalg.svd(rng.standard_normal((rows, columns)), full_matrices=False)
    return u if u.shape == (rows, columns) else v


def tiled(rng, size, blocks):
    """0.05 times one orthogonal (size, size) matrix in every block, as the authors' reader has it."""
    return np.tile(0.05 * orthogonal(rng, size, size), blocks)


def recurrent_weights(kind, rng, hidden_size, blocks):
    """W_h of shape (H, blocks * H); the last of four blocks is the candidate g.

    Parameters
    ----------
    kind : {"orthogonal", "identity_g", "identity", "tiled"}
        One orthogonal matrix for all blocks (the authors' language models); the identity for g and one
        orthogonal H x 3H for the other gates (the authors' MNIST code); the identity in every block; see `tiled`.
    rng : numpy.random.Generator
    hidden_size : int
    blocks : int
        4 for LSTMs, 1 for RNNs.
    """
    gated = ("identity_g", "tiled") if blocks > 1 else ()
    check_choice("init", kind, ("orthogonal", "identity", *gated))
    H = hidden_size
    if kind == "tiled":
        return tiled(rng, H, blocks)
    if kind == "identity":
        return np.tile(np.eye(H), blocks)
    if kind == "identity_g":
        return np.concatenate([orthogonal(rng, H, (blocks - 1) * H), np.eye(H)], axis=1)
    return orthogonal(rng, H, blocks * H)
