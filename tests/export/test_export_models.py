"""Whole networks as Core ML packages, computed by coremltools; and `anejax export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax.cli import main
from anejax.coreai import asset
from anejax.data.cifar10 import MEAN, STD
from anejax.models import llama2c
from anejax.train import checkpoint, classify, deploy
from anejax.train.cifar10 import NETWORKS, PRESETS
from tests.export.evaluate import Package
from tests.export.models import MODELS, STORIES, stories, tell, told

EPS = float(np.finfo(np.float32).eps)
TOKENS = np.random.default_rng(0).integers(0, STORIES.vocabulary, (1, 24)).astype(np.int32)
PROMPT = 20  # STORIES.length is less than what prefill takes at most


@pytest.mark.parametrize("name", MODELS)
def test_networks(tmp_path: Path, name: str) -> None:
    function, params, args = MODELS[name]
    package = Package(aj.export.coreml(function, *args, path=tmp_path / "f.mlpackage", params=params))
    names = [i.name for i in package.spec.description.input]
    want = np.asarray(aj.jit(function)(params, *args), np.float64)
    got = package(dict(zip(names, args)))["output"]
    assert np.abs(got - want).max() <= 16 * EPS * max(1, np.abs(want).max())


def test_stories_with_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is float16 there."""
    monkeypatch.setattr(deploy, "PREFILL", PROMPT)
    model, params = stories()
    package = Package(aj.export.coreml(deploy.of_llama(STORIES, params), path=tmp_path / "f.mlpackage"))

    def call(name: str, tokens: Any, position: Any) -> Any:
        return package({"tokens": tokens, "position": position}, name)["logits"]

    want = told(model, params, TOKENS, PROMPT)
    got = tell(call, TOKENS, PROMPT)
    assert np.abs(got - want).max() <= 5e-3 * np.abs(want).max()
    assert (got.argmax(-1) == want.argmax(-1)).all()


# ---- the command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `anejax export` in a new directory: (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(["export", *argv])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_function(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("tests.cli.subjects:product", "--shape", "float32[2,3]", "--shape", "float32[3,4]")
    assert (code, out.split(":")[0]) == (0, "product.mlpackage")
    x, y = np.ones((2, 3), np.float32), np.full((3, 4), 0.25, np.float32)
    np.testing.assert_allclose(
        Package(tmp_path / "product.mlpackage")({"x": x, "y": y})["output"], np.tanh(x @ y), 1e-6
    )


def test_a_run_on_cifar10(run: Any, tmp_path: Path) -> None:
    recipe = PRESETS["demo"]
    model = NETWORKS[recipe.network]()
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32)).astype(np.float32)
    params, state = model.init(aj.random.key(0), images)
    trained = classify.TrainState(params, state, (np.zeros(3),), aj.random.PRNGKey(0))
    checkpoint.save(tmp_path / "run" / "checkpoints", 7, trained, {"config": recipe.to_json()})
    code, out, err = run("run", "--weights", "float16", "--to", "net.mlpackage")
    assert (code, err) == (0, "") and "params_0_0_w: off by 0.0" in out and "\nnet.mlpackage: main; " in out
    package = Package(tmp_path / "net.mlpackage")
    assert package.spec.description.input[0].type.WhichOneof("Type") == "imageType"
    mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    want = aj.nn.softmax(model.apply(params, state, (images / 255 - mean) / deviation)[0])
    np.testing.assert_allclose(package({"image": images})["probabilities"], want, atol=2e-3)


def test_a_checkpoint_of_stories(run: Any, tmp_path: Path) -> None:
    _, params = stories()
    llama2c.write(tmp_path / "model.bin", STORIES, params)
    code, out, _ = run("model.bin")
    assert code == 0 and out.startswith("model.mlpackage: decode, prefill; ")


@pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
def test_formats(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("tests.cli.subjects:product", "--shape", "float32[2,3]", "--shape", "float32[3,4]",
                       "--to", "p.aimodel")  # fmt: skip
    assert code == 0 and out.startswith("p.aimodel: main; ") and (tmp_path / "p.aimodel" / "main.mlirb").is_file()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("nothing",), "expected a directory of a run, a checkpoint"),
        (("tests.cli.subjects:product", "--to", "f.onnx"), "expected a path that ends in .mlpackage or .aimodel"),
        (("tests.cli.subjects:NUMBER",), "expected a function, got int"),
        (("empty",), "holds no checkpoint"),
        (("empty", "--shape", "float32[3]"), "expected with module:function only"),
    ],
)
def test_mistakes(run: Any, tmp_path: Path, argv: tuple[str, ...], message: str) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(*argv)
    assert code == 2 and message in err
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]
