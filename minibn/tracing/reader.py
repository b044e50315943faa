"""A whole reader, traced: what its encoders compute at every step, where it looks, and what its answer is made of."""

import numpy as np

from minibn.backend import to_host
from minibn.equations import answer, attention
from minibn.equations.quantities import Quantity
from minibn.equations.reader_head import NORMALIZED, STATES
from minibn.tracing.record import Traced, Watcher
from minibn.tracing.trace import Trace

EMBEDDED = Quantity("x_t", "", "N D")
TABLES = {"similarity": attention.QUANTITIES, "attention": attention.QUANTITIES, "answer": answer.QUANTITIES}
OF_TERMS = {"similarity": (), "attention": ("d", "q"), "answer": ("r", "u", "m")}     # what is computed just before


class ReaderTrace(Trace):
    """What `minibn.trace` returns for a `minibn.AttentiveReader`; see `Trace`.

    Quantities of an encoder have its name in front: ``document.f_tilde``, ``question.forward.h_hat``. Those of the
    attention and the answer have none: ``d``, ``d_hat``, ``z``, ``alpha``, ``r``, ``g``, ``logits``. What has no time
    is the same at every step.
    """

    def __init__(self, reader, questions, dlogits, statistics=None, data=None):
        self.cell, self.dh = reader.map_params(lambda value: value.copy()), dlogits.copy()
        self.statistics, self.data, self.given = statistics, data, {}
        _, self.cache = self.cell.forward(questions, statistics, data)
        watcher, seen = Watcher(), {}
        self.grads = self.cell.backward(dlogits, self.cache, watcher.observe, watcher.observe_input, seen.__setitem__)
        encoders, self.quantities = watcher.quantities(self.cache), {}
        for name, part in self.cache.parts.items():
            self._add(f"{name}.x", EMBEDDED, part.x, seen[f"{name}.x"])
            self.quantities |= {key: row for key, row in encoders.items() if key.startswith(f"{name}.")}
        for name, (row, value) in head_arrays(self.cache.head).items():
            self._add(name, row, value, _gradient(name, seen))

    def _add(self, name, row, value, gradient):
        """A quantity, as (T, N, ...); one without time gets one step."""
        rows, *rest = row.axes.split()
        shape = (-1, len(self.dh) if rows == "N" else 1, *value.shape[value.ndim - len(rest):])
        self.quantities[name] = Traced(name, *row, *(to_host(array).reshape(shape) for array in (value, gradient)))

    def __len__(self):
        """T, the number of steps of the passage."""
        return self.cache.questions.shape[0]

    @property
    def title(self):
        T, N = self.cache.questions.shape
        terms = self.cell.terms and (", batch statistics" if self.statistics is None else ", given statistics")
        return f"{self.cell.title}: T={T} T_q={len(self.cache.questions.question)} N={N}{terms or ''}"

    def _live(self, t, names):
        """The examples with a word at step t; of the question, where only quantities of the question are shown."""
        of_question = names is not None and all(name.startswith("question.") for name in names)
        mask = to_host(self.cache.questions.question_mask if of_question else self.cache.questions.passage_mask)
        return mask[min(t, len(mask) - 1)]

    def arguments(self, values):
        """Positional and named arguments of the forward."""
        return (self.cache.questions,), {"statistics": self.statistics, "data": self.data}

    def inputs(self):
        """What is checked beside the quantities: name -> array, name -> gradient."""
        return dict(self.cell.params), self.grads

    def wholes(self, cache):
        """The quantities that are one array for all steps: name -> array."""
        return {name: value for name, (_, value) in head_arrays(cache.head).items()}

    def in_float64(self):
        if self.cell.dtype == np.float64 and isinstance(self.dh, np.ndarray):
            return self
        reader, questions, dlogits, statistics, data = to_host(
            [self.cell, self.cache.questions, self.dh, self.statistics, self.data])
        data = data and {name: keep.astype(np.float64) for name, keep in data.items()}
        return ReaderTrace(reader.map_params(lambda value: value.astype(np.float64)), questions,
                           dlogits.astype(np.float64), statistics, data)


def head_arrays(head):
    """Name -> (Quantity, array) of everything behind the encoders, in the order of the forward pass."""
    found = {name: (STATES[name], value) for name, value in head.records["states"]._asdict().items()}
    for name in TABLES:
        for term in OF_TERMS[name]:
            for bn in head.terms[term].bn if term in head.terms else ():
                values = {f"{term}_{field}": value for field, value in bn._asdict().items()}
                values[f"{term}_linear"] = head.terms[term].linear
                found |= {key: (row, values[key]) for key, row in NORMALIZED[term].items()}
        values = head.records[name]._asdict() if name in head.records else {}
        found |= {key: (row, values[key]) for key, row in TABLES[name].items()
                  if key not in found and np.ndim(values.get(key, 0))}
    return found


def _gradient(name, seen):
    """The gradient of a quantity out of what the head's backward was seen to compute."""
    term, _, field = name.partition("_")
    if name in NORMALIZED.get(term, ()):
        return getattr(seen[term], "a" if field == "linear" else field)
    return next(value for record in ("states", *TABLES) if record in seen
                for key, value in seen[record]._asdict().items() if key == name)
