"""Activation functions and other functions of networks, as ``jax.nn`` has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.api.composites import composed
from anejax.api.custom import custom_jvp
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.lax.special.exponentials import as_float
from anejax.lax.special.exponentials import log1mexp as log1mexp
from anejax.lax.special.exponentials import log_softmax as log_softmax
from anejax.lax.special.exponentials import logmeanexp as logmeanexp
from anejax.lax.special.exponentials import logsumexp as logsumexp
from anejax.lax.special.exponentials import softmax as softmax
from anejax.numpy.operands import as_array, promote_inexact
from anejax.ops.families import check_domain
from anejax.typing import Array, ArrayLike, DTypeLike

# --- rectifiers and their smooth relatives ----------------------------------------------------------------------


@custom_jvp
def relu(x: ArrayLike) -> Array:
    """max(x, 0); its derivative at 0 is 0.

    Example:
        >>> from anejax import nn
        >>> float(nn.relu(-2.0))
        0.0
    """
    return jnp.maximum(x, 0)


@relu.defjvp
def _relu_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return relu(x), jnp.where(x > 0, t, jnp.zeros_like(t))


@custom_jvp
def relu6(x: ArrayLike) -> Array:
    """min(max(x, 0), 6); its derivative at 0 and 6 is 0."""
    return jnp.minimum(jnp.maximum(x, 0), 6.0)


@relu6.defjvp
def _relu6_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return relu6(x), jnp.where((x > 0) & (x < 6), t, jnp.zeros_like(t))


def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 0.01) -> Array:
    """x where positive, negative_slope * x elsewhere."""
    x = as_array("leaky_relu", x)
    return jnp.where(x >= 0, x, negative_slope * x)


def elu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    x = as_array("elu", x)
    positive = x > 0
    return jnp.where(positive, x, alpha * jnp.expm1(jnp.where(positive, 0.0, x)))


def selu(x: ArrayLike) -> Array:
    """The self-normalising elu."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def celu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)."""
    return jnp.maximum(x, 0.0) + alpha * jnp.expm1(jnp.minimum(x, 0.0) / alpha)


def gelu(x: ArrayLike, approximate: bool = True) -> Array:
    """x times the normal distribution function of x; by default its approximation with tanh."""
    return composed(_gelu, "anejax.nn.gelu", as_float("gelu", x), batched=1, approximate=bool(approximate))


def _gelu(x: Any, approximate: bool) -> Any:
    if approximate:
        slope = np.asarray(math.sqrt(2 / math.pi), x.dtype)
        return x * (0.5 * (1.0 + jnp.tanh(slope * (x + 0.044715 * x**3))))
    return 0.5 * x * lax.erfc(-x * np.asarray(math.sqrt(0.5), x.dtype))


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x))."""
    x = as_array("sigmoid", x)
    check_domain("sigmoid", x.aval, dtypes.INEXACT)
    return lax.logistic(x)


def silu(x: ArrayLike) -> Array:
    """x * sigmoid(x), also called swish."""
    x = as_array("silu", x)
    check_domain("silu", x.aval, dtypes.INEXACT)
    return composed(lambda v: v * sigmoid(v), "anejax.nn.silu", x, batched=1)


swish = silu


def softplus(x: ArrayLike) -> Array:
    """log(1 + exp(x))."""
    x, _ = promote_inexact("softplus", x, 0)  # as in logaddexp(x, 0), weak types stay weak
    return jnp.logaddexp(x, 0) if aval_of(x).dtype in dtypes.COMPLEX else _softplus(x)


@custom_jvp
def _softplus(x: Any) -> Any:
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@_softplus.defjvp
def _softplus_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _softplus(x), t * lax.logistic(x)


def log_sigmoid(x: ArrayLike) -> Array:
    """log(sigmoid(x)), without overflow."""
    return -softplus(-as_array("log_sigmoid", x))


def mish(x: ArrayLike) -> Array:
    """x * tanh(softplus(x))."""
    x = as_array("mish", x)
    return x * jnp.tanh(softplus(x))


def squareplus(x: ArrayLike, b: ArrayLike = 4) -> Array:
    """(x + sqrt(x**2 + b)) / 2."""
    x = as_array("squareplus", x)
    return (x + jnp.sqrt(jnp.square(x) + b)) / 2


def soft_sign(x: ArrayLike) -> Array:
    """x / (|x| + 1)."""
    x = as_array("soft_sign", x)
    return x / (jnp.abs(x) + 1)


def sparse_plus(x: ArrayLike) -> Array:
    """0 up to -1, x from 1 on, a parabola between them."""
    x = as_array("sparse_plus", x)
    return jnp.where(x <= -1.0, 0.0, jnp.where(x >= 1.0, x, (x + 1.0) ** 2 / 4))


def sparse_sigmoid(x: ArrayLike) -> Array:
    """(x + 1) / 2, kept within 0 and 1."""
    return 0.5 * jnp.clip(as_array("sparse_sigmoid", x) + 1.0, 0.0, 2.0)


def hard_tanh(x: ArrayLike) -> Array:
    """x, kept within -1 and 1."""
    x = as_array("hard_tanh", x)
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


def hard_sigmoid(x: ArrayLike) -> Array:
    """relu6(x + 3) / 6."""
    return relu6(as_array("hard_sigmoid", x) + 3.0) / 6.0


def hard_silu(x: ArrayLike) -> Array:
    """x * hard_sigmoid(x), also called hard swish."""
    x = as_array("hard_silu", x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def tanh(x: ArrayLike) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


def identity(x: ArrayLike) -> Array:
    """x."""
    return as_array("identity", x)


def glu(x: ArrayLike, axis: int = -1) -> Array:
    """The first half of ``axis`` times the sigmoid of the second."""
    x = jnp.asarray(x)
    if x.shape[axis] % 2:
        raise ShapeError(f"[glu] expected an even size along axis {axis}, got {x.aval}.")
    first, second = jnp.split(x, 2, axis)
    return first * sigmoid(second)


# --- along an axis ----------------------------------------------------------------------------------------------


def standardize(
    x: ArrayLike,
    axis: int | Sequence[int] | None = -1,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    epsilon: ArrayLike = 1e-5,
    where: ArrayLike | None = None,
) -> Array:
    """``x`` moved and scaled to mean 0 and variance 1 along ``axis``."""
    x = as_array("standardize", x)
    if x.dtype in dtypes.COMPLEX:
        raise DtypeError(f"[standardize] expected real numbers, got {aval_of(x)}: the square of one may be negative.")
    if mean is None:
        mean = jnp.mean(x, axis, keepdims=True, where=where)
    spread: Any = variance
    if variance is None:
        spread = jnp.maximum(jnp.mean(jnp.square(x), axis, keepdims=True, where=where) - jnp.square(mean), 0)
    return (x - mean) * lax.rsqrt(spread + epsilon)


def one_hot(x: ArrayLike, num_classes: int, *, dtype: DTypeLike | None = None, axis: int = -1) -> Array:
    """1 at the index that ``x`` holds and 0 elsewhere, along a new axis; all 0 when the index is out of range.

    Example:
        >>> from anejax import nn
        >>> nn.one_hot(1, 3)
        Array([0., 1., 0.], dtype=float32)
    """
    index = jnp.asarray(x)
    dtype = dtypes.canonical(dtypes.float64 if dtype is None else dtype)
    rank = index.ndim + 1
    if not -rank <= axis < rank:
        raise ShapeError(f"[one_hot] expected an axis of the {rank} of the result, got {axis}.")
    if index.dtype in dtypes.INTS and index.dtype.itemsize < 4:  # there may be more classes than it counts
        index = index.astype(np.int32)
    shape = [num_classes if i == axis % rank else 1 for i in range(rank)]
    classes = lax.broadcasted_iota(index.dtype, shape, axis % rank)
    return (jnp.expand_dims(index, axis) == classes).astype(dtype)


# --- attention --------------------------------------------------------------------------------------------------


def dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    bias: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: ArrayLike | None = None,
    key_value_seq_lengths: ArrayLike | None = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """softmax(query key^T * scale + bias) value, per head: [B, T, N, H] of query, [B, S, K, H] of key and value.

    K divides N: each head of key and value serves N / K heads of query. ``bias`` and ``mask`` broadcast to
    [B, N, T, S]; positions where ``mask`` is False take no part. ``implementation`` is None or "xla", which mean the
    same here. With ``return_residual`` the result is (attention, the logarithms of the sums of exponentials [B, T, N]).
    """
    if implementation not in (None, "xla"):
        raise ValueError(f"[dot_product_attention] expected implementation None or 'xla', got {implementation!r}.")
    q, k, v = jnp.asarray(query), jnp.asarray(key), jnp.asarray(value)
    shape = q.shape
    if q.ndim == 3:
        q, k, v = q[None], k[None], v[None]
    _check_attention(q, k, v)
    time, length = q.shape[1], k.shape[1]
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    seen = _attention_mask(time, length, mask, is_causal, query_seq_lengths, key_value_seq_lengths, local_window_size)
    if not isinstance(scale, (int, float)) or any(x.dtype != q.dtype for x in (k, v)):
        out = _attended(q, k, v, bias, seen, scale=scale)
    else:
        name, marks = "anejax.nn.dot_product_attention", {"biased": bias is not None, "masked": seen is not None}
        out = composed(_attended, name, q, k, v, bias, seen, batched=3, scale=float(scale), **marks)
    if query_seq_lengths is not None:
        inside = jnp.arange(time)[None] < jnp.asarray(query_seq_lengths)[:, None]
        out = out * inside[:, :, None, None].astype(out.dtype)
    out = out.reshape((*shape[:-1], out.shape[-1]))
    if not return_residual:
        return out
    sums = logsumexp(_attention_logits(q, k, bias, seen, scale).astype(jnp.float32), axis=-1)
    return out, jnp.swapaxes(sums, 1, 2).reshape(shape[:-1])


def _attended(query: Any, key: Any, value: Any, bias: Any, seen: Any, *, scale: Any, **marks: Any) -> Any:
    heads, (time, length) = query.shape[2], (query.shape[1], key.shape[1])
    logits = _attention_logits(query, key, bias, seen, scale)
    weights = softmax(logits.astype(jnp.float32)).astype(key.dtype)
    weights = weights.reshape(query.shape[0], key.shape[2], -1, length)
    out = jnp.matmul(weights, jnp.transpose(value, (0, 2, 1, 3))).reshape(query.shape[0], heads, time, -1)
    return jnp.transpose(out, (0, 2, 1, 3))


def _attention_logits(query: Any, key: Any, bias: Any, seen: Any, scale: Any) -> Any:
    """[B, N, T, S]: scaled products of queries and keys, with the bias, and very low where not ``seen``."""
    heads, (time, length) = query.shape[2], (query.shape[1], key.shape[1])
    wide = jnp.promote_types(query.dtype, jnp.float32)
    keys = jnp.transpose(key, (0, 2, 1, 3))
    logits = jnp.matmul(_grouped(query, key.shape[2]), jnp.swapaxes(keys, -1, -2), preferred_element_type=wide)
    logits = logits.reshape(query.shape[0], heads, time, length) * np.asarray(scale, wide)
    if bias is not None:
        logits = (logits + bias).astype(logits.dtype)
    if seen is not None:
        lowest = -0.7 * float(min(jnp.finfo(logits.dtype).max, jnp.finfo(jnp.float32).max))
        logits = jnp.where(seen, logits, np.asarray(lowest, logits.dtype))
    return logits


def _check_attention(query: Any, key: Any, value: Any) -> None:
    (b, _, n, h), (kb, s, k, kh), (vb, vs, vk, _) = (
        v.shape if v.ndim == 4 else (-1, -1, -1, -1) for v in (query, key, value)
    )
    if not (b == kb == vb and s == vs and k == vk and h == kh and k > 0 and n % k == 0):
        raise ShapeError(
            "[dot_product_attention] expected query [B, T, N, H], key and value [B, S, K, H] with K a divisor of N, got"
            f" {query.aval}, {key.aval}, {value.aval}."
        )


def _grouped(query: Any, kv_heads: int) -> Any:
    """[B, T, N, H] as [B, K, (N / K) * T, H]: the queries that one head of keys serves, one after the other."""
    batch, _, _, size = query.shape
    return jnp.transpose(query, (0, 2, 1, 3)).reshape(batch, kv_heads, -1, size)


def _attention_mask(
    time: int, length: int, mask: Any, is_causal: bool, query_lengths: Any, key_lengths: Any, window: Any
) -> Any:
    """A mask of the keys that each query may see, broadcasting to [B, N, T, S]; None if it may see all."""
    rows, columns = jnp.arange(time)[:, None], jnp.arange(length)[None, :]
    parts = []
    if mask is not None:
        if aval_of(mask).dtype != dtypes.bool_:
            raise DtypeError(f"[dot_product_attention] expected a bool mask, got {aval_of(mask)}.")
        parts.append(jnp.asarray(mask))
    if is_causal:
        parts.append(rows >= columns)
    if window is not None:
        left, right = (window, window) if isinstance(window, int) else window
        parts += [rows <= columns + left, rows >= columns - right]
    if query_lengths is not None:
        parts.append((rows < jnp.asarray(query_lengths)[:, None, None])[:, None])
    if key_lengths is not None:
        parts.append((columns < jnp.asarray(key_lengths)[:, None, None])[:, None])
    seen = None
    for part in parts:
        seen = part if seen is None else seen & part
    return seen
