"""The rule for matrix products: all of them become MIL's matmul."""

from __future__ import annotations

import math
from typing import Any

from anejax.core.graph import Var
from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.mil.hazards import CONTRACTION
from anejax.mil.limits import COREML_MAX_RANK, LIMITS
from anejax.mil.opset import OPSET
from anejax.ops import shape as S
from anejax.ops.linear import dot_general, free_dims, matmul_flags
from anejax.ops.reduce import reduce_sum
from anejax.passes.legalize.constants import scalar, times
from anejax.passes.legalize.rules import as_it_is, families, maker, rule, traced

Dims = tuple[int, ...]

LEAST_FACTOR = 2.0**-6  # a smaller one would bring operands below float16's normal numbers
SHORTEST = 64  # the shortest part, so that an axis of a prime length is not cut into single elements


@rule("dot_general")
def _dot_general(x: Any, y: Any, *, dimension_numbers: Any, preferred_element_type: Any) -> Any:
    """One matmul of [batch, rows, inner] and [batch, inner, columns], reshapes and transposes around it.

    Axes that are longer than the engine's limit are cut in parts, which become part of the batch. Parts of ``inner``
    are added afterwards. This also limits the length of sums, which overflow at 32768 (docs/sources.md, "Sums").
    Scaling an operand down and the result up again would gain one bit only, because float16 ends at 65504, and would
    lose small products.
    """
    found = _of_sources(x, y, dimension_numbers) if families() else None
    if found is not None:
        return dot_general(*found, preferred_element_type=preferred_element_type)
    (xc, yc), (xb, yb) = dimension_numbers
    ax, ay = aval_of(x), aval_of(y)
    xf, yf = free_dims(ax.ndim, xc, xb), free_dims(ay.ndim, yc, yb)
    batch, rows, columns = (tuple(a.shape[i] for i in axes) for a, axes in ((ax, xb), (ax, xf), (ay, yf)))
    lead, m, n, k = (math.prod(s) for s in (batch, rows, columns, (ax.shape[i] for i in xc)))
    pm, pn, pk = _parts(m), _parts(n), _parts(k)
    whole = pm == pn == pk == 1
    if whole and ax.ndim <= _most_axes() and matmul_flags(ax, ay, dimension_numbers) is not None:
        return NotImplemented
    left, left_inner = _matrices(x, xb, xf, xc, pm, pk)
    right, right_inner = _matrices(y, yb, yf, yc, pn, pk)
    left = _repeated(left, (lead * pm, pk), pn)
    right = _repeated(right, (lead, pn * pk), pm)
    if whole and not batch:
        left, right = (S.reshape(a, aval_of(a).shape[1:]) for a in (left, right))
    first = 0 if whole and not batch else 1
    lead_axes = ((0,),) * 2 if first else ((), ())
    out = dot_general(left, right, (((first + left_inner,), (first + right_inner,)), lead_axes),
                      preferred_element_type=preferred_element_type)  # fmt: skip
    if pk > 1:
        out = reduce_sum(S.reshape(out, (lead * pm * pn, pk, m // pm, n // pn)), (1,))
    if pn > 1:
        out = S.transpose(S.reshape(out, (lead * pm, pn, m // pm, n // pn)), (0, 2, 1, 3))
    return S.reshape(out, batch + rows + columns)


def _of_sources(x: Any, y: Any, numbers: Any) -> tuple[Any, Any, Any] | None:
    """The operands of a product, and its numbers, with the arrays of which they are transposes; None where they are of
    none, or where that would be no product of matrices as they are."""
    (xc, yc), (xb, yb) = numbers
    sources = [_transposed_of(v) or (v, tuple(range(aval_of(v).ndim))) for v in (x, y)]
    if sources[0][0] is x and sources[1][0] is y:
        return None
    (x, xp), (y, yp) = sources
    moved = ((tuple(xp[a] for a in xc), tuple(yp[a] for a in yc)), (tuple(xp[a] for a in xb), tuple(yp[a] for a in yb)))
    return None if matmul_flags(aval_of(x), aval_of(y), moved) is None else (x, y, moved)


def _transposed_of(x: Any) -> tuple[Any, Dims] | None:
    """(array, permutation) if ``x`` is a transpose, maybe with more leading axes of length 1."""
    made = maker(x)
    if made is None or made.primitive.name not in ("transpose", "reshape") or not isinstance(made.inputs[0], Var):
        return None
    source = traced(made.inputs[0])
    if made.primitive.name == "transpose":
        return source, made.params["permutation"]
    more = _more_axes(aval_of(x).shape, aval_of(source).shape)
    found = _transposed_of(source) if more else None
    if found is None:
        return None
    source, permutation = found
    return S.reshape(source, (1,) * more + aval_of(source).shape), (*range(more), *(p + more for p in permutation))


def _more_axes(shape: Dims, of: Dims) -> int:
    """The number of axes of length 1 that ``shape`` has before those of ``of``; 0 if it differs otherwise."""
    more = max(len(shape) - len(of), 0)
    return more if shape == (1,) * more + of else 0


@rule("transpose", targets=("ane",))
def _transpose(x: Any, *, permutation: Any) -> Any:
    """The transpose of one matrix that is a product is the product in the other order: so gradients of weights that
    were used transposed are written once."""
    made = maker(x)
    if made is None or made.primitive.name not in ("dot_general", "reshape"):
        return NotImplemented
    args = [traced(v) for v in made.inputs if isinstance(v, Var)]
    if made.primitive.name == "reshape":
        more = _more_axes(aval_of(args[0]).shape, aval_of(x).shape) if args else 0
        first = maker(args[0]) if more else None
        if first is None or first.primitive.name != "dot_general":
            return NotImplemented
        turned = S.transpose(args[0], (*range(more), *(p + more for p in permutation)))
        return S.reshape(turned, aval_of(turned).shape[more:])
    lead, rank = aval_of(x).shape[:-2], aval_of(x).ndim
    (xc, yc), (xb, yb) = made.params["dimension_numbers"]
    swaps = rank >= 2 and tuple(permutation) == (*range(rank - 2), rank - 1, rank - 2)
    if len(args) < 2 or not swaps or math.prod(lead) != 1 or len(xb) != len(lead):
        return NotImplemented
    preferred = made.params["preferred_element_type"]
    return as_it_is(made.primitive, args[1], args[0], dimension_numbers=((yc, xc), (yb, xb)),
                    preferred_element_type=preferred)  # fmt: skip


def scaled(prim: Primitive, x: Any, y: Any) -> Any:
    """A product of matrices times a constant below 1, as attention computes its scores: the smaller operand is
    multiplied by the constant first, so that the product ends where the result would, and not at 32768.
    NotImplemented for anything else."""
    if prim.name == "mul" and scalar(x) is not None:
        x, y = y, x
    factor = scalar(y)
    if factor and prim.name == "div":
        factor = 1 / factor
    if not factor or not LEAST_FACTOR <= abs(factor) < 1:
        return NotImplemented
    return _product_times(x, factor)


def _product_times(x: Any, factor: float) -> Any:
    made = maker(x)
    if made is None or made.primitive.name not in ("dot_general", "reshape", "transpose"):
        return NotImplemented
    args = [traced(v) if isinstance(v, Var) else v.value for v in made.inputs]
    if made.primitive.name == "dot_general":
        small = min((0, 1), key=lambda i: aval_of(args[i]).size)
        args[small] = times(args[small], factor)
    else:
        args[0] = _product_times(args[0], factor)
    return NotImplemented if args[0] is NotImplemented else as_it_is(made.primitive, *args, **made.params)


def _matrices(x: Any, batch: Dims, free: Dims, inner: Dims, parts: int, inner_parts: int) -> tuple[Any, int]:
    """``x`` as matrices [batch and parts of free, parts of inner, ...], and which of the two axes that follow is inner:
    the one for which less is transposed."""
    inner_first = batch + free + inner != tuple(range(aval_of(x).ndim)) == batch + inner + free
    x = S.transpose(x, batch + (inner + free if inner_first else free + inner))
    shape, lead = aval_of(x).shape, len(batch)
    middle = lead + (len(inner) if inner_first else len(free))
    b, one, other = (math.prod(s) for s in (shape[:lead], shape[lead:middle], shape[middle:]))
    if parts == inner_parts == 1:
        return S.reshape(x, (b, 1, one, other)), 0 if inner_first else 1
    if inner_first:
        x = S.reshape(x, (b, inner_parts, one // inner_parts, parts, other // parts))
        x = S.transpose(x, (0, 3, 1, 2, 4))
    else:
        x = S.reshape(x, (b, parts, one // parts, inner_parts, other // inner_parts))
        x = S.transpose(x, (0, 1, 3, 2, 4))
    return S.reshape(x, (b * parts, *aval_of(x).shape[2:])), 0 if inner_first else 1


def _repeated(x: Any, outer: Dims, times: int) -> Any:
    """Matrices of ``outer`` batches, each of the first repeated ``times``, as one batch."""
    matrix = aval_of(x).shape[-2:]
    x = S.reshape(x, (*outer, *matrix))
    if times > 1:
        x = S.broadcast_in_dim(x, (outer[0], times, outer[1], *matrix), (0, 2, 3, 4))
    return S.reshape(x, (math.prod(outer) * times, *matrix))


def _parts(size: int) -> int:
    """In how many equal parts an axis goes into a product: the fewest, 1 for an axis that has none of use."""
    limits = [n for f in families() for n in (LIMITS[f].max_extent, LIMITS[f].max_contraction, CONTRACTION)]
    longest = min(limits, default=size)
    cuts = (p for p in range(-(-size // longest), size // SHORTEST + 1) if size % p == 0)
    return next(cuts, 1) if size > longest else 1


def _most_axes() -> int:
    engine = OPSET["matmul"].engine
    return engine.max_rank if families() and engine else COREML_MAX_RANK
