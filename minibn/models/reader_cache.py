"""What the forward pass of a reader computed."""

from typing import NamedTuple

from minibn.errors import brief
from minibn.models.questions import Questions
from minibn.statistics import Statistics


class ReaderCache(NamedTuple):
    """Everything a reader's forward computed."""

    questions: Questions        # as they were read: with cyclic padding, refilled
    keep: dict                  # dropout masks
    parts: dict                 # the encoders' caches: "document", "question"
    head: object                # the HeadCache of `minibn.equations.reader_head`
    own: dict                   # the parameters beside the encoders', as they were

    __repr__ = brief

    def leaves(self):
        """The caches of the encoders' single recurrences, with what their names begin with."""
        for name, part in self.parts.items():
            for prefix, leaf in part.leaves():
                yield f"{name}.{prefix}", leaf

    def statistics(self, terms):
        """The statistics that each of the `terms` was normalized with: term -> Statistics of arrays (T, G)."""
        found = {f"{name}.{term}": values for name, part in self.parts.items()
                 for term, values in part.statistics(part.layer.terms).items()}
        found |= {name: Statistics(bn.mean, bn.variance) for name, term in self.head.terms.items() for bn in term.bn}
        return {term: found[term] for term in terms}
