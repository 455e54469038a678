"""Recognises files of other programs by their first bytes, and names the command that reads them."""

from __future__ import annotations

import re
from pathlib import Path

from anejax.paths import open_file

_HEAD = 4096
_FOLDER = "give the folder that holds it to --model"
_PICKLE = "a pickle, as PyTorch writes it; it may run any code and is not read"
# (the beginning of the file, its format and the function or command that reads it)
_KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), what)
    for pattern, what in (
        (rb"GGUF", "a model of GGUF; give it to --model, or to anejax.models.load"),
        (rb"24ka\x01", "a llama2.c checkpoint of version 1; export it again as version 0"),
        (rb"24ka\x02", "a llama2.c checkpoint of version 2 (8 bits); export it again as version 0"),
        # seven integers: features, hidden features, layers, heads, heads of keys, words (negative: their own), length
        (
            rb"(?:(?!\0\0)..\0\0){2}(?:[^\0]\0\0\0){3}(?:..[\0\1]\0|..[\xfe\xff]\xff)(?!\0\0)..\0\0",
            "a llama2.c checkpoint of version 0; give it to --checkpoint, and its tokenizer to --tokenizer",
        ),
        (rb".{5}\x00\x00\x00\{", f"weights of safetensors; {_FOLDER}"),
        (rb"\x80[\x02-\x05]", f"{_PICKLE}; write its weights as safetensors"),
        (rb"PK\x03\x04.{26}[^/]*/data\.pkl", f"a zip archive with {_PICKLE}; write its weights as safetensors"),
        (rb"PK\x03\x04", "a zip archive, as .npz and .pt are; unpack it, or write its weights as safetensors"),
        (rb"\x93NUMPY", "an array of NumPy; numpy.load reads it"),
        (rb"\n.{1,3}\n[\x01-\x20]<(unk|pad|s)>", f"a tokenizer of SentencePiece; {_FOLDER}"),
        (rb"\s*\{.{0,4000}\"(added_tokens|truncation|pre_tokenizer)\"", f"a tokenizer.json of the hub; {_FOLDER}"),
        (rb"\s*\{.{0,4000}\"model_type\"", f"a config.json of the hub; {_FOLDER}"),
        (rb"\x1f\x8b", "compressed by gzip; unpack it"),
    )
)  # fmt: skip


def sentence(path: Path | str) -> str:
    """`` It is a model of GGUF; give it to --model.`` of a file that is known, else ""; never raises."""
    try:
        with open_file(path) as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    what = next((what for pattern, what in _KINDS if pattern.match(head)), None)
    return f" It is {what}." if what else ""
