"""What a layer is given, checked: each message names the argument, what was expected, what came, and the remedy."""

from collections.abc import Mapping

import numpy as np

from minibn.errors import check_array, check_below, check_choice, check_same_backend, check_same_dtype
from minibn.statistics import Statistics


def check_dtype(dtype):
    """The dtype of a layer's parameters, float32 or float64."""
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype: expected float32 or float64, got {dtype}; use float32 or float64")
    return dtype


def check_eps(eps):
    """What is added to the variances, as a Python float: a NumPy scalar would widen float32."""
    if not isinstance(eps, int | float | np.number):
        raise TypeError(f"eps: expected a positive number, got {eps!r}; the paper has 1e-5")
    if not eps > 0:
        raise ValueError(f"eps: expected a positive number, got {eps!r}; the paper has 1e-5")
    return float(eps)


def check_input_statistics(kind):
    """Per step or per sequence."""
    check_choice("input_statistics", kind, ("step", "sequence"))
    return kind


def check_input(layer, x, mask):
    """x (T, N, D) of the layer's dtype or integers (T, N), mask (T, N) or None, all where the parameters are."""
    W_h = layer.params["W_h"]
    if getattr(x, "ndim", None) == 2:
        if x.dtype.kind == "f":
            raise TypeError(f"x: expected (T, N, D={layer.input_size}), or integers (T, N), got {x.dtype} of shape "
                            f"{x.shape}; a single feature is x[..., None]")
        check_array("x", x, "T N", kinds="iu")
    elif getattr(x, "ndim", None) == 1 and x.dtype.kind in "iu":
        raise ValueError(f"x: expected integers (T, N), or (T, N, D={layer.input_size}), got {x.dtype} of shape "
                         f"{x.shape}; a single sequence is x[:, None]")
    else:
        check_array("x", x, "T N D", D=layer.input_size)
        check_same_dtype(layer.dtype, x=x)
    check_same_backend(W_h, x=x)
    if mask is not None:
        check_array("mask", mask, "T N", kinds="biuf", T=x.shape[0], N=x.shape[1])
        check_same_backend(W_h, mask=mask)


def check_rows(layer, x):
    """Integer x, with its padding replaced, must name rows of W_x."""
    if x.ndim == 2:
        check_below("x", x, layer.input_size)


def check_initial_state(layer, states, N):
    """One array (N, H) for each state of the layer."""
    H, names = layer.hidden_size, layer.state_names
    if not isinstance(states, tuple | list) or len(states) != len(names):
        raise ValueError(f"initial_state: expected a tuple ({', '.join(names)},) of arrays (N={N}, H={H}), "
                         f"got {_describe(states)}; pass one array for each state")
    for name, state in zip(names, states, strict=True):
        check_array(f"initial_state {name}", state, "N H", N=N, H=H)
        check_same_backend(layer.params["W_h"], **{f"initial_state {name}": state})
        check_same_dtype(layer.dtype, **{f"initial_state {name}": state})


def check_statistics(layer, statistics, first_step, N):
    """Given statistics of every term of the layer; without any, enough examples to have statistics of their own."""
    if statistics is None:
        if N == 1:
            raise ValueError("x: batch statistics need N >= 2 examples, got N=1, whose normalized values are all "
                             "zero; pass statistics= (minibn.estimate_population_statistics) or a larger batch")
        return
    if not isinstance(statistics, Mapping):
        raise TypeError(f"statistics: expected PopulationStatistics, got {type(statistics).__name__}; "
                        f"estimate them with minibn.estimate_population_statistics")
    if set(statistics) != set(layer.terms):
        raise ValueError(f"statistics: expected the terms {sorted(layer.terms)}, got {sorted(statistics)}; "
                         f"estimate them with this model")
    for term in layer.terms:
        _check_term(layer, term, statistics[term])
    if not isinstance(first_step, int | np.integer):
        raise TypeError(f"first_step: expected an integer, got {first_step!r}; steps count from 0")
    if first_step < 0:
        raise ValueError(f"first_step: expected a time step >= 0, got {first_step}; steps count from 0")


def _check_term(layer, term, statistics):
    G = layer.term_size(term)
    if not isinstance(statistics, tuple) or len(statistics) != 2:
        raise ValueError(f"statistics {term}: expected a mean and a variance (T_max, G={G}), got "
                         f"{_describe(statistics)}; pass minibn.Statistics(mean, variance)")
    for field, values in zip(Statistics._fields, statistics, strict=True):
        check_array(f"statistics {term}.{field}", values, "T_max G", G=G)
        check_same_backend(layer.params["W_h"], **{f"statistics {term}.{field}": values})
    lengths = [len(values) for values in statistics]
    expected = 1 if term == "x" and layer.input_statistics == "sequence" else lengths[0]
    if lengths != [expected, expected]:
        raise ValueError(f"statistics {term}: expected mean and variance of T_max={expected} rows, got "
                         f"{[values.shape for values in statistics]}; estimate them with this model")


def check_upstream(layer, dh, cache):
    """dh (T, N, H) for the cache that this kind of layer made."""
    if getattr(cache, "layer_type", None) is not type(layer):
        got = getattr(cache, "layer_type", type(cache)).__name__
        raise TypeError(f"cache: expected one from the forward of this {type(layer).__name__}, got {got}; "
                        f"pass what forward returned")
    T, N = cache.x.shape[:2]
    check_array("dh", dh, "T N H", T=T, N=N, H=layer.hidden_size)
    check_same_backend(layer.params["W_h"], dh=dh)
    check_same_dtype(layer.dtype, dh=dh)


def _describe(value):
    """What came, for a message: the type, and how many items it has."""
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
