"""Checks of every forward and backward pair, by differentiation without a derivation.

A check makes its inputs from a fixed seed, runs a forward and its backward in float64 with a random upstream
gradient on every output, and compares each gradient, element by element, with a complex step (or with central
differences). It raises `GradientMismatch` where they differ. ``CHECKS`` names them all: the test suite runs them on
the code as it is, and `mutants.py` runs them on code with one edited line, where they have to fail.

The totals checks look inside a step. ``LINES`` has the equations of each cell once more, as a table of one-line
formulas; replayed with a small addition to one quantity they give the total derivative with respect to that quantity.

Functions are looked up in their modules at each call, so that a mutated one is used wherever it was put.
"""

from functools import partial

import numpy as np

import minibn
from minibn import statistics
from minibn.cells import CELLS as DECLARED
from minibn.cells.declaration import sizes_of
from minibn.equations import activations, affine, batch_norm, input_term, losses, recurrence
from minibn.kernels import Call
from minibn.statistics import PopulationStatistics, Statistics

TOLERANCE = {"complex": 1e-10, "central": 1e-6}
VISIBLE_EPS = 0.01        # where the value is checked: of 1e-5 nobody sees whether it is inside the root
COMPLEX_STEP = 1e-30      # nothing is subtracted, so the step can be too small to leave a truncation error
CENTRAL_STEP = 1e-5       # near eps^(1/3): truncation, which grows with its square, meets rounding there
FLOOR = 1e-3              # of the largest gradient in a check: what is below counts as zero up to its rounding
EPS = 1e-5
# Of the largest gradient, for one that is identically zero: float64 rounding (2e-16), amplified by up to
# gamma / sqrt(EPS) = 500 where a batch norm meets zero variance, and summed over the batch.
ZERO = 1e-11

# All different, and N large enough: with two examples the normalized values are almost exactly +1 and -1 and the true
# gradient through them nearly vanishes, so that relative errors would mean nothing.
T, N, D, H, K = 4, 7, 5, 3, 4


class GradientMismatch(AssertionError):
    """A gradient is not the derivative of its function.

    Attributes
    ----------
    errors : dict
        Relative error of each tensor that is wrong, inf where its gradient is missing, misshapen or not finite.
    """

    def __init__(self, title, lines, errors):
        super().__init__("\n".join([f"{title}: wrong gradients", *lines]))
        self.errors = errors


def require_gradients(title, analytic, numeric, tolerance, zero=()):
    """Compare per tensor: max|a - n| / max(max|n|, FLOOR * the largest gradient in this check).

    Tensors named in `zero` have an identically zero gradient: a relative error means nothing there, and both
    values must be at rounding.

    Returns
    -------
    dict
        Tensor -> relative error.
    """
    largest = max(np.abs(value).max() for value in numeric.values())
    assert largest > 1e-3, f"{title}: all gradients vanish, which checks nothing"
    errors, wrong, lines = {}, {}, []
    for name, n in numeric.items():
        a = analytic.get(name)
        if a is None or np.shape(a) != n.shape:
            got = "none" if a is None else f"shape {np.shape(a)}"
            errors[name] = wrong[name] = np.inf
            lines.append(f"  {name}: expected a gradient of shape {n.shape}, got {got}")
            continue
        if name in zero:
            a, n, allowed = a / largest, n / largest, ZERO
            difference = np.maximum(np.abs(a), np.abs(n))
            errors[name] = difference.max()
        else:
            allowed = tolerance
            difference = np.nan_to_num(np.abs(a - n), nan=np.inf)
            errors[name] = difference.max() / max(np.abs(n).max(), FLOOR * largest)
        if not errors[name] <= allowed:
            at = np.unravel_index(difference.argmax(), n.shape)
            wrong[name] = errors[name]
            lines.append(f"  {name}: relative error {errors[name]:.1e} > {allowed:.0e}; "
                         f"worst at {tuple(map(int, at))}: analytic {a[at]:.15g}, numeric {n[at]:.15g}")
    if wrong:
        raise GradientMismatch(title, lines, wrong)
    return errors


def numerical_gradient(loss, place, method):
    """The derivative of ``loss()`` with respect to every element of `place`, which is nudged where it lies."""
    flat = place.reshape(-1)
    assert np.shares_memory(flat, place)
    slopes = np.empty(flat.size)
    for k, value in enumerate(flat.copy()):
        if method == "complex":
            flat[k] = value + 1j * COMPLEX_STEP
            slopes[k] = loss().imag / COMPLEX_STEP
        else:
            flat[k] = value + CENTRAL_STEP
            above = loss()
            flat[k] = value - CENTRAL_STEP
            slopes[k] = (above - loss()) / (2 * CENTRAL_STEP)
        flat[k] = value
    return slopes.reshape(place.shape)


def check(title, forward, backward, inputs, method, zero=()):
    """Check one pair.

    Parameters
    ----------
    forward : callable
        ``forward(**inputs) -> (tuple of outputs, cache)``
    backward : callable
        ``backward(*gradients of the outputs, cache) -> dict``, input name -> gradient
    inputs : dict
        The arrays to differentiate with respect to.
    method : {"complex", "central"}
    zero : tuple of str
        The inputs whose gradient is identically zero.

    Returns
    -------
    dict
        Tensor -> relative error.
    """
    rng = np.random.default_rng(0)
    given = {name: value.copy() for name, value in inputs.items()}
    outputs, cache = forward(**given)
    # Random, never ones: a constant upstream gradient vanishes in a batch norm, whatever its backward does.
    upstream = [rng.standard_normal(np.shape(output)) for output in outputs]
    gradients = backward(*upstream, cache)

    moved = {name: np.array(value, dtype=complex if method == "complex" else float, order="C")
             for name, value in inputs.items()}

    def loss():
        return sum((d * output).sum() for d, output in zip(upstream, forward(**moved)[0], strict=True))

    numeric = {name: numerical_gradient(loss, place, method) for name, place in moved.items()}
    errors = require_gradients(title, gradients, numeric, TOLERANCE[method], zero)
    again = backward(*upstream, cache)
    for name in inputs:
        assert np.array_equal(gradients[name], again[name]), f"{title}: a second backward gave another {name}"
        assert np.array_equal(given[name], inputs[name], equal_nan=True), f"{title}: {name} was changed"
    return errors


# Inputs


def normal(rng, *shape, scale=0.8):
    return scale * rng.standard_normal(shape)


def positive(rng, *shape):
    return rng.uniform(0.5, 1.5, shape)


def mask_for(T, N):
    """Live enough for batch statistics: one example ends early, one has a gap, one starts late."""
    mask = np.ones((T, N), dtype=bool)
    mask[T // 2:, 0] = mask[T // 2, 3] = mask[0, 5] = False
    return mask


def statistics_for(rng, *shape):
    return Statistics(normal(rng, *shape, scale=0.3), positive(rng, *shape))


KINDS = ("minibatch", "masked", "given", "masked and given")


def mask_and_statistics(kind, rng, terms, steps=None):
    """The mask and the given statistics of a step, or of a sequence of that many steps."""
    leading = () if steps is None else (steps,)
    mask = mask_for(steps or 1, N) if "masked" in kind else None
    if mask is not None and steps is None:
        mask = mask[0]
    given = {term: statistics_for(rng, *leading, 1, G) for term, G in terms.items()} if "given" in kind else None
    return mask, given


# Functions


def check_activation(name, method="complex"):
    def forward(z):
        y = getattr(activations, name)(z)
        return (y,), y

    def backward(dy, y):
        return {"z": dy * getattr(activations, f"d{name}")(y)}

    return check(name, forward, backward, {"z": normal(np.random.default_rng(1), N, H, scale=2.0)}, method)


def check_batch_norm(kind, steps=None, method="complex"):
    rng, leading = np.random.default_rng(2), () if steps is None else (steps,)
    mask, given = mask_and_statistics(kind, rng, {"a": H}, steps)

    def forward(a, gamma, beta):
        y, cache = batch_norm.batch_norm_forward(a, gamma, beta, EPS, mask, given and given["a"])
        return (y,), cache

    def backward(dy, cache):
        return batch_norm.batch_norm_backward(dy, cache)._asdict()

    inputs = {"a": normal(rng, *leading, N, H), "gamma": positive(rng, H), "beta": normal(rng, H)}
    return check(f"batch_norm ({kind})", forward, backward, inputs, method)


def check_freeze(method="complex"):
    rng = np.random.default_rng(7)
    live = mask_for(1, N)[0]

    def forward(new, old):
        return (recurrence.freeze_forward(live, new, old),), None

    def backward(dstate, _):
        return dict(zip(("new", "old"), recurrence.freeze_backward(dstate, live), strict=True))

    return check("freeze", forward, backward, {"new": normal(rng, N, H), "old": normal(rng, N, H)}, method)


def check_project(method="complex"):
    rng = np.random.default_rng(8)

    def forward(x, W_x):
        return (input_term.project_forward(x, W_x),), (x, W_x)

    def backward(dx_linear, cache):
        return dict(zip(("x", "W_x"), input_term.project_backward(dx_linear, *cache), strict=True))

    return check("project", forward, backward, {"x": normal(rng, T, N, D), "W_x": normal(rng, D, H)}, method)


def check_look_up(method="complex"):
    rng = np.random.default_rng(9)
    x = rng.integers(0, D, (T, N))           # T * N > D: rows are looked up more than once

    def forward(W_x):
        return (input_term.look_up_forward(x, W_x),), W_x

    def backward(dx_linear, W_x):
        return {"W_x": input_term.look_up_backward(dx_linear, x, W_x)}

    return check("look_up", forward, backward, {"W_x": normal(rng, D, H)}, method)


def check_input_norm(per, kind, method="complex"):
    """BN of the input term with statistics per "step" or per "sequence"."""
    rng = np.random.default_rng(10)
    mask, given = mask_and_statistics(kind, rng, {"x": H}, T)
    if given and per == "sequence":
        given = {"x": Statistics(*(values[0] for values in given["x"]))}

    def forward(x_linear, gamma_x):
        function = getattr(input_term, f"per_{per}_forward")
        x_term, caches = function(x_linear, gamma_x, EPS, mask, given and given["x"])
        return (x_term,), caches

    def backward(dx_term, caches):
        return dict(zip(("x_linear", "gamma_x"), getattr(input_term, f"per_{per}_backward")(dx_term, caches),
                        strict=True))

    inputs = {"x_linear": normal(rng, T, N, H), "gamma_x": positive(rng, H)}
    return check(f"per_{per} ({kind})", forward, backward, inputs, method)


def check_affine(leading, method="complex"):
    rng = np.random.default_rng(11)

    def forward(h, W, b):
        return (affine.affine_forward(h, W, b),), (h, W)

    def backward(dy, cache):
        return dict(zip(("h", "W", "b"), affine.affine_backward(dy, *cache), strict=True))

    return check("affine", forward, backward,
                 {"h": normal(rng, *leading, H), "W": normal(rng, H, K), "b": normal(rng, K)}, method)


def check_softmax_cross_entropy(leading, masked=False, method="complex"):
    """At the last step (N, K), at every step (T, N, K); padded logits may be anything, NaN included."""
    rng = np.random.default_rng(12)
    logits, y = normal(rng, *leading, K, scale=2.0), rng.integers(0, K, leading)
    mask = mask_for(*leading) if masked else None
    if masked:
        logits[~mask] = np.nan

    def forward(logits):
        with np.errstate(invalid="ignore" if masked else "warn"):        # NumPy's complex exp flags a NaN
            loss, cache = losses.softmax_cross_entropy_forward(logits, y, mask)
        return (loss,), cache

    def backward(dloss, cache):
        return {"logits": dloss * losses.softmax_cross_entropy_backward(cache)}

    return check("softmax_cross_entropy", forward, backward, {"logits": logits}, method)


# The cells: one step, and a sequence. Each as it is declared, and with every option that brings a parameter.

CELLS = {       # declaration, options
    **{name: (declaration, {}) for name, declaration in DECLARED.items()},
    **{f"{name} with {parameter.when}": (declaration, {parameter.when: True})
       for name, declaration in DECLARED.items() for parameter in declaration.parameters.values() if parameter.when},
}


def terms_of(cell):
    """The normalized terms of a step, and their sizes."""
    return {term: sizes_of(width, {"H": H})[0] for term, width in CELLS[cell][0].normalized.items() if term != "x"}


def kinds_of(cell):
    return KINDS if terms_of(cell) else ("minibatch", "masked")


def step_inputs(cell, rng, state, leading=()):
    """Random, non-zero inputs of a step, by name: its states as in "h_prev"; `leading` is (T,) for a sequence's x_term.

    Returns
    -------
    x_term_and_states, parameters : dict
    """
    declaration, options = CELLS[cell]
    sizes = {"D": D, "H": H}
    inputs = {"x_term": normal(rng, *leading, N, *sizes_of(declaration.input, sizes)),
              **{state.format(name): normal(rng, N, *sizes_of(width, sizes))
                 for name, width in declaration.states.items()}}
    parameters = {name: parameter for name, parameter in declaration.parameters.items()
                  if name not in ("W_x", "gamma_x") and (parameter.when is None or parameter.when in options)}
    draw = {name: positive if name.startswith("gamma") else normal for name in parameters}
    return inputs, {name: draw[name](rng, *sizes_of(parameter.shape, sizes)) for name, parameter in parameters.items()}


def check_step(cell, kind="minibatch", method="complex"):
    declaration, terms = CELLS[cell][0], terms_of(cell)
    rng = np.random.default_rng(13)
    mask, given = mask_and_statistics(kind, rng, terms)
    # Some examples are padded: where a cell freezes its states itself, that is checked too.
    settings = {"eps": EPS, "live": mask_for(1, N)[0], "mask": mask} | ({"statistics": given} if given else {})

    def forward(**inputs):
        step = declaration.forward(**inputs, **settings)
        return tuple(getattr(step, name) for name in declaration.states), step

    def backward(*gradients):
        *upstream, step = gradients
        above = {f"d{name}": d for name, d in zip(declaration.states, upstream, strict=True)}
        return declaration.backward(step, **above)._asdict()

    inputs, parameters = step_inputs(cell, rng, "{}_prev")
    return check(f"{cell} step ({kind})", forward, backward, inputs | parameters, method)


def sequence_parts(cell, kind, steps):
    """Inputs, mask and given statistics, forward and backward of a whole sequence, as a layer unrolls it."""
    declaration, options = CELLS[cell]
    rng = np.random.default_rng(14)
    mask, given = mask_and_statistics(kind, rng, terms_of(cell), steps)
    layer = minibn.RecurrentLayer(declaration, D, H, **options)
    layer.eps = EPS
    starts = [f"{name}_0" for name in declaration.states]

    def forward(x_term, **inputs):
        moved = layer.map_params(lambda value: value)
        moved.params |= {name: value for name, value in inputs.items() if name not in starts}
        call = Call(x_term, tuple(inputs[name] for name in starts), moved.params, mask, given)
        return moved._recur_forward(x_term, call, {})

    inputs, parameters = step_inputs(cell, rng, "{}_0", (steps,))
    return inputs | parameters, {"mask": mask, "statistics": given}, forward, layer._recur_backward


def check_sequence(cell, kind="minibatch", steps=T, method="complex", initial_state=None):
    """Whole sequences, with another initial state for each example (`initial_state`: function of (N, H) arrays).

    A broadcast one has zero variance at the first step; its gradients are a cancellation of numbers that
    gamma / sqrt(eps) amplified, see the test of its own.
    """
    inputs, _, forward, backward = sequence_parts(cell, kind, steps)
    for name in ("h_0", "c_0"):
        if name in inputs and initial_state is not None:
            inputs[name] = initial_state(inputs[name])

    def outputs(**inputs):
        cache = forward(**inputs)
        return (cache.h,), cache

    def gradients(dh, cache):
        dx_term, dstate, totals = backward(dh, cache, None)
        return {"x_term": dx_term, **dict(zip(("h_0", "c_0"), dstate, strict=False)), **totals}

    return check(f"{cell} sequence ({kind}, T={steps})", outputs, gradients, inputs, method)


# Totals: the equations as lines, replayed with an addition to one quantity


def batch_norm_lines(term, source):
    """Eq. 5 up to the normalized value; q["weight"] is None where q["given"] has the statistics."""
    def mean(q):
        return q["given"][term].mean if q["given"] else q["weight"] @ q[source]

    def variance(q):
        return q["given"][term].variance if q["given"] else q["weight"] @ (q[source] - q[f"{term}_mean"]) ** 2

    return {
        f"{term}_mean": mean,
        f"{term}_variance": variance,
        f"{term}_inv_std": lambda q: (q[f"{term}_variance"] + q.get("eps", EPS)) ** -0.5,
        f"{term}_hat": lambda q: (q[source] - q[f"{term}_mean"]) * q[f"{term}_inv_std"],
    }


def gate_lines(tilde):
    """The four blocks of the pre-activations, and Eqs. 3 and 7."""
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    return {
        "f_tilde": lambda q: tilde(q)[:, :H],
        "i_tilde": lambda q: tilde(q)[:, H:2 * H],
        "o_tilde": lambda q: tilde(q)[:, 2 * H:3 * H],
        "g_tilde": lambda q: tilde(q)[:, 3 * H:],
        "f": lambda q: sigmoid(q["f_tilde"]),
        "i": lambda q: sigmoid(q["i_tilde"]),
        "g": lambda q: np.tanh(q["g_tilde"]),
        "c": lambda q: q["f"] * q["c_prev"] + q["i"] * q["g"],
        "o": lambda q: sigmoid(q["o_tilde"]),
    }


H_LINEAR = {"h_linear": lambda q: q["h_prev"] @ q["W_h"]}
OUTPUT = {"tanh_c": lambda q: np.tanh(q["c_term"]), "h": lambda q: q["o"] * q["tanh_c"]}
TANH = {"h": lambda q: np.tanh(q["h_tilde"])}
LINES = {
    "rnn": {**H_LINEAR, "h_tilde": lambda q: q["h_linear"] + q["x_term"] + q["b"], **TANH},
    "bnrnn": {
        **H_LINEAR,
        "sum": lambda q: q["h_linear"] + q["x_term"],
        **batch_norm_lines("sum", "sum"),
        "h_tilde": lambda q: q["gamma"] * q["sum_hat"] + q["b"],
        **TANH,
    },
    "bnrnn_two_term": {
        **H_LINEAR,
        **batch_norm_lines("h", "h_linear"),
        "h_term": lambda q: q["gamma_h"] * q["h_hat"],
        "h_tilde": lambda q: q["h_term"] + q["x_term"] + q["b"],
        **TANH,
    },
    "lstm with cell_offset": {
        **H_LINEAR,
        **gate_lines(lambda q: q["h_linear"] + q["x_term"] + q["b"]),
        "c_term": lambda q: q["c"] + q["beta_c"],
        **OUTPUT,
    },
    "bnlstm": {
        **H_LINEAR,
        **batch_norm_lines("h", "h_linear"),
        "h_term": lambda q: q["gamma_h"] * q["h_hat"],
        **gate_lines(lambda q: q["h_term"] + q["x_term"] + q["b"]),
        **batch_norm_lines("c", "c"),
        "c_term": lambda q: q["gamma_c"] * q["c_hat"] + q["beta_c"],
        **OUTPUT,
    },
}


def replay_step(lines, inputs, nudged=None, nudge=0):
    """All quantities of a step, after `nudge` was added to the one called `nudged`."""
    q = dict(inputs)
    if nudged in q:
        q[nudged] = q[nudged] + nudge
    for name, formula in lines.items():
        q[name] = formula(q) + nudge if name == nudged else formula(q)
    return q


def replay_sequence(lines, inputs, mask, given, at=None, nudged=None, nudge=0):
    """The quantities of every step and the carried states; ``state_h`` and ``state_c`` can be nudged too."""
    states = {name: inputs[f"{name}_0"] for name in "hc" if f"{name}_0" in inputs}
    steps, carried = [], []
    for t, x_term in enumerate(inputs["x_term"]):
        live = np.ones(N, dtype=bool) if mask is None else mask[t]
        q = replay_step(lines, {
            **inputs, "x_term": x_term, **{f"{name}_prev": value for name, value in states.items()},
            "weight": (live / live.sum())[None, :],
            "given": given and {term: Statistics(*(v[t] for v in values)) for term, values in given.items()},
        }, nudged if t == at else None, nudge)
        states = {name: np.where(live[:, None], q[name], states[name]) for name in states}
        if t == at and nudged in ("state_h", "state_c"):
            states[nudged[-1]] = states[nudged[-1]] + nudge
        steps.append(q)
        carried.append(states)
    return steps, carried


def check_totals(cell, kind="minibatch", steps=2, method="complex"):
    """The derivatives that `observe` sees, of every quantity and carried state at every step of a sequence.

    Also requires that the replayed lines are the forward: every quantity equal to the cache's.
    """
    title = f"{cell} totals ({kind})"
    inputs, settings, forward, backward = sequence_parts(cell, kind, steps)
    mask, given = settings["mask"], settings.get("statistics")
    cache = forward(**inputs)
    dh = normal(np.random.default_rng(15), *cache.h.shape)
    seen = {}
    backward(dh, cache, lambda t, gradients, dstate: seen.update({t: (gradients, dstate)}))
    lines = LINES[cell]
    reference, carried = replay_sequence(lines, inputs, mask, given)
    analytic, numeric = {}, {}
    dtype = complex if method == "complex" else float
    previous = [f"{name}_prev" for name in carried[0]]
    for t, (gradients, dstate) in sorted(seen.items()):
        for name in (*lines, "x_term", *previous):
            value = getattr(cache.steps[t], name)
            np.testing.assert_allclose(value, reference[t][name], rtol=1e-11, atol=1e-13, err_msg=f"{title}: {name}")
            analytic[f"{name}[{t}]"] = getattr(gradients, name)
        for name, d in zip(carried[0], dstate, strict=True):
            np.testing.assert_allclose(getattr(cache, name)[t], carried[t][name], rtol=1e-11, atol=1e-13)
            analytic[f"state_{name}[{t}]"] = d
        for name in (*lines, "x_term", *previous, *(f"state_{name}" for name in carried[0])):
            shape = np.shape(carried[t][name[-1]] if name.startswith("state_") else reference[t][name])
            nudge = np.zeros(shape, dtype=dtype)

            def loss(t=t, name=name, nudge=nudge):
                _, states = replay_sequence(lines, inputs, mask, given, t, name, nudge)
                return sum((d * state["h"]).sum() for d, state in zip(dh, states, strict=True))

            numeric[f"{name}[{t}]"] = numerical_gradient(loss, nudge, method)
    return require_gradients(title, analytic, numeric, TOLERANCE[method])


def check_batch_norm_totals(kind, method="complex"):
    """Derivatives with respect to the mean, the variance, the inverse deviation and the normalized value."""
    rng = np.random.default_rng(16)
    mask, given = mask_and_statistics(kind, rng, {"a": H})
    a, gamma, beta, dy = normal(rng, N, H), positive(rng, H), normal(rng, H), normal(rng, N, H)
    _, cache = batch_norm.batch_norm_forward(a, gamma, beta, EPS, mask, given and given["a"])
    gradients = batch_norm.batch_norm_backward(dy, cache)
    live = np.ones(N, dtype=bool) if mask is None else mask
    inputs = {"a": a, "weight": (live / live.sum())[None, :], "given": given}
    lines = {**batch_norm_lines("a", "a"), "y": lambda q: gamma * q["a_hat"] + beta}
    reference = replay_step(lines, inputs)
    analytic, numeric = {}, {}
    for name in ("a", "a_mean", "a_variance", "a_inv_std", "a_hat"):
        field = name.removeprefix("a_")
        np.testing.assert_allclose(getattr(cache, field), reference[name], rtol=1e-11, atol=1e-13)
        nudge = np.zeros(np.shape(reference[name]), dtype=complex if method == "complex" else float)
        analytic[field] = getattr(gradients, field)
        numeric[field] = numerical_gradient(
            lambda name=name, nudge=nudge: (dy * replay_step(lines, inputs, name, nudge)["y"]).sum(), nudge, method)
    return require_gradients(f"batch_norm totals ({kind})", analytic, numeric, TOLERANCE[method])


# Layers and the models, in smaller sizes: their checks are many

T_LAYER, N_LAYER, D_LAYER, H_LAYER = 3, 7, 5, 2

LAYERS = {
    "RNN": (minibn.RNN, {}),
    "BNRNN": (minibn.BNRNN, {}),
    "BNRNNTwoTerm": (minibn.BNRNNTwoTerm, {}),
    "BNRNNTwoTerm per sequence": (minibn.BNRNNTwoTerm, {"input_statistics": "sequence"}),
    "LSTM": (minibn.LSTM, {}),
    "LSTM with offset": (minibn.LSTM, {"cell_offset": True}),
    "BNLSTM": (minibn.BNLSTM, {}),
    "BNLSTM per sequence": (minibn.BNLSTM, {"input_statistics": "sequence"}),
}


def make_cell(layer, rng, D=D_LAYER, engine="equations"):
    """A cell with random, non-zero parameters: zeros would hide what multiplies them."""
    if layer == "stacked":
        return minibn.Stacked([make_cell("BNLSTM", rng, D, engine), make_cell("LSTM", rng, H_LAYER, engine)])
    if layer == "bidirectional":
        return minibn.Bidirectional(make_cell("LSTM", rng, D, engine), make_cell("BNRNN", rng, D, engine))
    cls, settings = LAYERS[layer]
    if cls.terms:
        settings = {**settings, "eps": EPS}
    cell = cls(D, H_LAYER, rng=rng, engine=engine, **settings)
    cell.params = {name: positive(rng, *value.shape) if name.startswith("gamma") else normal(rng, *value.shape)
                   for name, value in cell.params.items()}
    return cell


def population_for(cell, rng):
    """Statistics that are shorter than the sequence, so that their last row has to be repeated."""
    sizes = {term: cell.hidden_size * (1 if term == "c" else cell.blocks) for term in cell.terms}
    return PopulationStatistics({
        term: statistics_for(rng, 1 if term == "x" and cell.input_statistics == "sequence" else T_LAYER - 1, G)
        for term, G in sizes.items()})


def zero_gradients(cell, mask, statistics):
    """Through batch statistics over the whole batch a learned, broadcast h0 has no gradient: BN removes its shift."""
    return ("h0",) if cell.terms and mask is None and statistics is None else ()


def input_for(rng, steps, integer, mask, D=D_LAYER):
    """Input with something unreadable at the padded steps."""
    x = rng.integers(0, D, (steps, N_LAYER)) if integer else normal(rng, steps, N_LAYER, D)
    if mask is not None:
        x[mask == 0] = -1000 if integer else np.nan
    return x


def check_layer(layer, masked=False, population=False, given_state=False, integer=False, steps=T_LAYER,
                mask=None, method="complex", D=D_LAYER, engine="equations"):
    """x and every parameter of a layer; the initial state learned, or given for each example."""
    rng = np.random.default_rng(17)
    cell = make_cell(layer, rng, D, engine)
    mask = mask_for(steps, N_LAYER) if masked and mask is None else mask
    statistics = population_for(cell, rng) if population and cell.terms else None
    x = input_for(rng, steps, integer, mask, D)
    inputs = {**({} if integer else {"x": x}), **cell.params}
    if given_state:
        inputs.update({name: normal(rng, N_LAYER, H_LAYER) for name in cell.state_names})

    def forward(**values):
        moved = cell.map_params(lambda value: value)
        moved.params.update({name: values[name] for name in cell.params})
        state = tuple(values[name] for name in cell.state_names) if given_state else None
        h, cache = moved.forward(values.get("x", x), mask=mask, initial_state=state, statistics=statistics)
        return (h,), (moved, cache)

    def backward(dh, cache):
        dx, grads = cache[0].backward(dh, cache[1])
        assert set(grads) <= set(cell.params) and (dx is None) == integer      # a missing one is found later
        return grads if integer else {"x": dx, **grads}

    title = f"{layer} (masked={masked}, population={population}, given_state={given_state}, integer={integer})"
    zero = () if given_state else zero_gradients(cell, mask, statistics)
    return check(title, forward, backward, inputs, method, zero)


MODELS = {
    "classifier": lambda cell, rng: minibn.SequenceClassifier(cell, K, rng=rng),
    "language model": lambda cell, rng: minibn.LanguageModel(cell, D_LAYER, rng=rng),
}


def check_model(layer="BNLSTM", masked=False, population=False, noise=False, integer=False, method="complex",
                kind="classifier"):
    """loss_and_grads of a model against its loss, which goes another way (in pieces, without a cache)."""
    rng = np.random.default_rng(18)
    cell = make_cell(layer, rng)
    model = MODELS[kind](cell, rng)
    model.params["b_y"] = normal(rng, model.classes)
    mask = mask_for(T_LAYER, N_LAYER).astype(float) if masked else None
    statistics = population_for(cell, rng) if population and cell.terms else None
    x = input_for(rng, T_LAYER, integer, mask)
    y = rng.integers(0, model.classes, N_LAYER if model.label_axes == "N" else (T_LAYER, N_LAYER))
    if masked and y.ndim == 2:
        y[mask == 0] = -1000                 # unreadable, like x
    drawn = normal(rng, N_LAYER, H_LAYER) if noise else None

    def forward(**values):
        moved = model.map_params(lambda value: value)
        for name, value in values.items():
            moved.params[name] = value
        dtype = moved.dtype
        arguments = (x if integer else x.astype(dtype), y, mask, statistics, drawn.astype(dtype) if noise else None)
        return (moved.loss(*arguments),), (moved, arguments)

    def backward(dloss, cache):
        moved, arguments = cache
        loss, grads = moved.loss_and_grads(*arguments)
        np.testing.assert_allclose(loss, moved.loss(*arguments), rtol=1e-12)
        assert set(grads) <= set(model.params)
        return {name: dloss * value for name, value in grads.items()}

    title = f"{kind} on {layer} (masked={masked}, population={population}, noise={noise}, integer={integer})"
    zero = [f"cell.{name}" for name in zero_gradients(cell, mask, statistics)]
    return check(title, forward, backward, dict(model.params), method, zero)


def check_loss_value(masked=False, method="complex"):
    """The loss itself, prediction by prediction."""
    rng = np.random.default_rng(20)
    logits, y = normal(rng, T, N, K, scale=2.0), rng.integers(0, K, (T, N))
    mask = mask_for(T, N) if masked else None
    loss, _ = losses.softmax_cross_entropy_forward(logits, y, mask)
    each = [np.log(np.exp(logits[t, n]).sum()) - logits[t, n, y[t, n]]
            for t in range(T) for n in range(N) if mask is None or mask[t, n]]
    return require_gradients("loss", {"loss": np.asarray(loss)}, {"loss": np.mean(each)}, TOLERANCE[method])


def check_batch_norm_value(kind, method="complex"):
    """The output of batch norm itself, unit by unit."""
    rng = np.random.default_rng(21)
    mask, given = mask_and_statistics(kind, rng, {"a": H})
    a, gamma, beta = normal(rng, N, H), positive(rng, H), normal(rng, H)
    with np.errstate(invalid="ignore"):
        y, _ = batch_norm.batch_norm_forward(a, gamma, beta, VISIBLE_EPS, mask, given and given["a"])
    right = np.empty_like(y)
    for unit in range(H):
        live = [a[n, unit] for n in range(N) if mask is None or mask[n]]
        mean = given["a"].mean[0, unit] if given else sum(live) / len(live)
        variance = given["a"].variance[0, unit] if given else sum((value - mean) ** 2 for value in live) / len(live)
        right[:, unit] = beta[unit] + gamma[unit] * (a[:, unit] - mean) / np.sqrt(variance + VISIBLE_EPS)
    return require_gradients("batch_norm", {"y": y}, {"y": right}, TOLERANCE[method])


def check_step_value(cell, kind, method="complex"):
    """Every quantity of a step, against the lines of `LINES`."""
    declaration, rng = CELLS[cell][0], np.random.default_rng(22)
    mask, given = mask_and_statistics(kind, rng, terms_of(cell))
    inputs, parameters = step_inputs(cell, rng, "{}_prev")
    settings = {"eps": VISIBLE_EPS, "mask": mask} | ({"statistics": given} if given else {})
    step = declaration.forward(**inputs, **parameters, **settings)
    live = np.ones(N, dtype=bool) if mask is None else mask
    right = replay_step(LINES[cell], {**inputs, **parameters, "eps": VISIBLE_EPS, "given": given,
                                      "weight": (live / live.sum())[None, :]})
    names = [name for name in LINES[cell] if np.ndim(right[name])]
    return require_gradients(f"{cell} step ({kind})", {name: getattr(step, name) for name in names},
                             {name: right[name] for name in names}, TOLERANCE[method])


def check_population(what, method="complex"):
    """Statistics at test time, against sums written out step by step: which rows, continued sums, averages."""
    rng = np.random.default_rng(19)
    lengths = (4, 6, 3)
    batches = [{"h": statistics_for(rng, T, H)} for T in lengths]
    values, longest = [batch["h"].mean for batch in batches], max(lengths)

    def row(array, t):
        return array[t] if t < len(array) else array[len(array) - 1]

    if what == "rows":
        cases = [(first, T) for first in (0, 2, 9) for T in (2, 5)]
        found = {f"rows {case}": statistics.rows_at_steps(values[0], *case) for case in cases}
        right = {f"rows {first, T}": np.array([row(values[0], first + k) for k in range(T)]) for first, T in cases}
    elif what == "sums":
        pairs = [(0, 1), (1, 0), (2, 2)]
        found = {f"sum {a, b}": statistics.add_ragged(values[a], values[b]) for a, b in pairs}
        right = {f"sum {a, b}": np.array([row(values[a], t) + row(values[b], t)
                                          for t in range(max(lengths[a], lengths[b]))]) for a, b in pairs}
    else:
        average = statistics.average_over_batches(batches)["h"]
        found = average._asdict()
        right = {name: np.array([sum(row(getattr(batch["h"], name), t) for batch in batches) / len(batches)
                                 for t in range(longest)]) for name in found}
    return require_gradients(f"population {what}", found, right, TOLERANCE[method])


def _all_checks():
    checks = {
        "loss value, every step": check_loss_value,
        "loss value, masked": partial(check_loss_value, masked=True),
        **{f"batch_norm value, {kind}": partial(check_batch_norm_value, kind) for kind in KINDS},
        **{f"{cell} step value, {kind}": partial(check_step_value, cell, kind)
           for cell in LINES if terms_of(cell) for kind in KINDS},
        **{f"population {what}": partial(check_population, what) for what in ("rows", "sums", "average")},
        "sigmoid": partial(check_activation, "sigmoid"),
        "tanh": partial(check_activation, "tanh"),
        "freeze": check_freeze,
        "project": check_project,
        "look_up": check_look_up,
        "affine, last step": partial(check_affine, (N,)),
        "affine, every step": partial(check_affine, (T, N)),
        "loss, last step": partial(check_softmax_cross_entropy, (N,)),
        "loss, every step": partial(check_softmax_cross_entropy, (T, N)),
        "loss, every step, masked": partial(check_softmax_cross_entropy, (T, N), masked=True),
    }
    for kind in KINDS:
        checks[f"batch_norm, {kind}"] = partial(check_batch_norm, kind)
        checks[f"batch_norm over time, {kind}"] = partial(check_batch_norm, kind, T)
        checks[f"batch_norm totals, {kind}"] = partial(check_batch_norm_totals, kind)
        for per in ("step", "sequence"):
            checks[f"per_{per}, {kind}"] = partial(check_input_norm, per, kind)
    for cell in CELLS:
        for kind in KINDS if terms_of(cell) else ("minibatch",):
            checks[f"{cell} step, {kind}"] = partial(check_step, cell, kind)
        for kind in kinds_of(cell):
            checks[f"{cell} sequence, {kind}"] = partial(check_sequence, cell, kind)
    for cell in LINES:
        for kind in kinds_of(cell):
            checks[f"{cell} totals, {kind}"] = partial(check_totals, cell, kind)
    return checks


CHECKS = _all_checks()
