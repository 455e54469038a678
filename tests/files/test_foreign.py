"""Files of other programs are named by their first bytes, where they are given to what does not take them."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import anejax as aj
from anejax.cli import main
from anejax.data import tokenizer
from anejax.errors import AnejaxError
from anejax.foreign import sentence
from anejax.models import llama2c


def _zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


FILES = {
    "a model of GGUF": b"GGUF" + bytes(40),
    "version 1": b"24ka" + (1).to_bytes(4, "little") + bytes(248),
    "version 2": b"24ka" + (2).to_bytes(4, "little") + bytes(248),
    "weights of safetensors": safetensors.numpy.save({"w": np.zeros(3, np.float32)}),
    "a pickle": pickle.dumps({"w": list(range(50))}, 4),
    "a zip archive with a pickle": _zip("model/data.pkl"),
    "a zip archive, as": _zip("x.npy"),
    "an array of NumPy": _npy(),
    "a tokenizer of SentencePiece": b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02\n\x08\n\x03<s>\x15" + bytes(50),
    "a tokenizer.json": json.dumps({"version": "1.0", "truncation": None, "model": {}}, indent=2).encode(),
    "a config.json": json.dumps({"hidden_size": 3, "model_type": "llama"}).encode(),
    "compressed by gzip": b"\x1f\x8b\x08" + bytes(40),
}


@pytest.mark.parametrize("what", FILES)
def test_each_kind_is_said(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(FILES[what])
    assert f"It is {what}" in sentence(path) or f"It is a llama2.c checkpoint of {what}" in sentence(path)
    for read in (llama2c.read, tokenizer.read, aj.models.load, aj.load):
        if (read, what) in ((aj.load, "weights of safetensors"), (aj.models.load, "a model of GGUF")):
            continue
        with pytest.raises(AnejaxError) as caught:
            read(path)
        assert what in str(caught.value), read


def test_other_files_are_not_guessed_at(tmp_path: Path) -> None:
    for data in (b"", b"Once upon a time", bytes(100), b"{}", b"\n\n\n"):
        (tmp_path / "a").write_bytes(data)
        assert sentence(tmp_path / "a") == ""
    assert sentence(tmp_path / "nothing") == "" == sentence(tmp_path)


def test_a_checkpoint_of_llama2c_is_known(tmp_path: Path) -> None:
    """stories260K, 15M and 110M, and one that has a classifier of its own."""
    for sizes in (
        (64, 172, 5, 8, 4, 512, 512), (288, 768, 6, 6, 6, 32000, 256), (768, 2048, 12, 12, 12, 32000, 1024),
        (4096, 11008, 32, 32, 32, -32000, 2048),
    ):  # fmt: skip
        (tmp_path / "a.bin").write_bytes(np.array(sizes, "<i4").tobytes() + bytes(4000))
        with pytest.raises(AnejaxError, match=r"a llama2\.c checkpoint of version 0; give it to --checkpoint"):
            aj.models.load(tmp_path / "a.bin")


@pytest.mark.parametrize("what", ["a pickle", "a tokenizer.json", "a zip archive with a pickle"])
def test_generate_says_what_a_checkpoint_is(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ("file.json" if "json" in what else "file.bin")
    path.write_bytes(FILES[what])
    assert main(["generate", "--checkpoint", str(path), "--prompt", "a"]) == 2
    assert what in capsys.readouterr().err
