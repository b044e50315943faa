"""Questions about the English Wikipedia of 2006, made from its raw text (enwik8) as the CNN questions were.

A name in a sentence is the gap; the passage is the three of the twelve sentences before it that match it best.
"""

import hashlib
import html
import random
import re
import unicodedata
from collections import Counter
from itertools import groupby

from minibn.data import text8
from minibn.data.anonymous import PARTS, anonymous, best_sentences, drawn, names
from minibn.data.files import DataFile, data_home, write_whole
from minibn.data.question_files import read_questions, write_questions
from minibn.data.sources import PublishedFile, PublishedFiles
from minibn.errors import check_choice

ENWIK8 = PublishedFiles("enwik8", ("enwik8",), (PublishedFile(
    DataFile("enwik8", 100_000_000, "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8"),
    origin=DataFile("enwik8.zip", 36_445_475, "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc"),
    mirrors=text8.MIRRORS),))
# The recipe as it was carried out twice, with other draws: whose numbers are published, and what `build_wiki` makes.
FORMS = {
    "published": PublishedFiles("wiki", ("wiki", "cloze/reader"), tuple(map(PublishedFile, (
        DataFile("wiki.train.txt", 14_905_267, "61d2ac7e985242708ab4b6a1dda1a38e54e54657da8cd2fc36fbfa7db4288c50"),
        DataFile("wiki.valid.txt", 472_904, "a4d3011ae30eec35facef6eeccbc7010e7ad851ec887422360f162a27a8bb2d5"),
        DataFile("wiki.test.txt", 483_976, "a1087e196696bbff8385fd544c6cbd4715c70912557571d47f605ab13375e7b0"))))),
    "built": PublishedFiles("wiki_built", (), tuple(map(PublishedFile, (
        DataFile("wiki_built/wiki.train.txt", 15_198_061,
                 "2898d96ce618bdfc9e05af6772bdc9adb3ebd51311afd7724376e2a1844b11a0"),
        DataFile("wiki_built/wiki.valid.txt", 478_243,
                 "e7f00a7d02afdd186606f98dc838afedb8526b313e7d3566d4b171b0a9094bb6"),
        DataFile("wiki_built/wiki.test.txt", 486_467,
                 "a52d06755c2e314084c57428e235a5301b530ea62e991a3dcdb1fa32ba77bce1")))),
        made_by="minibn data build wiki"),
}  # fmt: skip

WINDOW, SENTENCES, LABELS, FEWEST_NAMES, COMMON_WORDS = 12, 3, 12, 3, 100
SENTENCE_LENGTHS, QUESTION_LENGTHS, LONGEST_PASSAGE = range(5, 46), range(6, 26), 80        # in tokens
SHORTEST_ARTICLE, SHORTEST_LINE = 1500, 60                                                  # in characters
FEWEST_SENTENCES, MOST_SENTENCES, MOST_QUESTIONS = 6, 250, 40                               # of an article
HELD_OUT = 1000     # questions of the validation and of the test part each

# Words with a capital that are no names, inside of a sentence or before a name.
_NO_NAMES = {word.capitalize(): word for word in (
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december i he she it we you they me him her us them my his its our your their a an "
    "the this that these those who what which and or but nor if when while where how as at by for from in into of on "
    "to with after before since during until although because however also some many most all no not there then one "
    "two three first is are was were mr mrs ms dr sir st lord lady king queen prince princess saint uncle aunt god "
    "english french german american").split()}
_WORD = r"[A-Z](?<!\S[A-Z])[A-Za-z]*(?:'[a-z]+)?(?!\S)"
_NAME = re.compile(rf"{_WORD}(?: (?:(?:of|de|von|van) )?{_WORD})*")
_OPENING = "\"'`:.-()[]"        # behind one of these a capital says as little as at the start of a sentence
_TOKEN = re.compile(r"[A-Z][A-Za-z]*(?='s\b)|'s\b|[A-Za-z]+(?:'[A-Za-z]+)*|\d+(?:[.,]\d+)*|\S")
_ABBREVIATIONS = groupby(sorted(
    "mr mrs ms dr prof st gen col capt lt sgt maj rev hon gov sen rep jr sr co corp inc ltd bros vs etc cf ca al ed "
    "eds vol no pp fig approx jan feb mar apr aug sept oct nov dec mt ft univ est".split(), key=len), key=len)
_NO_END = "".join(rf"(?<!\b(?i:{'|'.join(words)})\.)" for _, words in _ABBREVIATIONS)
_END = re.compile(rf"(?<=[.!?])(?<!\b[A-Za-z]\.){_NO_END}\s+(?=[\"'A-Z0-9])")
_PAGE = re.compile(rb"<page>(.*?)</page>", re.S)
_TITLE, _TEXT = re.compile(rb"<title>(.*?)</title>"), re.compile(rb"<text[^>]*>(.*?)</text>", re.S)
_ASIDE, _DIGIT = re.compile(r"\s*[(\[][^()\[\]]*[)\]]"), re.compile(r"\d")
_MARKUP = [(re.compile(pattern, re.S), by) for pattern, by in (     # what is replaced, by what, in this order
    (r"<!--.*?-->", ""),
    (r"(?i)<(ref|math|table|gallery|timeline|nowiki|pre|div)\b[^>]*?(?:/>|>.*?</\1>)", ""),
    (r"</?[A-Za-z][^>]*>", ""),
    *4 * ((r"\{\{[^{}]*\}\}", ""),),
    (r"\{\|.*?\|\}", ""),
    (r"\[\[(?:Image|File|Category|[a-z-]{2,12}):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]", ""),
    (r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]", r"\1"),
    (r"\[(?:https?|ftp)://\S*\s*([^\]]*)\]", r"\1"),
    (r"''+", ""), ("[\u2013\u2014]", "-"), ("[\u2018\u2019]", "'"), ("[\u201c\u201d]", '"'),
)]  # fmt: skip


def wiki_form(folder=None):
    """Which form `load_wiki` can read: "published" where it is here, else "built"."""
    return "built" if None in FORMS["published"].places(folder).values() else "published"


def load_wiki(form, folder=None):
    """The questions about Wikipedia, as a dict of three lists of `Question`: "train", "valid", "test".

    Parameters
    ----------
    form : {"published", "built"}
        Those whose numbers this project publishes, or those of ``minibn data build wiki``.
    folder : str or path, optional
        Where they are; else the folder that ``MINIBN_DATA`` names, else the user's cache.
    """
    check_choice("form", form, tuple(FORMS))
    places = FORMS[form].find(folder)
    raws = FORMS[form].read(places)
    return {part: read_questions(raw, place) for part, raw, place in zip(PARTS, raws, places.values(), strict=True)}


def build_wiki(progress=None):
    """Make the questions from enwik8, and keep them in the data folder; a text line per file. See `make_wiki`."""
    import lzma

    [raw] = ENWIK8.read(ENWIK8.find())
    for file, questions in zip(FORMS["built"].files, make_wiki(raw, progress=progress).values(), strict=True):
        packed = lzma.compress(write_questions(questions))
        write_whole(data_home()[0] / f"{file.name}.xz", lambda stream, packed=packed: stream.write(packed))
    return [file.verify(place, FORMS["built"].remedy) for file, place in FORMS["built"].find().items()]


def make_wiki(raw, seed=1, progress=None):
    """The questions of a dump of Wikipedia in XML: the same bytes and seed give the same ones, on every machine.

    Parameters
    ----------
    raw : bytes
    seed : int
        Of the gaps, the labels, the order.
    progress : function, optional
        Called with a line of text for each tenth that is read.

    Returns
    -------
    dict of str to list of Question
        The source is the title of the article, which decides on the part.
    """
    articles, counts, tenths = [], Counter(), 0
    for title, text, place in _pages(raw):
        if sentences := _with_names(_sentences(text)):
            articles.append((title, sentences))
            counts.update(filter(str.isalpha, " ".join(sentences).split()))
        if progress and 10 * place // len(raw) > tenths:
            tenths = 10 * place // len(raw)
            progress(f"wiki: {10 * tenths} % of the text read, {len(articles)} articles")
    common = {word for word, _ in counts.most_common(COMMON_WORDS)}
    parts = {part: [] for part in PARTS}
    for title, sentences in articles:
        share = int(hashlib.sha256(title.encode()).hexdigest()[:8], 16) % 100
        rng, sentences = random.Random(f"{seed} {title}"), [sentence.split() for sentence in sentences]
        sets = [set(sentence) for sentence in sentences]
        asked = [_ask(title, sentences, sets, k, common, rng) for k in range(SENTENCES, len(sentences))]
        part = "test" if share < 4 else "valid" if share < 8 else "train"
        parts[part] += drawn(rng, filter(None, asked))[:MOST_QUESTIONS]
    return {part: drawn(random.Random(f"{seed} {part}"), questions)[: None if part == "train" else HELD_OUT]
            for part, questions in parts.items()}


def _pages(raw):
    """Title and text of each article, and where it ends."""
    for page in _PAGE.finditer(raw):
        title, text = _TITLE.search(page[1]), _TEXT.search(page[1])
        if title and text and b":" not in title[1] and not text[1][:9].lower() == b"#redirect":
            text = text[1].decode(errors="ignore")
            if len(text) >= SHORTEST_ARTICLE:
                yield title[1].decode(errors="ignore"), text, page.end()


def _sentences(text):
    """The sentences of an article, a blank between tokens; none if they are too few."""
    text = html.unescape(html.unescape(text))
    for pattern, by in _MARKUP:
        text = pattern.sub(by, text)
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    lines = [line for line in map(str.strip, text.split("\n")) if len(line) >= SHORTEST_LINE]
    lines = [_ASIDE.sub("", line) for line in lines if line[0] not in "*#:;|!={}[]"]
    found = [_TOKEN.findall(sentence) for line in lines for sentence in _END.split(line)]
    found = [" ".join(_NO_NAMES.get(token, token) for token in tokens) for tokens in found
             if len(tokens) in SENTENCE_LENGTHS and tokens[-1] in ".!?"]
    return found[:MOST_SENTENCES] if len(found) >= FEWEST_SENTENCES else []


def _with_names(sentences):
    """The sentences of an article in lower case, digits as ``#``, each name as one token.

    A capital at the start of a sentence makes a name only if the article has the name, or its first word in a name,
    inside of a sentence. A single word is the same name as a longer one before it that begins or ends with it.
    """
    sure, entities = set(), {}

    def opens(found):
        return not found.start() or found.string[found.start() - 2] in _OPENING

    def entity(found):
        words = found[0].split()
        token = entities.setdefault(found[0], f"@{'_'.join(words)}")
        entities.setdefault(words[0], token), entities.setdefault(words[-1], token)
        return token

    def checked(found):
        first, _, rest = found[0].partition(" ")
        if opens(found) and sure.isdisjoint((found[0], first)):
            return f"{first} {_NAME.sub(entity, rest)}".strip()
        return entity(found)

    for found in (found for sentence in sentences for found in _NAME.finditer(sentence) if not opens(found)):
        sure.update((found[0], *found[0].split()))
    return [_DIGIT.sub("#", _NAME.sub(checked, sentence).lower()) for sentence in sentences]


def _ask(title, sentences, sets, k, common, rng):
    """The question of sentence `k`; None if no name was there before, or if the passage does not serve."""
    question, window = sentences[k], slice(max(0, k - WINDOW), k)
    before = set().union(*sets[window])
    gaps = [name for name in names(question) if name in before]
    if len(question) not in QUESTION_LENGTHS or not gaps:
        return None
    answer = gaps[int(rng.random() * len(gaps))]
    best = best_sentences(sets[window], set(question) - {answer}, SENTENCES, common)
    passage = [token for j in best for token in sentences[window][j]]
    if len(passage) <= LONGEST_PASSAGE and answer in passage and len(names(passage)) >= FEWEST_NAMES:
        return anonymous(title, passage, question, answer, LABELS, rng)
