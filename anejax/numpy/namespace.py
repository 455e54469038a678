"""``__array_namespace_info__``, by which the array API standard asks for the namespace's properties."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.devices import CPU, devices
from anejax.config import config
from anejax.errors import DeviceError

ARRAY_API_VERSION = "2024.12"
_KINDS = {
    "bool": (dtypes.bool_,),
    "signed integer": dtypes.SIGNED,
    "unsigned integer": dtypes.UNSIGNED,
    "integral": dtypes.INTS,
    "real floating": (dtypes.float32, dtypes.float64),
    "complex floating": dtypes.COMPLEX,
    "numeric": (*dtypes.INTS, dtypes.float32, dtypes.float64, *dtypes.COMPLEX),
}


class ArrayNamespaceInfo:
    """Dtypes, devices and capabilities of ``anejax.numpy``, as the array API standard has them.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.__array_namespace_info__().default_dtypes()["integral"]
        dtype('int32')
    """

    def capabilities(self) -> dict[str, Any]:
        """Whether results may have shapes that depend on values (under ``jit`` they may not), and the greatest rank."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 64}

    def default_device(self) -> Any:
        """None: arrays lie in host memory, whichever device computes."""

    def devices(self) -> list[Any]:
        """The devices that ``device=`` takes; None is the default."""
        return [None, *devices()]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of arrays of Python's numbers, by kind."""
        self._check(device)
        wide = {"real floating": dtypes.float64, "complex floating": dtypes.complex128, "integral": dtypes.int64,
                "indexing": dtypes.int64}  # fmt: skip
        return {kind: dtypes.canonical(dtype) for kind, dtype in wide.items()}

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, np.dtype]:
        """The dtypes of the standard that arrays have here, those of 64 bits while they are turned on.

        Args:
            kind: "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating",
                "numeric", or a tuple of those.

        Raises:
            ValueError: there is no such kind.
        """
        self._check(device)
        kinds = ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        unknown = [k for k in kinds if k not in _KINDS]
        if unknown:
            raise ValueError(f"[dtypes] expected kinds of {', '.join(_KINDS)}, got {unknown[0]!r}.")
        found = {d.name: d for k in kinds for d in _KINDS[k]}
        return {n: d for n, d in found.items() if config.jax_enable_x64 or dtypes.canonical(d) == d}

    @staticmethod
    def _check(device: Any) -> None:
        if device is not None and device not in devices() and device != CPU:
            raise DeviceError(f"[__array_namespace_info__] expected a device of {devices()}, got {device!r}.")


def check_version(api_version: str | None) -> None:
    """Raises ValueError for a version of the standard that is not here."""
    if api_version is not None and api_version not in ("2021.12", "2022.12", "2023.12", ARRAY_API_VERSION):
        raise ValueError(
            f"[__array_namespace__] expected a version of the array API up to {ARRAY_API_VERSION}, got {api_version!r}."
        )
