"""Token streams: texts as files of uint16, and batches of windows for training and evaluation.

A file contains little-endian uint16 only: for each text BOS, then its tokens.
"""

from __future__ import annotations

import hashlib
import io
import os
import weakref
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, overload

import numpy as np

from anejax.data.batches import BatchError
from anejax.data.fetch import digest_of
from anejax.data.tokenizer import Tokenizer
from anejax.errors import AnejaxError
from anejax.paths import atomic_file, cache_dir, open_file

_SEPARATOR = "<|endoftext|>"  # between the texts of one file
_CHUNK = 1 << 22


class TokenError(AnejaxError, ValueError):
    """A file is no stream of a network's tokens."""


def load(path: Path | str, tokenizer: Tokenizer, progress: Callable[[str], None] = lambda what: None) -> Stream:
    """The tokens uint16[n] of a stream (``.bin``) or of a text (any other name). A text is encoded once and kept.

    Texts of a file are separated by ``<|endoftext|>``; blanks around each are left out. ``progress`` hears when a text
    is being encoded. Raises TokenError when a token is not of the tokenizer's; OSError.
    """
    path = Path(path)
    if path.suffix == ".bin":
        return read(path, len(tokenizer))
    if len(tokenizer) > 1 << 16:
        raise TokenError(f"[tokens] expected at most 65,536 tokens, since streams are uint16, got {len(tokenizer)}.")
    name = hashlib.sha256(f"{digest_of(path, 'sha256')} {tokenizer.digest}".encode()).hexdigest()[:32]
    stream = cache_dir() / "tokens" / f"{name}.bin"
    if not stream.exists():
        progress(f"encoding {path}")
        content = io.TextIOWrapper(open_file(path), "utf-8", "surrogateescape", newline="")
        with content, atomic_file(stream) as file:
            for story in _stories(content):
                file.write(np.array(tokenizer.encode(story), "<u2").tobytes())
    return read(stream, len(tokenizer))


class _Handle:
    """A file that is open as long as a stream of it lives."""

    def __init__(self, path: Path | str) -> None:
        with open_file(path) as file:
            self.number = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.number)


class Stream:
    """Tokens uint16[n] in a file, or a slice of them. Each use reads the piece that it needs.

    A file that is cut or changed meanwhile is a TokenError; in memory that is mapped it would end the process.
    """

    def __init__(self, path: Path | str, file: _Handle, vocabulary: int, start: int, stop: int) -> None:
        self._path, self._file, self._vocabulary = path, file, vocabulary
        self._start, self._stop = start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, index: slice) -> Stream: ...
    @overload
    def __getitem__(self, index: np.ndarray) -> np.ndarray: ...
    def __getitem__(self, index: slice | np.ndarray) -> Stream | np.ndarray:
        """A slice without a step, or the tokens at ``index``, of whose rows each is read at once."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise IndexError(f"[tokens] expected a slice without a step, got {index}.")
            start += self._start
            return Stream(self._path, self._file, self._vocabulary, start, max(start, self._start + stop))
        found = np.empty(index.shape, "<u2")
        for to, row in zip(found.reshape(-1, index.shape[-1]), index.reshape(-1, index.shape[-1]), strict=True):
            first = int(row.min())
            to[:] = self._read(first, int(row.max()) + 1)[row - first]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._read(0, len(self)).astype(dtype or "<u2", copy=False)

    def _read(self, start: int, stop: int) -> np.ndarray:
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"[tokens] expected places below {len(self)}, got {start} to {stop}.")
        at, data = 2 * (self._start + start), bytearray()
        while len(data) < 2 * (stop - start):
            piece = os.pread(self._file.number, 2 * (stop - start) - len(data), at + len(data))
            if not piece:
                size = os.fstat(self._file.number).st_size
                raise TokenError(
                    f"[tokens] {self._path}: expected {at + 2 * (stop - start)} bytes or more, got {size}: the file was"
                    " cut after it had been opened."
                )
            data += piece
        found = np.frombuffer(data, "<u2")
        if len(found) and found.max() >= self._vocabulary:
            bad = int(np.argmax(found >= self._vocabulary))
            raise TokenError(
                f"[tokens] {self._path}: expected tokens below {self._vocabulary}, got {found[bad]} at position"
                f" {at // 2 + bad}."
            )
        return found


def read(path: Path | str, vocabulary: int) -> Stream:
    """Maps the stream in a file. Raises TokenError if a token is not below ``vocabulary``."""
    file = _Handle(path)
    size = os.fstat(file.number).st_size
    if size % 2:
        raise TokenError(f"[tokens] {path}: expected uint16 tokens, so an even number of bytes, got {size}.")
    tokens = Stream(path, file, vocabulary, 0, size // 2)
    for _ in _pieces(tokens):
        pass
    return tokens


def fingerprint(tokens: np.ndarray | Stream) -> str:
    """Tells streams apart: their length and CRC-32."""
    found = 0
    for piece in _pieces(tokens):
        found = zlib.crc32(piece.tobytes(), found)
    return f"{len(tokens)}-{found:08x}"


def _pieces(tokens: np.ndarray | Stream) -> Iterator[np.ndarray]:
    for start in range(0, len(tokens), _CHUNK):
        yield np.asarray(tokens[start : start + _CHUNK])


def _stories(file: TextIO) -> Iterator[str]:
    """The texts of a file, of which it holds only one and a piece in memory."""
    parts: list[str] = []  # parts of the current text; joined once, since texts may be as long as the file
    tail = ""  # may be the first half of a separator
    while chunk := file.read(_CHUNK):
        *whole, rest = (tail + chunk).split(_SEPARATOR)
        for one in whole:
            if story := "".join([*parts, one]).strip():
                yield story
            parts = []
        kept = max(0, len(rest) - len(_SEPARATOR) + 1)
        parts.append(rest[:kept])
        tail = rest[kept:]
    if story := "".join([*parts, tail]).strip():
        yield story


@dataclass(frozen=True, eq=False)
class TokenBatches:
    """Training batches (tokens, targets), both int32[batch,length]: a target is the token that follows.

    The windows of a stream lie end to end; each pass over them takes another order. Batches that fill no whole one are
    left out. An epoch is ``steps`` batches, wherever in a pass they begin, so that the batch at any position depends on
    (seed, position) alone. Raises BatchError when the stream has not enough windows for one batch.
    """

    tokens: np.ndarray | Stream
    batch: int
    length: int
    steps: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self._windows < self.batch:
            raise BatchError(
                f"[batches] expected {self.batch} windows of {self.length} tokens or more for a batch, got a stream of"
                f" {len(self.tokens)} tokens, which is {max(self._windows, 0)}."
            )

    @property
    def items(self) -> int:
        """Tokens in a batch."""
        return self.batch * self.length

    @property
    def _windows(self) -> int:
        return (len(self.tokens) - 1) // self.length

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of one epoch, from number ``start`` on."""
        in_pass = self._windows // self.batch
        known, starts = -1, np.zeros(0, np.int64)
        for position in range(epoch * self.steps + start, (epoch + 1) * self.steps):
            number, index = divmod(position, in_pass)
            if number != known:
                known, starts = number, self._order(number)
            yield _windows(self.tokens, starts[index * self.batch : (index + 1) * self.batch], self.length)

    def _order(self, number: int) -> np.ndarray:
        """The starts of the windows of a pass, shifted by a little, in random order."""
        rng = np.random.default_rng([self.seed, number])
        spare = len(self.tokens) - 1 - self._windows * self.length
        return rng.permutation(self._windows) * self.length + rng.integers(spare + 1)


@dataclass(frozen=True, eq=False)
class TokenEvaluation:
    """A stream in order, each token but the first once as target: (tokens, targets, weight), all [batch,length].

    Windows lie end to end, so the first tokens of a window have no context. Padding of the last batch has weight 0.
    Raises BatchError when there is no token to predict.
    """

    tokens: np.ndarray | Stream
    batch: int
    length: int

    def __post_init__(self) -> None:
        if len(self.tokens) < 2:
            raise BatchError(f"[batches] expected a stream of 2 tokens or more, got {len(self.tokens)}.")

    def __len__(self) -> int:
        return -(-(len(self.tokens) - 1) // (self.batch * self.length))

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        last = len(self.tokens) - 1
        for begin in range(0, last, self.batch * self.length):
            index = begin + np.arange(self.batch * self.length).reshape(self.batch, self.length)
            weight = (index < last).astype(np.float32)
            index = np.minimum(index, last - 1)
            yield self.tokens[index].astype(np.int32), self.tokens[index + 1].astype(np.int32), weight


def _windows(tokens: np.ndarray | Stream, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    found = tokens[starts[:, None] + np.arange(length + 1)].astype(np.int32)
    return np.ascontiguousarray(found[:, :-1]), np.ascontiguousarray(found[:, 1:])
