"""Restrictions of the Neural Engine, and of Core ML, on single operations; the figures are in limits.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anejax.errors import VerifyError, fail
from anejax.mil import limits
from anejax.mil.limits import Limits
from anejax.mil.program import Value, as_doubles
from anejax.mil.shapes import broadcast_shapes
from anejax.mil.view import View


def check_extent(op: str, value: Value, family: str) -> None:
    """Rank and sizes of a value on the engine."""
    figures = limits.LIMITS[family]
    shape = value.type.shape
    wide = any(n > figures.max_extent for n in shape[-2:])
    if not shape or wide or any(n > limits.MAX_CHANNELS for n in shape):
        wanted = f"rank 1 or more, the last two axes up to {figures.max_extent}"
        fail(op, f"expected {wanted}, all up to {limits.MAX_CHANNELS} on {family}, got {value}", VerifyError)


# The engine's compiler has been seen to want every operand but these.
MAY_BE_ABSENT = frozenset({"bias", "output_shape", "split_sizes"})


def check(v: View, family: str) -> None:
    """What one engine family asks of an operation beyond MIL."""
    demands = v.schema.engine
    if demands is None:
        v.fail("not an operation of the engine")
    order = limits.FAMILIES.index
    v.expect(order(family) >= order(demands.since), f"an engine from {demands.since}, not {family}")
    for value in (*v.op.values(), *v.op.results):
        v.expect(value.type.rank <= demands.max_rank, f"rank at most {demands.max_rank} on the engine")
    for name in demands.const:
        v.expect(v.value(name).const is not None, f"{name} to be a constant on the engine")
    for arg in v.schema.args:
        written = v.has(arg.name) or not arg.optional or arg.name in MAY_BE_ABSENT
        v.expect(written, f"{arg.name} to be written out for the engine")
    check_mil(v)
    rule = RULES.get(v.op.name)
    if rule is not None:
        rule(v, limits.LIMITS[family])


def check_mil(v: View) -> None:
    """What Core ML asks too: no dilation of a computed weight, and a select as large as its choices."""
    if v.op.name in ("conv", "conv_transpose") and v.value("weight").const is None:
        dilations = v.ints("dilations", v.type("x").rank - 2, 1)
        v.expect(max(dilations) == 1, f"dilations of 1 with a weight that is not constant, not {dilations}")
    if v.op.name == "select":
        choices = broadcast_shapes(v, v.shape("a"), v.shape("b"))
        v.expect(v.op.results[0].type.shape == choices, "cond to broadcast to the shape of a and b")


def _conv(v: View, figures: Limits) -> None:
    """A weight that is an input kills the compiler from batch 2 on."""
    x, weight = v.type("x"), v.value("weight")
    v.expect(weight.const is not None or x.shape[0] == 1, "a constant weight, or batch 1, on the engine")
    strided = max(v.ints("strides", x.rank - 2, 1)) > 1 and v.op.name == "conv_transpose"
    widest = figures.kernel_width_strided if strided else figures.kernel_width
    depth, height, width = (1, 1, 1, *weight.type.shape[2:])[-3:]
    fits = depth <= limits.KERNEL_DEPTH and height <= figures.kernel_height and width <= widest
    v.expect(fits, f"a kernel up to {figures.kernel_height} x {widest} on the engine")


def _pool(v: View, figures: Limits) -> None:
    largest = max(v.ints("kernel_sizes"))
    v.expect(largest <= figures.pool_window, f"windows up to {figures.pool_window}, not {largest}")


def _matmul(v: View, figures: Limits) -> None:
    inner = v.shape("x")[-2 if v.flag("transpose_x") else -1]
    v.expect(inner <= figures.max_contraction, f"at most {figures.max_contraction} contracted, not {inner}")


def _pow(v: View, figures: Limits) -> None:
    v.expect(v.type("y").rank == 0, "a scalar exponent on the engine")


def _concat(v: View, figures: Limits) -> None:
    v.expect(not v.flag("interleave"), "interleave = false on the engine")


def _split(v: View, figures: Limits) -> None:
    v.expect(not v.has("split_sizes"), "equal parts (num_splits) on the engine")


def _pad(v: View, figures: Limits) -> None:
    mode = v.text("mode")
    v.expect(mode == "constant" or figures.texture_engine, f"constant padding, not {mode}, on this engine")


def _tile(v: View, figures: Limits) -> None:
    """Factors are products of 2, 3, 4 and 8."""
    for rep in v.ints("reps"):
        rest = rep
        for prime in limits.TILE_PRIMES:
            while rest % prime == 0:
                rest //= prime
        v.expect(rest == 1, f"factors made of {limits.TILE_PRIMES}, not {rep}")


def _mul(v: View, figures: Limits) -> None:
    """mul by 0 after a reduction fails to compile, wherever the 0 came from."""
    for name in ("x", "y"):
        data = v.value(name).const
        zero = isinstance(data, np.ndarray) and not as_doubles(data).any()
        v.expect(not zero, "a factor that is not constant 0: build zeros as x - x")


Check = Callable[[View, Limits], None]
RULES: dict[str, Check] = {
    "conv": _conv,
    "conv_transpose": _conv,
    "max_pool": _pool,
    "avg_pool": _pool,
    "matmul": _matmul,
    "pow": _pow,
    "concat": _concat,
    "pad": _pad,
    "split": _split,
    "tile": _tile,
    "mul": _mul,
}
