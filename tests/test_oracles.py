"""Two independent opinions on forward passes and gradients: HIPS autograd and PyTorch.

Both oracles differentiate the paper's equations as they are written down again here, in another form than in
minibn: gate by gate with the textbook sigmoid and live rows picked by index (autograd); with PyTorch's own modules
and its batch norm (whose normalization uses the biased variance, as Eq. 5 does).

Errors are measured per tensor, max|a - n| / max(max|n|, 1e-3 of the largest gradient in the check). The tolerances
are the project's: 1e-9 for autograd, 1e-10 for PyTorch. What is measured is rounding: 1e-13 and below, 3e-12 with
the learned initial states. The rest leaves room for another BLAS, not for a wrong term, which shows at 1e-3 or above.

Initial states are random for each example. With the learned ones, which all examples share, W_h h_0 has no variance
at the first step, BN multiplies rounding by 1/sqrt(eps), and the gradient of h0 is truly zero; one test has them.
"""

import numpy as np
import pytest

from minibn.exchange import to_torch
from minibn.gradcheck import gradient_error
from minibn.layers import BNLSTM, BNRNN, LSTM, RNN, BNRNNTwoTerm
from minibn.models import LanguageModel, SequenceClassifier
from minibn.statistics import PopulationStatistics, Statistics

pytestmark = pytest.mark.oracle

EPS = 1e-5
AUTOGRAD, TORCH = 1e-9, 1e-10     # asked for by the project, see above
ROUNDING = 1e-12                  # of a sum of thousands of terms, against the sum of their absolute values


def random_cell(cls, D, H, seed=0, **settings):
    """All parameters random and non-zero: zeros hide wrong gradients."""
    rng = np.random.default_rng(seed)
    cell = cls(D, H, rng=rng, **({"eps": EPS} if cls.terms else {}), **settings)
    for name, value in cell.params.items():
        if name.startswith("gamma"):
            cell.params[name] = rng.uniform(0.5, 1.5, value.shape)
        else:
            cell.params[name] = rng.standard_normal(value.shape) / np.sqrt(len(value) if value.ndim == 2 else 4)
    return cell


def random_states(cell, N, seed=1):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((N, cell.hidden_size)) for _ in cell.state_names)


def gradients_by_hand(cell, x, dh, **arguments):
    h, cache = cell.forward(x, **arguments)
    dx, grads = cell.backward(dh, cache)
    return h, {"x": dx, **grads}


def compare(h, grads, oracle_h, oracle_grads, tolerance, leave_out=()):
    assert np.max(np.abs(h - oracle_h)) <= tolerance                  # |h| < 1
    assert set(grads) == set(oracle_grads)
    largest = max(np.max(np.abs(value)) for value in oracle_grads.values())
    errors = {name: gradient_error(grads[name], oracle_grads[name], largest)
              for name in grads if name not in leave_out}
    assert all(error <= tolerance for error in errors.values()), errors


# HIPS autograd: the equations once more, in autograd's NumPy.


@pytest.fixture
def anp():
    return pytest.importorskip("autograd.numpy")


def normalize(anp, a, gamma, beta, given):
    """Eq. 5 over the rows of `a`, or with given statistics."""
    mean, variance = (anp.mean(a, axis=0), anp.var(a, axis=0)) if given is None else given
    return beta + gamma * (a - mean) / anp.sqrt(variance + EPS)


def autograd_rnn(anp, bn, p, term_x, h, t):
    term_h = anp.dot(h, p["W_h"])
    if "gamma" in p:
        return (anp.tanh(bn("sum", term_h + term_x, p["gamma"], p["b"], t)),)
    if "gamma_h" in p:
        term_h = bn("h", term_h, p["gamma_h"], 0, t)
    return (anp.tanh(term_h + term_x + p["b"]),)


def autograd_lstm(anp, bn, p, term_x, h, c, t):
    H = h.shape[1]
    tilde = {}
    for k, gate in enumerate("fiog"):
        block = slice(k * H, (k + 1) * H)
        term_h = anp.dot(h, p["W_h"][:, block])
        if "gamma_h" in p:
            term_h = bn("h", term_h, p["gamma_h"][block], 0, t, block)
        tilde[gate] = term_h + term_x[:, block] + p["b"][block]       # Eqs. 2, 6
    sigma = {gate: 1 / (1 + anp.exp(-tilde[gate])) for gate in "fio"}
    c = sigma["f"] * c + sigma["i"] * anp.tanh(tilde["g"])            # Eqs. 3, 7
    if "gamma_c" in p:
        return sigma["o"] * anp.tanh(bn("c", c, p["gamma_c"], p["beta_c"], t)), c            # Eq. 8
    return sigma["o"] * anp.tanh(c + p.get("beta_c", 0)), c           # Eq. 4


def autograd_forward(anp, cell, p, x, states, mask, population):
    """h (T, N, H) for any cell. The states are (N, H); a step sees the rows of the live examples, and no others."""
    T, N = mask.shape
    live = [np.flatnonzero(step) for step in mask]

    def given(term, t, block=slice(None)):
        if population is None:
            return None
        mean, variance = population[term]
        row = min(t, len(mean) - 1)
        return mean[row, block], variance[row, block]

    def bn(term, a, gamma, beta, t, block=slice(None)):
        return normalize(anp, a, gamma, beta, given(term, t, block))

    term_x = [anp.dot(x[t][live[t]], p["W_x"]) for t in range(T)]
    if cell.input_statistics == "sequence":
        whole = normalize(anp, anp.concatenate(term_x), p["gamma_x"], 0, given("x", 0))
        ends = np.cumsum([len(rows) for rows in live])
        term_x = [whole[end - len(rows):end] for rows, end in zip(live, ends, strict=True)]
    step = autograd_lstm if cell.blocks == 4 else autograd_rnn
    h = []
    for t in range(T):
        if live[t].size:                                              # a step without a live example does nothing
            x_t = term_x[t]
            if "x" in cell.terms and cell.input_statistics == "step":
                x_t = bn("x", x_t, p["gamma_x"], 0, t)
            new = step(anp, bn, p, x_t, *(state[live[t]] for state in states), t)
            place = np.eye(N)[:, live[t]]                             # (N, live): back to their rows
            states = [anp.dot(place, a) + ~mask[t][:, None] * b for a, b in zip(new, states, strict=True)]
        h.append(states[0])
    return anp.stack(h)


def autograd_gradients(anp, cell, x, dh, states, mask, population):
    import autograd

    T, N = x.shape[:2]
    mask = np.ones((T, N), bool) if mask is None else mask
    tensors = {**cell.params, "x": np.where(mask[..., None], x, 0), **states}

    def run(tensors):
        start = [tensors[name] + np.zeros((N, 1)) for name in cell.state_names]              # (H,) or (N, H)
        return autograd_forward(anp, cell, tensors, tensors["x"], start, mask, population)

    return run(tensors), autograd.grad(lambda tensors: anp.sum(run(tensors) * dh))(tensors)


def ragged_mask(T, N):
    """A late start, an early end, a hole, a step with one live example and a step with none."""
    mask = np.ones((T, N), bool)
    mask[0, 1] = mask[-2:, 0] = mask[2, 3] = False
    mask[3] = np.arange(N) == 2
    mask[4] = False
    return mask


def random_population(cell, rows, seed=2):
    """Fewer rows than steps: the last one repeats."""
    rng = np.random.default_rng(seed)
    shapes = {term: (1 if term == "x" and cell.input_statistics == "sequence" else rows,
                     cell.hidden_size * (1 if term == "c" else cell.blocks)) for term in cell.terms}
    return PopulationStatistics({term: Statistics(0.3 * rng.standard_normal(shape), rng.uniform(0.5, 1.5, shape))
                                 for term, shape in shapes.items()})


CELLS = {
    "RNN": (RNN, {}), "BNRNN": (BNRNN, {}), "BNRNNTwoTerm": (BNRNNTwoTerm, {}), "LSTM": (LSTM, {}),
    "LSTM with beta_c": (LSTM, {"cell_offset": True}), "BNLSTM": (BNLSTM, {}),
    "BNLSTM, x per sequence": (BNLSTM, {"input_statistics": "sequence"}),
}
CASES = [(name, statistics, masked) for name, (cls, _) in CELLS.items()
         for statistics in (("batch", "population") if cls.terms else ("none",)) for masked in (False, True)]


@pytest.mark.parametrize("name, statistics, masked", CASES)
def test_autograd(anp, name, statistics, masked):
    T, N, D, H = 7, 6, 3, 4
    cls, settings = CELLS[name]
    cell = random_cell(cls, D, H, **settings)
    rng = np.random.default_rng(3)
    x, dh = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, H))
    states = random_states(cell, N)
    mask = ragged_mask(T, N) if masked else None
    population = random_population(cell, T - 2) if statistics == "population" else None
    padded_x = np.where(mask[..., None], x, np.nan) if masked else x  # padding is never read
    ours = gradients_by_hand(cell, padded_x, dh, mask=mask, initial_state=states, statistics=population)
    oracle = autograd_gradients(anp, cell, x, dh, dict(zip(cell.state_names, states, strict=True)), mask, population)
    compare(*ours, *oracle, AUTOGRAD)


@pytest.mark.parametrize("name", CELLS)
def test_autograd_with_the_learned_initial_states(anp, name):
    T, N, D, H = 5, 6, 3, 4
    cls, settings = CELLS[name]
    cell = random_cell(cls, D, H, **settings)
    rng = np.random.default_rng(3)
    x, dh = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, H))
    h, grads = gradients_by_hand(cell, x, dh)
    # The one tensor without a size to be measured by: through batch statistics dh0 is truly zero, all rounding.
    zero = {"h0"} if cls.terms else set()
    compare(h, grads, *autograd_gradients(anp, cell, x, dh, {}, None, None), AUTOGRAD, leave_out=zero)
    if zero:
        states = tuple(np.tile(cell.params[name], (N, 1)) for name in cell.state_names)
        _, per_example = gradients_by_hand(cell, x, dh, initial_state=states)
        assert np.all(np.abs(grads["h0"]) <= ROUNDING * np.abs(per_example["h0"]).sum(axis=0))
        assert np.abs(per_example["h0"]).sum() > 1e-3


# PyTorch: its own modules, with converted weights, and a BN-LSTM on its own batch norm.


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def leaves(torch, **arrays):
    return {name: torch.tensor(value, requires_grad=True) for name, value in arrays.items()}


def numpy_gradients(tensors):
    return {name: value.grad.numpy() for name, value in tensors.items()}


def module_gradients(module):
    """The gradients of a module's parameters in our layout: gate blocks i, f, g, o -> f, i, o, g."""
    def ours(gradient):
        if module.mode != "LSTM":
            return gradient.numpy().T
        return gradient.numpy().reshape(4, module.hidden_size, -1)[[1, 0, 3, 2]].reshape(gradient.shape).T

    return {"W_x": ours(module.weight_ih_l0.grad), "W_h": ours(module.weight_hh_l0.grad),
            "b": ours(module.bias_ih_l0.grad)}


def module_states(states):
    """(1, N, H) for each state; an RNN takes its one state bare."""
    states = tuple(state[None] for state in states.values())
    return states if len(states) == 2 else states[0]


@pytest.mark.parametrize("cls", [RNN, LSTM])
def test_torch_modules_with_converted_weights(torch, cls):
    T, N, D, H = 25, 6, 3, 5
    cell = random_cell(cls, D, H)
    rng = np.random.default_rng(3)
    x, dh = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, H))
    states = random_states(cell, N)
    module = to_torch(cell)
    state_tensors = leaves(torch, **dict(zip(cell.state_names, states, strict=True)))
    inputs = leaves(torch, x=x)
    h, _ = module(inputs["x"], module_states(state_tensors))
    h.backward(torch.tensor(dh))
    oracle = {**numpy_gradients(inputs), **module_gradients(module), **numpy_gradients(state_tensors)}
    compare(*gradients_by_hand(cell, x, dh, initial_state=states), h.detach().numpy(), oracle, TORCH)


@pytest.mark.parametrize("cls", [RNN, LSTM])
def test_torch_packed_sequences_are_our_mask(torch, cls):
    T, N, D, H = 20, 5, 3, 4
    lengths = np.array([20, 3, 11, 1, 16])
    mask = np.arange(T)[:, None] < lengths
    cell = random_cell(cls, D, H)
    rng = np.random.default_rng(3)
    x, dh, dlast = (rng.standard_normal(shape) for shape in ((T, N, D), (T, N, H), (N, H)))
    dh = np.where(mask[..., None], dh, 0)
    states = random_states(cell, N)
    module, rnn = to_torch(cell), torch.nn.utils.rnn
    state_tensors = leaves(torch, **dict(zip(cell.state_names, states, strict=True)))
    inputs = leaves(torch, x=x)
    packed = rnn.pack_padded_sequence(inputs["x"], torch.tensor(lengths), enforce_sorted=False)
    out, last = module(packed, module_states(state_tensors))
    last_h = (last[0] if cls is LSTM else last)[0]                    # (N, H), each example's own last step
    h = rnn.pad_packed_sequence(out, total_length=T)[0]               # zeros at padded steps
    ((h * torch.tensor(dh)).sum() + (last_h * torch.tensor(dlast)).sum()).backward()
    oracle = {**numpy_gradients(inputs), **module_gradients(module), **numpy_gradients(state_tensors)}

    dh[-1] += dlast                                                   # ours carries the last state through padding
    our_h, grads = gradients_by_hand(cell, np.where(mask[..., None], x, np.nan), dh, mask=mask, initial_state=states)
    np.testing.assert_allclose(our_h[-1], last_h.detach().numpy(), rtol=0, atol=TORCH)
    compare(np.where(mask[..., None], our_h, 0), grads, h.detach().numpy(), oracle, TORCH)


def torch_bn_lstm(torch, cell, p, x, h, c, population=None):
    """Eqs. 6-8 with PyTorch's batch norm at every step; population statistics of one row are used at every step."""
    def bn(term, a, gamma, beta=None):
        given = (None, None) if population is None else [torch.tensor(value[0]) for value in population[term]]
        return torch.nn.functional.batch_norm(a, *given, gamma, beta, training=population is None, eps=EPS)

    T, N, _ = x.shape
    x_linear = x @ p["W_x"]
    if cell.input_statistics == "sequence":
        x_term = bn("x", x_linear.reshape(T * N, -1), p["gamma_x"]).reshape(T, N, -1)
    else:
        x_term = [bn("x", x_linear[t], p["gamma_x"]) for t in range(T)]
    outputs = []
    for t in range(T):
        f, i, o, g = torch.chunk(bn("h", h @ p["W_h"], p["gamma_h"]) + x_term[t] + p["b"], 4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(bn("c", c, p["gamma_c"], p["beta_c"]))
        outputs.append(h)
    return torch.stack(outputs)


SEQUENCEWISE = pytest.mark.parametrize("input_statistics", ["step", "sequence"])


@SEQUENCEWISE
@pytest.mark.parametrize("statistics", ["batch", "population"])
def test_torch_bn_lstm(torch, input_statistics, statistics):
    T, N, D, H = 25, 7, 3, 5
    cell = random_cell(BNLSTM, D, H, input_statistics=input_statistics)
    rng = np.random.default_rng(3)
    x, dh = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, H))
    states = random_states(cell, N)
    population = random_population(cell, 1) if statistics == "population" else None
    tensors = leaves(torch, **{**cell.params, "x": x, "h0": states[0], "c0": states[1]})
    h = torch_bn_lstm(torch, cell, tensors, tensors["x"], tensors["h0"], tensors["c0"], population)
    h.backward(torch.tensor(dh))
    ours = gradients_by_hand(cell, x, dh, initial_state=states, statistics=population)
    compare(*ours, h.detach().numpy(), numpy_gradients(tensors), TORCH)


@SEQUENCEWISE
@pytest.mark.parametrize("noisy", [True, False])
def test_torch_bn_lstm_classifier_with_the_learned_states(torch, input_statistics, noisy):
    T, N, D, H, K = 20, 7, 3, 5, 4
    cell = random_cell(BNLSTM, D, H, input_statistics=input_statistics)
    model = SequenceClassifier(cell, K, rng=0)
    rng = np.random.default_rng(3)
    model.params["W_y"], model.params["b_y"] = rng.standard_normal((H, K)), rng.standard_normal(K)
    x, y, noise = rng.standard_normal((T, N, D)), rng.integers(K, size=N), 0.1 * rng.standard_normal((N, H))
    noise = noise if noisy else None
    tensors = leaves(torch, **model.params)
    p = {name.removeprefix("cell."): value for name, value in tensors.items()}
    h_0 = p["h0"] + torch.tensor(noise if noisy else np.zeros((N, 1)))
    h_0.retain_grad()                                                 # of each example
    h = torch_bn_lstm(torch, cell, p, torch.tensor(x), h_0, p["c0"].expand(N, H))
    loss = torch.nn.functional.cross_entropy(h[-1] @ p["W_y"] + p["b_y"], torch.tensor(y))
    loss.backward()

    our_loss, grads = model.loss_and_grads(x, y, initial_noise=noise)
    # dh0 is truly zero through batch statistics, with noise or without; the others have a size to be measured by.
    compare(our_loss, grads, loss.item(), numpy_gradients(tensors), TORCH, leave_out={"cell.h0"})
    assert np.all(np.abs(grads["cell.h0"]) <= ROUNDING * np.abs(h_0.grad.numpy()).sum(axis=0))


# The language model: the same cells, with a softmax at every step, on symbols.


def random_text(rng, T, N, K):
    """Symbols and what follows them, with repetitions; no step at which all examples have the same symbol."""
    return rng.permuted(np.arange(T * N).reshape(T, N) % K, axis=1), rng.integers(K, size=(T, N))


def random_language_model(cls, K, H, **settings):
    model = LanguageModel(random_cell(cls, K, H, **settings), K, rng=0)
    rng = np.random.default_rng(4)
    model.params["W_y"], model.params["b_y"] = rng.standard_normal((H, K)), rng.standard_normal(K)
    return model


@pytest.mark.parametrize("name, statistics, masked", CASES)
def test_autograd_language_model(anp, name, statistics, masked):
    import autograd

    T, N, K, H = 7, 6, 5, 4
    cls, settings = CELLS[name]
    model = random_language_model(cls, K, H, **settings)
    cell, rng = model.cell, np.random.default_rng(3)
    x, y = random_text(rng, T, N, K)
    noise = rng.standard_normal((N, H))
    mask = ragged_mask(T, N) if masked else np.ones((T, N), bool)
    population = random_population(cell, T - 2) if statistics == "population" else None

    def loss(tensors):
        p = {key.removeprefix("cell."): value for key, value in tensors.items()}
        start = [p["h0"] + noise, *(p[key] + np.zeros((N, 1)) for key in cell.state_names[1:])]
        h = autograd_forward(anp, cell, p, np.eye(K)[x], start, mask, population)
        z = anp.dot(h, p["W_y"]) + p["b_y"]
        each = anp.log(anp.sum(anp.exp(z), axis=2)) - anp.sum(z * np.eye(K)[y], axis=2)      # (T, N)
        return anp.sum(each * mask) / mask.sum()

    oracle = loss(dict(model.params)), autograd.grad(loss)(dict(model.params))
    unread = np.where(mask, x, -1), np.where(mask, y, -1)
    ours = model.loss_and_grads(*unread, mask if masked else None, population, noise)
    # dh0 is truly zero through batch statistics while all are live at the first step.
    zero = {"cell.h0"} if cls.terms and population is None and not masked else set()
    compare(*ours, *oracle, AUTOGRAD, leave_out=zero)


@pytest.mark.parametrize("cls", [RNN, LSTM])
@pytest.mark.parametrize("masked", [False, True])
def test_torch_language_model_of_converted_modules(torch, cls, masked):
    T, N, K, H = 25, 6, 7, 5
    model = random_language_model(cls, K, H)
    rng = np.random.default_rng(3)
    x, y = random_text(rng, T, N, K)
    mask = np.arange(T)[:, None] < np.array([25, 20, 3, 25, 11, 1]) if masked else None
    module, linear = to_torch(model.cell), torch.nn.Linear(H, K, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(model.params["W_y"].T))
        linear.bias.copy_(torch.tensor(model.params["b_y"]))
    learned = leaves(torch, **{name: model.cell.params[name] for name in model.cell.state_names})
    h, _ = module(torch.tensor(np.eye(K)[x]), module_states({name: v.expand(N, H) for name, v in learned.items()}))
    targets = torch.tensor(y if mask is None else np.where(mask, y, -100))                   # PyTorch's padding
    loss = torch.nn.functional.cross_entropy(linear(h).reshape(T * N, K), targets.reshape(T * N))
    loss.backward()
    oracle = {f"cell.{name}": value for name, value in
              {**module_gradients(module), **numpy_gradients(learned)}.items()}
    oracle |= {"W_y": linear.weight.grad.numpy().T, "b_y": linear.bias.grad.numpy()}
    our_loss, grads = model.loss_and_grads(x, y, mask)
    compare(our_loss, grads, loss.item(), oracle, TORCH)


@pytest.mark.parametrize("statistics", ["batch", "population"])
def test_torch_bn_lstm_language_model(torch, statistics):
    T, N, K, H = 20, 7, 6, 5
    model = random_language_model(BNLSTM, K, H)
    rng = np.random.default_rng(3)
    x, y = random_text(rng, T, N, K)
    noise = rng.standard_normal((N, H))
    population = random_population(model.cell, 1) if statistics == "population" else None
    tensors = leaves(torch, **model.params)
    p = {name.removeprefix("cell."): value for name, value in tensors.items()}
    h = torch_bn_lstm(torch, model.cell, p, torch.tensor(np.eye(K)[x]), p["h0"] + torch.tensor(noise),
                      p["c0"].expand(N, H), population)
    z = h @ p["W_y"] + p["b_y"]
    loss = torch.nn.functional.cross_entropy(z.permute(0, 2, 1), torch.tensor(y))            # (T, K, N), (T, N)
    loss.backward()
    our_loss, grads = model.loss_and_grads(x, y, statistics=population, initial_noise=noise)
    zero = {"cell.h0"} if population is None else set()
    compare(our_loss, grads, loss.item(), numpy_gradients(tensors), TORCH, leave_out=zero)
