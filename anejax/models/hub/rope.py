"""Rotary embeddings as in checkpoints of the hub: the halves of each head rotate, at speeds that may be scaled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.models.hub.settings import Settings


@dataclass(frozen=True)
class Rope:
    """Radians per position of each pair of features, and what cosines and sines are multiplied by."""

    speeds: tuple[float, ...]
    factor: float = 1.0


def rotate(x: Any, positions: Any, rope: Rope) -> Any:
    """Turns the pair (i, i + size / 2) of ``x`` [N, T, heads, size] at each of ``positions`` [T] or [N, T]."""
    angles = jnp.expand_dims(positions.astype(dtypes.float32), (-2, -1)) * np.asarray(rope.speeds, np.float32)
    cos, sin = (f(angles) * np.float32(rope.factor) for f in (jnp.cos, jnp.sin))
    first, second = jnp.split(x.astype(dtypes.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def read(scaling: Settings | None, base: float, size: int, length: int) -> Rope:
    """The rope that a configuration describes, of heads of ``size`` features and at most ``length`` positions.

    ``scaling`` is its rope_parameters or rope_scaling, whose kinds are those of transformers' modeling_rope_utils.
    Raises ModelError when it is of another kind.
    """
    plain = base ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    if scaling is None:
        return _rope(plain)
    if "rope_type" not in scaling and "type" in scaling:  # the name before 2024
        scaling.values = {**scaling.values, "rope_type": scaling.values["type"]}
    kind = scaling.choice("rope_type", _KINDS, "default")
    if scaling.values.get("partial_rotary_factor") not in (None, 1, 1.0):
        scaling.fail("partial_rotary_factor", "1: heads that turn in part are not here")
    return _KINDS[kind](scaling, plain, base, length)


def _rope(speeds: np.ndarray, factor: float = 1.0) -> Rope:
    return Rope(tuple(map(float, speeds)), factor)


def _default(scaling: Settings, plain: np.ndarray, base: float, length: int) -> Rope:
    return _rope(plain)


def _linear(scaling: Settings, plain: np.ndarray, base: float, length: int) -> Rope:
    return _rope(plain / scaling.number("factor"))


def _llama3(scaling: Settings, plain: np.ndarray, base: float, length: int) -> Rope:
    """Slow pairs are slowed further by ``factor``, fast ones are left, with a blend between (Llama 3.1)."""
    factor, low, high = (scaling.number(n) for n in ("factor", "low_freq_factor", "high_freq_factor"))
    known = scaling.number("original_max_position_embeddings", length)
    turns = known * plain / (2 * math.pi)  # within the length of the first training
    if high <= low:
        scaling.fail("high_freq_factor", f"above low_freq_factor, which is {low}")
    blend = np.clip((turns - low) / (high - low), 0, 1)
    return _rope((1 - blend) * plain / factor + blend * plain)


def _yarn(scaling: Settings, plain: np.ndarray, base: float, length: int) -> Rope:
    """Peng et al., 2023: a ramp over the pairs between those that turn often and those that turn seldom."""
    known = scaling.number("original_max_position_embeddings", length)
    factor = scaling.number("factor", length / known)
    size, half = 2 * len(plain), len(plain)

    def pair_with(turns: float) -> float:
        return size * math.log(known / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = pair_with(scaling.number("beta_fast", 32)), pair_with(scaling.number("beta_slow", 1))
    if scaling.flag("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    ramp = np.clip((np.arange(half) - low) / ((high - low) or 0.001), 0, 1)
    return _rope(plain * (1 - ramp) + plain / factor * ramp, _yarn_factor(scaling, factor))


def _yarn_factor(scaling: Settings, factor: float) -> float:
    if "attention_factor" in scaling:
        return scaling.number("attention_factor")
    of = lambda scale: 0.1 * scale * math.log(factor) + 1 if factor > 1 else 1.0  # noqa: E731
    if scaling.values.get("mscale") and scaling.values.get("mscale_all_dim"):
        return of(scaling.number("mscale")) / of(scaling.number("mscale_all_dim"))
    return of(1.0)


def _dynamic(scaling: Settings, plain: np.ndarray, base: float, length: int) -> Rope:
    """Speeds change beyond the length that the model knows; up to that they are plain, and here sequences end there."""
    return _rope(plain)


_KINDS: dict[str, Callable[[Settings, np.ndarray, float, int], Rope]] = {
    "default": _default, "linear": _linear, "llama3": _llama3, "yarn": _yarn, "dynamic": _dynamic,
}  # fmt: skip
