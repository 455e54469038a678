"""Derivatives in float64: against central differences, <ct, Jv> = <J'ct, v>, and both once more for gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import anejax as aj
from anejax import dtypes
from tests.op_samples import Case, Row
from tests.ops.checks import GRAD_ROWS, arguments, bind, describe, double, rng_for, wide

STEP = 1e-6
Function = Callable[..., list[Any]]


def closed(row: Row, case: Case) -> tuple[Function, list[np.ndarray], list[int]]:
    """(the operation as a function of its differentiable arguments, those, which results are float)."""
    args = arguments(row, case, double(row))
    places = [i for i in row.grad if i < len(args) and args[i].dtype == double(row)]
    whole = aj.lax.complex if double(row) is np.complex128 else lambda x: x

    def function(*xs: Any) -> list[Any]:
        full: list[Any] = list(args)
        given = iter(xs)
        for i in places:
            full[i] = whole(*(next(given) for _ in real_parts(args[i])))
        outs = [o for o in bind(row, full, case.params) if o.dtype in dtypes.INEXACT]
        return [part for o in outs for part in real_parts(o)]

    return function, [part for i in places for part in real_parts(args[i])], places


def real_parts(x: Any) -> list[Any]:
    """Complex numbers as real and imaginary part: derivatives are taken of real functions."""
    return [x.real, x.imag] if x.dtype in dtypes.COMPLEX else [x]


def direction(rng: np.random.Generator, like: Sequence[Any]) -> list[np.ndarray]:
    return [rng.standard_normal(np.shape(x)).astype(np.asarray(x).dtype) for x in like]


def shifted(xs: Sequence[np.ndarray], vs: Sequence[np.ndarray], by: float) -> list[np.ndarray]:
    return [np.asarray(x + by * v) for x, v in zip(xs, vs)]


def differences(f: Function, xs: Sequence[np.ndarray], vs: Sequence[np.ndarray], rounding: float) -> list[np.ndarray]:
    """Central differences; ``rounding`` is the step for results of lower precision."""
    ahead, behind = (f(*shifted(xs, vs, s * rounding)) for s in (1, -1))
    return [(np.asarray(a, np.float64) - np.asarray(b, np.float64)) / (2 * rounding) for a, b in zip(ahead, behind)]


def agree(what: str, got: Sequence[Any], want: Sequence[Any], tolerance: float) -> None:
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        scale = 1 + (np.abs(w).max() if w.size else 0)
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * scale, err_msg=what)


def pairing(a: Sequence[Any], b: Sequence[Any]) -> float:
    return float(sum(np.sum(np.asarray(x, np.float64) * np.asarray(y, np.float64)) for x, y in zip(a, b)))


def cases(row: Row) -> list[Case]:
    """Those with differences to speak of: results are float64 (of conversions) and finite (of gathers that fill)."""
    filled = lambda c: c.params.get("mode") == "fill" and c.params.get("fill_value", 0) is None  # noqa: E731
    return [c for c in row.cases if c.params.get("dtype") in (None, dtypes.float64) and not filled(c)]


@GRAD_ROWS
def test_jvp_is_the_difference_quotient(row: Row) -> None:
    with wide():
        for case in cases(row):
            f, xs, _ = closed(row, case)
            vs = direction(rng_for(row, row.cases[0]), xs)
            outs, tangents = aj.jvp(f, tuple(xs), tuple(vs))
            # a factorization may be computed by another routine when its derivative is wanted
            agree(describe(row, case, "f8") + " value", outs, f(*xs), 1e-15 * row.ulp * row.norm)
            agree(describe(row, case, "f8"), tangents, differences(f, xs, vs, STEP), 1e-6)


@GRAD_ROWS
def test_vjp_is_the_transpose_of_jvp(row: Row) -> None:
    with wide():
        for case in cases(row):
            f, xs, _ = closed(row, case)
            rng = rng_for(row, row.cases[0])
            vs = direction(rng, xs)
            outs, tangents = aj.jvp(f, tuple(xs), tuple(vs))
            cts = direction(rng, outs)
            _, pull_back = aj.vjp(f, *xs)
            back = pull_back([aj.numpy.asarray(c) for c in cts])
            assert [b.shape for b in back] == [x.shape for x in xs], describe(row, case, "f8")
            left, right = pairing(cts, tangents), pairing(back, vs)
            assert abs(left - right) <= 1e-10 * (1 + abs(left)), f"{describe(row, case, 'f8')}: {left} {right}"


@GRAD_ROWS
def test_second_order(row: Row) -> None:
    """The gradient's own derivative: forward over reverse against differences, reverse over reverse against that."""
    with wide():
        for case in cases(row)[:4]:
            f, xs, _ = closed(row, case)
            rng = rng_for(row, row.cases[0])
            cts, vs = direction(rng, f(*xs)), direction(rng, xs)

            def gradient(*at: Any, f: Function = f, cts: Any = cts) -> list[Any]:
                # linear in ct, so that rules which are linear in x have a second order as well
                _, pull_back = aj.vjp(f, *at)
                return list(pull_back([aj.numpy.asarray(c) for c in cts]))

            grads, tangents = aj.jvp(gradient, tuple(xs), tuple(vs))
            agree(describe(row, case, "f8"), tangents, differences(gradient, xs, vs, STEP), 2e-6)
            ws = direction(rng, grads)
            _, again = aj.vjp(gradient, *xs)
            left, right = pairing(ws, tangents), pairing(again([aj.numpy.asarray(w) for w in ws]), vs)
            assert abs(left - right) <= 1e-9 * (1 + abs(left)), f"{describe(row, case, 'f8')}: {left} {right}"


@GRAD_ROWS
def test_an_argument_alone(row: Row) -> None:
    """Each argument by itself: the others have symbolic zeros, which rules treat apart."""
    with wide():
        case = cases(row)[0]
        f, xs, _ = closed(row, case)
        vs = direction(rng_for(row, case), xs)
        whole = aj.jvp(f, tuple(xs), tuple(vs))[1]
        parts = []
        for i in range(len(xs)):
            alone = lambda x, i=i: f(*xs[:i], x, *xs[i + 1 :])  # noqa: E731
            parts.append(aj.jvp(alone, (xs[i],), (vs[i],))[1])
            _, pull_back = aj.vjp(alone, xs[i])
            cts = [np.ones(np.shape(t)) for t in whole]
            left, right = pairing(cts, parts[-1]), pairing(pull_back([aj.numpy.asarray(c) for c in cts]), [vs[i]])
            assert abs(left - right) <= 1e-10 * (1 + abs(left)), describe(row, case, "f8")
        total = [sum(np.asarray(p[k]) for p in parts) for k in range(len(whole))]
        agree(describe(row, case, "f8"), whole, total, 1e-12)
