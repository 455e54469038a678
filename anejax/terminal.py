"""Makes text from models, files and archives safe to print on a terminal."""

from __future__ import annotations

import re

_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` with a visible sign for each control character except tab and line feed, so a terminal obeys none.

    ESC becomes U+241B (its picture in Unicode), for example; the controls from U+0080 to U+009F and surrogates become
    U+FFFD.

    Example:
        >>> printable("a\\x1b[2Jb\\n")
        'a␛[2Jb\\n'
    """
    return _UNFIT.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
