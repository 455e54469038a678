"""Linear algebra on complex matrices side by side with jax: values and types, eager and jitted; both derivatives."""
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
import anejax.scipy.linalg
from tests.answers import of_jax
from tests.generated.libraries import JAX, OURS

rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


A, T, W, B = normal(2, 4, 4), normal(5, 3), normal(3, 5), normal(2, 4, 2)
H = A @ A.conj().swapaxes(-1, -2) + np.eye(4)
R = np.real(A).copy()
CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "cholesky": (lambda m, a: [m.np.linalg.cholesky(a), m.np.linalg.cholesky(a, upper=True)], (H,)),
    "cholesky of a triangle": (lambda m, a: [m.scipy.linalg.cholesky(a, lower=low) for low in (True, False)], (H[0],)),
    "solve": (lambda m, a, b: m.np.linalg.solve(a, b), (A, B)),
    "cho_solve": (lambda m, a, b: [m.scipy.linalg.cho_solve(m.scipy.linalg.cho_factor(a, low), b) for low in (True, False)], (H[0], B[0])),
    "lu_solve": (lambda m, a, b: [m.scipy.linalg.lu_solve(m.scipy.linalg.lu_factor(a), b, t) for t in (0, 1, 2)], (A[0], B[0])),
    "solve_triangular": (lambda m, a, b: [m.scipy.linalg.solve_triangular(a, b, t, low) for t in "NTC" for low in (True, False)], (A[0], B[0])),
    "lu": (lambda m, a: list(m.scipy.linalg.lu(a)), (A[0],)),
    "inv": (lambda m, a: m.np.linalg.inv(a), (A,)),
    "det": (lambda m, a: [m.np.linalg.det(a), *m.np.linalg.slogdet(a)], (A,)),
    "eigvalsh": (lambda m, a: m.np.linalg.eigvalsh(a), (H,)),
    "eigh": (lambda m, a: (lambda w, v: [w, abs(v)])(*m.np.linalg.eigh(a)), (H,)),
    "svdvals": (lambda m, a: [m.np.linalg.svdvals(a), m.np.linalg.svd(a, full_matrices=False)[1]], (T,)),
    "svd, tall": (lambda m, a: (lambda u, s, v: [abs(u), s, abs(v), (u**2 * s) @ (v**2)])(*m.np.linalg.svd(a, False)), (T,)),
    "svd, wide": (lambda m, a: (lambda u, s, v: [abs(u), s, abs(v), (u * s) @ v])(*m.np.linalg.svd(a, False)), (W,)),
    "qr": (lambda m, a: [*m.np.linalg.qr(a), *m.np.linalg.qr(a, "complete")], (T,)),
    "qr, wide": (lambda m, a: list(m.np.linalg.qr(a)), (W,)),
    "pinv": (lambda m, a: m.np.linalg.pinv(a), (T,)),
    "polar": (lambda m, a: list(m.scipy.linalg.polar(a)), (T,)),
    "norms": (lambda m, a: [m.np.linalg.norm(a, o) for o in (None, 1, 2, -2, np.inf, "nuc")] + [m.np.linalg.norm(a, 3, axis=0)], (T,)),
    "lstsq": (lambda m, a, b: list(m.np.linalg.lstsq(a, b)[:2]), (T, normal(5, 2))),
    "matrix_power": (lambda m, a: m.np.linalg.matrix_power(a, -2), (A,)),
    "cond": (lambda m, a: m.np.linalg.cond(a), (A,)),
    "expm": (lambda m, a: m.scipy.linalg.expm(a), (A[0],)),
    "eigvals": (lambda m, a, r: [m.np.linalg.eigvals(a), m.np.linalg.eigvals(r)], (A, R)),
    "eigenvectors": (lambda m, a, r: [o**2 for x in (a, r) for o in m.lax.linalg.eig(x, enable_eigvec_derivs=True)], (A, R)),  # real vectors have either sign
    "left eigenvectors": (lambda m, a: m.lax.linalg.eig(a, compute_right_eigenvectors=False, enable_eigvec_derivs=True)[1], (A,)),
}  # fmt: skip
NOT_BACKWARDS = ("polar",)  # jax's is a loop
# jax has no derivatives of these, nor do we of the Schur form
FORMS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "qr_multiply": (lambda m, a, c: list(m.scipy.linalg.qr_multiply(a, c)), (T, W)),
    "qr_multiply, conjugate": (lambda m, a, c: list(m.scipy.linalg.qr_multiply(a, c, conjugate=True)), (T, W)),
    "schur, complex": (lambda m, a: [m.np.diag(m.scipy.linalg.schur(a, output="complex")[0])], (A[0],)),
    "rsf2csf": (lambda m, a: (lambda t, z: [z @ t @ z.conj().T, m.np.tril(t, -1)])(*m.scipy.linalg.rsf2csf(*m.scipy.linalg.schur(a))), (R[0],)),
    "sqrtm": (lambda m, a: m.scipy.linalg.sqrtm(a), (A[0],)),
    "sqrtm of a real matrix": (lambda m, a: m.scipy.linalg.sqrtm(a), (R[1],)),
    "funm": (lambda m, a: m.scipy.linalg.funm(a, lambda x: m.np.sin(x)), (A[0],)),
    "funm with its error": (lambda m, a: list(m.scipy.linalg.funm(a, m.np.exp, disp=False)), (R[0],)),
}  # fmt: skip


def outcomes(name: str, table: Any) -> tuple[Callable[..., Any], Callable[..., Any], list[Any], list[Any]]:
    call, args = table[name]
    narrow = [a.astype(np.complex64 if np.iscomplexobj(a) else np.float32) for a in args]
    ours = lambda *a: tuple(jax.tree.leaves(call(OURS, *a)))  # noqa: E731
    theirs = lambda *a: tuple(jax.tree.leaves(call(JAX, *map(jnp.asarray, a))))  # noqa: E731
    return ours, theirs, [anp.asarray(a) for a in narrow], narrow


def close(got: Any, want: Any, digits: float) -> None:
    assert len(got) == len(want)
    for i, (a, b) in enumerate(zip(got, want)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), i
        size = np.abs(np.asarray(b)).max(initial=1.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=digits * float(size), err_msg=str(i))


@pytest.mark.parametrize("name", [*CALLS, *FORMS])
def test_values(name: str) -> None:
    """Within 200 units of float32's last place of the greatest element."""
    ours, theirs, mine, its = outcomes(name, {**CALLS, **FORMS})
    want = of_jax(theirs, *its)
    close(ours(*mine), want, 2.4e-5)
    close(aj.jit(ours)(*mine), want, 2.4e-5)


@pytest.mark.parametrize("name", CALLS)
def test_derivatives(name: str) -> None:
    """jvp and vjp along random directions, within 2^-10 of the greatest element: some matrices have a condition of 100."""
    ours, theirs, mine, its = outcomes(name, CALLS)
    draw = lambda x: np.asarray(normal(*x.shape) if np.iscomplexobj(x) else np.real(normal(*x.shape))).astype(x.dtype)  # noqa: E731
    tangents = [draw(a) for a in its]
    if name.startswith(("cholesky", "cho_", "eigh")):  # of a triangle both take the rest from symmetry
        tangents[0] = (tangents[0] + tangents[0].conj().swapaxes(-1, -2)).astype(tangents[0].dtype)
    both = of_jax(lambda a, t: jax.jit(lambda a, t: jax.jvp(theirs, a, t))(a, t), its, tangents)
    outs, want = both[: len(both) // 2], both[len(both) // 2 :]
    close(aj.jvp(ours, mine, [anp.asarray(t) for t in tangents])[1], want, 1e-3)
    if name in NOT_BACKWARDS:
        return
    cts = tuple(draw(np.asarray(o)) for o in outs)
    back = [np.asarray(g) for g in of_jax(lambda a, c: jax.jit(lambda a, c: jax.vjp(theirs, *a)[1](c))(a, c), its, cts)]
    got = aj.vjp(ours, *mine)[1](tuple(map(anp.asarray, cts)))
    if name in ("cholesky of a triangle", "cho_solve"):  # jax before 0.12 spreads it over both triangles
        both_triangles = lambda g: g + g.conj().swapaxes(-1, -2)  # noqa: E731
        got, back = ((both_triangles(gs[0]), *gs[1:]) for gs in (got, back))
    close(got, back, 1e-3)


@pytest.mark.parametrize("x", [A, R, H], ids=["complex", "real", "hermitian"])
def test_factors_make_the_matrix(x: np.ndarray) -> None:
    x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
    near = lambda got: np.testing.assert_allclose(got, x, atol=3e-5 * np.abs(x).max())  # noqa: E731
    w, v = aj.jit(anp.linalg.eig)(x)
    np.testing.assert_allclose(x @ v, v * w[..., None, :], atol=3e-5 * np.abs(x).max())
    t, z = aj.jit(anejax.scipy.linalg.schur)(x)
    near(z @ t @ z.conj().mT)
    assert not np.tril(t, -1 if np.iscomplexobj(x) else -2).any()
    for one in t if not np.iscomplexobj(x) else ():  # blocks of 2 x 2 have two equal diagonal elements
        below = np.flatnonzero(np.diag(one, -1))
        np.testing.assert_allclose(np.diag(one)[below], np.diag(one)[below + 1], rtol=1e-6)
        assert (np.diag(one, -1)[below] * np.diag(one, 1)[below] < 0).all()
    u, s, vh = aj.jit(anp.linalg.svd)(x)
    near((u * s[..., None, :]) @ vh)
    root = aj.jit(anejax.scipy.linalg.sqrtm)(x)
    near(root @ root)


def test_hermitian_factors_make_the_matrix() -> None:
    x = H.astype(np.complex64)
    w, v = aj.jit(anp.linalg.eigh)(x)
    np.testing.assert_allclose((v * w[..., None, :]) @ v.conj().mT, x, atol=3e-5 * np.abs(x).max())
    factor = aj.jit(anp.linalg.cholesky)(x)
    np.testing.assert_allclose(factor @ factor.conj().mT, x, atol=3e-5 * np.abs(x).max())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite(bad: float) -> None:
    """NaN for that matrix of the batch alone, in both parts; LAPACK might not return otherwise."""
    x = np.stack([np.eye(3), np.full((3, 3), bad)]).astype(np.complex64)
    for function in (anp.linalg.eigvals, anp.linalg.eigvalsh, anp.linalg.svdvals,
                     lambda a: anejax.scipy.linalg.schur(a)[0]):  # fmt: skip
        out = np.asarray(aj.jit(function)(x))
        assert np.isfinite(out[0]).all() and np.isnan(out[1].real).any(), function


def test_roots_that_do_not_exist_and_those_of_nothing() -> None:
    """A nilpotent matrix has no root; the zero matrix has itself, as in jax."""
    sqrtm = aj.jit(anejax.scipy.linalg.sqrtm)
    assert abs(np.asarray(sqrtm(np.array([[0.0, 1.0], [0.0, 0.0]], np.float32)))).max() > 1e37
    np.testing.assert_array_equal(sqrtm(np.zeros((3, 3), np.float32)), np.zeros((3, 3)))
    assert sqrtm(np.zeros((0, 0), np.float32)).shape == (0, 0)
