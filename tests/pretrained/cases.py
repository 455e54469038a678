"""Tiny configurations of each family, and the weights and inputs that they are tried with.

``fixtures/pretrained/NAME`` has ``config.json`` as transformers writes it, ``case.json`` with names and shapes of the
arrays in its file, and what transformers computes.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

FIXTURES = Path(__file__).parents[1] / "fixtures" / "pretrained"
VOCABULARY, LENGTH = 61, 48
TOKENS = np.random.default_rng(0).integers(0, VOCABULARY, (2, 21)).astype(np.int32)


class Case(NamedTuple):
    """A class of transformers, of its configuration, and the values of that."""

    model: str
    config: str
    values: dict[str, Any]


_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": LENGTH, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def _decoder(family: str, **values: Any) -> Case:
    config = {"Gemma3": "Gemma3TextConfig"}.get(family, f"{family}Config")
    return Case(f"{family}ForCausalLM", config, _SIZES | values)


_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
_YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 12}
_LINEAR = {"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0}
_DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1000.0, "factor": 2.0}
_GPT2 = {"vocab_size": VOCABULARY, "n_positions": LENGTH, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 1,
         "eos_token_id": 1}  # fmt: skip
_BERT = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 40, "max_position_embeddings": LENGTH}  # fmt: skip
_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40,
        "image_size": [8, 12], "patch_size": 4}  # fmt: skip
CASES: dict[str, Case] = {
    "llama": _decoder("Llama", rms_norm_eps=1e-5),
    "llama-biases": _decoder("Llama", attention_bias=True, mlp_bias=True, head_dim=12, rope_parameters=_LLAMA3),
    "llama-yarn": _decoder("Llama", rope_parameters=_YARN, tie_word_embeddings=True),
    "llama-dynamic": _decoder("Llama", rope_parameters=_DYNAMIC, num_key_value_heads=1),
    "mistral": _decoder("Mistral", sliding_window=5),
    "qwen2": _decoder("Qwen2", tie_word_embeddings=True, rope_parameters=_LINEAR),
    "qwen2-window": _decoder("Qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "qwen3": _decoder("Qwen3", head_dim=16, attention_bias=True),
    "gemma": _decoder("Gemma", head_dim=16),
    "gemma2": _decoder("Gemma2", head_dim=16, query_pre_attn_scalar=20, sliding_window=6, attn_logit_softcapping=5.0,
                       final_logit_softcapping=3.0),
    "gemma3": _decoder("Gemma3", head_dim=16, query_pre_attn_scalar=24, sliding_window=4, num_hidden_layers=3,
                       layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "gpt2": Case("GPT2LMHeadModel", "GPT2Config", _GPT2),
    "gpt2-scaled": Case("GPT2LMHeadModel", "GPT2Config", _GPT2 | {
        "scale_attn_by_inverse_layer_idx": True, "n_inner": 24, "activation_function": "relu",
        "tie_word_embeddings": False}),
    "bert": Case("BertModel", "BertConfig", _BERT),
    "bert-classes": Case("BertForSequenceClassification", "BertConfig", _BERT | {"num_labels": 5}),
    "bert-tokens": Case("BertForTokenClassification", "BertConfig", _BERT | {"num_labels": 3}),
    "vit": Case("ViTModel", "ViTConfig", _VIT),
    "vit-classes": Case("ViTForImageClassification", "ViTConfig", _VIT | {"num_labels": 7, "qkv_bias": False}),
}  # fmt: skip


def draw(name: str, shape: list[int]) -> np.ndarray:
    """The weights of that name: the same for everyone who asks."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    scale = 1.3 / math.sqrt(shape[-1]) if len(shape) > 1 else 0.3
    return (rng.normal(size=shape) * scale + ("norm" in name.lower() and name.endswith("weight"))).astype(np.float32)


def build(name: str, folder: Path, dtype: Any = np.float32) -> dict[str, Any]:
    """Writes the model of a fixture into ``folder``; returns its case.json."""
    facts = json.loads((FIXTURES / name / "case.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text((FIXTURES / name / "config.json").read_text())
    arrays = {n: draw(n, s).astype(dtype) for n, s in facts["shapes"].items()}
    safetensors.numpy.save_file(arrays, folder / "model.safetensors", {"format": "pt"})
    return facts


def answers(name: str) -> dict[str, np.ndarray]:
    """What transformers computes of the inputs, by output."""
    return safetensors.numpy.load_file(FIXTURES / name / "answers.safetensors")


def tolerance(terms: int, of: np.ndarray) -> float:
    """What float32's sums of so many terms may be off by."""
    return 8 * math.sqrt(terms) * float(np.finfo(np.float32).eps) * float(np.abs(of).max())


def inputs(name: str) -> dict[str, np.ndarray]:
    """What a model is called with, by argument."""
    if name.startswith("vit"):
        return {"pixel_values": np.random.default_rng(2).normal(size=(2, 3, 8, 12)).astype(np.float32)}
    if not name.startswith("bert"):
        return {"input_ids": TOKENS.astype(np.int64)}
    mask = (np.arange(TOKENS.shape[1]) < [[TOKENS.shape[1]], [13]]).astype(np.int64)
    types = (np.arange(TOKENS.shape[1]) > [[6], [9]]).astype(np.int64)
    return {"input_ids": TOKENS.astype(np.int64), "attention_mask": mask, "token_type_ids": types}


def ours(model: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a loaded model gives for inputs of transformers, by transformers' names of the outputs."""
    given = {n: x.astype(np.int32) if x.dtype == np.int64 else x for n, x in given.items()}
    if list(given) == ["input_ids"]:
        return {"logits": np.asarray(model.network.apply(model.params, (), given["input_ids"])[0])}
    return {n: np.asarray(y) for n, y in model.network.apply(model.params, (), given)[0].items()}
