"""What a result says to a person, at one of four hint levels: where, what kind, which mistake, which line."""

from minibn.labs.mistakes import MISTAKES

BY_ID = {row.id: row for row in MISTAKES}
NAMES = {row.line.partition(" = ")[0] for row in MISTAKES}
VERDICTS = {"right": "right", "one": "one mistake", "several": "several mistakes", "unrecognised": "not right",
            "blank": "still blank", "crashed": "did not run", "timeout": "no answer in time",
            "memory": "too much memory", "format": "not what was asked for"}
KINDS = {"plain": "plain inputs", "masked": "masked inputs", "given": "given statistics or a time axis"}


def sentences(result):
    """The sentences for one `Result`, a list of str; empty where it is right and nothing is to say."""
    said, level = [], result.hint_level
    if result.error:
        said.append(f"{result.error[0].upper()}{result.error[1:]}.")
    if result.verdict == "right" and result.mistakes:
        said.append("What counts is right. Something else that you return is not:")
    if result.verdict == "unrecognised":
        said.append("We did not recognise this.")
        if result.where.get("lines"):
            said.append(f"It lies in: {', '.join(result.where['lines'])}.")
    if result.mistakes and level == 1:
        said.append(_where(result))
    elif result.mistakes:
        if len(result.mistakes) > 1 and result.verdict == "several":
            said.append(f"{len(result.mistakes)} mistakes:")
        for first, others in zip(result.mistakes, result.alternatives or [[]] * len(result.mistakes), strict=True):
            said += _about([BY_ID[key] for key in (first, *others) if key in BY_ID], level)
    kinds = result.where.get("kinds", [])
    if kinds and "plain" not in kinds and result.verdict != "right":
        said.append(f"It shows only with {' and '.join(KINDS[kind] for kind in kinds)}.")
    said += [f"{_upper(hint)}." for hint in result.hints]
    if result.float32:
        said.append("Your code computes in float32: keep the dtype of the arguments.")
    said += [f"Also: {remark}." for remark in result.remarks]
    return said


def _where(result):
    outputs = result.where.get("outputs") or result.where.get("lines") or []
    return f"Look at {', '.join(outputs)}." if outputs else "It is not right yet."


def _about(rows, level):
    """One mistake, or those that these numbers cannot tell apart."""
    if not rows:
        return []
    if level == 2:
        kinds = sorted({row.kind for row in rows})
        return [f"In {rows[0].part} ({rows[0].equation}): {' or '.join(kinds)}."]
    if len(rows) > 1:
        titles = "; ".join(row.title for row in rows)
        return [f"One of these, your numbers cannot tell which: {titles}. {rows[0].explanation}",
                *_lines(rows, level)]
    return [f"{_upper(rows[0].title)} ({rows[0].equation}). {rows[0].explanation}", *_lines(rows, level)]


def _lines(rows, level):
    return [f"The line is: {row.line}" for row in rows] if level == 4 else []


def _upper(text):
    """With a capital, where that is no name of a quantity."""
    first = text.split(" ")[0].rstrip(":,")
    named = {first, first.removeprefix("d")} & NAMES or not first.isalpha() or len(first) == 1
    return text if named else text[0].upper() + text[1:]
