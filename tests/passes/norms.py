"""Norms, softmax and their like on the engine's numerics: how far from float64 they are at each size of their inputs.

``python -m tests.passes.norms`` prints the table of docs/engine.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy
import numpy as np

import anejax as aj
import anejax.nn
import anejax.numpy
from anejax.lower.to_mil import lower
from anejax.passes.pipeline import optimize
from tests.native.run import Runner

UNIT = 2.0**-11  # half of a unit in the last place of float16's 1: what one rounding may do

Function = Callable[[Any, Any], Any]  # of a package (anejax or jax) and x


def _layer_norm(lib: Any, x: Any) -> Any:
    centred = x - lib.numpy.mean(x, -1, keepdims=True)
    return centred * lib.lax.rsqrt(lib.numpy.mean(lib.numpy.square(centred), -1, keepdims=True) + 1e-5)


def _rms_norm(eps: float) -> Function:
    return lambda lib, x: x * lib.lax.rsqrt(lib.numpy.mean(lib.numpy.square(x), -1, keepdims=True) + eps)


def _rms_by_division(lib: Any, x: Any) -> Any:
    return x / lib.numpy.sqrt(lib.numpy.mean(x**2, -1, keepdims=True) + 1e-6)


def _group_norm(lib: Any, x: Any) -> Any:
    groups = x.reshape(x.shape[0], 4, -1)
    return _layer_norm(lib, groups).reshape(x.shape)


def _batch_norm(lib: Any, x: Any) -> Any:
    J = lib.numpy
    axes = (0, *range(2, x.ndim))
    column = (1, -1) + (1,) * (x.ndim - 2)
    mean = J.mean(x, axes)
    factor = lib.lax.rsqrt(J.maximum(J.mean(J.square(x), axes) - J.square(mean), 0) + 1e-5)
    return x * factor.reshape(column) + (-mean * factor).reshape(column)


def _normalised(guard: Callable[[Any, Any], Any]) -> Function:
    return lambda lib, x: x / guard(lib.numpy, lib.numpy.sum(x * x, -1, keepdims=True))


ROWS: dict[str, Function] = {  # along the last axis of [rows, width]
    "RMSNorm": _rms_norm(1e-6),
    "RMSNorm, eps 1e-12": _rms_norm(1e-12),
    "RMSNorm, eps 0.1": _rms_norm(0.1),
    "x / sqrt(mean(x**2) + eps)": _rms_by_division,
    "LayerNorm": _layer_norm,
    "nn.standardize": lambda lib, x: lib.nn.standardize(x, -1),
    "x / norm(x)": lambda lib, x: x / lib.numpy.linalg.norm(x, axis=-1, keepdims=True),
    "x / sqrt(sum(x**2) + eps)": _normalised(lambda J, total: J.sqrt(total + 1e-12)),
    "x / max(norm(x), eps)": _normalised(lambda J, total: J.maximum(J.sqrt(total), 1e-12)),
    "variance": lambda lib, x: lib.numpy.var(x, -1),
    "standard deviation": lambda lib, x: lib.numpy.std(x, -1),
    "mean": lambda lib, x: lib.numpy.mean(x, -1),
    "softmax": lambda lib, x: lib.nn.softmax(x, -1),
    "log_softmax": lambda lib, x: lib.nn.log_softmax(x, -1),
    "logsumexp": lambda lib, x: lib.nn.logsumexp(x, -1),
}
IMAGES: dict[str, Function] = {"GroupNorm": _group_norm, "BatchNorm in training": _batch_norm}  # of [N, C, H, W]


def errors(f: Function, x: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """How far f(x) and its gradient are from float64's, as norms relative to those, in UNITs; x is float16.

    An element that is below float16's normal numbers may be off by half of the smallest one; that is not counted.
    """
    with jax.enable_x64(True):
        shape = jax.eval_shape(lambda x: f(jax, x), x).shape
        g = np.random.default_rng(seed).normal(size=shape).astype(np.float16)
        exact = [*map(np.asarray, _in_float64(f)(x.astype(np.float64), g.astype(np.float64)))]

    def both(x: Any, g: Any) -> Any:
        y, back = aj.vjp(lambda x: f(aj, x), x)
        return y, back(g)[0]

    program = lower(optimize(aj.jit(both).trace(x.astype(np.float32), g.astype(np.float32)).graph, "ane"), "ane")
    args = [a.reshape(v.type.shape) for a, v in zip((x, g), program.main.inputs)]
    outs = Runner(program, device="cpu-fp16")(*args)
    first, second = (_error(o.astype(np.float64).reshape(w.shape), w) for o, w in zip(outs, exact))
    return first, second


@functools.cache
def _in_float64(f: Function) -> Callable[..., Any]:
    """The value and the gradient by jax: one compiled program for each shape, whatever the numbers."""

    def both(x: Any, g: Any) -> Any:
        y, back = jax.vjp(lambda x: f(jax, x), x)
        return y, back(g)[0]

    return jax.jit(both)


def _error(got: np.ndarray, want: np.ndarray) -> float:
    if not np.isfinite(got).all():
        return np.inf
    subnormal = np.where(np.abs(want) < 2.0**-14, 2.0**-25, 0)
    off = np.maximum(np.abs(got - want) - subnormal, 0)
    return float(np.linalg.norm(off) / max(np.linalg.norm(want), 1e-300) / UNIT)


def inputs(shape: tuple[int, ...], spread: float, *, spike: bool = False, mean: float = 0.0) -> np.ndarray | None:
    """Normal numbers; with ``spike`` one feature of each row is 200 times the others. None if float16 has no such."""
    x = np.random.default_rng([*shape, int(spike)]).normal(size=shape) * spread + mean
    if spike:
        x[(slice(None), 1, 0, 0) if len(shape) == 4 else (slice(None), shape[1] // 2)] = 200 * spread
    with np.errstate(over="ignore"):
        x = x.astype(np.float16)
    return x if np.isfinite(x).all() else None


def main() -> None:
    spreads = (1e-3, 1.0, 30.0, 1000.0)
    print("| function | " + " | ".join(f"{s:g}" for s in spreads) + " | 200 times, at 1 |\n|---|" + "---|" * 5)
    for name, f in (ROWS | IMAGES).items():
        cells = []
        for spread, spike in [*((s, False) for s in spreads), (1.0, True)]:
            shapes = [(2, 8, 9, 7), (4, 16, 32, 32)] if name in IMAGES else [(4, n) for n in (64, 768, 4096, 8192)]
            given = [x for s in shapes if (x := inputs(s, spread, spike=spike)) is not None]
            worst = np.max([errors(f, x) for x in given], axis=0)
            cells.append(f"{worst[0]:.1f}, {worst[1]:.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
