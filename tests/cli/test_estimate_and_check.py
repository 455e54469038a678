"""`anejax estimate` and `anejax check`, in this process: what they print, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from anejax.cli import main
from anejax.mil.text import to_text
from tests.mil.published import square
from tests.mil.test_mil_diagnose import BROKEN

HERE = "tests.cli.subjects"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line: (exit code, output, errors), in lines that are not broken."""
    monkeypatch.setenv("COLUMNS", "500")

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def mil(tmp_path: Path) -> Any:
    def write(text: str | bytes) -> str:
        path = tmp_path / "program.mil"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_estimate_of_a_file(run: Any, mil: Any) -> None:
    code, out, _ = run("estimate", mil(to_text(square(1024))), "--chip", "M5")
    assert code == 0
    assert "M5: 433.8 us on the engine, in 1 program\n" in out  # published: 434 us
    assert "2.147 GFLOP" in out and "[fit]" in out and "CPU device" not in out


def test_estimate_of_a_function(run: Any) -> None:
    arguments = ("--shape", "float32[8, 4]", "--shape", "float32[4,3]", "--json")
    code, out, _ = run("estimate", f"{HERE}:product", "--chip", "M1", *arguments)
    found = json.loads(out)
    assert (code, found["flops"], found["chip"], found["host"]) == (0, 2 * 8 * 4 * 3, "M1", [])
    code, out, _ = run("estimate", f"{HERE}:sorted_inverse", "--shape", "float32[8]")
    assert code == 0 and "0.0 us on the engine, in 0 programs" in out
    assert "MIL's sorting operations order one array" in out


@pytest.mark.parametrize(
    ("arguments", "gflops"),
    [
        (("stories", "--size", "260K", "--length", "32", "--step", "forward"), 0.0180),
        (("stories", "--size", "260K", "--length", "32"), 0.0530),
        (("cifar10", "--preset", "demo", "--batch", "2", "--step", "forward"), 0.060167),
        (("cifar10", "--preset", "demo", "--batch", "2"), 0.200400),
    ],
)
def test_estimates_of_networks(run: Any, arguments: tuple[str, ...], gflops: float) -> None:
    """The image network has 30,083,584 FLOP an image; three times as many with gradients, less one of the images, sums
    that are products with ones, the means of norms among them, and convolutions with ones that make patches."""
    code, out, _ = run("estimate", *arguments, "--json")
    found = json.loads(out)
    assert code == 0 and found["us"] > 100
    assert found["flops"] / 1e9 == pytest.approx(gflops, rel=0.03 if "stories" in arguments else 0.005)


def test_estimates_of_networks_in_words(run: Any) -> None:
    code, out, _ = run("estimate", "stories", "--size", "260K", "--top", "2")
    assert code == 0 and "│ matmul " in out and "on the CPU device" in out and "..." in out


def test_estimate_refuses_broken_programs(run: Any, mil: Any) -> None:
    code, _, err = run("estimate", mil(BROKEN))
    assert code == 2 and "rules of M4 are broken" in err and "anejax check" in err


def test_check_of_a_file(run: Any, mil: Any) -> None:
    code, out, _ = run("check", mil(BROKEN), "--chip", "M1")
    assert code == 1
    assert "refused line 9: [tile] expected factors made of (2, 3), not 5" in out
    assert "rule: tile factors" in out and "fix: concat of copies" in out and "source: [catalog]" in out
    assert "M1: 15 refused, 1 note" in out
    code, out, _ = run("check", mil(BROKEN), "--chip", "M1", "--json")
    rows = json.loads(out)
    assert code == 1 and [r["line"] for r in rows if r["rule"] == "exponent"] == [10]
    assert set(rows[0]) == {"operation", "line", "message", "place", "rule", "severity", "source", "fix"}


def test_check_that_finds_nothing(run: Any, mil: Any) -> None:
    code, out, _ = run("check", mil(to_text(square(64))), "--quiet")
    assert (code, out.strip()) == (0, "M4: nothing found")
    code, out, _ = run("check", mil(to_text(square(64))))
    assert code == 0 and "note line" in out and "M4: 1 note" in out


def test_check_of_a_function(run: Any) -> None:
    code, out, _ = run("check", f"{HERE}:sorted_inverse", "--shape", "float32[8]")
    assert code == 1 and "[sort] " in out and "[erf_inv] " in out and "M4: 2 refused" in out
    shapes = ("--shape", "float32[8,4]", "--shape", "float32[4,3]")
    assert run("check", f"{HERE}:product", *shapes)[0] == 0


def test_check_of_a_network(run: Any) -> None:
    code, out, _ = run("check", "stories", "--size", "260K", "--length", "8", "--step", "forward")
    assert code == 1 and "[gather] the engine has no gather" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("nonsense",), "expected cifar10, stories, a file whose name ends in .mil, or module:function"),
        (("missing.mil",), "missing.mil: No such file"),
        (("no.such.module:f",), "No module named"),
        ((f"{HERE}:absent",), "has no attribute 'absent'"),
        ((f"{HERE}:NUMBER",), "expected a function, got int"),
        ((f"{HERE}:product", "--shape", "float99[3]"), "expected a dtype and sizes, such as float32[8,4]"),
        ((f"{HERE}:product", "--shape", "float32[3,]"), "expected a dtype and sizes"),
        ((f"{HERE}:product", "--shape", "float32[3]"), "TypeError when called with float32[3]"),
        ((f"{HERE}:broken", "--shape", "float32[3]"), "KeyError when called with float32[3]: 'weights'"),
        (("stories", "--size", "260K", "--length", "513"), "expected at most 512 tokens, got 513"),
    ],
)
@pytest.mark.parametrize("command", ["estimate", "check"])
def test_mistakes(run: Any, command: str, argv: tuple[str, ...], message: str) -> None:
    code, _, err = run(command, *argv)
    assert code == 2 and message in err and "defect" not in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1:1"),
        (b"program(1.3)\n\xff", "expected text in UTF-8, got byte 255 at 13"),
        (b"program(1.3)\x00", "[mil] "),
        (b"(" * 100_000, "[mil] 1:1"),
        (to_text(square(8))[:-20].encode(), "[mil] "),
    ],
)
@pytest.mark.parametrize("command", ["estimate", "check"])
def test_files_that_are_no_programs(run: Any, mil: Any, command: str, content: bytes, message: str) -> None:
    code, out, err = run(command, mil(content))
    assert code == 2 and not out and message in err and "defect" not in err


def test_explain_of_a_function(run: Any, mil: Any, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    code, out, _ = run("explain", f"{HERE}:sorted_inverse", "--shape", "float32[8]", "--html", str(page))
    assert code == 0 and out.startswith("sorted_inverse on ane (M4): 1 segment, ")
    assert page.read_text().startswith("<!DOCTYPE html>")
    code, _, err = run("explain", f"{HERE}:sorted_inverse", "--shape", "float32[8]", "--html", "a.png")
    assert code == 2 and "[--html] expected a path that ends in .html or .svg" in err
    code, _, err = run("explain", mil(to_text(square(64))))
    assert code == 2 and "expected a function, got a program" in err


def test_a_rule_that_is_broken_very_often_is_told_fifty_times(run: Any, mil: Any) -> None:
    inputs = ", ".join(f"tensor<fp64, [1, 4]> a{i}" for i in range(200))
    body = 'tensor<fp64, [1, 4]> y = add(x = a0, y = a1)[name = string("y")];'
    path = mil(f"program(1.3)\n{{\n func main<ios18>({inputs}) {{\n {body}\n }} -> (y);\n}}\n")
    code, out, _ = run("check", path)
    told = Counter(line for line in out.splitlines() if line.startswith("    rule: "))
    assert code == 1 and max(told.values()) == 50 and "more findings, which --json lists" in out
    code, out, _ = run("check", path, "--json")
    assert code == 1 and len(json.loads(out)) > 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_named() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "anejax", "fetch"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert done.returncode == 2 and done.stderr == "anejax: standard output: No space left on device.\n"
