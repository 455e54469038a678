"""Iterative solvers against direct solutions in float64, and against jax step by step."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax.errors import DtypeError, ShapeError, TreeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, sample

OURS, JAX = aj.scipy.sparse.linalg, jax.scipy.sparse.linalg
SOLVERS = ("cg", "bicgstab", "gmres")


def matrix(n, dtype="float32", definite=True):
    """A well-conditioned matrix; Hermitian when ``definite``."""
    a = sample((n, n), dtype)
    return (a @ a.conj().T / n + 4 * np.eye(n) if definite else a + 5 * np.sqrt(n) * np.eye(n)).astype(dtype)


def assert_solves(a, x, b, tol=1e-5):
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    residual = np.linalg.norm(a.astype(wide) @ np.asarray(x).astype(wide) - b)
    assert residual <= 1.1 * tol * np.linalg.norm(b) + 1e-30


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", SOLVERS)
def test_solves(name, dtype):
    solve = getattr(OURS, name)
    for n in (1, 2, 25):
        a, b = matrix(n, dtype, name == "cg"), sample((n,), dtype, seed=1)
        x, info = aj.jit(lambda a, b: solve(a, b))(a, b)
        assert_solves(a, x, b)
        assert info is None or int(info) == 0
    assert_same_type(x, of_jax(getattr(JAX, name), a, b)[0])
    assert_solves(a, solve(a, b, tol=1e-2)[0], b, 1e-2)
    start = np.linalg.solve(a, b).astype(dtype)
    assert_close(solve(lambda x: a @ x, b, start)[0], start, ulps=0)  # there is nothing to do


@pytest.mark.parametrize("name", SOLVERS)
def test_each_step_is_that_of_jax(name):
    n = 12
    a, b, x0 = matrix(n, definite=name == "cg"), sample((n,), seed=1), sample((n,), seed=2)
    inverse = np.diag(1 / np.diag(a))
    for maxiter in (1, 3):
        for kwargs in ({}, {"x0": x0}, {"M": inverse}):
            kwargs |= {"restart": 3} if name == "gmres" else {}
            kwargs |= {"maxiter": maxiter, "tol": 1e-12}
            got = getattr(OURS, name)(a, b, **kwargs)[0]
            want = of_jax(
                lambda a, b, options: getattr(JAX, name)(*jax.tree.map(jnp.asarray, (a, b)), **options), a, b, kwargs
            )[0]
            assert_close(got, want, ulps=64, scale=1)


def test_conjugate_gradients_end_after_as_many_steps_as_eigenvalues():
    a = np.diag(np.float32([1] * 5 + [2] * 5 + [7] * 5))
    b = sample((15,))
    assert_solves(a, OURS.cg(a, b, maxiter=3)[0], b)
    assert_solves(a, OURS.gmres(a, b, restart=3, maxiter=1)[0], b)


@pytest.mark.parametrize("solve_method", ["batched", "incremental"])
def test_gmres(solve_method):
    a, b = matrix(30, definite=False), sample((30,), seed=1)
    for restart in (1, 4, 30, 99):
        assert_solves(a, OURS.gmres(a, b, restart=restart, solve_method=solve_method)[0], b)
    rotation = np.roll(np.eye(8, dtype=np.float32), 1, 0)  # no residual gets less before the last dimension
    assert_solves(rotation, OURS.gmres(rotation, b[:8], solve_method=solve_method)[0], b[:8])
    singular = np.diag(np.float32([1, 2, 0]))
    x, info = OURS.gmres(singular, np.float32([1, 2, 0]), solve_method=solve_method)
    assert_close(x, np.float32([1, 1, 0]), ulps=4)
    assert int(info) == 0
    assert np.isfinite(OURS.gmres(singular, np.float32([1, 2, 1]), solve_method=solve_method, maxiter=3)[0]).all()
    _, info = OURS.gmres(a, b, b * np.nan, solve_method=solve_method)
    assert int(info) == -1
    with pytest.raises(ValueError, match="the method 'batched' or 'incremental'"):
        OURS.gmres(a, b, solve_method="what")


def test_gmres_of_ill_conditioned_matrices():
    """Normal equations of the space would square the condition number."""
    a = np.vander(np.linspace(0.1, 1, 6)).astype(np.float64)
    b = a @ np.ones(6)
    with aj.enable_x64(True):
        x, _ = OURS.gmres(a, b, tol=1e-13)
    np.testing.assert_allclose(x, np.ones(6), atol=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_trees(name):
    def product(x):
        return {"a": 4 * x["a"] + x["b"].sum(), "b": (3 * x["b"] + x["a"][0], 2 * x["c"])[0], "c": 5 * x["c"]}

    symmetric = lambda x: {"a": 4 * x["a"] + x["b"].sum(), "b": 9 * x["b"] + x["a"].sum(), "c": 5 * x["c"]}  # noqa: E731
    f = symmetric if name == "cg" else product
    b = {"a": sample((3,)), "b": sample((2, 2)), "c": np.float32(2)}
    x, _ = getattr(OURS, name)(f, b, x0={k: anp.ones_like(v) for k, v in b.items()}, M=lambda x: {**x})
    back = f(x)
    for k in b:
        assert_close(back[k], b[k], ulps=2**9, scale=4)
        assert x[k].shape == np.shape(b[k])


@pytest.mark.parametrize("name", SOLVERS)
def test_derivatives(name):
    n = 6
    a, b, weight = matrix(n, definite=name == "cg"), sample((n,), seed=1), sample((n,), seed=2)

    def of(m):
        def loss(a, b, x0, scale):
            x = getattr(m, name)(lambda v: scale * (a @ v), b, x0, tol=1e-7, M=lambda v: v / 4)[0]
            return (x * weight).sum()

        return loss

    args = a, b, sample((n,), seed=3), np.float32(1.5)
    got = aj.jit(aj.grad(of(OURS), (0, 1, 2, 3)))(*args)
    want = of_jax(lambda *args: jax.jit(jax.grad(of(JAX), (0, 1, 2, 3)))(*args), *args)
    for g, w in zip(got, want):
        assert_close(g, w, ulps=64, scale=1)
    assert not np.asarray(got[2]).any()
    second = aj.grad(lambda s: aj.grad(of(OURS), 3)(*args[:3], s))(args[3])
    (want,) = of_jax(lambda *a: jax.jit(jax.grad(lambda s: jax.grad(of(JAX), 3)(*a[:3], s)))(a[3]), *args)
    assert_close(second, want, ulps=64, scale=1)
    tangent = aj.jvp(lambda b: getattr(OURS, name)(a, b, tol=1e-7)[0], (b,), (weight,))[1]
    assert_close(tangent, np.linalg.solve(a, weight), ulps=64, scale=1)


@pytest.mark.parametrize("name", SOLVERS)
def test_vmap(name):
    """Each system ends by itself: zeros at once, others after different numbers of steps."""
    a = np.stack([matrix(5, definite=name == "cg"), np.eye(5, dtype=np.float32), 3 * np.eye(5, dtype=np.float32)])
    b = np.stack([sample((5,)), sample((5,), seed=1), np.zeros(5, np.float32)])
    xs = aj.jit(aj.vmap(lambda a, b: getattr(OURS, name)(a, b)[0]))(a, b)
    for one, x, rhs in zip(a, np.asarray(xs), b):
        assert_solves(one, x, rhs)


@pytest.mark.parametrize("name", SOLVERS)
def test_edges(name):
    solve = getattr(OURS, name)
    a = np.eye(3, dtype=np.float32)
    zero = np.zeros(3, np.float32)
    assert_close(solve(a, zero)[0], zero)
    assert_close(solve(a, zero, np.ones(3, np.float32), atol=1e-6)[0], zero, scale=1)
    assert_close(solve(2 * a, np.int32([2, 4, 6]))[0], np.float32([1, 2, 3]))
    assert_close(solve(a, np.float32([1, 2, 3]), atol=9)[0], zero)  # near enough
    assert_close(solve(a, np.float32([1, 2, 3]), maxiter=0)[0], zero)


@pytest.mark.parametrize("name", SOLVERS)
def test_wrong_systems(name):
    solve = getattr(OURS, name)
    a, b = matrix(3), sample((3,))
    with pytest.raises(ShapeError, match=rf"\[{name}\] expected A to be a square matrix, got one of shape \(2, 3\)"):
        solve(a[:2], b)
    with pytest.raises(ShapeError, match="M to be a square matrix"):
        solve(a, b, M=b)
    with pytest.raises(TypeError, match="a function or a square matrix, got float"):
        solve(2.0, b)
    with pytest.raises(TreeError, match="x0 to have the structure of b"):
        solve(a, b, x0=[b])
    with pytest.raises(ShapeError, match=r"x0 to have the shapes of b: b is float32\[3\], got float32\[2\]"):
        solve(a, b, x0=b[:2])
    with pytest.raises(TreeError, match="the result of A to have the structure of b"):
        solve(lambda x: (x, x), b)
    with pytest.raises(ShapeError, match="the result of A to have the shapes of b"):
        solve(lambda x: x[:2], b)
    with pytest.raises(DtypeError, match=r"the result of M to have the dtypes of b.*Convert b"):
        solve(a, b, M=lambda x: x.astype(np.float16))
