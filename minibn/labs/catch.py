"""Lab 6: the student writes the check, and it is run on twenty mistakes and three right programs."""

import numpy as np

from minibn.equations.batch_norm import BatchNormGradients, batch_norm_backward, batch_norm_forward
from minibn.gradcheck import check_function
from minibn.labs.mistakes import mistakes_of

MUTANTS = 20


def check(forward, backward):
    """Whether a backward of batch norm is right.

    Parameters
    ----------
    forward : callable
        ``y, cache = forward(a, gamma, beta, eps, mask=None, statistics=None)``, and it is right.
    backward : callable
        ``gradients = backward(dy, cache)``, with the fields a (..., N, G), gamma and beta (G,). The fields mean,
        variance, inv_std and hat are not looked at.

    Returns
    -------
    bool
    """
    rng = np.random.default_rng(0)
    for leading, masked, given in (((), False, False), ((), True, False), ((), False, True), ((3,), False, False)):
        shape = (*leading, 6, 4)
        mask = rng.random(shape[:-1]) < 0.7 if masked else None
        if masked:
            mask[..., :2], mask[..., 2] = True, False
        statistics = (rng.uniform(0, 1, (1, 4)), rng.uniform(0.5, 1.5, (1, 4))) if given else None

        def run(a, gamma, beta, mask=mask, statistics=statistics):
            return forward(a, gamma, beta, 0.01, mask, statistics)

        def back(dy, cache):
            gradients = backward(dy, cache)
            return {"a": gradients.a, "gamma": gradients.gamma, "beta": gradients.beta}

        inputs = {"a": rng.standard_normal(shape), "gamma": rng.uniform(0.5, 1.5, 4), "beta": rng.standard_normal(4)}
        try:
            if not check_function(run, back, inputs).ok:
                return False
        except ValueError:      # a gradient of another shape
            return False
    return True


def closed_form(dy, cache):
    """The three paths of Eq. 5 in one formula."""
    dhat, share = dy * cache.gamma, np.swapaxes(cache.weight, -1, -2)                   # (..., N, G), (..., N, 1)
    total, along = dhat.sum(axis=-2, keepdims=True), (dhat * cache.hat).sum(axis=-2, keepdims=True)
    rows = tuple(range(dy.ndim - 1))
    return BatchNormGradients(cache.inv_std * (dhat - share * (total + cache.hat * along)), None, None, None, dhat,
                              (dy * cache.hat).sum(rows), dy.sum(rows))


def one_by_one(dy, cache):
    """The same, in which each example stands in a line of its own, and the batch is added up by hand."""
    found = batch_norm_backward(dy, cache)
    gamma, beta = np.zeros_like(cache.gamma), np.zeros_like(cache.gamma)
    for dy_n, hat_n in zip(dy.reshape(-1, dy.shape[-1]), cache.hat.reshape(-1, dy.shape[-1]), strict=True):
        gamma, beta = gamma + dy_n * hat_n, beta + dy_n
    return found._replace(gamma=gamma, beta=beta)


RIGHT = (batch_norm_backward, closed_form, one_by_one)


def programs(ask_seed):
    """The backward functions of one grading: (mistake or None, function), in an order of its own."""
    from minibn.labs.source import Source

    rng, source = np.random.default_rng(ask_seed), Source("minibn.equations.batch_norm", "batch_norm_backward")
    rows = [row for row in mistakes_of(source.module, source.name) if "totals" not in row.check]
    chosen = [rows[k] for k in rng.permutation(len(rows))[:MUTANTS]]
    found = [*((row, source.function([row.edit])) for row in chosen), *((None, function) for function in RIGHT)]
    return [found[k] for k in rng.permutation(len(found))]


def call(ask, function, space, seed, given):
    """In the worker: what the student's check says of each program."""
    said = []
    for _, program in programs(seed):
        try:
            with np.errstate(all="ignore"):
                said.append(bool(function(batch_norm_forward, program)))
        except NotImplementedError:
            raise
        except Exception:       # a check that raises says no
            said.append(False)
    return {}, {"0/verdicts": np.array(said, dtype=np.float64)}


def judged(lab, ask, reply, left, seed, variant):
    """The points: for mistakes that were caught, as far as right programs were let through."""
    from minibn.labs.grade import Result

    caught, calm = ask.blanks
    if reply.error:
        return [Result(blank.id, ask.function, 0.0, blank.points, *reply.error[:1], error=reply.error[1])
                for blank in ask.blanks]
    said = reply.arrays[0]["verdicts"] if reply.arrays else np.zeros(0)
    all_of = programs(seed)
    if said.shape != (len(all_of),):
        return [Result(blank.id, ask.function, 0.0, blank.points, "format",
                       error=f"expected {len(all_of)} verdicts, got {said.size}") for blank in ask.blanks]
    passed = [row for (row, _), verdict in zip(all_of, said, strict=True) if row is not None and verdict]
    calm_share = sum(bool(verdict) for (row, _), verdict in zip(all_of, said, strict=True) if row is None) / len(RIGHT)
    share = calm_share * (1 - len(passed) / MUTANTS)
    return [
        Result(caught.id, ask.function, caught.points * share, caught.points, "right" if share == 1 else "several",
               [row.id for row in passed] if calm_share else [],
               hints=[f"your check lets {len(passed)} of {MUTANTS} mistakes through"] * bool(passed)),
        Result(calm.id, ask.function, calm.points * calm_share, calm.points, "right" if calm_share == 1 else
               "unrecognised", hints=["your check calls a right program wrong"] * (calm_share < 1)),
    ]
