"""The questions of Hermann et al. (2015) about CNN's articles, from files that a user has: nobody may pass them on."""

import warnings
from collections import Counter
from functools import partial
from pathlib import PurePosixPath

from minibn.data.anonymous import PARTS, best_sentences
from minibn.data.files import ENVIRONMENT_VARIABLE, DataError, data_home, is_file, look_at
from minibn.data.question_files import read_question_file, read_questions

OFFICIAL = {"train": 380_298, "valid": 3924, "test": 3198}                  # questions
MOST_LEFT_OUT = 1e-3        # of the questions: a few that nobody can read do not spoil the rest
ARCHIVE = "cnn.tgz"
FOLDERS = {"training": "train", "validation": "valid", "test": "test"}      # with a file *.question for each
PROCESSED = {"train.txt": "train", "dev.txt": "valid", "test.txt": "test"}
REMEDY = (f"set {ENVIRONMENT_VARIABLE} to a folder with {ARCHIVE} (https://cs.nyu.edu/~kcho/DMQA/), or its folder "
          f"questions, or {', '.join(PROCESSED)}")


def load_cnn(sentences=4, folder=None):
    """The CNN questions, as a dict of three lists of `Question`: "train", "valid", "test"; as many as published.

    Parameters
    ----------
    sentences : int, optional
        How many of each passage are kept, see `top_sentences`. None is whole passages: some 3 GB of memory.
    folder : str or path, optional
        With ``cnn.tgz``, ``questions/training/*.question`` and so on, or ``train.txt``, ``dev.txt`` and ``test.txt``,
        or with a folder ``cnn`` that has them. Without it ``MINIBN_DATA`` names it.

    A damaged question is an error where there are more than one in a thousand; fewer are left out, with a warning.
    """
    place = cnn_place(folder)
    if place is None:
        raise DataError(f"the CNN questions are not in {data_home(folder)[0]}; {REMEDY}")
    parts, files, left_out = {part: [] for part in PARTS}, Counter(), []
    for part, key, read in _questions(place):
        files[part] += 1
        try:
            question = read()
        except DataError as error:
            left_out.append(error)
            continue
        parts[part].append((key, question if sentences is None else top_sentences(question, sentences)))
    if len(left_out) > MOST_LEFT_OUT * files.total():
        raise left_out[0]
    for part in PARTS:
        if files[part] != OFFICIAL[part]:
            raise DataError(f"{place}: expected {OFFICIAL[part]} {part} questions, found {files[part]}; {REMEDY}")
    if left_out:
        warnings.warn(f"{place}: {len(left_out)} of {files.total()} questions are left out; the first is {left_out[0]}",
                      stacklevel=2)
    return {part: [question for _, question in sorted(found)] for part, found in parts.items()}


def cnn_place(folder=None):
    """Where they lie: the archive, the folder ``questions``, or ``train.txt``; None if nowhere."""
    home = data_home(folder)[0]
    for each in (home / "cnn", home):
        if look_at(each / "questions" / "training"):
            return each / "questions"
        if is_file(each / ARCHIVE):
            return each / ARCHIVE
        if all(is_file(each / name) for name in PROCESSED):
            return each / "train.txt"
    return None


def top_sentences(question, k=4):
    """The `Question` with only the `k` sentences of its passage, up to a full stop each, that match it best.

    Of sentences that match it as well the earlier one is taken: news begin with what matters. The answer may be in
    one that is left out, see `Question.answered`: that bounds what a reader can get right.
    """
    sentences = [[]]
    for token in question.passage:
        sentences[-1].append(token)
        sentences += [[]] if token == "." else []
    backwards = [sentence for sentence in sentences[::-1] if sentence]
    best = best_sentences(backwards, question.question, k)
    return question._replace(passage=tuple(token for j in best[::-1] for token in backwards[j]))


def _questions(place):
    """Part, name and what reads the `Question`, of each."""
    if place.name == ARCHIVE:
        try:
            yield from _archived(place)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # damage shows in many ways
            raise DataError(f"{place}: damaged, cannot be unpacked ({str(error) or type(error).__name__}); {REMEDY}"
                            ) from None
    elif place.name == "questions":
        for folder, part in FOLDERS.items():
            for path in (place / folder).glob("[!.]*.question"):
                yield part, path.name, partial(read_question_file, path.read_bytes(), path)
    else:
        for path, part in ((place.with_name(name), part) for name, part in PROCESSED.items()):
            for number, question in enumerate(read_questions(path.read_bytes(), path)):
                yield part, number, partial(lambda question: question, question)


def _archived(place):
    import gzip
    import tarfile

    with gzip.open(place) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            archive.members.clear()     # else it keeps a record of each file
            path = PurePosixPath(member.name)
            if member.isfile() and path.match("[!.]*.question") and path.parent.name in FOLDERS:
                raw = archive.extractfile(member).read()
                yield FOLDERS[path.parent.name], path.name, partial(read_question_file, raw, f"{place}, {member.name}")
        while stream.read(1 << 20):     # the checksum is behind the last byte
            pass
