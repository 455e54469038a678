"""The QR factorization as Householder reflections, in the form of LAPACK's geqrf."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax.api.control import fori_loop
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import zeros
from anejax.numpy.selection import where
from anejax.numpy.shaping import swapaxes
from anejax.ops import shape


@one_program
def reflections(a: Any) -> tuple[Array, Array]:
    """(h [..., n, m], tau [..., k]) of matrices [..., m, n], k = min(m, n): the reflections that make R of ``a``.

    The i-th is ``I - tau[i] v v^H``; v is 0 before its element i, 1 there, and ``h[i, i + 1:]`` behind. R is in the
    lower triangle of h, the diagonal included. Source: LAPACK's geqr2 and larfg.
    """
    *lead, m, n = a.shape
    taus = zeros((*lead, min(m, n)), a.dtype)
    rows, columns = shape.iota(np.int32, m), shape.iota(np.int32, n)

    def reflect(j: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        a, taus = state
        x = a[..., j]
        v, tau, beta = _reflection(x, x[..., j], rows, j)
        products = red.sum(ew.conj(v)[..., None] * a, -2)
        changed = a - (ew.conj(tau)[..., None] * v)[..., None] * products[..., None, :]
        column = where(rows < j, x, where(rows == j, beta[..., None], v))
        a = where(columns > j, changed, where(columns == j, column[..., None], a))
        return a, taus.at[..., j].set(tau)

    a, taus = fori_loop(0, min(m, n), reflect, (a, taus)) if a.size else (a, taus)
    return swapaxes(a, -1, -2), taus


def _reflection(x: Any, alpha: Any, rows: Any, j: Any) -> tuple[Any, Any, Any]:
    """(v, tau, beta) of the reflection that takes ``x``, of which ``alpha`` is element j, to beta at j and 0 behind."""
    tail = where(rows > j, x, np.zeros((), x.dtype))
    scale = ew.maximum(red.max(ew.abs(tail), -1), ew.abs(alpha))
    scale = where(scale == 0, np.ones((), scale.dtype), scale)  # the squared numbers are at most 1
    length = scale * ew.sqrt(ew.abs(alpha / scale) ** 2 + red.sum(ew.abs(tail / scale[..., None]) ** 2, -1))
    as_it_is = ew.logical_and(red.all(tail == 0, -1), alpha.imag == 0)
    beta = where(as_it_is, alpha, where(alpha.real < 0, length, -length).astype(x.dtype))
    divisor = where(as_it_is, np.ones((), x.dtype), beta)
    tau = where(as_it_is, np.zeros((), x.dtype), (beta - alpha) / divisor)
    v = tail / where(as_it_is, np.ones((), x.dtype), alpha - beta)[..., None]
    return where(rows == j, np.ones((), x.dtype), v), tau, beta
