"""Real data: reading it, checking it, cutting it into minibatches.

    data = minibn.data.load_mnist_subset(side=14)
    order = minibn.data.pixel_order("permutation", data.steps, seed=1)
    data = data.reordered(order)
    for x, y in data.train.batches(100, rng=np.random.default_rng(7)):
        ...                                   # x (T, N, 1) in [0, 1], y (N,)

A text is read as segments of characters, by language models:

    corpus = minibn.data.load_stdlib(length=100)         # or load_ptb(), load_text8(), text_corpus(your_text)
    for x, y in corpus.train.batches(64, rng=np.random.default_rng(7)):
        ...                                   # x, y (T, N): codes of corpus.vocabulary; y[t] follows x[t]

Questions about passages are read by an Attentive Reader:

    turns = minibn.data.load_questions("turns", "embedded")
    for questions, y in turns.train.batches(32, rng=np.random.default_rng(7)):
        ...                                   # minibn.Questions: words (T, N) and masks; y (N,): the right names

Bad files raise `DataError`, which is a ValueError; batches of one's own go through `check_batch`.
"""

from minibn.data.batches import Batches, Dataset, Split, batch_count, batch_indices
from minibn.data.catalogue import fetch_data, list_data, verify_data
from minibn.data.checks import check_batch
from minibn.data.corpus import Corpus, text_corpus
from minibn.data.files import DataError
from minibn.data.mnist import load_mnist, load_mnist_subset
from minibn.data.orders import INDEX_MAPS, pixel_order
from minibn.data.ptb import load_ptb
from minibn.data.question_sets import load_questions
from minibn.data.segments import Segments
from minibn.data.stdlib import load_stdlib
from minibn.data.text8 import load_text8, text8_part
from minibn.data.vocabulary import Vocabulary
from minibn.data.wiki import wiki_form

__all__ = [
    "INDEX_MAPS",
    "Batches",
    "Corpus",
    "DataError",
    "Dataset",
    "Segments",
    "Split",
    "Vocabulary",
    "batch_count",
    "batch_indices",
    "check_batch",
    "fetch_data",
    "list_data",
    "load_mnist",
    "load_mnist_subset",
    "load_ptb",
    "load_questions",
    "load_stdlib",
    "load_text8",
    "pixel_order",
    "text8_part",
    "text_corpus",
    "verify_data",
    "wiki_form",
]
