"""Specs of functions that move elements: shapes, joining, indexing, taking and putting, padding, creation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.generated.draw import ANY, INTS, NUMBERS, Call, Draw
from tests.generated.families import along, unary
from tests.generated.spec import spec


def _reshape(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    n = x.size
    shape = d.pick((-1,), (n,), -1, (1, n), (n, 1), (2, -1), (n // 2, 2), x.shape[::-1])
    return d.call(name, x, shape, **d.options(order=("C", "F")))


def _axis_pair(d: Draw, name: str) -> Call:
    x = d.array(d.shape(1), d.dtype())
    return d.call(name, x, d.axis(x.ndim), d.axis(x.ndim))


def _transpose(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    back = name == "np.transpose" and d.flag()  # ours counts from the end in permute_dims too, jax does not
    axes = tuple(a - x.ndim if back else a for a in d.permutation(x.ndim))
    return d.call(name, x, axes) if name != "np.transpose" or d.flag() else d.call(name, x)


def _squeeze(d: Draw, name: str) -> Call:
    x = d.array(d.pick((1, 3), (3, 1, 1), (1,), (2, 3), ()), d.dtype())
    return d.call(name, x, **d.options(axis=(0, -1, (0,), (-1, -2), ())))


def _expand(d: Draw, name: str) -> Call:
    return d.call(name, d.array(d.shape(), d.dtype()), d.pick(0, -1, (0, 2), (-1, 0), (1, -3)))


def _broadcast_to(d: Draw, name: str) -> Call:
    shape = d.shape()
    return d.call(name, d.array(d.partner(shape)[-len(shape) :] if shape else (), d.dtype()), shape)


def _many(d: Draw, low: int = 0) -> list[Any]:
    shape = d.shape(low)
    return [d.array(shape, d.dtype()) for _ in range(d.integer(1, 3))]


def _concatenate(d: Draw, name: str) -> Call:
    dtype = {} if name == "np.concat" else {"dtype": ("float32", "int32")}
    return d.call(name, _many(d, 1), **d.options(axis=(0, -1, None), **dtype))


def _stack(d: Draw, name: str) -> Call:
    return d.call(name, _many(d), **d.options(axis=(0, -1, 1), dtype=("float32",)))


def _append(d: Draw, name: str) -> Call:
    x, y = d.array(d.shape(1), d.dtype()), d.array(d.shape(1), d.dtype())
    return d.call(name, x, x if d.flag() else y, **d.options(axis=(0, None)))


def _block(d: Draw, name: str) -> Call:
    xs = [d.array((2, 3), d.dtype()) for _ in range(2)]
    return d.call(name, d.pick([xs, xs], xs, [[xs[0]], [xs[1]]]))


def _sections(d: Draw, name: str) -> Call:
    rank = {"np.dsplit": 3, "np.vsplit": 2}.get(name, 1)
    x = d.array(d.shape(rank), d.dtype())
    kwargs = {} if name in ("np.dsplit", "np.vsplit", "np.hsplit") else d.options(axis=(0, -1))
    places = (1, 3, [1], (0, 1)) if 0 not in x.shape else (1, 3)  # past the end jax raises, where NumPy does not
    return d.call(name, x, d.pick(*places), **kwargs)


def _repeat(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    axis = d.axis(x.ndim) if x.ndim and d.flag() else None
    return d.call(name, x, d.pick(2, 0, 1, 3), axis=axis)


def _roll(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    axis = d.pick(None, d.axis(x.ndim)) if x.ndim else None
    return d.call(name, x, d.pick(1, -2, 0, 99, *(((1, 2),) if x.ndim > 1 else ())), axis=axis)


def _rot90(d: Draw, name: str) -> Call:
    return d.call(name, d.array(d.shape(2), d.dtype()), **d.options(k=(1, 2, -1), axes=((1, 0), (-1, 0))))


def _meshgrid(d: Draw, name: str) -> Call:
    xs = [d.array(d.shape(1), d.dtype()) for _ in range(d.integer(1, 3))]
    return d.call(name, *xs, **d.options(indexing=("ij", "xy"), sparse=(True,)))


def _pad(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(NUMBERS), special=False)
    modes = (
        "constant",
        "edge",
        "reflect",
        "symmetric",
        "wrap",
        "mean",
        "maximum",
        "minimum",
        "median",
        "linear_ramp",
        "empty",
    )
    mode = d.pick(*modes)
    width = d.pick(1, (1, 2), ((1, 2),) * x.ndim, 5, 0)
    extra = {"constant": {"constant_values": (0, 3, (1, 2))}, "linear_ramp": {"end_values": (1, (2, 3))},
             "reflect": {"reflect_type": ("odd",)}, "symmetric": {"reflect_type": ("odd",)},
             "mean": {"stat_length": (1, 2)}, "maximum": {"stat_length": (1, 2)}}.get(mode, {})  # fmt: skip
    return d.call(name, x, width, mode=mode, **d.options(**extra))


spec("np.reshape", _reshape)
spec("np.ravel", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), **d.options(order=("F", "C"))))
spec("np.resize", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick((4,), (2, 3), (0,), 5)))
spec("np.swapaxes moveaxis", _axis_pair)
spec("np.rollaxis", lambda d, n: d.call(n, d.array(d.shape(2), d.dtype()), d.pick(0, -1, 1), d.pick(0, 2, -1)))
spec("np.transpose permute_dims", _transpose)
spec("np.squeeze", _squeeze)
spec("np.expand_dims", _expand)
spec("np.broadcast_to", _broadcast_to)
spec("np.broadcast_arrays", lambda d, n: d.call(n, *_many(d), d.array((1,), d.dtype())))
spec("np.concatenate concat", _concatenate)
spec("np.stack", _stack)
spec("np.hstack vstack dstack column_stack", lambda d, n: d.call(n, _many(d)))
spec("np.append", _append)
spec("np.block", _block)
spec("np.split array_split hsplit vsplit dsplit", _sections)
spec("np.unstack", lambda d, n: d.call(n, d.array(d.shape(1), d.dtype()), **d.options(axis=(0, -1))))
spec("np.repeat", _repeat)
spec("np.tile", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick(2, (2, 1), (0,), (1, 2, 2), ())))
spec("np.roll", _roll)
spec("np.rot90", _rot90)
spec("np.flip", lambda d, n: d.call(n, x := d.array(d.shape(), d.dtype()), axis=d.axes(x.ndim)))
spec("np.fliplr flipud matrix_transpose tril triu", unary(rank=(2, 3)))
spec("np.atleast_1d atleast_2d atleast_3d copy ndim shape size iscomplexobj isrealobj zeros_like ones_like", unary())
spec("np.meshgrid", _meshgrid)
spec("np.pad", _pad, ulps=8)
spec("np.trim_zeros", unary(NUMBERS, -1, 1, (1, 1)), staged=False, mapped=False)
spec(
    "np.full_like",
    lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick(2, 0.5, True), **d.options(dtype=ANY, shape=((2,),))),
)

# --- indexing ---------------------------------------------------------------------------------------------------------


def indices(d: Draw, shape: Any, far: bool = True) -> np.ndarray:
    """Integers that index an axis: within it, and somewhat outside too when ``far``."""
    n = 4
    return d.array(shape, d.dtype(INTS[:-1]), -n - far, n + far, special=False)


def _take(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(), special=False)
    kwargs: dict[str, Any] = {"axis": d.axis(x.ndim)} if d.flag() else {}
    kwargs |= d.options(mode=("clip", "wrap", "fill"))
    return d.call(name, x, indices(d, d.pick((2,), (), (2, 2), (0,))), **kwargs)


def _take_along(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(), special=False)
    axis = d.integer(-x.ndim, x.ndim - 1)
    shape = list(x.shape)
    shape[axis] = d.pick(2, 5, 1)
    return d.call(name, x, indices(d, tuple(shape)), axis=axis, **d.options(mode=("clip", "fill")))


def _put_along(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(NUMBERS), special=False)
    axis = d.integer(-x.ndim, x.ndim - 1)
    order = np.argsort(d.rng.random(x.shape), axis).astype(np.int32)  # no place twice
    return d.call(name, x, order, d.array(x.shape, x.dtype), axis=axis, inplace=False)


def _put(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(NUMBERS), special=False)
    return d.call(
        name, x, np.int32([0, 2, -2]), d.array((3,), x.dtype), inplace=False, **d.options(mode=("clip", "wrap"))
    )


def _delete(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(), special=False)
    return d.call(name, x, d.pick(0, -1, slice(0, 2), slice(None, None, 2)), **d.options(axis=(0, -1)))


def _insert(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(), special=False)
    return d.call(name, x, d.pick(0, 1, -1, np.int32([0, 1])), d.pick(7, 0.5), **d.options(axis=(0, -1)))


def _fill_diagonal(d: Draw, name: str) -> Call:
    shape = d.pick((3, 4), (4, 3), (3, 3), (2, 2, 2), (0, 3))
    return d.call(name, d.array(shape, d.dtype()), d.pick(5, 0.5, d.array((2,), "float32")), inplace=False)


def _getitem(d: Draw, name: str) -> Call:
    shape = d.filled(1)
    x = d.array(shape, d.dtype(), special=False)
    key = tuple(_subscript(d) for _ in range(d.integer(1, x.ndim)))
    if d.chance(4):
        key = (*key[:1], Ellipsis) if d.flag() else (None, *key)
    try:
        x[key]
    except IndexError:
        d.special = True  # both read what is nearest; jax's derivative is then 0, ours that of what was read
    return d.call(name, x, of=lambda m, x: x[_of(m, key)])


def _of(m: Any, key: Any) -> Any:
    return tuple(m.np.asarray(k) if isinstance(k, np.ndarray) else k for k in key)


def _subscript(d: Draw) -> Any:
    return d.pick(0, -1, slice(None), slice(1, None), slice(None, None, -1), slice(0, 9, 2), slice(-2, None), None,
                  indices(d, (2,)), indices(d, (2, 1)), indices(d, ()), slice(3, 0, -2))  # fmt: skip


def _at(d: Draw, name: str) -> Call:
    method = name.rpartition(".")[2]
    x = d.array(d.filled(1), d.dtype(NUMBERS), special=False)
    key = tuple(_subscript(d) for _ in range(d.integer(1, x.ndim)))
    key = tuple(k for k in key if k is not None)
    kwargs = d.options(mode=("clip", "drop", "fill")) if method != "get" else d.options(mode=("clip", "fill"))
    value = (d.array((), x.dtype, 1, 2, special=False),)
    if method in ("get", "apply"):
        value = ()
    if method == "apply":
        return d.call(name, x, of=lambda m, x: m.np.asarray(x).at[_of(m, key)].apply(lambda v: v * 2, **kwargs))
    return d.call(name, x, *value, of=lambda m, x, *v: getattr(m.np.asarray(x).at[_of(m, key)], method)(*v, **kwargs))


spec("np.take", _take)
spec("np.take_along_axis", _take_along)
spec("np.put_along_axis", _put_along)
spec("np.put", _put)
spec("np.delete", _delete)
spec("np.insert", _insert)
spec("np.fill_diagonal", _fill_diagonal)
spec("Array.getitem", _getitem)
spec("Array.at.set add multiply min max get apply", _at)
CONCRETE: dict[str, Any] = {"staged": False, "mapped": False}  # lengths depend on values
spec(
    "np.nonzero argwhere flatnonzero",
    lambda d, n: d.call(n, d.array(d.shape(1), d.dtype(), -1, 2), **d.options(size=(2, 9))),
    **CONCRETE,
)
spec(
    "np.extract",
    lambda d, n: d.call(n, d.array((3, 4), "bool"), d.array((3, 4), d.dtype()), **d.options(size=(2, 12))),
    **CONCRETE,
)
spec(
    "np.place",
    lambda d, n: d.call(
        n, d.array((3, 4), "float32"), d.array((3, 4), "bool"), d.array((2,), "float32"), inplace=False
    ),
)
spec("np.unravel_index", lambda d, n: d.call(n, indices(d, d.shape(0, 2)), d.pick((3, 4), (2, 2, 2), 5)))
spec(
    "np.ravel_multi_index",
    lambda d, n: d.call(
        n, (indices(d, (3,)), indices(d, (3,))), (3, 4), mode=d.pick("clip", "wrap"), **d.options(order=("F",))
    ),
)
spec("np.diag_indices", lambda d, n: d.call(n, d.pick(3, 0, 1), **d.options(ndim=(1, 3))))
spec("np.tril_indices triu_indices", lambda d, n: d.call(n, d.pick(3, 0, 1), **d.options(k=(1, -1), m=(2, 5))))
spec("np.diag_indices_from tril_indices_from triu_indices_from", unary(rank=(2, 2)))
spec("np.ix_", lambda d, n: d.call(n, d.array((3,), "int32"), d.array((2,), "int32")))

# --- creation ---------------------------------------------------------------------------------------------------------

SOME_DTYPES = ("float32", "int32", "bool", "float16", "uint8", "bfloat16")
spec("np.zeros ones empty", lambda d, n: d.call(n, d.pick((2, 3), (0,), (), 3), **d.options(dtype=SOME_DTYPES)))
spec("np.full", lambda d, n: d.call(n, d.pick((2, 3), (0,), 3), d.pick(2, 0.5, True), **d.options(dtype=SOME_DTYPES)))
spec("np.empty_like", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), **d.options(dtype=SOME_DTYPES)))
spec(
    "np.eye tri",
    lambda d, n: d.call(n, d.pick(3, 1, 0), d.pick(None, 2, 5), d.pick(0, 1, -1), **d.options(dtype=SOME_DTYPES)),
)
spec("np.identity", lambda d, n: d.call(n, d.pick(3, 1, 0), **d.options(dtype=SOME_DTYPES)))
spec(
    "np.arange",
    lambda d, n: d.call(
        n,
        *d.pick((5,), (0,), (1, 7), (1, 7, 2), (7, 1, -2), (0.5, 3), (2.5,), (0, 1, 0.25)),
        **d.options(dtype=SOME_DTYPES),
    ),
)
spec(
    "np.linspace",
    lambda d, n: d.call(
        n,
        d.array((), d.dtype(NUMBERS), special=False),
        d.array(d.shape(0, 1), d.dtype(NUMBERS), special=False),
        d.pick(5, 1, 0, 2),
        **d.options(endpoint=(False,), retstep=(True,), axis=(-1,)),
    ),
    ulps=8,
)
spec(
    "np.logspace",
    lambda d, n: d.call(
        n, d.number(-2, 2), d.number(-2, 2), d.pick(5, 1, 2), **d.options(base=(2.0,), endpoint=(False,))
    ),
    ulps=32,
)
spec(
    "np.geomspace",
    lambda d, n: d.call(n, d.number(0.5, 2), d.number(0.5, 2), d.pick(5, 1, 2), **d.options(endpoint=(False,))),
    ulps=32,
)
spec(
    "np.indices", lambda d, n: d.call(n, d.pick((2, 3), (0, 2), (3,)), **d.options(sparse=(True,), dtype=("float32",)))
)
spec(
    "np.array asarray",
    lambda d, n: d.call(
        n,
        d.pick(2, 0.5, True, [1, 2.5], [[1, 2], [3, 4]], d.array(d.shape(), d.dtype())),
        **d.options(dtype=SOME_DTYPES),
    ),
)
spec(
    "np.vander",
    lambda d, n: d.call(n, d.array(d.shape(1, 1), d.dtype(NUMBERS), -2, 2), **d.options(N=(2, 1), increasing=(True,))),
    ulps=8,
)
spec("np.packbits", along(("bool", "uint8"), 0, 2, bitorder=("little", "big")))
spec("np.unpackbits", along(("uint8",), 0, 255, empty=False, bitorder=("little",), count=(3, 9)))
