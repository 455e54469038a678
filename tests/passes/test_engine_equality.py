"""What is legalized for the engine gives the same numbers on the CPU device, within float16: primitives, and whole
losses with their gradients, of which only what is listed stays in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import dtypes, lax, nn
from anejax.core.graph import Graph
from anejax.mil.rules import NOTE
from anejax.mil.text import to_text
from anejax.mil.verify import diagnose
from anejax.partition import partition
from anejax.partition.ability import abilities
from anejax.partition.fixed import ANGLE, COUNTED
from anejax.passes.pipeline import optimize
from tests.golden.test_golden import run_on_cpu
from tests.op_samples import Row
from tests.ops.checks import as_float64, describe, reference, rng_for, wide
from tests.ops.test_mil import graph_of
from tests.partition.run import run_plan
from tests.passes.networks import NETWORKS
from tests.passes.test_engine_form import WITH_A_FORM, for_engine

EPS = float(np.finfo(np.float16).eps)


def run(graph: Graph, args: list[Any], chip: str | None = None) -> list[np.ndarray]:
    """A Graph that the engine has as a whole, on the CPU device."""
    program = for_engine(graph, chip)
    if chip:
        assert [f.message for f in diagnose(program, chip) if f.rule.severity != NOTE] == []
    narrow = [np.ascontiguousarray(a, np.float16).reshape(v.type.shape) for a, v in zip(args, program.main.inputs)]
    outs = run_on_cpu(to_text(program), narrow, [(v.type.shape, np.dtype(np.float16)) for v in program.main.outputs])
    return [o.reshape(a.shape).astype(a.dtype) for o, a in zip(outs, graph.out_avals)]


@pytest.mark.parametrize("row", WITH_A_FORM, ids=[r.name for r in WITH_A_FORM])
def test_primitives(row: Row) -> None:
    """Against float64 on the same float16 arguments: off by 16 eps of the largest result, or of 1."""
    for case in row.cases:
        for dtype in (d for d in (np.dtype(np.float32), dtypes.bool_) if d in row.dtypes):
            graph = graph_of(row, case, dtype)
            avals = [*graph.in_avals, *graph.out_avals]
            if not all(a.dtype in (dtypes.float32, dtypes.bool_) and a.size for a in avals):
                continue
            args = [a.astype(np.float16) if a.dtype == np.float32 else a for a in case.make(rng_for(row, case), dtype)]
            with wide():
                want = reference(row, args, case.params)
            for got, exact in zip(run(graph, args), want):
                bound = 16 * EPS * max(1, float(np.abs(as_float64(exact)).max(initial=0)))
                error = np.abs(as_float64(got).astype(np.float64) - as_float64(exact)).max(initial=0)
                assert error <= bound, f"{describe(row, case, dtype)}: off by {error:.3g}"


# Where max and ReLU have kinks, the rounding of a value sends a gradient elsewhere: of elements a share like eps is
# wrong as a whole, which is an error like its root.
SMOOTH, KINKED = 16 * EPS, 4 * EPS**0.5


@pytest.mark.parametrize("chip", ["M1", "M4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_losses_and_gradients(name: str, chip: str) -> None:
    """Relative to the Euclidean norm of each leaf of the gradient; the loss is off by 4 eps at most."""
    loss, args, more = NETWORKS[name]()
    step = aj.value_and_grad(loss, has_aux=more)
    closed = aj.make_jaxpr(step)(*args)
    words = lambda a: aj.random.key_data(a) if isinstance(a, aj.random.KeyArray) else a  # noqa: E731
    flat = [np.asarray(words(a)) for a in (*closed.consts, *aj.tree.leaves(args))]
    plan = partition(optimize(closed.graph), chip, by_cost=False, keep_state=False)
    got = run_plan(plan, flat, lambda part, ins: run(part, list(ins), chip))
    want = [np.asarray(a, np.float64) for a in aj.tree.leaves(step(*args))]
    assert abs(float(got[0]) - want[0]) <= 4 * EPS * abs(want[0])
    bound = KINKED if name.startswith("cnn") else SMOOTH
    for leaf, exact in zip(map(np.asarray, got), want):
        error = np.linalg.norm(leaf - exact)
        assert error <= bound * np.linalg.norm(exact) + EPS**2, f"off by {error / np.linalg.norm(exact):.3g}"


HOST_PRIMITIVES = {"gather", "scatter_add", "argmax", "threefry2x32", "shift_right_logical", "bitcast_convert_type"}


@pytest.mark.parametrize("chip", ["M1", "M2", "M3", "M4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_stays_on_the_cpu(name: str, chip: str) -> None:
    """Gather and scatter of embeddings, random bits, argmax, integers; and numbers that float16 cannot count."""
    loss, args, more = NETWORKS[name]()
    graph = optimize(aj.make_jaxpr(aj.value_and_grad(loss, has_aux=more))(*args).graph)
    for eqn, reason in zip(graph.eqns, abilities(graph, chip).reasons):
        integers = any(a.aval.dtype in dtypes.INTS for a in (*eqn.inputs, *eqn.outputs))
        assert reason is None or integers or reason in (COUNTED, ANGLE) or eqn.primitive.name in HOST_PRIMITIVES, reason


def test_means_do_not_overflow() -> None:
    """Of 96,000 numbers near 20 the sum is beyond float16, and so is any part of 4,000."""
    x = np.random.default_rng(1).uniform(15, 25, (40, 6, 400)).astype(np.float16).astype(np.float32)
    for axes in ((0, 2), (2,), None):
        graph = optimize(aj.make_jaxpr(lambda a, axes=axes: jnp.mean(a, axes))(x).graph)
        (got,) = run(graph, [x], "M1")
        np.testing.assert_allclose(got, x.mean(axes, dtype=np.float64), rtol=2 * EPS)


def test_factors_beyond_float16() -> None:
    """131,072 is no number of float16, and its inverse has few digits there."""
    x = np.random.default_rng(3).uniform(50, 100, 7).astype(np.float16).astype(np.float32)
    step = lambda a: (a / 131072.0, a * 131072.0**-1, -1e-5 * a, a / 131072.0 * 1e5)  # noqa: E731
    for got, want in zip(run(optimize(aj.make_jaxpr(step)(x).graph), [x], "M4"), step(x)):
        np.testing.assert_allclose(got, want, rtol=4 * EPS)


def test_gradient_through_statistics_of_large_batches() -> None:
    """A convolution before a batch norm of 81,920 pixels: its gradient is what is left of terms that nearly cancel."""
    rng = np.random.default_rng(4)
    norm, x = nn.BatchNorm(), rng.standard_normal((80, 2, 32, 32), np.float32)
    w, ct = rng.standard_normal((4, 2, 3, 3), np.float32) / 4, rng.standard_normal((80, 4, 32, 32), np.float32) / 64
    params, state = norm.init(None, ct)

    def loss(w: Any, x: Any, ct: Any) -> Any:
        y = lax.conv_general_dilated(x, w, (1, 1), "SAME")
        return jnp.sum(norm.apply(params, state, y, train=True)[0] * ct)

    closed = aj.make_jaxpr(aj.grad(loss))(w, x, ct)
    (got,) = run(optimize(closed.graph), [np.asarray(a) for a in (*closed.consts, w, x, ct)], "M1")
    want = np.asarray(aj.grad(loss)(w, x, ct))
    assert np.linalg.norm(got - want) <= SMOOTH * np.linalg.norm(want)


@pytest.mark.parametrize("spec", ["abij,ijc->abc", "iab,abj->ij", "abi,icd->abcd"])
def test_long_axes_are_cut(spec: str) -> None:
    """Rows, inner axis and columns of 40,000, in two axes at the border: M1 takes 16,384 at once."""
    sizes = dict.fromkeys("abcdij", 3) | dict.fromkeys(
        {"abij,ijc->abc": "ij", "iab,abj->ij": "ab"}.get(spec, "cd"), 200
    )
    rng, letters = np.random.default_rng(2), spec.partition("->")[0].split(",")
    args = [rng.uniform(-1, 1, [sizes[c] for c in part]).astype(np.float16).astype(np.float32) for part in letters]
    (got,) = run(optimize(aj.make_jaxpr(lambda x, y: jnp.einsum(spec, x, y))(*args).graph), args, "M1")
    want = np.einsum(spec, *(a.astype(np.float64) for a in args))
    np.testing.assert_allclose(got, want, rtol=0, atol=2 * EPS * np.abs(want).max())
