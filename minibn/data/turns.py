"""Who speaks next? Questions about runs of seven speeches in Shakespeare's plays, which ship with minibn."""

import random
import re
from itertools import pairwise

from minibn.data.anonymous import PARTS, anonymous, drawn, names
from minibn.data.files import DataError, DataFile, shipped_folders
from minibn.data.sources import PublishedFile

FILE = PublishedFile(DataFile("tinyshakespeare.txt", 1_115_394,
                              "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"))
RUN, LABELS, FEWEST_NAMES = 7, 8, 3
BORDERS = (0, 0.85, 0.925, 1)       # of the parts in the text: no run crosses one
_TOKEN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*|[^\sA-Za-z]")


def load_turns():
    """The questions of `make_turns` from the text that ships with minibn."""
    return make_turns(FILE.read_shipped(FILE.place(shipped_folders())).decode())


def make_turns(text, seed=1):
    """Questions about runs of seven speeches: six are read, the speaker of the seventh is asked for.

    Parameters
    ----------
    text : str
        Blocks with an empty line between them: ``NAME:``, then lines of speech. A block of one line is left out.
    seed : int
        Of the labels of the names, and of the order of the questions.

    Returns
    -------
    dict of str to list of Question
        "train", "valid", "test". The source is the number of the seventh speech in its part.
    """
    blocks = (block.strip().partition("\n") for block in text.split("\n\n"))
    speeches = [(name.removesuffix(":").lower(), _TOKEN.findall(speech)) for name, _, speech in blocks if speech]
    parts = {}
    for part, (start, stop) in zip(PARTS, pairwise(int(share * len(speeches)) for share in BORDERS), strict=True):
        rng = random.Random(f"{seed} {part}")
        asked = (_ask(speeches[k - RUN + 1 : k + 1], k - start, rng) for k in range(start + RUN - 1, stop))
        parts[part] = drawn(rng, filter(None, asked))
    if not all(parts.values()):
        raise DataError(f"text: expected speeches (NAME:, their lines, an empty line) with questions for every part, "
                        f"found {len(speeches)} speeches; pass a longer text")
    return parts


def _ask(run, number, rng):
    """The question of seven speeches; None if its passage lacks the answer, or names."""
    called = {speaker.split()[-1]: f"@{speaker}" for speaker in dict.fromkeys(speaker for speaker, _ in run)}

    def read(words):    # who is called by the last word of a name is that name too: "What, Warwick!"
        return [word[0].isupper() and called.get(word.lower()) or word.lower() for word in words]

    passage = [token for speaker, words in run[:-1]
               for token in (f"@{speaker}", ":", *read(words if len(words) < 7 else [*words[:3], *words[-3:]]))]
    answer, words = f"@{run[-1][0]}", run[-1][1]
    if answer in passage and len(names(passage)) >= FEWEST_NAMES:
        return anonymous(str(number), [*passage, "</s>"], [answer, ":", *read(words[:8])], answer, LABELS, rng)
