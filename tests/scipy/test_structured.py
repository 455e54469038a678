"""Structured matrices, polar, expm_frechet, eigh_tridiagonal, qr_multiply and solve_sylvester against jax and SciPy."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import jax
import jax.scipy.linalg
import numpy as np
import pytest
import scipy.linalg

import anejax as aj
import anejax.numpy as anp
from anejax.errors import AbsentError, DtypeError, RefusedError, ShapeError
from tests.answers import Namespace, of_jax
from tests.numpy.compare import assert_close, assert_same_type, sample, tree_leaves

OURS, JAX = aj.scipy.linalg, Namespace(jax.scipy.linalg)
V, U, S = sample((5,)), sample((2, 3)), sample((4,), seed=2)
I = sample((4,), "int32")


def same(name, *args, ulps=16, scale=8, **kwargs):
    """A call on both, and ours under jit."""
    got = getattr(OURS, name)(*(anp.asarray(a) if isinstance(a, np.ndarray) else a for a in args), **kwargs)
    want = getattr(JAX, name)(*args, **kwargs)
    got, want = tree_leaves(got), tree_leaves(want)
    assert len(got) == len(want)
    for a, b in zip(got, want):
        assert_same_type(a, b)
        assert_close(a, b, ulps=ulps, scale=scale)
    return got


@pytest.mark.parametrize("name", ["circulant", "fiedler", "companion", "fiedler_companion", "hankel"])
def test_of_one_array(name):
    for x in (V, V[:2], sample((3, 4)), sample((2, 1, 7)), I, sample((4,), "float16")):
        if "companion" in name:
            x = np.where(x == 0, 1, x).astype(x.dtype)
        same(name, x)
    short = {"companion": ShapeError}.get(name)
    if short:
        with pytest.raises(short, match="at least 2 coefficients"):
            OURS.companion(V[:1])
    else:
        same(name, V[:1])


def test_of_two_arrays():
    same("hankel", V, S)
    same("hankel", I, S)
    same("hankel", V, U)
    same("leslie", V, S)
    same("leslie", sample((2, 3)), sample((2, 2)))
    same("leslie", I, np.float32([1, 2, 3]))
    for mode in ("full", "same", "valid"):
        for n in (1, 2, 5, 6):
            same("convolution_matrix", V, n, mode)
            same("convolution_matrix", U, n, mode)
            product = OURS.convolution_matrix(V, n, mode) @ sample((n,))
            assert_close(product, np.convolve(V, sample((n,)), mode), ulps=32, scale=16)


def test_companions_have_the_polynomial():
    for n in range(2, 9):
        a = sample((n,)).astype(np.float64)
        for name in ("companion", "fiedler_companion"):
            with aj.enable_x64(True):
                ours = getattr(OURS, name)(a)
            np.testing.assert_allclose(ours, getattr(scipy.linalg, name)(a))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8, 13])
def test_of_a_size(n):
    """Exact integers, rounded once, as SciPy has them; dtypes as jax has them."""
    for name in ("hilbert", "invhilbert"):
        got = getattr(OURS, name)(n)
        assert_same_type(got, getattr(JAX, name)(n))
        if n:
            assert_close(got, getattr(scipy.linalg, name)(n).astype(np.float32), ulps=1)
    for name in ("pascal", "invpascal"):
        for kind in (None, "symmetric", "lower", "upper"):
            got = getattr(OURS, name)(n, kind)
            assert_same_type(got, getattr(JAX, name)(n, kind))
            if n:
                assert_close(got, getattr(scipy.linalg, name)(n, kind or "symmetric").astype(np.float32), ulps=1)
    if n:
        for full in (False, True):
            got = OURS.helmert(n, full)
            assert_same_type(got, JAX.helmert(n, full))
            assert_close(got, scipy.linalg.helmert(n, full).astype(np.float32), ulps=2)
        for scale in (None, "sqrtn", "n"):
            got = OURS.dft(n, scale)
            assert_same_type(got, JAX.dft(n, scale))
            assert_close(got, scipy.linalg.dft(n, scale).astype(np.complex64), ulps=2, scale=1)


def test_sizes_and_kinds():
    for n in (1, 2, 8, 16):
        for dtype in (int, np.float32, np.int8):
            got = OURS.hadamard(n, dtype)
            assert_same_type(got, JAX.hadamard(n, dtype))
            assert_close(got, scipy.linalg.hadamard(n).astype(got.dtype))
    assert float(OURS.invhilbert(200)[199, 199]) == np.inf
    bad = [("hadamard", 6), ("hadamard", 0), ("helmert", 0), ("pascal", 3, "what"), ("invpascal", 3, "what"),
           ("dft", 3, "what"), ("convolution_matrix", V, 0), ("convolution_matrix", V, 3, "what"), ("leslie", V, V),
           ("hankel", np.float32(1)), ("fiedler_companion", V[:0])]  # fmt: skip
    for name, *args in bad:
        with pytest.raises((ValueError, TypeError)):
            getattr(JAX, name)(*args)
        with pytest.raises(ValueError, match=rf"\[{name}\] expected"):
            getattr(OURS, name)(*args)
    with pytest.raises(DtypeError, match="complex"):
        OURS.dft(3, dtype=np.float32)


@pytest.mark.parametrize("name", ["circulant", "companion", "hankel", "fiedler_companion"])
def test_structured_transformed(name):
    ours, theirs = getattr(OURS, name), getattr(JAX, name)
    weight = sample(theirs(V).shape, seed=7)
    got = aj.jit(aj.grad(lambda x: (ours(x) * weight).sum()))(V)
    (want,) = of_jax(lambda x, w: jax.grad(lambda x: (getattr(jax.scipy.linalg, name)(x) * w).sum())(x), V, weight)
    assert_close(got, want, ulps=64, scale=8)
    assert_close(aj.vmap(ours)(U), ours(U), ulps=4)


# --- factorizations and functions -------------------------------------------------------------------------------------

A, B, C = sample((4, 4)) + 5 * np.eye(4, dtype=np.float32), sample((3, 3), seed=1), sample((4, 3), seed=2)


@pytest.mark.parametrize("side", ["right", "left"])
def test_polar(side):
    shapes = [(4, 4), (1, 1), (6, 3), (2, 5, 3)]
    for s in shapes:
        x = sample(s) if side == "right" else sample(s).swapaxes(-1, -2)
        for method in ("svd", "qdwh") if len(s) == 2 and side == "right" else ("svd",):
            u, p = same("polar", x, side, method=method, ulps=256, scale=8)
            np.testing.assert_allclose(u @ p if side == "right" else p @ u, x, atol=2e-5)


def test_derivative_of_polar():
    """Finite where singular values coincide; jax's own, of svd, is not."""
    rotation = np.linalg.qr(sample((3, 3)).astype(np.float64))[0]
    for x in (sample((3, 3)).astype(np.float64), sample((5, 3)).astype(np.float64), 2 * rotation):
        t = sample(x.shape, seed=9).astype(np.float64)
        with aj.enable_x64(True):
            got = aj.jvp(lambda x: OURS.polar(x), (x,), (t,))[1]
        step = 1e-6
        plus, minus = (scipy.linalg.polar(x + s * t) for s in (step, -step))
        for a, b, c in zip(got, plus, minus):
            np.testing.assert_allclose(a, (b - c) / (2 * step), atol=1e-7)


def test_expm_frechet():
    e = sample((4, 4), seed=5)
    same("expm_frechet", A / 4, e, ulps=512, scale=64)
    same("expm_frechet", A / 4, e, compute_expm=False, ulps=512, scale=64)
    for bad in ((A, e[:2]), (A, B)):
        with pytest.raises(ShapeError, match=r"\[expm_frechet\]"):
            OURS.expm_frechet(*bad)
    with pytest.raises(ValueError, match="method"):
        OURS.expm_frechet(A, e, method="what")


def test_solve_sylvester():
    got = OURS.solve_sylvester(A, B, C)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, scipy.linalg.solve_sylvester(A, B, C), atol=2e-5)
    assert_same_type(got, JAX.solve_sylvester(A, B, C))
    batch = np.stack([A, A + 1, 2 * A])
    many = aj.jit(OURS.solve_sylvester)(batch, B, C)
    for x, a in zip(np.asarray(many), batch):
        np.testing.assert_allclose(a @ x + x @ B, C, atol=5e-5)
    t = sample((4, 4), seed=6)
    x, dx = aj.jvp(lambda a: OURS.solve_sylvester(a, B, C), (A,), (t,))
    np.testing.assert_allclose(A @ dx + dx @ B, -t @ x, atol=5e-5)
    with pytest.raises(ShapeError, match=r"\[solve_sylvester\] expected A \[m, m\]"):
        OURS.solve_sylvester(A, B, C.T)
    with pytest.raises(ValueError, match="method"):
        OURS.solve_sylvester(A, B, C, method="what")


def test_eigh_tridiagonal():
    d, e = sample((6,)), sample((5,), seed=1)
    same("eigh_tridiagonal", d, e, eigvals_only=True, ulps=64)
    same("eigh_tridiagonal", d, e, eigvals_only=True, select="i", select_range=(1, 3), ulps=64)
    w, v = OURS.eigh_tridiagonal(d, e)
    full = np.diag(d) + np.diag(e, 1) + np.diag(e, -1)
    np.testing.assert_allclose(full @ v, v * w, atol=2e-5)
    np.testing.assert_allclose(
        aj.grad(lambda d: OURS.eigh_tridiagonal(d, e)[0][2])(d), np.asarray(v)[:, 2] ** 2, atol=1e-5
    )
    same("eigh_tridiagonal", d[:1], e[:0], eigvals_only=True)
    with pytest.raises(RefusedError, match="select='v'"):
        OURS.eigh_tridiagonal(d, e, select="v", select_range=(0, 1))
    with pytest.raises(ValueError, match="a range of indices"):
        OURS.eigh_tridiagonal(d, e, select="i")
    with pytest.raises(ValueError, match="select to be"):
        OURS.eigh_tridiagonal(d, e, select="x")
    with pytest.raises(DtypeError, match="of one dtype"):
        OURS.eigh_tridiagonal(I, I[:3])
    with pytest.raises(ShapeError, match=r"e \[n - 1\]"):
        OURS.eigh_tridiagonal(d, d)


def test_qr_multiply():
    tall = sample((5, 3))
    for a in (tall, A, tall.T):
        m, k = a.shape[0], min(a.shape)
        for c, mode in (
            (sample((2, m)), "right"),
            (sample((m,)), "right"),
            (sample((k, 2)), "left"),
            (sample((k,)), "left"),
        ):
            same("qr_multiply", a, c, mode, ulps=128)
    with pytest.raises(ShapeError, match="expected c with 5 columns"):
        OURS.qr_multiply(tall, tall)
    product, r, columns = OURS.qr_multiply(tall, tall.T, pivoting=True)
    q, wanted, order = OURS.qr(tall, mode="economic", pivoting=True)
    np.testing.assert_allclose(product, np.asarray(tall).T @ np.asarray(q), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(r, wanted)
    np.testing.assert_array_equal(columns, order)
    with pytest.raises(ValueError, match="mode"):
        OURS.qr_multiply(tall, tall.T, "up")


def test_hessenberg_forms_are_absent():
    with pytest.raises(AbsentError, match="only whole factorizations"):
        getattr(OURS, "hessenberg")  # noqa: B009
