"""numpy.linalg side by side with jax: values, dtypes, errors; derivatives; jit. What has signs is put together again."""
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from tests.answers import of_jax
from tests.numpy.compare import check, sample

A = sample((4, 4)) + 6 * np.eye(4, dtype=np.float32)
B = sample((2, 3, 3)) + 6 * np.eye(3, dtype=np.float32)
P = (A @ A.T).astype(np.float32)
W = sample((3, 5))
V = sample((4,))
I = sample((3, 3), "int32")
LOW = np.outer(sample((4,)), sample((4,), seed=1)).astype(np.float32)
EMPTY = np.zeros((0, 3, 3), np.float32)
NONE = np.zeros((0, 0), np.float32)

CALLS = {
    "cholesky": (lambda m, x: [m.linalg.cholesky(x), m.linalg.cholesky(x, upper=True), m.linalg.cholesky(-x)], P),
    "solve": (lambda m, a, b: [m.linalg.solve(a, b), m.linalg.solve(a, b[:, None]), m.linalg.solve(a, a)], A, V),
    "solve_batch": (lambda m, a, b: [m.linalg.solve(a, b), m.linalg.solve(a[0], b), m.linalg.solve(a, b[0])], B, B),
    "solve_vector_for_many": (lambda m, a, b: m.linalg.solve(a, b[:3]), B, V),
    "solve_int": (lambda m, a: m.linalg.solve(a, a), I),
    "solve_bad": (lambda m, a, b: m.linalg.solve(a, b), A, sample((3,))),
    "solve_rank": (lambda m, b: m.linalg.solve(b, b), V),
    "inv": (lambda m, a, b: [m.linalg.inv(a), m.linalg.inv(b)], A, B),
    "inv_oblong": (lambda m, x: m.linalg.inv(x), W),
    "inv_zero": (lambda m: m.linalg.inv(m.zeros((2, 2))),),
    "empty": (lambda m, e, n: [m.linalg.inv(e), m.linalg.det(e), m.linalg.inv(n), m.linalg.det(n), *m.linalg.slogdet(n), m.linalg.cholesky(e), m.linalg.eigvalsh(n), m.linalg.svdvals(e), m.linalg.pinv(n), m.linalg.matrix_rank(e)], EMPTY, NONE),
    "det": (lambda m, a, b: [m.linalg.det(a), m.linalg.det(b), m.linalg.det(a[:2, :2]), m.linalg.det(a[:1, :1])], A, B),
    "det_singular": (lambda m: [m.linalg.det(m.zeros((4, 4))), *m.linalg.slogdet(m.zeros((4, 4)))],),
    "det_bad": (lambda m, x: m.linalg.det(x), W),
    "slogdet": (lambda m, a, b: [*m.linalg.slogdet(a), *m.linalg.slogdet(b[:, ::-1])], A, B),
    "slogdet_method": (lambda m, a: m.linalg.slogdet(a, method="what"), A),
    "pinv": (lambda m, w, b: [m.linalg.pinv(w), m.linalg.pinv(w.T), m.linalg.pinv(b), m.linalg.pinv(w, rtol=0.5)], W, B),
    "pinv_rank": (lambda m, x: [m.linalg.pinv(x), m.linalg.pinv(x + x.T, hermitian=True)], LOW),
    "pinv_both": (lambda m, w: m.linalg.pinv(w, rtol=1, rcond=1), W),
    "lstsq": (lambda m, w, v: [*m.linalg.lstsq(w.T, v), *m.linalg.lstsq(w, v[:3]), *m.linalg.lstsq(w.T, m.stack([v, v], 1), rcond=0.1)], W, sample((5,))),
    "lstsq_numpy": (lambda m, w, v: [*m.linalg.lstsq(w.T, v, numpy_resid=True), *m.linalg.lstsq(w, v[:3], numpy_resid=True)], W, sample((5,))),
    "lstsq_bad": (lambda m, w, v: m.linalg.lstsq(w, v), W, V),
    "matrix_rank": (lambda m, a, w: [m.linalg.matrix_rank(a), m.linalg.matrix_rank(w), m.linalg.matrix_rank(w[0]), m.linalg.matrix_rank(w, rtol=5.0), m.linalg.matrix_rank(w[0] * 0)], LOW, W),
    "cond": (lambda m, a: [m.linalg.cond(a, p) for p in (None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc")], A),
    "cond_bad": (lambda m, w: m.linalg.cond(w, 1), W),
    "norms": (lambda m, w: [m.linalg.norm(w, o) for o in (2, -2, "nuc")] + [m.linalg.norm(w, 2, keepdims=True)], W),
    "norm_axes": (lambda m, x: [m.linalg.norm(x, "nuc", axis=(2, 0), keepdims=True), m.linalg.norm(x, -2, axis=(0, 1)), m.linalg.matrix_norm(x, ord=2)], B),
    "matrix_power": (lambda m, a: [m.linalg.matrix_power(a, n) for n in (-3, -1)], A),
    "eigvalsh": (lambda m, p: [m.linalg.eigvalsh(p), m.linalg.eigh(p).eigenvalues, m.linalg.eigvalsh(p, UPLO="U")], P),
    "eigh_bad": (lambda m, p: m.linalg.eigh(p, UPLO="X"), P),
    "svdvals": (lambda m, w, b: [m.linalg.svdvals(w), m.linalg.svdvals(b), m.linalg.svd(b + m.matrix_transpose(b), compute_uv=False, hermitian=True)], W, B),
    "qr": (lambda m, w: [*m.linalg.qr(w), *m.linalg.qr(w.T), *m.linalg.qr(w.T, "complete"), m.linalg.qr(w, "r")], W),
    "qr_mode": (lambda m, w: m.linalg.qr(w, "what"), W),
    "tensorsolve": (lambda m, a: m.linalg.tensorsolve(a.reshape(2, 2, 4), m.ones((2, 2))), A),
    "tensorsolve_axes": (lambda m, a: m.linalg.tensorsolve(a.reshape(4, 2, 2).transpose(1, 0, 2), m.ones(4), axes=(0, 2)), A),
    "tensorinv": (lambda m, a: [m.linalg.tensorinv(a.reshape(2, 2, 4)), m.linalg.tensorinv(a.reshape(4, 2, 2), ind=1)], A),
    "tensorinv_bad": (lambda m, a: m.linalg.tensorinv(a.reshape(2, 2, 4), ind=0), A),
    "slogdet_half": (lambda m, a: m.linalg.det(a.astype("int32")), A),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    f, *args = CALLS[name]
    # different orders of the same sums: in units of the greatest element, which is of the order of the norm here
    check(f, *args, ulps=64, scale=1000 if name in ("det", "cond", "matrix_power") else 8)


@pytest.mark.parametrize("x", [P, B + B.swapaxes(1, 2)], ids=str)
def test_eigenvectors(x):
    w, v = anp.linalg.eigh(anp.asarray(x))
    np.testing.assert_allclose((v * w[..., None, :]) @ v.mT, x, atol=2e-5 * np.abs(x).max())


@pytest.mark.parametrize("x", [W, W.T, B, LOW], ids=str)
@pytest.mark.parametrize("hermitian", [False, True])
def test_singular_vectors(x, hermitian):
    if hermitian:
        x = x @ x.swapaxes(-1, -2)
    u, s, vh = anp.linalg.svd(anp.asarray(x), full_matrices=False, hermitian=hermitian)
    np.testing.assert_allclose((u * s[..., None, :]) @ vh, x, atol=2e-6 * np.abs(x).max() * x.shape[-1])


SCALARS = {
    "solve": (lambda m, a: (m.linalg.solve(a, a[0]) ** 2).sum(), A), "inv": (lambda m, a: (m.linalg.inv(a) ** 3).sum(), B),
    "det": (lambda m, a: m.linalg.det(a), A), "det of rank 3": (lambda m, a: m.linalg.det(a), np.diag([1.0, 0, 2, 3])),
    "det of rank 1": (lambda m, a: m.linalg.det(a), LOW), "det 3": (lambda m, a: m.linalg.det(a).sum(), B),
    "slogdet": (lambda m, a: m.linalg.slogdet(a)[1].sum(), B), "pinv": (lambda m, a: (m.linalg.pinv(a) ** 2).sum(), W),
    "pinv, tall": (lambda m, a: (m.linalg.pinv(a.T) ** 3).sum(), W), "nuc": (lambda m, a: m.linalg.norm(a, "nuc"), W),
    "lstsq": (lambda m, a: (m.linalg.lstsq(a.T, a[0])[0] ** 2).sum() + m.linalg.lstsq(a.T, m.ones(5))[1].sum(), W),
    "spectral norm": (lambda m, a: m.linalg.norm(a, 2), W), "power": (lambda m, a: m.linalg.matrix_power(a, -2).sum(), A),
    "cholesky": (lambda m, a: (m.linalg.cholesky(a) ** 3).sum(), P), "cond": (lambda m, a: m.linalg.cond(a), A),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALARS)
def test_derivatives(name):
    """First order and, along one direction, second, in float64, eager and jitted."""
    f, x = SCALARS[name]
    x = np.asarray(x, np.float64)
    t = np.cos(np.arange(float(x.size))).reshape(x.shape)

    def of_both_orders(x, t):
        grad = jax.grad(lambda a: f(jnp, a))
        return jax.jit(lambda a: jax.jvp(grad, (a,), (jnp.asarray(t),)))(jnp.asarray(x))

    with jax.enable_x64(True):
        want = of_jax(of_both_orders, x, t)
    with aj.enable_x64():
        mine = aj.grad(lambda a: f(anp, a))
        both = lambda a: aj.jvp(mine, (a,), (anp.asarray(t),))  # noqa: E731
        for got in (both(anp.asarray(x)), aj.jit(both)(anp.asarray(x))):
            for g, w in zip(got, want):
                w = np.asarray(w)
                finite = np.isfinite(w)
                np.testing.assert_allclose(
                    np.asarray(g)[finite], w[finite], rtol=1e-7, atol=1e-9 * (1 + np.abs(w[finite]).max(initial=0))
                )


def test_vmap_and_jit():
    a, b = anp.asarray(B), anp.ones((2, 3))
    got = aj.jit(aj.vmap(anp.linalg.solve))(a, b)
    np.testing.assert_allclose(got, np.linalg.solve(B, np.ones((2, 3, 1)))[..., 0], rtol=1e-5)


@pytest.mark.parametrize("optimize", ["auto", "greedy", False])
def test_einsum_paths_are_those_of_jax(optimize):
    for text, shapes in (
        ("ij->i", [(2, 3)]),
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk,kl->il", [(2, 3), (3, 9), (9, 2)]),
    ):
        got, expected = ([m.ones(s) for s in shapes] for m in (anp, jnp))
        path, report = anp.einsum_path(text, *got, optimize=optimize)
        assert path == jnp.einsum_path(text, *expected, optimize=optimize)[0] and "contraction" in report
        np.testing.assert_array_equal(anp.einsum(text, *got, optimize=path), jnp.einsum(text, *expected))
