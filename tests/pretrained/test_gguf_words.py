"""The tokenizer inside a file of GGUF: byte-level BPE and SentencePiece, against the libraries' own tokenizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import anejax as aj
from anejax.models import ModelError
from tests.pretrained import cases

pytest.importorskip("gguf", reason="pip install gguf")
tokenizers: Any = pytest.importorskip("tokenizers", reason="pip install tokenizers")
sentencepiece: Any = pytest.importorskip("sentencepiece", reason="pip install sentencepiece")
from tests.pretrained import gguf_file  # noqa: RUF100, E402

LLAMA2 = Path(__file__).parents[3] / "shared" / "data" / "llama2c" / "tokenizer.model"
TEXTS = [
    "the cat sat on the mat", "  two  spaces\n\nand lines ", "12345 it's he'll I'VE", "naïve \u2603 \U0001f600 \t", "a",
    "<|end|>the<|begin|>",
]  # fmt: skip
CORPUS = ["the cat sat on the mat and that cat ate the hat of the man who sat there, it's 1234 o'clock now"] * 20
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"


def model(tmp_path: Path, words: dict[str, Any]) -> Any:
    """A tiny llama in a file of GGUF, alone in its folder."""
    cases.build("llama", tmp_path / "of")
    (tmp_path / "file").mkdir(exist_ok=True)
    gguf_file.write(tmp_path / "of", tmp_path / "file" / "model.gguf", "F16", words)
    return aj.models.load(tmp_path / "file" / "model.gguf")


def trained(*cuts: Any) -> Any:
    """A byte-level BPE that the library makes of CORPUS, with two special tokens."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*cuts, tokenizers.pre_tokenizers.ByteLevel(False)])
    made.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|end|>", "<|begin|>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(CORPUS, trainer)
    return made


def values(made: Any, cut: str) -> dict[str, Any]:
    """What llama.cpp's converter writes of a tokenizer of the library."""
    held = json.loads(made.to_str())["model"]
    tokens = sorted(held["vocab"], key=held["vocab"].get)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in held["merges"]]
    return {
        "tokenizer_model": "gpt2", "tokenizer_pre": cut, "token_list": tokens, "token_merges": merges,
        "token_types": [3, 3] + [1] * (len(tokens) - 2), "eos_token_id": 0, "bos_token_id": 1,
        "add_bos_token": False, "chat_template": TEMPLATE,
    }  # fmt: skip


CUTS = {"gpt-2": [], "smollm": [tokenizers.pre_tokenizers.Digits(individual_digits=True)]}


@pytest.mark.parametrize("cut", CUTS)
def test_byte_level_bpe_is_that_of_the_library(cut: str, tmp_path: Path) -> None:
    made = trained(*CUTS[cut])
    found = model(tmp_path, values(made, cut))
    for text in TEXTS:
        tokens = found.words.encode(text, True)
        assert tokens == made.encode(text).ids, text
        assert found.words.decode(tokens) == made.decode(tokens)
    assert found.ends == {0} and found.words.special == {"bos_token": "<|begin|>", "eos_token": "<|end|>"}
    assert found.words.chat([{"content": "hi"}]) == "<|begin|>hi<|end|>"
    found.save(tmp_path / "saved")  # as a folder with a tokenizer.json
    again = aj.models.load(tmp_path / "saved")
    assert again.words.encode(TEXTS[0], True) == found.words.encode(TEXTS[0], True) and again.ends == {0}


def test_texts_begin_and_end_as_the_file_says(tmp_path: Path) -> None:
    given = values(trained(), "llama-bpe")
    del given["add_bos_token"]
    assert model(tmp_path, given).words.encode("the", True)[0] == 1  # Llama 3 begins texts where a file is silent
    given |= {"add_bos_token": True, "add_eos_token": True}
    tokens = model(tmp_path, given).words.encode("the", True)
    assert tokens[0] == 1 and tokens[-1] == 0 and 0 not in model(tmp_path, given).words.encode("the", False)


@pytest.mark.parametrize("cut", ["qwen2", "llama-bpe"])
def test_numbers_are_cut_as_the_models_do(cut: str, tmp_path: Path) -> None:
    """Qwen2 takes digits one by one, Llama 3 up to three; nothing merges over such a border."""
    made = trained()
    given = values(made, cut)
    given["token_list"] += ["12", "123", "1234"]
    given["token_types"] += [1, 1, 1]
    given["token_merges"] += ["1 2", "12 3", "123 4"]
    found = model(tmp_path, given).words
    pieces = [given["token_list"][token] for token in found.encode("1234", False)]
    assert pieces == (["1", "2", "3", "4"] if cut == "qwen2" else ["123", "4"])


def pieces(path: Path) -> dict[str, Any]:
    """What llama.cpp's converter writes of a model of SentencePiece."""
    own = sentencepiece.SentencePieceProcessor(model_file=str(path))
    count = range(len(own))
    kind = lambda i: 2 if own.is_unknown(i) else 3 if own.is_control(i) else 6 if own.is_byte(i) else 1  # noqa: E731
    return {
        "tokenizer_model": "llama", "token_list": [own.id_to_piece(i) for i in count],
        "token_scores": [own.get_score(i) for i in count], "token_types": [kind(i) for i in count],
        "bos_token_id": own.bos_id(), "eos_token_id": own.eos_id(), "chat_template": TEMPLATE,
    }  # fmt: skip


@pytest.mark.skipif(not LLAMA2.exists(), reason="needs the tokenizer of Llama 2 in shared data")
def test_sentencepiece_is_that_of_the_library(tmp_path: Path) -> None:
    own = sentencepiece.SentencePieceProcessor(model_file=str(LLAMA2))
    found = model(tmp_path, pieces(LLAMA2)).words
    for text in TEXTS:
        assert found.encode(text, False) == own.encode(text), text
        assert found.encode(text, True) == own.encode(text, add_bos=True)
        assert found.decode(own.encode(text)) == own.decode(own.encode(text))
    said = found.chat([{"content": "hi"}])
    assert said == "<s>hi</s>" and found.encode(said, False) == [1, *own.encode("hi"), 2]
    assert found.decode(found.encode(said, False)) == "hi"


def test_tokenizers_of_other_kinds_are_refused(tmp_path: Path) -> None:
    given = values(trained(), "gpt-2")
    for change, message in (
        ({"tokenizer_model": "bert"}, "of the kind 'bert', expected gpt2 or llama"),
        ({"tokenizer_pre": "tekken"}, "cuts texts as 'tekken', expected gpt-2, smollm"),
        ({"token_types": [1]}, "its tokenizer is damaged"),
        ({"eos_token_id": 10**6}, "its tokenizer is damaged"),
    ):
        with pytest.raises(ModelError, match=message):
            _ = model(tmp_path, given | change).words
    with pytest.raises(ModelError, match=r"expected tokenizer.json or tokenizer.model"):
        _ = model(tmp_path, {}).words
    beside = model(tmp_path, given | {"tokenizer_pre": "tekken"})
    trained().save(str(tmp_path / "file" / "tokenizer.json"))
    assert beside.words.encode("the", False) == trained().encode("the").ids
