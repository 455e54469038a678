"""Activations as layers, and other layers without parameters, which change shapes or drop values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anejax.numpy as jnp
from anejax import random
from anejax.core.aval import type_text
from anejax.errors import ShapeError
from anejax.nn import functions
from anejax.nn.layer import Layer, spec, take
from anejax.nn.linear import weight_dtype


class _Activation(Layer):
    """A layer that applies ``self.function`` to its input."""

    def function(self, x: Any) -> Any:
        raise NotImplementedError

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return self.function(x), state


@dataclass(frozen=True)
class ReLU(_Activation):
    """max(x, 0)."""

    def function(self, x: Any) -> Any:
        return functions.relu(x)


@dataclass(frozen=True)
class PReLU(Layer):
    """x where positive, slope * x elsewhere, with one learned ``slope``, or one for each of ``channels`` (axis 1)."""

    channels: int = 1
    slope: float = 0.25

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        self._check(x)
        return {"slope": jnp.full((self.channels,), self.slope, weight_dtype(x))}, ()

    def _check(self, x: Any) -> None:
        shape = spec(self, x).shape
        if self.channels < 1 or (self.channels > 1 and (len(shape) < 2 or shape[1] != self.channels)):
            raise ShapeError(f"[PReLU] expected channels=1, or an input [N, {self.channels}, ...], got {type_text(x)}.")

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        self._check(x)
        (slope,) = take(self, params, "slope")
        slope = slope.reshape((1, -1) + (1,) * (x.ndim - 2)) if self.channels > 1 else slope[0]
        return jnp.where(x > 0, x, slope * x), state


@dataclass(frozen=True)
class GELU(_Activation):
    """x times the normal distribution function of x; by default its approximation with tanh."""

    approximate: bool = True

    def function(self, x: Any) -> Any:
        return functions.gelu(x, self.approximate)


@dataclass(frozen=True)
class SiLU(_Activation):
    """x * sigmoid(x)."""

    def function(self, x: Any) -> Any:
        return functions.silu(x)


@dataclass(frozen=True)
class Sigmoid(_Activation):
    """1 / (1 + exp(-x))."""

    def function(self, x: Any) -> Any:
        return functions.sigmoid(x)


@dataclass(frozen=True)
class Tanh(_Activation):
    """The hyperbolic tangent."""

    def function(self, x: Any) -> Any:
        return jnp.tanh(x)


@dataclass(frozen=True)
class LeakyReLU(_Activation):
    """x where positive, negative_slope * x elsewhere."""

    negative_slope: float = 0.01

    def function(self, x: Any) -> Any:
        return functions.leaky_relu(x, self.negative_slope)


@dataclass(frozen=True)
class Softmax(_Activation):
    """exp(x), scaled to sum to 1 along ``axis``."""

    axis: int = -1

    def function(self, x: Any) -> Any:
        return functions.softmax(x, self.axis)


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes but the first in one."""

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        if not spec(self, x).shape:
            raise ShapeError(f"[Flatten] expected a batch, got {type_text(x)}.")
        return x.reshape((x.shape[0], -1) if x.size else (x.shape[0], spec(self, x).size)), state


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, sets each value to 0 with probability ``rate`` and scales the others up; needs a key then."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(f"[Dropout] expected a rate in [0, 1), got {self.rate}.")

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        if not train or self.rate == 0:
            return x, state
        if key is None:
            raise ValueError("[Dropout] expected a key when training, got None. Pass key=... to apply.")
        kept = random.bernoulli(key, 1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), jnp.zeros_like(x)), state
