r"""The Attentive Reader: questions about passages, answered by a name that stands in them (Section 5.4 of the paper).

    d_t, u      what the encoders make of the passage (T, N, C) and of the question (N, C)
    r           what attention finds in the passage for this question          `minibn.equations.attention`
    logits      the answer, over all names                                     `minibn.equations.answer`
"""

from functools import partial

from minibn.backend import array_module
from minibn.equations.embedding import embedding_backward, embedding_forward
from minibn.equations.losses import log_softmax, softmax_cross_entropy_backward, softmax_cross_entropy_forward
from minibn.equations.reader_head import head_backward, head_forward
from minibn.errors import check_array, check_below, check_same_backend
from minibn.layers.checks import check_names, check_terms
from minibn.models.base import score_predictions
from minibn.models.questions import checked_questions, repeated
from minibn.models.reader_cache import ReaderCache
from minibn.models.reader_parts import ReaderParts
from minibn.statistics import Statistics

TEXTS = {"document": "passage", "question": "question"}      # what each encoder reads


class AttentiveReader(ReaderParts):
    """One of the readers of Section 5.4.

    Parameters
    ----------
    variant : {"lstm", "bnlstm", "bn_everywhere", "bn_e1", "bn_e2", "bilstm"}
        Which: `minibn.models.READERS`; bn_e1 is the paper's BN-e*, bn_e2 its BN-e**, bilstm a control without BN.
    vocabulary, entities : int
        V, the number of words, and E, the number of names: the labels are 0 .. E-1.
    embedding_size, hidden_size, attention_size : int
        D, H and A. An encoder's output has C = H units, of both directions C = 2H.
    rows : {"live", "all"}
        Which rows enter the statistics of a step: those of unpadded words, or all, as in the authors' code. The
        statistics of a sequence are always those of the live steps; of P_d d_t only bn_everywhere counts all.
    padding : {"zero", "cyclic"}
        What is read behind the end of a text: nothing, or the text again. It matters only where rows="all",
        in bnlstm and bn_everywhere, which normalize W_x x step by step.
    skip, bilinear : bool
        Terms of the authors' code: the mean of the passage's states in the answer, similarity in the attention.
    dropout : float
        Probability to drop a number of the embeddings, and of g.
    gamma, eps, forget_bias, init
        As for `minibn.BNLSTM`; gamma and eps are those of every batch norm.
    dtype : {float64, float32}
    rng : numpy.random.Generator or int, optional
    engine : {"equations", "kernels"}
        Of the encoders.

    Attributes
    ----------
    params : mapping
        ``M``, ``document.W_x`` (both directions: ``document.forward.W_x``), ..., ``question.W_x``, ..., ``P_d``, ...
    terms : tuple of str
        ``document.x``, ..., ``question.c``, ``d``, ``q``, ``r``, ``u``, ``m``.
    """

    label_axes = "N"
    noise_size, check_method = 0, "complex"

    def draw_data(self, rng, questions):
        """Dropout masks for training: what multiplies the embeddings and g; an empty dict without dropout."""
        if not self.dropout:
            return {}
        xp, scale = array_module(self.reference), self.dtype.type(1 / (1 - self.dropout))
        return {name: xp.asarray((rng.random(shape) >= self.dropout) * scale)
                for name, (_, shape) in self._data_shapes(questions).items()}

    def _data_shapes(self, questions):
        """Of each dropout mask: axes, and sizes."""
        D, A = self.document.input_size, len(self._own["v"])
        return {"passage": ("T N D", (*questions.passage.shape, D)),
                "question": ("T N D", (*questions.question.shape, D)), "answer": ("N A", (questions.shape[1], A))}

    # ------------------------------------------------------------------ forward and backward

    def forward(self, questions, statistics=None, data=None):
        """The logits, to go backward from.

        Parameters
        ----------
        questions : Questions
        statistics : PopulationStatistics, optional
            Instead of the minibatch's own: of all terms, or of some.
        data : dict of ndarray, optional
            Dropout masks (`draw_data`); by default nothing is dropped.

        Returns
        -------
        logits : ndarray of shape (N, E)
        cache : ReaderCache
        """
        return self._read("forward", questions, statistics, data)

    def forward_only(self, questions, statistics=None, data=None):
        """As `forward`, where nobody will go backward."""
        return self._read("forward_only", questions, statistics, data)

    def logits(self, questions, statistics=None, data=None):
        """The logits (N, E) alone."""
        return self.forward_only(questions, statistics, data)[0]

    def _read(self, method, questions, statistics, data):
        questions, given, keep = self._checked(questions, statistics, data)
        own = {name: value.copy() for name, value in self._own.items()}    # what is learned later does not reach here
        parts = {name: self._encode(method, name, questions, own["M"], keep, given) for name in TEXTS}
        d, u = parts["document"].h, parts["question"].last_output     # (T, N, C), (N, C)
        mask = questions.passage_mask
        rows = None if self._counts_all_steps else mask
        logits, head = head_forward(d, u, own, self.eps, mask, rows, given, keep["answer"])
        return logits, ReaderCache(questions, keep, parts, head, own)

    def _encode(self, method, name, questions, M, keep, given):
        """The cache of an encoder."""
        text, prefix = TEXTS[name], f"{name}."
        ids, mask = getattr(questions, text), getattr(questions, f"{text}_mask")
        x = embedding_forward(ids, M, self._blank(mask), keep[text])  # (T, N, D)
        of_part = {term.removeprefix(prefix): values for term, values in given.items() if term.startswith(prefix)}
        counted = array_module(mask).ones_like(mask) if self.rows == "all" else None
        return getattr(self.parts[name], method)(x, mask, statistics=of_part or None, statistics_mask=counted)[1]

    def backward(self, dlogits, cache, observe=None, observe_input=None, observe_head=None):
        """The gradients of every parameter, from those of the logits (N, E).

        `observe` and `observe_input` are those of the encoders' `backward`, with "document" or "question" first;
        `observe_head` is that of `minibn.equations.reader_head.head_backward`; it is also given dx (T, N, D) of each
        encoder, as "document.x" and "question.x".

        Returns
        -------
        dict
            Keys and shapes of `params`.
        """
        dd, du, grads = head_backward(dlogits, cache.head, observe_head)
        upstream = {"document": dd, "question": cache.parts["question"].last_output_backward(du)}
        grads["M"] = 0
        for name, text in TEXTS.items():
            watchers = [watch and partial(watch, name) for watch in (observe, observe_input)]
            dx, of_part = self.parts[name].backward(upstream[name], cache.parts[name], *watchers)
            if observe_head:
                observe_head(f"{name}.x", dx)
            ids, mask = getattr(cache.questions, text), getattr(cache.questions, f"{text}_mask")
            grads["M"] = grads["M"] + embedding_backward(dx, ids, cache.own["M"], self._blank(mask), cache.keep[text])
            grads |= {f"{name}.{key}": value for key, value in of_part.items()}
        return {name: grads[name] for name in self.params}

    def loss(self, questions, y, statistics=None, data=None):
        """Mean cross-entropy in nats, a 0-d array; parameters as in `loss_and_grads`. Keeps no cache."""
        self._check_labels(questions, y)
        return softmax_cross_entropy_forward(self.logits(questions, statistics, data), y)[0]

    def loss_and_grads(self, questions, y, statistics=None, data=None):
        """Mean cross-entropy of the answers, and its gradient with respect to every parameter.

        Parameters
        ----------
        questions : Questions
        y : integer ndarray of shape (N,)
            Labels 0 .. E-1.
        statistics, data
            As in `forward`.

        Returns
        -------
        loss : 0-d ndarray, in nats
        grads : dict
            Keys and shapes of `params`.
        """
        self._check_labels(questions, y)
        logits, cache = self.forward(questions, statistics, data)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y)
        return loss, self.backward(softmax_cross_entropy_backward(loss_cache), cache)

    def totals(self, questions, y, statistics=None, data=None):
        """The sums of cross-entropy, in nats, and of right answers: 0-d float64 arrays on the device of the words."""
        self._check_labels(questions, y)
        log_p_y, right = score_predictions(self.logits(questions, statistics, data), y)
        return -log_p_y.sum(), right.sum().astype("float64")

    def predict(self, questions, statistics=None, data=None):
        """Probabilities (N, E); their argmax is the answer."""
        return array_module(self.reference).exp(log_softmax(self.logits(questions, statistics, data)))

    def attention(self, questions, statistics=None):
        """alpha (T, N): where each answer was looked for, and the probabilities (N, E) of the answers."""
        logits, cache = self.forward_only(questions, statistics)
        return cache.head.records["attention"].alpha, array_module(logits).exp(log_softmax(logits))

    def batch_statistics(self, questions, statistics=None, data=None):
        """The statistics of every normalized term, the batch's own but for those given: term -> Statistics (T, G)."""
        return self.forward_only(questions, statistics, data)[1].statistics(self.terms)

    # ------------------------------------------------------------------ details of both

    @property
    def _counts_all_steps(self):
        """Whether the statistics of P_d d_t are those of all (t, n), padded ones too: where a step's are, too."""
        return self.rows == "all" and self.reader.options.get("input_statistics") == "step"

    def _blank(self, mask):
        """Which words are read, the others as zeros; None: all, for the padding repeats the text."""
        return None if self.padding == "cyclic" else mask

    # ------------------------------------------------------------------ checks

    def _checked(self, questions, statistics, data):
        """The questions as they are read; the given statistics, and the dropout masks."""
        questions = checked_questions(questions, self.vocabulary, self.reference)
        if self.padding == "cyclic":
            questions = repeated(questions)
        given, N = statistics or {}, questions.shape[1]
        if statistics is not None:
            check_names("statistics", statistics, self.terms, partly=True)
        check_terms(self, self.own_terms, given, N)
        dtype = self.reference.real.dtype
        given = {term: Statistics(*(values.astype(dtype, copy=False) for values in given[term])) for term in given}
        if not data:
            return questions, given, dict.fromkeys((*TEXTS.values(), "answer"), 1.0)
        shapes = self._data_shapes(questions)
        check_names("data", data, shapes)
        for name, (axes, sizes) in shapes.items():
            check_array(f"data {name}", data[name], axes, **dict(zip(axes.split(), sizes, strict=True)))
            check_same_backend(self.reference, **{f"data {name}": data[name]})
        return questions, given, data

    def _check_labels(self, questions, y):
        check_array("y", y, "N", kinds="iu", N=questions.shape[1])
        check_same_backend(self.reference, y=y)
        check_below("y", y, self.classes)
