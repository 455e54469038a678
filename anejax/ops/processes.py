"""Primitives by which processes exchange values: sums, blocks, and the number of each process.

If there is one process, it gets its own values back. Otherwise the CPU device calls MPI, in eager calls as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Refused, Zero
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.ops.arithmetic import div
from anejax.ops.elementwise import convert_element_type
from anejax.ops.families import (
    ORDERED,
    batch_to,
    check_domain,
    instantiate,
    is_linear,
    linear_jvp,
    move_axis,
    primitive,
    reduce_sum_p,
)


@dataclasses.dataclass
class World:
    """The processes that compute together: their number, and the number of this one."""

    size: int = 1
    index: int = 0


SUMMED = (*dtypes.INTS, dtypes.float32, dtypes.float64)  # MPI has no 16-bit floats
WORLD = World()  # runtime/processes sets it

sum_p = primitive("process_sum", multiple_results=True)
gather_p = primitive("process_gather")
exchange_p = primitive("process_exchange")
permute_p = primitive("process_permute")
index_p = primitive("process_index")


def _alone(name: str) -> None:
    if WORLD.size > 1:
        raise RefusedError(f"[{name}] NumPy cannot reach other processes; set anejax.config.eager to 'auto'.")


# --- sums -------------------------------------------------------------------------------------------------------------


def _sum_abstract(*xs: Aval) -> list[Aval]:
    for x in xs:
        check_domain("process_sum", x, SUMMED)
        if x.dtype != xs[0].dtype:
            raise ShapeError(f"[process_sum] expected arrays of one dtype, got {', '.join(map(str, xs))}.")
    return list(xs)


def _sum_impl(*xs: np.ndarray) -> list[np.ndarray]:
    _alone("process_sum")
    return [x.copy() for x in xs]


def _sum_jvp(primals: Any, tangents: Any) -> Any:
    outs = sum_p.bind(*primals)
    there = [t for t in tangents if not isinstance(t, Zero)]
    sums = iter(sum_p.bind(*there) if there else ())
    return outs, [t if isinstance(t, Zero) else next(sums) for t in tangents]


def _sum_transpose(cts: Any, *xs: Any) -> Any:
    """Sums the cotangents of all processes, since each process's value is a part of every process's sum."""
    sums = iter(sum_p.bind(*(instantiate(ct) for ct, x in zip(cts, xs) if is_linear(x))))
    return [next(sums) if is_linear(x) else None for x in xs]


sum_p.fill(
    abstract=_sum_abstract,
    impl=_sum_impl,
    jvp=_sum_jvp,
    transpose=_sum_transpose,
    batch=lambda size, args, dims: (sum_p.bind(*args), list(dims)),
    mil=lambda ctx, *xs: ctx.emit_aj(values=xs),
    native_eager=True,
)


# --- gathering and exchange -------------------------------------------------------------------------------------------


def _gather_impl(x: np.ndarray, *, count: int) -> np.ndarray:
    _alone("process_gather")
    return x[None].copy()


def _gather_abstract(x: Aval, *, count: int) -> Aval:
    check_domain("process_gather", x, ORDERED)
    if count != WORLD.size:
        raise ShapeError(f"[process_gather] expected count={WORLD.size}, the number of processes, got {count}.")
    return x.update(shape=(count, *x.shape))


gather_p.fill(
    abstract=_gather_abstract,
    impl=_gather_impl,
    jvp=linear_jvp(gather_p),
    transpose=lambda ct, x, *, count: [reduce_sum_p.bind(exchange_p.bind(ct), axes=(0,))],
    batch=lambda size, args, dims, **params: (gather_p.bind(*args, **params), dims[0] + 1),
    mil=lambda ctx, x, *, count: ctx.emit_aj(x=x, size=count),
    native_eager=True,
)


def _along_second(prim: Any) -> Any:
    """The batching rule of a primitive of blocks of the first axis: the mapped axis comes second."""
    return lambda size, args, dims: (prim.bind(move_axis(batch_to(args[0], dims[0], size), 0, 1)), 1)


def _exchange_impl(x: np.ndarray) -> np.ndarray:
    _alone("process_exchange")
    return x.copy()


def _exchange_abstract(x: Aval) -> Aval:
    check_domain("process_exchange", x, ORDERED)
    if x.ndim == 0 or x.shape[0] != WORLD.size:
        raise ShapeError(f"[process_exchange] expected a block for each of {WORLD.size} processes, got {x}.")
    return x


exchange_p.fill(
    abstract=_exchange_abstract,
    impl=_exchange_impl,
    jvp=linear_jvp(exchange_p),
    transpose=lambda ct, x: [exchange_p.bind(ct)],
    batch=_along_second(exchange_p),
    mil=lambda ctx, x: ctx.emit_aj(x=x),
    native_eager=True,
)


# --- passing on -------------------------------------------------------------------------------------------------------


def _permute_abstract(x: Aval, *, pairs: tuple[tuple[int, int], ...]) -> Aval:
    check_domain("process_permute", x, ORDERED)
    for numbers in zip(*pairs):
        if len(set(numbers)) < len(numbers) or not all(0 <= n < WORLD.size for n in numbers):
            raise ShapeError(
                f"[process_permute] expected distinct sources and targets below {WORLD.size}, got {list(pairs)}."
            )
    return x


def _permute_impl(x: np.ndarray, *, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    _alone("process_permute")
    return x.copy() if pairs else np.zeros_like(x)


def _permute_mil(ctx: Any, x: Any, *, pairs: tuple[tuple[int, int], ...]) -> Any:
    return ctx.emit_aj(x=x, sources=[s for s, _ in pairs], targets=[t for _, t in pairs])


permute_p.fill(
    abstract=_permute_abstract,
    impl=_permute_impl,
    jvp=linear_jvp(permute_p),
    transpose=lambda ct, x, *, pairs: [permute_p.bind(ct, pairs=tuple((t, s) for s, t in pairs))],
    batch=lambda size, args, dims, **params: (permute_p.bind(*args, **params), dims[0]),
    mil=_permute_mil,
    native_eager=True,
)


# --- arrays that all processes have: their parts, and their derivatives -----------------------------------------------
#
# All processes have such an array, and its cotangent, alike. A process that reads one has a part of its cotangent only.

cut_p = primitive("process_cut")
join_p = primitive("process_join")
enter_p = primitive("process_enter")
leave_p = primitive("process_leave")


def _cut_abstract(x: Aval) -> Aval:
    check_domain("process_cut", x, ORDERED)
    if x.ndim == 0 or x.shape[0] % WORLD.size:
        raise ShapeError(f"[process_cut] expected a first axis that {WORLD.size} processes divide, got {x}.")
    return x.update(shape=(x.shape[0] // WORLD.size, *x.shape[1:]))


def _cut_impl(x: np.ndarray) -> np.ndarray:
    return np.split(x, WORLD.size)[WORLD.index].copy()


def _join_abstract(x: Aval) -> Aval:
    check_domain("process_join", x, ORDERED)
    if x.ndim == 0:
        raise ShapeError(f"[process_join] expected an array of rank 1 or more, got {x}.")
    return x.update(shape=(x.shape[0] * WORLD.size, *x.shape[1:]))


def _join_impl(x: np.ndarray) -> np.ndarray:
    _alone("process_join")
    return x.copy()


def _fill(prim: Any, transposed: Any, abstract: Any, impl: Any) -> None:
    prim.fill(
        abstract=abstract,
        impl=impl,
        jvp=linear_jvp(prim),
        transpose=lambda ct, x: [transposed.bind(ct)],
        batch=_along_second(prim),
        mil=lambda ctx, x: ctx.emit_aj(x=x, size=WORLD.size),
        native_eager=True,
    )


_fill(cut_p, join_p, _cut_abstract, _cut_impl)
_fill(join_p, cut_p, _join_abstract, _join_impl)


def _identity(prim: Any, transpose: Any) -> None:
    prim.fill(
        abstract=lambda x: x,
        impl=lambda x: x.copy(),
        jvp=linear_jvp(prim),
        transpose=lambda ct, x: [transpose(ct)],
        batch=lambda size, args, dims: (prim.bind(*args), dims[0]),
        mil=lambda ctx, x: ctx.emit_aj_named("copy", x=x),
    )


_identity(enter_p, lambda ct: process_sum([ct])[0])
_identity(leave_p, lambda ct: div(ct, WORLD.size))

NO_ARGUMENTS = Refused("it has no arguments")


def _index_impl() -> np.ndarray:
    return np.asarray(WORLD.index, np.int32)


index_p.fill(
    abstract=lambda: Aval((), dtypes.int32),
    impl=_index_impl,
    jvp=NO_ARGUMENTS,
    transpose=NO_ARGUMENTS,
    batch=NO_ARGUMENTS,
    mil=lambda ctx: ctx.emit_aj(),
)


# --- faces ------------------------------------------------------------------------------------------------------------


def process_sum(xs: Sequence[Any]) -> list[Any]:
    """Each of the arrays ``xs`` summed over all processes; those of one dtype go as one message.

    16-bit floats are summed in float32. MPI's own sums have one order for one number of processes and one network,
    though MPI does not promise it (MPI 4.1, section 6.9.1, advice to implementors).
    """
    outs: list[Any] = list(xs)
    by_dtype: dict[Any, list[int]] = {}
    wide = [_wide(x) for x in xs]
    for i, x in enumerate(wide):
        by_dtype.setdefault(aval_of(x).dtype, []).append(i)
    for places in by_dtype.values():
        for i, total in zip(places, sum_p.bind(*(wide[i] for i in places))):
            outs[i] = _as(total, xs[i])
    return outs


def _wide(x: Any) -> Any:
    """The array that MPI adds up instead of ``x``."""
    dtype = aval_of(x).dtype
    if dtype == dtypes.bool_:
        return convert_element_type(x, dtypes.int32)
    return convert_element_type(x, dtypes.float32) if dtype in (dtypes.float16, dtypes.bfloat16) else x


def _as(total: Any, x: Any) -> Any:
    dtype = aval_of(x).dtype
    return total if dtype == dtypes.bool_ or aval_of(total).dtype == dtype else convert_element_type(total, dtype)
