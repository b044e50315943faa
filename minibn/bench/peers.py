"""The cells of others, with our weights and on our numbers: what a user would take instead.

They do the same work as our cells: h at every step, and the gradients of x and of all weights (initial states are
zero, not learned). Nothing of minibn needs these libraries; they are imported when an entrant is built.
"""

import importlib
import os

import numpy as np

from minibn.bench.cells import make_problem
from minibn.bench.timing import DeviceClock, HostClock, Timed
from minibn.cells import bn_lstm, lstm
from minibn.exchange import to_torch
from minibn.layers import LSTM

EPS = bn_lstm.CELL.options["eps"].default


def library(name, title):
    """The module of this name; an ImportError that names it by its title where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{title} is not installed") from None


def _weights(layer):
    """The parameters without the states to start from."""
    return {name: value for name, value in layer.params.items() if name not in layer.state_names}


class TorchLSTM(Timed):
    """``nn.LSTM``: on a GPU cuDNN's kernels."""

    name, cell, devices = "PyTorch nn.LSTM", lstm.CELL, ("cpu", "cuda")

    def __init__(self, entrant, setting):
        torch = self.torch = library("torch", "PyTorch")
        self.device = setting.device
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("this PyTorch finds no GPU")
        if self.device == "cpu":
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        torch.backends.cudnn.allow_tf32 = False       # as ours: full float32
        layer, x, dh = make_problem(self.cell, setting)
        self.x = torch.from_numpy(x).to(self.device).requires_grad_()
        self.dh = torch.from_numpy(dh).to(self.device)
        self.weights = self.take_weights(layer)
        self.clock = HostClock()
        if self.device == "cuda":
            self.clock = DeviceClock(lambda: torch.cuda.Event(enable_timing=True), lambda a, b: a.elapsed_time(b))

    def take_weights(self, layer):
        """Name -> tensor that gets a gradient."""
        named = LSTM(layer.input_size, layer.hidden_size, dtype=layer.dtype)
        named.params = layer.params
        self.module = to_torch(named).to(self.device)
        return dict(self.module.named_parameters())

    def forward(self):
        """h (T, N, H)."""
        return self.module(self.x)[0]

    def backward(self, h):
        """All gradients."""
        h.backward(self.dh)
        self._forget_gradients()

    def device_bytes(self):
        """What PyTorch has taken of the GPU's memory, at most."""
        return self.torch.cuda.max_memory_reserved()

    def result(self):
        """h, dx and the gradients of the weights, as NumPy arrays."""
        h = self.forward()
        h.backward(self.dh)
        found = tuple(array.detach().cpu().numpy() for array in (h, self.x.grad))
        grads = {name: weight.grad.cpu().numpy() for name, weight in self.weights.items()}
        self._forget_gradients()
        return *found, grads

    def _forget_gradients(self):
        for tensor in (self.x, *self.weights.values()):
            tensor.grad = None


class TorchBNLSTM(TorchLSTM):
    """A BN-LSTM written as PyTorch users write it, step by step with ``F.batch_norm``."""

    name, cell = "PyTorch eager BN-LSTM", bn_lstm.CELL

    def take_weights(self, layer):
        """Name -> tensor that gets a gradient."""
        return {name: self.torch.from_numpy(value).to(self.device).requires_grad_()
                for name, value in _weights(layer).items()}

    def forward(self):
        """h (T, N, H)."""
        return self._unroll(self.x, **self.weights)

    def _unroll(self, x, W_x, W_h, b, gamma_x, gamma_h, gamma_c, beta_c):
        """Eqs. 6-8."""
        torch, batch_norm = self.torch, self.torch.nn.functional.batch_norm
        T, N, D = x.shape
        H = W_h.shape[0]
        x_linear = (x.reshape(T * N, D) @ W_x).view(T, N, 4 * H)
        h = c = x.new_zeros(N, H)
        steps = []
        for x_t in x_linear.unbind(0):
            gates = (batch_norm(h @ W_h, None, None, gamma_h, None, training=True, eps=EPS)
                     + batch_norm(x_t, None, None, gamma_x, b, training=True, eps=EPS))
            f, i, o = torch.sigmoid(gates[:, :3 * H]).chunk(3, dim=1)
            c = f * c + i * torch.tanh(gates[:, 3 * H:])
            h = o * torch.tanh(batch_norm(c, None, None, gamma_c, beta_c, training=True, eps=EPS))
            steps.append(h)
        return torch.stack(steps)


class JaxLSTM:
    """JAX: an LSTM as a ``lax.scan``, forward and backward compiled together by ``jit``."""

    name, cell, devices = "JAX LSTM", lstm.CELL, ("cpu",)

    def __init__(self, entrant, setting):
        jax = self.jax = library("jax", "JAX")
        if setting.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        layer, x, dh = make_problem(self.cell, setting)
        self.arguments = jax.device_put((_weights(layer), x, dh))

        def forward_and_backward(weights, x, dh):
            h, pull_back = jax.vjp(self.unroll, weights, x)
            return h, *pull_back(dh)

        self.compiled = jax.jit(forward_and_backward)

    measure = Timed.measure

    def run(self):
        """Seconds of both directions together."""
        start = HostClock.mark()
        self.jax.block_until_ready(self.compiled(*self.arguments))
        return {"total": HostClock.seconds(start, HostClock.mark())}

    def result(self):
        """h, dx and the gradients of the weights, as NumPy arrays."""
        h, grads, dx = self.compiled(*self.arguments)
        return np.asarray(h), np.asarray(dx), {name: np.asarray(grad) for name, grad in grads.items()}

    def unroll(self, weights, x):
        """Eqs. 2-4."""
        x_term = x @ weights["W_x"] + weights["b"]
        return self._scan(lambda h: h @ weights["W_h"], lambda c: c, x_term, weights["W_h"])

    def _scan(self, h_term, c_term, x_term, W_h):
        jax, H = self.jax, W_h.shape[0]

        def step(state, x_t):
            h, c = state
            gates = h_term(h) + x_t
            f, i, o = (jax.nn.sigmoid(gates[:, k * H:(k + 1) * H]) for k in range(3))
            c = f * c + i * jax.numpy.tanh(gates[:, 3 * H:])
            h = o * jax.numpy.tanh(c_term(c))
            return (h, c), h

        zero = jax.numpy.zeros((x_term.shape[1], H), x_term.dtype)
        return jax.lax.scan(step, (zero, zero), x_term)[1]


class JaxBNLSTM(JaxLSTM):
    """The same, batch-normalized."""

    name, cell = "JAX BN-LSTM", bn_lstm.CELL

    def unroll(self, weights, x):
        """Eqs. 6-8."""
        lax = self.jax.lax

        def normalize(a):
            centred = a - a.mean(axis=-2, keepdims=True)
            return centred * lax.rsqrt((centred * centred).mean(axis=-2, keepdims=True) + EPS)

        x_term = weights["gamma_x"] * normalize(x @ weights["W_x"]) + weights["b"]
        return self._scan(lambda h: weights["gamma_h"] * normalize(h @ weights["W_h"]),
                          lambda c: weights["gamma_c"] * normalize(c) + weights["beta_c"], x_term, weights["W_h"])


PLAIN = TorchLSTM           # what every gated cell is compared with
PEERS = (TorchLSTM, TorchBNLSTM, JaxLSTM, JaxBNLSTM)
