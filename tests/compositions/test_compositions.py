"""Random compositions of transformations against jax; ``make fuzz-compositions`` runs many."""

from __future__ import annotations

import ast
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import anejax.numpy
from tests.compositions import recorded, running
from tests.compositions.generate import Program, generate
from tests.compositions.kinds import CALLS, DERIVATIVES, OPERATIONS
from tests.compositions.program import steps_of
from tests.compositions.running import MODES, check
from tests.compositions.shrinking import shrink

GROUPS = 20


@pytest.fixture(scope="module")
def records() -> dict[int, tuple[str, np.ndarray]]:
    return recorded.read()


@pytest.mark.parametrize("group", range(GROUPS))
def test_programs_agree_with_what_jax_gave(group: int, records: dict[int, tuple[str, np.ndarray]]) -> None:
    seeds = [seed for seed in records if seed % GROUPS == group]
    assert len(seeds) > recorded.COUNT / GROUPS * 0.5  # without those that jax refuses or has no number of
    for seed in seeds:
        program, (digest, expected) = generate(seed), records[seed]
        assert recorded.digest(program) == digest, "python -m tests.compositions --record"
        mode = list(MODES)[seed // GROUPS % len(MODES)]
        found = running.differences(program, expected, (mode,))
        assert not found, f"{found}\n  python -m tests.compositions --seed {seed} --shrink"


def test_what_is_recorded_is_what_jax_gives(records: dict[int, tuple[str, np.ndarray]]) -> None:
    for seed in list(records)[2:3]:
        expected = running.by_jax(generate(seed))
        assert expected is not None
        np.testing.assert_allclose(expected, records[seed][1], rtol=1e-6)
        assert check(generate(seed))


def test_a_seed_gives_one_program_of_python() -> None:
    assert str(generate(11)) == str(generate(11)) != str(generate(12))
    for seed in range(50):
        ast.parse(str(generate(seed)))


def test_programs_have_everything() -> None:
    kinds = {id(s.kind) for seed in range(600) for s in steps_of(generate(seed).block)}
    assert {id(k) for k in (*OPERATIONS, *CALLS, *DERIVATIVES)} <= kinds


def test_a_wrong_value_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(program: Program) -> bool:
        try:
            check(program)
        except running.Finding:
            return True
        return False

    wrong = SimpleNamespace(**{**vars(anejax.numpy), "tanh": lambda x: anejax.numpy.tanh(1.001 * x)})
    with_tanh = (p for p in map(generate, range(1000)) if "tanh" in str(p) and 2 < len(list(steps_of(p.block))) < 6)
    monkeypatch.setattr(running.OURS, "np", wrong)
    program = next(p for p in with_tanh if fails(p))
    small = shrink(program, fails)
    assert [dict(s.settings).get("function") for s in steps_of(small.block)] == ["tanh"]


@pytest.mark.long
def test_the_command_counts_programs() -> None:
    command = [sys.executable, "-m", "tests.compositions", "--count", "1", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 programs from seed 1 on, each eager, compiled, mapped: 0 findings")
