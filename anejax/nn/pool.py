"""Pooling of images [N, C, H, W]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.nn.layer import Layer, check_rank
from anejax.nn.linear import Padding, Sizes, pads, sizes


@dataclass(frozen=True)
class _Pool(Layer):
    window: Sizes
    stride: Sizes | None = None
    padding: Padding = "VALID"

    def _reduce(self, x: Any, initial: Any, computation: Any) -> Any:
        check_rank(self, x, 4, "images [N, C, H, W]")
        window = sizes(self, "window", self.window, 2)
        stride = window if self.stride is None else sizes(self, "stride", self.stride, 2)
        padding = pads(self, self.padding, 2)
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
            return total / np.asarray(np.prod(sizes(self, "window", self.window, 2)), x.dtype), state
        return total / self._reduce(jnp.ones((1, 1, *x.shape[2:]), x.dtype), zero, lax.add), state


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel: [N, C, H, W] to [N, C]."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        check_rank(self, x, 4, "images [N, C, H, W]")
        return jnp.mean(x, axis=(2, 3)), state
