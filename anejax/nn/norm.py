"""Normalisation layers. Statistics of 16-bit inputs are computed in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.api.composites import composed
from anejax.core.aval import type_text
from anejax.errors import ShapeError
from anejax.nn.layer import Layer, check_features, spec, take
from anejax.nn.linear import weight_dtype


def _moments(x: Any, axes: Sequence[int]) -> tuple[Any, Any]:
    """Mean and variance along ``axes``, which are kept."""
    mean = jnp.mean(x, axis=tuple(axes), keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axis=tuple(axes), keepdims=True)


def _wide(x: Any) -> Any:
    return x.astype(dtypes.float32) if x.dtype in (dtypes.float16, dtypes.bfloat16) else x


def _affine_init(count: int, dtype: Any, scale: bool, bias: bool) -> dict[str, Any]:
    made = {"scale": jnp.ones((count,), dtype)} if scale else {}
    return made | ({"bias": jnp.zeros((count,), dtype)} if bias else {})


def _affine(layer: Layer, y: Any, params: Any, scale: bool, bias: bool, shape: tuple[int, ...]) -> Any:
    names = ["scale"] * scale + ["bias"] * bias
    return _scaled(y, take(layer, params, *names) if names else [], scale, shape)


def _scaled(y: Any, affine: Sequence[Any], scale: bool, shape: tuple[int, ...]) -> Any:
    """``y`` times the first of ``affine`` if there is a ``scale``, plus the other one, if any."""
    for i, value in enumerate(affine):
        value = value.reshape(shape)
        y = y * value if scale and i == 0 else y + value
    return y


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalises each channel (axis 1; the last of [N, C]) over the batch, and keeps running statistics as state.

    In training the statistics are the batch's, and ``running = momentum * running + (1 - momentum) * batch``;
    otherwise they are the running ones. With ``axis_name`` the batch is that of all processes (or examples of ``vmap``)
    along the axis of that name.
    """

    momentum: float = 0.9
    eps: float = 1e-5
    scale: bool = True
    bias: bool = True
    axis_name: Any = None

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        self._check(x)
        channels, dtype = x.shape[1], weight_dtype(x)
        state = {"mean": jnp.zeros((channels,), jnp.float32), "var": jnp.ones((channels,), jnp.float32)}
        return _affine_init(channels, dtype, self.scale, self.bias), state

    def _check(self, x: Any) -> None:
        if len(spec(self, x).shape) < 2:
            raise ShapeError(f"[BatchNorm] expected an input [N, C, ...], got {type_text(x)}.")

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        self._check(x)
        running, var = take(self, state, "mean", "var")
        check_features(self, x, 1, running.shape[0])
        names = ["scale"] * self.scale + ["bias"] * self.bias
        affine = dict(zip(names, take(self, params, *names)))
        column = (1, -1) + (1,) * (x.ndim - 2)
        # Both moments are sums of one pass. They are those of x less the running mean, which is near the batch's, so
        # that their difference does not cancel; and y is one product and one sum per value.
        shifted = _wide(x) - running.reshape(column)
        offset = affine.get("bias", 0)
        if train:
            axes = tuple(i for i in range(x.ndim) if i != 1)
            mean, square = jnp.mean(shifted, axes), jnp.mean(jnp.square(shifted), axes)
            if self.axis_name is not None:
                mean, square = lax.pmean((mean, square), self.axis_name)
            batch_var = jnp.maximum(square - jnp.square(mean), 0)
            state = {"mean": self._blend(running, running + mean), "var": self._blend(var, batch_var)}
            var = batch_var
        factor = lax.rsqrt(var + self.eps) * affine.get("scale", 1)
        if train:
            offset = offset - mean * factor
        y = shifted * factor.reshape(column) + jnp.broadcast_to(offset, running.shape).reshape(column)
        return y.astype(x.dtype), state

    def _blend(self, running: Any, batch: Any) -> Any:
        return self.momentum * running + (1 - self.momentum) * lax.stop_gradient(batch).astype(running.dtype)


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Normalises each example over the last axis."""

    eps: float = 1e-5
    scale: bool = True
    bias: bool = True

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        if not spec(self, x).shape:
            raise ShapeError(f"[LayerNorm] expected an input of at least one axis, got {type_text(x)}.")
        return _affine_init(x.shape[-1], weight_dtype(x), self.scale, self.bias), ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        names = ["scale"] * self.scale + ["bias"] * self.bias
        affine = take(self, params, *names) if names else []
        options = {"eps": float(self.eps), "scale": self.scale, "bias": self.bias}
        return composed(_layer_norm, "anejax.nn.layer_norm", jnp.asarray(x), *affine, batched=1, **options), state


def _layer_norm(x: Any, *affine: Any, eps: float, scale: bool, bias: bool) -> Any:
    wide = _wide(x)
    mean, var = _moments(wide, [-1])
    return _scaled((wide - mean) * lax.rsqrt(var + eps), affine, scale, (-1,)).astype(x.dtype)


@dataclass(frozen=True)
class RMSNorm(Layer):
    """Divides each example by the root of its mean square over the last axis."""

    eps: float = 1e-6
    scale: bool = True

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        if not spec(self, x).shape:
            raise ShapeError(f"[RMSNorm] expected an input of at least one axis, got {type_text(x)}.")
        return _affine_init(x.shape[-1], weight_dtype(x), self.scale, False), ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        affine = take(self, params, "scale") if self.scale else []
        return composed(_rms_norm, "anejax.nn.rms_norm", jnp.asarray(x), *affine, batched=1, eps=float(self.eps)), state


def _rms_norm(x: Any, *scale: Any, eps: float) -> Any:
    wide = _wide(x)
    y = wide * lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + eps)
    return _scaled(y, scale, True, (-1,)).astype(x.dtype)


@dataclass(frozen=True)
class InstanceNorm(Layer):
    """Normalises each channel (axis 1) of each example [N, C, ...] over its other axes."""

    eps: float = 1e-5
    scale: bool = True
    bias: bool = True

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        self._check(x)
        return _affine_init(x.shape[1], weight_dtype(x), self.scale, self.bias), ()

    def _check(self, x: Any) -> None:
        if len(spec(self, x).shape) < 3:
            raise ShapeError(f"[InstanceNorm] expected an input [N, C, L, ...], got {type_text(x)}.")

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        self._check(x)
        wide = _wide(x)
        mean, var = _moments(wide, range(2, x.ndim))
        y = (wide - mean) * lax.rsqrt(var + self.eps)
        return _affine(self, y, params, self.scale, self.bias, (1, -1) + (1,) * (x.ndim - 2)).astype(x.dtype), state


@dataclass(frozen=True)
class GroupNorm(Layer):
    """Normalises each example over groups of channels (axis 1) of inputs [N, C, ...]."""

    groups: int
    eps: float = 1e-5
    scale: bool = True
    bias: bool = True

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        self._check(x)
        if x.shape[1] % self.groups:
            raise ShapeError(f"[GroupNorm] expected groups={self.groups} to divide the channels of {type_text(x)}.")
        return _affine_init(x.shape[1], weight_dtype(x), self.scale, self.bias), ()

    def _check(self, x: Any) -> None:
        if len(spec(self, x).shape) < 2:
            raise ShapeError(f"[GroupNorm] expected an input [N, C, ...], got {type_text(x)}.")

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        self._check(x)
        wide = _wide(x).reshape(x.shape[0], self.groups, math.prod(x.shape[1:]) // self.groups)
        mean, var = _moments(wide, [-1])
        y = ((wide - mean) * lax.rsqrt(var + self.eps)).reshape(x.shape)
        return _affine(self, y, params, self.scale, self.bias, (1, -1) + (1,) * (x.ndim - 2)).astype(x.dtype), state
