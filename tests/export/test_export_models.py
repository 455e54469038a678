"""Whole networks as Core ML packages, computed by coremltools; and `anejax export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax.cli import main
from anejax.coreai import asset
from anejax.data import chars
from anejax.models import llama2c
from anejax.models.llama import SIZES
from anejax.train import deploy
from tests.export.evaluate import Package
from tests.export.models import MODELS, STORIES, stories
from tests.export.runs import PREFILL, RUNS, SIZE
from tests.pretrained import cases

EPS = float(np.finfo(np.float32).eps)


@pytest.mark.parametrize("name", MODELS)
def test_networks(tmp_path: Path, name: str) -> None:
    function, params, args = MODELS[name]
    package = Package(aj.export.coreml(function, *args, path=tmp_path / "f.mlpackage", params=params))
    names = [i.name for i in package.spec.description.input]
    want = np.asarray(aj.jit(function)(params, *args), np.float64)
    got = package(dict(zip(names, args)))["output"]
    assert np.abs(got - want).max() <= 16 * EPS * max(1, np.abs(want).max())


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


@pytest.mark.parametrize("name", RUNS)
def test_runs(run: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of each kind of run, as coremltools reads it and computes it. States are float16 there."""
    monkeypatch.setattr(deploy, "PREFILL", PREFILL)
    monkeypatch.setitem(SIZES, "260K", SIZE)
    network = RUNS[name].write(tmp_path)
    code, out, err = run("run", "--to", "net.mlpackage")
    assert (code, err) == (0, "") and out.startswith("net.mlpackage: ")
    package = Package(tmp_path / "net.mlpackage")
    said = dict(package.spec.description.metadata.userDefined)
    assert (said["anejax"], said["run"], said["steps"]) == (aj.__version__, name.split()[0], "7")
    assert said.get("characters") == (" benort" if name == "chars" else None)
    several = len(package.program.functions) > 1
    RUNS[name].check(network, lambda f, inputs: package(inputs, f if several else None), 5e-3)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_pretrained_model(run: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "PREFILL", PREFILL)
    cases.build(name, tmp_path / "model", np.float16)
    assert run("model", "--to", "net.mlpackage")[0] == 0
    package, model = Package(tmp_path / "net.mlpackage"), aj.models.load(tmp_path / "model").astype("float32")
    assert package.spec.description.metadata.userDefined["model"] == name
    network = model.network, model.params, cases.TOKENS[:1, : PREFILL + 2]
    RUNS["text"].check(network, lambda f, inputs: package(inputs, f), 5e-3)


def test_a_pretrained_model_that_writes_no_text(run: Any, tmp_path: Path) -> None:
    cases.build("vit", tmp_path / "model")
    code, _, err = run("model", "--to", "net.mlpackage")
    assert code == 2 and "expected a language model, got vit" in err and not (tmp_path / "net.mlpackage").exists()


def test_the_text_of_a_run_is_read_once(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RUNS["chars"].write(tmp_path)
    read, load = list[str](), chars.load
    monkeypatch.setattr(chars, "load", lambda path: read.append(path) or load(path))
    assert run("run", "--to", "net.mlpackage")[0] == 0 and len(read) == 1


def test_labels_of_a_function(run: Any, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("left\nright\n", encoding="utf-8")
    command = ("tests.cli.subjects:product", "--shape", "float32[1,3]", "--shape", "float32[3,2]", "--labels")
    assert run(*command, "names")[0] == 0
    x, y = np.ones((1, 3), np.float32), np.array([[0, 1]] * 3, np.float32)
    assert Package(tmp_path / "product.mlpackage")({"x": x, "y": y})["classLabel"] == "right"
    (tmp_path / "names").write_bytes(b"\xff\n")
    code, _, err = run(*command, "names", "--to", "other.mlpackage")
    assert code == 2 and "expected UTF-8 text" in err and not (tmp_path / "other.mlpackage").exists()


def test_weights_of_a_run(run: Any, tmp_path: Path) -> None:
    network = RUNS["images"].write(tmp_path)
    code, out, err = run("run", "--weights", "float16", "--to", "net.mlpackage")
    assert (code, err) == (0, "") and "params_0_4_w: off by 0.0" in out and "\nnet.mlpackage: main; " in out
    package = Package(tmp_path / "net.mlpackage")
    assert package.spec.description.input[0].type.WhichOneof("Type") == "imageType"
    RUNS["images"].check(network, lambda f, inputs: package(inputs), 5e-3)


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
        (("nothing",), "expected a directory of a run or of a pretrained model"),
        (("tests.cli.subjects:product", "--to", "f.onnx"), "expected a path that ends in .mlpackage or .aimodel"),
        (("tests.cli.subjects:NUMBER",), "expected a function, got int"),
        (("empty",), "holds no checkpoint"),
        (("empty", "--shape", "float32[3]"), "expected with module:function only"),
        (("empty", "--labels", "names"), "expected with module:function only"),
    ],
)
def test_mistakes(run: Any, tmp_path: Path, argv: tuple[str, ...], message: str) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(*argv)
    assert code == 2 and message in err
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]
