"""Sums of exponentials, softmax and logarithms of them, without overflow."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.api.composites import composed
from anejax.api.custom import custom_jvp
from anejax.core.trace import aval_of
from anejax.numpy.operands import as_array, inexact, promote_inexact
from anejax.ops.families import check_domain
from anejax.typing import Array, ArrayLike


def as_float(op: str, x: Any) -> Array:
    """``x`` as a float array; integers become floats as they do in promotion."""
    x = as_array(op, x)
    return x if dtypes.is_float(x.dtype) else x.astype(inexact(x.dtype))


def log1mexp(x: ArrayLike) -> Array:
    """``log(1 - exp(-x))`` for x > 0, exact near 0 and far from it."""
    (y,) = promote_inexact("log1mexp", as_array("log1mexp", x))
    near = y < math.log(2)
    return jnp.where(near, jnp.log(-jnp.expm1(-jnp.where(near, y, 1))), jnp.log1p(-jnp.exp(-jnp.where(near, 1, y))))


@overload
def logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    where: ArrayLike | None = None,
) -> Array: ...
@overload
def logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    where: ArrayLike | None = None,
) -> tuple[Array, Array]: ...
def logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """log(sum(b * exp(a))), without overflow; with ``return_sign`` (log of the absolute value, sign)."""
    x = as_float("logsumexp", a)
    if where is not None:
        check_domain("logsumexp", aval_of(where), (dtypes.bool_,))
        x = jnp.where(where, x, -jnp.inf)
    if b is not None:
        b = as_float("logsumexp", b)
    counted = x if b is None else jnp.where(b != 0, x, -jnp.inf)
    top = jnp.max(counted, axis=axis, keepdims=True, initial=-jnp.inf)
    top = lax.stop_gradient(jnp.where(jnp.isfinite(top), top, jnp.zeros_like(top)))
    shifted = x - top
    if b is not None:  # a term times 0 is 0 and has a derivative in b; it must not be infinite
        shifted = jnp.where(b != 0, shifted, jnp.minimum(shifted, np.log(float(dtypes.finfo(x.dtype).max)) - 1))
    terms = jnp.exp(shifted)
    total = jnp.sum(terms if b is None else b * terms, axis=axis, keepdims=keepdims)
    sign = jnp.sign(total) if return_sign or b is not None else None
    size = jnp.abs(total) if return_sign else total
    if b is None:  # if all elements are -inf, the result is -inf, and derivatives are 0 instead of 0 / 0
        out = jnp.where(size == 0, -jnp.inf, jnp.log(jnp.where(size == 0, 1, size)))
    else:
        out = jnp.log(size)
    out = out + (top if keepdims else jnp.squeeze(top, axis))
    return (out, sign) if return_sign else out


def logmeanexp(
    x: ArrayLike, axis: int | Sequence[int] | None = None, where: ArrayLike | None = None, keepdims: bool = False
) -> Array:
    """log(mean(exp(x))), without overflow."""
    x = as_float("logmeanexp", x)
    counted = jnp.ones_like(x) if where is None else jnp.broadcast_to(where, x.shape).astype(x.dtype)
    return logsumexp(x, axis, where=where, keepdims=keepdims) - jnp.log(jnp.sum(counted, axis, keepdims=keepdims))


def _shifted(x: Any, axis: Any, where: Any) -> Any:
    """``x`` less its maximum; -inf where it is masked."""
    top = jnp.max(x, axis, keepdims=True, initial=-jnp.inf, where=where)
    return (x if where is None else jnp.where(where, x, -jnp.inf)) - lax.stop_gradient(top)


def log_softmax(x: ArrayLike, axis: int | Sequence[int] | None = -1, where: ArrayLike | None = None) -> Array:
    """log(softmax(x)), without overflow."""
    return _rowwise(_log_softmax, "anejax.nn.log_softmax", as_float("log_softmax", x), axis, where)


def _rowwise(fun: Any, name: str, x: Any, axis: Any, where: Any) -> Any:
    """``fun`` along one axis, as a composite where nothing is masked."""
    if where is not None or not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
        return fun(x, axis, where)
    return composed(functools.partial(fun, where=None), name, x, batched=1, axis=axis % x.ndim - x.ndim)


def _log_softmax(x: Any, axis: Any, where: Any) -> Any:
    shifted = _shifted(x, axis, where)
    out = shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True, where=where))
    return out if where is None else jnp.where(where, out, -jnp.inf)


def softmax(x: ArrayLike, axis: int | Sequence[int] | None = -1, where: ArrayLike | None = None) -> Array:
    """exp(x), scaled to sum to 1 along ``axis``; 0 where ``where`` is False.

    Example:
        >>> from anejax import nn
        >>> nn.softmax(nn.one_hot(0, 2) * 0)
        Array([0.5, 0.5], dtype=float32)
    """
    return _softmax(as_float("softmax", x), tuple(axis) if isinstance(axis, list) else axis, where)


def _softmax_of(x: Any, axis: Any, where: Any) -> Any:
    return _rowwise(_terms_by_sum, "anejax.nn.softmax", x, axis, where)


def _terms_by_sum(x: Any, axis: Any, where: Any) -> Any:
    terms = jnp.exp(_shifted(x, axis, where))
    out = terms / jnp.sum(terms, axis, keepdims=True, where=where)
    return out if where is None else jnp.where(where, out, 0)


_softmax = custom_jvp(_softmax_of, nondiff_argnums=(1,))


@_softmax.defjvp
def _softmax_jvp(axis: Any, primals: Any, tangents: Any) -> Any:
    (x, where), (t, _) = primals, tangents
    y = _softmax(x, axis, where)
    return y, y * (t - jnp.sum(y * t, axis, keepdims=True, where=where))
