"""``anejax.lora`` and ``anejax train text``: adapters, what they cost, PEFT's layout, runs to the written model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import lora, nn, optim, random, tree
from anejax.cli import main
from anejax.data import texts
from anejax.errors import FileError, ShapeError, TreeError
from anejax.models.hub.words import Words
from tests.pretrained import cases

KEY = random.key(0)


def filled(adapters: lora.Adapters) -> lora.Adapters:
    rng = np.random.default_rng(0)
    return tree.map(lambda w: rng.normal(size=w.shape).astype(np.float32) * np.float32(0.2), adapters)


def test_adapters_start_at_nothing_and_add_a_product(tmp_path: Path) -> None:
    cases.build("llama", tmp_path)
    model = aj.models.load(tmp_path)
    adapters = lora.init(KEY, model.params, rank=3, targets=["q", "down"])
    assert sorted(adapters) == sorted(
        f"layers.{i}.{n}_proj.weight" for i in (0, 1) for n in ("self_attn.q", "mlp.down")
    )
    same = lora.merge(model.params, adapters)
    assert all(np.array_equal(same[n], w) for n, w in model.params.items())
    adapters = filled(adapters)
    merged = lora.merge(model.params, adapters, alpha=12.0)
    for name, w in model.params.items():
        expected = np.asarray(w, np.float64)
        if name in adapters:
            a, b = (np.asarray(adapters[name][n], np.float64) for n in "ab")
            expected = expected + 4.0 * b @ a
        np.testing.assert_allclose(merged[name], expected, rtol=0, atol=2e-6)


def test_any_tree_has_adapters_and_only_they_are_trained() -> None:
    net = nn.Sequential(nn.Linear(6), nn.Tanh(), nn.Linear(1))
    x = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    y = np.sin(x[:, :1])
    params, state = net.init(KEY, x)
    adapters = lora.init(KEY, params, rank=2, targets=["0"])
    assert list(adapters) == ["0.w"]
    optimizer = optim.adam(0.05)
    opt_state = optimizer.init(adapters)
    assert sum(leaf.size for leaf in tree.leaves(opt_state)) == 1 + 2 * (2 * 6 + 4 * 2)

    def loss(adapters: Any, params: Any) -> Any:
        return aj.numpy.mean((net.apply(lora.merge(params, adapters), state, x)[0] - y) ** 2)

    @aj.jit
    def step(adapters: Any, opt_state: Any, params: Any) -> Any:
        value, grads = aj.value_and_grad(loss)(adapters, params)
        updates, opt_state = optimizer.update(grads, opt_state, adapters)
        return optim.apply_updates(adapters, updates), opt_state, value

    values = []
    for _ in range(30):
        adapters, opt_state, value = step(adapters, opt_state, params)
        values.append(float(value))
    assert values[-1] < 0.6 * values[0]


def test_adapters_that_fit_nothing() -> None:
    params = {"q": np.ones((4, 3), np.float32), "bias": np.ones(3, np.float32)}
    with pytest.raises(TreeError, match="no matrix has a part 'v' in its name; there are q"):
        lora.init(KEY, params, targets=["q", "v"])
    with pytest.raises(ShapeError, match=r"rank from 1 to 3 for q \[4, 3\], got 4"):
        lora.init(KEY, params, rank=4, targets=["q"])
    with pytest.raises(TreeError, match="got one for k"):
        lora.merge(params, {"k": {}})


@pytest.mark.parametrize("transposed", [False, True])
def test_the_layout_of_peft_is_written_and_read(transposed: bool, tmp_path: Path) -> None:
    params = {"layers.0.q_proj.weight": np.ones((6, 4), np.float32)}
    adapters = filled(lora.init(KEY, params, rank=2, targets=["q"]))
    lora.save(tmp_path / "a", adapters, alpha=5.0, transposed=transposed)
    arrays = aj.load(tmp_path / "a" / "adapter_model.safetensors")
    shapes = {n: w.shape for n, w in arrays.items()}
    name = "base_model.model.model.layers.0.q_proj.lora"
    wide = (6, 4) if transposed else (4, 6)
    assert shapes == {f"{name}_A.weight": (2, wide[0]), f"{name}_B.weight": (wide[1], 2)}
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (2, 5.0, ["q_proj"])
    found, alpha = lora.load(tmp_path / "a")
    assert alpha == 5.0
    for held, expected in zip(tree.leaves(found), tree.leaves(adapters), strict=True):
        assert np.array_equal(held, expected)
    for text in (
        "{}",
        "[",
        '{"peft_type": "IA3", "r": 2, "lora_alpha": 1}',
        '{"peft_type": "LORA", "r": 3, "lora_alpha": 1}',
    ):
        (tmp_path / "a" / "adapter_config.json").write_text(text)
        with pytest.raises(FileError, match="no folder of PEFT's LoRA, or damaged"):
            lora.load(tmp_path / "a")


LETTERS = Words(
    lambda text, ends: [1] * ends + [3 + ord(c) % 50 for c in text], lambda tokens: "".join(map(chr, tokens))
)


def test_texts_are_packed_and_prompts_are_not_learned(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ab")
    (tmp_path / "b.jsonl").write_text('{"prompt": "x", "completion": "y"}\n\n{"text": "z"}\n')
    stream = texts.load(tmp_path, LETTERS, 2, 61)
    code = lambda c: 3 + ord(c) % 50  # noqa: E731
    plain = [1, code("a"), code("b"), 2, 1, code("x"), code("y"), 2, 1, code("z"), 2]
    marks = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert (stream % texts.UNLEARNED).tolist() == plain and (stream >= texts.UNLEARNED).tolist() == list(
        map(bool, marks)
    )
    with pytest.raises(texts.TextError, match=r"gives token .* vocabulary has 20"):
        texts.load(tmp_path, LETTERS, 2, 20)
    for line in ("{", "[]", '{"text": 3}', '{"prompt": "a"}', '{"messages": 4}'):
        (tmp_path / "b.jsonl").write_text("\n" + line)
        with pytest.raises(Exception, match=r"b.jsonl, line 2: expected an object|no chat template"):
            texts.load(tmp_path, LETTERS, 2, 61)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(texts.TextError, match="expected a text"):
        texts.load(tmp_path / "empty.txt", LETTERS, 2, 61)


def _folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose tokenizer is made here."""
    cases.build("llama", path)
    monkeypatch.setattr("anejax.models.hub.words.read", lambda *_: LETTERS)
    return path


@pytest.mark.parametrize("options", [[], ["--lora", "2", "--targets", "q,v,down"]])
def test_a_run_writes_a_model_that_knows_the_text(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = _folder(tmp_path / "model", monkeypatch)
    data = tmp_path / "data.txt"
    data.write_text("abcdefgh" * 60)
    command = ["train", "text", "--model", str(model), "--data", str(data), "--steps", "30", "--eval-every", "15"]
    command += ["--batch", "4", "--length", "16", "--lr", "0.02", "--out", str(tmp_path / "run"), *options]
    assert main([*command, "--save", str(tmp_path / "new")]) == 0
    assert f"written: {tmp_path / 'new'}" in capsys.readouterr().out.replace("\n", "")
    found, before = aj.models.load(tmp_path / "new"), aj.models.load(model)
    assert found.config["model_type"] == "llama"
    changed = {n for n, w in found.params.items() if not np.array_equal(w, before.params[n])}
    if options:
        assert changed == {n for n in found.params if any(f"{t}_proj" in n for t in ("q", "v", "down"))}
        adapters, alpha = lora.load(tmp_path / "new-adapter")
        merged = lora.merge(before.params, adapters, alpha)
        assert all(np.allclose(merged[n], w, atol=1e-6) for n, w in found.params.items())
    else:
        assert changed == set(found.params)
    assert main(["eval", "text", "--model", str(tmp_path / "new"), "--data", str(data), "--length", "16"]) == 0
    after = float(capsys.readouterr().out.split("loss=")[1].split()[0])
    assert main(["eval", "text", "--model", str(model), "--data", str(data), "--length", "16"]) == 0
    first = float(capsys.readouterr().out.split("loss=")[1].split()[0])
    assert after < first - 1
    assert main(["eval", "text", "--checkpoint", str(tmp_path / "run"), "--data", str(data), "--length", "16"]) == 0
    assert float(capsys.readouterr().out.split("loss=")[1].split()[0]) == pytest.approx(after, abs=1e-3)
    assert main([*command, "--out", str(tmp_path / "other"), "--save", str(tmp_path / "new")]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("save", [False, True])
def test_a_resumed_run_writes_its_model_again(
    save: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over that in its own folder; a folder that the user named is asked for before anything is trained."""
    model, data, run = _folder(tmp_path / "model", monkeypatch), tmp_path / "data.txt", tmp_path / "run"
    data.write_text("abcdefgh" * 20)
    command = ["train", "text", "--model", str(model), "--data", str(data), "--steps", "1", "--eval-every", "1"]
    command += ["--batch", "2", "--length", "8", "--lora", "2", "--out", str(run)]
    assert main([*command, *["--save", str(tmp_path / "new")] * save]) == 0
    log = (run / "log.jsonl").read_text()
    more = ["train", "text", "--resume", str(run), "--steps", "2"]
    if save:
        (tmp_path / "new").rename(tmp_path / "kept")  # the folder of the adapters is still there
        assert main(more) == 2 and (run / "log.jsonl").read_text() == log
        assert "new-adapter is there already" in capsys.readouterr().err.replace("\n", " ")
        assert main([*more, "--save", str(tmp_path / "newer")]) == 0
        assert aj.models.load(tmp_path / "newer").config["model_type"] == "llama"
        return
    before = np.asarray(lora.load(run / "model-adapter")[0]["layers.0.self_attn.q_proj.weight"]["b"])
    assert main(more) == 0
    after = np.asarray(lora.load(run / "model-adapter")[0]["layers.0.self_attn.q_proj.weight"]["b"])
    assert not np.array_equal(before, after)
