"""The options that several cells have, and first values of parameters that depend on them."""

from dataclasses import replace

import numpy as np

from minibn.cells.declaration import Option
from minibn.errors import check_number
from minibn.initializers import orthogonal, recurrent_weights, tiled


def _gamma(name, value, dtype):
    return check_number(name, value, dtype, above=0, remedy="the paper has 0.1")


def _eps(name, value, dtype):
    return check_number(name, value, dtype, above=0, remedy="it is small and positive, 1e-5 in the paper")


def _forget_bias(name, value, dtype):
    return check_number(name, value, dtype, remedy="the authors' code has 1.0")


GAMMA = Option(0.1, "initial gamma of every batch norm", _gamma)
EPS = Option(1e-5, "added to the variance in every batch norm", _eps)
INPUT_STATISTICS = Option("step", "statistics of W_x x_t: per time step, or one set per sequence (BN-e*)",
                          choices=("step", "sequence"))
FORGET_BIAS = Option(1.0, "initial bias of the forget gate", _forget_bias, kept=False)
CELL_OFFSET = Option(False, "the hidden offset inside tanh that the authors' baseline had")
INIT = Option("orthogonal", "initial W_h: orthogonal, the identity, or identity_g (the identity for the candidate, "
              "one orthogonal matrix for the other gates), tiled (0.05 times one orthogonal matrix in every gate, "
              "the authors' reader); auto is the authors' choice, on images the last "
              "that the cell takes of the first three, else orthogonal",
              choices=("orthogonal", "identity"), auto={"images": "identity"}, kept=False)
GATED_INIT = replace(INIT, choices=("orthogonal", "identity_g", "identity", "tiled"), auto={"images": "identity_g"})


def orthogonal_weights(rng, shape, options):
    """One orthogonal matrix; where the blocks of W_h are all alike, those of a square W_x are so too."""
    D, G = shape
    H = G // 4
    return tiled(rng, D, 4) if options.get("init") == "tiled" and D == H else orthogonal(rng, D, G)


def recurrent(rng, shape, options):
    """W_h as the option `init` says."""
    H, G = shape
    return recurrent_weights(options["init"], rng, H, G // H)


def forget_bias(rng, shape, options):
    """Zeros, and the option `forget_bias` in the first of four blocks, f."""
    b = np.zeros(shape)
    b[:len(b) // 4] = options["forget_bias"]
    return b
