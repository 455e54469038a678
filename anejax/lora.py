"""LoRA (Hu et al., 2021): trains matrices of low rank, which are added to a network's frozen weights.

Adapters are a separate pytree. If you differentiate with respect to the adapters only, the frozen weights need neither
gradients nor optimizer state. Adapters are inputs of a program, so new ones need no compilation.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

import anejax.numpy as jnp
from anejax import dtypes, random, tree
from anejax.errors import FileError, ShapeError, TreeError
from anejax.paths import atomic_folder, read_file
from anejax.saving import read_arrays
from anejax.tree import PyTree
from anejax.typing import ArrayLike

__all__ = [
    "Adapters", "init", "load", "merge", "save"
]  # fmt: skip

Adapters = dict[str, dict[str, Any]]

_CONFIG, _ARRAYS = "adapter_config.json", "adapter_model.safetensors"
_ROOT = "base_model.model."  # prefix of names in PEFT's files
_MOST_JSON = 1 << 24


def init(key: ArrayLike, params: PyTree, rank: int = 8, targets: Sequence[str] = ("q", "v")) -> Adapters:
    """New adapters for the matrices of ``params`` that ``targets`` name; merged, they change nothing at first.

    Args:
        key: of the random values.
        params: a tree of parameters.
        rank: of the adapters, at most the smaller side of each matrix.
        targets: parts of names: ``q`` is for every matrix with a part ``q`` or ``q_proj`` in its path.

    Returns:
        From each matrix's name to ``a`` [rank, n], uniform within 1 / sqrt(n), and ``b`` [m, rank], 0; float32.

    Raises:
        TreeError: a target names no matrix. ShapeError: the rank is too large.

    Example:
        >>> import anejax as aj
        >>> from anejax import lora
        >>> params = {"q": aj.numpy.ones((6, 4)), "norm": aj.numpy.ones(4)}
        >>> adapters = lora.init(aj.random.key(0), params, rank=2, targets=["q"])
        >>> adapters["q"]["a"].shape, adapters["q"]["b"].shape
        ((2, 4), (6, 2))
    """
    found = {n: w for n, w in _named(params).items() if len(np.shape(w)) == 2 and _is_target(n, targets)}
    for target in targets:
        if not any(_is_target(name, [target]) for name in found):
            known = sorted({part for n, w in _named(params).items() if np.ndim(w) == 2 for part in n.split(".")[-2:]})
            raise TreeError(f"[lora] no matrix has a part {target!r} in its name; there are {', '.join(known[:20])}.")
    keys = random.split(key, max(len(found), 1))
    made = {}
    for i, (name, w) in enumerate(found.items()):
        m, n = np.shape(w)
        if not 1 <= rank <= min(m, n):
            raise ShapeError(f"[lora] expected a rank from 1 to {min(m, n)} for {name} [{m}, {n}], got {rank}.")
        bound = 1 / math.sqrt(n)
        made[name] = {
            "a": random.uniform(keys[i], (rank, n), dtypes.float32, -bound, bound),
            "b": jnp.zeros((m, rank), dtypes.float32),
        }
    return made


def merge(params: PyTree, adapters: Adapters, alpha: float | None = None) -> PyTree:
    """``params`` with alpha / rank * b @ a added to each matrix that has an adapter, in the matrix's dtype.

    ``alpha`` is twice the rank unless given. Raises TreeError when an adapter is for a matrix that is not there.

    Example:
        >>> import anejax as aj
        >>> from anejax import lora
        >>> params, x = {"w": aj.numpy.ones((3, 2))}, aj.numpy.ones(2)
        >>> adapters = lora.init(aj.random.key(0), params, rank=1, targets=["w"])
        >>> loss = lambda adapters: (lora.merge(params, adapters)["w"] @ x).sum()
        >>> aj.grad(loss)(adapters)["w"]["b"].shape
        (3, 1)
    """
    names = set(_named(params))
    if unknown := sorted(set(adapters) - names):
        raise TreeError(f"[lora] expected adapters for parameters that are there, got one for {unknown[0]}.")

    def merged(path: Any, w: Any) -> Any:
        adapter = adapters.get(_name(path))
        if adapter is None:
            return w
        a, b = adapter["a"], adapter["b"]
        scale = 2.0 if alpha is None else alpha / a.shape[0]
        return (w + np.float32(scale) * jnp.matmul(b, a)).astype(w.dtype)

    return tree.map_with_path(merged, params)


def save(
    folder: str | os.PathLike[str],
    adapters: Adapters,
    *,
    alpha: float | None = None,
    base: str = "",
    prefix: str = "model.",
    transposed: bool = False,
) -> None:
    """Writes adapters as a new folder in PEFT's layout, for matrices named ``*.weight``.

    Args:
        folder: where to write; nothing may be there.
        adapters: as of ``init``.
        alpha: as of ``merge``.
        base: the name or the folder of the model that they are for.
        prefix: of the whole network's names in its file, as ``Pretrained.prefix``.
        transposed: the matrices are [inputs, outputs], as those of GPT-2.

    Raises:
        FileError: the folder is there. OSError.
    """
    arrays, rank = {}, 1
    for name, adapter in adapters.items():
        a, b = (np.asarray(adapter[n], np.float32) for n in "ab")
        rank = len(a)
        first, second = (b.T, a.T) if transposed else (a, b)
        stem = _ROOT + prefix + name.removesuffix(".weight")
        arrays[f"{stem}.lora_A.weight"] = np.ascontiguousarray(first)
        arrays[f"{stem}.lora_B.weight"] = np.ascontiguousarray(second)
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "r": rank,
        "lora_alpha": 2 * rank if alpha is None else alpha, "lora_dropout": 0.0, "bias": "none",
        "fan_in_fan_out": transposed, "inference_mode": True,
        "target_modules": sorted({name.removesuffix(".weight").split(".")[-1] for name in adapters}),
    }  # fmt: skip
    with atomic_folder(Path(folder).absolute()) as part:
        safetensors.numpy.save_file(arrays, part / _ARRAYS, {"format": "pt"})
        (part / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load(folder: str | os.PathLike[str], *, prefix: str = "model.") -> tuple[Adapters, float]:
    """(adapters, alpha) of a folder in PEFT's layout. Raises FileError if it is damaged or of another kind; OSError."""
    folder = Path(folder)
    try:
        config = json.loads(read_file(folder / _CONFIG, _MOST_JSON))
        kind, rank, alpha = config["peft_type"], config["r"], float(config["lora_alpha"])
        if kind != "LORA" or config.get("use_dora") or config.get("rank_pattern") or config.get("alpha_pattern"):
            raise ValueError(f"it is of kind {kind}, or its ranks differ")
        alpha = alpha * math.sqrt(rank) if config.get("use_rslora") else alpha
        arrays, _ = read_arrays(folder / _ARRAYS)
        found: Adapters = {}
        for name in arrays:
            stem, _, end = name.removeprefix(_ROOT).removeprefix(prefix).rpartition(".lora_")
            if end not in ("A.weight", "B.weight"):
                raise ValueError(f"it has an array {name}")
            found.setdefault(f"{stem}.weight", {})[end[0].lower()] = jnp.asarray(arrays[name])
        for name, adapter in found.items():
            a, b = adapter["a"], adapter["b"]
            if config.get("fan_in_fan_out"):
                a, b = adapter["b"].T, adapter["a"].T
            if a.ndim != 2 or b.ndim != 2 or a.shape[0] != rank or b.shape[1] != rank:
                raise ValueError(f"{name} has {list(a.shape)} and {list(b.shape)}, but its rank is {rank}")
            found[name] = {"a": a, "b": b}
        return found, alpha
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as err:
        raise FileError(f"[lora] {folder} is no folder of PEFT's LoRA, or damaged: {err}.") from None


def _named(params: PyTree) -> Mapping[str, Any]:
    return {_name(path): leaf for path, leaf in tree.flatten_with_path(params)[0]}


def _name(path: Any) -> str:
    return tree.keystr(path, simple=True, separator=".")


def _is_target(name: str, targets: Sequence[str]) -> bool:
    parts = name.split(".")
    return any(target in parts or f"{target}_proj" in parts for target in targets)
