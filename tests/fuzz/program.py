"""What the generator writes a program with: values with bounds, and a Body that appends equations to one Graph."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.core.primitive import REGISTRY
from tests.fuzz.bounds import BFLOAT16, FLOATS, TRUTH, Bounds, UnfitError, every, is_float, settled

BOOL, INT32, FLOAT32 = np.dtype(np.bool_), np.dtype(np.int32), np.dtype(np.float32)
INTS = tuple(map(np.dtype, (np.int32, np.uint8, np.int8, np.uint32, np.int64, np.int16, np.uint16)))
HALVES = (np.dtype(np.float16), BFLOAT16)
DTYPES = (FLOAT32, *FLOATS, *INTS, BOOL)
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 31, 32, 33, 61, 64, 97)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Value:
    """An operand: a variable or a literal, and its bounds."""

    atom: Atom
    bounds: Bounds

    @property
    def aval(self) -> Aval:
        return self.atom.aval

    @property
    def shape(self) -> tuple[int, ...]:
        return self.atom.aval.shape

    @property
    def dtype(self) -> np.dtype:
        return self.atom.aval.dtype


@dataclasses.dataclass(frozen=True, eq=False)
class Scope:
    """What all Bodies of one program share: the sizes of axes, the dtypes, and the operations that are drawn."""

    rng: random.Random
    sizes: tuple[int, ...]
    dtypes: tuple[np.dtype, ...]
    operations: tuple[Callable[[Body], object], ...]
    weights: tuple[float, ...]
    ranks: tuple[int, ...]
    elements: int  # of the largest value
    deepest: int  # of loops and branches inside one another

    def shape(self) -> tuple[int, ...]:
        rank = self.rng.choice(self.ranks)
        shape = tuple(self.rng.choice(self.sizes) for _ in range(rank))
        return shape if math.prod(shape) <= self.elements else shape[:1]


class Body:
    """One Graph in the making: its inputs, equations, and the values that later equations may read."""

    def __init__(self, scope: Scope, depth: int = 0) -> None:
        self.scope, self.depth = scope, depth
        self.rng = scope.rng
        self.inputs: list[Value] = []
        self.eqns: list[Eqn] = []
        self.values: list[Value] = []

    # --- values -------------------------------------------------------------------------------------------------------

    def input(self, aval: Aval, bounds: Bounds) -> Value:
        value = Value(Var(aval), bounds)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def emit(self, name: str, /, inputs: Sequence[Value], found: Bounds | Sequence[Bounds], roundings: float = 1,
             **params: Any) -> Value:  # fmt: skip
        """Appends an equation and returns its (first) result. ``found``: bounds before the result is rounded."""
        return self.emit_all(name, inputs, found if isinstance(found, Sequence) else [found], roundings, **params)[0]

    def emit_all(self, name: str, /, inputs: Sequence[Value], found: Sequence[Bounds], roundings: float = 1,
                 **params: Any) -> list[Value]:  # fmt: skip
        primitive = REGISTRY[name]
        avals = primitive.out_avals([v.aval for v in inputs], params)
        if any(math.prod(n or 1 for n in a.shape) > self.scope.elements for a in avals):
            raise UnfitError  # empty arrays of long axes too: products of such soon have too long ones for NumPy
        results = [Value(Var(a), settled(a.dtype, b, roundings)) for a, b in zip(avals, found, strict=True)]
        outputs = tuple(v.atom for v in results)
        self.eqns.append(Eqn(primitive, tuple(v.atom for v in inputs), outputs, params))  # type: ignore[arg-type]
        self.values += results
        return results

    def literal(self, dtype: np.dtype, number: Any) -> Value:
        """A rank-0 constant, of a number that the dtype has."""
        number = np.asarray(number).astype(dtype)
        step = 1 if not is_float(dtype) else 2.0**-4 if float(number) % 2.0**-4 == 0 else 0
        return Value(Literal(number, Aval((), dtype)), Bounds(float(number), float(number), step))

    def any_literal(self, dtype: np.dtype) -> Value:
        if is_float(dtype):
            return self.literal(dtype, self.rng.choice((0.5, 2.0, -1.0, 0.25, 1.0, 0.0, 0.125, 3.0)))
        if dtype == BOOL:
            return self.literal(dtype, self.rng.random() < 0.5)
        return self.literal(dtype, self.rng.choice((0, 1, 2, 3, 7)))

    # --- choosing operands --------------------------------------------------------------------------------------------

    def find(self, good: Callable[[Value], bool] | None = None, tries: int = 8) -> Value:
        """A value, more likely a late one, for which ``good`` holds."""
        count = len(self.values)
        for _ in range(tries if count else 0):
            value = self.values[int(count * (1 - self.rng.random() ** 1.7 * 0.999)) % count]
            if good is None or good(value):
                return value
        raise UnfitError

    def find_float(self, exact: bool = False) -> Value:
        return self.find(lambda v: is_float(v.dtype) and (v.bounds.exact or not exact))

    def find_ranked(self, rank: int = 1, good: Callable[[Value], bool] | None = None) -> Value:
        return self.find(lambda v: len(v.shape) >= rank and (good is None or good(v)))

    def partner(self, x: Value, good: Callable[[Value], bool] | None = None) -> Value:
        """Another operand for an elementwise operation on ``x``: of its type, or of rank 0."""
        good = good or (lambda v: True)
        fits = lambda v: v.dtype == x.dtype and v.shape in (x.shape, ()) and good(v)  # noqa: E731
        if self.rng.random() < 0.2:
            return self.any_literal(x.dtype)
        try:
            return self.find(fits, 12)
        except UnfitError:
            return self.stretched(x) if self.rng.random() < 0.5 else self.any_literal(x.dtype)

    def stretched(self, x: Value) -> Value:
        """Some value of the dtype of ``x``, broadcast to its shape."""
        y = self.find(lambda v: v.dtype == x.dtype and 0 < len(v.shape) < len(x.shape), 12)
        places = [d for d, n in enumerate(x.shape) if n == y.shape[-1]]
        if len(y.shape) != 1 or not places:
            raise UnfitError
        return self.broadcast(y, x.shape, (self.rng.choice(places),))

    def broadcast(self, x: Value, shape: tuple[int, ...], dims: tuple[int, ...]) -> Value:
        return self.emit("broadcast_in_dim", [x], x.bounds, 0, shape=shape, broadcast_dimensions=dims)

    def of_aval(self, aval: Aval, exact: bool = False) -> Value:
        """A value of this type: one there is, a new input of the program, or a constant broadcast."""
        try:
            return self.find(lambda v: v.aval == aval and (v.bounds.exact or not exact), 12)
        except UnfitError:
            if self.depth == 0 and aval.size <= self.scope.elements:
                return self.input(aval, input_bounds(self.rng, aval.dtype))
        constant = self.any_literal(aval.dtype)
        return self.broadcast(constant, aval.shape, ()) if aval.shape else constant

    def fit(self, x: Value, low: float, high: float) -> Value:
        """``x`` within [low, high], clamped if it may be outside; the ends must be numbers of every dtype."""
        if x.bounds.within(low, high):
            return x
        ends = [self.literal(x.dtype, v) for v in (low, high)]
        b = x.bounds
        clamp = lambda v: min(max(v, low), high)  # noqa: E731
        found = Bounds(clamp(b.low), clamp(b.high), min(b.step, *(e.bounds.step for e in ends)), b.error)
        return self.emit("clamp", [ends[0], x, ends[1]], found, 0)

    # --- writing ------------------------------------------------------------------------------------------------------

    def grow(self, count: int) -> None:
        """Appends up to ``count`` operations; what a refused one had already appended stays."""
        for _ in range(count):
            for _ in range(6):
                try:
                    self.rng.choices(self.scope.operations, self.scope.weights)[0](self)
                    break
                except UnfitError:
                    pass

    def graph(self, outputs: Sequence[Value]) -> Graph:
        inputs = tuple(v.atom for v in self.inputs)
        return Graph(inputs, tuple(self.eqns), tuple(v.atom for v in outputs))  # type: ignore[arg-type]


def input_bounds(rng: random.Random, dtype: np.dtype) -> Bounds:
    """Of an input of the program: floats on a grid or anywhere, small integers or all of them."""
    if dtype == BOOL:
        return TRUTH
    if is_float(dtype):
        return Bounds(-2, 2, 0.25) if rng.random() < 0.6 else Bounds(-2, 2)
    return every(dtype) if rng.random() < 0.3 else Bounds(max(-3, every(dtype).low), 9, 1)


def data_of(rng: np.random.Generator, aval: Aval, bounds: Bounds) -> np.ndarray:
    """Elements as the bounds of an input say."""
    if aval.dtype == BOOL:
        return np.asarray(rng.random(aval.shape) < 0.5)
    if not is_float(aval.dtype):
        return np.asarray(rng.integers(int(bounds.low), int(bounds.high), aval.shape, np.int64)).astype(aval.dtype)
    x = np.asarray(rng.uniform(bounds.low, bounds.high, aval.shape))
    return np.asarray(np.round(x / bounds.step) * bounds.step if bounds.step else x).astype(aval.dtype)
