"""Weights of the plain cells to PyTorch and back.

PyTorch is no dependency of minibn: it is imported here, when one of the two functions is called.

================  =====================================  ==========================================
                  minibn                                 PyTorch
================  =====================================  ==========================================
gate blocks       f, i, o, g (the paper's order)         i, f, g, o
weights           x @ W_x, h @ W_h: (D, G), (H, G)       weight_ih_l0 (G, D), weight_hh_l0 (G, H)
bias              b (G,)                                 bias_ih_l0 + bias_hh_l0, (G,) each
initial state     h0, c0 (H,): learned parameters        an argument of each call, (L, N, H); zeros without
layer 1, and its  1.forward.W_x,                         weight_ih_l1,
backward reader   1.backward.W_x                         weight_ih_l1_reverse
================  =====================================  ==========================================
"""

import importlib

import numpy as np

from minibn.backend import to_host
from minibn.cells.lstm import CELL
from minibn.layers import LSTM, RNN, Bidirectional, Stacked

GATES, TORCH_GATES = CELL.gates, "ifgo"


def to_torch(cell):
    """A ``torch.nn.RNN`` or ``torch.nn.LSTM`` (time-major, on the CPU) with the weights of `cell`.

    The learned initial states are not part of a PyTorch module: pass them at each call,
    ``module(x, (h0, c0))`` with h0 and c0 of shape (L, N, H), or ``module(x, h0)`` for an RNN; without them
    PyTorch starts at zero. Our b goes into ``bias_ih_l0``, and ``bias_hh_l0`` is zero.

    Parameters
    ----------
    cell : minibn.RNN or minibn.LSTM
        Of dtype float32 or float64, which the module gets too. Or a `minibn.Stacked` of such cells, or of
        `minibn.Bidirectional` pairs of them, all of one kind and one hidden_size.

    Returns
    -------
    torch.nn.RNN or torch.nn.LSTM

    Raises
    ------
    TypeError
        Another cell: PyTorch has no batch-normalized ones.
    ValueError
        An LSTM with the offset beta_c inside the output tanh; layers that differ in kind, size or directions.
    ImportError
        PyTorch is not installed.
    """
    layers = list(cell.parts.values()) if isinstance(cell, Stacked) else [cell]
    readers = {f"_l{number}{suffix}": reader for number, layer in enumerate(layers)
               for suffix, reader in _readers(layer).items()}
    for reader in readers.values():
        if getattr(reader, "declaration", None) not in (RNN.declaration, LSTM.declaration):
            raise TypeError(f"cell: expected a minibn.RNN or minibn.LSTM, got {getattr(reader, 'title', reader)}; "
                            f"PyTorch has no batch-normalized recurrent cell, so convert a plain one")
        if getattr(reader, "cell_offset", False):
            raise ValueError("cell: expected an LSTM without beta_c, got cell_offset=True; torch.nn.LSTM has no offset "
                             "inside the output tanh, so make the LSTM with cell_offset=False")
    kinds = {(reader.declaration.name, reader.hidden_size) for reader in readers.values()}
    if len(kinds) > 1 or len({len(_readers(layer)) for layer in layers}) > 1:
        raise ValueError(f"cell: expected layers of one kind, one hidden_size, and all or none bidirectional, got "
                         f"{cell.title}; a PyTorch module has the same in every layer")
    torch = _import_torch()
    first = next(iter(readers.values()))
    is_lstm = first.declaration is LSTM.declaration
    module = (torch.nn.LSTM if is_lstm else torch.nn.RNN)(
        first.input_size, first.hidden_size, num_layers=len(layers), bidirectional=len(readers) > len(layers),
        dtype=getattr(torch, first.dtype.name))
    weights = {}
    for suffix, reader in readers.items():
        p, order = to_host(reader.params), [GATES.index(gate) for gate in TORCH_GATES] if is_lstm else [0]
        ours = {"weight_ih": p["W_x"].T, "weight_hh": p["W_h"].T, "bias_ih": p["b"], "bias_hh": np.zeros_like(p["b"])}
        weights |= {name + suffix: torch.from_numpy(_reorder_blocks(value, order)) for name, value in ours.items()}
    module.load_state_dict(weights)
    return module


def from_torch(module):
    """A `minibn.RNN` or `minibn.LSTM` with the weights of a PyTorch module.

    Of several layers a `minibn.Stacked`, of two directions `minibn.Bidirectional`. The two biases are added; the
    learned initial states start at zero, as PyTorch's do without an argument. ``batch_first`` does not matter to the
    weights: minibn's x is always time-major.

    Parameters
    ----------
    module : torch.nn.RNN or torch.nn.LSTM
        No projection, no dropout, tanh, float32 or float64; on any device, with biases or without.

    Returns
    -------
    layer

    Raises
    ------
    TypeError
        Another module, or weights of another dtype.
    ValueError
        An option that minibn's cells do not have.
    ImportError
        PyTorch is not installed.
    """
    torch = _import_torch()
    if not isinstance(module, torch.nn.RNN | torch.nn.LSTM):
        raise TypeError(f"module: expected a torch.nn.RNN or torch.nn.LSTM, got {type(module).__name__}; "
                        f"pass the recurrent module itself")
    for name, expected in (("proj_size", 0), ("dropout", 0), ("nonlinearity", "tanh")):
        value = getattr(module, name, expected)                       # an LSTM has no nonlinearity=
        if value != expected:
            raise ValueError(f"module: expected {name}={expected!r}, got {name}={value!r}; minibn's cells have "
                             f"nothing like it, so make the module with {name}={expected!r}")
    dtype = module.weight_ih_l0.dtype
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"module: expected weights of dtype float32 or float64, got {dtype}; "
                        f"convert it with module.float() or module.double()")
    weights = {name: value.detach().cpu().numpy() for name, value in module.named_parameters()}
    is_lstm = isinstance(module, torch.nn.LSTM)
    kind, order = (LSTM, [TORCH_GATES.index(gate) for gate in GATES]) if is_lstm else (RNN, [0])

    def reader(suffix):
        W_x, W_h = (_reorder_blocks(weights[f"weight_{part}{suffix}"], order).T.copy() for part in ("ih", "hh"))
        cell = kind(len(W_x), module.hidden_size, dtype=W_x.dtype)
        biases = [weights[f"bias_{part}{suffix}"] for part in ("ih", "hh")] if module.bias else [0 * W_x[0]] * 2
        cell.params |= {"W_x": W_x, "W_h": W_h, "b": _reorder_blocks(biases[0] + biases[1], order)}
        return cell

    layers = [Bidirectional(reader(f"_l{number}"), reader(f"_l{number}_reverse")) if module.bidirectional
              else reader(f"_l{number}") for number in range(module.num_layers)]
    return layers[0] if len(layers) == 1 else Stacked(layers)


def _readers(layer):
    """PyTorch's suffix -> cell."""
    if not isinstance(layer, Bidirectional):
        return {"": layer}
    return dict(zip(("", "_reverse"), layer.parts.values(), strict=True))


def _import_torch():
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ImportError("torch: to_torch and from_torch need PyTorch, which is not installed; "
                          "pip install torch") from error


def _reorder_blocks(array, order):
    """A copy of `array` (G, ...) with its equal blocks along the first axis in another order."""
    blocks = array.reshape(len(order), -1, *array.shape[1:])
    return blocks[order].reshape(array.shape)
