"""llama2.c's tokenizer files: splits text into tokens by merging the pairs with the best scores, and joins tokens.

A file is an int32 (bytes of the longest token), then for each token a float32 score, an int32 length, and its bytes.
Numbers are little-endian, and a space stands for SentencePiece's own mark. Tokens 0, 1 and 2 are "unknown", BOS and
EOS. The next 256 tokens are the bytes, spelled ``<0x00>`` to ``<0xFF>``.
"""

from __future__ import annotations

import functools
import hashlib
import heapq
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from anejax.errors import AnejaxError
from anejax.foreign import sentence
from anejax.paths import atomic_file, read_file

BOS, EOS = 1, 2
_BYTES = 3  # the token of byte 0
_BYTE = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
_LONGEST = 1 << 16  # bytes in one token
_WORST = -1e10  # pairs are merged for scores above this one only
_CACHED_WORDS = 1 << 20
_MOST_BYTES = 1 << 25  # of a file
_MOST_TOKENS = 1 << 20  # of a file: four times those of the largest vocabularies in use


class TokenizerError(AnejaxError, ValueError):
    """A tokenizer file is damaged or of another size, or text or tokens are not what a tokenizer takes."""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """Tokens by number: their bytes and their scores.

    Encoding starts from characters (or, where the vocabulary lacks one, from its bytes) and merges the neighbours whose
    joint token has the highest score, the leftmost of equals, until none are left: llama2.c's order, and the outcome of
    SentencePiece's BPE.

    Example:
        >>> words = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % i for i in range(256)), b" ", b"a", b" a"]
        >>> tokenizer = Tokenizer(tuple(words), (0.0,) * len(words))
        >>> tokenizer.encode("a!")
        [1, 261, 36]
        >>> tokenizer.decode([1, 261, 36])
        'a!'
    """

    tokens: tuple[bytes, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) < _BYTES + 256 or len(self.scores) != len(self.tokens):
            raise TokenizerError(
                f"[tokenizer] expected {_BYTES + 256} tokens or more and a score for each, got {len(self.tokens)} and"
                f" {len(self.scores)}."
            )
        for value in range(256):
            spelled = _BYTE.fullmatch(self.tokens[_BYTES + value])
            if spelled is None or int(spelled[1], 16) != value:
                raise TokenizerError(
                    f"[tokenizer] expected token {_BYTES + value} to be <0x{value:02X}>, got"
                    f" {self.tokens[_BYTES + value]!r}."
                )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def digest(self) -> str:
        """Tells tokenizers apart: a SHA-256 of all that decides how they encode."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """The tokens of ``text``, to which a space is prefixed as llama2.c does, unless it is empty.

        Bytes that are not UTF-8 come as Python's surrogate escapes. Raises TokenizerError on other surrogates.
        """
        out = [BOS] if bos else []
        for word in self._words.finditer(f" {text}" if text else ""):
            out += self._word(word.group())
        return out

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of ``tokens`` without BOS, EOS and the space after BOS. Invalid UTF-8 becomes U+FFFD."""
        parts, previous = [], None
        for token in tokens:
            parts.append(self.piece(token, previous))
            previous = token
        return b"".join(parts).decode(errors="replace")

    def piece(self, token: int, previous: int | None = None) -> bytes:
        """The bytes that ``token`` adds to a text after the token ``previous``."""
        if not 0 <= token < len(self):
            raise TokenizerError(f"[tokenizer] expected a token below {len(self)}, got {token}.")
        if token in (BOS, EOS):
            return b""
        piece = self.tokens[token]
        if (byte := _BYTE.fullmatch(piece)) is not None:
            return bytes([int(byte[1], 16)])
        return piece.removeprefix(b" ") if previous == BOS else piece

    def to_bytes(self) -> bytes:
        """The content of a file that ``read`` takes."""
        parts = [struct.pack("<i", max(map(len, self.tokens)))]
        for token, score in zip(self.tokens, self.scores):
            parts += [struct.pack("<fi", score, len(token)), token]
        return b"".join(parts)

    def write(self, path: Path | str) -> None:
        """Writes a tokenizer file, as a whole or not at all. Raises OSError."""
        with atomic_file(Path(path)) as file:
            file.write(self.to_bytes())

    @functools.cached_property
    def _numbers(self) -> dict[bytes, int]:
        """Token -> number, the first one of equals."""
        return {token: i for i, token in reversed(list(enumerate(self.tokens)))}

    @functools.cached_property
    def _words(self) -> re.Pattern[str]:
        """Splits text where no merge can reach across: before a space that follows something else.

        That is so when no token has a space there, or the spelling of a byte next to something; else nothing is split.
        """
        crossing = re.compile(rb"[^ ] |.<0x[0-9A-Fa-f]{2}>|<0x[0-9A-Fa-f]{2}>.", re.DOTALL)
        if any(map(crossing.search, self.tokens)):
            return re.compile(r".+", re.DOTALL)
        return re.compile(r" *[^ ]+| +")

    @functools.cached_property
    def _word(self) -> Callable[[str], tuple[int, ...]]:
        return functools.lru_cache(_CACHED_WORDS)(self._encode_word)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return tuple(self._merge(self._characters(word)))

    def _characters(self, word: str) -> list[int]:
        out: list[int] = []
        for character in word:
            try:
                encoded = character.encode(errors="surrogateescape")
            except UnicodeEncodeError as err:
                raise TokenizerError(
                    f"[tokenizer] {character!r} is half of a character and cannot be encoded."
                ) from err
            number = self._numbers.get(encoded)
            out += [_BYTES + byte for byte in encoded] if number is None else [number]
        return out

    def _merge(self, tokens: list[int]) -> list[int]:
        """Merges pairs in the order of (score, position), by a heap over a doubly linked list."""
        tokens, end = list(tokens), len(tokens)
        after, before = list(range(1, end + 1)), list(range(-1, end - 1))
        heap: list[tuple[float, int, int, int, int]] = []

        def offer(left: int) -> None:
            right = after[left] if left >= 0 else end
            if right < end:
                pair = tokens[left], tokens[right]
                merged = self._numbers.get(self.tokens[pair[0]] + self.tokens[pair[1]])
                if merged is not None and self.scores[merged] > _WORST:
                    heapq.heappush(heap, (-self.scores[merged], left, right, *pair))

        for left in range(end - 1):
            offer(left)
        while heap:
            _, left, right, *pair = heapq.heappop(heap)
            if [tokens[left], tokens[right]] != pair or after[left] != right:
                continue  # one of the two has been merged meanwhile
            tokens[left] = self._numbers[self.tokens[pair[0]] + self.tokens[pair[1]]]
            tokens[right] = -1
            after[left] = after[right]
            if after[right] < end:
                before[after[right]] = left
            offer(before[left])
            offer(left)
        return [token for token in tokens if token >= 0]


def read(path: Path | str, size: int | None = None) -> Tokenizer:
    """The tokenizer in a file; ``size`` is how many tokens it must have.

    Raises TokenizerError when it is not such a file, or has another number of tokens; OSError.
    """
    data = read_file(path, _MOST_BYTES)
    tokens, scores, at = [], [], 4
    while at < len(data):
        if len(tokens) == _MOST_TOKENS:
            raise TokenizerError(f"[tokenizer] {path}: expected at most {_MOST_TOKENS:,} tokens, got more.")
        if at + 8 > len(data):
            raise TokenizerError(f"[tokenizer] {path} is cut off in token {len(tokens)}.{sentence(path)}")
        score, length = struct.unpack_from("<fi", data, at)
        at += 8 + length
        if not 0 <= length <= _LONGEST or at > len(data):
            raise TokenizerError(
                f"[tokenizer] {path} is not a llama2.c tokenizer, or damaged: token {len(tokens)} has length {length},"
                f" {len(data) - at + length} bytes before the end.{sentence(path)}"
            )
        tokens.append(data[at - length : at])
        scores.append(score)
    try:
        tokenizer = Tokenizer(tuple(tokens), tuple(scores))
    except TokenizerError as err:
        raise TokenizerError(f"{err} {path} is not a llama2.c tokenizer.{sentence(path)}") from None
    if size is not None and len(tokenizer) != size:
        raise TokenizerError(f"[tokenizer] {path}: expected {size} tokens, as the network has, got {len(tokenizer)}.")
    return tokenizer
