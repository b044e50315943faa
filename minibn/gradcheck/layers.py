"""Checking a whole layer or model: every parameter, x, and the states it starts from."""

from dataclasses import replace

import numpy as np

from minibn.backend import array_module
from minibn.errors import is_array
from minibn.gradcheck.arguments import by_hand, make_rng, require_layer
from minibn.gradcheck.functions import check_function, check_gradient_values
from minibn.gradcheck.locate import explain_with, parts_that_came
from minibn.gradcheck.numeric import draw_direction, is_floating
from minibn.questions import Questions


def check_gradients(
    cell, x, y=None, *, mask=None, initial_state=None, initial_noise=None, statistics=None, first_step=0,
    data=None, seed=0, **options,
):
    """Check every gradient of a layer or a model.

    Works on a float64 copy with random, non-zero parameters (zero biases hide wrong gradients) and, for a layer,
    a random upstream gradient. Runs what the layer runs: its own forward and backward, with its engine.

    Parameters
    ----------
    cell : layer or model
        Stays as it is. A model is checked through its loss, for its parameters.
    x : ndarray of shape (T, N, D), or integer ndarray of shape (T, N); of a reader, Questions
        Take T, N, D and H all different, and N >= 4: at N = 2 the normalized values are almost exactly 1 and
        -1, and the gradient nearly vanishes.
    y : integer ndarray, optional
        A model's labels; random ones when not given.
    mask : ndarray of shape (T, N), optional
    initial_state : tuple of ndarray (N, H), optional
        Given states for a layer: their gradients are the rows h0 and c0. By default the rows h0 and c0 are the
        learned states, and two more rows, "h0 (per example)" and so on, check random given ones: through
        batch statistics the gradient of a learned h0 is identically zero, which proves little.
    initial_noise : ndarray of shape (N, H), optional
        For a model.
    statistics : PopulationStatistics, optional
        By default the minibatch's own.
    first_step : int
    data : dict, optional
        What the cell takes at each step; drawn at random when not given.
    seed : int
        Draws parameters, labels, states, the upstream gradient and the directions.
    **options
        ``method``, ``elementwise``, ``tolerance``, ``step`` and ``max_elements`` of
        `minibn.gradcheck.check_gradient_values`; by default the method that the cell declares, a complex step where
        it has no kinks, for every element, up to 2,000 elements, and one random direction per tensor beyond.

    Returns
    -------
    Report
        The hint on a wrong gradient says at which time steps, gates, examples it is wrong, and which part of the
        sum it is, where that is certain.

    Raises
    ------
    TypeError
        `cell` is no layer and no model: a function (see `minibn.check_function`), a class, another library's.

    Examples
    --------
    >>> import numpy as np, minibn
    >>> cell = minibn.BNLSTM(input_size=3, hidden_size=4)
    >>> report = minibn.check_gradients(cell, np.random.default_rng(0).normal(size=(5, 6, 3)))
    >>> report.ok
    True
    """
    require_layer(cell)
    if not isinstance(x, Questions) and (not is_array(x) or x.ndim < 2):
        raise TypeError(f"x: expected an array (T, N, D), or integers (T, N), got {type(x).__name__}; "
                        f"convert it with numpy.asarray")
    rng = make_rng(seed, 2)
    work = _randomised_float64_copy(cell, rng)
    x = _as_float64(x)
    layer, is_model = getattr(cell, "cell", cell), hasattr(cell, "loss_and_grads")
    if data is None:                                            # in float64, as training would draw it
        drawn = work.draw_data(rng, x) if is_model else work.draw_data(rng, *x.shape[:2])
        data = {name: _as_float64(values) for name, values in drawn.items()} or None
    known = {"mask": mask, "statistics": statistics, "data": data}
    known = {name: value for name, value in known.items() if value is not None}
    options = {"seed": seed, "title": _title(cell, x, mask, statistics, initial_state),
               "method": getattr(layer, "check_method", "complex"), **options}
    if is_model:
        if initial_state is not None or first_step:
            raise ValueError("initial_state, first_step: expected none for a model, got one; "
                             "pass initial_noise=, or check model.cell")
        if y is None:
            sizes = dict(zip("TN", x.shape, strict=False))
            y = rng.integers(cell.classes, size=[sizes[axis] for axis in cell.label_axes.split()])
            y = array_module(layer.reference).asarray(y)
        report = _check_model(work, x, y, known, _as_float64(initial_noise), options)
    else:
        if y is not None or initial_noise is not None:
            raise ValueError("y, initial_noise: expected none for a layer, got one; pass a model or leave them out")
        if first_step:
            known["first_step"] = first_step
        if initial_state is not None:
            initial_state = tuple(map(_as_float64, initial_state))
        report = _check_layer(work, x, initial_state, known, options)
        if initial_state is None:
            report = _with_given_states(report, work, x, known, rng, options)
    if not any(entry.wrong for entry in report.entries):
        return report
    where = "model.cell" if is_model else "cell"
    note = f"minibn.trace({where}, x, dh).check() shows the first wrong quantity on the way back"
    return replace(report, notes=(*report.notes, note))


def _check_layer(work, x, initial_state, known, options, label=""):
    """The report on a layer; the rows of given states are named with `label` behind."""
    given = () if initial_state is None else work.state_names
    rows = {name: f"{name}{label}" if name in given else name for name in ("x", *work.params)}
    learned = [name for name in work.params if name not in given]
    runner = work.map_params(lambda value: value)   # takes the moved (complex) parameters; `work` keeps its own

    def forward(x, **tensors):
        runner.params.update({name: tensors[name] for name in learned})
        start = {"initial_state": tuple(tensors[rows[name]] for name in given)} if given else {}
        return runner.forward(x, **start, **known)

    def backward(dh, cache):
        dx, grads = runner.backward(dh, cache)
        return {rows.get(name, name): gradient for name, gradient in {"x": dx, **grads}.items()}

    states = {rows[name]: state for name, state in zip(given, initial_state or (), strict=True)}
    inputs = {"x": x, **{name: work.params[name] for name in learned}, **states}
    report = check_function(forward, backward, inputs, **{"explain": explain_with(work, x), **options})
    wrong = [entry.name for entry in report.entries if entry.name in learned and entry.wrong]
    settings = known | ({"initial_state": initial_state} if given else {})
    parts = parts_that_came(work, x, wrong, make_rng(options["seed"], 5), settings)
    return replace(report, entries=tuple(
        replace(entry, hint=f"{entry.hint}; {parts[entry.name]}") if entry.name in parts else entry
        for entry in report.entries))


def _with_given_states(learned, work, x, known, rng, options):
    """The report on the learned states, and rows for random states of every example."""
    states = tuple(array_module(value).asarray(0.5 * rng.standard_normal((x.shape[1], *value.shape)))
                   for value in map(work.params.get, work.state_names))
    label = " (per example)"
    options = {**options, "wrt": [f"{name}{label}" for name in work.state_names]}
    given = _check_layer(work, x, states, known, options, label)
    notes = tuple(note for note in given.notes if not note.startswith("held constant"))
    return replace(learned, entries=learned.entries + given.entries, notes=learned.notes + notes,
                   evaluations=learned.evaluations + given.evaluations)


def _check_model(work, x, y, known, initial_noise, options):
    runner = work.map_params(lambda value: value)

    noise = {} if initial_noise is None else {"initial_noise": initial_noise}

    def loss(x, **tensors):
        runner.params.update({name: tensors[name] for name in work.params})
        return runner.loss(x, y, **known, **{name: tensors[name] for name in noise})

    inputs = {"x": x, **noise, **work.params}
    gradients = by_hand(lambda: work.loss_and_grads(x, y, **known, **noise)[1], inputs, list(work.params))
    return check_gradient_values(loss, inputs, gradients, wrt=list(work.params),
                                 **{"explain": explain_with(getattr(work, "cell", work), x), **options})


def _randomised_float64_copy(cell, rng):
    work = cell.map_params(_as_float64)
    for name, value in list(work.params.items()):
        if name.rpartition(".")[2].startswith("gamma"):
            drawn = rng.uniform(0.2, 0.6, size=value.shape)
        elif value.ndim > 1:
            drawn = rng.standard_normal(value.shape) / np.sqrt(value.shape[0])
        else:
            drawn = 0.5 * draw_direction(value.shape, rng)
        work.params[name] = array_module(value).asarray(drawn)
    return work


def _as_float64(value):
    return value.astype(np.float64) if is_floating(value) else value


def _title(cell, x, mask, statistics, initial_state):
    inner = getattr(cell, "cell", cell)
    sizes = dict(zip("TND", x.shape, strict=False))
    sizes |= {"H": inner.hidden_size} if hasattr(inner, "hidden_size") else {}
    title = getattr(inner, "title", type(inner).__name__)
    name = title if inner is cell else f"{type(cell).__name__} of {title}"
    return describe_call(name, sizes, x, cell.terms, mask, statistics, initial_state)


def describe_call(name, sizes, x, terms, mask, statistics, initial_state):
    """The title of a check or a trace: what ran, its sizes, and with what."""
    words = [" ".join(f"{symbol}={size}" for symbol, size in sizes.items())]
    words += ["integer x"] * (len(x.shape) == 2 and is_array(x)) + ["masked"] * (mask is not None)
    if terms:
        words.append("batch statistics" if statistics is None else "given statistics")
    return f"{name}: {', '.join(words + ['given initial states'] * (initial_state is not None))}"
