"""The device "cpu-fp16": the engine's numerics on the CPU, against NumPy with one rounding to float16 per operation."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from anejax import dtypes
from anejax.core.graph import Eqn, Graph, Literal, Var
from anejax.core.trace import aval_of
from anejax.errors import DeviceError, RefusedError
from anejax.lower.to_mil import lower
from anejax.mil import limits
from anejax.mil.program import Builder, Type, Value
from anejax.mil.text import to_text
from anejax.passes.legalize import legalize
from anejax.passes.simplify import simplify
from anejax.runtime.library import NativeProgram
from tests.native.run import Runner
from tests.op_samples import ROWS, Row
from tests.ops.checks import PLAIN, arguments, prim
from tests.ops.test_mil import graph_of

HALF = np.float16
Array = np.ndarray[Any, Any]

# ---- the oracle: a legalized Graph, an equation at a time --------------------------------------------------------


def halves(values: Any) -> Array:
    return np.asarray(values, HALF)


def half(x: Any) -> Array:
    """Rounded once; NaN is 0, since none lives on after the operation that made it."""
    with np.errstate(all="ignore"):
        rounded = np.asarray(x).astype(HALF)
    return np.where(np.isnan(rounded), HALF(0), rounded)


def narrow_sum(x: Array, axes: Sequence[int]) -> Array:
    """The elements of the reduced axes in row-major order, a rounding after each addition."""
    kept = [a for a in range(x.ndim) if a not in axes]
    total = np.zeros([x.shape[a] for a in kept], HALF)
    for term in np.transpose(x, (*sorted(axes), *kept)).reshape(-1, *total.shape):
        total = half(total + np.float64(term))
    return total


def saturated(product: Array) -> Array:
    return np.where(np.abs(product) >= limits.SATURATION, np.copysign(np.inf, product), product)


MENDED: dict[str, Callable[..., Array]] = {
    "dot_general": lambda out, *_, **__: saturated(out),
    "log": lambda out, *_, **__: np.select([out == -np.inf, out == np.inf], [-45440, 0], out),
    "reduce_sum": lambda out, x, axes, **__: narrow_sum(x, axes),
}


def evaluate(eqn: Eqn, args: list[Array]) -> list[Array]:
    params = {k: v for k, v in eqn.params.items() if k != "preferred_element_type"}
    if len(params) < len(eqn.params):
        params["preferred_element_type"] = None
    wide = [a.astype(np.float64) if a.dtype == HALF else a for a in args]
    with np.errstate(all="ignore"):
        out = eqn.primitive.impl(*wide, **params)
        outs = [np.asarray(o) for o in (out if eqn.primitive.multiple_results else [out])]
        if eqn.primitive.name in MENDED:
            outs = [MENDED[eqn.primitive.name](outs[0], *wide, **params)]
    return [half(o) if v.aval.dtype == HALF else o.astype(v.aval.dtype) for o, v in zip(outs, eqn.outputs, strict=True)]


def oracle(graph: Graph, args: Sequence[Array]) -> list[Array]:
    env: dict[Var, Array] = {}

    def read(atom: Any) -> Array:
        return np.asarray(atom.value) if isinstance(atom, Literal) else env[atom]

    for v, a in zip(graph.inputs, args, strict=True):
        env[v] = np.where(np.isnan(a), HALF(np.inf), a) if a.dtype == HALF else a
    for eqn in graph.eqns:
        env.update(zip(eqn.outputs, evaluate(eqn, list(map(read, eqn.inputs)))))
    return list(map(read, graph.outputs))


# ---- primitives ------------------------------------------------------------------------------------------------------


def engine_program(graph: Graph) -> tuple[Graph, NativeProgram] | None:
    """The Graph legalized and compiled; None where the engine does not have it, or nothing is left to run."""
    if any(0 in a.shape for a in (*graph.in_avals, *graph.out_avals)):
        return None
    try:
        legal = simplify(legalize(graph, "ane"))
        if not legal.eqns or any(o in legal.inputs or isinstance(o, Literal) for o in legal.outputs):
            return None
        return legal, NativeProgram("cpu-fp16", to_text(lower(legal, "ane")))
    except (RefusedError, DeviceError, TypeError, ValueError):  # its own tests say why
        return None


def compare(legal: Graph, program: NativeProgram, args: Sequence[Array]) -> tuple[int, int]:
    """How many elements there are, and how many are the oracle's neighbour; further away none may be."""
    args = [a.astype(v.aval.dtype).reshape(v.aval.shape) for a, v in zip(args, legal.inputs, strict=True)]
    got = [np.full(v.aval.shape, 77).astype(v.aval.dtype) for v in legal.outputs]
    program.run([np.ascontiguousarray(a).ctypes.data for a in args], [g.ctypes.data for g in got])
    size = neighbours = 0
    for g, w in zip(got, oracle(legal, args), strict=True):
        size += g.size
        if g.dtype == HALF:
            assert not np.isnan(g).any()
            wrong = g != w
            neighbours += int(wrong.sum())
            near = np.nextafter(g, w) == w
            assert (near | ~wrong).all(), (g[wrong & ~near][:4], w[wrong & ~near][:4])
        else:
            np.testing.assert_array_equal(g, w)
    return size, neighbours


def test_every_primitive_rounds_once_per_operation() -> None:
    compared: set[str] = set()
    total = np.zeros(2, int)
    for row in (r for r in ROWS.values() if dtypes.float32 in r.dtypes):
        for case in row.cases:
            found = engine_program(graph_of(row, case, np.float32))
            if found is not None:
                total += compare(*found, arguments(row, case, np.float32))
                compared.add(row.name)
    # float32 arithmetic may fall on the other side of the middle of two numbers
    assert total[0] > 4000 and total[1] <= total[0] / 1000, total
    assert compared >= {"add", "exp", "log", "dot_general", "conv_general_dilated", "reduce_sum", "reduce_window_max"}


EXTREME = np.array(
    [0, -0.0, 1, -1, 0.5, -2.5, 65504, -65504, 3e4, 300, -300, np.inf, -np.inf, np.nan, 90, 6e-8, -6e-8, 6.1e-5, 1e-3,
     11.05, 11.1, 181, 256]
).astype(HALF)  # fmt: skip


def one_operation(row: Row, args: Sequence[Array]) -> Graph:
    inputs = tuple(Var(aval_of(a.astype(np.float32))) for a in args)
    outputs = tuple(Var(a) for a in prim(row).out_avals([v.aval for v in inputs], {}))
    return Graph(inputs, (Eqn(prim(row), inputs, outputs, {}),), outputs)


def test_extreme_values() -> None:
    """Infinities, NaN, subnormals and the ends of the range, through every elementwise operation."""
    compared: set[str] = set()
    for name in PLAIN:
        one = len(ROWS[name].cases[0].args) == 1
        args = [EXTREME] if one else list(map(np.ravel, np.meshgrid(EXTREME, EXTREME)))
        found = engine_program(one_operation(ROWS[name], args))
        if found is not None:
            compare(*found, args)
            compared.add(name)
    assert compared >= {"add", "sub", "mul", "div", "max", "exp", "log", "rsqrt", "sqrt", "tanh", "logistic", "erf"}


# ---- single rules ----------------------------------------------------------------------------------------------------

Body = Callable[..., Value | Sequence[Value]]


def runner(body: Body, *shapes: tuple[int, ...], donated: Sequence[int] = ()) -> Runner:
    """``body(op, *inputs)``; op(name, shape, **operands) writes an operation of float16s."""
    b = Builder("main")
    inputs = [b.input(f"x{i}", Type("fp16", s)) for i, s in enumerate(shapes)]

    def op(name: str, shape: tuple[int, ...], dtype: str = "fp16", **operands: Any) -> Value:
        return b.op(name, operands, out=Type(dtype, shape))

    made = body(op, *inputs)
    b.returns(*([made] if isinstance(made, Value) else made))
    return Runner(b.program(), donated, "cpu-fp16")


def report(run: Runner) -> dict[str, dict[str, Any]]:
    return {r["name"]: r for r in json.loads(run.native.describe("numerics"))["operations"]}


def counts(run: Runner, name: str) -> tuple[int, int, int, int]:
    r = report(run)[name]
    return r["overflowed"], r["underflowed"], r["zeroed"], r["nan"]


def matmul(op: Any, x: Value, y: Value, shape: tuple[int, ...] = (1, 1)) -> Value:
    return op("matmul", shape, x=x, y=y, transpose_x=False, transpose_y=False)


def test_products_are_infinite_from_32768_on() -> None:
    run = runner(matmul, (1, 2), (2, 1))
    for x, want in ([256, 0], np.inf), ([-256, 0], -np.inf), ([255, 127], 32752), ([255.875, 0], 32752):
        (got,) = run([x], [[128], [0.875]])
        assert got[0, 0] == want
    assert counts(run, "matmul") == (2, 0, 0, 0)
    assert report(run)["matmul"]["largest"] == limits.SATURATION
    (got,) = run([[np.inf, 0]], [[1], [1]])
    assert got[0, 0] == np.inf
    assert counts(run, "matmul") == (2, 0, 0, 0)  # an infinite operand is no overflow

    def conv(op: Any, x: Value) -> Value:
        weight = np.full((1, 1, 1, 2), 128, HALF)
        return op("conv", (1, 1, 1, 1), x=x, weight=weight, strides=[1, 1], dilations=[1, 1], groups=1,
                  pad=[0, 0, 0, 0], pad_type="custom")  # fmt: skip

    run = runner(conv, (1, 1, 1, 2))
    for x, want in ([128, 128], np.inf), ([128, 127.875], 32752):
        (got,) = run(np.reshape(x, (1, 1, 1, 2)))
        assert got.item() == want
    assert counts(run, "conv") == (1, 0, 0, 0)


def test_elementwise_has_the_range_of_float16() -> None:
    run = runner(lambda op, x, y: op("mul", (5,), x=x, y=y), (5,), (5,))
    (got,) = run([256, 256, 2.0**-10, 2.0**-12, 2.0**-13], [128, 256, 2.0**-10, 2.0**-13, 2.0**-13])
    np.testing.assert_array_equal(got, halves([32768, np.inf, 2.0**-20, 0, 0]))
    # 2^-20 is a number, if subnormal; 2^-25 and 2^-26 are none
    assert counts(run, "mul") == (1, 2, 2, 0)


def test_sums_are_narrow() -> None:
    def body(op: Any, x: Value) -> list[Value]:
        return [op(f"reduce_{kind}", (3,), x=x, axes=[1], keep_dims=False) for kind in ("sum", "mean", "sum_square")]

    run = runner(body, (3, 4096))
    x = np.ones((3, 4096), HALF)
    x[1, 1::2] = -1
    x[2] = 100
    total, mean, square = run(x)
    np.testing.assert_array_equal(total, halves([limits.EXACT_SUM, 0, np.inf]))
    np.testing.assert_array_equal(mean, halves([0.5, 0, np.inf]))
    np.testing.assert_array_equal(square, halves([limits.EXACT_SUM, limits.EXACT_SUM, np.inf]))
    for name in ("reduce_sum", "reduce_mean", "reduce_sum_square"):
        assert counts(run, name) == (1, 0, 0, 0)
        assert report(run)[name]["sum_error"] == 0.5


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_sums_take_their_terms_in_order(axes: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(67, 13, 70)).astype(HALF)
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    (got,) = runner(lambda op, x: op("reduce_sum", shape, x=x, axes=list(axes), keep_dims=True), x.shape)(x)
    np.testing.assert_array_equal(got, narrow_sum(x.astype(np.float64), axes).reshape(shape))


def test_what_the_engine_makes_of_nan_and_of_the_ends_of_functions() -> None:
    def body(op: Any, x: Value, y: Value) -> list[Value]:
        return [
            op("sub", (4,), x=x, y=y),
            op("real_div", (4,), x=x, y=y),
            op("log", (4,), x=x, epsilon=HALF(0)),
            op("softplus", (4,), x=x),
            op("maximum", (4,), x=x, y=y),
        ]

    run = runner(body, (4,), (4,))
    x, y = [0, np.inf, np.nan, 12], [0, np.inf, 1, 2]
    difference, quotient, logarithm, softplus, maximum = run(x, y)
    np.testing.assert_array_equal(difference, [0, 0, np.inf, 10])  # a NaN received is infinity, one made is 0
    np.testing.assert_array_equal(quotient, [0, 0, np.inf, 6])
    np.testing.assert_array_equal(logarithm, halves([-45440, 0, 0, np.log(12)]))
    np.testing.assert_array_equal(softplus, halves([np.log(2), 0, 0, 0]))
    np.testing.assert_array_equal(maximum, [0, np.inf, np.inf, 12])
    assert {k: r["nan"] for k, r in report(run).items() if r["nan"]} == {"x0": 1, "sub": 1, "real_div": 2}
    assert "maximum" not in report(run)  # nothing is rounded there


# ---- counting --------------------------------------------------------------------------------------------------------


def test_counts_where_operands_repeat() -> None:
    """Operands that are read as rows, as columns and as one number, beside results that overflow."""

    def body(op: Any, x: Value, row: Value, column: Value, one: Value) -> list[Value]:
        names = {"row": row, "column": column, "one": one}
        return [op("real_div", (64, 96), x=x, y=y) for y in names.values()]

    x = np.ones((64, 96), HALF)
    x[3, 5] = np.inf
    row, column = np.ones((1, 96), HALF), np.ones((64, 1), HALF)
    row[0, 7], column[9, 0] = 0, 0
    run = runner(body, x.shape, row.shape, column.shape, (1, 1))
    run(x, row, column, np.zeros((1, 1)))
    made = [counts(run, name)[0] for name in ("real_div", "real_div_1", "real_div_2")]
    assert made == [64, 96, 64 * 96 - 1]  # 1 / 0, but not inf / 0


def chain(op: Any, x: Any, y: Any) -> list[Any]:
    shape = (40, 30)
    steps = [op("mul", shape, x=x, y=y)]
    for name in ("exp", "square", "tanh", "sqrt", "silu", "gelu"):
        extra = {"mode": "EXACT"} if name == "gelu" else {}
        steps.append(op(name, shape, x=steps[-1], **extra))
        steps.append(op("add", shape, x=steps[-1], y=y))
    return steps


def test_fused_is_unfused() -> None:
    """A chain in one pass over memory, and each of its operations as a program of its own: the same bits and counts."""
    x, y = (np.random.default_rng(s).normal(0, 4, (40, 30)).astype(HALF) for s in (0, 1))
    fused = runner(lambda op, x, y: chain(op, x, y)[-1], x.shape, y.shape)
    assert fused.native.describe("plan").count("\n") == 2, fused.native.describe("plan")  # one step, and the memory
    (got,) = fused(x, y)

    single: list[Runner] = []

    def alone(name: str, shape: tuple[int, ...], **operands: Any) -> Any:
        arrays = {k: v for k, v in operands.items() if isinstance(v, np.ndarray)}
        rest = {k: v for k, v in operands.items() if k not in arrays}
        body = lambda op, *xs: op(name, shape, **dict(zip(arrays, xs)), **rest)  # noqa: E731
        single.append(runner(body, *(a.shape for a in arrays.values())))
        return single[-1](*arrays.values())[0]

    want = chain(alone, x, y)[-1]
    np.testing.assert_array_equal(got, want)
    together = [r for r in report(fused).values() if r["operation"] != "input"]
    apart = [next(r for r in report(s).values() if r["operation"] != "input") for s in single]
    assert [{**r, "name": ""} for r in together] == [{**r, "name": ""} for r in apart]
    assert sum(r["overflowed"] for r in together) > 0 and sum(r["underflowed"] for r in together) > 0


def test_donated_memory_is_overwritten_after_it_was_looked_at() -> None:
    body: Body = lambda op, x, y: op("real_div", (50,), x=x, y=y)  # noqa: E731
    x, y = np.ones(50), np.arange(50) - 25
    plain, lent = runner(body, (50,), (50,)), runner(body, (50,), (50,), donated=[0, 1])
    assert 0 in lent.native.aliases or 1 in lent.native.aliases
    np.testing.assert_array_equal(lent(x, y)[0], plain(x, y)[0])
    assert counts(lent, "real_div") == counts(plain, "real_div") == (1, 0, 0, 0)


def test_counts_add_up_over_runs_and_threads() -> None:
    run = runner(lambda op, x, y: matmul(op, op("square", (64, 64), x=x), y, (64, 64)), (64, 64), (64, 64))
    x = np.random.default_rng(0).normal(0, 90, (64, 64))
    run(x, x)
    once = report(run)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: run(x, x), range(15)))
    assert json.loads(run.native.describe("numerics"))["runs"] == 16
    for name, r in report(run).items():
        for key in ("overflowed", "underflowed", "zeroed", "nan"):
            assert r[key] == 16 * once[name][key]
        assert r["elements"] == 64 * 64 and r["largest"] == once[name]["largest"]
    assert once["matmul"]["overflowed"] > 0 and once["square"]["largest"] == np.square(halves(x).astype(float)).max()


def test_takes_what_the_engine_takes() -> None:
    b = Builder("main")
    x = b.input("x", Type("fp32", (3,)))
    b.returns(b.op("exp", {"x": x}, out=x.type))
    text = to_text(b.program())
    with pytest.raises(DeviceError, match="must be of fp16 on target ane"):
        NativeProgram("cpu-fp16", text)
    with pytest.raises(DeviceError, match='expected "plan", "stats", "profile" or, of cpu-fp16, "numerics"'):
        NativeProgram("cpu", text).describe("numerics")
