"""What a function is called with when it is graded: random numbers that hide no mistake.

Every call is with other sizes, all different, random biases, gamma away from 1, beta away from 0, a random upstream
gradient and an epsilon that can be seen. Some are masked, some have given statistics or a time axis: a mistake that
only these show is shown. What a backward needs of its forward comes from the library, so that one wrong function does
not make the next one wrong.
"""

from typing import NamedTuple
from zlib import crc32

import numpy as np

from minibn.cells import CELLS
from minibn.cells.declaration import sizes_of
from minibn.equations.losses import softmax_cross_entropy_forward
from minibn.equations.recurrence import unroll_forward
from minibn.statistics import Statistics, example_weights

EPS = 0.01


class Draw(NamedTuple):
    """The arguments of one call."""

    kind: str           # plain, masked, given
    arguments: dict     # name -> value; a fresh copy at each drawing
    sizes: dict         # letter -> number


def draws_of(ask, seed):
    """The calls of one function, always the same for the same seed: a list of `Draw`."""
    makers = MAKERS[ask.module.rpartition(".")[2], ask.function]
    drawn = []
    for number, (kind, make) in enumerate(makers):
        rng = np.random.default_rng([seed, crc32(f"{ask.module}.{ask.function}".encode()), number])
        N, T, H, D, K = rng.permutation([5, 6, 7, 8, 9])[0], *(int(n) for n in rng.permutation([2, 3, 4])), \
            int(rng.integers(10, 13))
        sizes = {"N": int(N), "T": T + 1 if H == T else T, "H": H, "D": D, "K": K}
        drawn.append(Draw(kind, make(rng, sizes), sizes))
    return drawn


def normal(rng, *shape):
    """Random numbers around zero."""
    return 0.8 * rng.standard_normal(shape)


def positive(rng, *shape):
    """Random numbers between 1/2 and 3/2."""
    return rng.uniform(0.5, 1.5, shape)


def live_rows(rng, *shape):
    """A mask with at least two live examples a step, and a padded one."""
    mask = rng.random(shape) < 0.7
    mask[..., :2], mask[..., 2] = True, False
    return mask[..., rng.permutation(shape[-1])]


def statistics_for(rng, *shape):
    """A mean and a variance, both positive: exchanged, they are no error of the arithmetic."""
    return Statistics(positive(rng, *shape) - 0.3, positive(rng, *shape) + 0.3)


# Labs 1, 2, 7: functions of arrays


def _slope(rng, n):
    return {"y": np.tanh(normal(rng, n["N"], n["H"]))}


def _statistics(masked=False, time=False):
    def make(rng, n):
        a = normal(rng, *([n["T"]] if time else []), n["N"], n["H"]) + 0.5
        return {"a": a, "weight": example_weights(a, live_rows(rng, *a.shape[:-1]) if masked else None)}
    return make


def _norm(masked=False, given=False, time=False):
    def make(rng, n):
        a = normal(rng, *([n["T"]] if time else []), n["N"], n["H"]) + 0.5
        return {"a": a, "gamma": positive(rng, n["H"]) + 0.3, "beta": normal(rng, n["H"]) + 0.4, "eps": EPS,
                "mask": live_rows(rng, *a.shape[:-1]) if masked else None,
                "statistics": statistics_for(rng, *a.shape[:-2], 1, n["H"]) if given else None}
    return make


def _norm_backward(**kind):
    from minibn.equations.batch_norm import batch_norm_forward

    def make(rng, n):
        arguments = _norm(**kind)(rng, n)
        return {"dy": normal(rng, *arguments["a"].shape), "cache": batch_norm_forward(**arguments)[1]}
    return make


def _rows(late):
    def make(rng, n):
        first = n["T"] + 5 if late == "beyond" else int(late)
        return {"values": normal(rng, n["T"] + 1, n["H"]), "first_step": first, "T": n["T"] + 2 - int(late == "0")}
    return make


def _ragged(longer):
    def make(rng, n):
        long, short = normal(rng, n["T"] + 3, n["H"]), normal(rng, n["T"], n["H"])
        return {"a": long, "b": short} if longer == "a" else {"a": short, "b": long}
    return make


def _batches(ragged):
    def make(rng, n):
        lengths = [n["T"] + more for more in ((1, 3, 0) if ragged else (1, 1, 1))]
        return {"of_batches": [{term: statistics_for(rng, T, G) for term, G in (("h", 4 * n["H"]), ("c", n["H"]))}
                               for T in lengths]}
    return make


# Labs 1, 3, 5: the steps of the cells


def _step_values(cell, rng, n, masked, given, frozen):
    declaration = CELLS[cell]
    shape = {"N": n["N"], "D": n["D"], "H": n["H"]}
    values = {"x_term": normal(rng, n["N"], *sizes_of(declaration.input, shape)), "eps": EPS,
              "mask": live_rows(rng, n["N"]) if masked else None, "live": live_rows(rng, n["N"]) if frozen else None,
              "statistics": {term: statistics_for(rng, 1, *sizes_of(width, shape)) if given else None
                             for term, width in declaration.normalized.items() if term != "x"}}
    for name, width in declaration.states.items():
        values[f"{name}_prev"] = normal(rng, n["N"], *sizes_of(width, shape))
    for name, parameter in declaration.parameters.items():
        draw = positive if name.startswith("gamma") else normal
        values[name] = draw(rng, *sizes_of(parameter.shape, shape))
    return values


def _forward(cell, masked=False, given=False, frozen=False):
    def make(rng, n):
        values = _step_values(cell, rng, n, masked, given, frozen)
        return _named(CELLS[cell].find("step_forward"), values)
    return make


def _backward(cell, masked=False, given=False, frozen=False):
    def make(rng, n):
        declaration = CELLS[cell]
        values = _step_values(cell, rng, n, masked, given, frozen)
        step = vars(declaration.forward(**values))
        upstream = {f"d{name}": normal(rng, *step[name].shape) for name in declaration.states}
        return _named(declaration.find("step_backward"), {**step, **upstream})
    return make


def _named(function, values):
    """Those of the values that a function names."""
    return {name: values[name] for name in function.__code__.co_varnames[:function.__code__.co_argcount]
            if name in values}


# Lab 4


def _freeze(live):
    def make(rng, n):
        return {"dstate": normal(rng, n["N"], n["H"]), "live": live_rows(rng, n["N"]) if live else None}
    return make


def _unroll(cell, masked=False):
    def make(rng, n):
        declaration, T = CELLS[cell], n["T"] + 2
        values = [_step_values(cell, rng, n, False, False, False) for _ in range(T)]
        mask = live_rows(rng, T, n["N"]) if masked else None
        start = {name: values[0][f"{name}_prev"] for name in declaration.states}
        names = [name for name in declaration.parameters if name not in ("W_x", "gamma_x")]
        cache = unroll_forward(
            declaration.find("step_forward"), start,
            {"x_term": np.stack([one["x_term"] for one in values]), "mask": [None] * T if mask is None else list(mask),
             "live": [None] * T, "statistics": [values[0]["statistics"]] * T},
            {**{name: values[0][name] for name in names}, "eps": EPS}, mask)
        return {"step_backward": declaration.find("step_backward"), "dh": normal(rng, *cache.h.shape), "cache": cache,
                "parameters": names}
    return make


def _loss(axes, masked=False):
    def make(rng, n):
        leading = [n[letter] for letter in axes]
        mask = live_rows(rng, *leading) if masked else None
        return {"logits": 2 * normal(rng, *leading, n["K"]), "y": rng.integers(0, n["K"], leading), "mask": mask}
    return make


def _loss_backward(*kind, **settings):
    def make(rng, n):
        return {"cache": softmax_cross_entropy_forward(**_loss(*kind, **settings)(rng, n))[1]}
    return make


NORMS = (("plain", {}), ("plain", {}), ("masked", {"masked": True}), ("given", {"given": True}),
         ("given", {"time": True, "masked": True}))
STEPS = (("plain", {}), ("plain", {}), ("masked", {"masked": True}), ("masked", {"frozen": True}),
         ("given", {"given": True}))

MAKERS = {
    ("activations", "dtanh"): [("plain", _slope)] * 2,
    ("rnn", "step_forward"): [("plain", _forward("rnn"))] * 3,
    ("rnn", "step_backward"): [("plain", _backward("rnn"))] * 3,
    ("statistics", "batch_statistics"): [("plain", _statistics()), ("plain", _statistics()),
                                         ("masked", _statistics(masked=True)),
                                         ("given", _statistics(masked=True, time=True))],
    ("batch_norm", "batch_norm_forward"): [(kind, _norm(**settings)) for kind, settings in NORMS],
    ("batch_norm", "batch_norm_backward"): [(kind, _norm_backward(**settings)) for kind, settings in NORMS],
    ("lstm", "step_forward"): [("plain", _forward("lstm"))] * 3,
    ("lstm", "step_backward"): [("plain", _backward("lstm"))] * 3,
    ("bn_lstm", "step_forward"): [(kind, _forward("bnlstm", **settings)) for kind, settings in STEPS],
    ("bn_lstm", "step_backward"): [(kind, _backward("bnlstm", **settings)) for kind, settings in STEPS],
    ("recurrence", "freeze_backward"): [("masked", _freeze(True)), ("masked", _freeze(True)),
                                        ("plain", _freeze(False))],
    ("recurrence", "unroll_backward"): [("plain", _unroll("rnn")), ("plain", _unroll("lstm")),
                                        ("masked", _unroll("lstm", masked=True)),
                                        ("masked", _unroll("bnlstm", masked=True))],
    ("losses", "softmax_cross_entropy_forward"): [("plain", _loss("N")), ("plain", _loss("TN")),
                                                  ("masked", _loss("TN", masked=True))],
    ("losses", "softmax_cross_entropy_backward"): [("plain", _loss_backward("N")), ("plain", _loss_backward("TN")),
                                                   ("masked", _loss_backward("TN", masked=True))],
    ("statistics", "rows_at_steps"): [("plain", _rows("0")), ("plain", _rows("1")), ("given", _rows("2")),
                                      ("given", _rows("beyond"))],
    ("statistics", "add_ragged"): [("plain", _ragged("a")), ("given", _ragged("b"))],
    ("statistics", "average_over_batches"): [("plain", _batches(False)), ("given", _batches(True))],
}
