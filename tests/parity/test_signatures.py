"""Every function that is here takes jax's parameters: by the same names, at the same places."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator

import jax
import pytest

from tests.parity import arguments, table
from tests.parity.arguments import ABSENT_PARAMETERS, EXCEPTIONS, NEW_PARAMETERS, POSITIONAL, P, parameters


def differences(theirs: list[P], ours: list[P], full: str) -> Iterator[str]:
    """What a call written for ``theirs`` finds missing in ``ours``."""
    kinds = {p.kind for p in ours}
    by_name = {p.name: p for p in ours}
    places = [p for p in ours if p.kind in POSITIONAL]
    absent = {*ABSENT_PARAMETERS, *NEW_PARAMETERS.get(full, ())}
    wanted = [p for p in theirs if p.name in by_name or p.name not in absent]
    for place, p in enumerate([p for p in wanted if p.kind in POSITIONAL]):
        if P.VAR_POSITIONAL in kinds:
            break
        if place >= len(places):
            yield f"takes no argument at place {place}: {p.name}"
        elif p.kind is P.POSITIONAL_OR_KEYWORD and places[place].name != p.name:
            yield f"calls argument {place} {places[place].name}, not {p.name}"
    for p in wanted:
        if p.kind in (P.KEYWORD_ONLY, P.POSITIONAL_OR_KEYWORD) and P.VAR_KEYWORD not in kinds:
            found = by_name.get(p.name)
            if found is None or found.kind is P.POSITIONAL_ONLY:
                yield f"takes no argument by the name {p.name}"
        if p.kind is P.VAR_POSITIONAL and P.VAR_POSITIONAL not in kinds:
            yield f"takes no *{p.name}"


@pytest.mark.parametrize("space", table.NAMESPACES)
def test_parameters_are_those_of_jax(space: str) -> None:
    module = importlib.import_module(space)
    wrong = []
    for name in table.names()[space]:
        verdict = table.verdict(space, name)
        if verdict is None or verdict.kind != "yes" or f"{space}.{name}" in EXCEPTIONS:
            continue
        theirs = getattr(module, name, None)  # None where another version of jax has it
        if not callable(theirs):
            continue
        expected, found = parameters(theirs), parameters(table.resolve(space, name))
        if expected is not None and found is not None:
            wrong += [f"{space}.{name} {what}" for what in differences(expected, found, f"{space}.{name}")]
    assert not wrong


def test_exceptions_are_still_exceptions() -> None:
    for full in EXCEPTIONS:
        space, _, name = full.rpartition(".")
        theirs = parameters(getattr(importlib.import_module(space), name))
        ours = parameters(table.resolve(space, name))
        assert theirs is not None
        assert ours is None or list(differences(theirs, ours, full)), (
            f"{full} is as in jax: remove it from the exceptions"
        )


@pytest.mark.skipif(jax.__version__ != arguments.PINNED, reason="the page tells the arguments of another jax")
def test_the_page_tells_what_is_missing() -> None:
    found = sorted(arguments.missing())
    assert [tuple(pair) for pair in json.loads(arguments.STORED.read_text())] == found, "run python -m tests.parity"
    assert {argument for _, argument in found} == set(ABSENT_PARAMETERS), "an argument is there: say no more that not"
