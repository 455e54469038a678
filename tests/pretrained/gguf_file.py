"""Writes files of GGUF from the arrays of a folder, as llama.cpp's converter does (convert_hf_to_gguf.py)."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
_WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write(folder: Path, path: Path, kind: str = "F32", words: dict[str, Any] | None = None) -> None:
    """The model in ``folder`` as a file whose matrices are of ``kind``; ``words`` are the tokenizer's values by the
    names of ``GGUFWriter``'s methods."""
    gguf: Any = importlib.import_module("gguf")
    config = json.loads((folder / "config.json").read_text())
    of = config["model_type"]
    out = gguf.GGUFWriter(path, of)
    out.add_vocab_size(config["vocab_size"])
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    if "head_dim" in config:
        out.add_key_length(config["head_dim"])
        out.add_value_length(config["head_dim"])
    for method, value in (words or {}).items():
        getattr(out, f"add_{method}")(value)
    array: Any
    for name, array in safetensors.numpy.load_file(folder / "model.safetensors").items():
        own = _name(name)
        if of == "llama" and (".attn_q." in own or ".attn_k." in own):
            heads = config["num_attention_heads" if ".attn_q." in own else "num_key_value_heads"]
            array = array.reshape(heads, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        if of.startswith("gemma") and "norm" in name:
            array = array + 1
        fits = kind in ("F32", "F16", "BF16") or array.shape[-1] % 32 == 0  # blocks have 32 numbers of a row
        wanted = gguf.GGMLQuantizationType[(kind if fits else "F16") if array.ndim > 1 else "F32"]
        out.add_tensor(own, gguf.quants.quantize(np.ascontiguousarray(array), wanted), raw_dtype=wanted)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def _name(name: str) -> str:
    stem, _, what = name.rpartition(".")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.{what}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_NAMES[part]}.{what}"
