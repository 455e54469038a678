"""Layers that multiply by weights: Linear, Embedding, and convolutions of images [N, C, H, W] and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anejax.numpy as jnp
from anejax import dtypes, lax, random
from anejax.core.aval import type_text
from anejax.errors import DtypeError, ShapeError
from anejax.nn import initializers
from anejax.nn.layer import Layer, check_features, check_rank, spec, take

_NORMAL = initializers.normal(1.0)
_LECUN = initializers.lecun_normal()
_LECUN_OI = initializers.lecun_normal(in_axis=1, out_axis=0)
_LECUN_IO = initializers.lecun_normal(in_axis=0, out_axis=1)

Sizes = int | Sequence[int]
Padding = str | int | Sequence[tuple[int, int]]


def weight_dtype(x: Any) -> Any:
    """The dtype of parameters for an input: its own when it is a float, else float32."""
    return x.dtype if dtypes.is_float(dtypes.canonical(x.dtype)) else dtypes.float32


def sizes(layer: Layer, what: str, value: Sizes, count: int) -> tuple[int, ...]:
    """``value`` for each of ``count`` axes. Raises ShapeError unless positive and as many."""
    found = (value,) * count if isinstance(value, int) else tuple(value)
    if len(found) != count or any(not isinstance(v, int) or v < 1 for v in found):
        raise ShapeError(f"[{layer.name}] expected {what} as a positive int or {count} of them, got {value!r}.")
    return found


def pads(layer: Layer, padding: Padding, count: int) -> Any:
    """Padding in the form that lax takes: "SAME", "VALID", or (low, high) per axis. An int pads all sides equally."""
    if isinstance(padding, int):
        return [(padding, padding)] * count
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID", "SAME_LOWER"):
            raise ValueError(f"[{layer.name}] expected padding 'SAME' or 'VALID', got {padding!r}.")
        return padding.upper()
    found = [(p, p) if isinstance(p, int) else tuple(p) for p in padding]
    if len(found) != count:
        raise ShapeError(f"[{layer.name}] expected padding for {count} axes, got {padding!r}.")
    return found


@dataclass(frozen=True)
class Linear(Layer):
    """x @ w + b over the last axis, with w [inputs, features].

    Example:
        >>> from anejax import nn, random
        >>> import anejax.numpy as jnp
        >>> layer = nn.Linear(4)
        >>> params, state = layer.init(random.key(0), jnp.ones((2, 3)))
        >>> y, state = layer.apply(params, state, jnp.ones((2, 3)))
        >>> y.shape
        (2, 4)
    """

    features: int
    bias: bool = True
    weight_init: initializers.Initializer = _LECUN
    bias_init: initializers.Initializer = initializers.zeros

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        if not spec(self, x).shape:
            raise ShapeError(f"[Linear] expected an input of at least one axis, got {type_text(x)}.")
        dtype = weight_dtype(x)
        w_key, b_key = random.split(key)
        params = {"w": self.weight_init(w_key, (x.shape[-1], self.features), dtype)}
        if self.bias:
            params["b"] = self.bias_init(b_key, (self.features,), dtype)
        return params, ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        w, *b = take(self, params, "w", *(["b"] if self.bias else []))
        if not spec(self, x).shape:
            raise ShapeError(f"[Linear] expected an input of at least one axis, got {type_text(x)}.")
        check_features(self, x, -1, w.shape[0])
        y = jnp.matmul(x, w)
        return (y + b[0] if b else y), state


@dataclass(frozen=True)
class Embedding(Layer):
    """The rows of a table [count, features] that integers name."""

    count: int
    features: int
    weight_init: initializers.Initializer = _NORMAL

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        self._check(x)
        return {"w": self.weight_init(key, (self.count, self.features), dtypes.float32)}, ()

    def _check(self, x: Any) -> None:
        if not dtypes.is_int(dtypes.canonical(spec(self, x).dtype)):
            raise DtypeError(f"[Embedding] expected integers, got {type_text(x)}.")

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        (w,) = take(self, params, "w")
        self._check(x)
        return jnp.take(w, x, axis=0), state


@dataclass(frozen=True)
class _Conv(Layer):
    features: int
    kernel: Sizes
    stride: Sizes = 1
    padding: Padding = "SAME"
    dilation: Sizes = 1
    groups: int = 1
    bias: bool = True
    weight_init: initializers.Initializer = _LECUN_OI
    bias_init: initializers.Initializer = initializers.zeros

    _axes = 2
    _input = "images [N, C, H, W]"

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        check_rank(self, x, self._axes + 2, self._input)
        channels = x.shape[1]
        if channels % self.groups or self.features % self.groups:
            raise ShapeError(
                f"[{self.name}] expected groups={self.groups} to divide the {channels} channels of the input and the"
                f" {self.features} features."
            )
        shape = (self.features, channels // self.groups, *sizes(self, "kernel", self.kernel, self._axes))
        w_key, b_key = random.split(key)
        params = {"w": self.weight_init(w_key, shape, weight_dtype(x))}
        if self.bias:
            params["b"] = self.bias_init(b_key, (self.features,), weight_dtype(x))
        return params, ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        w, *b = take(self, params, "w", *(["b"] if self.bias else []))
        check_rank(self, x, self._axes + 2, self._input)
        check_features(self, x, 1, w.shape[1] * self.groups)
        y = lax.conv_general_dilated(
            x,
            w,
            window_strides=sizes(self, "stride", self.stride, self._axes),
            padding=pads(self, self.padding, self._axes),
            rhs_dilation=sizes(self, "dilation", self.dilation, self._axes),
            feature_group_count=self.groups,
        )
        return (y + b[0].reshape((-1,) + (1,) * self._axes) if b else y), state


@dataclass(frozen=True)
class Conv2D(_Conv):
    """Convolution of images [N, C, H, W] with w [features, C / groups, height, width]."""


@dataclass(frozen=True)
class Conv1D(_Conv):
    """Convolution of sequences [N, C, L] with w [features, C / groups, length]."""

    _axes = 1
    _input = "sequences [N, C, L]"


@dataclass(frozen=True)
class _ConvTranspose(Layer):
    features: int
    kernel: Sizes
    stride: Sizes = 1
    padding: Padding = "SAME"
    bias: bool = True
    weight_init: initializers.Initializer = _LECUN_IO
    bias_init: initializers.Initializer = initializers.zeros

    _axes = 2
    _input = "images [N, C, H, W]"

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        check_rank(self, x, self._axes + 2, self._input)
        w_key, b_key = random.split(key)
        shape = (x.shape[1], self.features, *sizes(self, "kernel", self.kernel, self._axes))
        params = {"w": self.weight_init(w_key, shape, weight_dtype(x))}
        if self.bias:
            params["b"] = self.bias_init(b_key, (self.features,), weight_dtype(x))
        return params, ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        w, *b = take(self, params, "w", *(["b"] if self.bias else []))
        check_rank(self, x, self._axes + 2, self._input)
        check_features(self, x, 1, w.shape[0])
        strides = sizes(self, "stride", self.stride, self._axes)
        spatial = "HW"[: self._axes]
        numbers = (f"NC{spatial}", f"IO{spatial}", f"NC{spatial}")
        y = lax.conv_transpose(x, w, strides, pads(self, self.padding, self._axes), dimension_numbers=numbers)
        return (y + b[0].reshape((-1,) + (1,) * self._axes) if b else y), state


@dataclass(frozen=True)
class ConvTranspose2D(_ConvTranspose):
    """The transpose of a convolution, which enlarges images [N, C, H, W] by its stride, with w [C, features, h, w]."""


@dataclass(frozen=True)
class ConvTranspose1D(_ConvTranspose):
    """The transpose of a convolution, which enlarges sequences [N, C, L] by its stride, with w [C, features, l]."""

    _axes = 1
    _input = "sequences [N, C, L]"
