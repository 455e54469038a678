"""Translates compressed weights (constexpr operations), which Core AI decompresses when it loads them."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from anejax.coreai.operands import Operation, writes
from anejax.coreai.text import Tensor
from anejax.coreai.words import Writer
from anejax.mil.constexpr import BITS, PALETTE, SCALED

NARROW = {("int8", 4): ml_dtypes.int4, ("uint8", 2): ml_dtypes.uint2, ("uint8", 4): ml_dtypes.uint4}


def _stored(w: Writer, op: Operation, name: str) -> Tensor:
    """A constant of small integers, in as few bits as it has."""
    data, bits = op.array(name), op.attribute(BITS)
    return w.constant(data if bits is None else data.astype(NARROW[data.dtype.name, bits]))


@writes(SCALED)
def _scaled(w: Writer, op: Operation) -> Tensor:
    """scale * (data - zero) + offset."""
    data, scale = _stored(w, op, "data"), op.tensor("scale")
    nothing = [w.constant(np.zeros(scale.shape, dtype)) for dtype in (data.dtype, scale.dtype)]
    return w.op("blockwise_shift_scale", data, scale, *nothing, out=(op.shape, op.dtype))


@writes(PALETTE)
def _palette(w: Writer, op: Operation) -> Tensor:
    """lut[indices]; values of one element, so the axis of vectors is of no account."""
    indices, lut = _stored(w, op, "indices"), op.tensor("lut")
    return w.op("lut_to_dense", indices, lut, w.constant(np.int16(0)), out=(op.shape, op.dtype))
