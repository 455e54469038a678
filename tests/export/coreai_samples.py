"""Every sample of the primitives (tests/op_samples.py) exported to Core AI, run by Apple's runtime, and held against
the CPU device."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import anejax as aj
from anejax.core.primitive import REGISTRY
from anejax.coreai.text import TYPES
from anejax.errors import AnejaxError
from anejax.ops.linalg_parts import FORMS as FACTORIZATIONS
from tests.export import accuracy
from tests.export.worker import serve
from tests.op_samples import ROWS

EVERY = " in every dtype"
ABSENT = frozenset([
    *FACTORIZATIONS, *(form.name for form in FACTORIZATIONS.values()),
    *(name for name in REGISTRY if name.startswith("process_")),
    *["iota", "fft", "fft_parts", "complex", "real", "imag", "conj", "erf_inv", "lgamma", "digamma", "nextafter"],
])  # fmt: skip


def error(want: Any, got: Any) -> float:
    """In eps of the dtype, relative to the largest; infinite where NaN, infinities, shapes or dtypes differ."""
    want, got = np.asarray(want), np.asarray(got)
    if want.shape != got.shape or want.dtype != got.dtype:
        return np.inf
    if want.dtype.kind in "biu":
        return 0.0 if np.array_equal(want, got) else np.inf
    eps = float(aj.numpy.finfo(want.dtype).eps)
    w, g = want.astype(np.float64), got.astype(np.float64)
    same = (w == g) | (np.isnan(w) & np.isnan(g))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0, np.abs(w - g))
    largest = max(float(np.abs(w[np.isfinite(w)]).max(initial=0)), 1e-30)
    return float(np.nan_to_num(off, nan=np.inf, posinf=np.inf).max(initial=0)) / largest / eps


def results(functions: Mapping[str, tuple[Callable[..., Any], Sequence[Any]]]) -> dict[str, list[Any]]:
    """The results of functions of arrays after a way through an .aimodel, in order."""
    exported, names = {}, {}
    for key, (function, args) in functions.items():
        names[key] = [f"x{i}" for i in range(len(args))]
        flat = lambda *xs, function=function: aj.tree.leaves(function(*xs))  # noqa: E731
        exported[key] = aj.export.Function(flat, *args, inputs=names[key])
    with tempfile.TemporaryDirectory() as folder:
        model = aj.export.AIModel(aj.export.coreai(exported, path=Path(folder) / "f.aimodel"))
        try:
            found = {}
            for key, (_, args) in functions.items():
                got = model(dict(zip(names[key], map(np.asarray, args))), key)
                found[key] = [got[name] for name in sorted(got, key=lambda n: int(n.removeprefix("output_")))]
            return found
        finally:
            model.close()


def call(function: Callable[..., Any], *args: Any) -> list[Any]:
    """The results of one function of trees."""
    leaves, treedef = aj.tree.flatten(args)
    return results({"main": (lambda *xs: function(*aj.tree.unflatten(treedef, xs)), leaves)})["main"]


def sample(name: str, every: bool) -> None:
    """All cases of a primitive, in ``every`` dtype or the first of each kind."""
    row, prim = ROWS[name], REGISTRY[name]
    first = {d.kind: d for d in reversed(row.dtypes)}.values()
    rng = np.random.default_rng(0)
    functions, wanted = {}, {}
    for i, case in enumerate(row.cases):
        for dtype in row.dtypes if every else first:
            if dtype.name not in TYPES or dtype.itemsize == 8:
                continue
            function = lambda *a, case=case: prim.bind(*a, **case.params)  # noqa: E731
            try:
                args = case.make(rng, dtype)
                want = aj.tree.leaves(aj.jit(function)(*args))
            except AnejaxError:
                continue  # the sample is of an error
            wide = any(np.asarray(w).dtype.itemsize == 8 for w in want)  # of x64, which is off
            if args and not wide and not any(0 in np.shape(v) for v in (*args, *want)):
                functions[f"{dtype.name}_{i}"], wanted[f"{dtype.name}_{i}"] = (function, args), want
    got = results(functions)
    for key, want in wanted.items():
        for w, g in zip(want, got[key], strict=True):
            off = error(w, g)
            assert off <= BOUNDS.get(np.asarray(w).dtype.name, 0), (
                f"{name} {key}: {off:.3g} eps\nwanted {np.asarray(w)}\ngot {g}"
            )


def each_element(dtype: str) -> None:
    """Elementwise functions of one operand, at numbers of all sizes."""
    accuracy.check([name for name in accuracy.NAMES if name not in ABSENT], dtype, results)


BOUNDS = accuracy.BOUNDS | {"bfloat16": 8.0}
CASES: dict[str, Callable[[], None]] = {
    name + suffix: partial(sample, name, bool(suffix))
    for name in sorted(ROWS)
    if name not in ABSENT
    for suffix in ("", EVERY)
}
CASES |= {f"each element in {dtype}": partial(each_element, dtype) for dtype in accuracy.BOUNDS}

if __name__ == "__main__":
    serve(CASES)
