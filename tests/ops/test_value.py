"""Values of the NumPy implementations, the oracle: against float64 and against jax on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from anejax import dtypes
from anejax.core.trace import aval_of
from tests.op_samples import ROWS, Row
from tests.ops.checks import (
    ALL_ROWS,
    FLUSHED,
    PLAIN,
    SPECIAL,
    allowed,
    arguments,
    close,
    describe,
    exact,
    on_jax,
    prim,
    reference,
    results,
    spread,
    wide,
)


@ALL_ROWS
def test_floats_are_near_float64(row: Row) -> None:
    for case in row.cases:
        for dtype in (d for d in row.dtypes if d in dtypes.INEXACT):
            what = describe(row, case, dtype)
            args = arguments(row, case, dtype)
            with wide(), np.errstate(all="ignore"):
                got = results(row, prim(row).impl(*args, **case.params))
                avals = prim(row).out_avals([aval_of(a) for a in args], case.params)
            for out, aval, want in zip(got, avals, reference(row, args, case.params), strict=True):
                assert (np.shape(out), np.asarray(out).dtype) == (aval.shape, aval.dtype), what
                floats = aval.dtype in dtypes.INEXACT and want.dtype in dtypes.INEXACT
                if floats and row.sums | row.elementwise | bool(row.ulp):
                    close(what, out, want, allowed(row, case, args, want, aval.dtype, row.ulp))
                else:
                    exact(what, out, want.astype(aval.dtype))


@pytest.mark.parametrize("row", [r for r in ROWS.values() if set(r.dtypes) - set(dtypes.INEXACT)], ids=lambda r: r.name)
def test_integers_and_bools_are_jax(row: Row) -> None:
    others = [d for d in row.dtypes if d not in dtypes.INEXACT]
    for case, dtype in spread(row, others):
        args = arguments(row, case, dtype)
        with wide(), np.errstate(all="ignore"):
            got = results(row, prim(row).impl(*args, **case.params))
        for out, want in zip(got, on_jax(row, args, case.params), strict=True):
            assert np.asarray(out).dtype == want.dtype, describe(row, case, dtype)
            exact(describe(row, case, dtype), out, want)


@pytest.mark.parametrize("name", PLAIN)
def test_special_values_are_where_jax_has_them(name: str) -> None:
    row = ROWS[name]
    values = np.array([v for v in SPECIAL if v != FLUSHED], np.float32)
    args = [values] if len(row.cases[0].args) == 1 else list(map(np.ravel, np.meshgrid(values, values)))
    with wide(), np.errstate(all="ignore"):
        got = np.asarray(prim(row).impl(*args, **row.cases[0].params))
    (want,) = on_jax(row, args, row.cases[0].params)
    same = np.isnan(got) == np.isnan(want) if want.dtype.kind == "f" else got == want
    assert same.all(), [(*(a[i] for a in args), got[i], want[i]) for i in np.flatnonzero(~same)]
    if want.dtype.kind == "f":
        infinite = np.isinf(got) == np.isinf(want)
        assert infinite.all(), [(*(a[i] for a in args), got[i], want[i]) for i in np.flatnonzero(~infinite)]


INT_EDGES = {
    "div": ((7, -7, 5, -(2**31), 0), (0, 2, -3, -1, 0)), "rem": ((7, -7, 5, -(2**31), 0), (0, 2, -3, -1, 0)),
    "shift_left": ((1, -1, 3, 5), (31, 32, -1, 40)), "shift_right_logical": ((1, -1, 3, -5), (31, 32, -1, 40)),
    "shift_right_arithmetic": ((1, -1, 3, -5), (31, 32, -1, 40)), "abs": ((-(2**31), -1),), "neg": ((-(2**31), 3),),
    "mul": ((2**30, 2**31 - 1), (4, 2)), "add": ((2**31 - 1,), (1,)), "sign": ((-5, 0, 7),),
}  # fmt: skip


@pytest.mark.parametrize("name", INT_EDGES)
def test_integer_edges_are_jax(name: str) -> None:
    args = [np.array(a, np.int32) for a in INT_EDGES[name]]
    with np.errstate(all="ignore"):
        got = prim(ROWS[name]).impl(*args)
    np.testing.assert_array_equal(got, on_jax(ROWS[name], args, {})[0])


def test_floats_to_integers_saturate() -> None:
    convert = prim(ROWS["convert_element_type"]).impl
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 2.9, -2.9], np.float32)
    np.testing.assert_array_equal(convert(x, dtype=dtypes.int32), [0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 2, -2])
    np.testing.assert_array_equal(convert(x, dtype=dtypes.uint8), [0, 255, 0, 255, 0, 2, 0])
    np.testing.assert_array_equal(convert(x, dtype=dtypes.bool_), [True] * 7)


def test_sort_puts_nan_last_and_keeps_equal_zeros_in_order() -> None:
    x = np.array([0.0, np.nan, -0.0, -np.inf, np.copysign(np.nan, -1), 1.0, np.inf, -0.0], np.float32)
    got, at = prim(ROWS["sort"]).impl(x, np.arange(8), dimension=0, num_keys=1)
    np.testing.assert_array_equal(got, [-np.inf, 0, 0, 0, 1, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(at, [3, 0, 2, 7, 5, 6, 1, 4])


def test_windows_without_a_winner_inside_drop_their_source() -> None:
    scatter = prim(ROWS["select_and_scatter_add"]).impl
    got = scatter(np.array([1.0, 10.0, 100.0]), np.array([5.0, 5.0]), select="ge", window_dimensions=(2,),
                  window_strides=(2,), padding=((2, 2),))  # fmt: skip
    np.testing.assert_array_equal(got, [10.0, 0.0])  # the first window and the last lie in the padding
