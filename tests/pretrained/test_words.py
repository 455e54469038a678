"""Tokenizers, chat templates and ``generate --model``: from a folder with a tokenizer to text on the terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import anejax as aj
from anejax.cli import main
from anejax.models.hub import words
from anejax.models.hub.settings import ModelError
from tests.pretrained import cases

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[a] {% endif %}"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz []\n"


def tokenizer(folder: Path) -> None:
    """Writes a tokenizer whose tokens are letters: 0 begins a text, 1 ends it, 3 to 32 are LETTERS."""
    tokenizers = pytest.importorskip("tokenizers", reason="pip install tokenizers")
    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2} | {letter: i for i, letter in enumerate(LETTERS, 3)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="<unk>"))
    made.decoder = tokenizers.decoders.Fuse()
    made.add_special_tokens(["<s>", "</s>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made.save(str(folder / words.JSON))
    config = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": TEMPLATE}
    (folder / words.CONFIG).write_text(json.dumps(config))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny llama with that tokenizer."""
    folder = tmp_path / "model"
    cases.build("llama", folder)
    tokenizer(folder)
    return folder


def test_text_to_tokens_and_back(model: Path) -> None:
    read = aj.models.load(model).words
    assert read.encode("abc", True) == [0, 3, 4, 5] and read.encode("abc", False) == [3, 4, 5]
    assert read.decode([0, 3, 4, 1]) == "ab" and "".join(read.stream([0, 3, 32, 4, 5])) == "a\nbc"
    assert read.special == {"bos_token": "<s>", "eos_token": "</s>"}


def test_texts_are_neither_padded_nor_cut(model: Path) -> None:
    """The tokenizer.json of a sentence encoder such as MiniLM asks for texts of one length."""
    held = json.loads((model / words.JSON).read_text())
    cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1}
    held |= {"truncation": cut, "padding": padding | {"pad_type_id": 0, "pad_token": "</s>"}}
    (model / words.JSON).write_text(json.dumps(held))
    read = aj.models.load(model).words
    assert read.encode("a", True) == [0, 3] and read.encode("abcdef", True) == [0, 3, 4, 5, 6, 7, 8]


def test_chat_templates(model: Path) -> None:
    read = aj.models.load(model).words
    said = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert read.chat(said) == "<s>[system] be brief\n[user] hi\n[a] "
    assert read.chat(said[1:], answer=False) == "<s>[user] hi\n"
    for template, message in (
        ("{{ raise_exception('roles must alternate') }}", "refuses the messages: roles must alternate"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "the template"),
        ("{{ messages[9].content.strip() }}", "the template"),
        ("{% for m in %}", "the template"),
    ):
        (model / words.TEMPLATE).write_text(template)
        with pytest.raises(ModelError, match=message):
            words.read(model).chat(said)
    (model / words.TEMPLATE).unlink()
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "{{ messages[0].content }}"}]
    (model / words.CONFIG).write_text(json.dumps({"chat_template": named}))
    assert words.read(model).chat(said) == "be brief"
    (model / words.CONFIG).unlink()
    with pytest.raises(ModelError, match="no chat template"):
        words.read(model).chat(said)


def test_generate_writes_what_the_model_says(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: object) -> str:
        assert main(["generate", "--model", str(model), *map(str, arguments)]) == 0
        return capsys.readouterr().out

    greedy = said("--prompt", "ab", "--steps", 12, "--temperature", 0)
    assert greedy.startswith("ab") and greedy == said("--prompt", "ab", "--steps", 12, "--top-k", 1)
    loaded = aj.models.load(model)
    tokens = loaded.words.encode("ab", True)
    while len(tokens) < 12:  # by whole texts, without a cache
        logits, _ = loaded.network.apply(loaded.params, (), aj.numpy.asarray([tokens]))
        tokens.append(int(logits[0, -1].argmax()))
    text = loaded.words.decode(tokens[: next((i for i, t in enumerate(tokens) if t in loaded.ends), None)])
    assert greedy.rstrip("\n") == text.rstrip("\n")
    (model / "generation_config.json").write_text(json.dumps({"do_sample": False}))
    assert said("--prompt", "ab", "--steps", 12) == greedy
    assert not said("--chat", "--system", "be", "--prompt", "hi", "--steps", 40).startswith("[system]")


def test_tokenizers_that_are_not_there_or_damaged(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / words.JSON).write_text("{}")
    assert main(["generate", "--model", str(model), "--prompt", "a"]) == 2
    assert "is damaged, or newer than the package tokenizers" in capsys.readouterr().err
    (model / words.JSON).unlink()
    assert main(["generate", "--model", str(model), "--prompt", "a"]) == 2
    assert "expected tokenizer.json or tokenizer.model" in capsys.readouterr().err
    (model / words.SENTENCEPIECE).write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"tokenizer\.model"):
        words.read(model)


def test_sentencepiece(model: Path) -> None:
    library = pytest.importorskip("sentencepiece", reason="pip install sentencepiece")
    made = io.BytesIO()
    lines = iter(["the cat sat on the mat", "a bat and a rat"] * 20)
    library.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=made, vocab_size=24, model_type="bpe", minloglevel=2
    )
    (model / words.JSON).unlink()
    (model / words.SENTENCEPIECE).write_bytes(made.getvalue())
    read = words.read(model)
    tokens = read.encode("the cat", True)
    assert read.decode(tokens) == "the cat" and "".join(read.stream(tokens)) == "the cat"
    assert tokens[1:] == read.encode("the cat", False)
