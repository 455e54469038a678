"""Pooling of images [N, C, H, W] and sequences [N, C, L]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.core.aval import type_text
from anejax.errors import ShapeError
from anejax.nn.layer import Layer, spec
from anejax.nn.linear import Padding, Sizes, pads, sizes


def _spatial(layer: Layer, x: Any) -> int:
    """The number of pooled axes. Raises ShapeError unless it is at least one."""
    count = len(spec(layer, x).shape) - 2
    if count < 1:
        raise ShapeError(f"[{layer.name}] expected images [N, C, H, W] or sequences [N, C, L], got {type_text(x)}.")
    return count


@dataclass(frozen=True)
class _Pool(Layer):
    window: Sizes
    stride: Sizes | None = None
    padding: Padding = "VALID"
    ceil_mode: bool = False

    def _reduce(self, x: Any, initial: Any, computation: Any) -> Any:
        count = _spatial(self, x)
        window = sizes(self, "window", self.window, count)
        stride = window if self.stride is None else sizes(self, "stride", self.stride, count)
        padding = pads(self, self.padding, count)
        if self.ceil_mode:
            padding = self._longer(x, window, stride, padding)
        padding = padding if isinstance(padding, str) else [(0, 0), (0, 0), *padding]
        return lax.reduce_window(x, initial, computation, (1, 1, *window), (1, 1, *stride), padding)

    def _longer(self, x: Any, window: Any, stride: Any, padding: Any) -> Any:
        """Padding with which the last window of each axis is not left out; one that would begin in the padding is."""
        if isinstance(padding, str):
            if padding != "VALID":
                raise ValueError(
                    f"[{self.name}] expected numbers or 'VALID' as padding with ceil_mode, got {padding!r}."
                )
            padding = [(0, 0)] * len(window)
        found = []
        for size, wide, step, (low, high) in zip(x.shape[2:], window, stride, padding, strict=True):
            count = -(-(size + low + high - wide) // step) + 1
            count -= (count - 1) * step >= size + low
            found.append((low, max(high, (count - 1) * step + wide - size - low)))
        return found


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The maximum of each window; windows lie side by side unless a stride is given."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        lowest = -np.inf if dtypes.is_float(x.dtype) else dtypes.iinfo(x.dtype).min
        return self._reduce(x, np.asarray(lowest, x.dtype), lax.max), state


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The mean of each window; padding counts as zeros unless ``count_include_pad`` is False."""

    count_include_pad: bool = True

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        zero = np.zeros((), x.dtype)
        total = self._reduce(x, zero, lax.add)
        if self.ceil_mode:
            return total / self._reduce_ones(x, zero), state
        if self.count_include_pad or self.padding == "VALID":
            return total / np.asarray(np.prod(sizes(self, "window", self.window, _spatial(self, x))), x.dtype), state
        return total / self._reduce(jnp.ones((1, 1, *x.shape[2:]), x.dtype), zero, lax.add), state

    def _reduce_ones(self, x: Any, zero: Any) -> Any:
        """The number of values that each window counts: padding too if it is included, but nothing beyond it."""
        ones = jnp.ones((1, 1, *x.shape[2:]), x.dtype)
        padding = pads(self, self.padding, _spatial(self, x))
        if not self.count_include_pad or isinstance(padding, str):
            return self._reduce(ones, zero, lax.add)
        window = sizes(self, "window", self.window, len(padding))
        stride = window if self.stride is None else sizes(self, "stride", self.stride, len(padding))
        longer = self._longer(x, window, stride, padding)
        inside = jnp.pad(ones, [(0, 0), (0, 0), *padding], constant_values=1)
        beyond = [(0, 0), (0, 0), *((0, new - old) for (_, old), (_, new) in zip(padding, longer, strict=True))]
        return lax.reduce_window(inside, zero, lax.add, (1, 1, *window), (1, 1, *stride), beyond)


@dataclass(frozen=True)
class _Adaptive(Layer):
    size: Sizes

    def _pooled(self, x: Any, reduce: Any) -> Any:
        """Pools L values by n windows: window i has those from floor(i L / n) to ceil((i + 1) L / n), as in PyTorch."""
        count = _spatial(self, x)
        for axis, parts in zip(range(2, 2 + count), sizes(self, "size", self.size, count), strict=True):
            length = x.shape[axis]
            if length % parts == 0:
                split = (*x.shape[:axis], parts, length // parts, *x.shape[axis + 1 :])
                x = reduce(x.reshape(split), axis=axis + 1)
                continue
            edges = [(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]
            found = [reduce(lax.slice_in_dim(x, a, b, axis=axis), axis=axis, keepdims=True) for a, b in edges]
            x = jnp.concatenate(found, axis=axis)
        return x


@dataclass(frozen=True)
class AdaptiveAvgPool(_Adaptive):
    """The means of ``size`` windows along each axis; their widths follow from the input's size."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return self._pooled(x, jnp.mean), state


@dataclass(frozen=True)
class AdaptiveMaxPool(_Adaptive):
    """The maxima of ``size`` windows along each axis; their widths follow from the input's size."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return self._pooled(x, jnp.max), state


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel: [N, C, H, W] or [N, C, L] to [N, C]."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return jnp.mean(x, axis=tuple(range(2, 2 + _spatial(self, x)))), state
