"""Names the inputs, outputs and states of an exported function."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from anejax.errors import ExportError, fail

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def of_array(path: str) -> str:
    """The path of an array: without the end that the path of a random key has for the one leaf of the key."""
    return path.replace("[<flat index 0>]", "")


def readable(path: str) -> str:
    """An identifier like ``params_w_0`` for ``params['w'][0]``."""
    path = of_array(path).replace("<flat index ", "")
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", path, flags=re.ASCII)).strip("_") or "value"
    return name if not name[0].isdigit() else f"_{name}"


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """``names``, with _1, _2, ... after those that are there already."""
    used, found = {*taken}, []
    for name in names:
        new, count = name, 0
        while new in used:
            count += 1
            new = f"{name}_{count}"
        used.add(new)
        found.append(new)
    return found


def chosen(
    what: str, names: Sequence[str] | str | None, derived: Sequence[str], taken: Iterable[str] = ()
) -> list[str]:
    """The names that the user gave to ports, or ``derived`` ones. Raises ExportError for names that will not do."""
    if names is None:
        return distinct(derived, taken)
    given = [names] if isinstance(names, str) else list(names)
    if len(given) != len(derived):
        fail("export", f"expected {len(derived)} names for the {what} ({', '.join(derived)}), got {given}", ExportError)
    for name in given:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            fail("export", f"expected names of letters, digits and _ for the {what}, got {name!r}", ExportError)
    if distinct(given, taken) != given:
        fail("export", f"expected names that no other port has for the {what}, got {given}", ExportError)
    return given


def check_text(what: str, text: object) -> None:
    """Raises ExportError unless ``text`` is a string that UTF-8 has: others end the process in Apple's runtime."""
    try:
        fine = isinstance(text, str) and text.encode() is not None
    except UnicodeEncodeError:
        fine = False
    if not fine:
        fail("export", f"expected {what} to be a string of UTF-8, got {text!r:.60}", ExportError)
