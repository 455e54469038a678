"""jax.dlpack on anejax: shares the memory of arrays with other libraries on the host."""

from __future__ import annotations

from typing import Any

from anejax import dtypes
from anejax.numpy.creation import from_dlpack as from_dlpack

__all__ = [
    "from_dlpack", "is_supported_dtype"
]  # fmt: skip


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of ``dtype`` can be handed over by DLPack.

    Example:
        >>> from anejax import dlpack
        >>> dlpack.is_supported_dtype("float32"), dlpack.is_supported_dtype("bfloat16")
        (True, False)
    """
    return dtypes.canonical(dtype) != dtypes.bfloat16
