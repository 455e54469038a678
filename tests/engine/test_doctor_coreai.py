"""The doctor's questions to Core AI, asked of its runtime for the CPU, and what is said where they cannot be asked."""

from __future__ import annotations

import importlib.metadata
import json

import numpy as np
import pytest

from anejax.coreai import asset
from anejax.engine.doctor import FAILED, PASSED, SKIPPED, rows
from anejax.engine.doctor.bench import Engine
from anejax.engine.doctor.coreai import GROUP, TOPICS, Runtime, Topic
from anejax.engine.doctor.coreai_process import BITS, primitives, sums
from anejax.engine.doctor.primitives import check_primitive, names
from anejax.engine.doctor.questions import Plan, questions
from anejax.engine.doctor.rows import Row, normal, row, told, wide
from anejax.errors import DeviceError
from anejax.runtime.coreai.worker import worker

needs_package = pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
QUICK = (
    "a forked process",
    "activations",
    "arithmetic that is rewritten",
    "composites",
    "masks",
    "slice_update",
    "states",
)


@needs_package
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of jax, where another test has imported it
@pytest.mark.parametrize("topic", [pytest.param(t, marks=[pytest.mark.long] * (t.name not in QUICK)) for t in TOPICS],
                         ids=lambda t: t.name)  # fmt: skip
def test_topics(topic: Topic) -> None:
    check = Runtime().answer(topic)
    assert check.state == (SKIPPED if topic.placement else PASSED), check
    assert topic.placement == ("cannot be asked here" in check.detail)
    assert topic.placement or check.figures["decides"]


@needs_package
@pytest.mark.long
def test_check_sums_are_of_today() -> None:
    """Another kind of processor may round another way, in a few."""
    known, found = json.loads(BITS.read_text()), sums(primitives())
    others = [n for n in found if found[n] != known[n]]
    assert len(others) < 20, f"run `python -m anejax.engine.doctor.coreai_process`: {others}"


@needs_package
def test_check_sums_are_of_all_primitives() -> None:
    known = json.loads(BITS.read_text())
    assert sorted(known) == primitives(), "run `python -m anejax.engine.doctor.coreai_process` on Linux"
    assert sums(["tanh", "reduce_sum"]).keys() <= known.keys()
    assert sums(["transpose"])["transpose"] == known["transpose"]  # which no rounding changes


@needs_package
def test_arrays_are_described() -> None:
    """Of the kind that Linux has: IOSurfaces are the system's."""
    found = worker().ask("surface", (4, 33), "BYTES", limit=60.0)
    assert found == {"strides": (33, 1), "bytes": 264, "writable": True}
    with pytest.raises(DeviceError, match="surface"):
        worker().ask("surface", (4, 33), limit=60.0)


@needs_package
def test_what_is_not_on_the_engine_has_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the system has Core AI, and leaves a program to the CPU."""
    made = rows.CoreAIProgram

    def placed(source: str, large: object, ports: object, outputs: object, unit: str) -> object:
        if unit == "engine":
            raise DeviceError("[coreai] the program was placed on the CPU or the GPU.", "compile_refused")
        return made(source, large, ports, outputs, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(rows, "CoreAIProgram", placed)
    x = normal(3, 5)
    found = row("double", lambda w, v: [w.add(v[0], v[0])], [x], 2 * wide(x))
    assert (found.parts, found.error, found.trouble) == (0, 0, "")
    assert str(found).startswith("double: not on the engine, ")


@needs_package
def test_what_linux_is_known_to_rewrite_is_seen() -> None:
    """Hazards 1 to 3 and 18 of docs/export.md, without their remedies."""
    (topic,) = (t for t in TOPICS if t.name.startswith("arithmetic"))
    assert [r["error"] > 0 for r in topic.ask().value] == [True] * 4


@needs_package
def test_wrong_results_fail() -> None:
    x = normal(3, 5)
    right = row("double", lambda w, v: [w.add(v[0], v[0])], [x], 2 * wide(x))
    assert right.error == 0
    assert right.us > 0
    assert told([right], 1).fine
    wrong = row("double", lambda w, v: [w.add(v[0], v[0])], [x], 3 * wide(x))
    assert not told([right, wrong], 1).fine
    assert not told([Row("gone", trouble="no")], 1).fine
    nan = row("nan", lambda w, v: [w.add(v[0], v[0])], [np.full((1, 4), np.nan, np.float16)], np.zeros((1, 4)))
    assert nan.error == np.inf


@needs_package
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] * (n not in ("dot_general", "tanh", "scan"))) for n in names()]
)
def test_primitives_on_core_ai(name: str) -> None:
    check = check_primitive(name, Engine("coreai"), "A16", group=GROUP)
    assert check.group == GROUP
    assert check.state == PASSED or "not available" in check.detail, check


@needs_package
def test_a_wrong_primitive_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "timed", lambda self, text, *x: ([np.float16(3) * np.ones_like(x[0])], 1.0, None))
    check = check_primitive("tanh", Engine("coreai"), "A16", quick=True, group=GROUP)
    assert check.state == FAILED
    assert "on Core AI: 3 instead of" in check.detail


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    asked = [q for q in questions(Plan("A16")) if q.group == GROUP]
    assert len(asked) == 1 + len(names()) + len(TOPICS)
    answers = [q.ask(None) for q in (asked[0], asked[1], asked[-1])]
    assert all(a.state == SKIPPED for a in answers)
    assert "pip install 'anejax[coreai]'" in answers[0].detail
    assert "there is no Core AI here" in answers[1].detail
