"""Texts as streams of characters: each character of a text has a number, in the order of Unicode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anejax.errors import AnejaxError

_MOST_BYTES = 1 << 28


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
        """The numbers uint16[n] of a text. Raises TextError when a character has none."""
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
    """(alphabet, numbers uint16[n]) of a UTF-8 file.

    Raises TextError when it is no text, too short or too large; OSError when it cannot be read.
    """
    path = Path(path)
    if path.stat().st_size > _MOST_BYTES:
        raise TextError(f"[chars] {path}: expected at most {_MOST_BYTES >> 20} MB of text; cut a piece from it.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as err:
        raise TextError(f"[chars] {path}: expected text in UTF-8: {err.reason} at byte {err.start}.") from err
    points, numbers = np.unique(_points(text), return_inverse=True)
    if not 2 <= len(points) <= 1 << 16:
        raise TextError(f"[chars] {path}: expected 2 to 65,536 different characters, got {len(points)}.")
    return Alphabet("".join(map(chr, points))), numbers.astype(np.uint16)


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
