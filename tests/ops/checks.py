"""What the tests of primitives share: making arguments, and the two error bounds."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import dtypes
from anejax.config import config
from anejax.core.primitive import REGISTRY, Primitive
from tests.answers import answers
from tests.op_samples import ROWS, Case, Row


def rows_that(hold: Callable[[Row], Any]) -> pytest.MarkDecorator:
    """Runs a test on the rows for which ``hold`` is true: only those that the test has something to say about."""
    rows = [r for r in ROWS.values() if hold(r)]
    return pytest.mark.parametrize("row", rows, ids=[r.name for r in rows])


ALL_ROWS = rows_that(lambda row: True)
GRAD_ROWS = rows_that(lambda row: row.grad)
MAPPED_ROWS = rows_that(lambda row: any(c.args for c in row.cases))

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1.5, 1e-40, 3e38, -3e38, np.inf, -np.inf, np.nan, 100.0, -100.0, 1e-6, 90.0]
FLUSHED = 1e-40  # XLA flushes denormals to zero, which makes other infinities: not compared
# elementwise operations of floats that take such values without parameters
PLAIN = sorted(
    r.name for r in ROWS.values() if r.elementwise and dtypes.float32 in r.dtypes and r.name not in
    {"select_n", "clamp", "convert_element_type", "integer_pow", "nextafter", "copy"}
)  # fmt: skip


@contextlib.contextmanager
def wide(eager: str = "numpy") -> Iterator[None]:
    """64-bit types, and eager operations on the oracle unless said otherwise."""
    with aj.enable_x64(), config.override("eager", eager):
        yield


def prim(row: Row) -> Primitive:
    return REGISTRY[row.name]


def rng_for(row: Row, case: Case) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{row.name} {case}".encode()))


def arguments(row: Row, case: Case, dtype: Any) -> list[np.ndarray]:
    return case.make(rng_for(row, case), dtype)


def double(row: Row) -> type:
    """The widest type of number that the row's operation is differentiated in."""
    return np.complex128 if set(row.dtypes) <= set(dtypes.COMPLEX) else np.float64


def spread(row: Row, kinds: Sequence[np.dtype]) -> Iterator[tuple[Case, np.dtype]]:
    """Every case with one of the dtypes in turn: each dtype meets some cases, each case some dtype."""
    return (
        zip(row.cases, itertools.cycle(kinds)) if len(row.cases) >= len(kinds) else itertools.product(row.cases, kinds)
    )


def exact(what: str, got: Any, want: Any) -> None:
    np.testing.assert_array_equal(as_float64(got), as_float64(want), what)


def results(row: Row, out: Any) -> list[Any]:
    return row.settle(list(out) if prim(row).multiple_results else [out])


def bind(row: Row, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return results(row, prim(row).bind(*args, **params))


def as_float64(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype in dtypes.COMPLEX:
        return x.astype(np.complex128)
    return x.astype(np.float64) if x.dtype in dtypes.FLOATS else x


def on_jax(row: Row, args: Sequence[Any], params: dict[str, Any]) -> list[np.ndarray]:
    """The row's jax reference, under x64."""
    import jax

    def live() -> list[np.ndarray]:
        out = row.jax(jax.lax, *map(jax.numpy.asarray, args), **params)
        return [np.asarray(o) for o in (out if isinstance(out, (list, tuple)) else [out])]

    with jax.enable_x64(True):
        return row.settle(answers(live, row.name, row.jax, args, params))


def reference(row: Row, args: Sequence[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    """What the operation gives for float arguments, in float64."""
    if row.numpy is not None:
        with np.errstate(all="ignore"):
            return [np.asarray(row.numpy(*map(as_float64, args), **params))]
    return on_jax(row, args if row.own_dtype else list(map(as_float64, args)), params)


def allowed(row: Row, case: Case, args: Sequence[np.ndarray], want: np.ndarray, dtype: np.dtype, ulp: float) -> Any:
    """The error that ``want`` may come with, element by element."""
    eps = float(dtypes.finfo(dtype).eps)
    if row.sums:
        ones = [np.ones_like(a) if i in row.grad else a for i, a in enumerate(args)]
        size = [np.abs(a) if i in row.grad else a for i, a in enumerate(args)]
        terms, total = (results(row, prim(row).impl(*map(as_float64, a), **case.params))[0] for a in (ones, size))
        accumulated = float(dtypes.finfo(dtypes.float32).eps) if dtype.itemsize == 2 else eps
        return 8 * np.sqrt(np.maximum(terms, 1)) * accumulated * total + (
            eps * np.abs(want) if dtype.itemsize == 2 else 0
        )
    if row.norm:
        return ulp * eps * np.linalg.norm(want)
    tiny = float(dtypes.finfo(dtype).tiny)
    return max(ulp, 0.5 if dtype.itemsize == 2 else 0) * eps * np.maximum(np.abs(want), tiny)


def close(what: str, got: Any, want: Any, bound: Any) -> None:
    """NaN and infinity in the same places, the rest within ``bound``."""
    got, want = as_float64(got), as_float64(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    special = ~np.isfinite(want) if want.dtype in dtypes.INEXACT else np.zeros(want.shape, bool)
    np.testing.assert_array_equal(got[special], want[special], what)
    plain = ~special
    error = np.abs(np.subtract(got, want, dtype=np.result_type(got, want, np.float64)))[plain]
    bound = np.broadcast_to(bound, want.shape)[plain]
    worst = int(np.argmax(error - bound)) if error.size else 0
    assert not error.size or (error <= bound).all(), (
        f"{what}: {got[plain][worst]!r}, not {want[plain][worst]!r}: error {error[worst]:.3g} > {bound[worst]:.3g}"
    )


def describe(row: Row, case: Case, dtype: Any) -> str:
    shapes = ", ".join(str(a.shape) for a in case.args)
    return f"{row.name}({shapes}) {np.dtype(dtype).name} {case.params or ''}"
