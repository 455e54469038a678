"""Functions against NumPy and SciPy on complex operands, empty and short axes, and every pair of dtypes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg

import anejax as aj
import anejax.numpy as anp
import anejax.scipy.linalg
from anejax.errors import DtypeError
from tests.numpy.compare import assert_close

Z = np.array([1 + 2j, 3 - 1j, 0.5j], np.complex64)
M = np.array([[1, 2j, 3], [4 - 1j, 5, 6j], [7, 8, 9 + 1j]], np.complex64)


def agrees(ours, numpys):
    """Values of one shape; NumPy computes in more digits."""
    assert_close(ours, np.asarray(numpys).astype(np.asarray(ours).dtype), ulps=8, scale=1.0)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["vecdot", "linalg.vecdot", "vecmat", "matvec", "vdot"])
def test_which_operand_of_a_product_is_conjugated(name, compiled):
    def function(m):
        return m.linalg.vecdot if name == "linalg.vecdot" else getattr(m, name)

    args = {"vecmat": (Z, M), "matvec": (M, Z)}.get(name, (Z, Z[::-1].copy()))
    ours = aj.jit(function(anp)) if compiled else function(anp)
    agrees(ours(*args), function(np)(*args))


def test_the_row_of_a_toeplitz_matrix_is_the_conjugate_of_its_column():
    agrees(anejax.scipy.linalg.toeplitz(Z), scipy.linalg.toeplitz(Z))
    agrees(anejax.scipy.linalg.toeplitz(Z, Z), scipy.linalg.toeplitz(Z, Z))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [1.0, 2.0, np.nan], [2.0]])
def test_digitize_on_the_edges_of_bins(bins, right):
    x = np.array([0.5, 1.0, 2.0, 2.5, 3.0, 3.5, np.inf, -np.inf, np.nan], np.float32)
    bins = np.array(bins, np.float32)
    np.testing.assert_array_equal(anp.digitize(x, bins, right), np.digitize(x, bins, right))
    np.testing.assert_array_equal(aj.jit(lambda x, b: anp.digitize(x, b, right))(x, bins), np.digitize(x, bins, right))


def test_sort_complex_sorts_the_last_axis():
    x = np.array([[3, 1, 2], [1, 0, 5]], np.float32)
    agrees(anp.sort_complex(x), np.sort_complex(x))
    agrees(anp.sort_complex(M), np.sort_complex(M))


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("widths", [(0, 0), (2, 2), (3, 1), (0, 2), (2, 0)])
def test_pad_with_linear_ramps_ends_at_the_end_values(length, widths):
    x = np.arange(5, 5 + length, dtype=np.float32)
    pad = lambda m: m.pad(x, widths, mode="linear_ramp", end_values=(1, 9))  # noqa: E731
    agrees(pad(anp), pad(np))


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), ()])
@pytest.mark.parametrize("trim", ["fb", "f", "b"])
def test_trim_zeros_trims_the_axes_that_it_is_given(axis, trim):
    x = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]])
    front, back = "f" in trim, "b" in trim
    rows = cols = slice(None)
    axes = (0, 1) if axis is None else axis if isinstance(axis, tuple) else (axis % 2,)
    if 0 in axes:
        rows = slice(1 if front else 0, 3 if back else 4)
    if 1 in axes:
        cols = slice(1 if front else 0, 2 if back else 4)
    np.testing.assert_array_equal(anp.trim_zeros(x, trim, axis=axis), x[rows, cols])


@pytest.mark.parametrize("name", ["cov", "corrcoef"])
@pytest.mark.parametrize("rowvar", [True, False])
@pytest.mark.parametrize(
    "shape", [(1, 4), (4, 1), (2, 3), (1, 1), (0,), (0, 3), (3, 0), (4,), (), (1, 0), (0, 1)], ids=str
)
def test_covariances_of_few_variables_and_observations(name, rowvar, shape):
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) ** 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(np, name)(x, rowvar=rowvar)
    assert_close(getattr(anp, name)(x, rowvar=rowvar), expected.astype(np.float32), ulps=16)


def test_corrcoef_of_complex_variables():
    agrees(anp.corrcoef(M), np.corrcoef(M))


DTYPES = ["bool", "int8", "int32", "uint8", "uint32", "float16", "float32", "complex64"]
X64 = [*DTYPES, "int64", "uint64", "float64", "complex128"]


def elements(dtype, positive=False):
    x = np.array([[2, -1, 3], [0, -2, 4]])
    x = np.abs(x) if positive or dtype.startswith("u") else x
    return (x + 1j * x[::-1]).astype(dtype) if dtype.startswith("complex") else x.astype(dtype)


@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "nanprod", "cumsum", "cumprod", "nancumsum", "nancumprod"])
@pytest.mark.parametrize("result", X64)
def test_sums_and_products_in_a_dtype_that_is_asked_for(name, result):
    """NumPy casts first, then adds up in the dtype; where that is bool, an element counts that is not 0."""
    with aj.enable_x64(True):
        for dtype in X64:
            x = elements(dtype, positive=result.startswith("u"))  # negative floats saturate, which NumPy leaves open
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cast = x != 0 if result == "bool" else x.astype(result)
                expected = getattr(np, name)(cast, axis=1, dtype=result)
            ours = getattr(anp, name)(x, axis=1, dtype=result)
            assert ours.dtype == result, (dtype, ours.dtype)
            np.testing.assert_array_equal(ours, expected, err_msg=dtype)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_variances_in_a_complex_dtype_are_of_that_dtype(name):
    for dtype in DTYPES:
        ours = getattr(anp, name)(elements(dtype), axis=1, dtype="complex64")
        expected = getattr(np, name)(elements(dtype).astype(np.complex128), axis=1)
        assert ours.dtype == np.complex64
        assert_close(ours, expected.astype(np.complex64))
        if dtype != "complex64":
            assert getattr(anp, name)(elements(dtype), axis=1, dtype="float32").dtype == np.float32
    assert getattr(anp, name)(Z).dtype == np.float32


def test_means_are_not_bools():
    with pytest.raises(DtypeError, match=r"\[mean\] expected a dtype of numbers, got bool"):
        anp.mean(np.ones(3, np.float32), dtype=bool)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("x64", [False, True])
def test_cumulative_results_of_integers_are_wide(name, x64):
    """https://data-apis.org/array-api/latest/API_specification/generated/array_api.cumulative_prod.html"""
    with aj.enable_x64(x64):
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32"):
            ours = getattr(anp, name)(elements(dtype), axis=1)
            assert ours.dtype == np.dtype(("u" if dtype[0] == "u" else "") + ("int64" if x64 else "int32"))
            np.testing.assert_array_equal(ours, getattr(np, name)(elements(dtype), axis=1))
        assert getattr(anp, name)(elements("float16"), axis=1).dtype == np.float16


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("compiled", [False, True])
def test_neighbours_and_parts_of_floats(dtype, compiled):
    """Subnormal numbers and both signs, against NumPy; of equal zeros nextafter gives the second, as in C."""
    info = np.finfo(dtype)
    small, least = info.smallest_subnormal, info.smallest_normal
    near = [0, small, 2 * small, 3 * small, least - small, least, least + small, 2 * least, 1 - info.epsneg, 1, 3.7]
    x = np.array([*near, *(-v for v in near[1:]), info.max, -info.max, np.nan], dtype)
    run = aj.jit if compiled else lambda f: f
    with aj.enable_x64(True), np.errstate(all="ignore"):
        same = lambda ours, numpys: np.testing.assert_array_equal(ours, numpys)  # noqa: E731
        same(run(anp.spacing)(x), np.spacing(x))
        for ours, numpys in zip(run(anp.frexp)(x), np.frexp(x), strict=True):
            same(ours, numpys)
        powers = np.array([-5000, -1074, -149, -24, -1, 0, 1, 15, 128, 1024, 5000, 2**31 - 1, -(2**31)], np.int32)
        a, n = (v.ravel() for v in np.meshgrid(x, powers))
        same(run(anp.ldexp)(a, n), np.ldexp(a, n))
        a, b = (v.ravel() for v in np.meshgrid(x, np.concatenate([x, -x[:1]])))
        after = run(anp.nextafter)(a, b)
        same(after, np.nextafter(a, b))
        assert np.array_equal(np.signbit(after)[a == b], np.signbit(b)[a == b])
