"""The Attentive Reader as PyTorch users write it, with our weights and on our numbers.

Where nothing is normalized the encoders are ``nn.LSTM`` on the padded texts, which is faster than packing them; else
they go step by step, with ``F.batch_norm`` over all rows, as the authors count them.
"""

import os

from minibn.bench.peers import EPS, library
from minibn.equations.reversal import reversed_steps
from minibn.exchange import to_torch
from minibn.layers import LSTM


class TorchReader:
    """One of the readers; its `update` is a whole one, by Adam."""

    def __init__(self, reader, questions, y, learning_rate):
        torch = self.torch = library("torch", "PyTorch")
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.reader = reader.reader
        self.questions = {name: torch.from_numpy(array) for name, array in questions._asdict().items()}
        self.y = torch.from_numpy(y)
        masks = {text: getattr(questions, f"{text}_mask") for text in ("passage", "question")}
        self.lengths = {text: torch.from_numpy(mask.sum(axis=0)) for text, mask in masks.items()}
        self.order = {text: torch.from_numpy(reversed_steps(mask)) for text, mask in masks.items()}
        self.weights = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in reader.params.items()}
        self.modules = {}
        if not self.reader.cell.normalized:
            for prefix, leaf in reader.leaves():
                named = LSTM(leaf.input_size, leaf.hidden_size, dtype=leaf.dtype)
                named.params = {name: value for name, value in leaf.params.items() if name in named.params}
                self.modules[prefix] = to_torch(named)
        learned = [*self.weights.values(), *(p for module in self.modules.values() for p in module.parameters())]
        self.optimizer = torch.optim.Adam(learned, learning_rate)
        self.learned = learned

    def update(self):
        """One update; the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.torch.nn.functional.cross_entropy(self.logits(), self.y)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.learned, 10.0)
        self.optimizer.step()
        return float(loss.detach())

    def logits(self):
        """(N, E)."""
        torch, w, mask = self.torch, self.weights, self.questions["passage_mask"]
        d, _ = self._encode("document", "passage")
        _, u = self._encode("question", "question")
        z = self._term("d", d, mask) + self._term("q", u) + w["b_a"]
        e = (torch.tanh(z) @ w["v"]).masked_fill(~mask, -1e30)
        r = (torch.softmax(e, 0)[..., None] * d).sum(0)
        g = torch.tanh(self._term("r", r) + self._term("u", u) + w["b_g"])
        return g @ w["W_y"] + w["b_y"]

    def _term(self, name, a, mask=None):
        linear = a @ self.weights[f"P_{name}"]
        gamma = self.weights.get(f"gamma_{name}")
        if gamma is None:
            return linear
        if mask is None or self.reader.options["input_statistics"] == "step":
            return self._normalize(linear.reshape(-1, linear.shape[-1]), gamma).view(linear.shape)
        return linear.new_zeros(linear.shape).masked_scatter(mask[..., None], self._normalize(linear[mask], gamma))

    def _normalize(self, rows, gamma, beta=None):
        return self.torch.nn.functional.batch_norm(rows, None, None, gamma, beta, training=True, eps=EPS)

    def _encode(self, name, text):
        """The states (T, N, C), and the last ones (N, C)."""
        torch = self.torch
        x = self.weights["M"][self.questions[text]] * self.questions[f"{text}_mask"][..., None]
        if not self.reader.both_directions:
            return self._direction(f"{name}.", x, text)
        order = self.order[text][..., None]
        h, last = self._direction(f"{name}.forward.", x, text)
        turned, first = self._direction(f"{name}.backward.", torch.take_along_dim(x, order, 0), text)
        return torch.cat([h, torch.take_along_dim(turned, order, 0)], -1), torch.cat([last, first], -1)

    def _direction(self, prefix, x, text):
        torch = self.torch
        if self.reader.cell.normalized:
            own = {name.removeprefix(prefix): w for name, w in self.weights.items() if name.startswith(prefix)}
            return self._unroll(x, self.questions[f"{text}_mask"], **own)
        h = self.modules[prefix](x)[0]              # padding comes last: nobody looks at what is computed there
        last = (self.lengths[text] - 1).expand(h.shape[-1], -1).T[None]
        return h, torch.gather(h, 0, last)[0]

    def _unroll(self, x, mask, W_x, W_h, b, gamma_x, gamma_h, gamma_c, beta_c, h0, c0):
        """Eqs. 6-8, a padded step keeping h and c."""
        torch, H = self.torch, len(h0)
        x_linear = x @ W_x
        if self.reader.options["input_statistics"] == "sequence":
            live = self._normalize(x_linear[mask], gamma_x)
            x_term = x_linear.new_zeros(x_linear.shape).masked_scatter(mask[..., None], live)
        else:
            x_term = torch.stack([self._normalize(x_t, gamma_x) for x_t in x_linear.unbind(0)])
        h, c, states = h0.expand(x.shape[1], H), c0.expand(x.shape[1], H), []
        for term, live in zip((x_term + b).unbind(0), mask[..., None].unbind(0), strict=True):
            gates = self._normalize(h @ W_h, gamma_h) + term
            f, i, o = torch.sigmoid(gates[:, :3 * H]).chunk(3, dim=1)
            c = torch.where(live, f * c + i * torch.tanh(gates[:, 3 * H:]), c)
            h = torch.where(live, o * torch.tanh(self._normalize(c, gamma_c, beta_c)), h)
            states.append(h)
        return torch.stack(states), h
