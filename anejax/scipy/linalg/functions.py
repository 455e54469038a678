"""The matrix exponential, its derivative, and Sylvester's equation."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.api.autodiff import jvp
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy.linalg.spectral import matrices
from anejax.numpy.operands import promote_inexact

# Higham 2005, "The scaling and squaring method for the matrix exponential revisited": by bytes of an element, the
# degree of the diagonal Pade approximant and the greatest 1-norm for which it is exact to rounding.
_PADE = {8: (13, 5.371920351148152), 4: (7, 3.925724783138660)}


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponentials of square matrices [..., n, n], by scaling, a Pade approximant and squaring (Higham 2005).

    NaN where more than ``max_squarings`` squarings are needed. ``upper_triangular`` is accepted for compatibility.
    """
    return _expm(matrices("expm", A, True), max_squarings=max_squarings)


@one_program(static_argnames=("max_squarings",))
def _expm(x: Any, *, max_squarings: int) -> Array:
    degree, theta = _PADE[8 if x.dtype == dtypes.float64 else 4]
    size = jnp.linalg.norm(x, 1, axis=(-2, -1)) if x.size else jnp.zeros(x.shape[:-2], x.dtype)
    wanted = jnp.ceil(jnp.log2(jnp.maximum(size / theta, 1e-30)))
    squarings = jnp.where(jnp.isfinite(size), jnp.clip(wanted, 0, max_squarings), 0)
    out = _pade(x / jnp.exp2(squarings)[..., None, None].astype(x.dtype), degree)
    for i in range(max_squarings):
        out = jnp.where((squarings > i)[..., None, None], out @ out, out)
    return jnp.where((wanted > max_squarings)[..., None, None], np.nan, out)


def _pade(x: Any, degree: int) -> Any:
    """The diagonal approximant (V - U)^-1 (V + U) of odd degree: V has the even powers, U the odd ones."""
    c = [1.0]
    for j in range(1, degree + 1):
        c.append(c[-1] * (degree + 1 - j) / (j * (2 * degree + 1 - j)))
    square, eye = x @ x, jnp.eye(x.shape[-1], dtype=x.dtype)
    even, odd = c[-2] * eye, c[-1] * eye
    for j in range(degree - 2, 0, -2):
        even, odd = even @ square + c[j - 1] * eye, odd @ square + c[j] * eye
    u = x @ odd
    return jnp.linalg.solve(even - u, even + u)


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """(exp(``A``), its derivative in the direction ``E``), of square matrices; the derivative alone if asked.

    ``method`` is accepted for compatibility.
    """
    if method not in (None, "SPS", "blockEnlarge"):
        raise ValueError(f"[expm_frechet] expected the method None, 'SPS' or 'blockEnlarge', got {method!r}.")
    a, e = promote_inexact("expm_frechet", A, E)
    x, direction = matrices("expm_frechet", a, True), matrices("expm_frechet", e, True)
    if x.shape != direction.shape:
        raise ShapeError(f"[expm_frechet] expected A and E of one shape, got {x.aval} and {direction.aval}.")
    value, derivative = jvp(expm, (x,), (direction,))
    return (value, derivative) if compute_expm else derivative


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Array:
    """The X with ``A`` X + X ``B`` = ``C``, for A [..., m, m], B [..., n, n] and C [..., m, n].

    It is one system of m n equations, solved by LU: O((m n)^3) operations and (m n)^2 numbers of memory, where jax's
    methods, which need complex Schur forms, take O(m^3 + n^3). Infinite or NaN where an eigenvalue of A is the negative
    of one of B.

    ``method`` ("schur" or "eigen") and ``tol`` are accepted for compatibility.
    """
    if method not in ("schur", "eigen"):
        raise ValueError(f"[solve_sylvester] expected the method 'schur' or 'eigen', got {method!r}.")
    promoted = promote_inexact("solve_sylvester", A, B, C)
    a, b = (matrices("solve_sylvester", v, True) for v in promoted[:2])
    c = matrices("solve_sylvester", promoted[2])
    m, n = c.shape[-2:]
    if a.shape[-1] != m or b.shape[-1] != n:
        raise ShapeError(
            f"[solve_sylvester] expected A [m, m], B [n, n] and C [m, n], got {a.aval}, {b.aval}, {c.aval}."
        )
    # row by row, X is a vector x: (A (x) 1 + 1 (x) B^T) x = c
    first = a[..., :, None, :, None] * jnp.eye(n, dtype=a.dtype)[:, None, :]
    second = jnp.eye(m, dtype=a.dtype)[:, None, :, None] * b.mT[..., None, :, None, :]
    system = first + second
    lead = jnp.broadcast_shapes(system.shape[:-4], c.shape[:-2])
    system = jnp.broadcast_to(system.reshape(*system.shape[:-4], m * n, m * n), (*lead, m * n, m * n))
    c = jnp.broadcast_to(c, (*lead, m, n))
    return jnp.linalg.solve(system, c.reshape(*lead, m * n, 1)).reshape(*lead, m, n)
