"""What the native planner must achieve on the training steps of benchmarks/, read from its own plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.runtime import library
from benchmarks.adapter import Stepper
from benchmarks.versus_jax import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_training_steps(name: str) -> None:
    workload = WORKLOADS[name]()
    stepper = Stepper(workload)
    stats, plan = stepper.plan.cost_analysis(), stepper.plan.as_text()
    assert stats["materialized_transposes"] == 0
    assert stats["arena_bytes"] <= 0.6 * stats["temporaries_bytes"]
    updates = [line for line in plan.splitlines() if "fused[" in line and "sqrt" in line]
    assert len(updates) == len(workload.params), "the optimizer's update is one pass per parameter"
    assert all(" 3 out " in line for line in updates)  # parameter and both moments
    in_place = [line for line in plan.splitlines() if line.startswith("output ")]
    assert len(in_place) >= 0.9 * 3 * len(workload.params), "parameters and moments take the donated memory"


def test_checkpoint_trades_memory_for_work() -> None:
    """Six blocks of six layers: keeping only block inputs needs well under half the memory, and gives the same bits."""

    def block(x: Any, w: Any) -> Any:
        for _ in range(6):
            x = jnp.tanh(x @ w)
        return x

    def gradient(f: Any) -> Any:
        def loss(ws: Any, x: Any) -> Any:
            for w in ws:
                x = f(x, w)
            return x.sum()

        return aj.jit(aj.grad(loss))

    rng = np.random.default_rng(0)
    ws = [(rng.standard_normal((64, 64)) * 0.1).astype(np.float32) for _ in range(6)]
    x = rng.standard_normal((128, 64)).astype(np.float32)
    kept, recomputed = gradient(block), gradient(aj.checkpoint(block))
    for a, b in zip(kept(ws, x), recomputed(ws, x)):
        np.testing.assert_array_equal(a, b)
    arena = [f.lower(ws, x).compile().cost_analysis()["arena_bytes"] for f in (kept, recomputed)]
    assert arena[1] < 0.4 * arena[0]


def test_broadcasts_along_an_axis_of_no_length() -> None:
    """A reduction of rows of which there are none, whose operand repeats along them."""
    f = aj.jit(lambda x, y: (x[None, :] < y[:, None]).sum(1))
    assert f(np.float32([1, 2, 3]), np.zeros(0, np.float32)).shape == (0,)


def test_results_do_not_depend_on_the_number_of_threads() -> None:

    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((257, 130), (130, 67)))
    f = aj.jit(lambda x, w: (jnp.exp(x) + 1, jnp.tanh(x @ w), (x * 2).sum(), x.max(0)))
    before = library.num_threads()
    try:
        library.set_num_threads(1)
        one = [np.array(v) for v in f(x, w)]
        library.set_num_threads(2)
        two = [np.array(v) for v in f(x, w)]
    finally:
        library.set_num_threads(before)
    for a, b, exact in zip(one, two, (True, False, False, True)):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=0, atol=8 * np.sqrt(x.size) * np.finfo(np.float32).eps)
