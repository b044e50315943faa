"""Where a trained reader looks: passages with their attention as shading, for the terminal and as a page."""

from html import escape
from typing import NamedTuple

import numpy as np

from minibn.backend import to_device, to_host
from minibn.data.question_files import Question, entity_number
from minibn.errors import check_choice, check_integer
from minibn.training.evaluation import evaluated

SPLITS = ("train", "valid", "test")
LOOKED_AT = 100         # questions, to find some that were answered and some that were not
EACH = 2                # of these
SHOWN = 3               # answers beside each passage
SHADES = (255, 230, 224, 217, 210, 203, 196)        # of a terminal: white, then ever stronger red
WRITTEN = 0.05          # without colours, weights from here on are written behind the word
STYLE = ("body{font:16px/1.7 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}h2{font-size:1em;margin-top:2em}"
         "mark{color:inherit;background:none;border-radius:3px;padding:1px}i{opacity:.55}"
         ".bar{display:inline-block;height:.7em;background:#d33;margin:0 .5em}")


class Reading(NamedTuple):
    """A question, and what a reader makes of it."""

    number: int
    question: Question
    known: tuple                # of the passage's words, whether the vocabulary has them
    alpha: np.ndarray           # (T,), the attention: 1 in all
    probabilities: np.ndarray   # (E,), of the names

    @property
    def right(self):
        """Whether the likeliest name is the answer."""
        return self.best[0] == entity_number(self.question.answer)

    @property
    def best(self):
        """The likeliest names, by number."""
        return np.argsort(-self.probabilities, kind="stable")[:SHOWN]

    @property
    def heading(self):
        """Which question, and whether it was answered."""
        return f"question {self.number}: {'right' if self.right else 'wrong'}, the answer is {self.question.answer}"


def read_attention(run, numbers=None, split="valid"):
    """What the best model of a run makes of questions, with population statistics.

    Parameters
    ----------
    run : path-like
        Folder of a run on questions.
    numbers : sequence of int, optional
        At least one: which questions of the split, from 0; by default the first two that it answers and the first two
        that it does not, among the first hundred.
    split : {"valid", "test", "train"}

    Returns
    -------
    list of Reading
    """
    check_choice("split", split, SPLITS)
    with evaluated(run) as opened:
        config = opened.best.config
        if config.kind != "questions":
            raise ValueError(f"run: expected a run on questions, got one on {config.kind}; only a reader has attention")
        part = getattr(opened.data, split)
        wanted = list(range(min(LOOKED_AT, len(part))) if numbers is None else numbers)
        for number in wanted:
            if not check_integer("question", number, 0, "they count from 0") < len(part):
                raise ValueError(f"question: expected one of 0 .. {len(part) - 1}, got {number}; the {split} set has "
                                 f"{len(part)}")
        questions, _ = to_device(part.batch(wanted), config.device)
        alpha, probabilities = to_host(opened.best.model.attention(questions, opened.given() or None))
    readings = [Reading(number, question, tuple(word in part.words for word in question.passage),
                        alpha[:len(question.passage), n], probabilities[n])
                for n, (number, question) in enumerate((k, part.questions[k]) for k in wanted)]
    if numbers is not None:
        return readings
    return [each for right in (True, False) for each in [r for r in readings if r.right == right][:EACH]]


def attention_text(readings, colours):
    """The passages for a terminal: shades of red, or without colours the larger weights as numbers."""
    def word(text, known, weight, largest):
        if not colours:
            return f"{text}[{100 * weight:.0f}%]" if weight >= WRITTEN else text
        shade = SHADES[round(weight / largest * (len(SHADES) - 1))]
        return f"\x1b[48;5;{shade}m\x1b[{30 if known else 90}m{text}\x1b[0m"

    blocks = []
    for each in readings:
        passage = " ".join(word(*of_word, each.alpha.max())
                           for of_word in zip(each.question.passage, each.known, each.alpha, strict=True))
        answers = ", ".join(f"@entity{k} {100 * each.probabilities[k]:.0f} %" for k in each.best)
        blocks.append(f"{each.heading}\n{passage}\n  {' '.join(each.question.question)}\n  {answers}")
    return "\n\n".join(blocks)


def attention_html(readings, title):
    """The passages as a page of their own: no script, no picture."""
    blocks = []
    for each in readings:
        words = " ".join(
            f"<mark style='background:rgba(221,51,51,{weight / each.alpha.max():.2f})' title='{100 * weight:.1f} %'>"
            f"{escape(text) if known else f'<i>{escape(text)}</i>'}</mark>"
            for text, known, weight in zip(each.question.passage, each.known, each.alpha, strict=True))
        answers = "<br>".join(f"<span class=bar style='width:{10 * each.probabilities[k]:.2f}em'></span>@entity{k} "
                              f"{100 * each.probabilities[k]:.1f} %" for k in each.best)
        blocks.append(f"<h2>{escape(each.heading)}</h2><p>{words}<p><b>{escape(' '.join(each.question.question))}</b>"
                      f"<p>{answers}")
    return (f"<!DOCTYPE html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
            f"<h1>{escape(title)}</h1><p>The redder a word, the more attention it gets; the pale ones are not in the "
            f"vocabulary.{''.join(blocks)}\n")
