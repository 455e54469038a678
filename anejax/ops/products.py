"""scatter_mul. Its derivative needs, for each update, the product of all other updates of the same element."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.primitive import Primitive, Zero
from anejax.core.trace import aval_of
from anejax.ops.arithmetic import add, eq, mul, select_n
from anejax.ops.families import NUMBER, add_any, full_like
from anejax.ops.index import read_updates, scatter_add_p, scatter_face, scatter_primitive
from anejax.ops.reduce import shifted
from anejax.ops.shape import as_dtype, broadcasted_iota, reshape, rev
from anejax.ops.sort import sort_p, take_along

_NOWHERE = 0  # the target of updates that are dropped; the elements of the operand count from 1


def _products_before(targets: Any, values: Any) -> Any:
    """For each value, the product of the values before it that have the same target; ``targets`` are sorted."""
    one = full_like(values, 1)

    def before(v: Any, by: int) -> Any:
        return select_n(eq(shifted(targets, by, 0, -1), targets), one, shifted(v, by, 0, 1))

    products, by = before(values, 1), 1
    while by < aval_of(values).size:
        products = mul(products, before(products, by))
        by *= 2
    return products


def _others(x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    """For each update, the product of the other updates of the same element.

    The updates are sorted by element, and those on both sides are multiplied in log2(n) steps. Nothing is divided, so
    zeros among the updates need no care and derivatives of every order hold.
    """
    operand, aval = aval_of(x), aval_of(updates)
    names = reshape(broadcasted_iota(np.int32, (operand.size,), 0), operand.shape)
    targets = reshape(read_updates(add(names, 1), indices, aval, **params), (aval.size,))
    values = reshape(as_dtype(updates, dtypes.float32) if aval.dtype.itemsize == 2 else updates, (aval.size,))
    values = select_n(eq(targets, full_like(targets, _NOWHERE)), values, full_like(values, 1))
    places = broadcasted_iota(np.int32, (aval.size,), 0)
    targets, order = sort_p.bind(targets, places, dimension=0, num_keys=1)
    _, back = sort_p.bind(order, places, dimension=0, num_keys=1)
    values = take_along(values, order, 0)
    after = rev(_products_before(rev(targets, (0,)), rev(values, (0,))), (0,))
    products = take_along(mul(_products_before(targets, values), after), back, 0)
    return as_dtype(reshape(products, aval.shape), aval.dtype)


def _jvp(prim: Primitive) -> Any:
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        (x, indices, updates), (dx, _, du) = primals, tangents
        out = prim.bind(*primals, **params)
        total: Any = Zero(aval_of(out).tangent())
        if not isinstance(dx, Zero):
            total = prim.bind(dx, indices, updates, **params)
        if not isinstance(du, Zero):
            if not params["unique_indices"] and np.prod(aval_of(indices).shape[:-1]) > 1:
                du = mul(du, _others(x, indices, updates, **params))
            changes = scatter_add_p.bind(full_like(x, 0), indices, du, **params)
            total = add_any(total, mul(x, changes))
        return out, total

    return jvp


def _transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    return [scatter_mul_p.bind(ct, indices, updates, **params), None, None]


scatter_mul_p = scatter_primitive("scatter_mul", np.multiply.at, domain=NUMBER, jvp=_jvp, transpose=_transpose)
scatter_mul = scatter_face(scatter_mul_p, "times")
