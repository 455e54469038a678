"""jax.flatten_util on anejax: turns a pytree of arrays into one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import tree
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError

__all__ = [
    "ravel_pytree"
]  # fmt: skip


def ravel_pytree(pytree: Any) -> tuple[Array, Callable[[Any], Any]]:
    """The leaves of ``pytree``, flattened and joined in their common dtype, and the function back.

    The function back takes a vector of that length and dtype, and restores shapes and dtypes; it goes through every
    transformation.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.flatten_util import ravel_pytree
        >>> flat, back = ravel_pytree({"a": jnp.zeros(2), "b": jnp.ones((1, 2))})
        >>> flat, back(flat * 2)["b"]
        (Array([0., 0., 1., 1.], dtype=float32), Array([[2., 2.]], dtype=float32))
    """
    leaves, treedef = tree.flatten(pytree)
    avals = [aval_of(x) for x in leaves]
    if not leaves:
        return jnp.zeros(0), lambda flat: pytree
    flat = jnp.concatenate([jnp.ravel(x) for x in leaves])
    ends = np.cumsum([a.size for a in avals])[:-1].tolist()

    def unravel(flat_: Any) -> Any:
        given = aval_of(flat_)
        if given.shape != flat.shape:
            raise ShapeError(f"[ravel_pytree] expected a vector of type {flat.aval}, got {given}.")
        if given.dtype != flat.dtype:
            raise DtypeError(f"[ravel_pytree] expected a vector of type {flat.aval}, got {given}. Convert it first.")
        parts = jnp.split(flat_, ends)
        return tree.unflatten(treedef, [jnp.reshape(p, a.shape).astype(a.dtype) for p, a in zip(parts, avals)])

    return flat, unravel
