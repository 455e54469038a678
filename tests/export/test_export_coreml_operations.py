"""Every primitive that Core ML can have, by its samples: exported, read by coremltools, and computed there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.core.primitive import REGISTRY
from anejax.errors import AnejaxError, RefusedError
from anejax.export.coreml_program import entry
from anejax.passes.legalize.table import has_form
from tests.export import accuracy
from tests.export.evaluate import Package
from tests.op_samples import ROWS

RNG = np.random.default_rng(0)
DTYPES = ("float32", "float16", "int32", "uint32", "bool")


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def results(folder: Path, functions: dict[str, tuple[Callable[..., Any], Sequence[Any]]]) -> dict[str, list[Any]]:
    """The results of functions after a way through one .mlpackage, in order and of the functions' own shapes."""
    exported, names = {}, {}
    for key, (function, args) in functions.items():
        names[key] = [f"x{i}" for i in range(len(args))]
        flat = lambda *xs, function=function: aj.tree.leaves(function(*xs))  # noqa: E731
        exported[key] = aj.export.Function(flat, *args, inputs=names[key])
    package = Package(aj.export.coreml(exported, path=folder / "f.mlpackage"))
    found = {}
    for key, (_, args) in functions.items():
        got = package(dict(zip(names[key], map(at_border, args))), key)
        found[key] = [got[name] for name in sorted(got, key=lambda n: int(n.removeprefix("output_")))]
    return found


def at_border(x: Any) -> np.ndarray:
    array = np.asarray(x)
    return (array.astype(np.int32) if array.dtype.kind in "bui" else array).reshape(array.shape or (1,))


def same(want: Any, got: Any, eps: float) -> None:
    want = np.asarray(want)
    got = np.asarray(got).reshape(want.shape)
    if want.dtype == np.uint32:  # whose ports are int32 of the same bits
        want = want.view(np.int32)
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want)
        return
    scale = float(np.abs(want[np.isfinite(want)]).max(initial=1e-30))
    np.testing.assert_allclose(got, want, rtol=0, atol=eps * float(np.finfo(want.dtype).eps) * max(1.0, scale))


NAMES = [n for n in sorted(ROWS) if has_form(REGISTRY[n], "coreml")]


@pytest.mark.parametrize("name", NAMES)
def test_samples(tmp_path: Path, name: str) -> None:
    row, prim = ROWS[name], REGISTRY[name]
    functions, wanted = {}, {}
    for i, case in enumerate(row.cases):
        for dtype in row.dtypes:
            function = lambda *a, case=case: prim.bind(*a, **case.params)  # noqa: E731
            if dtype.name not in DTYPES:
                continue
            try:
                args = case.make(np.random.default_rng(i), dtype)
                want = [np.asarray(w) for w in aj.tree.leaves(aj.jit(function)(*args))]
            except AnejaxError:
                continue  # the sample is of an error
            if not all(np.asarray(a).dtype.name in DTYPES and 0 not in np.shape(a) for a in (*args, *want)):
                continue
            try:
                entry(aj.export.Function(function, *args), None, {})
            except RefusedError:
                continue  # MIL lacks it for this dtype
            if args and max(np.ndim(a) for a in (*args, *want)) <= 4:
                functions[f"{dtype.name}_{i}"], wanted[f"{dtype.name}_{i}"] = (function, args), want
    if not functions:
        pytest.skip("no sample of Core ML's dtypes")
    got = results(tmp_path, functions)
    for key, want in wanted.items():
        for w, g in zip(want, got[key], strict=True):
            same(w, g, accuracy.BOUNDS.get(w.dtype.name, 0))


@pytest.mark.parametrize("dtype", accuracy.BOUNDS)
def test_each_element_of_functions(tmp_path: Path, dtype: str) -> None:
    names = [n for n in accuracy.NAMES if has_form(REGISTRY[n], "coreml")]
    accuracy.check(names, dtype, lambda functions: results(tmp_path, functions))


@pytest.mark.parametrize("dtype", accuracy.BOUNDS)
def test_inverse_of_erf_up_to_its_ends(tmp_path: Path, dtype: str) -> None:
    """Near 1, where 1 - x^2 cancels, and on the other side of 0; the ends are infinite, and beyond them is nothing."""
    kind = np.finfo(dtype)
    sizes = np.concatenate([1 - np.geomspace(float(kind.epsneg), 0.5, 200), np.geomspace(1e-3, 0.9, 200)])
    x = np.concatenate([-sizes, sizes]).astype(dtype)
    edges = np.array([1, -1, 1.5, -np.inf, np.nan, 0.0, -0.0], dtype)
    got = results(tmp_path, {"inside": (lax.erf_inv, (x,)), "edges": (lax.erf_inv, (edges,))})
    assert accuracy.worst("erf_inv", x, got["inside"][0])[0] <= accuracy.BOUNDS[dtype]
    np.testing.assert_array_equal(got["edges"][0], np.array([np.inf, -np.inf, np.nan, np.nan, np.nan, 0, -0.0]))


def taken_outside(x: Any, at: Any) -> Any:
    return jnp.take(x, at, axis=0), jnp.take(x, at, axis=1, mode="clip"), jnp.asarray(x).at[at].add(2.0, mode="drop")


def counted(x: Any) -> Any:
    return lax.while_loop(lambda c: c[1] < 5, lambda c: (c[0] * 1.5, c[1] + 1), (x, 0))


def switched(k: Any, x: Any) -> Any:
    return lax.switch(k, [lambda a: (a, a), lambda a: (a * 2, a), lambda a: (-a, a + 1)], x)


def scanned(x: Any) -> Any:
    """Too long to be unrolled."""
    return lax.scan(lambda c, t: (jnp.tanh(c + t), (c * t, c > t)), x[0], jnp.concatenate([x] * 250), reverse=True)


def nested(x: Any) -> Any:
    inner = lambda c: lax.fori_loop(0, c[1], lambda i, a: a * 0.5 + i, c[0])  # noqa: E731
    return lax.fori_loop(0, jnp.argmax(x) + 3, lambda i, c: (inner(c), c[1] + 1), (x, 1))


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "gather": (taken_outside, (normal(5, 4), np.array([[0, 3], [-9, 99]], np.int32))),
    "gradient of gather": (aj.grad(lambda x, at: jnp.sum(jnp.take(x, at, axis=0) ** 2)),
                           (normal(5, 3), np.array([1, 1, 4], np.int32))),
    "slices by vmap": (aj.vmap(lambda r, k: lax.dynamic_slice(r, (k,), (2,))),
                       (normal(5, 6), np.arange(5, dtype=np.int32))),
    "slices": (lambda x, i: (lax.dynamic_slice(x, (i, 1), (2, 2)), lax.dynamic_update_slice(x, x[:2, :1], (i, i))),
               (normal(5, 3), np.int32(2))),
    "order": (lambda x: (jnp.argsort(x, axis=1), *lax.top_k(x, 2), jnp.sort(x, axis=0)), (normal(5, 7),)),
    "ties": (lambda x: lax.sort((x, x[::-1], jnp.arange(6)), num_keys=2),
             (np.array([2, 1, np.nan, 1, 2, 1], np.float32),)),
    "while": (counted, (normal(3),)),
    "carries change places": (lambda x, y: lax.fori_loop(0, x.shape[0] + 200, lambda i, c: (c[1], c[0] + 1), (x, y)),
                              (normal(3), normal(3))),
    "scan": (scanned, (normal(2, 3),)),
    "loops in loops": (nested, (normal(3),)),
    **{f"switch {k}": (switched, (np.int32(k), normal(3))) for k in (-1, 0, 1, 2, 9)},
    "integers": (lambda x, y: (lax.div(x, y), lax.rem(x, y), x // y, x % y, ~x),
                 (np.array([7, -7, 2**30 + 1, -5, 5], np.int32), np.array([3, 2, -7, 0, -1], np.int32))),
    "nan": (lambda x: (jnp.isnan(x), jnp.nanmax(x)), (np.array([1, np.nan, 3], np.float32),)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(tmp_path: Path, name: str) -> None:
    function, args = FUNCTIONS[name]
    got = results(tmp_path, {"main": (function, args)})["main"]
    for want, found in zip(aj.tree.leaves(aj.jit(function)(*args)), got, strict=True):
        same(want, found, 8)
