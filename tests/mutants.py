"""Mutants: each is one edited line of a function, and a check that must notice.

A gradient check is only as good as the faults that it sees. Every row below names a function, one line of it, what the
line is changed to, and what that breaks; the mutated function is put wherever the original was imported, and the very
check that the test suite runs on the equations (`equation_checks.CHECKS`) has to fail, with the named gradient wrong.
A line that is not found exactly once fails too, so the table follows the code.

The mistakes that the labs' grader names (`minibn.labs.mistakes`) are rows too; here are the others.

``python tests/mutants.py`` prints the table.
"""

import contextlib
import sys
from functools import partial
from importlib import import_module
from typing import NamedTuple
from unittest.mock import patch

import equation_checks
import numpy as np
from equation_checks import CHECKS, GradientMismatch, check_layer, check_model
from reader_checks import READER_CHECKS

from minibn.kernels import look_up
from minibn.kernels.input_term import WIDE
from minibn.labs.mistakes import MISTAKES
from minibn.labs.source import Edit, Source

ANY = "any"             # in place of a gradient's name: one of them must be wrong
LEAST_ERROR = 1e-4      # a million times the tolerance: killed because it is wrong, not because it rounds otherwise


def check_row_by_row(layer):
    """Integer input whose table is not small, as the kernels see it."""
    with patch.object(look_up, "SMALL", 0):
        return check_layer(layer, integer=True, engine="kernels")


MUTANT_CHECKS = {
    **CHECKS,
    **READER_CHECKS,
    "layer BNLSTM": partial(check_layer, "BNLSTM", given_state=True),
    "layer BNLSTM, masked": partial(check_layer, "BNLSTM", masked=True),
    "layer BNLSTM, integer": partial(check_layer, "BNLSTM", masked=True, integer=True),
    "layer BNLSTM per sequence": partial(check_layer, "BNLSTM per sequence", masked=True),
    "layer LSTM": partial(check_layer, "LSTM"),
    "layer LSTM, masked": partial(check_layer, "LSTM", masked=True),
    "layer RNN": partial(check_layer, "RNN"),
    **{f"kernels {layer}{', masked' * masked}{', integer' * integer}":
       partial(check_layer, layer, masked=masked, integer=integer, given_state=True, engine="kernels")
       for layer in ("BNRNN", "BNLSTM", "BNLSTM per sequence", "LSTM") for masked in (False, True)
       for integer in (False, True)},
    "kernels BNLSTM, wide": partial(check_layer, "BNLSTM", masked=True, D=WIDE, engine="kernels"),
    "kernels LSTM, row by row": partial(check_row_by_row, "LSTM"),
    "stacked": partial(check_layer, "stacked", masked=True),
    "bidirectional, masked": partial(check_layer, "bidirectional", masked=True),
    "bidirectional classifier": partial(check_model, "bidirectional", masked=True),
    "classifier": partial(check_model, "BNLSTM", masked=True),
    "classifier, noise": partial(check_model, "BNLSTM", masked=True, noise=True),
    "language model": partial(check_model, "BNLSTM", masked=True, integer=True, kind="language model"),
}


class Mutant(NamedTuple):
    """One row of the table."""

    module: str
    function: str       # "name" or "Class.name"
    line: str           # the original, without its comment
    edited: str
    breaks: str         # in a word
    check: str          # key of MUTANT_CHECKS
    tensor: str         # a gradient that must be wrong; "name[" stands for that name at some step

    @property
    def name(self):
        return f"{self.where}: {self.breaks}"

    @property
    def where(self):
        """The function, and of which cell."""
        cell = self.module.rpartition(".")[2] + "." if self.module.startswith("minibn.cells.") else ""
        return cell + self.function


def _rows(module, function, check, *rows):
    """Rows of one function. Each is (line, edited, what breaks, wrong gradient[, another check])."""
    return [Mutant(module, function, *row[:3], row[4] if len(row) > 4 else check, row[3]) for row in rows]


def _edits(line, *edits):
    """Rows of one line. Each edit is (part of the line, its replacement, what breaks, wrong gradient[, check])."""
    for part, *_ in edits:
        assert line.count(part) == 1, (line, part)
    return [(line, line.replace(part, new), *rest) for part, new, *rest in edits]


EQUATIONS = "minibn.equations."

TABLE = [Mutant(row.module, row.function, row.line, row.edited, row.title, row.check, row.tensor) for row in MISTAKES]
GIVEN = [                   # what no student's numbers show apart, and one row of the table seen by another check
    Mutant("minibn.cells.bn_lstm", "step_backward", "return locals()", 'return {**locals(), "dc": dc_bn.a}',
           "total of c without what it carries", "bnlstm totals, minibatch", "c["),
    *[
    Mutant(row.module, row.function, row.line, row.edited, "1/N where statistics are given", "batch_norm, given", "a")
    for row in MISTAKES if row.id == "batch_norm_backward/1-n-where-the-mask-counts"
    ],
]

LEFT_OUT = [                # of the sums over time, one parameter of a cell after the other
    row for cell, (declaration, _) in equation_checks.CELLS.items()
    for name in equation_checks.step_inputs(cell, np.random.default_rng(0), "{}_0")[1]
    if cell == declaration.name or declaration.parameters[name].when
    for row in _rows(
        "minibn.layers.base", "RecurrentLayer._recur_backward", f"{cell} sequence, minibatch",
        ("parameters = [name for name in self.params if name not in others]",
         f'parameters = [name for name in self.params if name not in (*others, "{name}")]',
         f"{name} of {cell} left out", name))
]

RECURRENCE = [
    *_rows(
        "minibn.layers.base", "RecurrentLayer._recur_backward", "rnn sequence, minibatch",
        *_edits('return unroll_backward(self.find("step_backward"), dh, sequence, parameters, observe)',
                ("dh,", "dh[::-1],", "time reversed", "x_term")),
    ),
    *_rows(
        EQUATIONS + "recurrence", "unroll_backward", "bnlstm sequence, masked",
        *_edits("observe(t, Record.of_gradients(gradients), dstate)",
                ("dstate", "dnew", "observed state without what is kept", "state_h[", "bnlstm totals, masked")),
    ),
]

INPUT_TERM = [
    *_rows(
        EQUATIONS + "input_term", "project_backward", "project",
        ("rows = dx_linear.reshape(T * N, -1)", "rows = dx_linear.swapaxes(0, 1).reshape(T * N, -1)",
         "time and examples exchanged", "W_x"),
        *_edits(
            "dW_x = x.reshape(T * N, D).T @ rows",
            ("x.reshape(T * N, D).T @ rows", "x[-1].T @ dx_linear[-1]", "one step instead of the sum over time", "W_x"),
            ("rows", "rows / N", "sum of W_x is a mean", "W_x"),
        ),
        ("dx = (rows @ W_x.T).reshape(T, N, D)", "dx = 0 * (rows @ W_x.T).reshape(T, N, D)", "x dropped", "x"),
        ("dx = (rows @ W_x.T).reshape(T, N, D)", "dx = (rows @ abs(W_x).T).reshape(T, N, D)", "sign of W_x", "x"),
    ),
    *_rows(
        EQUATIONS + "input_term", "look_up_backward", "look_up",
        *_edits(
            "xp.add.at(dW_x, x, dx_linear)",
            ("xp.add.at(dW_x, x, dx_linear)", "dW_x[x] = dx_linear", "the last look-up alone", "W_x"),
            ("xp.add.at(dW_x, x, dx_linear)", "dW_x[x] += dx_linear", "repeated look-ups counted once", "W_x"),
            ("x, dx_linear", "x[-1], dx_linear[-1]", "one step instead of the sum over time", "W_x"),
            (", x,", ", x[::-1],", "time reversed", "W_x"),
        ),
    ),
    *_rows(
        EQUATIONS + "input_term", "per_step_backward", "per_step, minibatch",
        ("gradients = batch_norm_backward(dx_term[t], caches[t])",
         "gradients = batch_norm_backward(dx_term[t], caches[0])", "statistics of another step", "x_linear"),
        ("dx_linear[t] = gradients.a", "dx_linear[t] = dx_term[t]", "BN passed by", "x_linear"),
        ("dx_linear[t] = gradients.a", "dx_linear[t] = gradients.hat * caches[t].inv_std",
         "statistics taken as constants", "x_linear"),
        ("dgamma_x = dgamma_x + gradients.gamma", "dgamma_x = gradients.gamma", "one step instead of the sum over time",
         "gamma_x"),
        ("dgamma_x = dgamma_x + gradients.gamma", "dgamma_x = dgamma_x + gradients.beta", "beta for gamma_x",
         "gamma_x"),
    ),
    *_rows(
        EQUATIONS + "input_term", "per_sequence_backward", "per_sequence, minibatch",
        ("gradients = batch_norm_backward(dx_term.reshape(cache.a.shape), cache)",
         "gradients = batch_norm_backward(dx_term.swapaxes(0, 1).reshape(cache.a.shape), cache)",
         "time and examples exchanged", "gamma_x"),
        *_edits(
            "return gradients.a.reshape(dx_term.shape), gradients.gamma",
            ("gradients.a.reshape(dx_term.shape)", "dx_term", "BN passed by", "x_linear"),
            ("gradients.a", "(gradients.hat * cache.inv_std)", "statistics taken as constants", "x_linear"),
            ("gradients.gamma", "gradients.beta", "beta for gamma_x", "gamma_x"),
        ),
    ),
]

OUTPUT = [
    *_rows(
        EQUATIONS + "affine", "affine_backward", "affine, every step",
        ("db = rows.sum(axis=0)", "db = rows.mean(axis=0)", "sum of b is a mean", "b"),
        ("db = rows.sum(axis=0)", "db = dy[-1].sum(axis=0)", "b of one step instead of the sum over time", "b"),
        ("dW = h.reshape(-1, H).T @ rows", "dW = h.reshape(-1, H).T @ rows / len(rows)", "sum of W is a mean", "W"),
        ("dW = h.reshape(-1, H).T @ rows", "dW = h[-1].T @ dy[-1]", "W of one step instead of the sum over time", "W"),
        ("dh = dy @ W.T", "dh = 0 * dy @ W.T", "h dropped", "h"),
        ("dh = dy @ W.T", "dh = dy @ abs(W).T", "sign of W", "h"),
    ),
]

LAYERS = [
    *_rows(
        "minibn.layers.base", "RecurrentLayer.backward", "layer LSTM",
        ("dstate = tuple(d.sum(axis=0) for d in dstate)", "dstate = tuple(d.mean(axis=0) for d in dstate)",
         "sum of the learned state is a mean", "h0"),
        ("dstate = tuple(d.sum(axis=0) for d in dstate)", "dstate = tuple(d[0] for d in dstate)",
         "one example instead of the batch", "c0"),
        ("if cache.learned_state:", "if not cache.learned_state:", "learned and given states exchanged", "h0"),
        ("if cache.learned_state:", "if True:", "given states summed over the batch", "h0", "layer BNLSTM"),
        ("grads = {**grads, **dict(zip(self.state_names, dstate, strict=True))}",
         "grads = {**grads, **dict(zip(self.state_names, dstate[::-1], strict=True))}",
         "h0 and c0 exchanged", "c0"),
    ),
    *_rows(
        "minibn.layers.base", "RecurrentLayer._equations_backward", "layer LSTM",
        ("dx_term, dstate, grads = self._recur_backward(dh, cache.sequence, observe)",
         "dx_term, dstate, grads = self._recur_backward(dh[::-1], cache.sequence, observe)", "time reversed", "x"),
        ("dx, input_grads = self._input_backward(dx_term, cache.inputs, observe_input)",
         "dx, input_grads = self._input_backward(dx_term[::-1], cache.inputs, observe_input)",
         "input term's time reversed", "W_x"),
        ("return dx, dstate, {**grads, **input_grads}", "return dx[::-1], dstate, {**grads, **input_grads}",
         "dx's time reversed", "x"),
    ),
    *_rows(
        "minibn.layers.base", "RecurrentLayer._input_backward", "layer BNLSTM, masked",
        *_edits(
            'dx_linear, grads["gamma_x"] = backward[self.input_statistics](dx_term, inputs.x_bn, observe)',
            ("dx_linear", "_", "BN of the input passed by", "W_x"),
            ("dx_linear", "_", "BN of the input sequence passed by", "W_x", "layer BNLSTM per sequence"),
            ("dx_term,", "dx_term[::-1],", "time reversed", "gamma_x"),
        ),
        ('return None, {**grads, "W_x": input_term.look_up_backward(dx_linear, inputs.x, self.params["W_x"])}',
         'return None, {**grads, "W_x": input_term.look_up_backward(dx_term, inputs.x, self.params["W_x"])}',
         "BN of the looked-up input passed by", "W_x", "layer BNLSTM, integer"),
        *_edits(
            'dx, dW_x = input_term.project_backward(dx_linear, inputs.x, self.params["W_x"])',
            ("dx_linear", "dx_term", "product passes BN by", "x"),
            ('self.params["W_x"]', 'abs(self.params["W_x"])', "sign of W_x", "x"),
        ),
    ),
]

MODELS = [
    *_rows(
        "minibn.models.base", "RecurrentModel.loss_and_grads", "classifier",
        *_edits(
            "return loss, self.backward(softmax_cross_entropy_backward(loss_cache), cache)",
            ("(loss_cache)", "(loss_cache) * len(y)", "mean is a sum", "b_y"),
            ("(loss_cache)", "(loss_cache) * -1", "sign", "b_y"),
            ("(loss_cache)", "(loss_cache) * len(y)", "mean over time is a sum", "b_y", "language model"),
        ),
    ),
    *_rows(
        "minibn.models.base", "RecurrentModel.backward", "classifier",
        *_edits(
            "dstates, dW_y, db_y = affine_backward(dlogits, cache.states, cache.W_y)",
            ("cache.states,", "cache.cell.h[0],", "W_y sees the first step", "W_y"),
            ("cache.states,", "cache.states[::-1],", "W_y sees the steps in reverse", "W_y", "language model"),
        ),
        *_edits(
            "grads[name] = grads[name].sum(axis=0)",
            (".sum", ".mean", "sum of the noisy state is a mean", "cell.h0", "classifier, noise"),
            (".sum(axis=0)", "[0]", "one example instead of the batch", "cell.c0", "classifier, noise"),
            (".sum(axis=0)", "", "noisy state not summed over the batch", "cell.h0", "classifier, noise"),
        ),
        ("if grads[name].ndim == 2:", "if grads[name].ndim == 1:", "learned and noisy states exchanged", "cell.h0"),
        *_edits(
            'return {**{f"cell.{name}": value for name, value in grads.items()}, "W_y": dW_y, "b_y": db_y}',
            (', "b_y": db_y', "", "b_y left out", "b_y"),
            ('"W_y": dW_y, ', "", "W_y left out", "W_y", "language model"),
        ),
    ),
    *_rows(
        "minibn.layers.caches", "LayerCache.last_output_backward", "classifier",
        ("dh[-1] = d", "dh[0] = d", "loss at the first step", "cell.b"),
        ("dh[-1] = d", "dh[:] = d", "loss at every step", "cell.b"),
        ("dh[-1] = d", "dh[-1] = 0 * d", "loss does not reach the cell", "cell.W_x"),
    ),
    *_rows(
        "minibn.models.language_model", "LanguageModel._read_backward", "language model",
        ("return dstates", "return dstates[::-1]", "time reversed", "cell.W_h"),
        ("return dstates", "return dstates * (np.arange(len(dstates)) == len(dstates) - 1)[:, None, None]",
         "loss at the last step only", "cell.b"),
        ("return dstates", "return 0 * dstates", "loss does not reach the cell", "cell.W_x"),
    ),
    *_rows(
        "minibn.layers.stacked", "Stacked._backward", "stacked",
        ("dh = part_backward(name, dh)", "dh = -part_backward(name, dh)", "sign", "0.W_h"),
        ("return dh", "return 2 * dh", "dx twice", "x"),
        ("dh = part_backward(name, dh)", "dh = part_backward(name, dh) * 0.5", "half of what goes down", "0.b"),
    ),
    *_rows(
        "minibn.layers.bidirectional", "Bidirectional._backward", "bidirectional, masked",
        ('dx_reversed = part_backward("backward", reverse(dh[..., H:], cache.mask))',
         'dx_reversed = part_backward("backward", dh[..., H:])', "gradient not reversed", "backward.W_h"),
        ('dx_reversed = part_backward("backward", reverse(dh[..., H:], cache.mask))',
         'dx_reversed = part_backward("backward", reverse(dh[..., H:]))', "padding reversed too", "backward.W_h"),
        ('dx_reversed = part_backward("backward", reverse(dh[..., H:], cache.mask))',
         'dx_reversed = part_backward("backward", reverse(dh[..., :H], cache.mask))', "the other half", "backward.W_h"),
        *_edits("return None if dx is None else dx + reverse(dx_reversed, cache.mask)",
                (" + reverse(dx_reversed, cache.mask)", "", "backward reader's dx left out", "x"),
                ("reverse(dx_reversed, cache.mask)", "dx_reversed", "dx not put back", "x"),
                ("reverse(dx_reversed, cache.mask)", "reverse(dx_reversed)", "dx put back with padding", "x")),
    ),
    *_rows(
        "minibn.layers.bidirectional", "BidirectionalCache.last_output_backward", "bidirectional classifier",
        *_edits("dh = [forward.last_output_backward(d[:, :H]), reverse(backward.last_output_backward(d[:, H:]), "
                "self.mask)]",
                ("reverse(backward.last_output_backward(d[:, H:]), self.mask)",
                 "backward.last_output_backward(d[:, H:])", "read at the wrong end", "cell.backward.W_h"),
                ("self.mask)", "None)", "padding put back as live", "cell.backward.W_h"),
                ("d[:, H:]", "0 * d[:, H:]", "nothing for the backward reader", "cell.backward.b")),
    ),
]

INTEGER = "kernels BNLSTM, masked, integer"
WHOLE = "kernels BNLSTM per sequence, masked, integer"

KERNELS = [                             # their input terms; what else they do is held against the equations
    *_rows(
        "minibn.kernels.input_rows", "RowsBackward.__init__", INTEGER,
        ("self.m = self.s * np.array(examples.share, dtype)[:, None]", "self.m = self.s / len(examples.ones)",
         "padding has a share of the mean", "W_x"),
        ("square, self.per_unit = square_in_units(source.inv_std)", "square, self.per_unit = source.inv_std, 1.0",
         "inverse deviation not squared", "W_x"),
        ("square, self.per_unit = square_in_units(source.inv_std)",
         "square, self.per_unit = square_in_units(source.inv_std)[0], 2.0", "unit left in", "W_x"),
        ("self.r = self.m * square", "self.r = self.s * square", "share of the variance left out", "W_x"),
    ),
    *_rows(
        "minibn.kernels.input_rows", "RowsBackward.collect", INTEGER,
        ("source.write_again(t, examples, a)", "source.table.take(t, a)", "rows not centred", "gamma_x"),
        ("np.dot(examples.ones, e, out=self.sums[t])", "np.dot(examples.weight[t], e, out=self.sums[t])",
         "sum over the batch is a mean", "b"),
        ("np.multiply(e, self.s[t], out=da)", "np.multiply(e, source.inv_std[t], out=da)", "gamma left out", "W_x"),
        ("np.multiply(self.r[t], self.e_a[t], out=row)", "row.fill(0)", "through the variance left out", "W_x"),
        ("np.subtract(da, a, out=da)", "np.add(da, a, out=da)", "sign of the variance's share", "W_x",
         "kernels BNLSTM, wide"),
        ("np.multiply(self.m[t], self.sums[t], out=row)", "row.fill(0)", "through the mean left out", "W_x"),
        ("np.multiply(self.m[t], self.sums[t], out=row)", "row.fill(0)", "through the mean of x left out", "x",
         "kernels BNLSTM, wide"),
        ("examples.subtract(t, da, row, out=da)", "np.subtract(da, row, out=da)", "padding subtracts the mean", "W_x"),
    ),
    *_rows(
        "minibn.kernels.input_rows", "RowsBackward.finish", INTEGER,
        *_edits(
            "dgamma_x = (self.source.inv_std * self.e_a).sum(axis=0)",
            ("self.source.inv_std * ", "", "gamma sees no deviation", "gamma_x"),
        ),
        *_edits(
            'return dx, {"W_x": dW_x, "gamma_x": dgamma_x, "b": self.sums.sum(axis=0)}',
            ('"b": self.sums.sum(axis=0)', '"b": self.sums[0]', "b sees one step", "b"),
        ),
    ),
    *_rows(
        "minibn.kernels.input_rows", "ProjectedGradient.collect", "kernels BNLSTM, wide",
        ("self.input.add(*chunk, self.weights.add(*chunk))", "self.input.add(*chunk, -self.weights.add(*chunk))",
         "sign of dx", "x"),
    ),
    *_rows(
        "minibn.kernels.input_rows", "LookedUpGradient.collect", INTEGER,
        ("self.sums.add(t, t + 1, self.drows)", "self.sums.add(0, 1, self.drows)", "symbols of the first step", "W_x"),
    ),
    *_rows(
        "minibn.kernels.input_table", "TableBackward.finish", WHOLE,
        *_edits(
            "dW_x = source.gamma * inv_std * (P - w * (db + A * inv_std * (inv_std * e_a)))",
            ("db + ", "", "through the mean left out", "W_x"),
            (" + A * inv_std * (inv_std * e_a)", "", "through the variance left out", "W_x"),
            ("(inv_std * e_a)", "e_a", "inverse deviation not squared", "W_x"),
            ("source.gamma * ", "", "gamma left out", "W_x"),
        ),
        ('return None, {"W_x": dW_x, "gamma_x": inv_std[0] * e_a, "b": db}',
         'return None, {"W_x": dW_x, "gamma_x": e_a, "b": db}', "gamma sees no deviation", "gamma_x"),
    ),
    *_rows(
        "minibn.kernels.look_up", "SymbolSums.add", INTEGER,
        ("selection.fill(0)", "pass", "the steps before are selected again", "W_x"),
        ("np.add(self.total, self.product, out=self.total)", "self.total[...] = self.product", "the first step alone",
         "W_x"),
        ("symbols = self.x[start:end].ravel()", "symbols = self.x[start:end][::-1].ravel()", "time reversed", "W_x",
         "kernels LSTM, integer"),
        ("np.add(total, row, out=total)", "total[...] = row", "the last example alone", "W_x",
         "kernels LSTM, row by row"),
    ),
    *_rows(
        "minibn.kernels.gates", "backward", "kernels LSTM",
        ("np.subtract(1, fiog[:3], out=rest)", "rest.fill(1)", "sigmoid: (1 - f) left out", "W_x"),
        ("np.multiply(dc, f, out=dc)", "pass", "sigmoid: f left out", "W_x"),
        ("np.subtract(dg, di, out=out[3])", "np.multiply(dg, 1 - g, out=out[3])", "g as a sigmoid", "W_x"),
    ),
    *_rows(
        "minibn.kernels.gates", "output_backward", "kernels LSTM",
        ("np.subtract(dc_term, spare, out=dc_term)", "pass", "slope of the output's tanh left out", "W_x"),
        ("np.multiply(dc_term, tanh_c, out=do)", "do[...] = dc_term", "o is not multiplied with tanh(c)", "W_x"),
    ),
    *_rows(
        "minibn.kernels.stacked", "SplitGradient.finish", "kernels LSTM, masked, integer",
        ('return None, {"W_h": self.weights.total, "W_x": table, "b": table.sum(axis=0)}',
         'return None, {"W_h": self.weights.total, "W_x": table, "b": table[0]}', "b sees one symbol", "b"),
    ),
    *_rows(
        "minibn.kernels.weight_gradient", "InputGradient.add", "kernels LSTM",
        ("np.matmul(drows, self.W_x_T, out=self.dx[start:end].reshape(len(drows), -1))",
         "np.matmul(drows[::-1], self.W_x_T, out=self.dx[start:end].reshape(len(drows), -1))", "rows reversed", "x"),
    ),
    *_rows(
        "minibn.kernels.bn_rnn", "backward", "kernels BNRNN, masked, integer",
        ("np.multiply(m[t], e_1[t], out=row)", "row.fill(0)", "through the mean of the looked-up left out", "W_x"),
        ("examples.subtract(t, e, row, out=e)", "np.subtract(e, row, out=e)", "padding subtracts the mean", "W_x"),
        ("symbols.add(*chunk, e_chunk)", "symbols.add(*chunk, e_chunk[::-1])", "rows reversed", "W_x"),
    ),
]

READER = [
    *_rows(
        EQUATIONS + "attention", "softmax_backward", "softmax",
        *_edits("return alpha * (dalpha - (alpha * dalpha).sum(axis=0))",
                (" - (alpha * dalpha).sum(axis=0)", "", "subtraction left out", "e"),
                ("(alpha * dalpha).sum(axis=0)", "dalpha.mean(axis=0)", "plain mean subtracted", "e"),
                ("alpha * (dalpha", "(dalpha", "weight left out", "e"),
                ("sum(axis=0)", "sum()", "sum over the examples too", "e")),
    ),
    *_rows(
        EQUATIONS + "attention", "attention_backward", "attention",
        ("dd = alpha[..., None] * dr", "dd = alpha[..., None] * 0 * dr", "what was found forgets where", "d"),
        ("dalpha = (d * dr).sum(axis=-1)", "dalpha = dr.sum(axis=-1) + 0 * alpha", "states left out", "v"),
        ("de = softmax_backward(dalpha, alpha)", "de = alpha * dalpha", "softmax without its subtraction", "v"),
        ("dtanh_z = de[..., None] * v", "dtanh_z = de[..., None] + 0 * v", "v left out", "d_term"),
        ("dv = (de[..., None] * tanh_z).sum(axis=(0, 1))", "dv = (de[..., None] * tanh_z)[-1].sum(axis=0)",
         "v of the last step", "v"),
        ("dz = dtanh_z * dtanh(tanh_z)", "dz = dtanh_z", "slope of tanh left out", "q_term"),
        ("dsimilarity = dz.sum(axis=-1, keepdims=True)", "dsimilarity = dz.mean(axis=-1, keepdims=True)",
         "sum over the units is a mean", "similarity"),
        ("db_a = dz.sum(axis=(0, 1))", "db_a = dz[0].sum(axis=0)", "b_a of the first step", "b_a"),
        ("dq_term = dz.sum(axis=0)", "dq_term = dz[-1]", "the query not summed over time", "q_term"),
        ("dq_term = dz.sum(axis=0)", "dq_term = dz.mean(axis=0)", "the query's sum is a mean", "q_term"),
        ("dd_term = dz", "dd_term = dtanh_z", "before and after tanh exchanged", "d_term"),
    ),
    *_rows(
        EQUATIONS + "attention", "similarity_backward", "similarity",
        ("dd_B = dsimilarity * u_B", "dd_B = dsimilarity * d_B", "d and u exchanged", "d"),
        ("du_B = (dsimilarity * d_B).sum(axis=0)", "du_B = (dsimilarity * d_B)[0]", "u of the first step", "u"),
        *_edits("dB = u.T @ du_B + d.reshape(-1, C).T @ dd_B.reshape(-1, A)",
                ("u.T @ du_B + ", "", "B through u left out", "B"),
                (" + d.reshape(-1, C).T @ dd_B.reshape(-1, A)", "", "B through d left out", "B")),
    ),
    *_rows(
        EQUATIONS + "attention", "mean_backward", "mean",
        *_edits("return xp.where(mask[..., None], dm / count[:, None], 0)",
                ("mask[..., None]", "True", "padded steps have a share", "d"),
                (" / count[:, None]", "", "mean is a sum", "d"),
                ("count[:, None]", "len(mask)", "mean over all steps", "d")),
    ),
    *_rows(
        EQUATIONS + "answer", "answer_backward", "answer",
        ("dg = dg_kept * keep", "dg = dg_kept", "dropout mask left out", "b_g"),
        ("dg_tilde = dg * dtanh(g)", "dg_tilde = dg", "slope of tanh left out", "r_term"),
        ("dg_tilde = dg * dtanh(g)", "dg_tilde = dg * dtanh(g_kept)", "slope at the dropped", "u_term"),
        ("db_g = dg_tilde.sum(axis=0)", "db_g = dg_tilde.mean(axis=0)", "sum of b_g is a mean", "b_g"),
    ),
    *_rows(
        EQUATIONS + "embedding", "embedding_backward", "embedding",
        ("dx = dx * keep", "pass", "dropout mask left out", "M"),
        *_edits("dx = array_module(M).where(mask[..., None], dx, 0)",
                ("dx, 0", "dx, dx", "padding reaches the table", "M"),
                ("array_module(M).where(mask[..., None], dx, 0)", "0 * dx", "words forgotten", "M")),
        ("return look_up_backward(dx, ids, M)", "return look_up_backward(dx[:1], ids[:1], M)", "one step alone", "M"),
    ),
    *_rows(
        EQUATIONS + "linear_term", "linear_term_backward", "linear term",
        ("dlinear, dgamma = per_sequence_backward(dlinear, cache.bn, observe)",
         "_, dgamma = per_sequence_backward(dlinear, cache.bn, observe)", "BN passed by", "P"),
        *_edits("return da.reshape(*dterm.shape[:-1], -1), dP, dgamma",
                ("da.reshape", "(0 * da).reshape", "input dropped", "a"),
                ("dP,", "dP / len(dterm),", "sum of P is a mean", "P"),
                ("dgamma", "0 * dgamma", "gamma dropped", "gamma")),
    ),
    *_rows(
        EQUATIONS + "reader_head", "head_backward", "head",
        ('dr, du = term("r", said.r_term), term("u", said.u_term)',
         'du, dr = term("r", said.r_term), term("u", said.u_term)', "r and u exchanged", "u"),
        *_edits('dd = found.d + term("d", found.d_term)',
                ("found.d + ", "", "what was found left out", "d"),
                ('found.d + term("d", found.d_term)', 'found.d + 0 * term("d", found.d_term)', "P_d d left out", "d"),
                ('term("d", found.d_term)', 'term("d", found.d_term) * cache.mask[..., None]',
                 "padded steps dropped although they count", "d", "head, all rows")),
        *_edits('du = du + term("q", found.q_term)', ("du + ", "", "the answer's part of u left out", "u"),
                ('du + term("q", found.q_term)', 'du + 0 * term("q", found.q_term)', "the query left out", "u")),
        ("dd = dd + mean_backward(dm, cache.mask)", "dd = dd + 0 * mean_backward(dm, cache.mask)", "the mean left out",
         "d"),
        *_edits('dd, du, grads["B"] = dd + alike.d, du + alike.u, alike.B',
                ("dd + alike.d", "dd", "similarity's part of d left out", "d"),
                ("du + alike.u", "du", "similarity's part of u left out", "u")),
    ),
    *_rows(
        "minibn.models.attentive_reader", "AttentiveReader.backward", "reader bn_e1, live",
        ('upstream = {"document": dd, "question": cache.parts["question"].last_output_backward(du)}',
         'upstream = {"document": dd, "question": cache.parts["question"].last_output_backward(0 * du)}',
         "the question forgotten", "question.W_x"),
        ('upstream = {"document": dd, "question": cache.parts["question"].last_output_backward(du)}',
         'upstream = {"document": dd * cache.questions.passage_mask[..., None], '
         '"question": cache.parts["question"].last_output_backward(du)}',
         "padded steps dropped although they count", "document.W_x", "reader bn_everywhere, all"),
        ('upstream = {"document": dd, "question": cache.parts["question"].last_output_backward(du)}',
         'upstream = {"document": dd[::-1], "question": cache.parts["question"].last_output_backward(du)}',
         "time reversed", "document.W_h"),
        *_edits('grads["M"] = grads["M"] + embedding_backward(dx, ids, cache.own["M"], self._blank(mask), '
                'cache.keep[text])',
                ('grads["M"] + ', "", "embedding gradient of the passage forgotten", "M"),
                ("cache.keep[text]", "1.0", "dropout mask left out", "M", "reader bn_everywhere, with all"),
                ("self._blank(mask)", "mask", "cyclic padding not read back", "M", "reader bn_everywhere, with all")),
    ),
]

MUTANTS = [
    *TABLE, *GIVEN, *LEFT_OUT, *RECURRENCE, *INPUT_TERM, *OUTPUT, *LAYERS, *MODELS, *READER, *KERNELS,
]


def _owner_and_function(mutant):
    owner = import_module(mutant.module)
    *path, name = mutant.function.split(".")
    for part in path:
        owner = getattr(owner, part)
    return owner, name, getattr(owner, name)


def mutate(mutant):
    """The function with its one line edited.

    Raises
    ------
    LookupError
        The line is not in the function exactly once: the table no longer fits the code.
    """
    owner, name, original = _owner_and_function(mutant)
    source = Source(mutant.module, mutant.function)
    text, made = source.edited([Edit(mutant.line, 0, len(mutant.line), mutant.edited)]), {}
    exec(compile(text, f"<mutant of {mutant.function}>", "exec"), original.__globals__, made)
    return made[name]


@contextlib.contextmanager
def in_place(mutant):
    """The mutated function in place of the original, in every module of minibn that has it."""
    owner, name, original = _owner_and_function(mutant)
    mutated = mutate(mutant)
    modules = [module for key, module in sys.modules.items() if key == "minibn" or key.startswith("minibn.")]
    places = [place for place in {*modules, equation_checks, owner} if getattr(place, name, None) is original]
    for place in places:
        setattr(place, name, mutated)
    try:
        yield
    finally:
        for place in places:
            setattr(place, name, original)


def kill(mutant):
    """Run the mutant's check on the mutated code.

    Returns
    -------
    dict or None
        The wrong gradients with their relative errors; None if the mutant survived.
    """
    with in_place(mutant):
        try:
            MUTANT_CHECKS[mutant.check]()
        except GradientMismatch as mismatch:
            return mismatch.errors
    return None


def error_of(mutant, errors):
    """The largest relative error of the gradient that the mutant is said to break; 0 if that one is right."""
    exact = not mutant.tensor.endswith("[")
    return max((error for name, error in errors.items()
                if mutant.tensor in (ANY, name) or not exact and name.startswith(mutant.tensor)), default=0.0)


def main():
    """Print the table; exit status 1 if a mutant survives."""
    killed = 0
    print(f"{'function':<38} {'what the edited line breaks':<45} {'killed by':<36} {'wrong gradient':<15} error")
    for mutant in MUTANTS:
        errors = kill(mutant)
        error = error_of(mutant, errors) if errors else 0.0
        killed += error > LEAST_ERROR
        verdict = f"{mutant.check:<36} {mutant.tensor.rstrip('['):<15} {error:.1e}" if errors else "SURVIVES"
        print(f"{mutant.where:<38} {mutant.breaks:<45} {verdict}")
    print(f"{len(MUTANTS)} mutants, {killed} killed")
    return int(killed < len(MUTANTS))


if __name__ == "__main__":
    sys.exit(main())
