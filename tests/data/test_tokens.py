"""Token streams and their batches."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest

from anejax.data import tokens as module
from anejax.data.batches import BatchError
from anejax.data.tokens import TokenBatches, TokenError, TokenEvaluation
from tests.data.test_tokenizer import make


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path / "cache"))


def test_a_text_is_encoded_once(tmp_path):
    tokenizer, path, said = make(), tmp_path / "t.txt", []
    path.write_bytes("ab é\r\n c\n<|endoftext|>\n  \n<|endoftext|>\nabc".encode() + b"\xff")
    found = module.load(path, tokenizer, said.append)
    expected = tokenizer.encode("ab é\r\n c") + tokenizer.encode(b"abc\xff".decode(errors="surrogateescape"))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(module.load(path, tokenizer, said.append), expected)
    assert said == [f"encoding {path}"]
    assert len(module.load(path, make(b"ab "), said.append)) < len(expected)  # another tokenizer, another stream
    assert len(said) == 2


def test_stories_longer_than_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 7)
    (tmp_path / "t.txt").write_text("a b c a b c" * 5 + "<|endoftext|>" + "ab" * 9 + "<|endoftext|>")
    tokenizer = make()
    expected = tokenizer.encode("a b c a b c" * 5) + tokenizer.encode("ab" * 9)
    np.testing.assert_array_equal(module.load(tmp_path / "t.txt", tokenizer), expected)


def test_streams(tmp_path):
    np.array([1, 275, 0], "<u2").tofile(tmp_path / "s.bin")
    np.testing.assert_array_equal(module.load(tmp_path / "s.bin", make()), [1, 275, 0])
    (tmp_path / "empty.bin").write_bytes(b"")
    assert len(module.read(tmp_path / "empty.bin", 5)) == 0


@pytest.mark.parametrize("position", [0, 6, 7, 20])
def test_a_token_out_of_range_is_named(tmp_path, monkeypatch, position):
    monkeypatch.setattr(module, "_CHUNK", 7)
    stream = np.full(21, 511, "<u2")
    stream[position:] = 512
    stream.tofile(tmp_path / "s.bin")
    with pytest.raises(TokenError, match=f"tokens below 512, got 512 at position {position}"):
        module.read(tmp_path / "s.bin", 512)


def test_odd_files_are_refused(tmp_path):
    (tmp_path / "s.bin").write_bytes(b"abc")
    with pytest.raises(TokenError, match="even number of bytes, got 3"):
        module.read(tmp_path / "s.bin", 512)


def test_a_stream_is_read_in_pieces(tmp_path):
    """As an array: slices of slices, windows, rows in any order, and as a whole."""
    values = np.arange(50, dtype="<u2")
    values.tofile(tmp_path / "s.bin")
    stream = module.read(tmp_path / "s.bin", 64)
    inner, expected = stream[3:40][2:], values[3:40][2:]
    assert len(inner) == len(expected) and len(stream[7:3]) == 0 and len(stream[-4:]) == 4
    np.testing.assert_array_equal(inner, expected)
    index = np.array([[5, 6, 7], [30, 2, 2]])
    np.testing.assert_array_equal(inner[index], expected[index])
    assert module.fingerprint(inner) == module.fingerprint(expected)
    for bad in (np.array([35]), np.array([-1])):
        with pytest.raises(IndexError, match="places below 35"):
            inner[bad]
    batches = [TokenBatches(s, batch=2, length=4, steps=3, seed=1) for s in (inner, expected)]
    for ours, theirs in zip(*(b.epoch(0) for b in batches), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_that_is_cut_or_changed_while_it_is_used_is_an_error(tmp_path):
    path = tmp_path / "s.bin"
    np.arange(10_000, dtype="<u2").tofile(path)
    stream = module.read(path, 10_000)
    batches = TokenBatches(stream, batch=2, length=50, steps=80)
    evaluation = TokenEvaluation(stream, batch=2, length=50)
    os.truncate(path, 2000)
    for read in (lambda: list(batches.epoch(0)), lambda: list(evaluation), lambda: module.fingerprint(stream)):
        with pytest.raises(TokenError, match=r"s\.bin: expected \d+ bytes or more, got 2000: the file was cut"):
            read()
    np.full(10_000, 60_000, "<u2").tofile(path)
    with pytest.raises(TokenError, match="tokens below 10000, got 60000"):
        next(batches.epoch(0))


def test_a_pass_sees_each_window_once():
    batches = TokenBatches(np.arange(100, dtype="<u2"), batch=3, length=8, steps=4)
    seen = []
    for tokens, targets in batches.epoch(0):
        assert tokens.dtype == targets.dtype == np.int32 and tokens.shape == (3, 8)
        np.testing.assert_array_equal(tokens + 1, targets)
        seen += tokens[:, 0].tolist()
    assert len(set(seen)) == 12 and len({start % 8 for start in seen}) == 1
    assert sorted(seen) != seen


@pytest.mark.parametrize("steps", [1, 3, 4, 7])
def test_any_position_can_be_had_again(steps):
    batches = TokenBatches(np.arange(100, dtype="<u2"), 3, 8, steps, seed=5)
    whole = [batch for epoch in range(3) for batch in batches.epoch(epoch)]
    assert len(whole) == 3 * steps
    for epoch, start in itertools.product(range(3), range(steps)):
        np.testing.assert_array_equal(next(batches.epoch(epoch, start)), whole[epoch * steps + start])
    other = TokenBatches(np.arange(100, dtype="<u2"), 3, 8, steps, seed=6)
    assert not np.array_equal(next(other.epoch(0)), whole[0])


def test_epochs_may_be_longer_or_shorter_than_passes():
    stream = np.arange(100, dtype="<u2")
    long, short = (TokenBatches(stream, 3, 8, steps) for steps in (12, 3))
    pieces = [batch for epoch in range(4) for batch in short.epoch(epoch)]
    np.testing.assert_array_equal(list(long.epoch(0)), pieces)


@pytest.mark.parametrize(("count", "windows"), [(0, 0), (1, 0), (8, 0), (24, 2)])
def test_too_short_a_stream(count, windows):
    with pytest.raises(BatchError, match=f"3 windows of 8 tokens .* {count} tokens, which is {windows}"):
        TokenBatches(np.zeros(count, "<u2"), 3, 8, 1)
    TokenBatches(np.zeros(25, "<u2"), 3, 8, 1)


@pytest.mark.parametrize("count", [2, 3, 23, 24, 25, 26])
def test_evaluation_asks_for_each_token_but_the_first_once(count):
    stream = np.arange(count, dtype="<u2")
    evaluation = TokenEvaluation(stream, 3, 4)
    asked = []
    for tokens, targets, weight in evaluation:
        assert tokens.shape == targets.shape == weight.shape == (3, 4)
        np.testing.assert_array_equal(tokens + 1, targets)
        asked += targets[weight == 1].tolist()
        assert set(np.unique(weight)) <= {0, 1}
    assert asked == list(range(1, count))
    assert len(list(evaluation)) == len(evaluation)


def test_nothing_to_predict():
    with pytest.raises(BatchError, match="2 tokens or more, got 1"):
        TokenEvaluation(np.zeros(1, "<u2"), 1, 1)
