"""Against transformers itself: in the environment of ``make models-check``, skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import anejax as aj
from anejax import lora
from anejax.models.hub import weights
from tests.pretrained import cases

pytest.importorskip("transformers", reason="`make models-check` has an environment with transformers")
from tests.pretrained import gguf_file, reference
from tests.pretrained.test_lora import filled


@pytest.mark.parametrize("name", cases.CASES)
def test_the_fixtures_are_what_transformers_computes(name: str, tmp_path: Path) -> None:
    reference.make(name, tmp_path)
    for file in ("config.json", "case.json"):
        assert (tmp_path / file).read_text() == (cases.FIXTURES / name / file).read_text()
    found = weights.read(tmp_path / "answers.safetensors")
    for output, expected in cases.answers(name).items():
        assert np.abs(found[output] - expected).max() <= cases.tolerance(32, expected)


@pytest.mark.parametrize("name", cases.CASES)
def test_transformers_reads_what_is_saved(name: str, tmp_path: Path) -> None:
    cases.build(name, tmp_path / "first")
    model = aj.models.load(tmp_path / "first")
    params = {n: np.asarray(w) * np.float32(1.01) for n, w in model.params.items()}
    model.save(tmp_path / "second", params)
    given = cases.inputs(name)
    found = {n: x for n, x in reference.outputs(tmp_path / "second", name).items() if n in cases.answers(name)}
    ours = cases.ours(aj.models.load(tmp_path / "second"), given)
    for output, expected in ((n, x) for n, x in ours.items() if n in found):
        assert np.abs(found[output] - expected).max() <= cases.tolerance(32 * 4, expected)
        assert np.abs(found[output] - cases.answers(name)[output]).max() > cases.tolerance(32 * 4, expected)


@pytest.mark.parametrize("name", ["llama", "qwen2-window"])
def test_transformers_reads_the_same_from_gguf(name: str, tmp_path: Path) -> None:
    cases.build(name, tmp_path)
    gguf_file.write(tmp_path, tmp_path / "model.gguf", "Q8_0")
    expected = reference.gguf_weights(tmp_path / "model.gguf", name)
    found = aj.models.load(tmp_path / "model.gguf")
    for key, w in found.params.items():
        assert np.allclose(np.asarray(w), expected[found.network.file_name(key, "model.")], atol=1e-3), key


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_peft_reads_adapters(name: str, tmp_path: Path) -> None:
    cases.build(name, tmp_path / "base")
    model = aj.models.load(tmp_path / "base")
    targets = ["c_attn"] if name == "gpt2" else ["q", "v"]
    adapters = filled(lora.init(aj.random.key(0), model.params, rank=3, targets=targets))
    facts = {"alpha": 9.0, "prefix": model.network.prefix, "transposed": name == "gpt2"}
    lora.save(tmp_path / "adapter", adapters, **facts)
    merged = lora.merge(model.params, adapters, 9.0)
    ours = np.asarray(model.network.apply(merged, (), cases.TOKENS)[0])
    expected = reference.with_adapter(tmp_path / "base", tmp_path / "adapter", name)
    assert np.abs(ours - expected).max() <= cases.tolerance(32 * 4, expected)
    assert np.abs(expected - cases.answers(name)["logits"]).max() > 0.1
