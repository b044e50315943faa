"""What a reader is asked: a minibatch of passages and questions."""

from typing import NamedTuple

from minibn.errors import brief


class Questions(NamedTuple):
    """A minibatch of passages and questions; masks are True where there is a word."""

    passage: object             # (T, N) integers: words
    passage_mask: object        # (T, N) bool
    question: object            # (T_q, N)
    question_mask: object       # (T_q, N)

    __repr__ = brief

    @property
    def shape(self):
        """(T, N) of the passages."""
        return self.passage.shape
