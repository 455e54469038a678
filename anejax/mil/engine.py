"""Restrictions of the Neural Engine and of Core ML on single operations. The figures are in limits.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from anejax.errors import VerifyError, fail
from anejax.mil import limits
from anejax.mil.opset import Engine, engine_wants
from anejax.mil.program import Value, as_doubles
from anejax.mil.rules import CATALOG, MIL, SWEEP, Rule
from anejax.mil.shapes import broadcast_shapes
from anejax.mil.view import View


def check_extent(op: str, value: Value, family: str) -> None:
    """Sizes of a value on the engine."""
    most, shape = limits.LIMITS[family].max_extent, value.type.shape
    if any(n > most for n in shape[-2:]) or any(n > limits.MAX_CHANNELS for n in shape):
        wanted = f"the last two axes up to {most}, all up to {limits.MAX_CHANNELS} on {family}"
        fail(op, f"expected {wanted}, got {value}", VerifyError)


def check_not_scalar(op: str, value: Value) -> None:
    """Whether a value has axes; constants may be without."""
    if not value.type.shape:
        fail(op, f"expected rank 1 or more on the engine, got {value}", VerifyError)


def _since(v: View, family: str) -> None:
    order = limits.FAMILIES.index
    since = _demands(v).since
    v.expect(order(family) >= order(since), f"an engine from {since}, not {family}")


def _rank(v: View, family: str) -> None:
    highest = _demands(v).max_rank
    for value in (*v.op.values(), *v.op.results):
        v.expect(value.type.rank <= highest, f"rank at most {highest} on the engine")


def _constants(v: View, family: str) -> None:
    for name in _demands(v).const:
        v.expect(v.value(name).const is not None, f"{name} to be a constant on the engine")


def _written(v: View, family: str) -> None:
    for arg in v.schema.args:
        v.expect(v.has(arg.name) or not engine_wants(v.schema, arg), f"{arg.name} to be written out for the engine")


def _demands(v: View) -> Engine:
    return v.schema.engine or v.fail("not an operation of the engine")


def _dilation(v: View, family: str) -> None:
    """No dilation of a computed weight."""
    if v.value("weight").const is None:
        dilations = v.ints("dilations", v.type("x").rank - 2, 1)
        v.expect(max(dilations) == 1, f"dilations of 1 with a weight that is not constant, not {dilations}")


def _select(v: View, family: str) -> None:
    """A select is as large as its choices."""
    choices = broadcast_shapes(v, v.shape("a"), v.shape("b"))
    v.expect(v.op.results[0].type.shape == choices, "cond to broadcast to the shape of a and b")


def _weight(v: View, family: str) -> None:
    """A weight that is an input kills the compiler from batch 2 on."""
    constant = v.value("weight").const is not None
    v.expect(constant or v.type("x").shape[0] == 1, "a constant weight, or batch 1, on the engine")


def _kernel(v: View, family: str) -> None:
    figures = limits.LIMITS[family]
    strided = max(v.ints("strides", v.type("x").rank - 2, 1)) > 1 and v.op.name == "conv_transpose"
    widest = figures.kernel_width_strided if strided else figures.kernel_width
    depth, height, width = (1, 1, 1, *v.shape("weight")[2:])[-3:]
    fits = depth <= limits.KERNEL_DEPTH and height <= figures.kernel_height and width <= widest
    v.expect(fits, f"a kernel up to {figures.kernel_height} x {widest} on the engine")


def _pool(v: View, family: str) -> None:
    largest, most = max(v.ints("kernel_sizes")), limits.LIMITS[family].pool_window
    v.expect(largest <= most, f"windows up to {most}, not {largest}")


def _matmul(v: View, family: str) -> None:
    inner = v.shape("x")[-2 if v.flag("transpose_x") else -1]
    most = limits.LIMITS[family].max_contraction
    v.expect(inner <= most, f"at most {most} contracted, not {inner}")


def _pow(v: View, family: str) -> None:
    v.expect(v.type("y").rank == 0, "a scalar exponent on the engine")


def _concat(v: View, family: str) -> None:
    v.expect(not v.flag("interleave"), "interleave = false on the engine")


def _split(v: View, family: str) -> None:
    v.expect(not v.has("split_sizes"), "equal parts (num_splits) on the engine")


def _pad(v: View, family: str) -> None:
    mode = v.text("mode")
    able = mode == "constant" or limits.LIMITS[family].texture_engine
    v.expect(able, f"constant padding, not {mode}, on this engine")


def _tile(v: View, family: str) -> None:
    """Factors are products of 2, 3, 4 and 8."""
    for rep in v.ints("reps"):
        rest = rep
        for prime in limits.TILE_PRIMES:
            while rest % prime == 0:
                rest //= prime
        v.expect(rest == 1, f"factors made of {limits.TILE_PRIMES}, not {rep}")


def _mul(v: View, family: str) -> None:
    """mul by 0 after a reduction fails to compile, wherever the 0 came from."""
    for name in ("x", "y"):
        data = v.value(name).const
        zero = isinstance(data, np.ndarray) and not as_doubles(data).any()
        v.expect(not zero, "a factor that is not constant 0: build zeros as x - x")


Check = Callable[[View, str], None]


@dataclass(frozen=True)
class EngineRule(Rule):
    """A rule of single operations: `ops` are those it is for, none of them named meaning all."""

    ops: tuple[str, ...] = ()
    broken: Check = _since


def _rules() -> Iterator[EngineRule]:
    rule, conv = EngineRule, ("conv", "conv_transpose")
    yield rule("since", CATALOG, "leave it to the CPU device, or write what docs/legalization.md does", broken=_since)
    yield rule("operation rank", SWEEP, "join leading axes by reshape before, and part them after", broken=_rank)
    yield rule("constant operand", SWEEP, "write it as a constant; x ** y with a computed y is exp(y * log(x))",
               broken=_constants)  # fmt: skip
    yield rule("written out", SWEEP, "write the operand with its default", broken=_written)
    yield rule("dilation", MIL, "stuff the weight with zeros, or sum shifted products", ops=conv, broken=_dilation)
    yield rule("select", MIL, "broadcast a or b to the shape of cond, by adding zeros of it",
               ops=("select",), broken=_select)  # fmt: skip
    yield rule("computed weight", SWEEP, "a matmul over shifted slices of x, as legalization writes",
               ops=conv, broken=_weight)  # fmt: skip
    yield rule("kernel", CATALOG, "split the kernel, or sum shifted products", ops=conv, broken=_kernel)
    yield rule("window", CATALOG, "pool in two steps", ops=("max_pool", "avg_pool"), broken=_pool)
    yield rule("contraction", CATALOG, "split it and add the parts", ops=("matmul",), broken=_matmul)
    yield rule("exponent", SWEEP, "x ** y with y of rank 1 or more is exp(y * log(x))", ops=("pow",), broken=_pow)
    yield rule("interleave", SWEEP, "concat, then reshape and transpose", ops=("concat",), broken=_concat)
    yield rule("split sizes", SWEEP, "slice_by_size for each part", ops=("split",), broken=_split)
    yield rule("padding mode", CATALOG, "concat of slices", ops=("pad",), broken=_pad)
    yield rule("tile factors", CATALOG, "concat of copies, or matmul with a matrix of 0 and 1",
               ops=("tile",), broken=_tile)  # fmt: skip
    yield rule("zero factor", SWEEP, "x - x", ops=("mul",), broken=_mul)


RULES: dict[str, EngineRule] = {rule.name: rule for rule in _rules()}
CORE_ML = ("dilation", "select")


def check(rule: EngineRule, v: View, family: str) -> None:
    """Raise VerifyError when the operation breaks `rule` on an engine of `family`."""
    if not rule.ops or v.op.name in rule.ops:
        rule.broken(v, family)
