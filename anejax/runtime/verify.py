"""Compares an engine's results with the CPU device's, because engines are known to return wrong numbers silently."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from anejax.runtime import library
from anejax.runtime.overflow import Row
from anejax.runtime.programs import Compiled

# A fraction of the Euclidean norm of the CPU device's results. Right results differ by a few percent at most, because
# activations come from tables (docs/sources.md, "Activations"). Stale, zero, shifted or unread data differ by about 1.
WRONG = 0.25
PATIENCE = 40  # runs that overflow, and prove nothing, before a difference counts: a loss scale needs 24 from 2^24 to 1
NOISE = 2.0**-14  # the smallest normal number of float16; smaller ones may be flushed to zero


def difference(reference: Compiled, inputs: Sequence[int], outputs: Sequence[int]) -> str | None:
    """Describes the difference between an engine's ``outputs`` for ``inputs`` (both are addresses) and the reference,
    or None.

    ``reference`` is the same program for the CPU device with the engine's numerics. Infinities and NaN of either are
    left out, as overflow may differ; but where the reference is finite, most of the results must be.
    """
    expected, addresses = library.create_buffers(reference.output_nbytes)
    reference.run(inputs, addresses)
    pairs = zip(reference.read_outputs([b.pointer for b in expected]), reference.read_outputs(outputs))
    for i, (want, got) in enumerate(pairs):
        found = _wrong(want.astype(np.float32), got.astype(np.float32))
        if found is not None:
            return f"output {i} of its first run {found}, against the CPU device's"
    return None


def overflows(rows: Iterable[Row]) -> bool:
    """Whether the counts of a program of cpu-fp16 have an overflow or a NaN.

    If they have, a comparison proves nothing: on the engine a sum of infinities may be 0 or infinite (docs/sources.md,
    "Infinities and NaN"), and everything that depends on it may be any number.
    """
    return any(r["overflowed"] or r["nan"] for r in rows)


def loses(reference: Compiled, inputs: Sequence[int], outputs: Sequence[int]) -> bool:
    """Whether ``outputs`` of ``inputs`` differ from the float32 results of ``reference``, or are not finite."""
    expected, addresses = library.create_buffers(reference.output_nbytes)
    reference.run(inputs, addresses)
    pairs = zip(reference.read_outputs([b.pointer for b in expected]), reference.read_outputs(outputs))
    for want, got in ((w.astype(np.float32), g.astype(np.float32)) for w, g in pairs):
        if (np.isfinite(want) & ~np.isfinite(got)).any() or _wrong(want, got) is not None:
            return True
    return False


def _wrong(want: np.ndarray, got: np.ndarray) -> str | None:
    finite = np.isfinite(want)
    both = finite & np.isfinite(got)
    if 2 * both.sum() < finite.sum():
        return f"is infinite or NaN at {finite.sum() - both.sum()} of {want.size} places"
    error = float(np.linalg.norm(want[both] - got[both]))
    size = float(np.linalg.norm(want[both]))
    if error > WRONG * size + NOISE * both.sum() ** 0.5:
        return f"is off by {error:.3g}, at a norm of {size:.3g}"
    return None
