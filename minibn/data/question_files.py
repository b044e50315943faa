"""Questions about passages as files: DeepMind's ``.question`` files, and texts of three or four lines a question."""

import hashlib
import re
import sys
from typing import NamedTuple

from minibn.data.files import DataError

PLACEHOLDER = "@placeholder"
ENTITY = re.compile(r"@entity(\d{1,6})")


class Question(NamedTuple):
    """A question: tokens; names are ``@entityN``, and the gap in the question is ``@placeholder``."""

    source: str
    passage: tuple[str, ...]
    question: tuple[str, ...]
    answer: str

    @property
    def answered(self):
        """Whether the answer is in the passage."""
        return self.answer in self.passage


def entity_number(token):
    """N of ``@entityN``, None for any other token."""
    found = ENTITY.fullmatch(token)
    return found and int(found[1])


def read_questions(raw, where):
    """The questions of a text: blocks of lines, with an empty line after each.

    A block has four lines (source, passage, question, answer) or, as in the processed files of the CNN data, three
    (question, answer, passage).

    Parameters
    ----------
    raw : bytes
        UTF-8; line ends of Windows are taken for what they are.
    where : str or path
        Named in errors.

    Raises
    ------
    DataError
        Naming the line at which a damaged question begins.
    """
    lines, questions, start = _decoded(raw, where).split("\n"), [], 0
    for end in [k for k, line in enumerate(lines) if not line.strip()] + [len(lines)]:
        block, place = lines[start:end], f"{where}, line {start + 1}"
        start = end + 1
        if len(block) == 4:
            source, passage, question, answer = block
        elif len(block) == 3:
            source, (question, answer, passage) = "", block
        elif block:
            raise DataError(f"{place}: expected a question of 4 lines (source, passage, question, answer) or 3 "
                            f"(question, answer, passage), got {len(block)}; is the file whole?")
        if block:
            questions.append(_checked(source, passage, question, answer, place))
    if not questions:
        raise DataError(f"{where}: expected at least one question, got an empty file")
    return questions


def read_question_file(raw, where):
    """The question of a file of DeepMind's: address, passage, question and answer, an empty line between them."""
    lines = _decoded(raw, where).split("\n")
    if len(lines) < 7 or any(line.strip() for line in lines[1:7:2]):
        raise DataError(f"{where}: expected address, passage, question and answer with an empty line after each, got "
                        f"{len(lines)} lines; is the file whole?")
    found = _checked(*lines[0:7:2], where)
    if found.question.count(PLACEHOLDER) > 1:
        raise DataError(f"{where}: expected one {PLACEHOLDER} in the question, got "
                        f"{found.question.count(PLACEHOLDER)}; leave the file out")
    return found


def write_questions(questions):
    """The bytes that `read_questions` reads, four lines a question."""
    return "".join(f"{source}\n{' '.join(passage)}\n{' '.join(question)}\n{answer}\n\n"
                   for source, passage, question, answer in questions).encode()


def questions_sha256(parts):
    """One SHA-256 of several lists of questions."""
    digest = hashlib.sha256()
    for questions in parts:
        for k in range(0, len(questions), 1000):
            digest.update(write_questions(questions[k : k + 1000]))
    return digest.hexdigest()


def _decoded(raw, where):
    try:
        return raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: expected text in UTF-8, got byte {raw[error.start]:#04x} at {error.start}; convert "
                        f"it (iconv -t UTF-8), or restore it from its origin") from None


def _checked(source, passage, question, answer, where):
    """The `Question` of these lines. Equal tokens are one object: there are hundreds of millions."""
    passage, question = (tuple(map(sys.intern, text.split())) for text in (passage, question))
    answer = sys.intern(answer.strip())
    wrong = None
    if not passage:
        wrong = "a passage, got an empty line"
    elif PLACEHOLDER not in question:
        wrong = f"{PLACEHOLDER} in the question, got none"
    elif entity_number(answer) is None:
        wrong = f"an answer @entityN, got {answer[:40]!r}"
    elif not any(map(ENTITY.fullmatch, passage)):
        wrong = "names @entityN in the passage, got none"
    if wrong:
        raise DataError(f"{where}: expected {wrong}; is the file whole?")
    return Question(source, passage, question, answer)
