"""The doctor: off a Mac, with the stand-in for Espresso, and with faults that must each show up as a failed check."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anejax.cli import main
from anejax.engine.doctor import FAILED, PASSED, SKIPPED, Check, bundles, matrix_units, memory, profile_of, worker
from anejax.engine.doctor.arithmetic import ARITHMETIC
from anejax.engine.doctor.bench import Engine, difference, tolerance
from anejax.engine.doctor.checks import without_names
from anejax.engine.doctor.layout import LAYOUT
from anejax.engine.doctor.primitives import check_primitive, legalized, names, samples
from anejax.engine.doctor.questions import Plan, Question
from anejax.errors import AnejaxError
from anejax.mil import hazards, limits
from anejax.mil.chips import chip_of
from anejax.runtime import library

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "build" / "dev" / "native" / "tests" / "libanesdk_espresso.so"
QUICK = Plan("A16", quick=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    if not STAND_IN.is_file():
        pytest.skip("the stand-in for Espresso is not built: make test-native")
    monkeypatch.setenv("ANEJAX_ESPRESSO", str(STAND_IN))


def doctor(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[str]]:
    code = main(["doctor", "--quick", *argv])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.skipif(sys.platform == "darwin", reason="there Espresso is at hand")
def test_off_a_mac(capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path) -> None:
    code, lines = doctor(capsys, "--json", str(tmp_path / "report.json"))
    assert code == 0, [line for line in lines if line.startswith("failed")]
    assert lines[-1].endswith(" passed, 0 failed") and lines[-2].endswith(" skipped")
    assert any(line.startswith("skipped engine smallest program") and "Espresso" in line for line in lines)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["profile"] is None and not (cache / "profiles").exists()
    tried = {c["name"]: c["state"] for c in report["checks"] if c["group"] == "primitive"}
    assert set(tried) == set(names()) and list(tried.values()).count(PASSED) > 0.9 * len(tried)
    text = (tmp_path / "report.txt").read_text()
    assert str(cache) not in text + json.dumps(report) and "<cache> can be written" in text


def test_with_the_stand_in(stand_in: None, capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    code, lines = doctor(capsys)
    assert code == 0, [line for line in lines if line.startswith("failed")]
    assert any("add: 1 sample on engine and CPU device" in line for line in lines)
    assert "passed  probe saturation: matmul: infinity from 32768, conv: infinity from 32768" in lines
    chip = chip_of("this")
    assert STAND_IN.name in chip.sources and chip.floor_us > 0 and chip.product_points
    assert main(["estimate", "cifar10", "--preset", "demo", "--batch", "2", "--chip", "this"]) == 0
    assert "measured on" in capsys.readouterr().out


def first_check() -> Check:
    checks = worker.watched(QUICK)
    try:
        return next(checks)
    finally:
        checks.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("e5rt_e5_compiler_compile:1", "e5rt_e5_compiler_compile answered 1"),
        ("e5rt_e5_compiler_compile:stderr", "not supported on any backend"),
        ("e5rt_execution_stream_create:throw", "threw E5RTError"),
        ("execute:untouched", "64 of 64 elements of output"),
        ("place:bnns", "placed on bnns"),
        ("e5rt_e5_compiler_compile:abort", "SIGABRT"),
        ("e5rt_e5_compiler_compile:abort", "it had written: libc++abi: terminating due to uncaught exception"),
    ],
)
def test_faults_of_the_engine(stand_in: None, fault: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", fault)
    check = first_check()
    assert check.state == FAILED and said in check.detail, check


@pytest.mark.long
def test_a_store_that_was_emptied(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of programs from disk pass either way, and say whether they were compiled anew."""

    def checks() -> list[str]:
        """Both checks, asked by a new process, whose engine has this test's cache folder."""
        script = f"from {bundles.__name__} import *; print(*map(check_bundle, (SECOND_PROCESS, LATER)), sep=chr(10))"
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.splitlines()

    second, later = checks()
    assert second.startswith("passed") and "taken back from disk, and right" in second
    assert later.startswith("passed") and "ask the doctor again" in later
    assert "taken back from disk 0.0 hours" in checks()[1]
    assert first_check().state == PASSED
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "store:forgets")
    assert all(line.startswith("passed") and "compiled anew" in line for line in checks())
    assert first_check().state == PASSED, "the smallest program itself is compiled anew"
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "limit:0")
    assert all(line.startswith("failed") and "Must re-compile the E5 bundle" in line for line in checks())


@pytest.mark.long
def test_programs_of_elementwise_operations_left_to_the_cpu(
    stand_in: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on M5 by one report: nothing fails, and what cannot be asked there is skipped."""
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "place:elementwise")
    code, lines = doctor(capsys)
    assert code == 0, [line for line in lines if line.startswith("failed")]
    assert any("elementwise operations alone: they are left to the CPU device" in line for line in lines)
    assert any(line.startswith("skipped primitive exp: ") and "placed on bnns" in line for line in lines)
    assert any(line.startswith("passed  primitive dot_general: ") for line in lines)


def test_memory_that_grows(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"from {memory.__name__} import *; print(check_memory(2000, 200))"

    def check() -> str:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout

    assert check().startswith("passed  probe memory over 10,000 runs: ")
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "execute:leaks")
    assert check().startswith("failed  probe memory over 10,000 runs: ")


@pytest.mark.parametrize("sample", list(samples("conv_general_dilated")), ids=str)
def test_convolutions_are_legalized_or_refused(sample: Any) -> None:
    """Those without a place for their window too."""
    with contextlib.suppress(AnejaxError):
        legalized(sample, "A13")


def test_products_and_convolutions() -> None:
    check = matrix_units.check_matrix_units()
    assert check.state == PASSED and len(check.figures["answer"]) == len(matrix_units.IMAGES)
    assert all(rate > 0 for rates in check.figures["answer"] for rate in rates)


def test_missing_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANEJAX_ESPRESSO", str(library.find()))
    check = first_check()
    assert check.state == FAILED and "lacks functions" in check.detail and "e5rt_io_port_release" in check.detail


class Broken(Engine):
    """An engine that gives what a function makes of no result."""

    def __init__(self, make: Callable[[], np.ndarray]) -> None:
        super().__init__()
        self.make = make

    def timed(self, text: str, *inputs: np.ndarray) -> tuple[list[np.ndarray], float, None]:
        return [self.make()], 1.0, None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: np.zeros((3, 5)), "nothing but zeros"),
        (lambda: np.full((3, 5), np.nan), "NaN in 15 of 15 elements"),
        (lambda: np.full((3, 5), np.inf), "infinity in 15 of 15 elements"),
        (lambda: np.zeros((5, 3)), "shape [5, 3] instead of [3, 5]"),
    ],
)
def test_wrong_results(make: Any, said: str) -> None:
    check = check_primitive("exp", Broken(make), "A16", quick=True)
    assert check.state == FAILED and "on the engine" in check.detail and said in check.detail


def test_a_process_that_dies_is_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started again past the question at which it died."""
    asked = [Question("probe", n, lambda engine: Check("probe", "", PASSED, "")) for n in ("crash", "next")]
    done = {"check": {"group": "probe", "name": "next", "state": PASSED, "detail": ""}}

    def begin(plan: Plan, start: int, with_engine: bool) -> Any:
        words = [{"asking": max(start, 0)}, *([done, {"asking": 2}] if start == 1 else [])]
        script = f"import os; os.write(1, {''.join(json.dumps(w) + chr(10) for w in words).encode()!r})"
        die = "; os.kill(os.getpid(), 11)" if start < 1 else ""
        return subprocess.Popen([sys.executable, "-c", script + die], stdout=subprocess.PIPE, bufsize=0)

    monkeypatch.setattr(worker, "questions", lambda plan: asked)
    monkeypatch.setattr(worker, "_begin", begin)
    crash, following = worker.watched(QUICK)
    assert crash.state == FAILED and "SIGSEGV" in crash.detail and crash.name == "crash"
    assert following.state == PASSED


def test_every_primitive_has_a_sample() -> None:
    assert [n for n in names() if not any(samples(n))] == []


def test_probes_name_constants_that_there_are() -> None:
    native = "".join(p.read_text() for p in (ROOT / "native" / "src" / "ane").iterdir())
    modules = {"limits": limits, "hazards": hazards}
    for name in (n for probe in (*LAYOUT, *ARITHMETIC) for n in probe.decides):
        module, _, constant = name.partition(".")
        assert constant in native if module == "native" else hasattr(modules[module], constant), name


def test_differences() -> None:
    want = np.array([1.0, np.inf, 2.0])
    assert difference(want, want, tolerance(want, 1)) == (0.0, "")
    ratio, said = difference(np.array([1.0, np.inf, 2.5]), want, 0.25)
    assert ratio == 2 and said == "2.5 instead of 2 at [2], where 0.25 is allowed"


def test_a_profile_needs_the_dispatch() -> None:
    assert profile_of([Check("timing", "transfers", PASSED, "", {"transfer_gbs": 3.0})]) is None
    found = profile_of([Check("timing", "dispatch", PASSED, "", {"floor_us": 5.0}), Check("timing", "x", SKIPPED, "")])
    assert found is not None and found.floor_us == 5.0 and found.peak_tflops is None


def test_reports_leave_out_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/Users/someone")
    monkeypatch.setenv("LOGNAME", "someone")
    texts = ["/Users/someone/x", "/opt/someone: no", "someone", f"{os.environ['ANEJAX_CACHE']}/programs"]
    assert without_names({"a": texts}) == {"a": ["~/x", "/opt/<user>: no", "someone", "<cache>/programs"]}
