"""Speeds of the Neural Engines of M1 to M6, as data for the cost model (cost.py).

Marks of sources: [bench] published timings of single programs on that chip; [fit] two figures that this project fitted
to that chip's published convolutions or matrix products; [scaled] carried over from another chip, where bandwidth
scales with the number of cores, the floor with the inverse clock, and the peak with cores times clock. None of these
figures is promised by Apple, and none was measured by this project. docs/engine.md says how far predictions are from
the published timings. Figures that `anejax doctor` measured on a Mac replace them under the chip name "this"
(profile.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from anejax.errors import MilError, fail
from anejax.mil import profile

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chip:
    """One chip's figures: microseconds, TFLOP/s (2 operations per multiply-add), GB/s, bytes."""

    name: str
    family: str  # the family in limits.py
    floor_us: float  # the time of a dispatch, even of the smallest program
    peak_tflops: float  # the peak of chained convolutions
    transfer_gbs: float  # the rate of bytes that cross the program's border, and of values that do not fit the SRAM
    weight_gbs: float  # the rate of constants, and of inputs that products read
    sources: str
    product_points: Points = ()  # (FLOP, TFLOP/s above the floor) of square matrix products [bench]
    resident_bytes: float = 2_097_152  # the largest operand that stays in SRAM [bench]
    late_weight: tuple[float, float] | None = None  # (us, GB/s) of constants that are larger, where that was seen


_SQUARES = (268435456.0, 2147483648.0, 17179869184.0, 137438953472.0, 463856467968.0, 1099511627776.0)  # 512 ... 8192


def _points(*tflops: float) -> Points:
    return tuple(zip(_SQUARES, tflops))


_LATE_A13 = (120.0, 17.4)  # [fit]: five convolutions on M1
_FIT = "floor from its smallest timings, peak and transfers [fit], constants"
CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("M1", "A13", 220, 12.0, 10.0, 51, "all [bench]", _points(2.4, 2.78, 3.62, 4.36), late_weight=_LATE_A13),
        Chip("M1 Pro", "A13", 160, 9.5, 9.0, 51, f"{_FIT} of M1", _points(0.82, 1.83, 4.08, 4.61),
             late_weight=_LATE_A13),
        Chip("M1 Max", "A13", 160, 9.5, 9.0, 51, f"{_FIT} of M1", _points(0.82, 1.83, 4.08, 4.61),
             late_weight=_LATE_A13),
        Chip("M2", "A14", 100, 11.2, 9.8, 48, "floor and constants [bench], peak and transfers of M2 Max [scaled]"),
        Chip("M2 Pro", "A14", 100, 11.2, 9.8, 48, "as M2; products [bench]", _points(0.56, 1.13, 2.33, 3.37)),
        Chip("M2 Max", "A14", 100, 11.2, 9.8, 48, f"{_FIT} of M2", _points(1.42, 1.82, 4.63, 5.4)),
        Chip("M3", "A15", 94, 11.7, 9.8, 48, "no timing at all: M2 [scaled]"),
        Chip("M4", "A16", 100, 18.6, 24.05, 100, "floor from its smallest timings, peak [bench], transfers of M5"
             " Pro, weights [fit] to a whole network",
             _points(2.46, 3.32, 5.03, 5.46, 3.43, 3.51)),
        Chip("M4 Pro", "A16", 90, 13.3, 18.1, 145, f"{_FIT} of M5 Pro [scaled]", _points(5.71, 4.22, 6.41, 6.17)),
        Chip("M4 Max", "A16", 90, 11.9, 63.0, 145, f"{_FIT} of M5 Pro [scaled]",
             _points(5.48, 7.64, 9.3, 6.71, 3.75, 3.71)),
        Chip("M5", "A16", 80, 24.8, 24.8, 112, f"{_FIT} [one]", _points(7.46, 6.07, 8.97, 7.29)),
        Chip("M5 Pro", "A16", 75, 19.6, 24.05, 145, "all [bench]", resident_bytes=4_720_000),
        Chip("M6", "A16", 80, 24.8, 24.8, 112, "no timing at all: M5", _points(7.46, 6.07, 8.97, 7.29)),
    )
}  # fmt: skip

# The time that some operations take in addition to moving their elements, in ns per byte read and written: 1 / their
# GB/s as a separate program, less 1 / that of an elementwise operation, on M5 Pro [bench]. The figures are assumed for
# other chips too: on M1 Pro they are right within 8 % for layer_norm.
_ELEMENTWISE_GBS = 24.05
_ALONE_GBS = {
    "gelu": 23.2, "reduce_sum": 22.4, "reduce_mean": 22.4, "reduce_max": 22.4, "reduce_min": 22.4,
    "reduce_sum_square": 22.4, "reduce_log_sum_exp": 15.1, "softmax": 15.1, "layer_norm": 4.38, "instance_norm": 4.38,
}  # fmt: skip
EXTRA_NS_PER_BYTE: dict[str, float] = {op: 1 / gbs - 1 / _ELEMENTWISE_GBS for op, gbs in _ALONE_GBS.items()}

# A convolution whose features do not mix is this many times slower than a product: 25 steps of 9 multiply-adds for each
# of 512 x 512 numbers take 0.29 ms above the floor on M1 Pro [bench], which is 1 / 23 of its peak.
BY_FEATURE = 23.0
ROW_BYTES = 64  # rows of the last axis are padded to it in memory [bench]
FREE_OP_US = 6.3  # an operation inside a chain of 32 took no more than this on M1 [bench]
MEDIAN_ERROR = 0.31  # error of the best published model of this kind, over 68 whole graphs; docs/engine.md has ours


BY_COREAI = " by Core AI"  # behind the name of a chip whose engine is reached through Core AI
COREAI_FLOOR_US = 1000.0  # 700 to 1100 for each part of a program (john-rocky/coreai-model-zoo)
THIS = "this"  # the machine at hand, as `anejax doctor` measured it
NAMES = (*CHIPS, THIS)


def chip_of(name: str) -> Chip:
    """The figures of chip ``name``: one of CHIPS, or "this" for those that `anejax doctor` measured on this machine.

    A name of CHIPS always means the figures here, whatever was measured. With BY_COREAI behind it, dispatches take as
    long as Core AI's. Raises MilError, naming those there are, for
    another name, and for "this" when there is no sound profile.
    """
    if name.endswith(BY_COREAI):
        chip = chip_of(name.removesuffix(BY_COREAI))
        return replace(chip, name=name, floor_us=max(chip.floor_us, COREAI_FLOOR_US))
    if name == THIS:
        return measured(profile.read())
    found = CHIPS.get(name)
    if found is None:
        fail("chip", f"expected one of {', '.join(NAMES)}, got {name!r}", MilError)
    return found


LATEST = list(CHIPS)[-1]
STRICTEST = "M1"  # its engine has the smallest limits and the fewest operations, so every engine takes its programs


def this_chip() -> str | None:
    """The chip of this machine ("M4 Pro"), or the base model of its generation, or the latest known one where that is
    not known; None off Apple silicon."""
    machine = profile.this_machine()
    return known_chip(machine) or (LATEST if is_unknown(machine) else None)


def is_unknown(machine: str) -> bool:
    """Whether the system calls its processor one of Apple's ("Apple M9") that is not in CHIPS, nor its generation."""
    return re.match(r"Apple M\d", machine) is not None and known_chip(machine) is None


def known_chip(brand: str) -> str | None:
    """The entry of CHIPS for a processor's brand ("Apple M3 Ultra"): itself, else its generation's, else None."""
    name = brand.strip().removeprefix("Apple ")
    return name if name in CHIPS else next((c for c in CHIPS if c == name.split(" ")[0]), None)


def nearest(machine: str) -> Chip:
    """The figures for what the system calls ``machine`` ("Apple M4 Pro"); the latest for one that is not known."""
    return CHIPS[known_chip(machine) or LATEST]


def measured(found: profile.Profile) -> Chip:
    """A profile's figures, those of its base where it has none. Raises MilError for a base that is not known."""
    base = CHIPS.get(found.base)
    if base is None:
        fail("chip", f"expected a profile based on one of {', '.join(CHIPS)}, got {found.base!r}", MilError)
    figures = {k: getattr(found, k) or getattr(base, k) for k in _MEASURED}
    kept = [k for k in _MEASURED if not getattr(found, k)]
    sources = f"measured on {found.date} by anejax doctor, {found.machine}, {found.espresso}"
    return replace(
        base, name=THIS, sources=f"{sources}; {', '.join(kept)} of {base.name}" if kept else sources, **figures
    )


_MEASURED = ("floor_us", "peak_tflops", "transfer_gbs", "weight_gbs", "product_points")
