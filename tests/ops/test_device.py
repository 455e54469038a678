"""The CPU device against the oracle, operation by operation, in every dtype."""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
from anejax import dtypes
from anejax.errors import DeviceError
from tests.op_samples import ROWS, Row
from tests.ops.checks import (
    ALL_ROWS,
    FLUSHED,
    GRAD_ROWS,
    PLAIN,
    SPECIAL,
    allowed,
    arguments,
    bind,
    close,
    describe,
    double,
    exact,
    prim,
    results,
    wide,
)


@ALL_ROWS
def test_device_equals_oracle(row: Row) -> None:
    failures = []
    with wide():
        for case in row.cases:
            for dtype in row.dtypes:
                args = arguments(row, case, dtype)
                what = describe(row, case, dtype)
                with np.errstate(all="ignore"):
                    want = results(row, prim(row).impl(*args, **case.params))
                try:
                    got = aj.jit(lambda *a, p=case.params: bind(row, a, p))(*args)
                    for out, oracle in zip(got, want, strict=True):
                        oracle = np.asarray(oracle)
                        assert out.dtype == oracle.dtype, what
                        if row.sums | row.elementwise | bool(row.ulp) and out.dtype in dtypes.INEXACT:
                            ulp = 1 if dtype.itemsize == 2 else max(row.ulp, 4 if row.ulp else 0)
                            close(what, out, oracle, allowed(row, case, args, oracle, out.dtype, ulp))
                        else:
                            exact(what, out, oracle)
                except (AssertionError, DeviceError) as error:
                    failures.append(str(error)[:600])
    assert not failures, f"{len(failures)} of {len(row.cases) * len(row.dtypes)}:\n" + "\n".join(failures[:6])


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_special_values_are_where_the_oracle_has_them(name: str, dtype: type) -> None:
    row = ROWS[name]
    with wide(), np.errstate(all="ignore"):
        values = np.array([v for v in SPECIAL if v != FLUSHED]).astype(dtype)
        args = [values] if len(row.cases[0].args) == 1 else list(map(np.ravel, np.meshgrid(values, values)))
        want = np.asarray(prim(row).impl(*args))
        (got,) = aj.jit(lambda *a: bind(row, a, {}))(*args)
        got = np.asarray(got)
    same = got == want
    if want.dtype.kind == "f":
        # the nearest finite value and infinity may trade places where the result overflows within the tolerance
        same |= np.isnan(got) & np.isnan(want) | np.isclose(
            got, want, rtol=4e-3 if dtype == np.float16 else 1e-5, atol=1e-7
        )
        same &= np.isnan(got) == np.isnan(want)
        zero = (got == 0) & (want == 0)
        same &= ~zero | (np.signbit(got) == np.signbit(want)) | (name in ("max", "min"))
    assert same.all(), [(*(a[i] for a in args), got[i], want[i]) for i in np.flatnonzero(~same)]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 3), (2, 0, 3)])
def test_reducing_a_broadcast_over_nothing(shape: tuple[int, ...]) -> None:
    def total(x: aj.Array, w: aj.Array) -> aj.Array:
        return (x * w[:, None]).sum(-2)

    got = aj.jit(total)(np.ones(shape, np.float32), np.ones(shape[-2], np.float32))
    np.testing.assert_array_equal(got, np.full((*shape[:-2], shape[-1]), shape[-2], np.float32))


@GRAD_ROWS
def test_jitted_gradients_equal_eager_ones(row: Row) -> None:
    """The gradient's program in one piece against the oracle operation by operation, in float32."""
    for case in row.cases[:3]:
        args = arguments(row, case, np.float32 if double(row) is np.float64 else np.complex64)
        places = [i for i in row.grad if i < len(args) and args[i].dtype in dtypes.INEXACT]

        def loss(*xs: object, args: list = args, places: list = places, p: dict = case.params) -> object:
            full: list = list(args)
            for i, x in zip(places, xs):
                full[i] = x
            outs = [o for o in bind(row, full, p) if o.dtype in dtypes.INEXACT]
            return sum((o * o.conj()).real.sum() for o in outs) if outs else aj.numpy.float32(0)

        grad = aj.grad(loss, argnums=tuple(range(len(places))))
        xs = [args[i] for i in places]
        with aj.config.override("eager", "numpy"):
            want = grad(*xs)
        for got, oracle in zip(aj.jit(grad)(*xs), want, strict=True):
            scale = 1 + np.abs(as_finite(oracle)).max(initial=0)
            np.testing.assert_allclose(got, oracle, rtol=2e-5, atol=2e-5 * scale, err_msg=describe(row, case, "f4"))


def as_finite(x: object) -> np.ndarray:
    return np.nan_to_num(np.asarray(x), posinf=0, neginf=0)
