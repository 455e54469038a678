"""Arguments with which `anejax doctor`, and tests, try each primitive that the engine has a form of.

Arguments are factories, so one sample serves every dtype: ``X`` takes the dtype under test, and ``I`` has its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.ops.conv import ConvDimensionNumbers

Shape = tuple[int, ...]


@dataclass(frozen=True)
class X:
    """An operand of the dtype under test: floats in [low, high), integers likewise, or bools.

    ``apart``: values are distinct and well separated, for operations whose derivative jumps at ties. ``form``, of
    matrices: "definite" (symmetric, eigenvalues above 1) or "dominant" (1, 3, 5, ... on the diagonal, small elsewhere).
    """

    shape: Shape
    low: float = -2.0
    high: float = 2.0
    apart: bool = False
    form: str = field(default="", repr=False)

    def make(self, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
        """Values of ``dtype``."""
        if dtype == dtypes.bool_:
            return np.asarray(rng.random(self.shape) < 0.5)
        if dtype in dtypes.COMPLEX:
            re, im = (self.make(rng, np.dtype(np.float64)) for _ in range(2))
            return np.asarray(re + 1j * im).astype(dtype)
        if self.apart:
            return self._steps(rng, dtype)
        if dtype in dtypes.INTS:
            low = max(int(self.low * 4), np.iinfo(dtype).min if dtype in dtypes.SIGNED else 0)
            return np.asarray(rng.integers(low, max(int(self.high * 4), low + 1), self.shape)).astype(dtype)
        return self._formed(np.asarray(rng.uniform(self.low, self.high, self.shape))).astype(dtype)

    def _steps(self, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
        size = math.prod(self.shape)
        steps = rng.permutation(size).reshape(self.shape)
        if dtype in dtypes.INTS:
            return steps.astype(dtype)
        return (self.low + (steps + 0.5) * (self.high - self.low) / max(size, 1)).astype(dtype)

    def _formed(self, x: np.ndarray) -> np.ndarray:
        if self.form == "definite":
            return x @ x.swapaxes(-1, -2) / max(x.shape[-1], 1) + np.eye(x.shape[-1])
        if self.form == "dominant":
            return x / 8 + np.diag(2.0 * np.arange(max(x.shape[-2:])) + 1)[: x.shape[-2], : x.shape[-1]]
        return x


@dataclass(frozen=True)
class I:  # noqa: E742
    """An operand of a fixed integer dtype, in [low, high); bools for dtype bool."""

    shape: Shape
    low: int = 0
    high: int = 2
    dtype: np.dtype = dtypes.int32

    def make(self, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
        """Values of this input's dtype."""
        return np.asarray(rng.integers(self.low, self.high, self.shape, dtype=np.int64)).astype(self.dtype)


@dataclass(frozen=True)
class Case:
    """The operands and parameters of one call of a primitive."""

    args: tuple[X | I, ...]
    params: dict[str, Any] = field(default_factory=dict)

    def make(self, rng: np.random.Generator, dtype: Any) -> list[np.ndarray]:
        """The operands, with ``dtype`` for those of the dtype under test."""
        return [a.make(rng, np.dtype(dtype)) for a in self.args]


Cases = tuple[Case, ...]
SAMPLES: dict[str, Cases] = {}  # primitive -> cases


def _add(name: str, cases: Iterable[Case]) -> None:
    assert name not in SAMPLES, name
    SAMPLES[name] = tuple(cases)


def _of_one(shapes: Iterable[Shape], apart: bool = False, **params: Iterable[Any]) -> Iterable[Case]:
    """Cases of one operand: the shapes, with the values of each parameter in turn."""
    for shape, *values in zip(shapes, *params.values(), strict=True):
        yield Case((X(shape, apart=apart),), dict(zip(params, values)))


# --- elementwise ------------------------------------------------------------------------------------------------------


def unary_cases(low: float = -2, high: float = 2) -> Cases:
    """One operand in [low, high) of every kind of shape."""
    return tuple(Case((X(shape, low, high),)) for shape in ((3, 5), (), (0, 4), (1,), (67,)))


PAIRS = (((3, 5), (3, 5)), ((3, 5), ()), ((), (3, 5)), ((), ()), ((0, 2), (0, 2)), ((1,), (1,)))


def binary_cases(low: float = -2, high: float = 2, second: tuple[float, float] | None = None) -> Cases:
    """Two operands of equal shapes or rank 0; the second has a separate range if one is given."""
    return tuple(Case((X(a, low, high), X(b, *(second or (low, high))))) for a, b in PAIRS)


_UNARY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("neg", "square", "sign", "is_finite", "exp", "exp2", "expm1", "sin", "atan", "sinh", "cosh",
                     "tanh", "asinh", "logistic", "erf", "erfc", "not", "copy"), (-2, 2)),
    **dict.fromkeys(("floor", "ceil"), (0.1, 0.9)),
    **dict.fromkeys(("cos", "tan"), (-1, 1)),
    **dict.fromkeys(("asin", "acos", "atanh"), (-0.8, 0.8)),
    **dict.fromkeys(("log", "log2", "sqrt"), (0.1, 5)),
    **dict.fromkeys(("rsqrt", "cbrt"), (0.2, 5)),
    "abs": (0.1, 2), "round": (-2.4, -1.6), "log1p": (-0.5, 3), "acosh": (1.5, 4),
}  # fmt: skip
for _name, _range in _UNARY.items():
    _add(_name, unary_cases(*_range))

_BINARY: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("add", "sub", "mul", "and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge"), (-2, 2)),
    "div": (-2, 2, (0.5, 2)), "rem": (2.2, 2.8, (0.9, 1.05)),
    **dict.fromkeys(("pow", "atan2"), (0.5, 2)),
    **dict.fromkeys(("max", "min"), (0, 1, (1.1, 2))),
}  # fmt: skip
for _name, _range in _BINARY.items():
    _add(_name, binary_cases(*_range))

_add("integer_pow", [*(Case((X((3, 4), 0.5, 2),), {"y": y}) for y in (-3, -1, 0, 1, 2, 5)),
                     *_of_one(((0, 3), ()), y=(3, 3))])  # fmt: skip
_add("convert_element_type", [
    Case((X(s, -3, 3),), {"dtype": d, "weak_type": False})
    for s in ((3, 4), (), (0, 2)) for d in (dtypes.float64, dtypes.float32, dtypes.float16, dtypes.int32,
        dtypes.uint8, dtypes.bool_)])  # fmt: skip
_add("select_n", [
    Case((I((3, 4), dtype=dtypes.bool_), X((3, 4)), X((3, 4)))),
    Case((I((), dtype=dtypes.bool_), X((2,)), X((2,)))),
    Case((I((5,), 0, 3), X((5,)), X((5,)), X((5,)))),
    Case((I((), dtype=dtypes.bool_), X(()), X(()))),
    Case((I((0,), dtype=dtypes.bool_), X((0,)), X((0,)))),
])  # fmt: skip
_add("clamp", [
    Case((X((3, 4), -1, -0.6), X((3, 4), -0.5, 0.5), X((3, 4), 0.6, 1))),
    Case((X((), 0.5, 0.6), X((5,), -0.5, 0.4), X((), 0.7, 1))),
    Case((X((), -2, -1), X((2, 3), 0.5, 1), X((), -0.5, 0))),
    Case((X(()), X((0, 3)), X(()))),
])  # fmt: skip

# --- movement ---------------------------------------------------------------------------------------------------------

_add("reshape", _of_one(((3, 4), (3, 4), (1,), (), (0, 3)), new_sizes=((2, 6), (12,), (), (1, 1), (3, 0))))
_add("transpose", _of_one(((2, 3, 4), (3, 5), (4,), (), (0, 3)), permutation=((2, 0, 1), (1, 0), (0,), (), (1, 0))))
_add("broadcast_in_dim", _of_one(
    ((3, 1), (), (4,), (1,), (0, 2)),
    shape=((2, 3, 4), (3, 2), (4, 3), (0,), (3, 0, 2)), broadcast_dimensions=((1, 2), (), (0,), (0,), (1, 2))
))  # fmt: skip
_add("slice", _of_one(
    ((5, 6), (7,), (3,), (), (0, 4)), start_indices=((1, 0), (2,), (2,), (), (0, 1)),
    limit_indices=((4, 6), (5,), (2,), (), (0, 4)), strides=((2, 3), (1,), (1,), (), (1, 2))
))  # fmt: skip
_add("concatenate", [
    Case((X((2, 3)), X((2, 1)), X((2, 4))), {"dimension": 1}), Case((X((2,)), X((0,))), {"dimension": 0}),
    Case((X((3, 2)),), {"dimension": 0}),
])  # fmt: skip
_add("pad", [Case((X(s), X(())), {"padding_config": c}) for s, c in (
    ((3, 2), ((1, 2, 0), (0, 1, 2))), ((5,), ((-1, 2, 0),)), ((4,), ((-2, -1, 1),)), ((0,), ((1, 1, 3),)), ((), ())
)])  # fmt: skip
_add("rev", _of_one(((3, 4), (2, 3), (0, 3)), dimensions=((1,), (0, 1), (0,))))
_add("iota", [Case((), {"dtype": d, "shape": s, "dimension": i}) for d, s, i in (
    (dtypes.int32, (3, 4), 1), (dtypes.float32, (5,), 0), (dtypes.uint8, (0, 2), 1)
)])  # fmt: skip
_add("optimization_barrier", [Case((X((3,)), I((2, 2), 0, 9))), Case((X((0,)),))])

# --- reductions -------------------------------------------------------------------------------------------------------

_AXES = (((3, 4), (1,)), ((2, 3, 4), (0, 2)), ((5,), (0,)), ((3, 4), ()), ((), ()), ((4, 1), (1,)), ((0, 3), (1,)))
OVER_NOTHING = Case((X((0, 3)),), {"axes": (0,)})


def reductions(low: float = -2, apart: bool = False) -> Cases:
    """One operand, reduced over none, one and several axes."""
    return tuple(Case((X(s, low, 2, apart),), {"axes": a}) for s, a in _AXES)


_add("reduce_sum", [*reductions(), OVER_NOTHING])
_add("reduce_prod", [*reductions(low=0.5), OVER_NOTHING])
for _name in ("reduce_max", "reduce_min"):
    _add(_name, reductions(apart=True))
for _name in ("reduce_and", "reduce_or"):
    _add(_name, [*reductions(), OVER_NOTHING])

_RUNNING = (((3, 5), 1, False), ((5, 2), 0, True), ((7,), 0, False), ((1, 3), 0, True), ((0, 3), 0, False))
for _name, _low, _apart in (("cumsum", -2.0, False), ("cumprod", 0.5, False), ("cummax", -2.0, True),
                            ("cummin", -2.0, True), ("cumlogsumexp", 0.5, False)):  # fmt: skip
    _add(_name, [Case((X(s, _low, 2, _apart),), {"axis": a, "reverse": r}) for s, a, r in _RUNNING])

# --- linear algebra and convolution -----------------------------------------------------------------------------------


def _dot(x: Shape, y: Shape, contract: Any, batch: Any = ((), ())) -> Case:
    return Case((X(x), X(y)), {"dimension_numbers": (contract, batch), "preferred_element_type": None})


_add("dot_general", [
    _dot((3, 4), (4, 5), ((1,), (0,))), _dot((4, 3), (5, 4), ((0,), (1,))),
    _dot((2, 3, 4), (2, 4, 5), ((2,), (1,)), ((0,), (0,))), _dot((4, 2, 3), (5, 4, 2), ((0,), (1,)), ((1,), (2,))),
    _dot((3,), (3,), ((0,), (0,))), _dot((2, 3), (4,), ((), ())), _dot((2, 0), (0, 3), ((1,), (0,))),
    _dot((2, 3, 4), (4, 3, 5), ((1, 2), (1, 0))), _dot((0, 4), (4, 2), ((1,), (0,))),
    _dot((1, 4), (4, 1), ((1,), (0,))),
])  # fmt: skip


def _conv(x: Shape, w: Shape, strides: Any, padding: Any, ld: Any = None, rd: Any = None, *, numbers: Any = None,
          groups: int = 1, batch_groups: int = 1) -> Case:  # fmt: skip
    n = len(strides)
    plain = tuple(range(n + 2))
    return Case((X(x), X(w)), {
        "window_strides": strides, "padding": padding, "lhs_dilation": ld or (1,) * n, "rhs_dilation": rd or (1,) * n,
        "dimension_numbers": ConvDimensionNumbers(*(numbers or (plain, plain, plain))),
        "feature_group_count": groups, "batch_group_count": batch_groups, "preferred_element_type": None,
    })  # fmt: skip


_NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
_add("conv_general_dilated", [
    _conv((2, 3, 6, 5), (4, 3, 3, 2), (1, 1), ((1, 1), (0, 1))),
    _conv((1, 2, 7, 6), (3, 2, 3, 3), (2, 3), ((0, 2), (1, 0))),
    _conv((2, 5, 6, 3), (3, 3, 3, 2), (2, 1), ((1, 1), (1, 1)), numbers=_NHWC),
    _conv((2, 4, 5, 5), (6, 2, 2, 2), (1, 1), ((0, 0), (0, 0)), groups=2),
    _conv((2, 3, 5, 5), (3, 1, 3, 3), (1, 2), ((1, 1), (1, 1)), groups=3),
    _conv((4, 2, 4, 4), (4, 2, 2, 2), (1, 1), ((0, 0), (0, 0)), batch_groups=2),
    _conv((1, 2, 4, 3), (2, 2, 3, 2), (1, 1), ((1, 2), (0, 1)), (2, 3), (1, 2)),
    _conv((2, 2, 9), (3, 2, 3), (2,), ((-1, 2),), None, (2,)),
    _conv((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), (1,) * 3, ((0, 1),) * 3),
    _conv((2, 3), (4, 3), (), ()), _conv((0, 2, 4, 4), (3, 2, 3, 3), (1, 1), ((1, 1), (1, 1))),
    _conv((1, 2, 2, 2), (3, 2, 3, 3), (1, 1), ((0, 0), (0, 0))),
])  # fmt: skip

# --- windows ----------------------------------------------------------------------------------------------------------


def _window(shape: Any, window: Any, strides: Any, padding: Any, base: Any = None, dilation: Any = None,
            apart: bool = False) -> Case:  # fmt: skip
    n = len(shape)
    return Case((X(shape, apart=apart),), {
        "window_dimensions": window, "window_strides": strides, "padding": padding,
        "base_dilation": base or (1,) * n, "window_dilation": dilation or (1,) * n,
    })  # fmt: skip


_NONE = (0, 0)
_WINDOWS: tuple[tuple[Any, ...], ...] = (
    ((2, 1, 6, 5), (1, 1, 2, 2), (1, 1, 2, 2), (_NONE, _NONE, _NONE, (0, 1))),
    ((1, 6, 5, 2), (1, 3, 3, 1), (1, 2, 2, 1), (_NONE, (1, 1), (1, 1), _NONE)),
    ((7,), (3,), (1,), ((2, 0),)),
    ((6,), (2,), (2,), (_NONE,), (2,), (2,)),
    ((4, 3), (2, 2), (1, 1), (_NONE, _NONE), None, (2, 1)),
    ((0, 3), (1, 2), (1, 1), (_NONE, _NONE)),
    ((2,), (3,), (1,), (_NONE,)),
)
for _name, _apart in (("reduce_window_sum", False), ("reduce_window_max", True), ("reduce_window_min", True)):
    _add(_name, [_window(*w, apart=_apart) for w in _WINDOWS])

# operand, result, then the parameters of the pooling whose derivatives these primitives are
_POOLS: tuple[tuple[Any, ...], ...] = (
    ((2, 1, 6, 5), (2, 1, 3, 2), (1, 1, 2, 2), (1, 1, 2, 2), (_NONE,) * 4),
    ((1, 6, 5, 2), (1, 3, 3, 2), (1, 3, 3, 1), (1, 2, 2, 1), (_NONE, (1, 1), (1, 1), _NONE)),
    ((7,), (7,), (3,), (1,), ((2, 0),)),
    ((0, 3), (0, 2), (1, 2), (1, 1), (_NONE, _NONE)),
)


def _pools(scatter: bool) -> Iterable[Case]:
    for (shape, result, window, strides, padding), select in itertools.product(_POOLS, ("ge", "le")):
        params = {"window_dimensions": window, "window_strides": strides, "padding": padding, "select": select}
        yield Case((X(result if scatter else shape), X(shape, apart=True)), params)


_add("select_and_scatter_add", _pools(scatter=True))
_add("select_and_gather_add", _pools(scatter=False))
