"""The weight container: written as coremltools reads it, read as coremltools writes it, checked throughout."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anejax.errors import MilError
from anejax.mil.program import Type
from anejax.mil.weights import WeightWriter, read_weight, write_weights
from tests.mil.programs import EXAMPLES

ARRAYS = [
    np.arange(6, dtype=np.float16).reshape(2, 3),
    np.linspace(-1, 1, 33, dtype=np.float32),
    np.arange(-5, 5, dtype=np.int8),
    np.arange(70, dtype=np.uint8).reshape(7, 10),
]
TYPES = [Type("fp16", (2, 3)), Type("fp32", (33,)), Type("int8", (10,)), Type("uint8", (7, 10))]


def storage() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coremltools import libmilstoragepython
    return libmilstoragepython


def test_layout_of_one_blob() -> None:
    contents, offsets = write_weights([np.array([1, 2], np.float16)])
    assert offsets == [64]
    assert struct.unpack_from("<II", contents) == (1, 2)
    assert contents[8:64] == bytes(56)
    assert struct.unpack_from("<IIQQ", contents, 64) == (0xDEADBEEF, 1, 4, 128)
    assert contents[128:] == np.array([1, 2], np.float16).tobytes() + bytes(60)


def test_round_trip() -> None:
    contents, offsets = write_weights(ARRAYS)
    for array, type, offset in zip(ARRAYS, TYPES, offsets, strict=True):
        found = read_weight(contents, offset, type)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_coremltools_reads_it(tmp_path: Path) -> None:
    contents, offsets = write_weights(ARRAYS)
    path = tmp_path / "weight.bin"
    path.write_bytes(contents)
    reader = storage()._BlobStorageReader(str(path))
    reads = [reader.read_fp16_data, reader.read_float_data, reader.read_int8_data, reader.read_uint8_data]
    for array, read, offset in zip(ARRAYS, reads, offsets, strict=True):
        found = np.asarray(read(offset))
        np.testing.assert_array_equal(found, array.view(found.dtype).ravel())


def test_reads_what_coremltools_writes(tmp_path: Path) -> None:
    path = tmp_path / "weight.bin"
    writer = storage()._BlobStorageWriter(str(path))
    writes = [writer.write_fp16_data, writer.write_float_data, writer.write_int8_data, writer.write_uint8_data]
    flat = [ARRAYS[0].view(np.uint16).ravel(), *(a.ravel() for a in ARRAYS[1:])]
    offsets = [write(array) for write, array in zip(writes, flat, strict=True)]
    del writer, writes
    for array, type, offset in zip(ARRAYS, TYPES, offsets, strict=True):
        np.testing.assert_array_equal(read_weight(path.read_bytes(), offset, type), array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[:10], r"\[weights\] expected a header"),
        (lambda c: struct.pack("<II", 1, 3) + c[8:], r"\[weights\] expected a header of version 2"),
        (lambda c: c[:64] + bytes(64) + c[128:], r"\[weights\] expected a descriptor at 64, got 0x00000000"),
        (lambda c: c[:68] + struct.pack("<I", 2) + c[72:], r"\[weights\] expected tensor<fp16, \[2, 3\]> of 12 bytes"),
        (lambda c: c[:72] + struct.pack("<Q", 99) + c[80:], r"got dtype code 1, 99 bytes"),
        (lambda c: c[:80] + struct.pack("<Q", 2**40) + c[88:], r"\[weights\] expected the payload inside"),
        (lambda c: c[:130], r"\[weights\] expected the payload inside"),
    ],
)
def test_damage_is_noticed(change: Any, message: str) -> None:
    contents, _ = write_weights(ARRAYS[:1])
    with pytest.raises(MilError, match=message):
        read_weight(change(contents), 64, TYPES[0])


@pytest.mark.parametrize("offset", [0, 1, 65, 128, -64, 2**63])
def test_wrong_offsets(offset: int) -> None:
    contents, _ = write_weights(ARRAYS[:1])
    with pytest.raises(MilError, match=r"\[weights\] expected a descriptor"):
        read_weight(contents, offset, TYPES[0])


def test_dtypes_without_a_code() -> None:
    with pytest.raises(MilError, match=r"\[weights\] expected fp16 or fp32 or uint8 or int8 or int32, got int64"):
        WeightWriter().add(np.arange(3))


@EXAMPLES
@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes(contents: bytes, offset: int) -> None:
    with pytest.raises(MilError):
        read_weight(contents, offset, TYPES[0])
