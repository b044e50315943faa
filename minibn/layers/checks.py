"""What a layer is given, checked: each message names the argument, what was expected, what came, and the remedy."""

from collections.abc import Mapping

import numpy as np

from minibn.cells.declaration import sizes_of
from minibn.errors import (
    check_array,
    check_below,
    check_integer,
    check_same_backend,
    check_same_dtype,
    is_array,
    show,
)
from minibn.statistics import Statistics


def check_dtype(dtype):
    """The dtype of a layer's parameters, float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = show(dtype)
    if found not in (np.dtype("float32"), np.dtype("float64")):
        raise TypeError(f"dtype: expected float32 or float64, got {found}; use float32 or float64")
    return found


def check_input(layer, x, mask, statistics_mask=None):
    """x (T, N, D) of the layer's dtype or integers (T, N), masks (T, N) or None, all where the parameters are."""
    axes = x.ndim if is_array(x) else None
    if axes == 1 and x.dtype.kind in "iu":
        raise ValueError(f"x: expected integers (T, N), or (T, N, D={layer.input_size}), got {x.dtype} of shape "
                         f"{x.shape}; a single sequence is x[:, None]")
    if axes == 2 and x.dtype.kind == "f":
        raise TypeError(f"x: expected (T, N, D={layer.input_size}), or integers (T, N), got {x.dtype} of shape "
                        f"{x.shape}; a single feature is x[..., None]")
    if axes == 2:
        check_array("x", x, "T N", kinds="iu")
    else:
        check_array("x", x, "T N D", D=layer.input_size)
        check_same_dtype(layer.dtype, x=x)
    check_same_backend(layer.reference, x=x)
    for name, rows in (("mask", mask), ("statistics_mask", statistics_mask)):
        if rows is not None:
            check_array(name, rows, "T N", kinds="biuf", T=x.shape[0], N=x.shape[1])
            check_same_backend(layer.reference, **{name: rows})


def check_rows(layer, x):
    """Integer x, with its padding replaced, must name rows of W_x."""
    if x.ndim == 2:
        check_below("x", x, layer.input_size)


def check_states(layer, states):
    """A tuple with one entry for each state of the layer."""
    names = layer.state_names
    if not isinstance(states, tuple | list) or len(states) != len(names):
        raise ValueError(f"initial_state: expected a tuple ({', '.join(names)},) of arrays (N, H), "
                         f"got {_describe(states)}; pass one array for each state")


def check_initial_state(layer, states, N):
    """One array (N, H), or of the width that the cell declares, for each state of the layer."""
    check_states(layer, states)
    for name, state, width in zip(layer.state_names, states, layer.declaration.states.values(), strict=True):
        check_array(f"initial_state {name}", state, f"N {width}", **{"N": N, width: layer.width(width)})
        check_same_backend(layer.reference, **{f"initial_state {name}": state})
        check_same_dtype(layer.dtype, **{f"initial_state {name}": state})


def check_statistics(layer, statistics, N):
    """Given statistics of terms of the layer; where some are not, enough examples to have statistics of their own."""
    if statistics is not None:
        check_names("statistics", statistics, layer.terms, partly=True)
    check_terms(layer, layer.terms, statistics or {}, N)


def check_terms(layer, terms, given, N):
    """Those of the statistics that are given; where some are not, enough examples."""
    if N == 1 and any(term not in given for term in terms):
        raise ValueError("x: batch statistics need N >= 2 examples, got N=1, whose normalized values are all "
                         "zero; pass statistics= (minibn.estimate_population_statistics) or a larger batch")
    for term in terms:
        if term in given:
            _check_term(layer, term, given[term])


def check_leaves(leaves, statistics):
    """The statistics of single recurrences, pairs of what their names begin with and a layer."""
    for prefix, layer in leaves:
        of_layer = {term.removeprefix(prefix): values for term, values in statistics.items() if term.startswith(prefix)}
        check_terms(layer, layer.terms, of_layer, N=None)


MAPPINGS = {"statistics": ("PopulationStatistics", "terms", "estimate them with this model"),
            "data": ("a dict of arrays", "names", "draw it with layer.draw_data")}


def check_names(argument, mapping, names, partly=False):
    """Given statistics or per-step data: something for each name, or for some; a layer without terms ignores it."""
    kind, words, remedy = MAPPINGS[argument]
    if not isinstance(mapping, Mapping):
        raise TypeError(f"{argument}: expected {kind}, got {type(mapping).__name__}; {remedy}")
    right = set() < set(mapping) <= set(names) if partly else set(mapping) == set(names)
    if not right and (names or argument == "data"):
        raise ValueError(f"{argument}: expected the {words} {sorted(names)}, got {sorted(mapping)}; {remedy}")


def check_data(layer, data, T, N):
    """What the cell takes at each step: all that it declares, of real numbers of the layer's precision."""
    check_names("data", data, layer.data_names)
    for name, values in data.items():
        axes = ["T", *layer.declaration.data[name].shape.split()]
        sizes = {axis: sizes_of(axis, {"T": T, "N": N, **layer.sizes})[0] for axis in axes}
        check_array(f"data {name}", values, " ".join(axes), **sizes)
        check_same_backend(layer.reference, **{f"data {name}": values})
        check_same_dtype(layer.reference.real.dtype, **{f"data {name}": values})


def check_first_step(first_step):
    """The time step of x[0], as a Python int: a NumPy integer could overflow."""
    return check_integer("first_step", first_step, remedy="steps are integers >= 0")


def _check_term(layer, term, statistics):
    G = layer.term_size(term)
    if not isinstance(statistics, tuple) or len(statistics) != 2:
        raise ValueError(f"statistics {term}: expected a mean and a variance (T_max, G={G}), got "
                         f"{_describe(statistics)}; pass minibn.Statistics(mean, variance)")
    for field, values in zip(Statistics._fields, statistics, strict=True):
        check_array(f"statistics {term}.{field}", values, "T_max G", G=G)
        check_same_backend(layer.reference, **{f"statistics {term}.{field}": values})
    lengths = [len(values) for values in statistics]
    expected = 1 if layer.has_one_row(term) else lengths[0]
    if lengths != [expected, expected]:
        raise ValueError(f"statistics {term}: expected mean and variance of T_max={expected} rows, got "
                         f"{[values.shape for values in statistics]}; estimate them with this model")


def check_upstream(layer, dh, cache):
    """dh (T, N, H) for a cache that this very layer made, to go backward from."""
    name, other = type(layer).__name__, getattr(cache, "made_by", layer)
    if not hasattr(cache, "made_by") or other is not layer:
        got = "that of a forward_only, which keeps nothing for a backward" if other is None else (
            type(cache).__name__ if other is layer else f"that of another layer, {other!r}")
        raise TypeError(f"cache: expected one from the forward of this {name}, got {got}; "
                        f"pass what this layer's forward returned")
    T, N = cache.x.shape[:2]
    check_array("dh", dh, "T N H", T=T, N=N, H=layer.output_size)
    check_same_backend(layer.reference, dh=dh)
    check_same_dtype(cache.layer.dtype, dh=dh)


def _describe(value):
    """What came, for a message: the type, and how many items it has."""
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
