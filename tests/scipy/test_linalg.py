"""scipy.linalg and the orthogonal initializers side by side with jax."""
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.scipy.linalg
import numpy as np
import pytest

import anejax as aj
from anejax.errors import RefusedError
from tests.numpy import compare
from tests.numpy.compare import sample

A = sample((4, 4)) + 6 * np.eye(4, dtype=np.float32)
B = sample((2, 3, 3)) + 6 * np.eye(3, dtype=np.float32)
P = (A @ A.T).astype(np.float32)
W = sample((3, 5))
V = sample((4,))

CALLS = {
    "cholesky": (lambda l, p: [l.cholesky(p), l.cholesky(p, lower=True), l.cho_factor(p)[0]], P),
    "cho_solve": (lambda l, p, v: [l.cho_solve(l.cho_factor(p, lower), b) for lower in (True, False) for b in (v, v[:, None])], P, V),
    "solve": (lambda l, p, v: [l.solve(p, v, assume_a=kind) for kind in ("gen", "sym", "her", "pos")], P, V),
    "solve_bad": (lambda l, p, v: l.solve(p, v, assume_a="what"), P, V),
    "solve_triangular": (lambda l, a, v: [l.solve_triangular(a, v, trans=t, lower=low, unit_diagonal=u) for t in (0, "T", 2) for low in (True, False) for u in (True, False)], A, V),
    "solve_triangular_batch": (lambda l, b: l.solve_triangular(b, b, lower=True), B),
    "lu": (lambda l, a, w: [*l.lu(a), *l.lu(w), *l.lu(w.T), *l.lu(a, permute_l=True)], A, W),
    "lu_solve": (lambda l, a, v: [l.lu_solve(l.lu_factor(a), b, trans=t) for t in (0, 1, 2) for b in (v, a)], A, V),
    "lu_factor": (lambda l, a, w: [*l.lu_factor(a), *l.lu_factor(w)], A, W),
    "qr": (lambda l, w: [*l.qr(w), *l.qr(w.T), *l.qr(w.T, mode="economic"), *l.qr(w, mode="r")], W),
    "qr_bad": (lambda l, w: l.qr(w, mode="what"), W),
    "svd": (lambda l, w: l.svd(w, compute_uv=False), W),
    "eigh": (lambda l, p: [l.eigh(p, eigvals_only=True), l.eigh(p)[0], l.eigh(p, lower=False)[0]], P),
    "inv": (lambda l, a: [l.inv(a), l.det(a)], A),
    "expm": (lambda l, a: [l.expm(a * s) for s in (0.0, 0.01, 0.3, 1.0)], A),
    "expm_batch": (lambda l, b: l.expm(b / 4), B),
    "expm_too_large": (lambda l, a: l.expm(a * 1e9), A),
    "expm_oblong": (lambda l, w: l.expm(w), W),
    "block_diag": (lambda l, a, w, v: [l.block_diag(a, w, v), l.block_diag(), l.block_diag(w, w[:0])], A, W, V),
    "block_diag_rank": (lambda l, b: l.block_diag(b), B),
    "toeplitz": (lambda l, v, w: [l.toeplitz(v), l.toeplitz(v, w[0]), l.toeplitz(w), l.toeplitz(v[:1], v)], V, W),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls(name, monkeypatch):
    f, *args = CALLS[name]
    theirs, ours = (SimpleNamespace(asarray=m.numpy.asarray, linalg=m.scipy.linalg) for m in (jax, aj))
    monkeypatch.setattr(compare, "jnp", theirs)
    monkeypatch.setattr(compare, "anp", ours)
    scale = {"inv": 2000, "expm": 20000}.get(name, 8)
    compare.check(lambda m, *a: f(m.linalg, *a), *args, ulps=64, scale=scale)


def test_derivative_of_expm():
    x, t = A / 4, sample((4, 4), seed=3)
    want = jax.jit(lambda x, t: jax.jvp(jax.scipy.linalg.expm, (x,), (t,))[1])(x, t)
    got = aj.jit(lambda x, t: aj.jvp(aj.scipy.linalg.expm, (x,), (t,))[1])(x, t)
    np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(want).max())


def test_refusals():
    with pytest.raises(RefusedError, match="generalized"):
        aj.scipy.linalg.eigh(P, P)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4)])
@pytest.mark.parametrize("axis", [-1, 0])
def test_orthogonal(shape, axis):
    got = aj.nn.initializers.orthogonal(2.0, axis)(aj.random.key(0), shape, np.float32)
    want = jax.nn.initializers.orthogonal(2.0, axis)(jax.random.key(0), shape, np.float32)
    np.testing.assert_allclose(got, want, atol=5e-6)


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 3, 2, 2), (2, 3, 4, 1, 3)])
def test_delta_orthogonal(shape):
    got = aj.nn.initializers.delta_orthogonal()(aj.random.key(1), shape, np.float32)
    want = jax.nn.initializers.delta_orthogonal()(jax.random.key(1), shape, np.float32)
    np.testing.assert_allclose(got, want, atol=5e-6)
