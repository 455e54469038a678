"""Factorizations where they do not exist, on what is not finite, and against jax's derivatives and conventions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.errors import DtypeError, RefusedError, ShapeError
from tests.answers import of_jax
from tests.ops.checks import wide

NAN, INF = np.nan, np.inf
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]], np.float32)
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
WITH_NAN = np.array([[1.0, NAN], [NAN, 1.0]], np.float32)
WITH_INF = np.array([[1.0, INF], [3.0, 1.0]], np.float32)
ODD: dict[str, np.ndarray] = {
    "singular": SINGULAR, "indefinite": INDEFINITE, "nan": WITH_NAN, "inf": WITH_INF, "zero": np.zeros((2, 2), "f4"),
    "one of a batch": np.stack([np.eye(2, dtype=np.float32), INDEFINITE, WITH_NAN]),
}  # fmt: skip
CALLS: dict[str, Callable[..., Any]] = {
    "cholesky": lambda m, x: m.cholesky(x), "eigh": lambda m, x: m.eigh(x)[1], "svd": lambda m, x: m.svd(x)[1],
    "svd without vectors": lambda m, x: m.svd(x, compute_uv=False), "pivots": lambda m, x: m.lu(x)[1],
    "solve": lambda m, x: m.triangular_solve(x, x, left_side=True, lower=True),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("eager", ["numpy", "native"])
def test_what_has_no_factorization(call: str, kind: str, eager: str) -> None:
    if call == "pivots" and "nan" in kind + str(kind == "one of a batch" and "nan"):
        pytest.skip("which row NaN makes the pivot is not defined")
    x, function = ODD[kind], CALLS[call]
    with aj.config.override("eager", "numpy"), np.errstate(all="ignore"):
        run = aj.jit(lambda x: function(lax.linalg, x)) if eager == "native" else lambda x: function(lax.linalg, x)
        got = run(jnp.asarray(x))
    np.testing.assert_allclose(got, function(jax.lax.linalg, jax.numpy.asarray(x)), rtol=2e-6, atol=1e-6)


def definite(n: int) -> np.ndarray:
    x = np.random.default_rng(n).normal(size=(n, n))
    return x @ x.T + np.eye(n)


GRADIENTS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "cholesky": (lambda m, x: m.cholesky(x), (4, 4)),
    "eigenvectors": (lambda m, x: m.eigh(x)[0] ** 2, (4, 4)),
    "eigenvalues of the upper triangle": (lambda m, x: m.eigh(x, lower=False, symmetrize_input=False)[1], (3, 3)),
    "left singular vectors": (lambda m, x: m.svd(x, full_matrices=False)[0] ** 2, (5, 3)),
    "right singular vectors": (lambda m, x: m.svd(x, full_matrices=False)[2] ** 2, (3, 5)),
    "singular values": (lambda m, x: m.svd(x, compute_uv=False), (3, 5)),
    "q": (lambda m, x: m.qr(x, full_matrices=False)[0], (5, 3)),
    "r": (lambda m, x: m.qr(x, full_matrices=False)[1], (3, 5)),
    "lu, tall": (lambda m, x: m.lu(x)[0], (5, 3)),
    "lu, wide": (lambda m, x: m.lu(x)[0], (3, 5)),
    "solve": (lambda m, x: m.triangular_solve(x, x[:2], lower=True, transpose_a=True), (4, 4)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_jax(name: str) -> None:
    """In float64; test_grad.py has the second order, against differences."""
    function, shape = GRADIENTS[name]
    x = definite(max(shape))[: shape[0], : shape[1]]
    weights = np.cos(np.arange(30.0))

    def loss(m: Any) -> Callable[..., Any]:
        def scalar(x: Any) -> Any:
            out = function(m, x)
            return (out * weights[: out.size].reshape(out.shape)).sum()

        return scalar

    with jax.enable_x64(True):
        (want,) = of_jax(lambda: jax.jit(jax.grad(loss(jax.lax.linalg)))(jax.numpy.asarray(x)))
    with wide():
        got = aj.grad(loss(lax.linalg))(jnp.asarray(x))
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11 * (1 + np.abs(np.asarray(want)).max()))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_gradient_of_cholesky_is_in_the_triangle_that_is_read(dtype: str) -> None:
    """jax before 0.12 spreads it over both triangles, so with jax it agrees along symmetric directions alone."""
    x = definite(4).astype(dtype)
    if dtype == "complex128":
        x += 0.3j * (np.tri(4) - np.tri(4).T)
    weights = np.cos(np.arange(16.0)).reshape(4, 4)

    def loss(m: Any) -> Callable[..., Any]:
        def scalar(x: Any) -> Any:
            factor = m.cholesky(x, symmetrize_input=False)
            return (factor.real * weights + factor.imag * weights.T).sum()

        return scalar

    with wide():
        got = np.asarray(aj.grad(loss(lax.linalg))(jnp.asarray(x)))
        other = aj.grad(loss(lax.linalg))(jnp.asarray(np.tril(x)))
        direction = np.sin(np.arange(16.0)).reshape(4, 4).astype(dtype)
        ahead, behind = (float(loss(lax.linalg)(jnp.asarray(x + step * direction))) for step in (1e-5, -1e-5))
    with jax.enable_x64(True):
        want = np.asarray(of_jax(lambda: jax.grad(loss(jax.lax.linalg))(jax.numpy.asarray(x)))[0])
    np.testing.assert_array_equal(got, np.tril(got))
    np.testing.assert_allclose(other, got, rtol=1e-12)
    np.testing.assert_allclose((got * direction).real.sum(), (ahead - behind) / 2e-5, rtol=1e-7)
    np.testing.assert_allclose(got + got.T.conj(), want + want.T.conj(), rtol=1e-9, atol=1e-11)


def test_full_singular_vectors_are_a_basis() -> None:
    """Those beyond the rank of the shape are any; only that they complete the basis is promised."""
    x = np.random.default_rng(0).normal(size=(2, 7, 4)).astype(np.float32)
    u, s, vt = aj.jit(lax.linalg.svd)(x)
    assert (u.shape, s.shape, vt.shape) == ((2, 7, 7), (2, 4), (2, 4, 4))
    np.testing.assert_allclose(u.mT @ u, np.broadcast_to(np.eye(7), (2, 7, 7)), atol=2e-6)
    np.testing.assert_allclose((u[..., :4] * s[..., None, :]) @ vt, x, atol=5e-6)
    q, r = aj.jit(lax.linalg.qr)(x)
    np.testing.assert_allclose(q @ r, x, atol=3e-6)
    np.testing.assert_allclose(q.mT @ q, np.broadcast_to(np.eye(7), (2, 7, 7)), atol=2e-6)


@pytest.mark.parametrize("n", [33, 150])
def test_sizes_past_lapacks_blocks(n: int) -> None:
    """LAPACK works in blocks of 32 or 64: the device against float64, in units of the norm."""
    x = np.random.default_rng(n).normal(size=(3, n, n)).astype(np.float32)
    sym = x @ x.swapaxes(1, 2) / n + np.eye(n, dtype=np.float32)
    near = lambda got, want: np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * n * np.abs(want).max())  # noqa: E731
    factor = aj.jit(lax.linalg.cholesky)(sym)
    near(factor @ factor.mT, sym)
    v, w = aj.jit(lax.linalg.eigh)(sym)
    near((v * w[:, None, :]) @ v.mT, sym)
    lu, _, p = aj.jit(lax.linalg.lu)(x)
    near((jnp.tril(lu, -1) + jnp.eye(n)) @ jnp.triu(lu), np.take_along_axis(x, np.asarray(p)[..., None], 1))
    near(factor @ aj.jit(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True))(factor, sym), sym)


def test_pivots_to_permutation() -> None:
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    _, pivots, permutation = lax.linalg.lu(jnp.asarray(x))
    np.testing.assert_array_equal(lax.linalg.lu_pivots_to_permutation(pivots, 5), permutation)


def test_one_matrix_for_many_right_hand_sides_is_not_repeated() -> None:
    a, b = np.tril(definite(3)).astype(np.float32), np.ones((6, 3, 2), np.float32)
    many = aj.vmap(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True), (None, 0))
    assert "f32[6,3,3]" not in str(aj.make_jaxpr(many)(a, b))
    np.testing.assert_allclose(many(a, b), np.linalg.solve(a[None], b), rtol=1e-5)


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"\[cholesky\] expected square matrices \[..., n, n\], got float32\[2,3\]"):
        lax.linalg.cholesky(jnp.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"\[triangular_solve\] expected b with 2 rows"):
        lax.linalg.triangular_solve(jnp.eye(2), jnp.ones((3, 2)), left_side=True)
    with pytest.raises(DtypeError, match=r"\[eigh\].*float32, float64, complex64, complex128, got int32\[2,2\]"):
        lax.linalg.eigh(jnp.eye(2, dtype=jnp.int32))
    with pytest.raises(RefusedError, match=r"\[svd\] has no derivative with full_matrices=True for float32\[3,2\]"):
        aj.grad(lambda x: lax.linalg.svd(x)[0].sum())(jnp.ones((3, 2)))
    with pytest.raises(RefusedError, match=r"\[eig\] eigenvectors have derivatives only where eigenvalues differ"):
        aj.jacfwd(lambda x: lax.linalg.eig(x)[1])(jnp.eye(2))
    with pytest.raises(RefusedError, match=r"\[schur\] eigenvalues cannot be sorted"):
        lax.linalg.schur(jnp.eye(2), sort_eig_vals=True)


def test_a_library_without_lapack_is_named(tmp_path: Path) -> None:
    """Products run with it; a factorization says which routine is missing."""
    source, library = tmp_path / "blas.c", tmp_path / "libblas.so"
    source.write_text("void cblas_sgemm(void) {} void cblas_dgemm(void) {}")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    code = "import anejax as aj, numpy as np; aj.jit(aj.lax.linalg.cholesky)(np.eye(2, dtype='f4'))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "ANEJAX_BLAS": str(library)}, capture_output=True, text=True
    )
    assert "[aj_cholesky] expected a BLAS library with LAPACK's potrf" in run.stderr, run.stderr
