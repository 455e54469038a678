"""Functions that the engine lacks keep float16's digits where the plain formula cancels, at every number of float16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import anejax as aj
from anejax import lax
from anejax.config import config
from anejax.coreai import asset

UNIT = 2.0**-11  # one rounding is half of it to one
LEAST = 2.0**-14  # float16's smallest normal number
MOST = 5  # UNITs

# name: the function, its domain, and how it is in float64
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], tuple[float, float], Callable[[Any], Any]]] = {
    "log1p": (lax.log1p, (-0.999, 65504), np.log1p),
    "expm1": (lax.expm1, (-65504, 11), np.expm1),
    "sinh": (lax.sinh, (-11.7, 11.7), np.sinh),
    "atanh": (lax.atanh, (-0.9995, 0.9995), np.arctanh),
    "asinh": (lax.asinh, (-65504, 65504), np.arcsinh),
    "acosh": (lax.acosh, (1, 65504), np.arccosh),
    "erfc": (lax.erfc, (-65504, 65504), special.erfc),
}


def numbers(low: float, high: float) -> np.ndarray:
    """All numbers of float16 in a range, as rows of 32."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    inside = np.sort(every[np.isfinite(every) & (every >= low) & (every <= high)]).astype(np.float32)
    return np.concatenate([inside, np.full(-len(inside) % 32, inside[-1])]).reshape(-1, 32)


def error(name: str, **how: Any) -> float:
    """The largest relative error of normal results, in UNITs; that of others is in steps of float16's."""
    f, domain, exact = FUNCTIONS[name]
    x = numbers(*domain)
    got = np.asarray(aj.jit(f, **how)(x), np.float64)
    want = exact(x.astype(np.float64))
    size = np.maximum(np.abs(want), LEAST)
    return float(np.max(np.abs(got - want) / size) / UNIT)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_the_engines_numerics(name: str) -> None:
    assert 0 < error(name, precision="fp16") <= MOST


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_the_stand_in(name: str, espresso: Path) -> None:
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        assert 0 < error(name, device="ane") <= MOST


@pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_core_ai(name: str) -> None:
    with config.override("engine_fallback", "error"):
        assert 0 < error(name, device="coreai") <= MOST


def test_a_small_number_stays() -> None:
    """1 + 1e-4 is 1 in float16."""
    x = np.array([1e-4, -1e-4], np.float32)
    for f in (lax.log1p, lax.expm1, lax.asinh, lax.atanh, lax.sinh):
        np.testing.assert_allclose(aj.jit(f, precision="fp16")(x), x, rtol=2 * UNIT)
