"""Functions for `anejax check` and `anejax estimate` to be given."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp

NUMBER = 3


def product(x: Any, y: Any) -> Any:
    return jnp.tanh(x @ y)


def sorted_twice(x: Any) -> Any:
    return jnp.cumsum(jnp.sort(x))


def broken(x: Any) -> Any:
    raise KeyError("weights")
