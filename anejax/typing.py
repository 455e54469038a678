"""jax.typing on anejax: names for annotations.

Example:
    >>> from anejax.typing import ArrayLike
    >>> def norm(x: ArrayLike) -> "aj.Array": ...
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax.core.array import Array

__all__ = [
    "ArrayLike", "DTypeLike"
]  # fmt: skip

ArrayLike = Array | np.ndarray | np.generic | bool | int | float | complex
DTypeLike = str | type[Any] | np.dtype
