"""Constructors of primitives, which derive most rules of common kinds of primitives (unary, binary, reductions, ...).

Operands of elementwise primitives have equal shapes, or rank 0, which stands for every element. This one exception to
equal shapes keeps scalars out of broadcasts, in Graphs and in eager calls alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Linear, Primitive, Refused, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError

ANY = dtypes.ALL
ORDERED = dtypes.REAL
NUMBER = dtypes.INTS + dtypes.INEXACT
REAL_NUMBER = dtypes.INTS + dtypes.FLOATS
FLOAT = dtypes.FLOATS
INEXACT = dtypes.INEXACT
INT = dtypes.INTS
BOOL_INT = (dtypes.bool_,) + dtypes.INTS

INTEGER_OUTPUT = Refused("its output is not differentiable (integers or booleans)")
NOT_LINEAR = Refused("not linear in any argument")

Rule = Callable[..., Any]


def primitive(name: str, **kwargs: Any) -> Primitive:
    """The primitive ``name``: a new one, or the forward declaration below that its room is about to fill."""
    return FORWARD.pop(name, None) or Primitive(name, **kwargs)


# The rules below need these four; their rooms (arithmetic, shape, reduce) fill them.
FORWARD = {name: Primitive(name) for name in ("add", "broadcast_in_dim", "reduce_sum", "transpose")}
add_p, broadcast_in_dim_p, reduce_sum_p, transpose_p = FORWARD.values()


# --- avals of elementwise primitives ----------------------------------------------------------------------------------


def check_domain(name: str, aval: Aval, domain: Sequence[np.dtype]) -> None:
    if aval.dtype not in domain:
        raise DtypeError(f"[{name}] expected {domain_name(domain)}, got {aval}. Convert with x.astype(...).")


def domain_name(domain: Sequence[np.dtype]) -> str:
    names = {FLOAT: "a float array", INT: "an integer array", NUMBER: "an integer, float or complex array",
             REAL_NUMBER: "an integer or float array", INEXACT: "a float or complex array",
             BOOL_INT: "an integer or bool array", ORDERED: "an array of ordered elements (not complex)",
             dtypes.COMPLEX: "a complex array"}  # fmt: skip
    return names.get(tuple(domain)) or "an array of " + ", ".join(d.name for d in domain)


def joint_shape(name: str, avals: Sequence[Aval]) -> tuple[int, ...]:
    """The one shape of the operands that have a rank."""
    shapes = {a.shape for a in avals if a.shape}
    if len(shapes) > 1:
        raise ShapeError(
            f"[{name}] expected equal shapes (or rank 0), got {', '.join(map(str, avals))}."
            " anejax.numpy functions broadcast; lax functions only stretch axes of length 1."
        )
    return shapes.pop() if shapes else ()


def stretch(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands of one rank with axes of length 1 made as long as the other's, as functions of jax.lax do.

    Others come back as they are: the primitive takes equal shapes and rank 0, and refuses the rest.
    """
    one, two = (getattr(v, "shape", ()) for v in (x, y))
    if one == two or len(one) != len(two) or any(a != b and 1 not in (a, b) for a, b in zip(one, two)):
        return x, y
    shape = tuple(b if a == 1 else a for a, b in zip(one, two))
    axes = tuple(range(len(shape)))
    return tuple(
        v if v.shape == shape else broadcast_in_dim_p.bind(v, shape=shape, broadcast_dimensions=axes) for v in (x, y)
    )  # type: ignore[return-value]


def joint_dtype(name: str, avals: Sequence[Aval]) -> np.dtype:
    if len({a.dtype for a in avals}) > 1:
        raise DtypeError(
            f"[{name}] expected equal dtypes, got {', '.join(map(str, avals))}."
            " anejax.numpy functions promote; lax functions do not: convert with x.astype(...)."
        )
    return avals[0].dtype


def is_python_scalar(x: Any) -> bool:
    """Whether ``x`` is Python's own number; NumPy's float64 is a subclass of float and has a dtype."""
    return type(x) in (bool, int, float, complex)


# --- small steps that rules share -------------------------------------------------------------------------------------


def expand(x: Any, shape: tuple[int, ...]) -> Any:
    """Broadcasts a rank-0 ``x`` to ``shape``; anything else has that shape already."""
    if aval_of(x).shape == shape:
        return x
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=())


def sum_to(ct: Any, aval: Aval) -> Any:
    """The cotangent of an operand of type ``aval`` that may have stood for every element."""
    shape = aval_of(ct).shape
    if shape == aval.shape:
        return ct
    return reduce_sum_p.bind(ct, axes=tuple(range(len(shape))))


def zeros(aval: Aval) -> Any:
    """An array of zeros of ``aval``."""
    scalar = np.zeros((), aval.dtype)
    return expand(scalar, aval.shape) if aval.shape else scalar


def full_like(x: Any, fill: Any) -> Any:
    aval = aval_of(x)
    return expand(np.asarray(fill, aval.dtype), aval.shape)


def instantiate(t: Any) -> Any:
    """A ``Zero`` as an array of zeros; anything else as it is."""
    return zeros(t.aval) if isinstance(t, Zero) else t


def add_any(x: Any, y: Any) -> Any:
    """The sum of two tangents or cotangents."""
    if isinstance(x, Zero):
        return y
    if isinstance(y, Zero):
        return x
    return add_p.bind(x, y)


# --- batching of elementwise primitives -------------------------------------------------------------------------------


def move_axis(x: Any, source: int, target: int) -> Any:
    """``x`` with axis ``source`` at ``target``."""
    if source == target:
        return x
    perm = [i for i in range(aval_of(x).ndim) if i != source]
    perm.insert(target, source)
    return transpose_p.bind(x, permutation=tuple(perm))


def batch_to(x: Any, dim: int | None, size: int, target: int = 0) -> Any:
    """``x`` with its mapped axis at ``target``. If ``x`` is not mapped, it is broadcast."""
    if dim is not None:
        return move_axis(x, dim, target)
    shape = aval_of(x).shape
    out = shape[:target] + (size,) + shape[target:]
    dims = tuple(i for i in range(len(out)) if i != target)
    return broadcast_in_dim_p.bind(x, shape=out, broadcast_dimensions=dims)


def align_elementwise(size: int, args: Sequence[Any], dims: Sequence[int | None]) -> tuple[list[Any], int]:
    """Arguments of an elementwise primitive brought to one shape with one mapped axis. (args, that axis)."""
    ranks = [aval_of(a).ndim - (d is not None) for a, d in zip(args, dims)]
    rank = max(ranks)
    known = [d for d, r in zip(dims, ranks) if d is not None and r == rank]
    axis = known[0] if known else 0
    full = next(
        (aval_of(a).shape[:d] + aval_of(a).shape[d + 1 :] if d is not None else aval_of(a).shape)
        for a, d, r in zip(args, dims, ranks)
        if r == rank
    )
    target = full[:axis] + (size,) + full[axis:]
    out = []
    for a, d, r in zip(args, dims, ranks):
        if d is None and r == 0:
            out.append(a)  # a scalar still stands for every element
        elif r < rank:  # a mapped scalar beside arrays
            out.append(broadcast_in_dim_p.bind(a, shape=target, broadcast_dimensions=(axis,)))
        else:
            out.append(batch_to(a, d, size, axis))
    return out, axis


def elementwise_batch(prim: Primitive) -> Rule:
    def batch(size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any) -> Any:
        args, axis = align_elementwise(size, args, dims)
        out = prim.bind(*args, **params)
        return (out, [axis] * len(out)) if prim.multiple_results else (out, axis)

    return batch


# --- derivatives ------------------------------------------------------------------------------------------------------


def jvp_by_argument(prim: Primitive, rules: Sequence[Rule | None]) -> Rule:
    """A JVP rule from one rule ``(tangent, out, *args, **params)`` per argument (None: not differentiable in it)."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = prim.bind(*primals, **params)
        aval = aval_of(out)
        total: Any = Zero(aval.tangent())
        for rule, tangent in zip(rules, tangents, strict=True):
            if rule is not None and not isinstance(tangent, Zero):
                term = rule(tangent, out, *primals, **params)
                if not isinstance(term, Zero):
                    term = expand(term, aval.shape)
                total = add_any(total, term)
        return out, total

    return jvp


def zero_jvp(prim: Primitive) -> Rule:
    """The JVP of a primitive with integer or piecewise constant output."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = prim.bind(*primals, **params)
        if prim.multiple_results:
            return out, [Zero(aval_of(o).tangent()) for o in out]
        return out, Zero(aval_of(out).tangent())

    return jvp


def linear_jvp(prim: Primitive) -> Rule:
    """The JVP of a primitive linear in its first argument (others are indices or carry no tangent)."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = prim.bind(*primals, **params)
        if isinstance(tangents[0], Zero):
            return out, Zero(aval_of(out).tangent())
        return out, prim.bind(tangents[0], *primals[1:], **params)

    return jvp


def bilinear_jvp(prim: Primitive) -> Rule:
    """The JVP of a product: linear in each of two arguments."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x, y), (dx, dy) = primals, tangents
        out = prim.bind(x, y, **params)
        total: Any = Zero(aval_of(out).tangent())
        if not isinstance(dx, Zero):
            total = add_any(total, prim.bind(dx, y, **params))
        if not isinstance(dy, Zero):
            total = add_any(total, prim.bind(x, dy, **params))
        return out, total

    return jvp


# --- constructors -----------------------------------------------------------------------------------------------------


OutDtype = np.dtype | Callable[[np.dtype], np.dtype] | None


def _result(shape: tuple[int, ...], dtype: np.dtype, weak: bool, out_dtype: OutDtype) -> Aval:
    if callable(out_dtype):  # np.dtype objects are not
        return Aval(shape, out_dtype(dtype), weak)
    return Aval(shape, out_dtype or dtype, weak and out_dtype is None)


def unary(
    name: str,
    *,
    domain: Sequence[np.dtype],
    impl: Rule,
    jvp: Rule | None,
    mil: Any = None,
    out_dtype: OutDtype = None,
    linear: Rule | None = None,
) -> Primitive:
    """An elementwise primitive of one argument.

    ``jvp`` is ``(tangent, out, x, **params) -> tangent``, or None where the derivative is zero or does not exist;
    ``mil`` the name of MIL's operation of the same meaning, or None; ``linear`` the transpose of a linear one;
    ``out_dtype`` the dtype of the result, or a function from the argument's to it, which keeps a weak type weak.
    """
    prim = primitive(name)

    def abstract(x: Aval, **params: Any) -> Aval:
        check_domain(name, x, domain)
        return _result(x.shape, x.dtype, x.weak_type, out_dtype)

    return prim.fill(
        abstract=abstract,
        impl=impl,
        jvp=jvp_by_argument(prim, [jvp]) if jvp is not None else zero_jvp(prim),
        transpose=linear or NOT_LINEAR,
        batch=elementwise_batch(prim),
        elementwise=True,
        mil=mil if callable(mil) else ElementwiseMil(mil, ("x",)),
    )


def binary(
    name: str,
    *,
    domain: Sequence[np.dtype],
    impl: Rule,
    jvp: Sequence[Rule | None] | None,
    mil: Any = None,
    out_dtype: OutDtype = None,
    linear: Rule | None = None,
) -> Primitive:
    """An elementwise primitive of two arguments of one dtype. ``jvp`` has a rule (or None) per argument."""
    prim = primitive(name)

    def abstract(x: Aval, y: Aval, **params: Any) -> Aval:
        dtype = joint_dtype(name, (x, y))
        check_domain(name, x, domain)
        return _result(joint_shape(name, (x, y)), dtype, x.weak_type and y.weak_type, out_dtype)

    return prim.fill(
        abstract=abstract,
        impl=impl,
        jvp=jvp_by_argument(prim, jvp) if jvp is not None else zero_jvp(prim),
        transpose=linear or NOT_LINEAR,
        batch=elementwise_batch(prim),
        elementwise=True,
        mil=mil if callable(mil) else ElementwiseMil(mil, ("x", "y")),
    )


KINDS: tuple[str, ...] = ("float", "int", "bool")


class ElementwiseMil:
    """The MIL slot of elementwise primitives: MIL's operation where dtype and meaning match, ``aj_<name>`` elsewhere.

    ``ours`` is MIL's name, None, or a dict from dtype kind ("float", "int", "bool") to a name; extra constants that
    MIL's operation wants are given as ``extra``. ``counts`` is MIL's name for integers that are not negative, which
    legalization leaves for targets other than the CPU.
    """

    def __init__(
        self, ours: Any, operands: tuple[str, ...], extra: dict[str, Any] | None = None, counts: str | None = None
    ) -> None:
        self.names: dict[str, Any] = ours if isinstance(ours, dict) else dict.fromkeys(KINDS, ours)
        self.counts = counts
        self.operands = operands
        self.extra = extra or {}

    def __call__(self, ctx: Any, *values: Any, **params: Any) -> Any:
        operands = dict(zip(self.operands, values, strict=True))
        kind = kind_of(ctx.in_avals[0].dtype)
        mil = self.counts if kind == "int" and self.counts and ctx.legalized else self.names.get(kind)
        if mil is not None and ctx.takes(mil, operands):
            return ctx.emit(mil, **operands, **{k: ctx.like_first(v) for k, v in self.extra.items()})
        return ctx.emit_aj(**operands, **params)


def kind_of(dtype: np.dtype) -> str:
    return "bool" if dtype == dtypes.bool_ else "float" if dtype in FLOAT else "int"


# --- helpers of transpose rules ---------------------------------------------------------------------------------------


def is_linear(x: Any) -> bool:
    return isinstance(x, Linear)
