"""Result dtypes and weak types for every dtype and every pair of them, with 64-bit types off and on, against jax."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax.errors import DtypeError
from tests.answers import of_jax

NAMES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bfloat16", "float16",
         "float32", "float64")  # fmt: skip
SCALARS: tuple[Any, ...] = (True, 2, 0.5)
WIDE = pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
ERRORS = (TypeError, ValueError)
REDUCTIONS = ("sum", "prod", "max", "min", "mean", "var", "std", "median", "all", "any", "argmax", "argmin", "cumsum",
              "cumprod", "count_nonzero", "nansum", "nanmean", "nanmax", "nanvar", "average", "ptp", "diff", "sort",
              "argsort", "quantile", "trapezoid")  # fmt: skip
PAIRED = ("add", "divide", "floor_divide", "power", "arctan2", "maximum", "less", "logical_or", "bitwise_and",
          "left_shift", "matmul", "outer", "where")  # fmt: skip


@contextlib.contextmanager
def bits(x64: bool) -> Iterator[None]:
    with jax.enable_x64(x64), aj.enable_x64() if x64 else contextlib.nullcontext(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def array(name: str, shape: tuple[int, ...] = (2, 2)) -> np.ndarray:
    return np.ones(shape, ml_dtypes.bfloat16 if name == "bfloat16" else name)


def kind(function: Any, *operands: Any) -> Any:
    """(dtype, weak) of what ``function`` gives, or None where it raises. Arrays are traced, scalars are not."""
    m = anp if function.__module__.startswith("anejax") else jnp
    arrays = [m.asarray(x) for x in operands if isinstance(x, np.ndarray)]

    def of_arrays(*xs: Any) -> Any:
        left = iter(xs)
        return function(*[next(left) if isinstance(x, np.ndarray) else x for x in operands])

    try:
        out = (aj if m is anp else jax).eval_shape(of_arrays, *arrays)
    except ERRORS:
        return None
    return np.dtype(out.dtype).name, bool(out.weak_type) and out.dtype != bool


def call(m: Any, name: str) -> Any:
    """The function, with a condition or a fraction where it needs one."""
    f = getattr(m, name)
    extra = {"where": lambda x, y: f(True, x, y), "quantile": lambda x: f(x, 0.5)}.get(name)
    if extra is None:
        return f
    extra.__module__ = "anejax" if m is anp else "jax"
    return extra


@WIDE
@pytest.mark.parametrize("name", PAIRED)
def test_pairs(name: str, x64: bool) -> None:
    operands = [*map(array, NAMES), *(SCALARS if name not in ("matmul", "outer") else ())]
    pairs = [p for p in itertools.product(operands, operands) if any(isinstance(x, np.ndarray) for x in p)]
    with bits(x64):
        kinds = of_jax(lambda pairs: [str(kind(call(jnp, name), *pair)) for pair in pairs], pairs)
        for pair, theirs in zip(pairs, kinds, strict=True):
            ours = str(kind(call(anp, name), *pair))
            what = [o.dtype.name if isinstance(o, np.ndarray) else o for o in pair]
            assert ours == theirs, f"{name}{what}: {ours}, jax has {theirs}"


def weak_sum(m: Any, scalar: Any, other: Any) -> str:
    """The type of an array made of ``scalar``, plus an array or another scalar."""
    y = m.asarray(other) if isinstance(other, np.ndarray) else other
    out = m.add(m.sin(m.asarray(scalar)) if scalar == 0.5 else m.asarray(scalar), y)
    return f"{np.dtype(out.dtype).name}, weak: {bool(out.weak_type) and out.dtype != bool}"


@WIDE
def test_weak_arrays(x64: bool) -> None:
    """Arrays made of Python scalars are weak, and stay so through operations among themselves."""
    with bits(x64):
        for scalar, other in itertools.product(SCALARS, [*map(array, NAMES), *SCALARS]):
            ours, (theirs,) = weak_sum(anp, scalar, other), of_jax(weak_sum, jnp, scalar, other)
            assert ours == theirs, f"{scalar} + {other!r}: {ours}, jax has {theirs}"


@WIDE
@pytest.mark.parametrize("name", REDUCTIONS)
def test_one_array(name: str, x64: bool) -> None:
    with bits(x64):
        for dtype in NAMES:
            ours = str(kind(call(anp, name), array(dtype)))
            (theirs,) = of_jax(lambda dtype: str(kind(call(jnp, name), array(dtype))), dtype)
            assert ours == theirs, f"{name}({dtype}): {ours}, jax has {theirs}"


@WIDE
def test_promote_types_and_result_type(x64: bool) -> None:
    kinds = [array(n).dtype for n in NAMES]
    with bits(x64):
        for a, b in itertools.product(kinds, kinds):
            assert anp.promote_types(a, b) == jnp.promote_types(a, b), (a, b)
            assert anp.result_type(a, b) == jnp.result_type(a, b), (a, b)
        for a, scalar in itertools.product(kinds, SCALARS):
            assert anp.result_type(array(a.name), scalar) == jnp.result_type(array(a.name), scalar), (a, scalar)


QUESTIONS = (1, 1.0, True, 1j, np.float16(1), np.int8, "bfloat16", complex, float, np.dtype("uint8"), array("bool"))


@WIDE
def test_questions_of_the_namespace_dtypes(x64: bool) -> None:
    """jax.dtypes has these under the same names."""
    with bits(x64):
        for pair in itertools.product((*QUESTIONS, None), repeat=2):
            got, want = (d.result_type(*pair, return_weak_type_flag=True) for d in (aj.dtypes, jax.dtypes))
            assert got == want, pair
            assert aj.dtypes.result_type(*pair) == want[0]
        for x in QUESTIONS:
            assert aj.dtypes.scalar_type_of(x) is jax.dtypes.scalar_type_of(x)
    classes = (np.floating, np.inexact, np.generic, np.integer, np.number, None)
    for a, b in itertools.product((*NAMES, float, None, *classes), (*NAMES, *classes)):
        assert aj.dtypes.issubdtype(a, b) == jax.dtypes.issubdtype(a, b), (a, b)


def test_questions_that_have_no_answer() -> None:
    with pytest.raises(ValueError, match="at least one argument"):
        aj.dtypes.result_type()
    for x in ([1, 2], object(), "x"):
        with pytest.raises(DtypeError, match=r"\[dtype\] expected"):
            aj.dtypes.scalar_type_of(x)
        with pytest.raises(DtypeError):
            aj.dtypes.result_type(x)
    with pytest.raises(DtypeError, match=r"\[issubdtype\] expected dtypes, got 'x'"):
        aj.dtypes.issubdtype("x", np.floating)
