"""save and load: every dtype and node, files of others, files that are damaged or hostile."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import anejax as aj
import anejax.numpy as jnp
from anejax.errors import DtypeError, FileError, TreeError

DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "uint8",
    "uint16",
    "uint32",
    "float16",
    "float32",
    "complex64",
    ml_dtypes.bfloat16,
]


def same(a: Any, b: Any) -> None:
    assert aj.tree.structure(a) == aj.tree.structure(b)
    for x, y in zip(aj.tree.leaves(a), aj.tree.leaves(b), strict=True):
        if isinstance(y, aj.Array) and y.dtype == aj.random.key(0).dtype:
            assert x.dtype == y.dtype
            x, y = aj.random.key_data(x), aj.random.key_data(y)
        assert x.dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (3, 5, 7)])
def test_arrays_come_back(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    given = [x, jnp.asarray(x), np.asfortranarray(x)]
    aj.save(tmp_path / "x", given)
    same(aj.load(tmp_path / "x"), given)
    same(aj.load(tmp_path / "x", like=given), given)


def test_structures_come_back(tmp_path: Path) -> None:
    x = jnp.arange(3.0)
    given = {"b": [x, (x + 1, None), {}], "a": {7: x, 2: ()}, "key": aj.random.key(3), "n": jnp.int32(2)}
    aj.save(tmp_path / "t", given)
    found = aj.load(tmp_path / "t")
    same(found, given)
    assert list(found) == ["a", "b", "key", "n"] and list(found["a"]) == [2, 7]
    names = set(safetensors.numpy.load_file(tmp_path / "t"))
    assert names == {"a.7", "b.0", "b.1.0", "key", "n"}
    for whole in (x, [], {}, None, aj.random.split(aj.random.key(0), 2)):
        aj.save(tmp_path / "t", whole)
        same(aj.load(tmp_path / "t"), whole)


def test_names_that_dots_make_equal_are_told_apart(tmp_path: Path) -> None:
    given = {"a.b": jnp.ones(1), "a": {"b": jnp.zeros(2)}}
    aj.save(tmp_path / "t", given)
    same(aj.load(tmp_path / "t"), given)


class State(NamedTuple):
    step: Any
    mean: Any


def test_other_nodes_need_like(tmp_path: Path) -> None:
    given = {"opt": State(jnp.int32(3), jnp.ones(2)), "params": aj.optim.adam(0.1).init({"w": jnp.ones(3)})}
    aj.save(tmp_path / "t", given)
    with pytest.raises(TreeError, match=r"class State; .*like="):
        aj.load(tmp_path / "t")
    same(aj.load(tmp_path / "t", like=given), given)
    same(aj.load(tmp_path / "t", like=aj.eval_shape(lambda: given)), given)


@pytest.mark.parametrize(
    ("like", "words"),
    [({"a": jnp.ones(2), "b": jnp.ones(1)}, "has no array 'b'"), ({}, "has an array 'a'"),
     ({"a": jnp.ones(3)}, r"a to be float32\[3\], as in `like`, got float32\[2\]"),
     ({"a": jnp.ones(2, jnp.int32)}, "a to be int32")],
)  # fmt: skip
def test_like_must_fit(tmp_path: Path, like: Any, words: str) -> None:
    aj.save(tmp_path / "t", {"a": jnp.ones(2)})
    with pytest.raises(TreeError, match=words):
        aj.load(tmp_path / "t", like=like)


def test_files_of_others_are_dictionaries(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"a.b": np.ones(2, np.float64), "n": np.array(5)}, tmp_path / "t")
    found = aj.load(tmp_path / "t")
    assert (found["a.b"].dtype, found["n"].dtype, int(found["n"])) == (np.float32, np.int32, 5)
    with aj.enable_x64(True):
        assert aj.load(tmp_path / "t")["a.b"].dtype == np.float64
    safetensors.numpy.save_file({"n": np.array(2**40)}, tmp_path / "t")
    with pytest.raises(DtypeError, match="n has numbers beyond int32"):
        aj.load(tmp_path / "t")


def test_what_cannot_be_saved_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    aj.save(path, jnp.ones(2))
    for tree, error, words in [
        ({"a": object()}, DtypeError, r"\[save\] a: .*object"),
        ({"a": "text"}, DtypeError, "got str"),
        ({(1, 2): jnp.ones(1)}, TreeError, r"keys that are strings or integers, got \(1, 2\)"),
    ]:
        with pytest.raises(error, match=words):
            aj.save(path, tree)
    same(aj.load(path), jnp.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
    with pytest.raises(OSError, match=str(path)):
        aj.save(path / "inside a file", jnp.ones(1))
    aj.save(tmp_path / "a" / "new" / "folder", jnp.ones(1))
    with pytest.raises(OSError, match="nothing"):
        aj.load(tmp_path / "nothing")


def written(path: Path, header: bytes, data: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


@pytest.mark.parametrize(
    "structure",
    ['{"dict": [["a", "missing"]]}', '{"set": ["a"]}', "{", "[" * 5000, '{"list": ' * 300 + '"a"' + "}" * 300, "5",
     '{"dict": "a"}', '{"list": 3}', '{"list": [], "dict": []}', '{"dict": [[[], "a"]]}', '{"key": {}}'],
    ids=lambda s: s[:20],
)  # fmt: skip
def test_structures_that_do_not_fit(tmp_path: Path, structure: str) -> None:
    arrays = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "__metadata__": {"anejax_tree": structure}}
    with pytest.raises(FileError, match="does not fit its arrays"):
        aj.load(written(tmp_path / "t", json.dumps(arrays).encode(), b"\0" * 4))


@pytest.mark.parametrize("size", [0, 3, 8, 40, 200])
def test_damaged_files_are_errors(tmp_path: Path, size: int) -> None:
    path = tmp_path / "t"
    aj.save(path, {"a": jnp.ones(100)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FileError, match=str(path)):
        aj.load(path)
    with pytest.raises(FileError, match="regular file"):
        aj.load("/dev/zero")


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "t").symlink_to(target)
    aj.save(tmp_path / "t", jnp.ones(1))
    assert target.read_text() == "mine" and not (tmp_path / "t").is_symlink()
