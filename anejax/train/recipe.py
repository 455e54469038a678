"""Recipes: everything that decides how a run goes, as JSON values beside its checkpoints."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, Self

_KINDS = {"str": str, "int": int, "bool": bool, "float": (int, float)}


class Recipe:
    """Base of frozen dataclasses whose fields are strings, bools and numbers.

    Equal recipes give equal runs on one machine. A subclass may refuse values in ``__post_init__`` by a ValueError.
    """

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of ``to_json``. Raises ValueError when a field is missing, wrong or unknown."""
        items = fields(cls)  # type: ignore[arg-type]
        for item in items:
            if not isinstance(values.get(item.name), _KINDS[str(item.type)]):
                raise ValueError(f"field {item.name!r} of the recipe is missing or wrong")
        if unknown := sorted(set(values) - {item.name for item in items}):
            raise ValueError(f"field {unknown[0]!r} is not of this recipe")
        return cls(**values)
