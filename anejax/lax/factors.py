"""Functions of jax.lax.linalg that combine others: QR with pivoting, triangular systems of one vector."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.api.batching import vmap
from anejax.api.control import scan
from anejax.api.custom import stop_gradient
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.ops import linalg


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """The solution X of op(a) X = ``b`` (``left_side``) or X op(a) = ``b``, for triangular ``a``.

    Args:
        a: [..., n, n]; only its ``lower`` or upper triangle is read, without the diagonal when ``unit_diagonal``.
        b: [..., n, k] with ``left_side``, else [..., k, n], of a's leading axes and dtype; or a vector for each matrix.
        transpose_a: op(a) is the transpose.
        conjugate_a: ``a`` is conjugated too.
    """
    vectors = aval_of(b).ndim == aval_of(a).ndim - 1
    axis = -1 if left_side else -2
    out = linalg.triangular_solve(
        a, jnp.expand_dims(b, axis) if vectors else b, left_side=left_side, lower=lower, transpose_a=transpose_a,
        conjugate_a=conjugate_a, unit_diagonal=unit_diagonal,
    )  # fmt: skip
    return jnp.squeeze(out, axis) if vectors else out


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None) -> tuple[Any, ...]:
    """(q, r) with q r = ``x``, q orthogonal (unitary) and r upper triangular, of matrices [..., m, n].

    Returns:
        q [..., m, m] and r [..., m, n]; without ``full_matrices`` [..., m, k] and [..., k, n], k = min(m, n). With
        ``pivoting`` the columns p, int32 [..., n], follow: q r = x[..., p], where the diagonal of r falls in size.
    """
    if not pivoting:
        return linalg.qr(x, full_matrices=full_matrices)
    x = jnp.asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"[qr] expected matrices [..., m, n], got {x.aval}.")
    order = _columns
    for _ in range(x.ndim - 2):
        order = vmap(order)
    columns = order(stop_gradient(x))
    return *linalg.qr(jnp.take_along_axis(x, columns[..., None, :], -1), full_matrices=full_matrices), columns


def _columns(x: Any) -> Any:
    """The order in which columns are taken: each time that with the most left, once the ones before are projected out.

    The exchange of columns is LAPACK's (geqp3), so that equal norms give the same order.
    """
    n, places = x.shape[1], jnp.arange(x.shape[1], dtype=dtypes.int32)

    def step(carry: Any, turn: Any) -> Any:
        left, order = carry
        sizes = jnp.sum(jnp.real(left * left.conj()), 0)
        best = jnp.argmax(jnp.where(places < turn, -1, sizes))
        swapped = jnp.where(places == turn, best, jnp.where(places == best, turn, places))
        left, order, size = left[:, swapped], order[swapped], jnp.sqrt(sizes[best])
        unit = left[:, turn] / jnp.where(size == 0, 1, size).astype(x.dtype)
        for _ in range(2):  # a second time for the rest that rounding leaves
            left = left - unit[:, None] * (unit.conj() @ left)[None]
        return (left, order), None

    return scan(step, (x, places), np.arange(min(x.shape[0], n), dtype=np.int32))[0][1]
