"""llama2.c's checkpoints: real ones, our own, and files that are not what they say."""

from __future__ import annotations

import math
import random as python_random
import struct
from pathlib import Path

import numpy as np
import pytest

import anejax as aj
from anejax import random
from anejax.errors import ShapeError
from anejax.models import llama2c
from anejax.models.llama import Config, Llama
from tests import stories

CONFIGS = [Config(8, 12, 2, 4, 2, 11, 6), Config(8, 12, 2, 4, 2, 11, 6, shared=False)]


def write(path: Path, config: Config = CONFIGS[0]):
    params, _ = Llama(config).init(random.key(1), np.zeros((1, 2), np.int32))
    llama2c.write(path, config, params)
    return params


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_written_is_read(tmp_path, config):
    params = write(tmp_path / "a.bin", config)
    found, again = llama2c.read(tmp_path / "a.bin")
    assert found == config
    assert aj.tree.structure(again) == aj.tree.structure(params)
    for a, b in zip(aj.tree.leaves(params), aj.tree.leaves(again)):
        np.testing.assert_array_equal(a, b)
    llama2c.write(tmp_path / "b.bin", *llama2c.read(tmp_path / "a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


def test_the_layout(tmp_path):
    """Each matrix lies as [outputs, inputs], after those of the layers before."""
    params = write(tmp_path / "a.bin")
    data = (tmp_path / "a.bin").read_bytes()
    assert struct.unpack_from("<7i", data) == (8, 12, 2, 4, 2, 11, 6)
    floats = np.frombuffer(data, "<f4", offset=28)
    at = 11 * 8 + 2 * 8 + 2 * 64  # embedding, norms, q
    k = np.asarray(params["blocks"][1][0]["main"][1]["k"])
    np.testing.assert_array_equal(floats[at + 32 : at + 64].reshape(4, 8), k.T)


def test_a_real_checkpoint_is_written_as_it_was_read(tmp_path):
    path = stories.find("stories260K.bin")
    llama2c.write(tmp_path / "again.bin", *llama2c.read(path))
    ours, theirs = ((p.read_bytes()[:28], np.fromfile(p, "<f4", offset=28)) for p in (tmp_path / "again.bin", path))
    assert ours[0] == theirs[0]
    tables = 2 * 512 * 4  # cosines and sines, from other libraries
    np.testing.assert_array_equal(ours[1][:-tables], theirs[1][:-tables])
    np.testing.assert_allclose(ours[1][-tables:], theirs[1][-tables:], rtol=0, atol=3e-6)


def test_nans_are_weights_too(tmp_path):
    path = tmp_path / "a.bin"
    write(path)
    data = bytearray(path.read_bytes())
    data[28:32] = struct.pack("<f", np.nan)
    path.write_bytes(data)
    assert np.isnan(llama2c.read(path)[1]["embedding"]["w"][0, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "header of 28 bytes, got 0"),
        (b"\0" * 27, "header of 28 bytes, got 27"),
        (b"\0" * 28, "sizes of 1 or more"),
        (struct.pack("<Ii", 0x616B3432, 1) + b"\0" * 248, "later version"),
        (struct.pack("<7i", 8, 12, 2, 4, 2, -(2**31), 6), "expected 137438957548 bytes"),
        (struct.pack("<7i", *[2**31 - 2] + [2**31 - 1] * 2 + [1, 1] + [2**31 - 1] * 2), "bytes for Config"),
        (struct.pack("<7i", 8, 12, 2, 3, 2, 11, 6), "kv_heads to divide"),
        (struct.pack("<7i", 8, -12, 2, 4, 2, 11, 6), "sizes of 1 or more"),
        (b"GGUF" * 100, "not a llama2.c checkpoint"),
    ],
)
def test_other_files_are_refused(tmp_path, data, message):
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(llama2c.Llama2cError, match=message):
        llama2c.read(tmp_path / "a.bin")


def sized(path: Path, config: Config) -> Path:
    """A file as long as ``config`` asks for, of zeros."""
    sizes = [config.features, config.hidden, config.layers, config.heads, config.kv_heads, config.vocabulary]
    header = struct.pack("<7i", *sizes, config.length)
    count = sum(map(math.prod, llama2c._shapes(config).values()))
    path.write_bytes(header + bytes(4 * count))
    return path


def test_a_small_file_is_not_a_deep_network(tmp_path):
    """Each layer is compiled, so a file of 100 KB with 1,000 layers would take minutes."""
    with pytest.raises(llama2c.Llama2cError, match=r"16,384 bytes or more for each of 1000 layers"):
        llama2c.read(sized(tmp_path / "a.bin", Config(2, 1, 1000, 1, 1, 259, 2)))
    for config in (Config(2, 1, 16, 1, 1, 259, 2), Config(32, 64, 20, 2, 2, 259, 2)):
        assert llama2c.read(sized(tmp_path / "a.bin", config))[0] == config


def test_damage_gives_an_error_or_other_weights(tmp_path):
    path, rng = tmp_path / "a.bin", python_random.Random(0)
    write(path)
    good = path.read_bytes()
    for cut in (30, 100, len(good) - 1, len(good) + 1):
        path.write_bytes((good + b"\0")[:cut])
        with pytest.raises(llama2c.Llama2cError, match=f"expected {len(good)} bytes .* got {cut}"):
            llama2c.read(path)
    for _ in range(200):
        data = bytearray(good)
        data[rng.randrange(28)] = rng.randrange(256)
        path.write_bytes(data)
        try:
            config, params = llama2c.read(path)
            assert params["embedding"]["w"].shape == (config.vocabulary, config.features)
        except llama2c.Llama2cError:
            pass


def test_parameters_of_another_network_are_not_written(tmp_path):
    params = write(tmp_path / "a.bin")
    before = (tmp_path / "a.bin").read_bytes()
    with pytest.raises(ShapeError, match="expected embedding of shape"):
        llama2c.write(tmp_path / "a.bin", Config(8, 12, 2, 4, 2, 12, 6), params)
    assert (tmp_path / "a.bin").read_bytes() == before
