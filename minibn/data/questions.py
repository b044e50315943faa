"""Questions about passages as the training loop reads them: numbers for words, padding, new names for each example."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from minibn.data.batches import Batches, batch_count, batch_indices
from minibn.data.files import DataError
from minibn.data.question_files import PLACEHOLDER, entity_number, questions_sha256
from minibn.questions import Questions

UNKNOWN = "<unknown>"
SPECIAL = ("<padding>", UNKNOWN, PLACEHOLDER)       # words 0, 1, 2; then come the names
FEWEST = 2                                          # times that a word occurs, to be one of the vocabulary


@dataclass(frozen=True, eq=False)
class QuestionSplit:
    """One split of a set of questions.

    Attributes
    ----------
    questions : list of minibn.data.question_files.Question
    words : dict of str to int
        Word -> its number.
    entities : int
        E: the names are ``@entity0`` to ``@entityE-1``, the words 3 to 3 + E - 1.
    relabel : {"example", "batch", "none"}
        Whether the names of a training epoch get new numbers, in each example or in each batch; else they keep those
        of the file. Without it a model can learn which number is often right.
    bucket : int
        Batches of a training epoch whose examples are sorted by length together.
    draw : int, optional
        Where the new numbers come from; None: there are none. `batches` sets it.
    """

    questions: list
    words: dict
    entities: int
    relabel: str = "none"
    bucket: int = 1
    draw: int | None = None

    def __len__(self):
        return len(self.questions)

    @property
    def answer_in_passage(self):
        """The share of the questions whose answer is in the passage: no reader can know the others."""
        return np.mean([question.answered for question in self.questions])

    def batch(self, indices, dtype=None):
        """The examples `indices` as ``(questions, y)``.

        Parameters
        ----------
        indices : array of int, shape (N,)
        dtype : ignored
            Words are integers, whatever floating type the model computes in.

        Returns
        -------
        questions : minibn.Questions
        y : ndarray of int64, shape (N,)
            The number of the right name.
        """
        chosen = [self.questions[k] for k in indices]
        labels = self._new_labels(indices)                                                  # (N, E)
        texts = [self._encoded([getattr(each, text) for each in chosen], labels) for text in ("passage", "question")]
        answers = [entity_number(each.answer) for each in chosen]
        return Questions(*texts[0], *texts[1]), labels[np.arange(len(chosen)), answers]

    def batches(self, batch_size, rng=None, dtype=np.float32):
        """One epoch of minibatches, see `Batches` and `batch_indices`; with `rng` it is a training epoch."""
        if rng is None:
            return Batches(self, batch_indices(len(self), batch_size), dtype)
        indices = batch_indices(len(self), batch_size, rng)
        if self.bucket > 1:
            groups = [np.concatenate(indices[k : k + self.bucket]) for k in range(0, len(indices), self.bucket)]
            by_length = [k for group in groups for k in sorted(group, key=lambda k: len(self.questions[k].passage))]
            indices = np.split(by_length, np.cumsum([len(each) for each in indices])[:-1])
            indices = [indices[k] for k in rng.permutation(len(indices))]
        return Batches(replace(self, draw=int(rng.integers(2**62))), indices, dtype)

    def batches_per_epoch(self, batch_size):
        """How many batches one training epoch has; nothing is made."""
        return batch_count(len(self), batch_size)

    def subset(self, count, rng):
        """Only `count` of the questions, drawn by `rng` without replacement; None, or as many: ``self``."""
        if count is None or count >= len(self):
            return self
        return replace(self, questions=[self.questions[k] for k in rng.choice(len(self), count, replace=False)])

    def _new_labels(self, indices):
        """(N, E): the number that each name gets in each example. Only the draw and the examples decide."""
        labels = np.tile(np.arange(self.entities), (len(indices), 1))
        if self.draw is None or self.relabel == "none":
            return labels
        rng = np.random.default_rng([self.draw, *map(int, indices)])
        return rng.permuted(labels, axis=1) if self.relabel == "example" else rng.permutation(labels, axis=1)

    def _encoded(self, texts, labels):
        """Words and mask, (T, N) each, of N texts."""
        N, first, unknown = len(texts), len(SPECIAL), self.words[UNKNOWN]
        mask = np.arange(max(map(len, texts)))[:, None] < [len(text) for text in texts]
        ids = np.zeros(mask.shape, np.int64)
        for n, text in enumerate(texts):
            ids[: len(text), n] = [self.words.get(token, unknown) for token in text]
        names = ids - first
        is_name = (names >= 0) & (names < self.entities)
        return np.where(is_name, first + labels[np.arange(N), np.where(is_name, names, 0)], ids), mask


@dataclass(frozen=True, eq=False)
class QuestionSet:
    """Three splits over one vocabulary.

    Attributes
    ----------
    name, title : str
        In configurations; what every number measured on it must call it.
    train, valid, test : QuestionSplit
    sha256 : str
        Of all questions. Record it with a run.
    """

    name: str
    title: str
    train: QuestionSplit
    valid: QuestionSplit
    test: QuestionSplit
    sha256: str

    @property
    def valid_name(self):
        """What a number measured on ``valid`` is called."""
        return f"{self.title}, validation set"

    @property
    def test_name(self):
        """What a number measured on ``test`` is called."""
        return f"{self.title}, test set"

    @property
    def recorded(self):
        """What a run saves, to find these data again, or to notice that they are others."""
        questions = self.train.questions
        longest = [max(len(getattr(each, text)) for each in questions) for text in ("passage", "question")]
        return {"words": "\n".join(self.train.words), "entities": np.int64(self.train.entities),
                "longest": np.array(longest), "text_sha256": self.sha256}

    @property
    def sizes(self):
        """How large each part is, in words."""
        return f"{len(self.train)} train, {len(self.valid)} validation, {len(self.test)} test questions"

    def prepared(self, relabel, bucket):
        """The same, with the training epochs as `QuestionSplit` says."""
        return replace(self, train=replace(self.train, relabel=relabel, bucket=bucket))


def question_set(parts, most_words, **facts):
    """The set of these questions.

    Parameters
    ----------
    parts : dict of str to list of Question
        "train", "valid" and "test".
    most_words : int
        Of the training questions the most frequent ones are the vocabulary, if they occur at least twice.
    **facts
        name, title.
    """
    names = {entity_number(token) for questions in parts.values() for each in questions
             for token in {*each.passage, *each.question, each.answer}} - {None}
    entities = max(names) + 1
    if entities > most_words:
        raise DataError(f"{facts['title']}: expected names @entity0 to @entity{most_words - 1}, found "
                        f"@entity{entities - 1}; is the file whole?")
    counts = Counter(token for each in parts["train"] for text in (each.passage, each.question) for token in text)
    common = [token for token, count in counts.most_common()
              if count >= FEWEST and token not in SPECIAL and entity_number(token) is None]
    words = [*SPECIAL, *(f"@entity{k}" for k in range(entities)), *common[:most_words]]
    words = {word: number for number, word in enumerate(words)}
    splits = {name: QuestionSplit(questions, words, entities) for name, questions in parts.items()}
    return QuestionSet(**splits, sha256=questions_sha256(parts.values()), **facts)
