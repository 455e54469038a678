"""Recipes: all settings that decide how a run proceeds, as JSON values beside its checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Self, TypeVar

import anejax as aj
from anejax.errors import AnejaxError
from anejax.records import Between, check, decode

T = TypeVar("T")
# ranges of fields; a recipe may come with a checkpoint from anyone
Size = Annotated[int, Between(1, (1 << 32) - 1)]
Seed = Annotated[int, Between(0, (1 << 32) - 1)]
Positive = Annotated[float, Between(0.0, sys.float_info.max)]
Name = Annotated[str, Between(0, 4096)]  # also of a file


class RecipeError(AnejaxError, ValueError):
    """A recipe has a value that its field cannot have."""


class Recipe:
    """Base of frozen dataclasses whose fields are strings, bools and numbers in ranges (``records``).

    Equal recipes give equal runs on one machine. A subclass may refuse further values in ``__post_init__``.
    """

    def __post_init__(self) -> None:
        try:
            check(self)
        except ValueError as err:
            raise RecipeError(f"[train] {err}.") from None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The inverse of ``to_json``. Raises ValueError when a field is missing, wrong or unknown."""
        return decode(cls, values)


def initial(make: Callable[[], T], resumed: bool) -> T:
    """The state in which a run starts; of a resumed run its types alone, since its checkpoint has the values.

    So sizes in a recipe from elsewhere take no memory before they are compared with the checkpoint.
    """
    return aj.eval_shape(make) if resumed else make()
