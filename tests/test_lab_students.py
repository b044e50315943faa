"""Student code in other styles: never accused where it is right, and its slips named."""

from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from students.slips import SLIPS

from minibn.labs import LABS
from minibn.labs.answers import leaves
from minibn.labs.draws import draws_of
from minibn.labs.ladder import Judge
from minibn.labs.replay import ROUNDING

FOLDER = Path(__file__).parent / "students"
FILES = sorted(path.stem for path in FOLDER.glob("lab*.py"))


def asks_of(file):
    return {ask.function: ask for ask in LABS[int(file[3])].asks}


@lru_cache(maxsize=40)
def judge_of(file, function, seed):
    ask = asks_of(file)[function]
    return Judge(ask.source, ask.mistakes, draws_of(ask, seed), ask.outputs)


def answers_of(file, function, seed, slips=(), dtype=float):
    text = (FOLDER / f"{file}.py").read_text(encoding="utf-8")
    for slip in slips:
        assert text.count(slip.old) == 1, slip
        text = text.replace(slip.old, slip.new)
    space = {"__name__": "student"}
    exec(compile(text, file, "exec"), space)
    ask = asks_of(file)[function]
    with np.errstate(all="ignore"):
        answers = [leaves(space[function](**draw.arguments)) for draw in draws_of(ask, seed)]
    return [{key: leaf.astype(dtype).astype(float) for key, leaf in answer.items()} for answer in answers]


def titles(finding):
    return [row.title for group in finding.mistakes for row in group]


def of_the_slip(slip, seed, dtype=float):
    """What the grader says of a slip, as it was planted or not."""
    finding = judge_of(slip.file, slip.function, seed).judge(answers_of(slip.file, slip.function, seed, [slip], dtype))
    return finding, slip.title in titles(finding)


@pytest.mark.parametrize("file", FILES)
def test_right_programs_are_right(file, seeds=(11, 12)):
    for function in asks_of(file):
        for seed in seeds:
            for dtype in (float, np.float32):
                answers = answers_of(file, function, seed, dtype=dtype)
                assert judge_of(file, function, seed).judge(answers).verdict == "right", (function, seed)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_right_programs_are_right_on_a_hundred_seeds(file):
    test_right_programs_are_right(file, range(100, 200))


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.file} {slip.function}: {slip.new[:30]}")
def test_a_slip_is_named_or_said_to_be_unknown(slip):
    finding, named = of_the_slip(slip, 21)
    if slip.title:
        assert named, (finding.verdict, titles(finding), finding.messages)
    else:
        assert finding.verdict in ("unrecognised", "format") and not finding.mistakes, titles(finding)


@pytest.mark.slow
def test_slips_on_ten_seeds():
    """At least 98 of 100, and 95 of 100 where the numbers were rounded to float32."""
    known = [slip for slip in SLIPS if slip.title]
    for dtype, share in ((float, 0.98), (np.float32, 0.95)):
        hits = [of_the_slip(slip, seed, dtype)[1] for slip in known for seed in range(30, 40)]
        print(f"single slips named, {dtype.__name__}: {sum(hits)} of {len(hits)}")
        assert sum(hits) >= share * len(hits), f"{sum(hits)} of {len(hits)} in {dtype.__name__}"


def pairs_of_slips(seed):
    """(slip, slip, answers): two of one function that go together in the text, and change more than either alone."""
    for pair in combinations([slip for slip in SLIPS if slip.title], 2):
        (file, function), other = ((slip.file, slip.function) for slip in pair)
        if (file, function) != other or pair[0].title == pair[1].title:
            continue
        try:
            one, two, both = (answers_of(file, function, seed, slips) for slips in (pair[:1], pair[1:], pair))
        except (AssertionError, TypeError, ValueError):     # one takes the text of the other, or it does not run
            continue
        judge = judge_of(file, function, seed)
        if all(judge._apart(both, answers) > ROUNDING for answers in (one, two, judge.right)):
            yield *pair, both


@pytest.mark.slow
def test_two_slips_are_both_named():
    """At least 95 of 100 pairs that are really two."""
    named = []
    for one, two, answers in pairs_of_slips(41):
        found = titles(judge_of(one.file, one.function, 41).judge(answers))
        named.append(one.title in found and two.title in found)
    print(f"pairs of slips, both named: {sum(named)} of {len(named)}")
    assert len(named) > 150 and sum(named) >= 0.95 * len(named), f"{sum(named)} of {len(named)}"
