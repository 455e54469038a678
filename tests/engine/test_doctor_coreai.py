"""The doctor's questions to Core AI, asked of its runtime for the CPU, and what is said where they cannot be asked."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest

from anejax.coreai import asset
from anejax.engine.doctor import FAILED, PASSED, SKIPPED
from anejax.engine.doctor.bench import Engine
from anejax.engine.doctor.coreai import GROUP, TOPICS, Row, Runtime, Topic, normal, row, told, wide
from anejax.engine.doctor.primitives import check_primitive, names
from anejax.engine.doctor.questions import Plan, questions

needs_package = pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
QUICK = ("activations", "arithmetic that is rewritten", "composites", "masks", "slice_update", "states")


@needs_package
@pytest.mark.parametrize("topic", [pytest.param(t, marks=[pytest.mark.long] * (t.name not in QUICK)) for t in TOPICS],
                         ids=lambda t: t.name)  # fmt: skip
def test_topics(topic: Topic) -> None:
    check = Runtime().answer(topic)
    assert check.state == (SKIPPED if topic.placement else PASSED), check
    assert topic.placement == ("cannot be asked here" in check.detail)


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
    monkeypatch.setattr(Engine, "run", lambda self, text, *inputs: [np.float16(3) * np.ones_like(inputs[0])])
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
