"""What crosses a named axis of ``vmap``: gathering along it, and the place on it. Other collectives are made of these.

Both are equations until the ``vmap`` that owns the name runs their ``collective`` rule, so no device ever sees them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive, Refused
from anejax.ops.families import batch_to, linear_jvp, reduce_sum_p
from anejax.ops.index import dynamic_index_in_dim

BOUND = Refused("vmap replaces it where it maps the axis of that name")

all_gather_p = Primitive("all_gather")
axis_index_p = Primitive("axis_index")


def _gather_abstract(x: Aval, *, axis_name: Any, axis_size: int) -> Aval:
    return x.update(shape=(axis_size, *x.shape))


def _gather_transpose(ct: Any, x: Any, *, axis_name: Any, axis_size: int) -> Any:
    """Every example gave its value to all, so it gets the sum of what all say of it."""
    total = reduce_sum_p.bind(all_gather_p.bind(ct, axis_name=axis_name, axis_size=axis_size), axes=(0,))
    return [dynamic_index_in_dim(total, axis_index_p.bind(axis_name=axis_name), 0, keepdims=False)]


def _gather_batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
    """Under the ``vmap`` of another name."""
    return all_gather_p.bind(*args, **params), dims[0] + 1


def _gather_collect(size: int, args: Any, dims: Any, **params: Any) -> Any:
    return batch_to(args[0], dims[0], size), None


all_gather_p.fill(
    abstract=_gather_abstract,
    impl=BOUND,
    jvp=linear_jvp(all_gather_p),
    transpose=_gather_transpose,
    batch=_gather_batch,
    mil=BOUND,
    collective=_gather_collect,
)

axis_index_p.fill(
    abstract=lambda *, axis_name: Aval((), dtypes.int32),
    impl=BOUND,
    jvp=Refused("it has no arguments"),
    transpose=Refused("it has no arguments"),
    batch=Refused("it has no arguments"),
    mil=BOUND,
    collective=lambda size, args, dims, *, axis_name: (np.arange(size, dtype=np.int32), 0),
)
