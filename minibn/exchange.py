"""Weights of the plain cells to PyTorch and back.

PyTorch is no dependency of minibn: it is imported here, when one of the two functions is called.

================  =====================================  ==========================================
                  minibn                                 PyTorch
================  =====================================  ==========================================
gate blocks       f, i, o, g (the paper's order)         i, f, g, o
weights           x @ W_x, h @ W_h: (D, G), (H, G)       weight_ih_l0 (G, D), weight_hh_l0 (G, H)
bias              b (G,)                                 bias_ih_l0 + bias_hh_l0, (G,) each
initial state     h0, c0 (H,): learned parameters        an argument of each call, (1, N, H); zeros without
================  =====================================  ==========================================
"""

import importlib

import numpy as np

from minibn.backend import to_host
from minibn.cells.lstm import CELL
from minibn.layers import LSTM, RNN

GATES, TORCH_GATES = CELL.gates, "ifgo"


def to_torch(cell):
    """A ``torch.nn.RNN`` or ``torch.nn.LSTM`` (one layer, time-major, on the CPU) with the weights of `cell`.

    The learned initial states are not part of a PyTorch module: pass them at each call,
    ``module(x, (h0, c0))`` with h0 and c0 of shape (1, N, H), or ``module(x, h0)`` for an RNN; without them
    PyTorch starts at zero. Our b goes into ``bias_ih_l0``, and ``bias_hh_l0`` is zero.

    Parameters
    ----------
    cell : minibn.RNN or minibn.LSTM
        Of dtype float32 or float64, which the module gets too.

    Returns
    -------
    torch.nn.RNN or torch.nn.LSTM

    Raises
    ------
    TypeError
        Another cell: PyTorch has no batch-normalized ones.
    ValueError
        An LSTM with the offset beta_c inside the output tanh.
    ImportError
        PyTorch is not installed.
    """
    if not isinstance(cell, RNN | LSTM):
        raise TypeError(f"cell: expected a minibn.RNN or minibn.LSTM, got {type(cell).__name__}; "
                        f"PyTorch has no batch-normalized recurrent cell, so convert a plain one")
    if getattr(cell, "cell_offset", False):
        raise ValueError("cell: expected an LSTM without beta_c, got cell_offset=True; torch.nn.LSTM has no offset "
                         "inside the output tanh, so make the LSTM with cell_offset=False")
    torch = _import_torch()
    p = to_host(cell.params)
    weights = {"weight_ih_l0": p["W_x"].T, "weight_hh_l0": p["W_h"].T,
               "bias_ih_l0": p["b"], "bias_hh_l0": np.zeros_like(p["b"])}
    order = [GATES.index(gate) for gate in TORCH_GATES] if isinstance(cell, LSTM) else [0]
    module_type = torch.nn.LSTM if isinstance(cell, LSTM) else torch.nn.RNN
    module = module_type(cell.input_size, cell.hidden_size, dtype=getattr(torch, cell.dtype.name))
    module.load_state_dict({name: torch.from_numpy(_reorder_blocks(value, order)) for name, value in weights.items()})
    return module


def from_torch(module):
    """A `minibn.RNN` or `minibn.LSTM` with the weights of a PyTorch module.

    The two biases are added; the learned initial states start at zero, as PyTorch's do without an argument.
    ``batch_first`` does not matter to the weights: minibn's x is always time-major.

    Parameters
    ----------
    module : torch.nn.RNN or torch.nn.LSTM
        One layer, one direction, no projection, no dropout, tanh, float32 or float64; on any device, with
        biases or without.

    Returns
    -------
    minibn.RNN or minibn.LSTM

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
    for name, expected in (("num_layers", 1), ("bidirectional", False), ("proj_size", 0), ("dropout", 0),
                           ("nonlinearity", "tanh")):
        value = getattr(module, name, expected)                       # an LSTM has no nonlinearity=
        if value != expected:
            raise ValueError(f"module: expected {name}={expected!r}, got {name}={value!r}; minibn's cells have "
                             f"nothing like it, so make the module with {name}={expected!r}")
    dtype = module.weight_ih_l0.dtype
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"module: expected weights of dtype float32 or float64, got {dtype}; "
                        f"convert it with module.float() or module.double()")
    is_lstm = isinstance(module, torch.nn.LSTM)
    weights = {name: value.detach().cpu().numpy() for name, value in module.named_parameters()}
    order = [TORCH_GATES.index(gate) for gate in GATES] if is_lstm else [0]
    cell = (LSTM if is_lstm else RNN)(module.input_size, module.hidden_size, dtype=weights["weight_ih_l0"].dtype)
    b = weights["bias_ih_l0"] + weights["bias_hh_l0"] if module.bias else np.zeros_like(cell.params["b"])
    cell.params["W_x"] = _reorder_blocks(weights["weight_ih_l0"], order).T.copy()
    cell.params["W_h"] = _reorder_blocks(weights["weight_hh_l0"], order).T.copy()
    cell.params["b"] = _reorder_blocks(b, order)
    return cell


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
