"""``anejax.models.load``: networks against transformers' record, caches, dtypes, shards, what is written back."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import anejax as aj
from anejax.models import ModelError
from anejax.models.generate import generate
from anejax.models.hub import LanguageModel, weights
from tests.pretrained import cases

LANGUAGE = [name for name in cases.CASES if cases.CASES[name].model.endswith(("CausalLM", "LMHeadModel"))]


def load(name: str, folder: Path, dtype: type = np.float32):
    cases.build(name, folder, dtype)
    return aj.models.load(folder)


def logits(model, tokens=cases.TOKENS):
    return np.asarray(model.network.apply(model.params, (), tokens)[0])


@pytest.mark.parametrize("name", LANGUAGE)
def test_logits_are_those_of_transformers_and_a_cache_changes_nothing(name: str, tmp_path: Path) -> None:
    model, expected = load(name, tmp_path / name), cases.answers(name)["logits"]
    bound = cases.tolerance(32 * 4, expected)
    assert np.abs(logits(model) - expected).max() <= bound
    cache = model.network.cache(model.params, 2, 24)
    for start, stop in ((0, 10), (10, 11), (11, 12), (12, 21)):
        got, cache = model.network.apply(model.params, cache, cases.TOKENS[:, start:stop])
        assert np.abs(np.asarray(got) - expected[:, start:stop]).max() <= bound
    assert int(cache["position"]) == 21


@pytest.mark.parametrize("name", sorted(set(cases.CASES) - set(LANGUAGE)))
def test_encoders_give_what_transformers_gives(name: str, tmp_path: Path) -> None:
    model = load(name, tmp_path)
    found, expected = cases.ours(model, cases.inputs(name)), cases.answers(name)
    assert set(expected) <= set(found)
    for output, value in expected.items():
        assert np.abs(found[output] - value).max() <= cases.tolerance(32 * 4, value)


def test_texts_are_pooled_over_their_tokens() -> None:
    features = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    expected = np.stack([features[0, :3].mean(0), features[1].mean(0)])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(aj.models.mean_pooled(features, mask), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_weights_of_16_bits_are_kept(dtype: type, tmp_path: Path) -> None:
    model, expected = load("qwen2", tmp_path, dtype), cases.answers("qwen2")["logits"]
    assert {w.dtype for w in model.params.values()} == {np.dtype(dtype)}
    got = logits(model)
    assert got.dtype == dtype
    rounded = float(ml_dtypes.finfo(dtype).eps) * np.abs(expected).max()
    assert np.abs(got.astype(np.float32) - expected).max() < 40 * rounded
    wide = model.astype(np.float32)
    assert {w.dtype for w in wide.params.values()} == {np.dtype(np.float32)}


def test_weights_are_mapped(tmp_path: Path) -> None:
    model = load("llama", tmp_path)
    with open("/proc/self/maps") as maps:
        assert any(str(tmp_path / "model.safetensors") in line for line in maps)
    held = weights.read(tmp_path / "model.safetensors")["model.norm.weight"]
    assert not held.flags.writeable and not held.flags.owndata
    assert np.array_equal(held, np.asarray(model.params["norm.weight"]))


def test_shards_are_read_and_written(tmp_path: Path) -> None:
    model = load("gemma2", tmp_path / "whole")
    arrays = {f"model.{n}": np.asarray(w) for n, w in model.params.items()}
    (tmp_path / "parts").mkdir()
    weights.write(tmp_path / "parts", arrays, most=20_000)
    (tmp_path / "parts" / "config.json").write_bytes((tmp_path / "whole" / "config.json").read_bytes())
    index = json.loads((tmp_path / "parts" / weights.INDEX).read_text())
    files = sorted({*index["weight_map"].values()})
    assert len(files) > 2 and files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert index["metadata"]["total_size"] == sum(a.nbytes for a in arrays.values())
    again = aj.models.load(tmp_path / "parts")
    assert all(np.array_equal(again.params[n], w) for n, w in model.params.items())


def test_what_is_saved_loads_again_with_the_same_names(tmp_path: Path) -> None:
    model = load("qwen3", tmp_path / "first")
    (tmp_path / "first" / "generation_config.json").write_text('{"eos_token_id": [2, 5]}')
    (tmp_path / "first" / "tokenizer.json").write_text("{}")
    model = aj.models.load(tmp_path / "first")
    changed = {name: w + 1 for name, w in model.params.items()}
    model.save(tmp_path / "second", changed)
    again = aj.models.load(tmp_path / "second")
    names = safetensors.numpy.load_file(tmp_path / "second" / "model.safetensors").keys()
    assert names == safetensors.numpy.load_file(tmp_path / "first" / "model.safetensors").keys()
    assert all(np.array_equal(again.params[n], w) for n, w in changed.items())
    assert (again.config, again.ends) == (model.config, {2, 5})
    assert (tmp_path / "second" / "tokenizer.json").read_text() == "{}"
    with pytest.raises(ModelError, match=r"params: expected an array .*embed_tokens.weight"):
        model.save(tmp_path / "third", {})


def test_init_makes_the_parameters_that_the_file_has(tmp_path: Path) -> None:
    model = load("gemma3", tmp_path)
    made, state = model.network.init(aj.random.key(0))
    assert state == () and {n: w.shape for n, w in made.items()} == {n: w.shape for n, w in model.params.items()}
    assert isinstance(model.network, LanguageModel)


def test_long_prompts_are_taken_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("mistral", tmp_path)
    tokens = [int(t) for t in cases.TOKENS[0]]
    by_steps = list(generate(model.network, model.params, tokens, temperature=0, length=26))
    monkeypatch.setattr("anejax.models.generate._PART", 8)
    assert list(generate(model.network, model.params, tokens, temperature=0, length=26)) == by_steps
    assert len(by_steps) == 6
    with pytest.raises(ValueError, match="tokens below the vocabulary of 61, got 61"):
        next(generate(model.network, model.params, [61]))
    with pytest.raises(ValueError, match="length of 1 to 48"):
        next(generate(model.network, model.params, [1], length=49))


def test_top_k_keeps_the_likeliest_tokens(tmp_path: Path) -> None:
    model = load("llama", tmp_path)
    likeliest = set(np.argsort(logits(model)[0, 0])[-3:].tolist())
    first = int(cases.TOKENS[0, 0])
    options = {"temperature": 9.0, "top_k": 3, "top_p": 1.0, "length": 1}
    found = {next(generate(model.network, model.params, [first], seed=s, **options)) for s in range(40)}
    assert found == likeliest


def _change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "t5"}, r"expected model_type to be one of llama, .*, got 't5'"),
        ({"hidden_size": 1 << 40}, "expected hidden_size to be an integer from 1 to"),
        ({"num_hidden_layers": 10**9}, "expected num_hidden_layers to be an integer from 1 to 21, got 1000000000"),
        ({"num_key_value_heads": 3}, "a divisor of the 4 heads"),
        ({"vocab_size": 60}, r"expected embed_tokens.weight \[60, 32\], got \[61, 32\]"),
        ({"num_hidden_layers": 1}, r"no part of Decoder takes the array layers.1.input_layernorm.weight"),
        ({"tie_word_embeddings": "yes"}, "expected tie_word_embeddings to be true or false, got 'yes'"),
        ({"rms_norm_eps": -1}, "expected rms_norm_eps to be a finite number above 0, got -1"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "expected rope_type to be one of default, linear"),
        ({"rope_parameters": [1]}, "expected rope_parameters to be an object"),
        ({"hidden_act": "maxout"}, "expected hidden_act to be one of silu"),
        ({"head_dim": 7}, "expected head_dim to be even"),
    ],
)
def test_configurations_that_fit_nothing(values: dict, message: str, tmp_path: Path) -> None:
    cases.build("llama", tmp_path)
    _change(tmp_path, **values)
    with pytest.raises(ModelError, match=message):
        aj.models.load(tmp_path)


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a folder with config.json"):
        aj.models.load(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"expected config.json, which is not there"):
        aj.models.load(tmp_path)
    cases.build("llama", tmp_path)
    whole = (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"expected model.safetensors or model.safetensors.index.json"):
        aj.models.load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"pickle .* may run any code and are not read"):
        aj.models.load(tmp_path)
    for name in ("../other.safetensors", "/etc/passwd", 3):
        (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": {"w": name}}))
        with pytest.raises(ModelError, match="expected weight_map"):
            aj.models.load(tmp_path)
    (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": {"w": whole.name}}))
    with pytest.raises(ModelError, match=r"expected w in other.safetensors, which has not got it"):
        aj.models.load(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    cases.build("llama", tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in (0, 3, 8, 40, len(whole) - 1)]
    damaged += [b"\xff" * 8 + whole[8:], whole.replace(b'"F32"', b'"F8_E4M3"', 1), whole + b"x"]
    for _ in range(40):
        changed = bytearray(whole)
        changed[int(rng.integers(0, 600))] ^= int(rng.integers(1, 256))
        damaged.append(bytes(changed))
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            aj.models.load(tmp_path)
        except ModelError:
            refused += 1
    assert refused > 40
