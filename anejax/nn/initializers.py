"""Initial values of weights: functions ``(key, shape, dtype) -> array``, equal to those of ``jax.nn.initializers``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax, random
from anejax.absent import getattr_of
from anejax.core.aval import checked_shape
from anejax.errors import ShapeError

__all__ = [
    "Initializer", "constant", "delta_orthogonal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
    "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal",
    "truncated_normal", "uniform", "variance_scaling", "xavier_normal", "xavier_uniform", "zeros"
]  # fmt: skip

Initializer = Callable[..., Any]
Axes = int | Sequence[int]


class Made:
    """An initializer that a function of this module made. It prints as it was written, and can be pickled."""

    def __init__(self, factory: Callable[..., Initializer], init: Initializer, args: Any, kwargs: Any) -> None:
        self._factory, self._init, self._args, self._kwargs = factory, init, args, kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._init(*args, **kwargs)

    def __repr__(self) -> str:
        said = [*map(repr, self._args), *(f"{n}={v!r}" for n, v in self._kwargs.items())]
        return f"{self._factory.__name__}({', '.join(said)})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Made) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __reduce__(self) -> Any:
        return _remake, (self._factory.__name__, self._args, self._kwargs)


def _remake(name: str, args: Any, kwargs: Any) -> Any:
    return _FACTORIES[name](*args, **kwargs)


_FACTORIES: dict[str, Callable[..., Any]] = {}


def _factory(make: Callable[..., Initializer]) -> Callable[..., Initializer]:
    """``make``, whose initializers know how they were made."""

    @functools.wraps(make)
    def factory(*args: Any, **kwargs: Any) -> Initializer:
        return Made(factory, make(*args, **kwargs), args, kwargs)

    _FACTORIES[factory.__name__] = factory
    return factory


def _dtype(dtype: Any) -> np.dtype:
    return dtypes.canonical(dtypes.float64 if dtype is None else dtype)


def zeros(key: Any, shape: Any, dtype: Any = None) -> Any:
    """All 0."""
    return jnp.zeros(shape, _dtype(dtype))


def ones(key: Any, shape: Any, dtype: Any = None) -> Any:
    """All 1."""
    return jnp.ones(shape, _dtype(dtype))


@_factory
def constant(value: Any, dtype: Any = None) -> Initializer:
    """All ``value``."""

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        return jnp.full(shape, value, _dtype(dtype))

    return init


@_factory
def uniform(scale: Any = 0.01, dtype: Any = None) -> Initializer:
    """Uniform in [0, scale)."""

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        return random.uniform(key, shape, _dtype(dtype)) * jnp.asarray(scale, _dtype(dtype))

    return init


@_factory
def normal(stddev: Any = 0.01, dtype: Any = None) -> Initializer:
    """Normal with mean 0."""

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        return random.normal(key, shape, _dtype(dtype)) * jnp.asarray(stddev, _dtype(dtype))

    return init


@_factory
def truncated_normal(stddev: Any = 0.01, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """Normal with mean 0, cut at ``lower`` and ``upper`` (in units of ``stddev``)."""

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        return random.truncated_normal(key, lower, upper, shape, _dtype(dtype)) * jnp.asarray(stddev, _dtype(dtype))

    return init


def _fans(shape: Sequence[int], in_axis: Axes, out_axis: Axes, batch_axis: Axes) -> tuple[float, float]:
    """The number of inputs of an output, and the number of outputs of an input."""
    if in_axis == -2 and len(shape) < 2:
        raise ShapeError(f"[variance_scaling] expected a shape of at least two axes, or in_axis, got {tuple(shape)}.")
    sizes = [
        shape[a] if isinstance(a, int) else math.prod(shape[i] for i in a) for a in (in_axis, out_axis, batch_axis)
    ]
    field = math.prod(shape) / math.prod(sizes)
    return sizes[0] * field, sizes[1] * field


_MODES: dict[str, Callable[[float, float], float]] = {
    "fan_in": lambda n, m: n,
    "fan_out": lambda n, m: m,
    "fan_avg": lambda n, m: (n + m) / 2,
    "fan_geo_avg": lambda n, m: math.sqrt(n * m),
}


@_factory
def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Mean 0 and variance scale / n, with n from the shape: "fan_in", "fan_out", "fan_avg" or "fan_geo_avg".

    ``distribution``: "truncated_normal" (within two standard deviations), "normal" or "uniform". Complex numbers are
    normal or uniform in the plane, cut at a circle.
    """
    if mode not in _MODES:
        raise ValueError(f"[variance_scaling] expected a mode of {', '.join(_MODES)}, got {mode!r}.")
    if distribution not in ("truncated_normal", "normal", "uniform"):
        raise ValueError(
            f"[variance_scaling] expected truncated_normal, normal or uniform, got distribution {distribution!r}."
        )

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        kind, shape = _dtype(dtype), checked_shape(shape, "variance_scaling")
        variance = jnp.asarray(scale / _MODES[mode](*_fans(shape, in_axis, out_axis, batch_axis)), kind)
        if kind in dtypes.COMPLEX and distribution != "normal":
            return _disk(key, shape, kind, distribution) * jnp.sqrt(variance)
        if distribution == "uniform":
            return random.uniform(key, shape, kind, -1) * jnp.sqrt(np.asarray(3, kind) * variance)
        if distribution == "normal":
            return random.normal(key, shape, kind) * jnp.sqrt(variance)
        cut = np.asarray(0.87962566103423978, kind)  # the standard deviation of a normal cut at -2 and 2
        return random.truncated_normal(key, -2, 2, shape, kind) * (jnp.sqrt(variance) / cut)

    return init


def _disk(key: Any, shape: Any, dtype: np.dtype, distribution: str) -> Any:
    """Complex numbers of mean 0 and variance 1: uniform in a disk, or normal within twice the standard deviation."""
    key_size, key_angle = random.split(key)
    part = dtypes.real_part(dtype)
    u = random.uniform(key_size, shape, part)
    if distribution == "uniform":
        size = jnp.sqrt(2 * u)
    else:
        size = jnp.sqrt(-jnp.log(1 - u * -np.expm1(-4.0))) / 0.95311164380491208  # as jax has it, which is 1 % low

    angle = 2 * np.pi * random.uniform(key_angle, shape, part)
    return lax.complex(size * jnp.cos(angle), size * jnp.sin(angle))


def _named(name: str, scale: float, mode: str, distribution: str) -> Callable[..., Initializer]:
    def make(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"variance_scaling({scale}, {mode!r}, {distribution!r})."
    return _factory(make)


@_factory
def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """``scale`` times orthonormal rows or columns, whichever are fewer: Q of a normal matrix.

    The matrix has the axis ``column_axis`` for columns and all others for rows.
    """

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        kind, shape = _dtype(dtype), checked_shape(shape, "orthogonal")
        if len(shape) < 2:
            raise ShapeError(f"[orthogonal] expected a shape of at least two axes, got {shape}.")
        if 0 in shape:
            return jnp.zeros(shape, kind)
        columns = shape[column_axis]
        rows = math.prod(shape) // columns
        q, r = jnp.linalg.qr(random.normal(key, (max(rows, columns), min(rows, columns)), kind))
        q = q * jnp.sign(jnp.diag(r))  # evenly distributed among orthogonal matrices
        q = q.T if rows < columns else q
        rest = [n for i, n in enumerate(shape) if i != column_axis % len(shape)]
        return jnp.asarray(scale, kind) * jnp.moveaxis(q.reshape(*rest, columns), -1, column_axis)

    return init


@_factory
def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Convolution kernels [spatial..., in, out] that are orthogonal at their centre and 0 elsewhere; in <= out."""

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Any:
        kind, shape = _dtype(dtype), checked_shape(shape, "delta_orthogonal")
        if len(shape) not in (3, 4, 5) or shape[-2] > shape[-1]:
            raise ShapeError(f"[delta_orthogonal] expected a shape [spatial..., in, out], in <= out, got {shape}.")
        matrix = orthogonal(scale, column_axis, kind)(key, shape[-2:])
        return jnp.zeros(shape, kind).at[tuple((n - 1) // 2 for n in shape[:-2])].set(matrix)

    return init


glorot_uniform = xavier_uniform = _named("glorot_uniform", 1.0, "fan_avg", "uniform")
glorot_normal = xavier_normal = _named("glorot_normal", 1.0, "fan_avg", "truncated_normal")
lecun_uniform = _named("lecun_uniform", 1.0, "fan_in", "uniform")
lecun_normal = _named("lecun_normal", 1.0, "fan_in", "truncated_normal")
he_uniform = kaiming_uniform = _named("he_uniform", 2.0, "fan_in", "uniform")
he_normal = kaiming_normal = _named("he_normal", 2.0, "fan_in", "truncated_normal")

__getattr__ = getattr_of(__name__)
