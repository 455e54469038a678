"""jax.typing on anejax: names for annotations.

Example:
    >>> from anejax.typing import ArrayLike
    >>> def norm(x: ArrayLike) -> "aj.Array": ...
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax.core.array import Array
from anejax.tree import PyTree as PyTree

__all__ = [
    "ArrayLike", "DTypeLike", "PyTree"
]  # fmt: skip

ArrayLike = Array | np.ndarray | np.generic | bool | int | float | complex
DTypeLike = str | type[Any] | np.dtype
