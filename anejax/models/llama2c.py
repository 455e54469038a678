"""llama2.c's checkpoint files, version 0: seven sizes as int32, then float32 weights, all little-endian.

The weights of all layers are grouped by kind, each matrix as [outputs, inputs]:

    embedding, norm before attention, q, k, v, o, norm before the MLP, gate, down, up, last norm,
    cosines and sines of the rotary embedding, and the classifier unless it is the embedding.

A negative vocabulary size means that the classifier is not the embedding.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.errors import AnejaxError, ShapeError
from anejax.foreign import sentence
from anejax.models.llama import Config
from anejax.paths import atomic_file, open_file

_HEADER = 7 * 4
_LATER_VERSIONS = b"24ka"  # 0x616b3432, which versions 1 and 2 begin with
_SHALLOW = 16  # layers that a network of any size may have
_LEAST_LAYER = 1 << 14  # bytes of a layer in deeper ones, so that the work is bounded by the file's size
_ONCE = ("embedding", "norm", "cos", "sin", "classifier")


class Llama2cError(AnejaxError, ValueError):
    """A file is not a llama2.c checkpoint of version 0, or is damaged."""


def read(path: Path | str) -> tuple[Config, Any]:
    """The sizes and the parameters (of a ``Llama``) in a checkpoint. Weights may be any floats, NaN included.

    Raises Llama2cError when the header makes no sense or the file is not as long as it says; OSError.
    """
    with open_file(path) as file:
        config = _config(path, file.read(_HEADER))
        shapes, size = _shapes(config), os.fstat(file.fileno()).st_size
        count = sum(map(math.prod, shapes.values()))
        if size != _HEADER + 4 * count:
            raise Llama2cError(
                f"[llama2c] {path}: expected {_HEADER + 4 * count} bytes for {config}, got {size}.{sentence(path)}"
            )
        if config.layers > _SHALLOW and config.layers * _LEAST_LAYER > size:
            raise Llama2cError(
                f"[llama2c] {path}: expected {_LEAST_LAYER:,} bytes or more for each of {config.layers} layers, got a"
                f" file of {size:,} bytes: so many small layers would take minutes to compile."
            )
        arrays = {name: np.empty(shape, "<f4") for name, shape in shapes.items()}
        for name, array in arrays.items():
            if file.readinto(array.data.cast("B")) != array.nbytes:  # not mapped: the file may be cut meanwhile
                raise Llama2cError(f"[llama2c] {path}: expected {size} bytes, got fewer: it ended within {name}.")
    return config, _params(config, arrays)


def write(path: Path | str, config: Config, params: Any) -> None:
    """Writes the parameters of ``Llama(config)``, as float32; the file is there as a whole or not at all.

    Raises ShapeError when ``params`` are of other sizes; OSError.
    """
    found = _arrays(config, params)
    for name, shape in _shapes(config).items():
        got = np.shape(found[name][0]) if name in _ONCE else (len(found[name]), *np.shape(found[name][0]))
        if got != shape:
            raise ShapeError(f"[llama2c] expected {name} of shape {shape} for {config}, got {got}.")
    sizes = [config.features, config.hidden, config.layers, config.heads, config.kv_heads]
    sizes += [config.vocabulary if config.shared else -config.vocabulary, config.length]
    with atomic_file(Path(path)) as file:
        file.write(np.array(sizes, "<i4").tobytes())
        for name in _shapes(config):
            for array in found[name]:
                file.write(np.ascontiguousarray(array, "<f4"))


def _config(path: Path | str, header: bytes) -> Config:
    if header.startswith(_LATER_VERSIONS):
        known = sentence(path) or " Export it again as version 0."
        raise Llama2cError(f"[llama2c] {path} is of a later version.{known}")
    if len(header) < _HEADER:
        raise Llama2cError(f"[llama2c] {path}: expected a header of {_HEADER} bytes, got {len(header)}.")
    features, hidden, layers, heads, kv_heads, vocabulary, length = np.frombuffer(header, "<i4").tolist()
    try:
        return Config(features, hidden, layers, heads, kv_heads, abs(vocabulary), length, vocabulary > 0)
    except ShapeError as err:
        raise Llama2cError(f"[llama2c] {path} is not a llama2.c checkpoint: {err}{sentence(path)}") from err


def _shapes(c: Config) -> dict[str, tuple[int, ...]]:
    """Every array of a file, in order."""
    size = c.features // c.heads
    narrow, layers, angles = c.kv_heads * size, c.layers, (c.length, size // 2)
    return {
        "embedding": (c.vocabulary, c.features),
        "attention_norm": (layers, c.features),
        "q": (layers, c.features, c.features),
        "k": (layers, narrow, c.features),
        "v": (layers, narrow, c.features),
        "o": (layers, c.features, c.features),
        "mlp_norm": (layers, c.features),
        "gate": (layers, c.hidden, c.features),
        "down": (layers, c.features, c.hidden),
        "up": (layers, c.hidden, c.features),
        "norm": (c.features,),
        "cos": angles,
        "sin": angles,
    } | ({} if c.shared else {"classifier": (c.vocabulary, c.features)})


def _params(c: Config, a: dict[str, np.ndarray]) -> Any:
    """The tree of parameters from the arrays of a file; matrices are turned to [inputs, outputs]."""

    def residual(norm: str, i: int, *names: str) -> Any:
        return {"main": ({"scale": jnp.array(a[norm][i])}, {n: jnp.array(a[n][i].T) for n in names})}

    blocks = (
        (residual("attention_norm", i, "q", "k", "v", "o"), residual("mlp_norm", i, "gate", "up", "down"))
        for i in range(c.layers)
    )
    params = {"embedding": {"w": jnp.array(a["embedding"])}, "blocks": tuple(blocks)}
    params |= {"norm": {"scale": jnp.array(a["norm"])}}
    return params if c.shared else params | {"classifier": {"w": jnp.array(a["classifier"].T)}}


def _arrays(c: Config, params: Any) -> dict[str, list[Any]]:
    """The arrays of a file by name, layer by layer, as views, so that a large network is not copied as a whole."""
    found: dict[str, list[Any]] = {"embedding": [params["embedding"]["w"]], "norm": [params["norm"]["scale"]]}
    for parts in params["blocks"]:
        for norm, part in zip(("attention_norm", "mlp_norm"), parts):
            scale, matrices = part["main"]
            found.setdefault(norm, []).append(scale["scale"])
            for name, matrix in matrices.items():
                found.setdefault(name, []).append(np.asarray(matrix).T)
    size = c.features // c.heads
    angles = np.outer(np.arange(c.length), 10000.0 ** (-np.arange(0, size, 2) / size))
    found |= {"cos": [np.cos(angles)], "sin": [np.sin(angles)]}
    return found if c.shared else found | {"classifier": [np.asarray(params["classifier"]["w"]).T]}
