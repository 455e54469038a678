"""Warnings about valid programs that are reported to give wrong numbers, or to be slow, on some engines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anejax.mil import limits
from anejax.mil.program import NUMPY_DTYPES, Function, Op, Value
from anejax.mil.rules import APPLE, CATALOG, ISSUES, NOTE, ONE, SWEEP, WRONG, Finding, Rule
from anejax.mil.view import View

ROUNDING = ("ceil", "floor", "round")
SLICES = ("slice_by_size", "slice_by_index")
CURVED = ("sigmoid", "tanh", "gelu", "silu", "softplus", "exp", "exp2", "log", "sqrt", "rsqrt", "erf", "atan", "relu")
WIDE_ROW = 100_000  # elements [one]
LONG_REDUCTION = {"A13": 192, "A14": 192, "A15": 384, "A16": 384}  # from here by way of a transpose [catalog]
GROUP_WORK = 2048  # features of a group times kernel [catalog]
STRIDES = (1, 2, 3, 4, 8)  # [catalog]
EQUAL_STRIDES = (6, 9, 12, 16, 24, 32)  # good too where all are equal [apple]
POOL_STRIDES = (1, 2, 4)  # [apple] names 2 and 4
LARGE_KERNEL = 7  # from here on [apple] asks for chains of small ones
LONG_DILATION = 4  # from here on [apple] asks for chains of 2 and 3
MASKED = 2**16  # elements: softmax over fewer along the last axis is of no account
PADDED = 2**18  # bytes that padding adds to a value from which it is worth a note
LAST_AXIS = 64  # bytes of a row [apple]
SOFTMAXES = ("softmax", "reduce_max")
MOVES = ("reshape", "transpose", "expand_dims", "squeeze")
COREAI_PORTS = ("fp16", "int8", "int16")  # [apple]
WINDOW = 8  # [one]; the catalog has 29 to 31, limits.py
CONTRACTION = 32768  # [one], on M4; the catalog has 65536, limits.py


class Around:
    """The operations that compute and that read the values of a function."""

    def __init__(self, function: Function) -> None:
        self.made = {r: op for op in function.ops for r in op.results}
        self.readers: dict[Value, list[Op]] = {}
        for op in function.ops:
            for value in op.values():
                self.readers.setdefault(value, []).append(op)

    def maker(self, value: Value) -> str:
        """The name of the operation that makes a value; "" for inputs and constants."""
        op = self.made.get(value)
        return op.name if op else ""

    def read_by(self, value: Value, through: Sequence[str]) -> set[str]:
        """The names of the operations that read a value, behind operations of ``through``."""
        found, open_ = set[str](), [value]
        while open_:
            for op in self.readers.get(open_.pop(), ()):
                found.add(op.name)
                open_ += op.results if op.name in through else ()
        return found


Ask = Callable[[View, Around], str | None]


@dataclass(frozen=True)
class Hazard(Rule):
    """A rule about an operation and its neighbours, on the engines of `families`: what is the matter, or None."""

    ops: tuple[str, ...] = ()
    asks: Ask = lambda v, around: None
    families: tuple[str, ...] = limits.FAMILIES


def _slice_offset(v: View, around: Around) -> str | None:
    begin, rank = v.ints("begin"), v.type("x").rank
    if rank and begin and begin[-1] != 0:
        return f"a slice from {begin[-1]} on the last axis makes infinity of numbers beyond 4094"
    return None


def _concat_of_slices(v: View, around: Around) -> str | None:
    makers = [around.made.get(x) for x in v.values("values")]
    shifted = [m for m in makers if m is not None and m.name in SLICES and _last_begin(m)]
    return f"joining {len(shifted)} slices with an offset on the last axis mixes elements" if len(shifted) > 1 else None


def _last_begin(op: Op) -> int:
    begin = op.operands.get("begin")
    data = begin.const if isinstance(begin, Value) else None
    return int(data.ravel()[-1]) if isinstance(data, np.ndarray) and data.size else 0


def _scaled_rounding(v: View, around: Around) -> str | None:
    for one, other in itertools.permutations((v.value("x"), v.value("y"))):
        if around.maker(one) in ROUNDING and other.const is not None and other.type.size == 1:
            return f"a constant scalar factor after {around.maker(one)} is lost"
    return None


def _curved_square(v: View, around: Around) -> str | None:
    x = v.type("x")
    readers = {op.name for op in around.readers.get(v.op.results[0], ())} & {*CURVED}
    if x.rank and x.shape[-1] % 128 > 64 and readers:
        return f"{', '.join(sorted(readers))} after square fails to compile where the last axis, here {x.shape[-1]}, "\
               "is more than 64 past a multiple of 128"  # fmt: skip
    return None


def _root_of_reduction(v: View, around: Around) -> str | None:
    maker = around.maker(v.value("x"))
    return f"rsqrt after {maker} is reported to fail" if maker.startswith("reduce_") else None


def _wide_rows(v: View, around: Around) -> str | None:
    shape = v.op.results[0].type.shape
    joined = any(op.name == "concat" for op in around.readers.get(v.op.results[0], ()))
    if shape and shape[-1] >= WIDE_ROW and joined:
        return f"a concat of rows of {shape[-1]} elements crashes the compiler"
    return None


def _tiled(v: View, around: Around) -> str | None:
    return "tile is reported to poison what follows on M3"


def _stride(v: View, around: Around) -> str | None:
    strides = v.ints("strides", v.type("x").rank - 2, 1)
    equal = len({*strides}) == 1 and strides[0] in EQUAL_STRIDES
    odd = [] if equal else [s for s in strides if s not in STRIDES]
    return f"strides of {odd} are not among {', '.join(map(str, STRIDES))}" if odd else None


def _pool_stride(v: View, around: Around) -> str | None:
    odd = [s for s in v.ints("strides", v.type("x").rank - 2, 1) if s not in POOL_STRIDES]
    return f"strides of {odd} are not among {', '.join(map(str, POOL_STRIDES))}" if odd else None


def _large_kernel(v: View, around: Around) -> str | None:
    largest = max(v.shape("weight")[2:], default=1)
    return f"a kernel of {largest} is expensive (from {LARGE_KERNEL} on)" if largest >= LARGE_KERNEL else None


def _long_dilation(v: View, around: Around) -> str | None:
    longest = max(v.ints("dilations", v.type("x").rank - 2, 1), default=1)
    return f"a dilation of {longest} is expensive (from {LONG_DILATION} on)" if longest >= LONG_DILATION else None


def _large_mask(v: View, around: Around) -> str | None:
    named = ("a", "b") if v.op.name == "select" else ("x", "y")
    constants = (v.value(name).const for name in named)
    least = min((float(np.min(c)) for c in constants if isinstance(c, np.ndarray) and c.size), default=0.0)
    if least < limits.MASK and not around.read_by(v.op.results[0], MOVES).isdisjoint(SOFTMAXES):
        return f"a mask of {least:g} may become infinite when softmax subtracts the greatest score"
    return None


def _softmax_axis(v: View, around: Around) -> str | None:
    x = v.type("x")
    last = v.integer("axis") % max(x.rank, 1) == x.rank - 1
    return f"softmax over the last axis of {x} is not split in space" if last and x.size >= MASKED else None


def _rank_of(*wanted: int) -> Ask:
    def ask(v: View, around: Around) -> str | None:
        rank = v.type("x").rank
        return None if rank in wanted else f"expected rank {' or '.join(map(str, wanted))}, got {v.type('x')}"

    return ask


def _long_reduction(length: int) -> Ask:
    def ask(v: View, around: Around) -> str | None:
        x = v.type("x")
        longest = max((x.shape[a] for a in v.axes("axes", x.rank)), default=0)
        return (
            f"an axis of {longest} is reduced by way of a transpose (from {length} on)" if longest >= length else None
        )

    return ask


def _inexact_sum(v: View, around: Around) -> str | None:
    x, count = v.type("x"), 1
    for axis in v.axes("axes", x.rank):
        count *= x.shape[axis]
    exact = limits.EXACT_SUM
    return f"the sum of {count} numbers is rounded past {exact}, at each step" if count > exact else None


def _wide_window(v: View, around: Around) -> str | None:
    largest = max(v.ints("kernel_sizes"))
    return f"windows past {WINDOW}, here {largest}, fail by one report, not by another" if largest > WINDOW else None


def _long_contraction(v: View, around: Around) -> str | None:
    inner = v.shape("x")[-2 if v.flag("transpose_x") else -1]
    return f"{inner} contracted is more than the {CONTRACTION} that one report allows" if inner > CONTRACTION else None


def _many_features(v: View, around: Around) -> str | None:
    weight = v.shape("weight")
    work = int(np.prod(weight[1:]))
    if v.integer("groups") > 1 and work > GROUP_WORK:
        return f"a group of {work} weights for a result is split (over {GROUP_WORK})"
    return None


def _hazards() -> Iterator[Hazard]:
    early, mean = ("A13", "A14"), ("reduce_sum", "reduce_mean")
    yield Hazard("slice offset", CATALOG, "slice another axis, between two transposes, or matmul with 0 and 1", WRONG,
                 SLICES, _slice_offset, early)  # fmt: skip
    yield Hazard("joined slices", CATALOG, "slice and join another axis, or matmul with 0 and 1", WRONG,
                 ("concat",), _concat_of_slices, ("A13", "A14", "A15"))  # fmt: skip
    yield Hazard("scaled rounding", SWEEP, "multiply by a constant of the full shape", WRONG,
                 ("mul",), _scaled_rounding)  # fmt: skip
    yield Hazard("curved square", ONE, "mul(x, x)", WRONG, ("square",), _curved_square)
    yield Hazard("root of a reduction", ONE, "pow(x, -0.5)", WRONG, ("rsqrt",), _root_of_reduction)
    yield Hazard("wide rows", ONE, "keep the last axis short", WRONG, ("reshape",), _wide_rows)
    yield Hazard("tile", ONE, "broadcast in an elementwise operation, or concat", WRONG, ("tile",), _tiled, ("A15",))
    yield Hazard("stride", CATALOG, "a stride of 1, then slice_by_index", WRONG, ("conv", "conv_transpose"), _stride)
    yield Hazard(
        "pooling stride", APPLE, "pool by 2 or 4, or in two steps", NOTE, ("max_pool", "avg_pool"), _pool_stride
    )
    yield Hazard("large kernel", APPLE, "a chain of small kernels, of k = k1 + k2 - 1", NOTE, ("conv",), _large_kernel)
    yield Hazard("long dilation", APPLE, "a chain of dilations of 2 and 3", NOTE, ("conv",), _long_dilation)
    yield Hazard("mask", APPLE, "masks of -40000", NOTE, ("add", "select"), _large_mask)
    yield Hazard("softmax axis", APPLE, "softmax over axis 1, the channels", NOTE, ("softmax",), _softmax_axis)
    yield Hazard("prelu rank", CATALOG, "reshape to rank 3 or more", WRONG, ("prelu",), _rank_of(3, 4, 5))
    yield Hazard("instance_norm rank", CATALOG, "reshape to rank 4", WRONG, ("instance_norm",), _rank_of(4))
    yield Hazard("inexact sum", SWEEP, "matmul with ones, which accumulates wide", NOTE, mean, _inexact_sum)
    yield Hazard("split groups", CATALOG, "fewer features in a group", NOTE, ("conv",), _many_features)
    yield Hazard("wide window", ONE, "pool in two steps", NOTE, ("max_pool", "avg_pool"), _wide_window)
    yield Hazard("long contraction", ONE, "split it and add the parts", NOTE, ("matmul",), _long_contraction)
    for family, length in LONG_REDUCTION.items():
        yield Hazard("long reduction", CATALOG, "matmul with ones", NOTE, mean, _long_reduction(length), (family,))


HAZARDS = tuple(_hazards())
NUMERICS = {op: Rule("accuracy", SWEEP, "loosen what the result is held to", NOTE) for op in limits.NUMERICS}
SIGMOID_FORM = Rule(
    "sigmoid form",
    ISSUES,
    "for programs on Core AI: x * sigmoid(x), gelu by sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), 2 sigmoid(2 x) - 1",
    NOTE,
)
SIGMOID_FORMS = dict.fromkeys(("gelu", "silu", "tanh"), "by Core AI it may leave the engine, to be computed in float32")
NARROW = Rule("last axis", APPLE, "64 bytes or more in the last axis, in float16 32 elements, and never 1", NOTE)
PORTS = Rule("port dtype", APPLE, "cast to fp16, int8 or int16 where data comes in and goes out", NOTE)
WEIGHTS = Rule("weight bytes", ONE, "cut the program in parts, or make weights inputs", WRONG)


def _ports(function: Function) -> Iterator[Finding]:
    """Apple's rules for ports that go beyond the engine's rules by e5rt."""
    for value in (*function.inputs, *function.outputs):
        if value.type.dtype in limits.PORTS and value.type.dtype not in COREAI_PORTS:
            yield Finding(PORTS, "port", f"[port] {value}: by Core AI ports are {', '.join(COREAI_PORTS)}")
    made = (r for op in function.ops for r in op.results)
    for value in dict.fromkeys((*function.inputs, *made)):
        row = value.type.shape[-1] * NUMPY_DTYPES[value.type.dtype].itemsize if value.type.rank else LAST_AXIS
        if 0 < row < LAST_AXIS and (added := value.type.nbytes // row * (LAST_AXIS - row)) >= PADDED:
            size = f"{(value.type.nbytes + added) / 1e6:.1f} MB in the place of {value.type.nbytes / 1e6:.1f}"
            yield Finding(NARROW, "value", f"[value] {value}: rows of {row} bytes are padded to {LAST_AXIS}, {size}")


def find(function: Function, family: str, sound: Sequence[View]) -> list[Finding]:
    """The hazards of well-formed operations, and one note per operation whose results are known to be inexact."""
    around, found = Around(function), list[Finding]()
    for v in sound:
        for hazard in HAZARDS:
            said = hazard.asks(v, around) if family in hazard.families and v.op.name in hazard.ops else None
            if said:
                found.append(Finding(hazard, v.op.name, f"[{v.op.name}] {said}", v.op.line, v.op.mark.place))
    first = {v.op.name: v.op for v in reversed(sound)}
    for n, op in sorted(first.items()):
        if n in NUMERICS:
            found.append(Finding(NUMERICS[n], n, f"[{n}] {limits.NUMERICS[n]}", op.line, op.mark.place))
        if n in SIGMOID_FORMS:
            found.append(Finding(SIGMOID_FORM, n, f"[{n}] {SIGMOID_FORMS[n]}", op.line, op.mark.place))
    found += _ports(function)
    size = sum({v: v.type.nbytes for op in function.ops for v in op.values() if v.const is not None}.values())
    if size > limits.MAX_WEIGHT_BYTES:
        message = f"[{function.name}] expected constants of at most {limits.MAX_WEIGHT_BYTES} bytes, got {size}"
        found.append(Finding(WEIGHTS, function.name, message))
    return found
