"""The table of ``make engine-check``: it has every fault of the stand-in, and a mode that comes to something else is
a fault. Only two modes are run here; `make engine-check` runs all of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from anejax.engine.doctor import FAILED, PASSED, SKIPPED, Check
from tests.engine_check import running
from tests.engine_check.__main__ import ABSENT, cell
from tests.engine_check.modes import ELSEWHERE, MODES, SAID, SURVIVED, Mode
from tests.engine_check.running import FAULT, Row, judged, run
from tests.engine_check.scenarios import SCENARIOS
from tests.espresso import ROOT, stand_in

QUICK = ("lists of matrices are refused", "aborts")
# kinds of faults that are the same for every function: of those a status or an exception somewhere is enough
GENERAL = ("<function>",)


@pytest.fixture
def library() -> Path:
    path = stand_in().resolve()
    if not path.is_file():
        pytest.skip("the stand-in for Espresso is not built: make test-native")
    return path


@pytest.mark.parametrize("mode", [m for m in MODES if m.name in QUICK], ids=lambda m: m.name)
def test_modes(mode: Mode, library: Path) -> None:
    row = run(mode, library)
    assert row.state == mode.wanted, row.words


def test_every_fault_of_the_stand_in_has_a_mode() -> None:
    """runtime.h lists the faults; a fault of a kind, "limit:<operations>", has one with some argument."""
    text = (ROOT / "native/tests/espresso/runtime.h").read_text()
    listed = re.findall(r'"([a-z0-9_<>]+):([^"]+)"', text[text.index("// ANEJAX_ESPRESSO_FAULT:") :])
    assert len(listed) > 20
    ours = [m.fault for m in MODES]
    for what, argument in listed:
        if what in GENERAL:
            continue
        wanted = f"{what}:" if argument.startswith("<") else f"{what}:{argument}"
        assert any(f.startswith(wanted) if argument.startswith("<") else f == wanted for f in ours), wanted
    kinds = {argument for what, argument in listed if what in GENERAL} - {"<status>"}
    assert kinds == {"throw", "throw_int", "throw_foreign", "hang", "abort"}
    for kind in kinds:
        assert any(f.endswith(f":{kind}") for f in ours), kind


def test_the_table_has_every_finding() -> None:
    """A to M of the sources, those that no mode can show included."""
    found = {m.finding for m in MODES} | {*ELSEWHERE}
    assert found == {*"ABCDEFGHIJKLM", "C2", "E2", "E3", "-"}
    assert all((ROOT / where).is_file() for _, where in ELSEWHERE.values())
    assert {m.scenario for m in MODES} == {*SCENARIOS}


def ended(state: str = SURVIVED, words: str = "right", compiles: int = 0) -> CompletedProcess[str]:
    outcome = {"state": state, "words": words, "compiles": compiles}
    return CompletedProcess([], 0, f"a line before\n{json.dumps(outcome)}\n", "")


DIED = CompletedProcess([], 1, "", "Traceback\n  File\nKeyError: 'nothing'\n")
ABORTED = CompletedProcess([], -6, "", "libc++abi: terminating")
PLAIN = Mode("-", "plain", "", "training", SURVIVED)


def test_what_is_as_wanted() -> None:
    assert judged(PLAIN, Path(), [ended()]) == Row(PLAIN, SURVIVED, "right")
    said = replace(PLAIN, wanted=SAID, words="went")
    assert judged(said, Path(), [ended(SAID, "it went wrong")]).state == SAID
    assert judged(replace(said, aborts=True, words="terminating"), Path(), [ABORTED]).state == SAID
    assert judged(replace(PLAIN, beside=True), Path(), [ended(compiles=1), ended()]).is_right


@pytest.mark.parametrize(
    ("changes", "done", "words"),
    [
        ({"wanted": SAID}, [ended()], "expected it to be said, it was survived: right"),
        ({}, [ended(SAID, "no")], "expected it to be survived, it was said: no"),
        ({"words": "nonsense"}, [ended()], "expected 'nonsense' in: right"),
        ({}, [DIED], "the process ended with 1: KeyError: 'nothing'"),
        ({"aborts": True}, [ended()], "expected SIGABRT to end the process, it ended with 0"),
        ({"aborts": True, "words": "last"}, [ABORTED], "expected 'last' in its standard error, found: libc++abi"),
        ({"beside": True}, [ended(compiles=1)] * 2, "expected one compile for all processes, got 2"),
        ({"beside": True}, [ended(), ended(SAID)], "it was said and survived"),
    ],
)
def test_what_comes_to_something_else_is_a_fault(
    changes: dict[str, Any], done: list[CompletedProcess[str]], words: str, tmp_path: Path
) -> None:
    row = judged(replace(PLAIN, **changes), tmp_path, done)
    assert row.state == FAULT and not row.is_right
    assert words in row.words


def test_a_process_that_hangs_is_a_fault(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "TIMEOUT", 0.01)
    row = run(Mode("-", "slow", "", "training", SURVIVED), library)
    assert (row.state, row.words) == (FAULT, "the process ended with 1: not done after 0 s")


def test_cells() -> None:
    assert cell(None) == ABSENT
    assert cell(Check("primitive", "exp", PASSED, "", {"samples": 3, "worst": 0.25})) == "passed 3, 25%"
    assert cell(Check("coreai", "exp", FAILED, "", {"samples": 1, "worst": 2.0})) == "failed 1, 200%"
    assert cell(Check("coreai", "sort", SKIPPED, "not available", {"samples": 0, "worst": 0.0})) == SKIPPED
