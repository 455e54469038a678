"""Texts as streams of characters. Each character that occurs gets a number, in the order of Unicode."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anejax.errors import AnejaxError
from anejax.paths import open_file

_MOST_BYTES = 1 << 28
_MOST_CHARACTERS = 1 << 16  # different ones
_PIECE = 1 << 20  # bytes


class TextError(AnejaxError, ValueError):
    """A file is no text that can be trained on, or a text has characters that the alphabet lacks."""


@dataclass(frozen=True)
class Alphabet:
    """The characters that a network knows.

    Example:
        >>> abc = Alphabet("abc")
        >>> abc.encode("cab"), abc.decode([1, 0])
        (array([2, 0, 1], dtype=uint16), 'ba')
    """

    characters: str  # sorted, each once

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The numbers uint16[n] of a text's characters. Raises TextError if a character is not in the alphabet."""
        known, points = _points(self.characters), _points(text)
        index = np.minimum(np.searchsorted(known, points), len(known) - 1)
        if np.any(known[index] != points):
            position = int(np.argmax(known[index] != points))
            raise TextError(f"[chars] the network has not seen the character {text[position]!r}.")
        return index.astype(np.uint16)

    def decode(self, numbers: np.ndarray | list[int]) -> str:
        """The text of numbers."""
        return "".join(self.characters[number] for number in numbers)


def load(path: Path | str) -> tuple[Alphabet, np.ndarray]:
    """(alphabet, numbers uint16[n]) of a UTF-8 file, in which every kind of line break is one ``\\n``.

    Beside the numbers it holds a piece of the text only. Raises TextError when it is no text, too short or too large;
    OSError when it cannot be read.
    """
    with open_file(path) as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise TextError(f"[chars] {path}: expected at most {_MOST_BYTES >> 20} MB of text; cut a piece from it.")
        order = np.full(sys.maxunicode + 1, -1)  # code point -> how many others came before it
        numbers, count = [np.empty(0, np.uint16)], 0
        for points in _pieces(file, path):
            new = np.unique(points[order[points] < 0])
            order[new] = np.arange(count, count + len(new))
            count += len(new)
            if count <= _MOST_CHARACTERS:
                numbers.append(order[points].astype(np.uint16))
    known = np.flatnonzero(order >= 0)
    if not 2 <= count <= _MOST_CHARACTERS:
        raise TextError(f"[chars] {path}: expected 2 to 65,536 different characters, got {count}.")
    sorted_number = np.empty(count, np.uint16)  # order of coming -> order of Unicode
    sorted_number[order[known]] = np.arange(count)
    for piece in numbers:
        piece[:] = sorted_number[piece]
    return Alphabet("".join(map(chr, known))), np.concatenate(numbers)


def _pieces(file: io.BufferedReader, path: Path | str) -> Iterator[np.ndarray]:
    """The code points of a text, piece by piece."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, behind = io.IncrementalNewlineDecoder(decoder, translate=True), 0
    while True:
        piece = file.read(_PIECE)
        start = behind - len(decoder.getstate()[0])  # start of the piece; a character may be cut in two
        try:
            text = lines.decode(piece, final=not piece)
        except UnicodeDecodeError as err:
            at = start + err.start
            raise TextError(f"[chars] {path}: expected text in UTF-8: {err.reason} at byte {at}.") from err
        yield _points(text)
        if not piece:
            return
        behind += len(piece)


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
