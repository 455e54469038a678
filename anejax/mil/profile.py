"""Profiles of chips: the figures that `anejax doctor` measured on this machine, stored for the cost model.

A profile is a JSON file, `profiles/<machine>.json` in the cache folder, and `chip="this"` reads it (chips.py). Files
are not trusted: size, schema, keys, types and ranges are checked before a figure is used.
"""

from __future__ import annotations

import functools
import itertools
import json
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, cast

from anejax.errors import MilError, fail
from anejax.paths import atomic_file, cache_dir, read_file

SCHEMA = 1
MAX_BYTES = 65536  # of a file
MAX_POINTS = 64
MAX_TEXT = 200


@dataclass(frozen=True)
class Profile:
    """Measured figures, in the units of chips.Chip.

    Attributes:
        machine: the chip as the system names it.
        base: the chip of chips.py whose figures stand where none was measured.
        system: the system's build.
        espresso: "Espresso", or the name of the library in its place.
        date: when it was measured, YYYY-MM-DD.
        floor_us, peak_tflops, transfer_gbs, weight_gbs: as in Chip; None where it could not be measured.
        product_points: (FLOP, TFLOP/s above the floor) of square matrix products.
    """

    machine: str
    base: str
    system: str
    espresso: str
    date: str
    floor_us: float
    peak_tflops: float | None = None
    transfer_gbs: float | None = None
    weight_gbs: float | None = None
    product_points: tuple[tuple[float, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {"schema": SCHEMA, **asdict(self)}


def path_of(machine: str) -> Path:
    """The path of the profile of ``machine``."""
    name = re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    return cache_dir() / "profiles" / f"{name or 'machine'}.json"


def save(profile: Profile) -> Path:
    """Writes the profile in one piece; returns where. Raises MilError for one that `read` would refuse, and OSError."""
    text = json.dumps(profile.to_json(), indent=2)
    path = path_of(profile.machine)
    parse(text.encode(), str(path))
    with atomic_file(path, "w") as file:
        file.write(text + "\n")
    return path


def read() -> Profile:
    """The profile of this machine. Raises MilError when there is none or it is not sound, and says what to do."""
    path = path_of(this_machine())
    try:
        data = read_file(path, MAX_BYTES)
    except FileNotFoundError:
        fail(
            "chip",
            f"expected a profile of this machine at {path}: run `anejax doctor` on a Mac, or name a chip",
            MilError,
        )
    except OSError as err:
        fail("chip", f"{path} cannot be read: {err.strerror or err}", MilError)
    return parse(data, str(path))


def parse(data: bytes, where: str) -> Profile:
    """The profile that a file holds. Raises MilError for anything but a sound one."""
    if len(data) > MAX_BYTES:
        _unsound(where, f"more than {MAX_BYTES} bytes")
    content: Any = None
    try:
        content = json.loads(data.decode(), parse_constant=lambda word: _unsound(where, f"the number {word}"))
    except (UnicodeDecodeError, ValueError, RecursionError) as err:
        _unsound(where, f"no JSON ({type(err).__name__})")
    names = {f.name for f in fields(Profile)}
    found = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    if found.get("schema") != SCHEMA:
        _unsound(where, f"no profile of schema {SCHEMA}")
    if set(found) != {"schema", *names}:
        _unsound(where, f"the keys {', '.join(sorted(set(found) ^ {'schema', *names}))[:MAX_TEXT]} too many or few")
    return Profile(**{n: _FIELDS[n](found[n], n, where) for n in names})


def _unsound(where: str, what: str) -> NoReturn:
    fail(
        "chip",
        f"expected a profile of `anejax doctor`, got {what} in {where}: delete it and run `anejax doctor`",
        MilError,
    )


# ---- fields: readers of (value, name, where)


def _text(value: Any, name: str, where: str) -> str:
    fine = isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()
    return value if fine else _unsound(where, f"another {name} than a short line of text")


def _number(low: float, high: float) -> Callable[[Any, str, str], float]:
    def reads(value: Any, name: str, where: str) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # false for NaN, and asks nothing of an integer's size
            _unsound(where, f"another {name} than a number from {low:g} to {high:g}")
        return float(value)

    return reads


def _optional(reads: Callable[[Any, str, str], float]) -> Callable[[Any, str, str], float | None]:
    return lambda value, name, where: None if value is None else reads(value, name, where)


def _points(value: Any, name: str, where: str) -> tuple[tuple[float, float], ...]:
    pairs = cast("list[Any]", value) if isinstance(value, list) else []
    if not isinstance(value, list) or len(pairs) > MAX_POINTS:
        _unsound(where, f"no list as {name}")
    if any(not isinstance(p, list) or len(cast("list[Any]", p)) != 2 for p in pairs):
        _unsound(where, f"other {name} than pairs")
    points = tuple((_FLOPS(f, name, where), _RATE(r, name, where)) for f, r in pairs)
    if any(a[0] >= b[0] for a, b in itertools.pairwise(points)):
        _unsound(where, f"{name} that do not ascend")
    return points


_FLOPS = _number(1.0, 1e18)
_RATE = _number(1e-9, 1e6)  # TFLOP/s, GB/s
_FIELDS: dict[str, Callable[[Any, str, str], Any]] = {
    **dict.fromkeys(("machine", "base", "system", "espresso", "date"), _text),
    **dict.fromkeys(("peak_tflops", "transfer_gbs", "weight_gbs"), _optional(_RATE)),
    "floor_us": _number(1e-3, 1e7),
    "product_points": _points,
}


# ---- the machine


@functools.cache
def this_machine() -> str:
    """The chip as the system names it, such as "Apple M4 Pro"; the instruction set where it does not say."""
    return _system_value("machdep.cpu.brand_string") or platform.processor() or platform.machine() or "unknown"


@functools.cache
def system_build() -> str:
    """The system's build, such as "25A354" of macOS."""
    return _system_value("kern.osversion") or f"{platform.system()} {platform.release()}"


def _system_value(name: str) -> str:
    if platform.system() != "Darwin":
        return ""
    done = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()
