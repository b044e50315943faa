"""Questions as a reader takes them: checked, padding blanked or filled."""

from minibn.backend import array_module
from minibn.equations.embedding import repeat_forward
from minibn.errors import check_array, check_below, check_same_backend
from minibn.questions import Questions


def checked_questions(questions, vocabulary, reference):
    """The questions with 0 for words that are padding, and masks as bool; a TypeError or ValueError for anything else.

    Parameters
    ----------
    questions : Questions
    vocabulary : int
        V, the number of words.
    reference : ndarray
        A parameter of the reader: they must be on its device.
    """
    if not isinstance(questions, Questions):
        raise TypeError(f"questions: expected minibn.Questions, got {type(questions).__name__}; pass "
                        f"Questions(passage, passage_mask, question, question_mask)")
    found = {}
    for text in ("passage", "question"):
        ids, mask = getattr(questions, text), getattr(questions, f"{text}_mask")
        check_array(text, ids, "T N", kinds="iu", **({"N": questions.passage.shape[1]} if found else {}))
        check_array(f"{text}_mask", mask, "T N", kinds="biuf", T=ids.shape[0], N=ids.shape[1])
        check_same_backend(reference, **{text: ids, f"{text}_mask": mask})
        mask = mask != 0
        ids = array_module(ids).where(mask, ids, 0)                   # padding is never read
        check_below(text, ids, vocabulary)
        found |= {text: ids, f"{text}_mask": mask}
    return Questions(**found)


def repeated(questions):
    """The same with each text repeated in its padding (cyclic padding); the masks stay."""
    return questions._replace(**{text: repeat_forward(getattr(questions, text), getattr(questions, f"{text}_mask"))
                                 for text in ("passage", "question")})
