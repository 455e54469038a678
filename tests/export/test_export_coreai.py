"""`export.coreai`: what is written runs on Apple's own runtime as the function runs here.

The cases are in coreai_samples.py and coreai_programs.py, and run in processes of their own.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import anejax as aj
from anejax.coreai import asset
from anejax.coreai.operands import WRITERS
from anejax.coreai.text import TYPES
from anejax.errors import DtypeError, ExportError, MissingDependencyError, RefusedError
from anejax.mil.opset import OPSET, _mil_layers, _mil_ops_unwritten, _state, _weights
from tests.export import coreai_programs, coreai_samples
from tests.export.worker import Worker

X = np.ones(3, np.float32)
pytestmark = pytest.mark.skipif(not asset.available(), reason="no coreai-core here")


@pytest.fixture(scope="module")
def programs() -> Iterator[Worker]:
    worker = Worker("tests.export.coreai_programs")
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def samples() -> Iterator[Worker]:
    worker = Worker("tests.export.coreai_samples")
    yield worker
    worker.close()


@pytest.mark.parametrize("name", coreai_programs.CASES)
def test_programs(programs: Worker, name: str) -> None:
    programs(name)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.long] * n.endswith(coreai_samples.EVERY)) for n in coreai_samples.CASES],
)
def test_samples_of_primitives(samples: Worker, name: str) -> None:
    samples(name)


def test_every_operation_of_programs_is_written_or_refused() -> None:
    names = "cholesky triangular_solve lu qr eigh svd eig schur fft erf_inv lgamma digamma nextafter"
    rooms = (_mil_layers(), _mil_ops_unwritten(), _weights(), _state())
    layers = {
        op.name for room in rooms for op in room if "cpu" in op.targets
    } - WRITERS.keys()  # no lowering writes those
    absent = {f"aj_{name}" for name in names.split()} | layers | {op for op in OPSET if op.startswith("aj_process_")}
    made = {name for name, schema in OPSET.items() if "cpu" in schema.targets}
    assert made - WRITERS.keys() == absent


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    def refused(function: object, *args: object, error: type[Exception], match: str, **options: object) -> None:
        with pytest.raises(error, match=match):
            aj.export.coreai(function, *args, **{"path": tmp_path / "f.aimodel", **options})  # type: ignore[arg-type]
        assert not any(tmp_path.iterdir())

    square = np.eye(3, dtype=np.float32)
    refused(aj.numpy.linalg.cholesky, square, error=RefusedError, match="Core AI has no cholesky")
    refused(lambda x: x + 1j, X, error=DtypeError, match="expected one of bool, float16")
    refused(lambda x: x, X, path=tmp_path / "f.mlpackage", error=ExportError, match="ends in .aimodel")
    refused(lambda x: x, X, labels=["a", "b", "\udc80"], error=ExportError, match="a label to be a string of UTF-8")
    refused(lambda x: x, X, metadata=aj.export.Metadata(license="\udc80"), error=ExportError, match="expected license")
    refused(lambda x: x, X[:0], error=ExportError, match="x: expected no axis of size 0")
    refused(
        lambda x: x, X, weights="float16", error=ExportError, match="expected weights to be None or 'int8' or 'int4'"
    )
    one = aj.export.Function(lambda s, x: (x, s), X, state=X)
    two = aj.export.Function(lambda s, x: (x, s), X, state=X + 1)
    refused({"a": one, "b": two}, error=ExportError, match="one value of the state s, got two")
    refused({"initial": one}, error=ExportError, match="no function called initial")
    with pytest.raises(ExportError, match=r"expected an \.aimodel"):
        aj.export.AIModel(tmp_path)


def test_no_float_has_fewer_than_sixteen_bits() -> None:
    """Hazards 12 and 15: scales of such weights end the process, and casts to them make NaN of large numbers."""
    assert {t for t in TYPES.values() if "f" in t} == {"f16", "bf16", "f32", "f64"}


def test_every_hazard_of_the_page_has_a_case() -> None:
    """Cases have the number of the hazard behind their first line; two are of dtypes that are never written."""
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    hazards = page[page.index("# Programs that Core AI's compiler gets wrong") :]
    numbers = {int(n) for n in re.findall(r"^\| (\d+) \|", hazards, re.M)}
    cases = dict(re.findall(r"^def (\w+)\(\) -> None:  # (\d+)$", Path(coreai_programs.__file__).read_text(), re.M))
    assert numbers == set(range(1, 19)) and cases.keys() <= coreai_programs.CASES.keys()
    assert numbers == {*map(int, cases.values()), 12, 15}


def test_only_versions_that_were_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    with pytest.raises(MissingDependencyError, match=r"expected coreai-core 1.0.0b3, .* got 9.9"):
        aj.export.coreai(lambda x: x, X, path=tmp_path / "f.aimodel")

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(MissingDependencyError, match=r"pip install 'anejax\[coreai\]'"):
        aj.export.coreai(lambda x: x, X, path=tmp_path / "f.aimodel")
