"""vmap over each axis of each argument, and over several at once, is the stack of single calls."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import anejax as aj
from anejax import dtypes
from tests.op_samples import Case, Row
from tests.ops.checks import MAPPED_ROWS, allowed, arguments, bind, close, describe, exact, wide

SIZE = 2


def layouts(args: Sequence[np.ndarray]) -> Iterator[tuple[int | None, ...]]:
    """Each argument alone along each axis, all of them first, all last, and axes mixed."""
    for i, a in enumerate(args):
        for axis in range(a.ndim + 1):
            yield tuple(axis if j == i else None for j in range(len(args)))
    if len(args) > 1:
        yield (0,) * len(args)
        yield tuple(a.ndim for a in args)
        yield tuple(0 if i % 2 else a.ndim for i, a in enumerate(args))
        for left_out in range(len(args)):
            yield tuple(None if i == left_out else 0 for i in range(len(args)))


def mapped(row: Row, case: Case, axes: Sequence[int | None], dtype: Any) -> tuple[list[Any], list[list[Any]]]:
    """(arguments with mapped axes, the arguments of each single call)."""
    first = arguments(row, case, dtype)
    # another example has other elements: reversed, so that they stay in the operation's domain
    second = [np.flip(a) if ax is not None else a for a, ax in zip(first, axes)]
    whole = [a if ax is None else np.stack([a, b], ax) for a, b, ax in zip(first, second, axes)]
    return whole, [first, second]


@MAPPED_ROWS
def test_vmap_is_the_stack_of_calls(row: Row) -> None:
    dtype = dtypes.float64 if dtypes.float64 in row.dtypes else row.dtypes[0]
    with wide():
        for case in row.cases:
            for axes in itertools.islice(layouts(arguments(row, case, dtype)), 24):
                whole, singles = mapped(row, case, axes, dtype)
                function = lambda *a, p=case.params: bind(row, a, p)  # noqa: E731
                got = aj.vmap(function, in_axes=tuple(axes))(*whole)
                want = [bind(row, a, case.params) for a in singles]
                for i, out in enumerate(got):
                    stacked = np.stack([np.asarray(w[i]) for w in want])
                    what = f"{describe(row, case, dtype)} in_axes {axes}"
                    assert out.dtype == stacked.dtype, what
                    if (row.sums or row.ulp) and out.dtype in dtypes.INEXACT:
                        bounds = [
                            allowed(row, case, a, np.asarray(w[i]), out.dtype, row.ulp) for a, w in zip(singles, want)
                        ]
                        close(what, out, stacked, np.stack(bounds) if row.sums else np.maximum(*bounds))
                    else:
                        exact(what, out, stacked)


@MAPPED_ROWS
def test_a_mapped_axis_of_no_length(row: Row) -> None:
    """Sizes 0 and 1 of the mapped axis itself."""
    case = row.cases[0]
    dtype = dtypes.float64 if dtypes.float64 in row.dtypes else row.dtypes[0]
    with wide():
        args = arguments(row, case, dtype)
        single = bind(row, args, case.params)
        for size in (0, 1) if args else ():
            whole = [np.stack([a] * size) if size else np.zeros((0, *a.shape), a.dtype) for a in args]
            got = aj.vmap(lambda *a: bind(row, a, case.params))(*whole)
            assert [g.shape for g in got] == [(size, *s.shape) for s in single], f"{row.name} size {size}"
