"""Pretrained models: ``load`` reads a folder in the hub's layout, and ``save`` writes one that transformers reads."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.core.array import from_numpy
from anejax.foreign import sentence
from anejax.models.hub import decoder, encoder, gguf, gpt2, weights, words
from anejax.models.hub.encoder import mean_pooled
from anejax.models.hub.network import LanguageModel, Network
from anejax.models.hub.settings import ModelError, Settings, read_json
from anejax.paths import atomic_folder

_CONFIG, _GENERATION = "config.json", "generation_config.json"
# kind of a configuration -> (its values, kind, the most layers there can be) -> network
KINDS: dict[str, Callable[[Settings, str, int], Network]] = {
    **dict.fromkeys(decoder.FAMILIES, decoder.read),
    "gpt2": gpt2.read,
    **dict.fromkeys(("bert", "vit"), encoder.read),
}


@dataclass(frozen=True)
class Pretrained:
    """A network, its parameters, and the other contents of its folder.

    Attributes:
        network: the layer: ``network.apply(params, (), tokens)`` gives logits of a language model.
        params: arrays by the names of the checkpoint, as they are stored: memory-mapped, with the dtype of the file.
        config: the values of ``config.json``.
        generation: those of ``generation_config.json``.
        folder: where it was read from.
        prefix: of the names in the file.
        file: the file of GGUF that it was read from, or None.
    """

    network: Any
    params: dict[str, Any]
    config: dict[str, Any]
    generation: dict[str, Any]
    folder: Path
    prefix: str = ""
    file: Path | None = None

    @functools.cached_property
    def words(self) -> words.Words:
        """The tokenizer. Raises ModelError if there is none; MissingDependencyError."""
        return words.read(self.folder, self._words_files)

    @functools.cached_property
    def _words_files(self) -> dict[str, bytes]:
        """The tokenizer in the file of GGUF, as files of the hub's layout; nothing where the folder has one."""
        beside = any((self.folder / name).is_file() for name in (words.JSON, words.SENTENCEPIECE))
        return {} if self.file is None or beside else gguf.tokenizer(self.file)

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a text."""
        found = self.generation.get("eos_token_id", self.config.get("eos_token_id"))
        found = found if isinstance(found, list) else [found]
        return frozenset(token for token in found if type(token) is int)

    def save(self, folder: Path | str, params: Any = None) -> None:
        """Writes the model as a new folder that ``load`` and transformers read, with ``params`` if they are given.

        Raises ModelError when the parameters are not those of the network; FileError if the folder is there; OSError.
        """
        given = self.params if params is None else params
        if not isinstance(given, Mapping):
            raise ModelError(f"[models] expected parameters by name to save, got {type(given).__name__}.")
        found, _ = self.network.named({name: np.asarray(array) for name, array in given.items()}, "params")
        config = self.config | {"dtype": _dtype(found)}
        if "torch_dtype" in config:
            config["torch_dtype"] = config["dtype"]
        with atomic_folder(Path(folder).absolute()) as part:
            weights.write(part, {self.network.file_name(n, self.prefix): a for n, a in found.items()})
            for name, values in ((_CONFIG, config), (_GENERATION, self.generation)):
                if values:
                    (part / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
            for name in words.FILES:
                if name in self._words_files:
                    (part / name).write_bytes(self._words_files[name])
                elif (self.folder / name).is_file():
                    shutil.copyfile(self.folder / name, part / name)

    def astype(self, dtype: Any) -> Pretrained:
        """A model with parameters of ``dtype``. Parameters that have it already are not copied."""
        cast = tree.map(lambda w: from_numpy(np.asarray(w).astype(dtypes.canonical(dtype), copy=False)), self.params)
        return replace(self, params=cast)


def load(path: str | Path) -> Pretrained:
    """The pretrained model in a folder as the hub lays it out (``config.json``, safetensors), or in a file of GGUF.

    Weights are mapped from their files and keep their dtype (float32, float16 or bfloat16). The kinds of models are
    those of ``anejax.models.hub.KINDS``. Nothing is unpickled, and no code of the folder runs.

    Args:
        path: the folder or the file. A tokenizer beside a file of GGUF is taken instead of the one inside.

    Raises:
        ModelError: a file is missing or damaged, arrays do not fit the configuration, or the model is of a kind that
            is not here. OSError: a file cannot be read.

    Example:
        >>> import anejax as aj
        >>> model = aj.models.load("SmolLM2-135M")  # doctest: +SKIP
        >>> tokens = model.words.encode("Once upon a time", True)  # doctest: +SKIP
        >>> logits, _ = model.network.apply(model.params, (), aj.numpy.asarray([tokens]))  # doctest: +SKIP
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    config, arrays = _read_folder(given) if given.is_dir() else _read_file(given)
    network = network_of(config, str(given), len(arrays))
    found, prefix = network.named(arrays, str(given))
    generation = read_json(folder / _GENERATION) if (folder / _GENERATION).exists() else {}
    params = {name: from_numpy(np.require(a, dtypes.canonical(a.dtype), ["A", "C"])) for name, a in found.items()}
    if given.is_dir():
        return Pretrained(network, params, config, generation, folder, prefix)
    return Pretrained(network, params, config, generation, folder, network.prefix, given)


def _read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not (folder / _CONFIG).exists():
        raise ModelError(f"[models] {folder}: expected {_CONFIG}, which is not there.")
    return read_json(folder / _CONFIG), weights.read_folder(folder)


def _read_file(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.exists():
        raise ModelError(f"[models] {path}: expected a folder with {_CONFIG} and weights, which is not there.")
    if gguf.is_gguf(path):
        return gguf.read(path)
    raise ModelError(
        f"[models] {path}: expected a folder with {_CONFIG} and weights, or a file of GGUF.{sentence(path)}"
    )


def network_of(config: dict[str, Any], where: str, most_layers: int) -> Network:
    """The network that the values of a ``config.json`` describe. Raises ModelError."""
    kind = Settings(config, where).choice("model_type", KINDS)
    return KINDS[kind](Settings(config, where), kind, most_layers)


def _dtype(params: Mapping[str, np.ndarray]) -> str:
    return dtypes.name(next(iter(params.values())).dtype)


__all__ = ["KINDS", "LanguageModel", "ModelError", "Network", "Pretrained", "load", "mean_pooled", "network_of"]
