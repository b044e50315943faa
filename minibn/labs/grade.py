"""From a student's file to points: what each blank of a lab gets, and why."""

import re
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from minibn.labs import judges
from minibn.labs.answers import Answer
from minibn.labs.catalogue import LABS, PARTIAL, SHARES
from minibn.labs.draws import draws_of
from minibn.labs.ladder import Judge
from minibn.labs.place import in_place
from minibn.labs.sandbox import LIMITS, Reply, run_file
from minibn.labs.source import RESULT
from minibn.labs.submission import read
from minibn.labs.unrecognised import hints
from minibn.labs.variants import standard_of, variant_of

WORD = re.compile(r"[^\W\d]\w*")
HINT_LEVELS = (1, 2, 3, 4)


@dataclass
class Result:
    """What one blank got.

    Attributes
    ----------
    verdict : {"right", "one", "several", "unrecognised", "blank", "crashed", "timeout", "memory", "format"}
    mistakes : list of str
        Ids of the table. The first of each group stands here; `alternatives` holds those that no number tells apart.
    where : dict
        "outputs", "kinds" of inputs, "lines".
    hints : list of str
        Where and how the numbers differ.
    error : str
        What stopped it.
    """

    id: str
    function: str
    points: float
    max: int
    verdict: str
    mistakes: list = field(default_factory=list)
    alternatives: list = field(default_factory=list)
    where: dict = field(default_factory=dict)
    hints: list = field(default_factory=list)
    error: str = ""
    remarks: list = field(default_factory=list)
    seed: int = 0
    float32: bool = False
    seconds: float = 0.0
    hint_level: int = 3

    def as_json(self):
        """A dict of plain values."""
        return asdict(self)


@lru_cache(maxsize=4)
def judges_for(number, variant, seed):
    """(ask, Judge) for each function of a lab; made once for a whole class."""
    lab, found = LABS[number], []
    standard = standard_of(lab, variant)
    with in_place(variant_of(lab, variant)):
        for ask in lab.asks:
            found.append((ask, Judge(ask.source, ask.mistakes, draws_of(ask, seed), ask.outputs,
                                     standard.get((ask.module, ask.function), ()))))
    return found


def grade_file(path, lab, seed, variant="", hint_level=3, limits=LIMITS, run=run_file):
    """Grade one file.

    Parameters
    ----------
    path : Path
        The student's ``labN.py``.
    lab : Lab
    seed : int
        Of the inputs; the same seed gives the same points.
    variant : str
        Of `minibn.labs.variants`, or nothing.
    hint_level : int
        1 where, 2 what kind, 3 the mistake with its equation, 4 the line.
    limits : Limits
    run : callable
        `run_file`, or what takes its place where there are no processes.

    Returns
    -------
    results : list of Result
    remarks : list of str
        On the file as a whole.
    log : str
        What it printed, the beginning.
    """
    path = Path(path)
    functions = [ask.function for ask in lab.asks]
    submission = read(path, functions)
    if submission.error:
        return [Result(blank.id, ask.function, 0, blank.points, "format", error=submission.error, seed=seed,
                       hint_level=hint_level) for ask in lab.asks for blank in ask.blanks], submission.remarks, ""
    wanted = [name for name in functions if name not in submission.missing]
    replies, log = run(path, lab, wanted, seed, limits, variant)
    results = []
    for ask in lab.asks:
        reply = replies.get(ask.function, Reply(("format", f"{ask.function} is not defined in the file"), []))
        left = submission.blanks.get(ask.function, ())
        for result in judges.of(lab).judged(lab, ask, reply, left, seed, variant):
            result.seed, result.hint_level, result.seconds = seed, hint_level, round(reply.seconds, 3)
            result.remarks = list(reply.remarks)
            results.append(result)
    return results, submission.remarks, log


def judged(lab, ask, reply, left, seed, variant):
    """The results of one function's blanks; `left` are the names whose lines are still blank."""
    judge = dict((one.function, judge) for one, judge in judges_for(lab.number, variant, seed))[ask.function]
    names = {blank: ask.names(blank) for blank in ask.blanks}
    empty = {blank for blank in ask.blanks if left and set(names[blank]) <= set(left)}
    results = {blank: Result(blank.id, ask.function, 0.0, blank.points, "blank", error="not written yet")
               for blank in empty}
    rest = [blank for blank in ask.blanks if blank not in empty]
    if rest and reply.error:
        verdict, words = reply.error
        results |= {blank: Result(blank.id, ask.function, 0.0, blank.points, verdict, error=words) for blank in rest}
    elif rest:
        answers = [Answer(arrays) for arrays in reply.arrays]
        for answer in answers:
            answer.given = tuple(left)
        finding = judge.judge(answers)
        if finding.verdict != "right" and variant and not judge._apart(answers, judge.usual) > 1e-9:
            finding.messages.append(("", "the standard form was handed in, not the variant that was asked for"))
        for blank in rest:
            results[blank] = _result(ask, judge, blank, names[blank], finding, answers, left)
    return [results[blank] for blank in ask.blanks]


def _result(ask, judge, blank, names, finding, answers, left):
    """One blank's share of what was found in its function."""
    own = [group for group in finding.mistakes if any(ask.blank_of(row) == blank for row in group)]
    result = Result(blank.id, ask.function, 0.0, blank.points, "right", [group[0].id for group in own],
                    [[row.id for row in group[1:]] for group in own], float32=finding.float32)
    kinds = [draw.kind for draw in judge.draws]
    if finding.verdict == "right":
        result.points = float(blank.points)
        return result
    if finding.verdict in ("one", "several"):
        if own:
            result.verdict = "one" if len(own) == 1 else "several"
            bad = {kinds[fault.draw] for fault in finding.faults}
            result.points = blank.points * max(_share(kinds, bad), PARTIAL if len(own) == 1 else 0)
            result.where = {"lines": sorted({row.part for group in own for row in group[:1]}),
                            "outputs": sorted({fault.name for fault in finding.faults if fault.name in judge.outputs}),
                            "kinds": sorted(bad)}
        else:
            result.points = float(blank.points)
        return result
    faults = [fault for fault in finding.faults if not judge.program.places or fault.name in names
              or fault.name not in {name for line in ask.source.lines for name in line.names}]
    segment = _segment(ask, judge, answers, finding, names)
    if finding.verdict == "unrecognised" and not segment:
        result.points = float(blank.points)
        return result
    result.verdict = finding.verdict
    bad = {kinds[fault.draw] for fault in finding.faults} if finding.verdict == "unrecognised" else set(kinds)
    result.points = blank.points * _share(kinds, bad) if finding.verdict == "unrecognised" else 0.0
    result.where = {"lines": [name for name in judge.program.places if name in segment],
                    "outputs": sorted({fault.name for fault in faults}), "kinds": sorted(bad)}
    result.hints = [words for _, words in finding.messages]
    if finding.verdict == "unrecognised":
        result.hints += hints(judge, answers)
    return result


def _segment(ask, judge, answers, finding, names):
    """The names of a blank whose lines may hold what was not recognised: a fault, and what it is made of.

    Backwards, up to the quantities that were compared themselves.
    """
    known = {fault.name for fault in judge.distances(answers)}
    wrong = {fault.name for fault in finding.unexplained or finding.faults}
    if wrong & {"", RESULT}:
        return set(names)
    lines = [(set(line.names), set(WORD.findall(line.text))) for line in ask.source.lines]
    found, more = set(), wrong
    while more:
        found |= more
        more = {name for assigned, used in lines if assigned & more for name in used} - known - found
    return found & set(names)


def _share(kinds, bad):
    """The part of the points for the kinds of input on which all is right."""
    total = sum(SHARES[kind] for kind in set(kinds))
    return sum(SHARES[kind] for kind in set(kinds) - bad) / total
