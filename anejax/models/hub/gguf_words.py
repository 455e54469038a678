"""The tokenizer in a file of GGUF, as the files that a folder of the hub has.

A file of GGUF holds tokens, their types, and merges (byte-level BPE: kind ``gpt2``) or scores (SentencePiece: kind
``llama``); https://github.com/ggml-org/ggml/blob/master/docs/gguf.md names the keys.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from anejax.models.hub import words
from anejax.models.hub.settings import ModelError
from anejax.protobuf import number, part, single

_KEY = "tokenizer.ggml."
_UNKNOWN, _CONTROL, _GIVEN = 2, 3, 4  # types of tokens, which are those of SentencePiece
_ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}  # name in a config -> name in the file
# Rules that cut texts before merges, by their name in the file: those in tokenizer.json of GPT-2, SmolLM2, Qwen2 and
# Llama 3, which src/llama-vocab.cpp of llama.cpp lists too. Without one, ByteLevel cuts as GPT-2 does.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CUTS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [],
    "smollm": [{"type": "Digits", "individual_digits": True}],
    "qwen2": [{"type": "Split", "pattern": {"Regex": _WORDS % ""}, "behavior": "Isolated", "invert": False}],
    "llama-bpe": [{"type": "Split", "pattern": {"Regex": _WORDS % "{1,3}"}, "behavior": "Isolated", "invert": False}],
}


def files(fields: dict[str, Any], path: Path) -> dict[str, bytes]:
    """``tokenizer.json`` or ``tokenizer.model``, and ``tokenizer_config.json``; nothing if the file has no tokenizer.

    Args:
        fields: the values of the file whose names begin with ``tokenizer.``.
        path: the file, for errors.

    Raises:
        ModelError: the tokenizer is of a kind that is not here, or damaged.
    """
    kind = fields.get(f"{_KEY}model")
    if kind is None:
        return {}
    if kind not in ("gpt2", "llama"):
        raise ModelError(
            f"[models] {path}: its tokenizer is of the kind {kind!r}, expected gpt2 or llama; put tokenizer.json beside"
            " the file."
        )
    try:
        config = _config(fields, sentencepiece=kind == "llama")
        own = _sentencepiece(fields) if kind == "llama" else _bpe(fields, config, path)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, struct.error) as err:
        raise ModelError(f"[models] {path}: its tokenizer is damaged: {type(err).__name__}: {err}.") from None
    return own | {words.CONFIG: json.dumps(config).encode()}


def ends(fields: dict[str, Any]) -> list[int]:
    """The tokens that end a text, or a turn of a chat."""
    found = [fields.get(f"{_KEY}{name}_token_id") for name in ("eos", "eot")]
    return [int(token) for token in found if token is not None]


def _config(fields: dict[str, Any], sentencepiece: bool) -> dict[str, Any]:
    tokens = fields[f"{_KEY}tokens"]
    begins = sentencepiece or fields.get(f"{_KEY}pre") == "llama-bpe"  # llama.cpp's default if the file does not say
    found: dict[str, Any] = {
        "add_bos_token": bool(fields.get(f"{_KEY}add_bos_token", begins)),
        "add_eos_token": bool(fields.get(f"{_KEY}add_eos_token", False)),
    }
    for name, own in _ROLES.items():
        token = fields.get(f"{_KEY}{own}_token_id")
        if token is not None:
            found[f"{name}_token"] = tokens[token]
    if "tokenizer.chat_template" in fields:
        found["chat_template"] = fields["tokenizer.chat_template"]
    return found


def _bpe(fields: dict[str, Any], config: dict[str, Any], path: Path) -> dict[str, bytes]:
    """A ``tokenizer.json``."""
    cut = fields.get(f"{_KEY}pre", "gpt-2")
    if cut not in _CUTS:
        raise ModelError(
            f"[models] {path}: its tokenizer cuts texts as {cut!r}, expected {', '.join(_CUTS)}; put tokenizer.json"
            " beside the file."
        )
    tokens, types = fields[f"{_KEY}tokens"], fields[f"{_KEY}token_type"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    bytewise = {**level, "use_regex": cut in ("gpt-2", "smollm")}
    apart = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    made = {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": token, **apart, "special": kind == _CONTROL}
            for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind in (_CONTROL, _GIVEN)
        ],
        "normalizer": {"type": "NFC"} if cut == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*_CUTS[cut], bytewise]},
        "post_processor": _template(tokens, config),
        "decoder": {**level, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": fields.get(f"{_KEY}merges", []),
            "ignore_merges": cut == "llama-bpe",
        },
    }
    return {words.JSON: json.dumps(made).encode()}


def _template(tokens: list[str], config: dict[str, Any]) -> dict[str, Any] | None:
    """Adds the tokens that begin and end every text."""
    around = [name if config[f"add_{name}_token"] else None for name in ("bos", "eos")]
    named = [config[f"{name}_token"] if name else None for name in around]
    if not any(named):
        return None
    first, last = ([{"SpecialToken": {"id": token, "type_id": 0}}] if token else [] for token in named)
    return {
        "type": "TemplateProcessing",
        "single": [*first, {"Sequence": {"id": "A", "type_id": 0}}, *last],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            token: {"id": token, "ids": [tokens.index(token)], "tokens": [token]} for token in named if token
        },
    }


def _sentencepiece(fields: dict[str, Any]) -> dict[str, bytes]:
    """A ``tokenizer.model``: the message ModelProto of sentencepiece_model.proto, with pieces, the kind of the
    trainer's model (BPE), the ids of special pieces, and a normalizer that only adds a space before texts."""
    tokens, scores, types = (fields[f"{_KEY}{name}"] for name in ("tokens", "scores", "token_type"))
    pieces = [
        part(1, part(1, token.encode()) + single(2, score) + number(3, kind))
        for token, score, kind in zip(tokens, scores, types, strict=True)
    ]
    unknown = next((i for i, kind in enumerate(types) if kind == _UNKNOWN), 0)
    ids = {40: unknown, 41: fields.get(f"{_KEY}bos_token_id", -1), 42: fields.get(f"{_KEY}eos_token_id", -1), 43: -1}
    trainer = number(3, 2) + number(35, 1) + b"".join(number(field, value) for field, value in ids.items())
    space = bool(fields.get(f"{_KEY}add_space_prefix", True))
    normalizer = part(1, b"identity") + number(3, space) + number(4, False) + number(5, True)
    return {words.SENTENCEPIECE: b"".join(pieces) + part(2, trainer) + part(3, normalizer)}
