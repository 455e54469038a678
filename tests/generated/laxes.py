"""Specs of anejax.lax: primitives as functions, which neither promote dtypes nor broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.generated.draw import ANY, BOOL, FLOATS, INTS, NUMBERS, Call, Draw
from tests.generated.families import unary
from tests.generated.spec import Build, spec

VALUE: dict[str, Any] = {"size": "value"}
SIGNED = (*FLOATS, "int32", "int8")


def same(count: int, dtypes: Any = NUMBERS, low: float = -3, high: float = 3) -> Build:
    """Operands of one shape and dtype."""

    def build(d: Draw, name: str) -> Call:
        shape, dtype = d.shape(), d.dtype(dtypes)
        return d.call(name, *(d.array(shape, dtype, low, high) for _ in range(count)))

    return build


def _clamp(d: Draw, name: str) -> Call:
    shape, dtype = d.shape(), d.dtype(NUMBERS)
    low = d.array(d.pick(shape, ()), dtype, special=False)
    return d.call(
        name, low, d.array(shape, dtype), np.asarray(low + 2).astype(dtype)
    )  # in order: else jax has no derivative


spec("lax.exp exp2 expm1 log log1p sqrt rsqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
     "logistic erf erfc erf_inv digamma floor ceil is_finite reciprocal", unary(FLOATS), **VALUE)  # fmt: skip
spec("lax.lgamma", unary(FLOATS), size="one")  # it passes through 0
spec("lax.neg sign square", unary(NUMBERS), **VALUE)
spec("lax.abs", unary(SIGNED), **VALUE)
spec("lax.population_count clz", unary(INTS), **VALUE)
spec("lax.bitwise_not", unary(INTS + BOOL), **VALUE)
spec("lax.add sub mul div rem max min eq ne lt le gt ge", same(2), **VALUE)
spec("lax.mulhi", same(2, INTS), **VALUE)
spec("lax.pow atan2 nextafter", same(2, FLOATS), **VALUE)
spec("lax.bitwise_and bitwise_or bitwise_xor", same(2, INTS + BOOL), **VALUE)
spec("lax.shift_left shift_right_arithmetic shift_right_logical", same(2, INTS, 0, 9), **VALUE)
spec("lax.clamp", _clamp, **VALUE)
spec(
    "lax.integer_pow",
    lambda d, n: d.call(n, d.array(d.shape(), d.dtype(NUMBERS)), d.pick(2, 0, 1, 3, 5)),
    ulps=8,
    **VALUE,
)
spec("lax.stop_gradient", unary(rank=(1, 3)), **VALUE)  # Python numbers are of a class of jax's own then


def _select(d: Draw, name: str) -> Call:
    shape, dtype = d.shape(), d.dtype()
    which = d.array(d.pick(shape, ()), "bool")
    return d.call(name, which, d.array(shape, dtype), d.array(shape, dtype))


def _convert(d: Draw, name: str) -> Call:
    return d.call(name, d.array(d.shape(), d.dtype()), d.pick(*ANY))


def _bitcast(d: Draw, name: str) -> Call:
    return d.call(
        name,
        d.array(d.pick((3, 4), (2,), (0, 2), (4,)), d.dtype(("float32", "int32", "uint8", "float16"))),
        d.pick("int32", "uint8", "float32", "int16"),
    )


def _axes(d: Draw, name: str) -> Call:
    bits = name in ("lax.reduce_and", "lax.reduce_or", "lax.reduce_xor")
    x = d.array(d.shape(), d.dtype(INTS + BOOL if bits else NUMBERS), 0.5 if name == "lax.reduce_prod" else -3)
    axes = d.axes(x.ndim)
    return d.call(name, x, [a % x.ndim for a in axes] if isinstance(axes, tuple) else list(range(x.ndim)))


def _scan(d: Draw, name: str) -> Call:
    x = d.array(d.shape(1), d.dtype(FLOATS if name == "lax.cumlogsumexp" else NUMBERS))
    return d.call(name, x, **d.options(axis=(0, x.ndim - 1), reverse=(True,)))


def _arg(d: Draw, name: str) -> Call:
    x = d.array(d.shape(1), d.dtype())
    return d.call(name, x, d.integer(0, x.ndim - 1), np.int32)


def _slice(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    starts = [d.integer(0, n) for n in x.shape]
    limits = [d.integer(s, n) for s, n in zip(starts, x.shape)]
    return d.call(name, x, starts, limits, d.pick(None, [d.integer(1, 3) for _ in x.shape]))


def _pad(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    config = [(d.integer(-1, 2), d.integer(-1, 2), d.integer(0, 2)) for _ in x.shape]
    return d.call(name, x, d.array((), x.dtype), config)


def _broadcast_in_dim(d: Draw, name: str) -> Call:
    s, t, dims = d.pick(
        ((3, 1), (2, 3, 4), (1, 2)),
        ((), (3, 2), ()),
        ((4,), (4, 3), (0,)),
        ((1,), (0,), (0,)),
        ((0, 2), (3, 0, 2), (1, 2)),
    )
    return d.call(name, d.array(s, d.dtype()), t, dims)


def _concatenate(d: Draw, name: str) -> Call:
    shape, dtype = d.shape(1), d.dtype()
    return d.call(name, [d.array(shape, dtype) for _ in range(d.integer(1, 3))], d.integer(0, len(shape) - 1))


def _dynamic(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    kind = d.dtype(("int32", "int8"))
    starts = [d.array((), kind, -5, 6, special=False) for _ in x.shape]
    sizes = [d.integer(0, n) for n in x.shape]
    if name == "lax.dynamic_slice":
        return d.call(name, x, starts, sizes)
    return d.call(name, x, d.array(tuple(sizes), x.dtype), starts)


def _dynamic_in_dim(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype())
    axis, start = d.integer(0, x.ndim - 1), d.array((), "int32", -5, 6, special=False)
    if name == "lax.dynamic_slice_in_dim":
        return d.call(name, x, start, d.integer(0, x.shape[axis]), axis)
    if name == "lax.dynamic_index_in_dim":
        return d.call(name, x, start, axis, **d.options(keepdims=(False,)))
    return d.call(name, x, d.array((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype), start, axis)


_DOTS = (((3, 4), (4, 5), ((1,), (0,)), ((), ())), ((2, 3, 4), (2, 4, 5), ((2,), (1,)), ((0,), (0,))),
         ((4, 2, 3), (5, 4, 2), ((0,), (1,)), ((1,), (2,))), ((3,), (3,), ((0,), (0,)), ((), ())),
         ((2, 3), (4,), ((), ()), ((), ())), ((2, 0), (0, 3), ((1,), (0,)), ((), ())),
         ((2, 3, 4), (4, 3, 5), ((1, 2), (1, 0)), ((), ())))  # fmt: skip


def _dot_general(d: Draw, name: str) -> Call:
    x, y, *numbers = d.pick(*_DOTS)
    dtype = d.dtype(NUMBERS)
    return d.call(
        name, d.array(x, dtype), d.array(y, dtype), tuple(numbers), **d.options(preferred_element_type=(np.float32,))
    )


_LAYOUTS = (("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"), ("NCHW", "HWIO", "NHWC"))


def _conv(d: Draw, name: str) -> Call:
    groups, dtype = d.pick(1, 1, 2), d.dtype(("float32", "float32", "float16", "int32"))
    sizes = {"N": d.pick(2, 1, 0), "C": 2 * groups, "H": d.pick(5, 6), "W": d.pick(4, 1)}
    kernel = {"O": 2 * groups, "I": 2, "H": d.integer(1, 3), "W": d.integer(1, 2)}
    layout = d.pick(*_LAYOUTS)
    x = d.array(tuple(sizes[c] for c in layout[0]), dtype)
    w = d.array(tuple(kernel[c] for c in layout[1]), dtype)
    padding = d.pick("SAME", "VALID", ((1, 2), (0, 1)), ((2, -1), (1, 1)))
    two = lambda high: (d.integer(1, high), d.integer(1, high))  # noqa: E731
    options = {"rhs_dilation": (two(2),)}
    if not isinstance(padding, str):
        options["lhs_dilation"] = (two(2),)
    return d.call(
        name, x, w, two(2), padding, dimension_numbers=layout, feature_group_count=groups, **d.options(**options)
    )


def _reduce_window(d: Draw, name: str) -> Call:
    kind = d.pick("add", "max", "min")
    x = d.array(d.pick((2, 6, 5), (7,), (1, 4), (3, 0)), d.dtype(("float32", "float32", "float16", "int32")))
    window, strides = (tuple(d.integer(1, 3) for _ in x.shape) for _ in range(2))
    padding = d.pick("SAME", "VALID", tuple((d.integer(0, 1), d.integer(0, 2)) for _ in x.shape))
    low = np.iinfo(x.dtype).min if x.dtype.kind == "i" else -np.inf
    high = np.iinfo(x.dtype).max if x.dtype.kind == "i" else np.inf
    init = x.dtype.type({"add": 0, "max": low, "min": high}[kind]).item()

    def of(m: Any, x: Any) -> Any:
        return m.lax.reduce_window(x, m.np.asarray(init, x.dtype), getattr(m.lax, kind), window, strides, padding)

    return d.call(f"{name} {kind} {window} {strides} {padding}", x, of=of)


def _sort(d: Draw, name: str) -> Call:
    shape = d.shape(1)
    xs = tuple(d.array(shape, d.dtype(), -2, 2) for _ in range(d.integer(1, 3)))
    return d.call(
        name,
        xs if len(xs) > 1 or d.flag() else xs[0],
        dimension=d.integer(0, len(shape) - 1),
        **(d.options(num_keys=(len(xs),)) if len(xs) > 1 else {}),
    )


def _reshape(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    return d.call(name, x, d.pick((x.size,), x.shape[::-1], (1, x.size), (*x.shape, 1)))


def _reduce(d: Draw, name: str) -> Call:
    kind = d.pick("add", "mul", "max")
    x = d.array(d.shape(), d.dtype(("float32", "int32")), -2, 2)
    if kind == "max":  # without ties, whose share jax gives in pairs
        x = np.asarray(d.rng.permutation(x.size).reshape(x.shape)).astype(x.dtype)
    dims = tuple(i for i in range(x.ndim) if d.flag())
    init = {"add": 0, "mul": 1, "max": -100}[kind]
    return d.call(
        f"{name} {kind} {dims}",
        x,
        of=lambda m, x: m.lax.reduce(x, m.np.asarray(init, x.dtype), getattr(m.lax, kind), dims),
    )


spec("lax.select", _select, **VALUE)
spec("lax.select_n", lambda d, n: d.call(n, *(c := _select(d, n)).args, **c.kwargs), **VALUE)
spec("lax.convert_element_type", _convert, **VALUE)
spec("lax.bitcast_convert_type", _bitcast, derivatives=False, **VALUE)  # bits have no derivative
spec("lax.reduce_sum reduce_prod reduce_max reduce_min reduce_and reduce_or reduce_xor", _axes)
spec("lax.cumsum cumprod cummax cummin cumlogsumexp", _scan)
spec("lax.argmax argmin", _arg)
spec("lax.slice", _slice)
spec("lax.pad", _pad)
spec("lax.rev", lambda d, n: d.call(n, x := d.array(d.shape(), d.dtype()), [i for i in range(x.ndim) if d.flag()]))
spec("lax.transpose", lambda d, n: d.call(n, x := d.array(d.shape(), d.dtype()), d.permutation(x.ndim)))
spec("lax.reshape", _reshape)
spec("lax.broadcast", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick((2,), (), (0, 3))))
spec("lax.broadcast_in_dim", _broadcast_in_dim)
spec("lax.expand_dims", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick((0,), (0, 1), (-1,))))
spec("lax.squeeze", lambda d, n: d.call(n, d.array((1, 3, 1), d.dtype()), d.pick((0,), (0, 2), (-1,), (1,))))
spec(
    "lax.slice_in_dim",
    lambda d, n: d.call(
        n, d.array((3, 4), d.dtype()), d.pick(0, 1, -2), d.pick(None, 3, -1), d.pick(1, 2), d.pick(0, 1)
    ),
)
spec("lax.index_in_dim", lambda d, n: d.call(n, d.array((3, 4), d.dtype()), d.pick(0, 2, -1), d.pick(0, 1), d.flag()))
spec("lax.concatenate", _concatenate)
spec("lax.tile", lambda d, n: d.call(n, d.array((3, 4), d.dtype()), d.pick((2, 1), (0, 2))))
spec("lax.split", lambda d, n: d.call(n, d.array((3, 4), d.dtype()), d.pick((1, 2), (3,), (0, 3)), 0))
spec("lax.collapse", lambda d, n: d.call(n, d.array((2, 3, 4), d.dtype()), d.pick(0, 1), d.pick(None, 2, 3)))
spec("lax.dynamic_slice dynamic_update_slice", _dynamic)
spec(
    "lax.dynamic_slice_in_dim dynamic_index_in_dim dynamic_update_slice_in_dim dynamic_update_index_in_dim",
    _dynamic_in_dim,
)
spec("lax.dot_general", _dot_general)
spec(
    "lax.dot",
    lambda d, n: d.call(n, *(d.array(s, "float32") for s in d.pick(((3, 4), (4, 3)), ((4,), (4,)), ((3, 4), (4,))))),
)
spec("lax.batch_matmul", lambda d, n: d.call(n, d.array((2, 3, 4), "float32"), d.array((2, 4, 3), "float32")))
spec("lax.conv_general_dilated", _conv)
spec("lax.reduce_window", _reduce_window)
spec("lax.reduce", _reduce)
spec("lax.sort", _sort)
spec("lax.top_k", lambda d, n: d.call(n, d.array(d.pick((3, 4), (7,)), d.dtype(NUMBERS)), d.integer(0, 4)))
spec("lax.iota", lambda d, n: d.call(n, d.pick("int32", "float32", "uint8"), d.pick(5, 0)))
spec("lax.broadcasted_iota", lambda d, n: d.call(n, d.pick("int32", "float16"), d.pick((3, 4), (0, 2)), d.pick(0, 1)))
spec("lax.full", lambda d, n: d.call(n, d.shape(), d.pick(1, 0.5), **d.options(dtype=ANY)))
spec("lax.full_like", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick(1, 0.5), **d.options(dtype=ANY)))
spec("lax.reduce_precision", lambda d, n: d.call(n, d.array(d.shape(), "float32"), *d.pick((5, 10), (8, 7))), **VALUE)
spec("lax.optimization_barrier", lambda d, n: d.call(n, d.array(d.shape(), d.dtype())))

# --- gather and scatter -----------------------------------------------------------------------------------------------

_GATHERS = (
    ((5, 3), (4, 1), (1,), (0,), (0,), (), (), (1, 3), (4, 3)),
    ((4, 6), (2, 3, 2), (), (0, 1), (0, 1), (), (), (1, 1), (2, 3)),
    ((3, 5, 4), (3, 2, 1), (1,), (1,), (1,), (0,), (0,), (1, 1, 4), (3, 4, 2)),
    ((6, 5), (3, 2), (0, 2), (), (1, 0), (), (), (2, 3), (2, 3, 3)),
    ((5,), (0, 1), (), (0,), (0,), (), (), (1,), (0,)),
)


def _gather(d: Draw, name: str) -> Call:
    shape, indices, *numbers, sizes, out = d.pick(*_GATHERS)
    x, mode = d.array(shape, d.dtype(NUMBERS)), d.pick("clip", "fill")
    i = d.array(indices, "int32", -2, 7, special=False)
    if name == "lax.gather":
        of = lambda m, x, i: m.lax.gather(x, i, m.lax.GatherDimensionNumbers(*numbers), sizes, mode=mode)  # noqa: E731
        return d.call(f"{name} {numbers} {mode}", x, i, of=of)

    def scatter(m: Any, x: Any, i: Any, u: Any) -> Any:
        kind = m.lax.ScatterDimensionNumbers(*numbers)
        return getattr(m.lax, name[4:])(x, i, u, kind, mode=mode, unique_indices=False)

    return d.call(f"{name} {numbers} {mode}", x, i, d.array(out, x.dtype), of=scatter)


spec("lax.gather scatter_add scatter_sub", _gather)
# where two updates meet, jax has no derivative of a product and picks any order for the last writer
# and its jvp of the least and the greatest is infinite or NaN then; tests/ops compares with finite differences
spec("lax.scatter scatter_mul scatter_min scatter_max", _gather, derivatives=False)
