"""Models in one GGUF file, llama.cpp's format, read by the package ``gguf``.

Floats are mapped and kept. Blocks of 8, 6, 5 and 4 bits are dequantised to float16. The file's values are translated to
those of a ``config.json``, and its names to those of the hub's checkpoints, so that the same code reads both.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from anejax.errors import MissingDependencyError
from anejax.models.hub import gguf_words
from anejax.models.hub.settings import ModelError, Settings
from anejax.paths import open_file

# architecture of the file -> model_type
_KINDS = {
    "llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3_text",
}  # fmt: skip
_LAYER = re.compile(r"blk\.(\d+)\.(.+)\.(weight|bias)")
_PARTS = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
_NORMS = {"ffn_norm": "post_attention_layernorm"}
_SANDWICH = {
    "ffn_norm": "pre_feedforward_layernorm", "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}  # fmt: skip
_WHOLE = {
    "token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight", "output.weight": "lm_head.weight",
}  # fmt: skip
_WORDS = "tokenizer."
_MOST_BLOWN = 16  # the most times that float16 may be larger than the file's contents


def is_gguf(path: Path) -> bool:
    """Whether the file at ``path`` begins as one of GGUF."""
    with open_file(path) as file:
        return file.read(4) == b"GGUF"


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(values of a config.json, arrays by the names of the hub). Raises ModelError; MissingDependencyError; OSError."""
    library = _library()
    open_file(path).close()
    try:
        reader = library.GGUFReader(path)
        values = {name: field.contents() for name, field in reader.fields.items() if _is_short(name)}
        config = _config(path, values, [tensor.name for tensor in reader.tensors])
        arrays = {tensor.name: _array(library, path, tensor) for tensor in reader.tensors}
        return config, _renamed(path, config, arrays)
    except (OSError, MemoryError, ModelError):
        raise
    except Exception as err:  # the package and NumPy raise many types of errors for a damaged file
        raise ModelError(f"[models] {path} is no file of GGUF, or damaged: {type(err).__name__}: {err}.") from None


def tokenizer(path: Path) -> dict[str, bytes]:
    """The tokenizer as files of the hub's layout, by name; nothing if there is none. Raises ModelError; OSError."""
    library = _library()
    open_file(path).close()
    try:
        fields = library.GGUFReader(path).fields
        return gguf_words.files({n: f.contents() for n, f in fields.items() if n.startswith(_WORDS)}, path)
    except (OSError, MemoryError, ModelError):
        raise
    except Exception as err:  # as in ``read``
        raise ModelError(f"[models] {path} is no file of GGUF, or damaged: {type(err).__name__}: {err}.") from None


def _is_short(name: str) -> bool:
    """Whether a value is none of the tokenizer's lists."""
    return not name.startswith(_WORDS) or name.endswith("_token_id")


def _library() -> Any:
    try:
        return importlib.import_module("gguf")
    except ImportError as err:
        raise MissingDependencyError(
            "[models] files of GGUF need the package gguf, which is not installed: pip install gguf."
        ) from err


def _config(path: Path, values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    of = Settings(values, str(path)).choice("general.architecture", _KINDS)
    kind = _KINDS[of]
    get = lambda name: values.get(f"{of}.{name}")  # noqa: E731
    found = {
        "model_type": kind,
        "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "head_dim": get("attention.key_length"),
        "max_position_embeddings": get("context_length"),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "rope_theta": get("rope.freq_base"),
        "sliding_window": get("attention.sliding_window"),
        "attn_logit_softcapping": get("attn_logit_softcapping"),
        "final_logit_softcapping": get("final_logit_softcapping"),
        "tie_word_embeddings": "output.weight" not in names,
        "attention_bias": kind != "qwen2" and "blk.0.attn_q.bias" in names,
        "rope_scaling": _scaling(path, of, values),
        "eos_token_id": gguf_words.ends(values) or None,
    }
    if kind in ("qwen2", "qwen3"):
        found["use_sliding_window"] = False
    if values.get("rope_freqs.weight") is not None or "rope_freqs.weight" in names:
        raise ModelError(
            f"[models] {path} has rope_freqs.weight, speeds of a rope of its own (Llama 3.1 and later), which are not"
            " read from GGUF; take the model's folder of safetensors."
        )
    return {name: value for name, value in found.items() if value is not None}


def _scaling(path: Path, of: str, values: dict[str, Any]) -> dict[str, Any] | None:
    kind, factor = values.get(f"{of}.rope.scaling.type"), values.get(f"{of}.rope.scaling.factor")
    if kind in (None, "none"):
        return None
    known = values.get(f"{of}.rope.scaling.original_context_length")
    found = {"rope_type": kind, "factor": factor}
    return found | ({"original_max_position_embeddings": known} if known else {})


def _array(library: Any, path: Path, tensor: Any) -> np.ndarray:
    """The tensor with its axes as NumPy has them; blocks of few bits as float16."""
    shape = tuple(int(n) for n in reversed(tensor.shape))
    kind = tensor.tensor_type.name
    if kind in ("F32", "F16"):
        return tensor.data.reshape(shape)
    if kind == "BF16":
        return np.ascontiguousarray(tensor.data).view(ml_dtypes.bfloat16).reshape(shape)
    if np.prod(shape, dtype=np.float64) * 2 > _MOST_BLOWN * tensor.data.nbytes:
        raise ModelError(f"[models] {path}: {tensor.name} claims to be {shape} in {tensor.data.nbytes:,} bytes.")
    try:
        return library.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float16)
    except NotImplementedError:
        raise ModelError(
            f"[models] {path}: {tensor.name} is {kind}, which the package gguf does not dequantise; take a file of"
            " Q8_0, Q6_K, Q5_K, Q4_K, Q4_0, F16 or BF16."
        ) from None


def _renamed(path: Path, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    kind = config["model_type"]
    parts = _PARTS | (_SANDWICH if kind in ("gemma2", "gemma3_text") else _NORMS)
    config["vocab_size"] = len(arrays.get("token_embd.weight", ()))
    undo = _undo(kind, config)
    found: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        match = _LAYER.fullmatch(name)
        if match and match[2] in parts:
            own = f"layers.{match[1]}.{parts[match[2]]}.{match[3]}"
        elif name in _WHOLE:
            own = _WHOLE[name]
        else:
            raise ModelError(f"[models] {path}: no part of {kind} takes the array {name}.")
        found[own] = undo(own, array)
    return found


def _undo(kind: str, config: dict[str, Any]) -> Callable[[str, np.ndarray], np.ndarray]:
    """Undoes the changes of llama.cpp's converter to arrays of a kind: it orders the rows of Llama's queries and keys
    for a rope of adjacent pairs, and adds 1 to Gemma's norms."""
    if kind == "llama":
        heads = config.get("num_attention_heads", 0)
        counts = {"q_proj": heads, "k_proj": config.get("num_key_value_heads", heads)}

        def rows(name: str, array: np.ndarray) -> np.ndarray:
            count = counts.get(name.split(".")[-2])
            if not count:
                return array
            return array.reshape(count, -1, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)

        return rows
    if kind.startswith("gemma"):
        return lambda name, array: array - np.asarray(1, array.dtype) if "norm" in name else array
    return lambda name, array: array
