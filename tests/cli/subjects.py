"""Functions for `anejax check` and `anejax estimate` to be given."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import lax

NUMBER = 3


def product(x: Any, y: Any) -> Any:
    return jnp.tanh(x @ y)


def sorted_inverse(x: Any) -> Any:
    return lax.erf_inv(jnp.sort(x))


def broken(x: Any) -> Any:
    raise KeyError("weights")
