"""Interpolation between the elements of an array, which other modules use."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

Node = tuple[Any, Any]  # (integer places along an axis, their weights)


def weighted(nodes: Sequence[Sequence[Node]], value_at: Callable[[tuple[Any, ...]], Any]) -> Any:
    """The sum over all corners, one node of each axis, of the product of their weights times the value there."""

    def term(corner: Sequence[Node]) -> Any:
        places, weights = zip(*corner)
        return functools.reduce(operator.mul, weights) * value_at(places)

    return functools.reduce(operator.add, map(term, itertools.product(*nodes)))
