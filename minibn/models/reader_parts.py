"""What an Attentive Reader is made of: two encoders, and the parameters of its embedding, attention and answer."""

import copy

import numpy as np

from minibn.errors import check_choice, check_number, check_sizes
from minibn.layers import Bidirectional, RecurrentLayer
from minibn.layers.checks import check_leaves, check_names, check_terms
from minibn.layers.params import NestedParams
from minibn.models.readers import READERS

ROWS, PADDING = ("live", "all"), ("zero", "cyclic")
TERMS = "dqrum"         # P_d d_t and P_q u in the attention; P_r r, P_u u and P_m m in the answer


class ReaderParts:
    """The parameters and the normalized terms of a `minibn.AttentiveReader`, which computes with them."""

    def __init__(self, variant, vocabulary, entities, embedding_size, hidden_size, attention_size, *, rows="live",
                 padding="zero", skip=False, bilinear=False, dropout=0.0, gamma=0.1, eps=1e-5, forget_bias=1.0,
                 init="orthogonal", dtype=np.float64, rng=None, engine="equations"):
        check_choice("variant", variant, READERS)
        check_choice("rows", rows, ROWS)
        check_choice("padding", padding, PADDING)
        check_sizes(vocabulary=vocabulary, entities=entities, attention_size=attention_size)
        self.reader, self.rows, self.padding = READERS[variant], rows, padding
        self.vocabulary, self.classes = int(vocabulary), int(entities)
        self.dropout = check_number("dropout", dropout, np.dtype("float64"), at_least=0, below=1)
        rng = np.random.default_rng(rng)
        offered = {"gamma": gamma, "eps": eps, "forget_bias": forget_bias, "init": init, **self.reader.options}
        options = {name: value for name, value in offered.items() if name in self.reader.cell.options}
        D, H, A = embedding_size, hidden_size, attention_size

        def make():
            return RecurrentLayer(self.reader.cell, D, H, dtype=dtype, rng=rng, engine=engine, **options)

        def encoder():
            return Bidirectional(make(), make()) if self.reader.both_directions else make()

        self.document, self.question = encoder(), encoder()
        C, E = self.document.output_size, self.classes
        self.eps = float(eps)
        terms = TERMS if skip else TERMS.replace("m", "")
        own = {"M": 0.1 * rng.standard_normal((vocabulary, D)),
               **{f"P_{term}": rng.standard_normal((C, A)) / np.sqrt(C) for term in terms}}
        if bilinear:
            own["B"] = rng.standard_normal((C, A)) / np.sqrt(C)
        own |= {"b_a": np.zeros(A), "v": rng.standard_normal(A) / np.sqrt(A), "b_g": np.zeros(A),
                "W_y": rng.standard_normal((A, E)) / np.sqrt(A), "b_y": np.zeros(E)}
        if self.reader.normalized:
            own |= {f"gamma_{term}": np.full(A, gamma) for term in terms}
        self._own = {name: value.astype(self.document.dtype) for name, value in own.items()}

    def __repr__(self):
        return (f"{type(self).__name__}({self.reader.name!r}, vocabulary={self.vocabulary}, entities={self.classes}, "
                f"document={self.document!r}, rows={self.rows!r}, padding={self.padding!r})")

    @property
    def parts(self):
        """The encoders by name."""
        return {"document": self.document, "question": self.question}

    @property
    def params(self):
        """A live view of all parameters."""
        return NestedParams({**{name: part.params for name, part in self.parts.items()}, "": self._own})

    @property
    def own_terms(self):
        """The normalized terms beside the encoders': "d", "q", "r", "u", and "m" where there is a skip."""
        return tuple(term for term in TERMS if f"gamma_{term}" in self._own)

    @property
    def terms(self):
        """All normalized terms."""
        return (*(f"{name}.{term}" for name, part in self.parts.items() for term in part.terms), *self.own_terms)

    @property
    def population_stages(self):
        """First the encoders' input terms, then all others with these given: see `estimate_population_statistics`."""
        inputs = tuple(term for term in self.terms if term.endswith(".x"))
        return inputs and (inputs, tuple(term for term in self.terms if term not in inputs))

    @property
    def dtype(self):
        """The dtype of the parameters."""
        return self.document.dtype

    @property
    def title(self):
        """What people call it."""
        return f"{self.reader.title} reader"

    def map_params(self, function):
        """A copy of the model with `function` applied to every parameter."""
        other = copy.copy(self)
        other.document, other.question = self.document.map_params(function), self.question.map_params(function)
        other._own = {name: function(value) for name, value in self._own.items()}
        return other

    def leaves(self):
        """The single recurrences in it, with what the names of their parameters begin with."""
        for name, part in self.parts.items():
            for prefix, leaf in part.leaves():
                yield f"{name}.{prefix}", leaf

    reference = property(lambda self: self._own["M"])

    def term_size(self, term):
        """A, the number of features of each of the reader's own terms."""
        return len(self._own["v"])

    def has_one_row(self, term):
        """Whether the statistics of a term are not by time step: those of the reader's own terms never are."""
        return True

    def check_statistics(self, statistics):
        """Refuse statistics of another model."""
        check_names("statistics", statistics, self.terms)
        check_leaves(self.leaves(), statistics)
        check_terms(self, self.own_terms, statistics, N=None)
