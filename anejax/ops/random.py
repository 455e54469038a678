"""threefry2x32: the counter-based generator behind all random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.ops.families import (
    INTEGER_OUTPUT,
    check_domain,
    elementwise_batch,
    joint_shape,
    primitive,
    zero_jvp,
)

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # Salmon et al. 2011, table 2, for 2 words of 32 bits
PARITY = np.uint32(0x1BD11BDA)


def _abstract(k0: Aval, k1: Aval, x0: Aval, x1: Aval) -> list[Aval]:
    avals = (k0, k1, x0, x1)
    for aval in avals:
        check_domain("threefry2x32", aval, (dtypes.uint32,))
    return [Aval(joint_shape("threefry2x32", avals), dtypes.uint32)] * 2


def _rotate(x: np.ndarray, by: int) -> np.ndarray:
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


def _impl(k0: np.ndarray, k1: np.ndarray, x0: np.ndarray, x1: np.ndarray) -> list[np.ndarray]:
    """20 rounds; a part of the key is added after every four."""
    keys = (k0, k1, k0 ^ k1 ^ PARITY)
    a, b = x0 + keys[0], x1 + keys[1]
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            a = a + b
            b = _rotate(b, by) ^ a
        a = a + keys[(group + 1) % 3]
        b = b + keys[(group + 2) % 3] + np.uint32(group + 1)
    shape = np.broadcast_shapes(k0.shape, k1.shape, x0.shape, x1.shape)
    return [np.broadcast_to(a, shape), np.broadcast_to(b, shape)]


threefry2x32_p = primitive("threefry2x32", multiple_results=True)
threefry2x32_p.fill(
    abstract=_abstract,
    impl=_impl,
    jvp=zero_jvp(threefry2x32_p),
    transpose=INTEGER_OUTPUT,
    batch=elementwise_batch(threefry2x32_p),
    mil=lambda ctx, k0, k1, x0, x1: ctx.emit_aj(k0=k0, k1=k1, x0=x0, x1=x1),
)


def threefry2x32(k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Two uint32 words of random bits from the counter (x0, x1) under the key (k0, k1); shapes are equal or rank 0."""
    a, b = threefry2x32_p.bind(k0, k1, x0, x1)
    return a, b
