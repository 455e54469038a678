"""Tokenizers and chat templates in a model's folder, read by the libraries that are usual for them.

``tokenizer.json`` is read by ``tokenizers``, ``tokenizer.model`` by ``sentencepiece``, and templates by ``jinja2`` in
its sandbox. None of them is needed to load weights.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from anejax.errors import MissingDependencyError
from anejax.models.hub.settings import ModelError, parsed
from anejax.paths import read_file

JSON, SENTENCEPIECE, CONFIG, TEMPLATE = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "chat_template.jinja",
)
FILES = (
    JSON, SENTENCEPIECE, CONFIG, TEMPLATE, "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "vocab.txt",
)  # fmt: skip
_READ = (JSON, SENTENCEPIECE, CONFIG, TEMPLATE)
_MOST_BYTES = 1 << 27  # of a file
_UNFINISHED = "\ufffd"  # at the end of a text whose last character has not come as a whole


@dataclass(frozen=True)
class Words:
    """Text to tokens and back.

    Attributes:
        encode: the tokens of a text; with its second argument, those that begin or end every text too.
        decode: the text of tokens, without those that stand for no text.
        special: the tokens that a template may name, such as ``bos_token``.
        template: the chat template, or None.
    """

    encode: Callable[[str, bool], list[int]]
    decode: Callable[[Sequence[int]], str]
    special: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None

    def stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of ``tokens`` piece by piece, each as soon as its last character is whole."""
        held: list[int] = []
        shown = ""
        for token in tokens:
            held.append(token)
            text = self.decode(held)
            if not text.endswith(_UNFINISHED):
                yield text[len(shown) :]
                shown = text
                if "\n" in shown and len(held) > 1:  # so that a long text is not decoded again for each token
                    held, shown = held[-1:], self.decode(held[-1:])
        yield self.decode(held)[len(shown) :]

    def chat(self, messages: Sequence[Mapping[str, str]], answer: bool = True) -> str:
        """The text of a conversation (``role`` and ``content`` of each message) as the model's template writes it.

        With ``answer`` it ends where the model is to answer. Raises ModelError when there is no template or it refuses
        the messages; MissingDependencyError without jinja2.
        """
        if self.template is None:
            raise ModelError("[chat] the model has no chat template; give the prompt as it is.")
        jinja2 = _import("jinja2", "jinja2")
        sandbox = importlib.import_module("jinja2.sandbox")
        environment = sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = lambda x, **options: json.dumps(x, ensure_ascii=False, **options)
        environment.globals |= {"raise_exception": _refuse, "strftime_now": datetime.now().strftime}
        values = {**self.special, "messages": list(messages), "add_generation_prompt": answer}
        try:
            return environment.from_string(self.template).render(values)
        except jinja2.TemplateError as err:
            raise ModelError(f"[chat] the template refuses the messages: {err}.") from None
        except (TypeError, ValueError, RecursionError, OverflowError, ArithmeticError) as err:
            raise ModelError(f"[chat] the template fails: {type(err).__name__}: {err}.") from None


def _refuse(message: str) -> None:
    raise importlib.import_module("jinja2").TemplateError(message)


def read(folder: Path, held: Mapping[str, bytes] | None = None) -> Words:
    """The tokenizer of a folder, or of its files that are ``held`` by name. Raises ModelError if there is none or it
    is damaged; MissingDependencyError."""
    held = held or {name: read_file(folder / name, _MOST_BYTES) for name in _READ if (folder / name).exists()}
    config = parsed(held[CONFIG], folder / CONFIG) if CONFIG in held else {}
    special = {name: _content(config[name]) for name in config if name.endswith("_token") and _content(config[name])}
    found = {"special": special, "template": _template(held, config)}
    if JSON in held:
        return _by_tokenizers(folder / JSON, held[JSON], found)
    if SENTENCEPIECE in held:
        return _by_sentencepiece(folder / SENTENCEPIECE, held[SENTENCEPIECE], config, found)
    raise ModelError(f"[models] {folder}: expected {JSON} or {SENTENCEPIECE}, which are not there.")


def _content(token: Any) -> Any:
    """The text of a special token, which may be written as an object."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def _template(held: Mapping[str, bytes], config: dict[str, Any]) -> str | None:
    if TEMPLATE in held:
        return held[TEMPLATE].decode(errors="replace")
    found = config.get("chat_template")
    if isinstance(found, list):  # several by name
        named = {t.get("name"): t.get("template") for t in found if isinstance(t, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _by_tokenizers(path: Path, data: bytes, found: dict[str, Any]) -> Words:
    library = _import("tokenizers", "tokenizers")
    try:
        tokenizer = library.Tokenizer.from_buffer(data)
    except Exception as err:  # the library raises Exception itself
        raise ModelError(f"[models] {path} is damaged, or newer than the package tokenizers: {err}.") from None
    tokenizer.no_padding()  # a sentence encoder's file asks for texts of one length, padded and cut
    tokenizer.no_truncation()
    return Words(
        lambda text, ends: tokenizer.encode(text, add_special_tokens=ends).ids,
        lambda tokens: tokenizer.decode(list(tokens), skip_special_tokens=True),
        **found,
    )


def _by_sentencepiece(path: Path, data: bytes, config: dict[str, Any], found: dict[str, Any]) -> Words:
    library = _import("sentencepiece", "sentencepiece")
    try:
        processor = library.SentencePieceProcessor(model_proto=data)
    except (RuntimeError, ValueError) as err:
        raise ModelError(f"[models] {path} is no model of SentencePiece, or damaged: {err}.") from None
    begins, ends = bool(config.get("add_bos_token", True)), bool(config.get("add_eos_token", False))
    controls = {processor.id_to_piece(i): i for i in range(len(processor)) if processor.is_control(i)}
    apart = re.compile("(" + "|".join(map(re.escape, sorted(controls, key=len, reverse=True))) + ")")

    def encode(text: str, whole: bool) -> list[int]:
        """SentencePiece itself reads the name of a control token, such as ``<s>`` in a chat, as letters."""
        parts = apart.split(text) if controls else [text]
        tokens = [[controls[part]] if part in controls else processor.encode(part) for part in parts if part]
        first, last = [processor.bos_id()] * (whole and begins), [processor.eos_id()] * (whole and ends)
        return [*first, *itertools.chain(*tokens), *last]

    hidden = {*controls.values()}
    return Words(encode, lambda tokens: processor.decode([t for t in map(int, tokens) if t not in hidden]), **found)


def _import(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise MissingDependencyError(
            f"[models] this needs the package {package}, which is not installed: pip install {package}, or"
            " 'anejax[models]' for all that models need."
        ) from err
