"""Masks that a softmax reads are -40000 on the engine, and what others read stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.core.graph import Graph, Literal
from anejax.mil.limits import MASK, MAX_FINITE
from anejax.passes.pipeline import optimize

X, SEEN = np.random.default_rng(0).normal(size=(3, 4, 8)).astype(np.float16) * 20, np.arange(8) % 3 > 0


def attention(x: Any) -> Any:
    return nn.dot_product_attention(*3 * (x[None],), is_causal=True)[0]


def scores(value: float) -> Callable[[Any], Any]:
    return lambda x: nn.softmax(jnp.where(SEEN, x, value))


MASKED: dict[str, Callable[[Any], Any]] = {
    "where": scores(-np.inf), "a large number": scores(-1e30), "softmax": lambda x: nn.softmax(x, where=SEEN),
    "added": lambda x: nn.softmax(x + jnp.where(SEEN, 0, -jnp.inf)), "logsumexp": lambda x: jnp.exp(
        nn.log_softmax(jnp.where(SEEN, x, -jnp.inf))), "attention": attention,
}  # fmt: skip
OTHERS: dict[str, Callable[[Any], Any]] = {
    "maximum": lambda x: jnp.max(jnp.where(SEEN, x, -jnp.inf), -1),
    "pooling": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2), (1, 1, 2), "SAME"),
    "not subtracted": lambda x: jnp.exp(jnp.where(SEEN, x, -jnp.inf) / 50),
}


def legal(function: Callable[[Any], Any]) -> Graph:
    return optimize(aj.make_jaxpr(function)(X.astype(np.float32)).graph, "ane")


def constants(graph: Graph, *names: str) -> set[float]:
    """The literals of the operands that mask or are moved to there."""
    operands = (a for e in graph.eqns if e.primitive.name in names for a in e.inputs)
    return {float(v) for a in operands if isinstance(a, Literal) for v in np.ravel(a.value)}


@pytest.mark.parametrize("name", MASKED)
def test_masks_of_softmax(name: str) -> None:
    graph = legal(MASKED[name])
    found = constants(graph, "select_n", "add", "broadcast_in_dim")
    assert MASK in found
    assert -MAX_FINITE not in found
    x = X.astype(np.float32)
    got, want = (np.asarray(aj.jit(MASKED[name], precision=p)(x)) for p in ("fp16", "float32"))
    np.testing.assert_allclose(got, want, atol=4e-3 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_is_infinite_stays(name: str) -> None:
    found = constants(legal(OTHERS[name]), "select_n", "add", "broadcast_in_dim", "reduce_window_max", "max", "pad")
    assert MASK not in found


def test_a_mask_that_is_read_twice() -> None:
    """What the softmax reads is a copy: the pool of the same constant has the lowest number."""
    mask = lambda x: jnp.where(x > 0, x, -jnp.inf)  # noqa: E731
    found = constants(legal(lambda x: (nn.softmax(mask(x)), jnp.max(mask(x * 2), -1))), "broadcast_in_dim", "select_n")
    assert found >= {MASK, -MAX_FINITE}


ROWS, KEPT = X.astype(np.float32), np.broadcast_to(SEEN, X.shape)
COMPUTED: dict[str, tuple[Callable[[Any, Any], Any], np.ndarray]] = {
    "infinity": (lambda x, m: nn.softmax(x + m), np.where(KEPT, 0, -np.inf)),
    "the least number": (lambda x, m: nn.softmax(x + m[None]), np.where(KEPT[0], 0, np.finfo(np.float32).min)),
    "a factor": (lambda x, m: nn.softmax(x + (1 - m) * np.float32(-1e9)), KEPT),
    "another factor": (lambda x, m: nn.softmax(x + (m - 1) * np.float32(1e9)), KEPT),
    "a logarithm": (lambda x, m: nn.softmax(x + jnp.log(m)), KEPT),
    "a bias": (
        lambda x, m: nn.dot_product_attention(*3 * (x[None] / 8,), bias=m),
        np.where(KEPT[0, :3, :3], 0, -np.inf),
    ),
    "logarithms of softmax": (lambda x, m: jnp.exp(nn.log_softmax(x + m)), np.where(KEPT, 0, -np.inf)),
}


@pytest.mark.parametrize("name", COMPUTED)
@pytest.mark.filterwarnings("ignore::anejax.errors.NumericsWarning")  # of masks that float16 has no number for
def test_masks_that_are_inputs_or_computed(name: str) -> None:
    """They are bounded before they are added, and nothing else is: the result is that of float32."""
    function, mask = COMPUTED[name]
    mask = mask.astype(np.float32)
    graph = optimize(aj.make_jaxpr(function)(ROWS, mask).graph, "ane")
    assert MASK in constants(graph, "max")
    got, want = (np.asarray(aj.jit(function, precision=p)(ROWS, mask)) for p in ("fp16", "float32"))
    np.testing.assert_allclose(got, want, atol=8e-3)
