"""Every primitive of jax has a rule that a case tries, or a reason; results are those of jax."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
from anejax.interop.absent import reason
from anejax.interop.interpret import RULES
from tests.interop import page
from tests.interop.cases import CASES, Case

TOLERANCE = 2e-5  # of the largest result: some 100 units of float32, for factorizations


_LIST = """
import gc, jax, jax.numpy, jax.scipy, jax.random, jax.nn, jax.experimental.sparse
from jax.extend.core import Primitive
print(*{o.name for o in gc.get_objects() if isinstance(o, Primitive)})
"""


@functools.cache
def primitives() -> set[str]:
    """The names of jax's primitives, without those that other libraries add to them in this process."""
    return set(subprocess.run([sys.executable, "-c", _LIST], capture_output=True, text=True, check=True).stdout.split())


def names(jaxpr: Any) -> Iterator[str]:
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from names(inner)


def check(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if jnp.issubdtype(theirs.dtype, jax.dtypes.prng_key):
            ours, theirs = aj.random.key_data(ours), jax.random.key_data(theirs)
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.dtype == theirs.dtype
        scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=1.0) if theirs.dtype.kind in "fc" else 0
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE if scale else 0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_results_are_those_of_jax(case: Case) -> None:
    check(aj.from_jax(case.fun)(*case.args), jax.jit(case.fun)(*case.args))


def test_every_rule_is_tried() -> None:
    tried = {name for case in CASES for name in names(jax.make_jaxpr(case.fun)(*case.args).jaxpr)}
    untried = (set(RULES) & primitives()) - tried - NOT_IN_CASES
    assert not sorted(untried)


# These say where an array is on a mesh of devices; no function of jax before 0.12 gives the first two.
NOT_IN_CASES = {
    "call_hi_primitive", "empty", "layout_constraint", "pbroadcast", "pvary", "relayout", "reshard",
    "sharding_constraint", "with_memory_space_constraint",
}  # fmt: skip


def test_every_primitive_has_a_rule_or_a_reason() -> None:
    assert not {name for name in primitives() if name not in RULES and reason(name) is None}
    assert not {name for name in RULES if reason(name)}


def test_the_page_lists_them() -> None:
    assert page.PAGE.read_text().endswith(page.START + page.table()), "run python -m tests.interop.page"
