"""Chip profiles: written and read again, and refused when they are not sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anejax.errors import MilError
from anejax.mil import profile
from anejax.mil.chips import CHIPS, chip_of, known_chip, measured, nearest
from anejax.mil.profile import Profile

SOUND = Profile("Apple M4 Pro", "M4 Pro", "25A354", "Espresso", "2026-01-31", 92.5, 14.0, None, 150.0,
                ((1e6, 0.5), (1e9, 4.0)))  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path))
    monkeypatch.setattr(profile, "this_machine", lambda: "Apple M4 Pro")
    return tmp_path


def test_round_trip(cache: Path) -> None:
    with pytest.raises(MilError, match="run `anejax doctor`"):
        chip_of("this")
    assert profile.save(SOUND) == cache / "profiles" / "apple-m4-pro.json"
    assert profile.read() == SOUND
    chip = chip_of("this")
    assert (chip.name, chip.family, chip.floor_us, chip.peak_tflops) == ("this", "A16", 92.5, 14.0)
    assert chip.transfer_gbs == CHIPS["M4 Pro"].transfer_gbs and "transfer_gbs of M4 Pro" in chip.sources
    assert chip.product_points == SOUND.product_points
    assert chip_of("M4 Pro") is CHIPS["M4 Pro"]  # a name means the figures of the table


def test_chips_of_machines() -> None:
    assert nearest("Apple M2 Max").name == "M2 Max" and known_chip("x86_64") is None
    assert nearest("Apple M9").name == list(CHIPS)[-1]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"extra": 1}, {"floor_us": -1.0}, {"floor_us": "90"}, {"floor_us": True}, {"floor_us": 1e300},
        {"floor_us": None}, {"peak_tflops": 0.0}, {"machine": ""}, {"machine": "\x1b[31m"}, {"base": "x" * 300},
        {"product_points": [[1.0]]}, {"product_points": [[2e9, 1.0], [1e9, 1.0]]}, {"product_points": {}},
        {"product_points": [[float(i), 1.0] for i in range(1, 100)]}, {"date": ["2026"]},
        {"floor_us": 10**400}, {"peak_tflops": 10**400}, {"product_points": [[10**400, 1.0]]}, {"schema": 10**400},
        {"floor_us": -(10**400)}, {"machine": 10**400},
    ],
)  # fmt: skip
def test_unsound_profiles(change: dict[str, Any]) -> None:
    content = SOUND.to_json() | change
    with pytest.raises(MilError, match="run `anejax doctor`"):
        profile.parse(json.dumps(content).encode(), "here")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 60000,
        b" " * 70000,
        b'{"schema": NaN}',
        b'{"schema": 1}',
        b'{"schema": ' + b"9" * 5000 + b"}",
    ],
)
def test_other_files(data: bytes) -> None:
    with pytest.raises(MilError, match="run `anejax doctor`"):
        profile.parse(data, "here")


@pytest.mark.parametrize("base", ["this", "M99"])
def test_a_base_is_a_chip_of_the_table(base: str) -> None:
    with pytest.raises(MilError, match="based on one of M1"):
        measured(Profile("a", base, "b", "c", "d", 1.0))


def test_save_refuses_what_read_would() -> None:
    with pytest.raises(MilError, match="the number Infinity"):
        profile.save(Profile("a", "M1", "b", "c", "d", float("inf")))


def test_a_profile_is_a_regular_file(cache: Path) -> None:
    (cache / "profiles").mkdir()
    (cache / "profiles" / "apple-m4-pro.json").symlink_to("/dev/zero")
    with pytest.raises(MilError, match="expected a regular file, got a device"):
        profile.read()
