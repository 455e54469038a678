"""Core ML packages: what is in them, that coremltools reads them back, and what cannot become one."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anejax.errors import ExportError, MilError, MissingDependencyError, VerifyError
from anejax.export.mlpackage import SPECIFICATION_VERSION, save_mlpackage, to_spec
from anejax.mil.program import BlobRef, Builder, Program, Type
from anejax.mil.weights import WeightWriter, read_weight
from tests.mil.witness import witness

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(16, 8)).astype(np.float32)
SMALL = np.arange(8, dtype=np.float32)


def small_layer() -> Program:
    b = Builder()
    x = b.input("x", Type("fp32", (4,)))
    b.returns(b.op("exp", {"x": x}, out=x.type))
    return b.program()


def read(path: Path) -> Any:
    """The package as coremltools opens it, without a Mac."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coremltools.models import MLModel

        return MLModel(str(path), skip_model_load=True)


def test_description_of_ports() -> None:
    b = Builder()
    x = b.input("x", Type("fp32", (2, 3)))
    i = b.input("i", Type("int32", (5,)))
    y = b.op("cast", {"x": x, "dtype": "fp16"}, out=Type("fp16", (2, 3)))
    j = b.op("square", {"x": i}, out=i.type)
    b.returns(y, j)
    spec = to_spec(b.program(), {"x": "the input", "cast": "the output"})
    assert spec.specificationVersion == SPECIFICATION_VERSION
    ports = [*spec.description.input, *spec.description.output]
    assert [p.name for p in ports] == ["x", "i", "cast", "square"]
    assert [p.shortDescription for p in ports] == ["the input", "", "the output", ""]
    assert [list(p.type.multiArrayType.shape) for p in ports] == [[2, 3], [5], [2, 3], [5]]
    names = [type(p.type.multiArrayType).ArrayDataType.Name(p.type.multiArrayType.dataType) for p in ports]
    assert names == ["FLOAT32", "INT32", "FLOAT16", "INT32"]


def test_package_reads_back(tmp_path: Path) -> None:
    program = small_layer()
    path = tmp_path / "small.mlpackage"
    save_mlpackage(program, path)
    spec = read(path).get_spec()
    assert spec.mlProgram == to_spec(program).mlProgram


def test_large_constants_are_in_the_weight_file(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", Type("fp32", (4, 16)))
    flags = {"transpose_x": False, "transpose_y": False}
    y = b.op("matmul", {"x": x, "y": WEIGHT, **flags}, out=Type("fp32", (4, 8)))
    z = b.op("add", {"x": y, "y": SMALL}, out=y.type, hint="sum")
    b.returns(z)
    program = b.program()
    witness(program)
    path = tmp_path / "layer.mlpackage"
    save_mlpackage(program, str(path))
    model = read(path)
    contents = (path / "Data/com.apple.CoreML/weights/weight.bin").read_bytes()
    np.testing.assert_array_equal(read_weight(contents, 64, Type("fp32", (16, 8))), WEIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coremltools.converters.mil.frontend.milproto import load

        main = load.load(model.get_spec(), SPECIFICATION_VERSION, model.weights_dir).functions["main"]
    consts = {op.name: op.outputs[0].val for op in main.operations if op.op_type == "const"}
    np.testing.assert_array_equal(consts["y"], WEIGHT)
    np.testing.assert_array_equal(consts["y_1"], SMALL)


def test_weights_of_other_dtypes_stay_inline() -> None:
    weights = WeightWriter()
    b = Builder()
    x = b.input("x", Type("fp32", (100,)))
    zeros = np.zeros(100, np.float32)
    b.returns(b.op("select", {"cond": np.arange(100) % 3 == 0, "a": x, "b": zeros}, out=x.type))
    spec = to_spec(b.program(), weights=weights)
    assert len(weights.contents()) == 64 + 64 + 448  # the zeros alone
    block = spec.mlProgram.functions["main"].block_specializations["CoreML8"]
    consts = [o.attributes["val"].immediateValue.tensor for o in block.operations if o.type == "const"]
    (values,) = (list(c.bools.values) for c in consts if c.bools.values)
    assert values == [k % 3 == 0 for k in range(100)]


def test_an_array_is_one_constant() -> None:
    b = Builder()
    i, table = b.input("i", Type("int32", (100,))), np.arange(100, dtype=np.int32)
    first = b.op("add", {"x": i, "y": table}, out=i.type)
    b.returns(b.op("add", {"x": first, "y": table}, out=i.type))
    weights = WeightWriter()
    spec = to_spec(b.program(), weights=weights)
    block = spec.mlProgram.functions["main"].block_specializations["CoreML8"]
    assert [o.type for o in block.operations] == ["const", "add", "add"]
    assert len(weights.contents()) == 64 + 64 + 448


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", Type("fp32", (4,)))
    b.returns(b.op("aj_exp", {"x": x}, out=x.type))
    with pytest.raises(VerifyError, match=r"^\[aj_exp\] not an operation of target coreml"):
        to_spec(b.program())
    b = Builder()
    x = b.input("x", Type("fp32", (4,)))
    w = b.const(BlobRef("@model_path/weights.bin", 64), x.type)
    b.returns(b.op("add", {"x": x, "y": w}, out=x.type))
    with pytest.raises(MilError, match=r"^\[coreml\] expected a constant written out, got a BLOBFILE"):
        to_spec(b.program())
    b = Builder()
    for f in (b, b.function("other")):
        x = f.input("x", Type("fp32", (4,)))
        f.returns(f.op("exp", {"x": x}, out=x.type))
    with pytest.raises(MilError, match=r"^\[coreml\] expected no functions that main does not run, got other"):
        to_spec(b.program())
    with pytest.raises(ExportError, match=r"^\[export\] expected a path that ends in .mlpackage, got .m.mlmodel"):
        save_mlpackage(small_layer(), tmp_path / "m.mlmodel")


def test_without_coremltools(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"^\[coreml\] expected coremltools to be installed: pip install"):
        to_spec(small_layer())
