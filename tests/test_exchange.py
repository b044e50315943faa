"""Weights to PyTorch and back. What the converted modules compute is compared in test_oracles.py."""

import subprocess
import sys

import numpy as np
import pytest

import minibn
from minibn.exchange import from_torch, to_torch
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm

D, H = 3, 4


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def random_cell(cls, dtype=np.float64):
    rng = np.random.default_rng(0)
    cell = cls(D, H, rng=rng, dtype=dtype)
    return cell.map_params(lambda value: rng.standard_normal(value.shape).astype(dtype))


def parameters_by_name(module):
    return {name: value.detach().numpy() for name, value in module.named_parameters()}


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", [RNN, LSTM])
def test_there_and_back_gives_the_same_weights(torch, cls, dtype):
    cell = random_cell(cls, dtype)
    back = from_torch(to_torch(cell))
    assert type(back) is cls
    assert (back.input_size, back.hidden_size, back.dtype) == (D, H, dtype)
    assert list(back.params) == list(cell.params)
    for name, value in cell.params.items():
        expected = np.zeros(H) if name in ("h0", "c0") else value     # a module has no learned initial state
        np.testing.assert_array_equal(back.params[name], expected, err_msg=name)
        assert back.params[name].dtype == dtype
        assert back.params[name].flags.c_contiguous


@pytest.mark.oracle
def test_each_gate_block_goes_to_its_place(torch):
    cell = LSTM(D, H)
    for block, gate in enumerate("fiog"):
        columns = slice(block * H, (block + 1) * H)
        for name in ("W_x", "W_h", "b"):
            cell.params[name][..., columns] = ord(gate)
    module = to_torch(cell)
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        rows = parameters_by_name(module)[name].reshape(4, H, -1)
        # PyTorch documents its weights as (W_ii|W_if|W_ig|W_io).
        assert ["".join(map(chr, np.unique(block).astype(int))) for block in rows] == list("ifgo"), name


@pytest.mark.oracle
@pytest.mark.parametrize("cls", [RNN, LSTM])
def test_our_bias_goes_into_the_first_of_the_two(torch, cls):
    parameters = parameters_by_name(to_torch(random_cell(cls)))
    assert np.all(parameters["bias_ih_l0"] != 0)
    assert np.all(parameters["bias_hh_l0"] == 0)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_the_two_biases_are_added(torch, name):
    module = getattr(torch.nn, name)(D, H, dtype=torch.float64)
    parameters = parameters_by_name(module)
    total = parameters["bias_ih_l0"] + parameters["bias_hh_l0"]
    expected = total if name == "RNN" else total.reshape(4, H)[[1, 0, 3, 2]].reshape(-1)     # i, f, g, o -> f, i, o, g
    np.testing.assert_array_equal(from_torch(module).params["b"], expected)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_a_module_without_biases_gets_zeros(torch, name):
    module = getattr(torch.nn, name)(D, H, bias=False)
    assert np.all(from_torch(module).params["b"] == 0)                # the forget bias of +1 too


@pytest.mark.oracle
@pytest.mark.parametrize("cls", [RNN, LSTM])
def test_neither_side_shares_memory_with_the_other(torch, cls):
    cell = random_cell(cls)
    before = {name: value.copy() for name, value in cell.params.items()}
    module = to_torch(cell)
    back = from_torch(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    for name, value in before.items():
        np.testing.assert_array_equal(cell.params[name], value)
    for name in ("W_x", "W_h", "b"):
        assert np.any(back.params[name] != 0)


@pytest.mark.oracle
@pytest.mark.parametrize("options, words", [
    ({"proj_size": 2}, "proj_size=0, got proj_size=2"),
    ({"num_layers": 1, "dropout": 0.5}, "dropout=0, got dropout=0.5"),
    ({"nonlinearity": "relu"}, "nonlinearity='tanh', got nonlinearity='relu'"),
])
@pytest.mark.filterwarnings("ignore:dropout option adds dropout")     # PyTorch's own remark on dropout with one layer
def test_modules_that_are_no_plain_cell_are_refused(torch, options, words):
    cls = torch.nn.RNN if "nonlinearity" in options else torch.nn.LSTM
    with pytest.raises(ValueError, match=rf"^module: expected {words}; .*make the module with") as error:
        from_torch(cls(D, H, **options))
    assert "\n" not in str(error.value)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["RNN", "LSTM"])
@pytest.mark.parametrize("layers, bidirectional", [(2, False), (1, True), (3, True)])
def test_layers_and_directions_there_and_back(torch, name, layers, bidirectional):
    module = getattr(torch.nn, name)(D, H, num_layers=layers, bidirectional=bidirectional, dtype=torch.float64)
    layer = from_torch(module)
    assert type(layer) is (minibn.Bidirectional if layers == 1 else minibn.Stacked)
    again = from_torch(to_torch(layer))
    assert list(again.params) == list(layer.params)
    for key in layer.params:
        np.testing.assert_array_equal(again.params[key], layer.params[key])


@pytest.mark.parametrize("layers", [
    [LSTM(D, H), RNN(H, H)], [LSTM(D, H), LSTM(H, H + 1)],
    [minibn.Bidirectional(LSTM(D, H), LSTM(D, H)), LSTM(2 * H, H)],
])
def test_layers_of_several_kinds_are_refused(layers):
    with pytest.raises(ValueError, match=r"^cell: expected layers of one kind, one hidden_size.*PyTorch module"):
        to_torch(minibn.Stacked(layers))


@pytest.mark.oracle
def test_other_modules_and_dtypes_are_refused(torch):
    with pytest.raises(TypeError, match=r"^module: expected a torch.nn.RNN or torch.nn.LSTM, got GRU; pass"):
        from_torch(torch.nn.GRU(D, H))
    with pytest.raises(TypeError, match=r"^module: .* got LSTM; pass"):
        from_torch(LSTM(D, H))
    with pytest.raises(TypeError, match=r"^module: expected .*float32 or float64, got torch.bfloat16; convert .*float"):
        from_torch(torch.nn.LSTM(D, H, dtype=torch.bfloat16))


@pytest.mark.parametrize("cls", [BNRNN, BNRNNTwoTerm, BNLSTM])
def test_normalized_cells_are_refused(cls):
    with pytest.raises(TypeError, match=rf"^cell: expected .* got {cls.__name__}; PyTorch has no .* convert a plain"):
        to_torch(cls(D, H))


def test_an_offset_inside_the_output_tanh_is_refused():
    with pytest.raises(ValueError, match=r"^cell: expected .* beta_c, got cell_offset=True; .*cell_offset=False"):
        to_torch(LSTM(D, H, cell_offset=True))


def test_without_pytorch_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)                   # what Python does for a module not installed
    for convert, argument in ((to_torch, RNN(D, H)), (from_torch, None)):
        with pytest.raises(ImportError, match=r"^torch: .* need PyTorch, .* not installed; pip install torch$"):
            convert(argument)


def test_importing_it_does_not_import_pytorch():
    code = "import sys, minibn, minibn.exchange; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
