"""The Schur form of general matrices, and functions of matrices that use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.api.control import fori_loop
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.linalg.spectral import matrices
from anejax.ops import eigen, linalg
from anejax.ops.matrix import mH


def _complex(x: Any) -> Any:
    return x.astype(dtypes.complex_of(x.dtype))


def schur(a: Any, output: str = "real") -> tuple[Array, Array]:
    """(T, Z) with Z T Z^H = ``a`` and Z unitary, of square matrices [..., n, n].

    For the output "real" T and Z are as ``a`` is, real or complex: where it is real, conjugate pairs of eigenvalues are
    blocks of 2 x 2 on T's diagonal. For "complex" T is upper triangular. Neither has derivatives.
    """
    if output not in ("real", "complex"):
        raise ValueError(f"[schur] expected the output 'real' or 'complex', got {output!r}.")
    x = matrices("schur", a, True)
    t, z = eigen.schur(_complex(x) if output == "complex" else x)
    return t, z


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """The complex Schur form (T, Z) from the real one ``T``, ``Z`` [..., n, n].

    Each block of 2 x 2 is rotated so that one of its eigenvectors comes first. ``check_finite`` is accepted for
    compatibility.
    """
    t, z = matrices("rsf2csf", T, True), matrices("rsf2csf", Z, True)
    if t.shape[-1] != z.shape[-1]:
        raise ShapeError(f"[rsf2csf] expected T and Z with as many rows, got {t.aval} and {z.aval}.")
    dtype = dtypes.complex_of(jnp.promote_types(t.dtype, z.dtype))
    return _complex_form(t.astype(dtype), z.astype(dtype))


@one_program
def _complex_form(t: Any, z: Any) -> tuple[Array, Array]:
    return jnp.vectorize(_to_complex, signature="(n,n),(n,n)->(n,n),(n,n)")(t, z)


def _to_complex(t: Any, z: Any) -> tuple[Any, Any]:
    n = t.shape[-1]

    def rotate(i: Any, state: Any) -> Any:
        t, z = state
        block = jnp.array([[t[i, i], t[i, i + 1]], [t[i + 1, i], t[i + 1, i + 1]]])
        turn = _to_triangle(block)
        rows = jnp.stack([i, i + 1])
        t = t.at[rows].set(turn @ t[rows])
        t = t.at[:, rows].set(t[:, rows] @ mH(turn)).at[i + 1, i].set(0)
        return t, z.at[:, rows].set(z[:, rows] @ mH(turn))

    return fori_loop(0, n - 1, rotate, (t, z)) if n > 1 else (t, z)


def _to_triangle(block: Any) -> Any:
    """The unitary G that makes G ``block`` G^H upper triangular; 1 where the block is so already."""
    (a, b), (c, d) = block
    half = (a - d) / 2
    first = half + jnp.sqrt(half * half + b * c)  # an eigenvalue less d; (first, c) is its vector
    length = jnp.hypot(abs(first), abs(c))
    eps = float(dtypes.finfo(block.dtype).eps)
    done = (abs(c) <= eps * (abs(a) + abs(d))) | (length == 0)
    first, second = jnp.where(done, 1, first / length), jnp.where(done, 0, c / length)
    return jnp.array([[first.conj(), second.conj()], [-second, first]])


def _triangular(x: Any) -> tuple[Any, Any]:
    """The complex Schur form of ``x``, from the real one where ``x`` is real.

    Real eigenvalues stay real there, so the side of a branch cut that a negative one lies on is not left to rounding.
    """
    t, z = eigen.schur(x)
    if x.dtype in dtypes.COMPLEX:
        return t, z
    t, z = rsf2csf(t, z)
    return jnp.where(t.imag == 0, t.real.astype(t.dtype), t), z  # +0, the upper side


def sqrtm(A: Any, blocksize: int = 1) -> Array:
    """The principal square roots, complex, of square matrices [..., n, n]: by the complex Schur form, column by column.

    Bjoerck and Hammarling 1983, "A Schur method for the square root of a matrix". ``blocksize``: 1 alone.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.scipy.linalg import sqrtm
        >>> sqrtm(jnp.array([[4.0, 0.0], [0.0, 9.0]])).real
        Array([[2., 0.],
               [0., 3.]], dtype=float32)
    """
    if blocksize > 1:
        raise RefusedError("[sqrtm] blocks are not supported. Leave blocksize at 1.")
    return _root(matrices("sqrtm", A, True))


@one_program
def _root(x: Any) -> Array:
    t, z = _triangular(x)
    return z @ jnp.vectorize(_triangular_root, signature="(n,n)->(n,n)")(t) @ mH(z)


def _triangular_root(t: Any) -> Any:
    """Column j of R solves (R' + r_jj) x = t_j above the diagonal, where R' is the known part of R."""
    n, values = t.shape[-1], jnp.sqrt(jnp.diagonal(t))
    tiny = float(dtypes.finfo(t.dtype).tiny)  # if no root exists, the quotient is huge; 0 / 0 is 0

    def column(j: Any, root: Any) -> Any:
        above = jnp.arange(n) < j
        sums = values + values[j]
        known = jnp.where(above[:, None] & above, jnp.triu(root, 1), 0)
        system = known + jnp.diag(jnp.where(above & (sums != 0), sums, jnp.where(above, tiny, 1)))
        x = linalg.triangular_solve(system, jnp.where(above, t[:, j], 0)[:, None], left_side=True)
        return root.at[:, j].add(jnp.where(above, x[:, 0], 0))

    return fori_loop(0, n, column, jnp.diag(values)) if n else t


def funm(A: Any, func: Callable[[Any], Any], disp: bool = True) -> Any:
    """``func``, elementwise and analytic, as a function of the square matrix ``A`` [n, n], by Parlett's recurrence.

    The result is complex. If eigenvalues coincide or nearly do, the recurrence loses digits: for exponentials
    and roots use ``expm`` and ``sqrtm``.

    Returns:
        The value, and without ``disp`` (value, an estimate of the error in the 1-norm).
    """
    x = matrices("funm", A, True)
    if x.ndim != 2:
        raise ShapeError(f"[funm] expected one square matrix [n, n], got {x.aval}. Use vmap for many.")
    t, z = _triangular(x)
    values, least = _parlett(t, jnp.asarray(func(jnp.diagonal(t))).astype(t.dtype))
    out = z @ values @ mH(z)
    if disp:
        return out
    eps = float(dtypes.finfo(t.dtype).eps)
    spread = eps / jnp.where(least == 0, eps, least) * jnp.linalg.norm(jnp.triu(t, 1), 1)
    return out, jnp.where(jnp.any(jnp.isinf(out)), np.inf, jnp.minimum(1, jnp.maximum(eps, spread)))


def _parlett(t: Any, values: Any) -> tuple[Any, Any]:
    """f(T) for the triangular ``t`` and f of its diagonal, and the least difference of eigenvalues.

    From f(T) T = T f(T); Golub and Van Loan, "Matrix Computations", algorithm 9.1.1.
    """
    n = t.shape[-1]
    places = jnp.arange(n)

    def column(j: Any, state: Any) -> Any:
        def element(back: Any, state: Any) -> Any:
            f, least = state
            i = j - 1 - back
            inside = (places > i) & (places < j)
            gap = t[j, j] - t[i, i]
            total = t[i, j] * (f[j, j] - f[i, i])
            total = total + jnp.sum(jnp.where(inside, t[i] * f[:, j] - f[i] * t[:, j], 0))
            value = total / jnp.where(gap == 0, 1, gap)
            return f.at[i, j].set(value), jnp.minimum(least, abs(gap))

        return fori_loop(0, j, element, state)

    least = jnp.asarray(np.inf, dtypes.real_part(t.dtype))
    return fori_loop(0, n, column, (jnp.diag(values), least)) if n else (t, least)
