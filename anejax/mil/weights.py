"""The file of large constants (`BLOBFILE`): MIL Blob Storage, version 2.

    0    u32 number of blobs, u32 version, zeros up to 64
    d    u32 magic, u32 dtype code, u64 payload bytes, u64 payload offset, zeros up to d + 64
    ...  payload, row-major, little-endian, padded to 64 bytes; then the next descriptor

The offset in a BLOBFILE is that of the descriptor d. The first descriptor is at 64.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

import numpy as np

from anejax.errors import MilError, fail
from anejax.mil.program import MIL_DTYPES, NUMPY_DTYPES, Array, BlobRef, Type

ALIGNMENT = 64
VERSION = 2
MAGIC = 0xDEADBEEF
HEADER = struct.Struct("<II56x")
DESCRIPTOR = struct.Struct("<IIQQ40x")
PACKED = struct.Struct("<IIQQQ32x")  # with the bits that are left in the last byte
DTYPE_CODES = {"fp16": 1, "fp32": 2, "uint8": 3, "int8": 4, "int32": 14}
# codes of elements with fewer than 8 bits, packed from the lowest bit of a byte on (MILBlob/Blob/BlobDataType.hpp)
PACKED_CODES = {"int4": 8, "uint2": 10, "uint4": 11, "uint6": 13}


class WeightWriter:
    """Collects arrays, equal ones once: `add` tells where the descriptor will be, `contents` is the file."""

    def __init__(self, path: str = "@model_path/weights.bin") -> None:
        self.path = path
        self._chunks: list[bytes] = []
        self._end = HEADER.size
        self._count = 0
        self._known: dict[tuple[str, bytes], BlobRef] = {}

    def add(self, array: Array) -> BlobRef:
        """Stores an array and returns its offset. Equal bytes of one dtype are stored once."""
        dtype = MIL_DTYPES.get(array.dtype, "")
        if dtype not in DTYPE_CODES:
            fail("weights", f"expected {' or '.join(DTYPE_CODES)}, got {array.dtype}", MilError)
        payload = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return self._added(dtype, DTYPE_CODES[dtype], payload, 0)

    def add_packed(self, array: Array, bits: int) -> BlobRef:
        """Stores the lowest ``bits`` of each element of int8 or uint8, and returns the offset."""
        dtype = f"{array.dtype.name.removesuffix('8')}{bits}"
        if dtype not in PACKED_CODES:
            fail("weights", f"expected {' or '.join(PACKED_CODES)}, got {dtype}", MilError)
        return self._added(dtype, PACKED_CODES[dtype], packed(array, bits), -array.size * bits % 8)

    def _added(self, dtype: str, code: int, payload: bytes, spare: int) -> BlobRef:
        key = (dtype, hashlib.sha256(payload).digest())
        if key in self._known:
            return self._known[key]
        offset = self._end
        descriptor = PACKED.pack(MAGIC, code, len(payload), offset + DESCRIPTOR.size, spare)
        padding = bytes(-len(payload) % ALIGNMENT)
        self._chunks.append(descriptor + payload + padding)
        self._end += len(self._chunks[-1])
        self._count += 1
        self._known[key] = BlobRef(self.path, offset)
        return self._known[key]

    def contents(self) -> bytes:
        return HEADER.pack(self._count, VERSION) + b"".join(self._chunks)


def packed(array: Array, bits: int) -> bytes:
    """The lowest ``bits`` of each element of int8 or uint8, one after the other."""
    places = np.unpackbits(array.ravel().view(np.uint8)[:, None], axis=1, count=bits, bitorder="little")
    return np.packbits(places, bitorder="little").tobytes()


def write_weights(arrays: Iterable[Array]) -> tuple[bytes, list[int]]:
    """A container of `arrays`, and the offset of each one's descriptor."""
    writer = WeightWriter()
    offsets = [writer.add(array).offset for array in arrays]
    return writer.contents(), offsets


def read_weight(contents: bytes, offset: int, type: Type) -> Array:
    """The array of `type` whose descriptor is at `offset`; every field is checked first."""
    if len(contents) < HEADER.size or HEADER.unpack_from(contents)[1] != VERSION:
        fail("weights", f"expected a header of version {VERSION}, got {contents[:8]!r}", MilError)
    if offset % ALIGNMENT or not HEADER.size <= offset <= len(contents) - DESCRIPTOR.size:
        fail("weights", f"expected a descriptor's offset, a multiple of {ALIGNMENT}, got {offset}", MilError)
    magic, code, nbytes, start = DESCRIPTOR.unpack_from(contents, offset)
    if magic != MAGIC:
        fail("weights", f"expected a descriptor at {offset}, got {magic:#010x}", MilError)
    if code != DTYPE_CODES.get(type.dtype) or nbytes != type.nbytes:
        fail("weights", f"expected {type} of {type.nbytes} bytes, got dtype code {code}, {nbytes} bytes", MilError)
    if start < offset + DESCRIPTOR.size or start + nbytes > len(contents):
        fail("weights", f"expected the payload inside {len(contents)} bytes, got {start} + {nbytes}", MilError)
    return np.frombuffer(contents, NUMPY_DTYPES[type.dtype], type.size, start).reshape(type.shape)
