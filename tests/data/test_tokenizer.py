"""Tokenizer files: the real ones, encoding against a plain loop, and files that are no tokenizers."""

from __future__ import annotations

import contextlib
import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anejax.data import tokenizer as module
from anejax.data.tokenizer import Tokenizer, TokenizerError
from tests import stories

BASE = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % i for i in range(256))]
LETTERS = [b" ", b"a", b"b", b"c", "é".encode(), b"<", b">"]
WORDS = [b" a", b"ab", b"abc", b"bc", b"aa", b"aaaa", b"  ", b"aab", "aé".encode(), b"<a"]


def make(*more: bytes, scores: list[float] | None = None) -> Tokenizer:
    tokens = (*BASE, *LETTERS, *WORDS, *more)
    rng = np.random.default_rng(0)
    chosen = rng.integers(-4, 4, len(tokens)).astype(float) if scores is None else scores
    return Tokenizer(tokens, tuple(map(float, chosen)))


def plain(tokenizer: Tokenizer, text: str) -> list[int]:
    """The encoding as llama2.c states it: look at all pairs, merge the best, begin again."""
    numbers = {token: i for i, token in reversed(list(enumerate(tokenizer.tokens)))}
    out = []
    for character in (" " + text) * bool(text):
        encoded = character.encode(errors="surrogateescape")
        out += [numbers[encoded]] if encoded in numbers else [byte + 3 for byte in encoded]
    while True:
        best, at = -1e10, None
        for i in range(len(out) - 1):
            number = numbers.get(tokenizer.tokens[out[i]] + tokenizer.tokens[out[i + 1]])
            if number is not None and tokenizer.scores[number] > best:
                best, at = tokenizer.scores[number], (i, number)
        if at is None:
            return [1, *out]
        out[at[0] : at[0] + 2] = [at[1]]


CROSSING = {"split": [], "a space inside": [b"a b"], "a byte inside": [b"<0xE2>a", b"a<0x0A>"]}


@pytest.mark.parametrize("more", CROSSING.values(), ids=CROSSING)
@given(st.text("abc é<>☃\n0x", max_size=24))
def test_encoding_is_the_plain_loop(more, text):
    tokenizer = make(*more)
    assert tokenizer.encode(text) == plain(tokenizer, text)


@given(st.text(max_size=24))
def test_decoding_gives_the_text_back(text):
    tokenizer = make()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bytes_that_are_not_utf8():
    tokenizer = make()
    text = b"a\xff\xc3b".decode(errors="surrogateescape")
    tokens = tokenizer.encode(text)
    assert b"".join(map(tokenizer.piece, tokens)) == b" a\xff\xc3b"
    assert tokenizer.decode(tokens) == "a\ufffd\ufffdb"
    with pytest.raises(TokenizerError, match="half of a character"):
        tokenizer.encode("\ud800")


def test_the_space_after_bos_is_left_out_and_only_that():
    tokenizer = make()
    assert tokenizer.decode(tokenizer.encode("  a", bos=True)) == "  a"
    assert tokenizer.decode(tokenizer.encode("a", bos=False)) == " a"
    assert tokenizer.encode("") == [1] and tokenizer.encode("", bos=False) == []


def test_a_score_of_minus_infinity_or_nan_never_merges():
    for score in (-np.inf, np.nan, -1e10):
        tokenizer = make(scores=[score] * len(make()))
        assert tokenizer.encode("ab") == [1, *(tokenizer.tokens.index(c) for c in (b" ", b"a", b"b"))]


def test_a_long_word_takes_no_quadratic_time():
    assert len(make(scores=[0.0] * len(make())).encode("b" * 100_000)) == 100_002


@pytest.mark.parametrize("token", [-1, 276, 2**40])
def test_tokens_out_of_range(token):
    with pytest.raises(TokenizerError, match="below 276"):
        make().decode([token])


@pytest.mark.parametrize(("name", "size"), [("tok512.bin", 512), ("tokenizer.bin", 32_000)])
def test_real_files_are_read_and_written(tmp_path, name, size):
    path = stories.find(name)
    tokenizer = module.read(path, size)
    tokenizer.write(tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == path.read_bytes()
    text = "Lily said: “Où est le café?”\n\n\tShe had 3 ☃."
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(text) == plain(tokenizer, text)


def test_real_stories_become_the_tokens_that_sentencepiece_gives():
    """tokenizer.model encoded valid.tok32k.bin: BOS, then each story without the blanks around it."""
    tokenizer = module.read(stories.find("tokenizer.bin"))
    texts = stories.find("valid.txt").read_text(encoding="utf-8").split("<|endoftext|>")
    got = [token for text in texts if text.strip() for token in tokenizer.encode(text.strip())]
    np.testing.assert_array_equal(got, np.fromfile(stories.find("valid.tok32k.bin"), "<u2"))


def test_another_number_of_tokens_is_refused(tmp_path):
    make().write(tmp_path / "t.bin")
    with pytest.raises(TokenizerError, match="expected 512 tokens, as the network has, got 276"):
        module.read(tmp_path / "t.bin", 512)


def test_damaged_files(tmp_path):
    good, path, rng = make().to_bytes(), tmp_path / "t.bin", random.Random(0)
    for cut in (0, 3, 4, 6, 11, 13, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(TokenizerError, match=r"t\.bin"):
            module.read(path, len(make()))
    for _ in range(300):  # any damage gives another tokenizer or a TokenizerError, never anything else
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with contextlib.suppress(TokenizerError):
            module.read(path).encode("aab é")


@pytest.mark.parametrize(
    "content",
    [b"GGUF" * 1000, struct.pack("<ifi", 4, 0.0, -1), struct.pack("<ifi", 4, 0.0, 2**31 - 1), bytes(4 + 8 * 300)],
)
def test_other_files(tmp_path, content):
    (tmp_path / "t.bin").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"not a llama2\.c tokenizer"):
        module.read(tmp_path / "t.bin")
