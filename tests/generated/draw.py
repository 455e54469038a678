"""What generated tests draw from: shapes out of a small pool (jax compiles anew for each), dtypes, axes, elements."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import ml_dtypes
import numpy as np
from hypothesis import strategies as st

SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {
    0: ((),),
    1: ((3,), (1,), (0,), (7,)),
    2: ((3, 4), (1, 4), (0, 3), (5, 1), (3, 0), (4, 3)),
    3: ((2, 3, 4), (2, 1, 3), (2, 0, 3)),
    4: ((2, 1, 3, 2),),
}
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = ("float32", "float32", "float32", "float16", "bfloat16")
INTS = ("int32", "int32", "uint8", "int8", "uint32")
BOOL = ("bool",)
NUMBERS = FLOATS + INTS
ANY = NUMBERS + BOOL
WIDE = {"float32": "float64", "int32": "int64"}
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -2.5, 1e4, -1e4, 1e-3)


def as_dtype(name: str) -> np.dtype:
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and (x.dtype.kind == "f" or x.dtype == BFLOAT16)


def is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def _shown(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype.name}{list(x.shape)}{x.ravel()[:12].tolist() if x.size <= 12 else ''}"
    if isinstance(x, (tuple, list)):
        inner = ", ".join(map(_shown, x))
        return f"[{inner}]" if isinstance(x, list) else f"({inner},)"
    return getattr(x, "__name__", None) or repr(x)


@dataclasses.dataclass
class Call:
    """A call that both libraries can make: ``name`` is looked up in each, unless ``of`` says what to do.

    NumPy arrays among the arguments are its inputs; everything else (axes, flags, Python scalars) is part of the call.
    """

    name: str
    args: Sequence[Any]
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    of: Callable[..., Any] | None = None
    x64: bool = False
    special: bool = False  # infinities and NaN among the elements: derivatives are not compared

    def __repr__(self) -> str:
        words = [*map(_shown, self.args), *(f"{k}={_shown(v)}" for k, v in self.kwargs.items())]
        return f"{self.name}({', '.join(words)})" + (" in x64" if self.x64 else "")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # hypothesis prints failing examples with it
        printer.text(repr(self))

    def inputs(self) -> list[np.ndarray]:
        return [x for x in self._leaves()[0] if is_array(x)]

    def _leaves(self) -> tuple[list[Any], Any]:
        return jax.tree.flatten((list(self.args), self.kwargs), is_leaf=lambda x: x is None)

    def function(self, m: Any) -> Callable[..., Any]:
        """The call on the library ``m``, as a function of its inputs."""
        leaves, treedef = self._leaves()
        target = functools.partial(self.of, m) if self.of else operator.attrgetter(self.name)(m)

        def function(*xs: Any) -> Any:
            left = iter(xs)
            args, kwargs = jax.tree.unflatten(treedef, [next(left) if is_array(x) else x for x in leaves])
            return target(*args, **kwargs)

        return function


class Source(Protocol):
    """Where choices come from."""

    def integer(self, low: int, high: int) -> int: ...

    def pick(self, options: Sequence[Any]) -> Any: ...

    def some(self, n: int) -> list[int]:
        """Any of the numbers below ``n``, in any order, each at most once."""
        ...


class Hypothesis:
    """From hypothesis, which makes a failing example small."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def some(self, n: int) -> list[int]:
        return self.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=n))


class Seeded:
    """The same in every run, for all time: hypothesis also draws numbers that it finds in the library's source."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def pick(self, options: Sequence[Any]) -> Any:
        return self.random.choice(options)

    def some(self, n: int) -> list[int]:
        return self.random.sample(range(n), self.random.randint(0, n))


class Draw:
    """Draws the parts of a call. ``rng`` makes the elements, from a drawn seed, since drawing each would be slow."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seed = source.integer(0, 2**31 - 1)
        self.rng = np.random.default_rng(self.seed)
        self.x64 = self.chance(8)
        self.special = False

    def pick(self, *options: Any) -> Any:
        return self.source.pick(options)

    def chance(self, n: int) -> bool:
        """True once in ``n``."""
        return self.source.integer(0, n - 1) == n - 1

    def flag(self) -> bool:
        return self.pick(False, True)

    def integer(self, low: int, high: int) -> int:
        return self.source.integer(low, high)

    def number(self, low: float, high: float) -> float:
        return float(np.round(self.rng.uniform(low, high), 3))

    def shape(self, low: int = 0, high: int = 3) -> tuple[int, ...]:
        ranks = [r for r in (2, 1, 0, 3, 4) if low <= r <= high]
        return self.pick(*SHAPES[self.pick(*ranks)])

    def filled(self, low: int = 0, high: int = 3) -> tuple[int, ...]:
        """A shape without axes of no length."""
        ranks = [r for r in (2, 1, 0, 3, 4) if low <= r <= high]
        return self.pick(*[s for s in SHAPES[self.pick(*ranks)] if 0 not in s])

    def axis(self, rank: int) -> int:
        """An axis of an array of ``rank``, counted from either end; seldom one that is not there."""
        if self.chance(40):
            return rank
        return self.integer(-rank, rank - 1) if rank else 0

    def axes(self, rank: int) -> Any:
        """None, one axis, or a tuple of different ones, each from either end."""
        form = self.pick("one", "none", "some")
        if form == "none" or not rank:
            return None
        if form == "one":
            return self.axis(rank)
        return tuple(a - rank if self.flag() else a for a in self.source.some(rank))

    def permutation(self, n: int) -> tuple[int, ...]:
        left = list(range(n))
        return tuple(left.pop(self.integer(0, len(left) - 1)) for _ in range(n))

    def dtype(self, names: Sequence[str] = ANY) -> np.dtype:
        name = self.pick(*names)
        return as_dtype(WIDE.get(name, name) if self.x64 and self.flag() else name)

    def partner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts with ``shape``: the same, without leading axes, with axes of length 1, or longer."""
        form = self.pick("same", "short", "ones", "longer")
        if form == "short":
            return shape[self.integer(0, len(shape)) :]
        if form == "ones":
            return tuple(1 if self.flag() else n for n in shape)
        return (2, *shape) if form == "longer" and len(shape) < 3 else shape

    def array(
        self, shape: tuple[int, ...], dtype: Any = "float32", low: float = -3.0, high: float = 3.0, special: bool = True
    ) -> np.ndarray:
        """Elements in [low, high): any, or on a grid where ties and kinks are, or infinities and NaN too."""
        d = as_dtype(dtype) if isinstance(dtype, str) else dtype
        if d == np.bool_:
            return np.asarray(self.rng.random(shape) < 0.5)
        if d.kind in "iu":
            if special and self.chance(6):
                info = np.iinfo(d)
                points = [info.min, info.max, info.min + 1, info.max - 1, 0, 1, 2, 7]
                return np.asarray(self.rng.choice(np.array(points, d), shape))
            first = max(math.floor(low), 0) if d.kind == "u" else math.floor(low)
            return np.asarray(self.rng.integers(first, max(math.ceil(high), first + 1), shape)).astype(d)
        form = self.pick("any", "any", "grid", *(("special",) if special else ()))
        if form == "special":
            self.special = True
            return np.asarray(self.rng.choice(np.array(list(SPECIAL), np.float64), shape)).astype(d)
        x = self.rng.uniform(low, high, shape)
        return np.asarray(np.round(x * 2) / 2 if form == "grid" else x).astype(d)

    def scalar(self, dtype: Any) -> Any:
        """A Python scalar of the kind of ``dtype``."""
        d = np.dtype(dtype)
        if d == np.bool_:
            return self.flag()
        return self.integer(0 if d.kind == "u" else -3, 3) if d.kind in "iu" else self.integer(-6, 6) / 2

    def call(self, name: str, *args: Any, of: Callable[..., Any] | None = None, **kwargs: Any) -> Call:
        return Call(name, args, kwargs, of, self.x64, self.special)

    def options(self, **options: Sequence[Any]) -> dict[str, Any]:
        """Keyword arguments, each left out about half of the time and otherwise one of those given."""
        return {k: self.pick(*v) for k, v in options.items() if self.flag()}
