"""The user's own texts for language models, packed into one stream of tokens.

A stream is int32[n]. Tokens that serve only as context (a prompt) are not learned. They have UNLEARNED added, so that
the mark stays with the token in every window.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anejax.errors import AnejaxError
from anejax.models.hub.words import Words
from anejax.paths import read_file

UNLEARNED = 1 << 30
_MOST_BYTES = 1 << 33  # of a file
_ENDINGS = (".txt", ".md", ".jsonl")


class TextError(AnejaxError, ValueError):
    """A file has no texts, or a line of it is none."""


def load(path: Path | str, words: Words, end: int | None, vocabulary: int) -> np.ndarray:
    """The tokens of all texts of a file, or of the files of a folder, each with ``end`` behind it.

    A ``.jsonl`` has an object in each line: ``text``; or ``prompt`` and ``completion``, of which the prompt is not
    learned; or ``messages`` with ``role`` and ``content``, of which the last one is learned. Other files are texts.

    Raises TextError if there is no text, a line is none, or a token is not below ``vocabulary``; OSError.
    """
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in _ENDINGS) if path.is_dir() else [path]
    found = [part for file in files for text in _texts(file, words) for part in _encoded(*text, words, end)]
    stream = np.concatenate(found) if found else np.zeros(0, np.int32)
    if not len(stream):
        raise TextError(f"[text] {path}: expected a text, or a folder with {', '.join(_ENDINGS)}, got none.")
    if (most := int((stream & (UNLEARNED - 1)).max())) >= vocabulary:
        raise TextError(
            f"[text] the tokenizer gives token {most}, but the model's vocabulary has {vocabulary}: they do not belong"
            " together."
        )
    return stream


def _encoded(prompt: str, text: str, words: Words, end: int | None) -> Iterator[np.ndarray]:
    before = np.asarray(words.encode(prompt, True), np.int32) if prompt else np.zeros(0, np.int32)
    after = words.encode(text, not prompt) + ([] if end is None else [end])
    yield before + UNLEARNED if len(before) else before
    yield np.asarray(after, np.int32)


def _texts(path: Path, words: Words) -> Iterator[tuple[str, str]]:
    """The pair (text that is not learned, text that is learned) for each text of a file."""
    text = read_file(path, _MOST_BYTES).decode("utf-8", "replace")
    if path.suffix.lower() != ".jsonl":
        if text:
            yield "", text
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield _of_line(json.loads(line), words)
            except (ValueError, TypeError, KeyError, RecursionError) as err:
                raise TextError(
                    f"[text] {path}, line {number}: expected an object with text, with prompt and completion, or with"
                    f" messages, but {type(err).__name__}: {err}."
                ) from None


def _of_line(values: Any, words: Words) -> tuple[str, str]:
    if not isinstance(values, dict):
        raise ValueError(f"got {type(values).__name__}")
    if "messages" in values:
        whole = words.chat(values["messages"], answer=False)
        before = words.chat(values["messages"][:-1], answer=True)
        return (before, whole[len(before) :]) if whole.startswith(before) else ("", whole)
    if "prompt" in values:
        prompt, text = values["prompt"], values["completion"]
    else:
        prompt, text = "", values["text"]
    if not isinstance(prompt, str) or not isinstance(text, str):
        raise ValueError("a text is no string")
    return prompt, text
