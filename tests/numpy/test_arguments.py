# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
"""Arguments that jax takes: each with its value from NumPy, SciPy or a closed form, or refused as jax refuses it."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.errors import DtypeError, ShapeError

rng = np.random.default_rng(11)
A = np.arange(6, dtype=np.float32).reshape(2, 3)
JIT = pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])


def test_masks_of_reductions_are_bools():
    for name in ("sum", "mean", "prod", "var", "std", "any", "all", "nansum", "nanmean"):
        with pytest.raises(DtypeError, match="expected where to be an array of bools"):
            getattr(jnp, name)(A, where=np.ones((2, 3), np.int32))
    assert jnp.sum(A, where=A > 2) == 12


@pytest.mark.parametrize("axis", [(0, 2), (2, 0), (1,), (0, 1, 2), 1, None])
def test_weights_of_several_axes(axis):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    axes = range(3) if axis is None else np.atleast_1d(axis)
    w = rng.uniform(1, 2, [x.shape[i] for i in axes]).astype(np.float32)
    expected, total = np.average(x.astype(np.float64), axis, w, returned=True)
    out, sums = jnp.average(x, axis, w, returned=True)
    np.testing.assert_allclose(out, expected, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(sums, total, rtol=1e-6)
    with pytest.raises(ShapeError, match=r"\[average\]"):
        jnp.average(x, (0, 1), np.ones((3, 2), np.float32))


@JIT
@pytest.mark.parametrize("shapes", [((3, 3), (2, 3, 1)), ((2, 3, 3), (3, 1)), ((2, 3, 3), (3,)), ((2, 3, 3), (2, 3)),
                                    ((3, 3), (3,)), ((1, 3, 3), (4, 3, 2))])  # fmt: skip
def test_systems_broadcast(shapes, jit):
    a = rng.normal(size=shapes[0]).astype(np.float32) + 4 * np.eye(3, dtype=np.float32)
    b = rng.normal(size=shapes[1]).astype(np.float32)
    vectors = b.ndim == 1 or b.shape == a.shape[:-1]

    def solved(m):
        out = np.linalg.solve(m.astype(np.float64), b[..., None] if vectors else b)
        return out[..., 0] if vectors else out

    low = np.tril(a)
    special = aj.scipy.linalg
    np.testing.assert_allclose(
        jit(lambda b: special.solve_triangular(low, b, lower=True))(b), solved(low), rtol=1e-4, atol=1e-5
    )
    whole = low @ np.swapaxes(low, -1, -2)
    out = jit(lambda b: special.cho_solve((low, True), b))(b)
    np.testing.assert_allclose(out, solved(whole), rtol=1e-3, atol=1e-4)
    out = jit(lambda b: special.lu_solve(special.lu_factor(a), b))(b)
    np.testing.assert_allclose(out, solved(a), rtol=1e-3, atol=1e-4)


def test_a_triangular_system_of_one_vector():
    a = np.tril(rng.normal(size=(3, 3)) + 3 * np.eye(3)).astype(np.float32)
    b = np.float32(rng.normal(size=3))
    out = lax.linalg.triangular_solve(a, b, left_side=True, lower=True)
    np.testing.assert_allclose(out, np.linalg.solve(a, b), rtol=1e-5)
    out = lax.linalg.triangular_solve(a, b, lower=True)
    np.testing.assert_allclose(out, np.linalg.solve(a.T, b), rtol=1e-5)


@JIT
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (1, 4), (4, 1), (7, 7)])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_qr_with_pivots(shape, dtype, jit):
    x = rng.normal(size=shape) + 1j * rng.normal(size=shape) * (dtype == "complex64")
    x = (x if dtype == "complex64" else x.real).astype(dtype)
    for mode in ("full", "economic"):
        q, r, p = jit(functools.partial(aj.scipy.linalg.qr, mode=mode, pivoting=True))(x)
        wanted: Any = scipy.linalg.qr(
            x.astype(np.complex128 if dtype == "complex64" else np.float64), mode=mode, pivoting=True
        )
        np.testing.assert_array_equal(p, wanted[2])
        np.testing.assert_allclose(np.abs(r), np.abs(wanted[1]), atol=2e-5)
        np.testing.assert_allclose(q @ r, x[:, np.asarray(p)], atol=1e-5)
    r, p = aj.scipy.linalg.qr(x, mode="r", pivoting=True)
    assert r.shape == shape and p.dtype == "int32"


def test_qr_with_pivots_of_a_singular_matrix_and_of_a_stack():
    x = np.float32([[1, 2, 3], [2, 4, 6], [1, 0, 1]])
    q, r, p = lax.linalg.qr(x, pivoting=True)
    np.testing.assert_allclose(np.asarray(q) @ r, x[:, np.asarray(p)], atol=1e-5)
    assert abs(float(r[2, 2])) < 1e-5
    stack = rng.normal(size=(4, 3, 2)).astype(np.float32)
    q, r, p = lax.linalg.qr(stack, pivoting=True, full_matrices=False)
    np.testing.assert_allclose(np.asarray(q) @ r, np.take_along_axis(stack, np.asarray(p)[:, None], -1), atol=1e-5)
    slope = aj.grad(lambda x: lax.linalg.qr(x, pivoting=True, full_matrices=False)[1][0, 0] ** 2)(stack[0])
    best = int(p[0, 0])  # r[0, 0]^2 is the squared norm of the first column taken
    np.testing.assert_allclose(slope[:, best], 2 * stack[0][:, best], rtol=1e-4)


@JIT
@pytest.mark.parametrize("skip", [False, True])
def test_quantiles_with_weights(skip, jit):
    x = rng.normal(size=(4, 9)).astype(np.float32)
    x[1, 2] = np.nan if skip else x[1, 2]
    w = rng.integers(0, 4, 9).astype(np.float32)
    w[-1] = 1
    quantile = functools.partial(getattr(jnp, "nanquantile" if skip else "quantile"), method="inverted_cdf")

    def expected(x, w, q):
        there = ~np.isnan(x)
        return np.float32(np.quantile(x[there].astype(np.float64), q, weights=w[there], method="inverted_cdf"))

    for q in map(np.float32, (0, 0.1, 0.35, 0.99, 1)):
        out = jit(lambda x, q=q: quantile(x, q, axis=1, weights=w))(x)
        np.testing.assert_array_equal(out, [expected(row, w, q) for row in x])
    out = quantile(x, np.float32([0.2, 0.5]), axis=1, weights=w)
    np.testing.assert_array_equal(out[1], [expected(row, w, 0.5) for row in x])
    whole = rng.uniform(1, 2, x.shape).astype(np.float32)
    assert quantile(x, 0.3, weights=whole) == expected(x.ravel(), whole.ravel(), 0.3)
    assert quantile(x[0], 0.3) == np.quantile(x[0], 0.3, method="inverted_cdf")


def test_weights_need_the_inverted_distribution():
    with pytest.raises(ValueError, match="inverted_cdf"):
        jnp.quantile(A, 0.5, weights=A)


@JIT
@pytest.mark.parametrize("exponent, mantissa, dtype", [(5, 10, "float16"), (8, 7, "bfloat16")])
def test_precision_is_that_of_the_format(exponent, mantissa, dtype, jit):
    """Where the format has normal numbers; below them there is 0."""
    least = float(jnp.finfo(dtype).smallest_normal)
    x = np.float32([*(rng.normal(size=50) * 10.0 ** rng.integers(-7, 7, 50)), np.inf, -np.inf, np.nan, -0.0, 1e38])
    out = np.asarray(jit(lambda x: lax.reduce_precision(x, exponent, mantissa))(x))
    expected = np.where(np.abs(x) < least, np.copysign(0, x), np.asarray(jnp.asarray(x, dtype)).astype(np.float32))
    np.testing.assert_array_equal(out, expected)


def test_precision_of_any_format():
    x = np.float32([1.3, -300, 1e-5, 240, 0.1, 1.0625])
    np.testing.assert_array_equal(lax.reduce_precision(x, 4, 3), np.float32([1.25, -np.inf, 0, 240, 0.1015625, 1.0]))
    np.testing.assert_array_equal(lax.reduce_precision(x, 8, 0), np.float32([1, -256, 2.0**-17, 256, 0.125, 1]))
    np.testing.assert_array_equal(lax.reduce_precision(x, 11, 52), x)
    narrow = lax.reduce_precision(x[[0, 1, 3, 4]].astype(np.float16), 8, 3)
    np.testing.assert_array_equal(narrow, np.float16([1.25, -288, 240, 0.1015625]))
    assert aj.grad(lambda x: lax.reduce_precision(x, 5, 2))(np.float32(1.3)) == 1
    for bits in ((0, 3), (5, -1)):
        with pytest.raises(ValueError, match=r"\[reduce_precision\]"):
            lax.reduce_precision(x, *bits)


@JIT
def test_windows_of_several_arrays(jit):
    def both(a, b):
        return a[0] + b[0], jnp.maximum(a[1], b[1])

    sums, greatest = jit(lambda x, y: lax.reduce_window((x, y), (0.0, -jnp.inf), both, (1, 2), (1, 1), "SAME"))(A, -A)
    padded = np.pad(A, ((0, 0), (0, 1)))
    np.testing.assert_array_equal(sums, padded[:, :-1] + padded[:, 1:])
    np.testing.assert_array_equal(greatest, -A)
    with pytest.raises(ShapeError, match="one shape"):
        lax.reduce_window((A, A[0]), (0.0, 0.0), both, (1, 2), (1, 1), "SAME")


def test_polynomials_of_higher_rank():
    p, x = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(jnp.polyval(p, x), np.polyval(p.astype(np.float64)[:, None], x), rtol=1e-5)
    np.testing.assert_allclose(jnp.polyval(p, 2.0, unroll=2), np.polyval(p, 2.0), rtol=1e-5)


def test_branches_of_old_calls():
    assert lax.cond(True, lambda none: 1 if none is None else 0, lambda none: 2, operand=None) == 1
    assert lax.cond(False, 3.0, lambda x: x, 4.0, lambda x: -x) == -4
    assert lax.cond(True, lambda x: x, lambda x: -x, operand=3.0) == 3
    assert lax.switch(1, [lambda x: 1, lambda x: 2], operand=None) == 2


def test_closures_of_partial_functions():
    converted, consts = aj.closure_convert(functools.partial(lambda a, x: a * x, np.float32(3)), np.float32(2))
    assert converted(np.float32(2), *consts) == 6


def test_elements_along_an_axis_by_products():
    out = jnp.take_along_axis(A, np.array([[0, 2], [1, 5]]), 1, mode="one_hot")
    np.testing.assert_array_equal(out, [[0, 2], [4, 0]])


def test_masks_without_elements():
    assert A.shape == (2, 3) and jnp.asarray(A)[np.zeros(0, bool)].shape == (0, 3)
    assert jnp.zeros((0, 3))[np.zeros((0, 3), bool)].shape == (0,)


def test_slices_end_within_the_axis():
    with pytest.raises(ShapeError, match=r"\[slice_in_dim\]"):
        lax.slice_in_dim(A, 0, 5)
    np.testing.assert_array_equal(lax.slice_in_dim(A, -2, None, axis=1), A[:, -2:])


def test_leaves_by_their_paths():
    tree = {"a": (1, {"x": 2}), "b": [3, None], "c": 4}
    at_two = lambda path, node: len(path) == 2  # noqa: E731
    found = aj.tree.flatten_with_path(tree, is_leaf=at_two, is_leaf_takes_path=True)[0]
    assert [(aj.tree_util.keystr(p), leaf) for p, leaf in found] == [
        ("['a'][0]", 1), ("['a'][1]", {"x": 2}), ("['b'][0]", 3), ("['b'][1]", None), ("['c']", 4),
    ]  # fmt: skip
    out = aj.tree.map_with_path(lambda p, x: len(p), tree, is_leaf=at_two, is_leaf_takes_path=True)
    assert out == {"a": (2, 2), "b": [2, 2], "c": 1}


@pytest.mark.parametrize("mask", [None, "causal"])
def test_attention_with_its_residual(mask):
    q, k, v = (rng.normal(size=(2, 4, 2, 8)).astype(np.float32) for _ in range(3))
    attend = functools.partial(aj.nn.dot_product_attention, q, k, v, is_causal=mask is not None)
    out, sums = attend(return_residual=True, implementation="xla")
    logits = np.einsum("btnh,bsnh->btns", q.astype(np.float64), k) / np.sqrt(8)
    if mask:
        logits = np.where(np.tri(4, dtype=bool)[None, :, None], logits, -np.inf)
    np.testing.assert_allclose(sums, np.log(np.exp(logits).sum(-1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(out, attend(implementation=None))
    with pytest.raises(ValueError, match="cudnn"):
        attend(implementation="cudnn")


def test_the_namespace_tells_of_itself():
    info = jnp.__array_namespace_info__()
    assert jnp.__array_api_version__ == "2024.12" and info.capabilities()["max dimensions"] == 64
    assert info.default_device() in info.devices() and aj.devices()[0] in info.devices()
    assert info.default_dtypes()["real floating"] == "float32" and set(info.dtypes(kind="bool")) == {"bool"}
    assert "float64" not in info.dtypes() and set(info.dtypes(kind=("bool", "signed integer"))) == {
        "bool",
        "int8",
        "int16",
        "int32",
    }
    with aj.enable_x64():
        assert info.default_dtypes()["indexing"] == "int64" and "complex128" in info.dtypes(kind="numeric")
    with pytest.raises(ValueError, match="kinds of"):
        info.dtypes(kind="text")
    assert jnp.asarray(A).__array_namespace__(api_version="2023.12") is jnp
    with pytest.raises(ValueError, match="array API"):
        jnp.asarray(A).__array_namespace__(api_version="2099.12")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python have no buffers before 3.12")
def test_memory_views():
    view = memoryview(jnp.arange(3))
    assert view.nbytes == 12 and view.readonly and view.tolist() == [0, 1, 2]
