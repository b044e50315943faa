"""Questions made from raw text (turns, wiki) and read from a user's files (cnn): the recipes, and every bad file."""

import collections
import gzip
import hashlib
import io
import lzma
import os
import random
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from minibn import data
from minibn.cli import main
from minibn.data import anonymous, cnn, files, turns, wiki
from minibn.data.question_files import Question, read_questions, write_questions
from minibn.data.sources import PublishedFile

SHARED = Path(os.environ.get("MINIBN_DATA") or Path(__file__).parents[2] / "shared" / "data")
ENTITY = re.compile(r"@entity\d+")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path))
    return tmp_path


def needs(folder):
    return pytest.mark.skipif(not (SHARED / folder).exists(), reason=f"needs {folder} of the shared data")


def unlabelled(question):
    """The question with names numbered as they come: equal for two that differ only in labels."""
    numbers, text = {}, " | ".join((*map(" ".join, question[1:3]), question.answer))
    return ENTITY.sub(lambda found: f"@{numbers.setdefault(found[0], len(numbers))}", text)


def sha256(questions):
    return hashlib.sha256(write_questions(questions)).hexdigest()


def fails(ask, message):
    with pytest.raises(data.DataError, match=message) as error:
        ask()
    assert "\n" not in str(error.value)


def test_the_best_sentences():
    sentences = list(map(str.split, ("the cat .", "@a sat .", "the @a .", "dogs .", "the cat sat")))
    question, best = ["the", "cat", "and", "@a", "."], anonymous.best_sentences
    assert best(sentences, question, 3) == [0, 2, 4]        # two words each; a full stop is none
    assert best(sentences, question, 1) == [4] and best(sentences, question, 9) == [0, 1, 2, 3, 4]
    assert best(sentences, question, 2, common={"the"}) == [2, 4]           # one each, of 0, 1, 2 and 4: the last ones
    assert best(sentences, [*question, "and", "dogs", "dogs"], 1) == [4]    # different words count


def test_labels_are_drawn_for_every_question():
    rng, seen = random.Random(3), collections.Counter()
    passage, asked = ["@x", "saw", "@y", "@", "@x"], ["@y", "and", "@z", "@y"]
    for _ in range(600):
        made = anonymous.anonymous("s", passage, asked, "@y", 4, rng)
        assert unlabelled(made) == "@0 saw @1 @ @0 | @placeholder and @2 @placeholder | @1" and made.source == "s"
        seen[made.answer] += 1
    assert set(seen) == {f"@entity{k}" for k in range(4)}
    assert min(seen.values()) > 90      # 150 each, with a standard deviation of 11
    assert anonymous.anonymous("s", passage, asked, "@y", 2, rng) is None


def play(count):
    names = ("First Guard", "DUKE OF YORK", "Anne", "DUCHESS OF YORK")
    return "".join(f"{names[k % 4]}:\nO York, word {k} is\nsaid by me, Guard; it's so.\n\n" for k in range(count))


def test_a_run_of_speeches():
    made = turns.make_turns(play(100) + "Anne:\n\n", seed=4)        # the last block has no speech
    assert [len(made[part]) for part in anonymous.PARTS] == [79, 1, 2]
    read = {each.source: unlabelled(each) for each in made["train"]}
    # @1, who is called York, is the duchess: of those with that last word, the one who speaks last for the first time.
    speeches = " ".join(f"@{speaker} : o @1 , it's so ." for speaker in (0, 2, 3, 1, 0, 2))
    assert read["6"] == f"{speeches} </s> | @placeholder : o @1 , word 6 is said by | @3"
    assert "@placeholder : o @placeholder ," in read["7"]
    assert sorted(map(int, read)) == list(range(6, 85)) != [int(each.source) for each in made["train"]]


def test_turns_without_network(home):
    made = turns.load_turns()
    assert {part: len(questions) for part, questions in made.items()} == {"train": 3387, "valid": 289, "test": 325}
    assert turns.load_turns() == made and {each.answer for each in made["test"]} == {f"@entity{k}" for k in range(8)}
    other = turns.make_turns(turns.FILE.read(turns.FILE.place(files.shipped_folders()), "").decode(), seed=2)
    for part, questions in made.items():
        assert read_questions(write_questions(questions), "made") == questions != other[part]
        assert sorted(map(unlabelled, other[part])) == sorted(map(unlabelled, questions))
    assert "turns: whole and readable (3387 train, 289 validation, 325 test questions)" in data.verify_data("turns")


@needs("cloze/reader")
def test_turns_and_wiki_of_the_published_numbers(monkeypatch):
    for part, made in turns.load_turns().items():
        place = SHARED / "cloze" / "reader" / f"turns.{part}.txt.xz"
        published = read_questions(lzma.open(place).read(), place)
        assert sorted(map(unlabelled, made)) == sorted(map(unlabelled, published))
    monkeypatch.setenv("MINIBN_DATA", str(SHARED))
    assert wiki.wiki_form() == "published"
    assert list(map(len, wiki.load_wiki("published").values())) == [30_980, 1000, 1000]


def test_bad_plays(monkeypatch, tmp_path):
    for text in ("", "no speeches here\n\nnone\n", play(60)):
        fails(lambda text=text: turns.make_turns(text), "expected speeches .*, found (0|60) speeches; pass a longer")
    monkeypatch.setattr(turns, "shipped_folders", lambda: (tmp_path,))
    fails(turns.load_turns, "tinyshakespeare.txt is not beside the package; install minibn again")
    (tmp_path / "tinyshakespeare.txt.gz").write_bytes(gzip.compress(b"cut")[:-3])
    fails(turns.load_turns, "tinyshakespeare.txt.gz: damaged.*install minibn again")


FILLER = "It was a long time before anybody in the village came to know what had happened there. "


def page(title, text, filler=20):
    return f'<page><title>{title}</title><text xml:space="preserve">{text}\n{FILLER * filler}</text></page>\n'


def test_markup_is_cleaned_away():
    text = (
        "{{Infobox | {{nested}} no }}\n[[Image:a.png|thumb|A [[link]] here]]\n'''Bob''' was born&amp;nbsp;in [[Rome, "
        "Italy|Rome]] (a [[city]]) &amp;mdash; &lt;!-- no --&gt;he saw Dr. J. Smith&lt;ref&gt;no&lt;/ref&gt; &lt;b&gt;"
        "there&lt;/b&gt; in 1,234.5 ways! Caf&amp;eacute;s of [http://x.org the port] closed? No.\n* a list of things "
        "that has at least sixty characters, surely it has.\n{| a table\n| of many cells, and of at least sixty "
        "characters as well.\n|}\nA line too short to count.\n[[de:Bob]]\n")
    first, second, *rest = wiki._sentences(text + "\n" + FILLER * 6)
    assert first == "Bob was born in Rome - he saw dr . J . Smith there in 1,234.5 ways !"
    assert second == "Cafes of the port closed ?" and set(rest) == {FILLER.replace(". ", " .").replace("It", "it")}
    assert wiki._sentences(FILLER * 5) == [] and len(wiki._sentences(FILLER * 300)) == 250


def test_names_of_an_article():
    assert wiki._with_names([
        "Paris lies in France .", "today Paris is the city of Henry of Navarre and Marie de Guise .", "Henry 's son",
        "Marie said : Navarre waits !", "Castle Hill saw 1,203 of Guise .", "Although Henry left , the Count stayed ."
    ]) == ["@paris lies in @france .", "today @paris is the city of @henry_of_navarre and @marie_de_guise .",
           "@henry_of_navarre 's son", "@marie_de_guise said : @henry_of_navarre waits !",
           "castle @hill saw #,### of @marie_de_guise .", "although @henry_of_navarre left , the @count stayed ."]


@pytest.fixture(scope="module")
def dump():
    """Articles that give many questions, and pages that give none."""
    rng, names = random.Random(6), "Anna Bernard Cologne Dora Emil Franz Gustav Heidi Ida".split()
    words = "mill forest river ring old new red blue house garden street church".split()

    def some(those, most):
        return anonymous.drawn(rng, those)[: 1 + int(rng.random() * most)]

    facts = "".join(f"The {' '.join(some(words, 11))} of {' and '.join(some(names, 6))} was "
                    f"{' '.join(some(words, 11))}. " for _ in range(180))
    useless = [page("Talk:Anna", facts), page("Anna B", f"#REDIRECT [[Anna]] {facts}"), page("Short", "", 3)]
    return "".join([*useless, *(page(f"Title {k}", facts) for k in range(40)), page("Cut", facts)[:-40]]).encode()


def test_questions_of_a_small_dump(dump):
    lines = []
    made = wiki.make_wiki(dump, progress=lines.append)
    assert len(lines) == 9 and lines[-1] == "wiki: 90 % of the text read, 37 articles"
    shares = {f"Title {k}": int(hashlib.sha256(f"Title {k}".encode()).hexdigest()[:8], 16) % 100 for k in range(40)}
    for part, shared in (("test", range(4)), ("valid", range(4, 8)), ("train", range(8, 100))):
        titles = {title for title, share in shares.items() if share in shared}
        assert {each.source for each in made[part]} == titles != set()
    counts = collections.Counter(each.source for each in made["train"])
    assert min(counts.values()) > 20 and max(counts.values()) == 40
    for each in made["train"]:
        assert each.answered and len(each.passage) <= 80 and 6 <= len(each.question) <= 25
        assert len(anonymous.names(each.passage)) >= 3 and each.answer not in each.question
        assert each.passage.count(".") == 3 and each.passage[-1] == "." and "@placeholder" not in each.passage
    # The same bytes with every Python: what is drawn, and from what, is the recipe.
    assert sha256(made["train"]) == "ea92a307f541b2c24206164b2f23957a21019fa97b5155ceea24a2c83cff10de"
    assert sha256(wiki.make_wiki(dump, seed=2)["train"]) != sha256(made["train"])


@pytest.fixture
def small(home, monkeypatch, dump):
    """What `minibn data build wiki` makes of the small dump, which lies in the data folder."""
    made = wiki.make_wiki(dump)
    described = [files.DataFile(f"wiki_built/wiki.{part}.txt", len(text), hashlib.sha256(text).hexdigest())
                 for part, text in zip(made, map(write_questions, made.values()), strict=True)]
    monkeypatch.setitem(wiki.FORMS, "built", replace(wiki.FORMS["built"], files=tuple(map(PublishedFile, described))))
    content = files.DataFile("enwik8", len(dump), hashlib.sha256(dump).hexdigest())
    monkeypatch.setattr(wiki, "ENWIK8", replace(wiki.ENWIK8, files=(replace(wiki.ENWIK8.files[0], content=content),)))
    (home / "enwik8.gz").write_bytes(gzip.compress(dump))
    return made


def test_building_wiki(small, home, capsys):
    remedy = "; run `minibn data build wiki`, or set MINIBN_DATA to a folder with wiki_built/wiki.train.txt"
    fails(lambda: wiki.load_wiki("built"), f"wiki.train.txt is not in .*{remedy}")
    assert main(["data", "build", "wiki"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("SHA-256 of the content ok") == 3 and "wiki: 90 % of the text read" in shown.err
    assert wiki.load_wiki("built") == small and wiki.wiki_form() == "built"
    assert f"({len(small['train'])} train, " in data.verify_data("wiki_built")
    place = home / "wiki_built" / "wiki.valid.txt.xz"
    whole = place.read_bytes()
    for damaged in (whole[:-20], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], b"", lzma.compress(b"other")):
        place.write_bytes(damaged)
        for ask in (wiki.load_wiki, data.verify_data, data.fetch_data):
            fails(lambda ask=ask: ask("built" if ask is wiki.load_wiki else "wiki_built"), f"valid.txt.xz: .*{remedy}")
    assert len(list(place.parent.iterdir())) == 3
    assert main(["data", "build"]) == 0 and place.read_bytes() == whole


def test_what_cannot_be_built_or_fetched(small, home, capsys, monkeypatch):
    monkeypatch.setattr(lzma, "compress", lambda raw: None)     # what cannot be written leaves nothing behind
    with pytest.raises(TypeError):
        wiki.build_wiki()
    assert list((home / "wiki_built").iterdir()) == []
    (home / "enwik8.gz").unlink()
    for command, message in (
        ("build wiki", "enwik8 is neither in "), ("build mnist", "build: expected wiki, got 'mnist'"),
        ("fetch wiki_built", "wiki_built/wiki.train.txt is not in "), ("fetch wiki", "wiki.train.txt is neither in "),
        ("fetch cnn", "the CNN questions cannot be fetched; set MINIBN_DATA to a folder with cnn.tgz"),
        ("verify cnn", "cnn: cnn.tgz (or another form) not in "),
    ):  # fmt: skip
        assert main(["data", *command.split()]) == 2
        shown = capsys.readouterr().err
        assert message in shown and shown.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(not wiki.ENWIK8.files[0].place([SHARED]), reason="needs enwik8 in MINIBN_DATA")
def test_the_built_wiki_is_the_same_everywhere():
    made = wiki.make_wiki(*wiki.ENWIK8.read(wiki.ENWIK8.find(SHARED)))
    assert [sha256(each) for each in made.values()] == [file.sha256 for file in wiki.FORMS["built"].files]


def question_file(number):
    passage = f"@entity1 and @entity{number} came . nobody won . the rest"
    return f"http://{number}\n\n{passage}\n\n@placeholder won .\n\n@entity1\n\n@entity1:Ann\n".encode()


def tree(home, raws, monkeypatch):
    """The folder ``questions`` with these files: one to validate, one to test, the others to train with."""
    monkeypatch.setattr(cnn, "OFFICIAL", {"train": len(raws) - 2, "valid": 1, "test": 1})
    for number, raw in enumerate(raws, 2 - len(raws)):
        place = home / "cnn" / "questions" / ("training", "validation", "test")[max(0, number + 1)]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{100 + number}.question").write_bytes(raw)
        (place / "._0.question").write_bytes(b"what macOS leaves in archives")
    return home / "cnn" / "questions"


def packed(folder):
    """The same as ``cnn.tgz``; its order is another."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            archive.add(path, f"cnn/questions/{path.relative_to(folder)}", recursive=False)
    return raw.getvalue()


def in_every_form(home, monkeypatch, raws):
    """The questions, after a look at whether folder, archive and processed files give the same ones."""
    folder = tree(home, raws, monkeypatch)
    made = cnn.load_cnn(sentences=None)
    (home / "cnn.tgz").write_bytes(packed(folder))
    folder.rename(home / "away")
    assert cnn.load_cnn(sentences=None) == made and list(map(len, made.values())) == [len(raws) - 2, 1, 1]
    (home / "cnn.tgz").unlink()
    for name, part in cnn.PROCESSED.items():
        blocks = ("\n".join((" ".join(each.question), each.answer, " ".join(each.passage))) for each in made[part])
        (home / "cnn" / name).write_text("\n\n".join(blocks) + "\n\n")
    assert cnn.load_cnn(None) == {part: [each._replace(source="") for each in made[part]] for part in made}
    assert "cnn: whole and readable" in data.verify_data("cnn") and "1 of 1 files" in data.list_data("cnn")
    return made


def test_cnn_in_every_form_and_its_top_sentences(home, monkeypatch):
    whole = in_every_form(home, monkeypatch, [question_file(k) for k in range(3, 9)])["train"][0]
    passage = tuple("@entity1 and @entity3 came . nobody won . the rest".split())
    assert whole == Question("http://3", passage, ("@placeholder", "won", "."), "@entity1")
    short = cnn.top_sentences(whole, 1)
    assert short == whole._replace(passage=("nobody", "won", ".")) and whole.answered and not short.answered
    assert cnn.top_sentences(whole) == whole and cnn.top_sentences(whole, 2).passage == passage[:8]
    assert cnn.load_cnn(1)["train"][0] == short._replace(source="") and cnn.top_sentences(short) == short


@needs("cnn/sample-questions")
def test_genuine_cnn_questions(home, monkeypatch):
    raws = [path.read_bytes() for path in sorted((SHARED / "cnn" / "sample-questions").iterdir())]
    for each in sum(in_every_form(home, monkeypatch, raws).values(), []):
        assert 464 <= len(each.passage) <= 1162 and each.answered
        sentences = " ".join(each.passage).replace(" . ", " .|").split("|")
        asked = {token for token in each.question if token[0].isalpha() or token[0] == "@"}
        short = " ".join(cnn.top_sentences(each).passage)
        chosen = [sentence for sentence in sentences if sentence in short]
        left = [sentence for sentence in sentences if sentence not in chosen]
        shared = [[len(asked & set(sentence.split())) for sentence in those] for those in (chosen, left)]
        assert " ".join(chosen) == short and len(chosen) == 4 and min(shared[0]) >= max(shared[1])


def test_bad_cnn_files(home, monkeypatch):
    fails(cnn.load_cnn, "the CNN questions are not in .*; set MINIBN_DATA to a folder with cnn.tgz")
    folder = tree(home, [question_file(k) for k in range(2, 40)], monkeypatch)
    whole, place = packed(folder), next((folder / "training").glob("[!.]*"))
    for damaged, message in (
        (question_file(3).replace(b"@p", b"p"), "expected @placeholder in the question, got none"),
        (question_file(3)[:30], "expected address, passage"), (b"\xff" + question_file(3), "expected text in UTF-8"),
    ):  # fmt: skip
        place.write_bytes(damaged)
        fails(cnn.load_cnn, f"{place}: {message}")
        (home / "cnn.tgz").write_bytes(packed(folder))
        folder.rename(home / "away")
        fails(cnn.load_cnn, f"cnn.tgz, cnn/questions/training/{place.name}: {message}")
        (home / "away").rename(folder)
    monkeypatch.setattr(cnn, "MOST_LEFT_OUT", 0.05)
    with pytest.warns(UserWarning, match="1 of 38 questions are left out; the first is .*: expected text in"):
        assert len(cnn.load_cnn()["train"]) == 35
    place.unlink()
    fails(cnn.load_cnn, "questions: expected 36 train questions, found 35; set MINIBN_DATA")
    folder.rename(home / "away")
    for damaged in (b"", b"no archive", whole[:-1], whole[:300], whole[:-6] + b"?" + whole[-5:]):
        (home / "cnn.tgz").write_bytes(damaged)
        fails(cnn.load_cnn, "cnn.tgz: damaged, cannot be unpacked .*; set MINIBN_DATA to a folder with cnn.tgz")
    (home / "cnn.tgz").write_bytes(whole)
    assert len(cnn.load_cnn()["train"]) == 36
