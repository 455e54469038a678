"""Pooling of images [N, C, H, W] and sequences [N, C, L]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.errors import ShapeError
from anejax.nn.layer import Layer, spec, typed
from anejax.nn.linear import Padding, Sizes, pads, sizes


def _spatial(layer: Layer, x: Any) -> int:
    """How many axes are pooled. Raises ShapeError unless there is one or more."""
    count = len(spec(layer, x).shape) - 2
    if count < 1:
        raise ShapeError(f"[{layer.name}] expected images [N, C, H, W] or sequences [N, C, L], got {typed(x)}.")
    return count


@dataclass(frozen=True)
class _Pool(Layer):
    window: Sizes
    stride: Sizes | None = None
    padding: Padding = "VALID"

    def _reduce(self, x: Any, initial: Any, computation: Any) -> Any:
        count = _spatial(self, x)
        window = sizes(self, "window", self.window, count)
        stride = window if self.stride is None else sizes(self, "stride", self.stride, count)
        padding = pads(self, self.padding, count)
        padding = padding if isinstance(padding, str) else [(0, 0), (0, 0), *padding]
        return lax.reduce_window(x, initial, computation, (1, 1, *window), (1, 1, *stride), padding)


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
        if self.count_include_pad or self.padding == "VALID":
            return total / np.asarray(np.prod(sizes(self, "window", self.window, _spatial(self, x))), x.dtype), state
        return total / self._reduce(jnp.ones((1, 1, *x.shape[2:]), x.dtype), zero, lax.add), state


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel: [N, C, H, W] or [N, C, L] to [N, C]."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return jnp.mean(x, axis=tuple(range(2, 2 + _spatial(self, x)))), state
