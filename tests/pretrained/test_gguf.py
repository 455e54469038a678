"""Models in files of GGUF: floats exactly, blocks of few bits as the package dequantises them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import anejax as aj
from anejax.models import ModelError
from tests.pretrained import cases

pytest.importorskip("gguf", reason="pip install gguf")
from tests.pretrained import gguf_file  # noqa: RUF100, E402


def both(name: str, tmp_path: Path, kind: str) -> tuple[Any, Any]:
    """The model of a case, and the same from a file of GGUF."""
    cases.build(name, tmp_path)
    gguf_file.write(tmp_path, tmp_path / "model.gguf", kind)
    return aj.models.load(tmp_path), aj.models.load(tmp_path / "model.gguf")


@pytest.mark.parametrize("name", ["llama", "qwen2-window", "qwen3", "gemma"])
def test_floats_are_those_of_the_folder(name: str, tmp_path: Path) -> None:
    model, found = both(name, tmp_path, "F32")
    assert found.params.keys() == model.params.keys()
    for key, w in model.params.items():  # Gemma's norms are written plus 1, and rounded so
        assert np.allclose(found.params[key], w, rtol=0, atol=2e-7), key
    fields = {n: v for n, v in vars(model.network).items() if n not in ("local", "window", "o_bias", "qkv_bias")}
    assert fields == {n: pytest.approx(v) if n == "eps" else v for n, v in vars(found.network).items() if n in fields}


@pytest.mark.parametrize(("kind", "dtype"), [("F16", np.float16), ("BF16", ml_dtypes.bfloat16)])
def test_floats_of_16_bits_are_kept(kind: str, dtype: type, tmp_path: Path) -> None:
    model, found = both("llama", tmp_path, kind)
    name = "layers.1.mlp.up_proj.weight"
    assert found.params[name].dtype == dtype
    assert np.array_equal(np.asarray(found.params[name]), np.asarray(model.params[name]).astype(dtype))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q5_1"])
def test_blocks_of_few_bits_are_dequantised(kind: str, tmp_path: Path) -> None:
    model, found = both("llama", tmp_path, kind)
    gguf: Any = importlib.import_module("gguf")
    type_ = gguf.GGMLQuantizationType[kind]
    name = "layers.1.mlp.gate_proj.weight"
    w = np.asarray(model.params[name])
    expected = gguf.quants.dequantize(gguf.quants.quantize(w, type_), type_)
    assert np.array_equal(np.asarray(found.params[name]), expected.astype(np.float16))
    tokens = cases.TOKENS[:1]
    logits = [
        np.asarray(m.astype("float32").network.apply(m.astype("float32").params, (), tokens)[0]) for m in (model, found)
    ]
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > (0.999 if kind == "Q8_0" else 0.9)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    both("llama", tmp_path, "Q8_0")
    whole = (tmp_path / "model.gguf").read_bytes()
    rng, path, refused = np.random.default_rng(0), tmp_path / "damaged.gguf", 0
    for data in [whole[:n] for n in (4, 10, 24, 300, len(whole) - 1)]:
        path.write_bytes(data)
        with pytest.raises(ModelError, match=r"damaged.gguf"):
            aj.models.load(path)
    for _ in range(40):
        changed = bytearray(whole)
        changed[int(rng.integers(4, 1200))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed))
        try:
            aj.models.load(path)
        except ModelError:
            refused += 1
    assert refused > 15
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match=r"or a file of GGUF"):
        aj.models.load(path)
