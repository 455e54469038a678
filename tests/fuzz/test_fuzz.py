"""Random valid programs against NumPy; ``make fuzz-programs`` runs many, under sanitizers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from anejax.core.graph import subgraphs
from tests.fuzz import oracle
from tests.fuzz.generate import Program, generate
from tests.fuzz.running import MODES, Finding, check
from tests.fuzz.shrinking import shrink

SEEDS = range(20)
PER_SEED = 15


@pytest.mark.parametrize("seed", SEEDS)
def test_programs_agree_with_numpy(seed: int) -> None:
    for number in range(seed * PER_SEED, (seed + 1) * PER_SEED):
        try:
            check(generate(number), list(MODES))
        except Exception as error:
            error.add_note(f"python -m tests.fuzz --seed {number} --shrink")
            raise


def test_a_seed_gives_one_program() -> None:
    first, again = generate(11), generate(11)
    assert str(first.graph) == str(again.graph) and first.donated == again.donated
    assert all(np.array_equal(x, y) for x, y in zip(first.args, again.args))


def test_programs_have_everything() -> None:
    """Every operation of the generator appears, loops inside branches too, and inputs that are unread or returned."""
    names, features = set(), set()
    for seed in range(600):
        program = generate(seed)
        graph = program.graph
        read = {a for e in graph.eqns for a in e.inputs}
        features |= {"unread"} if any(v not in read for v in graph.inputs) else set()
        features |= {"forwarded"} if set(graph.inputs) & set(graph.outputs) else set()
        features |= {"twice"} if len(set(graph.outputs)) < len(graph.outputs) else set()
        features |= {"donated"} if any(program.donated) else set()
        features |= {"empty"} if any(a.size == 0 for a in graph.in_avals) else set()
        stack = [graph]
        while stack:
            graph = stack.pop()
            for eqn in graph.eqns:
                names.add(eqn.primitive.name)
                inner = list(subgraphs(eqn.params))
                stack += inner
                features |= {f"{eqn.primitive.name} in it" for g in inner for e in g.eqns if [*subgraphs(e.params)]}
    assert {"unread", "forwarded", "twice", "donated", "empty"} <= features
    assert {"scan in it", "while in it", "cond in it"} <= features
    assert {"scan", "while", "cond", "jit", "checkpoint", "dot_general", "conv_general_dilated", "gather",
            "scatter_add", "sort", "fft_parts", "cumsum", "reduce_sum", "argmax", "dynamic_update_slice", "pad",
            "select_n", "tanh", "concatenate", "threefry2x32"} <= names  # fmt: skip


def _wrong_tanh(monkeypatch: pytest.MonkeyPatch) -> None:
    right = oracle.apply

    def apply(eqn, args):
        outs = right(eqn, args)
        return [y + np.ones((), y.dtype) for y in outs] if eqn.primitive.name == "tanh" else outs

    monkeypatch.setattr(oracle, "apply", apply)


def test_a_wrong_value_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(program: Program) -> bool:
        try:
            check(program, ["text"])
        except Finding:
            return True
        return False

    _wrong_tanh(monkeypatch)
    program = next(p for p in map(generate, range(1000)) if len(p.graph.eqns) > 5 and fails(p))
    small = shrink(program, fails)
    assert [e.primitive.name for e in small.graph.eqns] == ["tanh"]
    assert len(small.graph.outputs) == 1 and not any(small.donated)


def test_the_command_counts_programs() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--count", "3", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("3 programs from seed 5 on, each as passes, text: 0 findings")
