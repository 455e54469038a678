"""Products over groups of unequal sizes: one axis of the left operand is cut into consecutive groups.

Each group has its own right operand, or its own result. The product uses copies of the left operand, one for each
group, which are zero outside of the group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.numpy.operands import as_array, refuse
from anejax.ops.linear import dot_general
from anejax.ops.precision import check_precision
from anejax.ops.shape import check_axis

Dims = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class RaggedDotDimensionNumbers:
    """The axes that ``ragged_dot_general`` contracts, maps and cuts.

    Attributes:
        dot_dimension_numbers: ((lhs contracting, rhs contracting), (lhs batch, rhs batch)), as of ``dot_general``.
        lhs_ragged_dimensions: the one axis of lhs that is cut into groups.
        rhs_group_dimensions: the axis of rhs that counts groups, where lhs' axis is neither contracted nor mapped.
    """

    dot_dimension_numbers: tuple[tuple[Dims, Dims], tuple[Dims, Dims]]
    lhs_ragged_dimensions: Dims
    rhs_group_dimensions: Dims

    def __post_init__(self) -> None:
        numbers: Any = tuple(tuple(map(tuple, pair)) for pair in self.dot_dimension_numbers)
        object.__setattr__(self, "dot_dimension_numbers", numbers)
        object.__setattr__(self, "lhs_ragged_dimensions", tuple(self.lhs_ragged_dimensions))
        object.__setattr__(self, "rhs_group_dimensions", tuple(self.rhs_group_dimensions))


_ROWS = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
) -> Array:
    """Row i of ``lhs`` [m, k] times the matrix of its group in ``rhs`` [g, k, n]: [m, n].

    ``group_sizes`` [g] says how many rows belong to each group, in order; rows past the last group give zeros.
    """
    x, y, sizes = (as_array("ragged_dot", v) for v in (lhs, rhs, group_sizes))
    if x.ndim != 2 or y.ndim != 3 or sizes.shape != y.shape[:1] or x.shape[1] != y.shape[1]:
        raise ShapeError(f"[ragged_dot] expected [m,k], [g,k,n] and [g], got {x.aval}, {y.aval} and {sizes.aval}.")
    return ragged_dot_general(x, y, sizes, _ROWS, precision, preferred_element_type, group_offset)


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """``dot_general`` with an axis of ``lhs`` cut into g consecutive groups of ``group_sizes`` elements each.

    Three cases, by what that axis is (b are mapped axes, k contracted ones, m and n the others):

    * neither mapped nor contracted: [b..., m..., k...] and [g, b..., k..., n...] give [b..., m..., n...]; every row
      meets its group's part of ``rhs``, and rows past the last group give zeros;
    * contracted: [b..., m..., k...] and [b..., k..., n...] give [g, b..., m..., n...], a sum for each group;
    * mapped: ``dot_general`` itself, which groups do not change.

    Args:
        group_sizes: integers [g], or [..., g] with a leading axis for every axis of ``lhs`` before the ragged one:
            the mapped ones, then those of the ragged axis' own kind.
        ragged_dot_dimension_numbers: the axes.
        precision, preferred_element_type: as of ``dot_general``.

    Raises:
        ShapeError, DtypeError: axes, lengths or dtypes do not fit. RefusedError: a ``group_offset``.
    """
    check_precision("ragged_dot_general", precision)
    refuse("ragged_dot_general", out_sharding=out_sharding)
    if group_offset is not None:
        raise RefusedError("[ragged_dot_general] group_offset is not supported; slice rhs and group_sizes.")
    x, y, sizes = (as_array("ragged_dot_general", v) for v in (lhs, rhs, group_sizes))
    numbers = ragged_dot_dimension_numbers
    (x_sum, y_sum), (x_batch, y_batch) = numbers.dot_dimension_numbers
    if sizes.dtype not in dtypes.INTS or not sizes.ndim:
        raise DtypeError(f"[ragged_dot_general] expected integer group_sizes [..., g], got {sizes.aval}.")
    ragged = _one("lhs_ragged_dimensions", numbers.lhs_ragged_dimensions, x.ndim)
    rest = [a for a in range(x.ndim) if a not in (*x_sum, *x_batch)]
    kind = x_batch if ragged in x_batch else x_sum if ragged in x_sum else rest
    before = kind[: kind.index(ragged)]
    lead = tuple(before) if kind is x_batch else (*x_batch, *before)
    expected = tuple(x.shape[a] for a in lead)
    if sizes.ndim > 1 and sizes.shape[:-1] != expected:
        raise ShapeError(f"[ragged_dot_general] expected group_sizes [g] or [{expected}, g], got {sizes.aval}.")
    if kind is not rest and numbers.rhs_group_dimensions:
        raise ShapeError(
            f"[ragged_dot_general] expected no rhs_group_dimensions where the axis {ragged} of {x.aval} is contracted"
            f" or mapped, got {numbers.rhs_group_dimensions}."
        )
    types = precision, preferred_element_type
    if kind is x_batch:
        return dot_general(x, y, numbers.dot_dimension_numbers, *types)
    mine = _by_group(x, ragged, sizes, lead)
    moved = lambda axes: tuple(a + 1 for a in axes)  # noqa: E731  behind the axis of groups
    if kind is x_sum:
        place = kind.index(ragged)
        theirs = _by_group(y, y_sum[place], sizes, (*y_batch, *y_sum[:place]))
        pairs = ((moved(x_sum), moved(y_sum)), ((0, *moved(x_batch)), (0, *moved(y_batch))))
        return dot_general(mine, theirs, pairs, *types)
    group = _one("rhs_group_dimensions", numbers.rhs_group_dimensions, y.ndim)
    if group in (*y_sum, *y_batch) or y.shape[group] != sizes.shape[-1]:
        raise ShapeError(
            f"[ragged_dot_general] expected an axis of rhs of length {sizes.shape[-1]}, neither contracted nor mapped,"
            f" for the groups, got {group} of {y.aval}."
        )
    return dot_general(mine, y, (((*moved(x_sum), 0), (*y_sum, group)), (moved(x_batch), y_batch)), *types)


def _one(what: str, axes: Sequence[int], rank: int) -> int:
    if len(axes) != 1 or axes[0] < 0:
        raise ShapeError(f"[ragged_dot_general] expected one axis from the front in {what}, got {tuple(axes)}.")
    return check_axis("ragged_dot_general", axes[0], rank)


def _by_group(x: Any, axis: int, sizes: Any, lead: Sequence[int]) -> Any:
    """[g, *x.shape]: ``x``, zero outside of each group of ``axis``; ``sizes`` is [g], or has axes ``lead`` before."""
    shape = [1] * x.ndim
    if sizes.ndim > 1:
        shape = [x.shape[a] if a in lead else 1 for a in range(x.ndim)]
        sizes = jnp.transpose(sizes, (len(lead), *np.argsort(lead).tolist()))
    sizes = jnp.reshape(sizes, (sizes.shape[0], *shape))
    ends = jnp.cumsum(sizes, 0)
    places = jnp.arange(x.shape[axis]).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return jnp.where((places >= ends - sizes) & (places < ends), x, np.zeros((), x.dtype))
