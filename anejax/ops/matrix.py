"""Small functions of matrices [..., m, n] that the rules of linear algebra share."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.ops.arithmetic import add, eq, ge, mul, select_n
from anejax.ops.complex import conj, real
from anejax.ops.families import zeros
from anejax.ops.linear import dot_general
from anejax.ops.reduce import reduce_sum
from anejax.ops.shape import as_dtype, broadcast_in_dim, broadcasted_iota, transpose


def mT(x: Any) -> Any:
    """``x`` with its last two axes exchanged."""
    rank = aval_of(x).ndim
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def mH(x: Any) -> Any:
    """The conjugate transpose; of real matrices the transpose."""
    return mT(conjugate(x))


def conjugate(x: Any) -> Any:
    """``conj`` that leaves real arrays as they are."""
    return conj(x) if aval_of(x).dtype in dtypes.COMPLEX else x


def real_of(x: Any) -> Any:
    """``real`` that leaves real arrays as they are."""
    return real(x) if aval_of(x).dtype in dtypes.COMPLEX else x


def mm(x: Any, y: Any) -> Any:
    """The matrix products of two arrays with equal leading axes."""
    rank = aval_of(x).ndim
    lead = tuple(range(rank - 2))
    return dot_general(x, y, (((rank - 1,), (rank - 2,)), (lead, lead)))


def places(x: Any) -> tuple[Any, Any]:
    """The row and the column of each element."""
    shape = aval_of(x).shape
    return tuple(broadcasted_iota(np.int32, shape, len(shape) - back) for back in (2, 1))


def tril(x: Any, k: int = 0) -> Any:
    """``x`` with zeros above its ``k``-th diagonal."""
    rows, columns = places(x)
    return select_n(ge(add(rows, k), columns), zeros(aval_of(x).strong()), x)


def triu(x: Any, k: int = 0) -> Any:
    """``x`` with zeros below its ``k``-th diagonal."""
    rows, columns = places(x)
    return select_n(ge(columns, add(rows, k)), zeros(aval_of(x).strong()), x)


def eye_like(x: Any) -> Any:
    """Ones on the diagonal of matrices like ``x``, zeros elsewhere."""
    return as_dtype(eq(*places(x)), aval_of(x).dtype)


def diagonal(x: Any) -> Any:
    """The diagonals of square matrices."""
    return reduce_sum(select_n(eq(*places(x)), zeros(aval_of(x)), x), (aval_of(x).ndim - 1,))


def along_rows(s: Any, shape: tuple[int, ...]) -> Any:
    """Vectors [..., n] as matrices of ``shape`` whose every row is one of them."""
    return broadcast_in_dim(s, shape, (*range(len(shape) - 2), len(shape) - 1))


def along_columns(s: Any, shape: tuple[int, ...]) -> Any:
    """Vectors [..., m] as matrices of ``shape`` whose every column is one of them."""
    return broadcast_in_dim(s, shape, tuple(range(len(shape) - 1)))


def symmetrize(x: Any) -> Any:
    """The symmetric (Hermitian) part of square matrices."""
    return mul(add(x, mH(x)), 0.5)


def from_lower(x: Any) -> Any:
    """The symmetric (Hermitian) matrices that have the lower triangles of ``x``, of the diagonal the real part."""
    low = tril(x, -1)
    return select_n(eq(*places(x)), add(low, mH(low)), as_dtype(real_of(x), aval_of(x).dtype))
