"""Specs of the collectives of lax, inside vmap over one named axis or two: each call maps a function of one example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.generated.draw import FLOATS, NUMBERS, Call, Draw
from tests.generated.spec import Build, spec

Example = Callable[[Any, Any, Any], Any]  # of the library, an example, and the name of the axis or names
_NESTED = 2, 3  # lengths of two named axes


def _mapped(d: Draw, name: str, example: Example, shape: tuple[int, ...], axis: int, dtypes: Any = NUMBERS) -> Call:
    x = d.array((*shape[:axis], *shape[axis:]), d.dtype(dtypes))

    def of(m: Any, x: Any) -> Any:
        return m.t.vmap(lambda e: example(m, e, "i"), in_axes=axis, out_axes=out, axis_name="i")(x)

    out = d.pick(0, 0, -1) if len(shape) > 1 else 0
    return d.call(f"{name} in_axes={axis} out_axes={out}", x, of=of)


def one_axis(example: Callable[[Draw, int, tuple[int, ...]], Example | None], dtypes: Any = NUMBERS,
             square: bool = False) -> Build:  # fmt: skip
    """``example(d, length of the axis, shape of an example)`` gives the function to map; ``square`` makes every axis
    of the example as long as the mapped one."""

    def build(d: Draw, name: str) -> Call:
        length = d.pick(3, 1, 4)
        inner = d.pick((length,), (length, length), (length, 2 * length)) if square else d.shape(0, 2)
        axis = d.integer(0, len(inner))
        shape = (*inner[:axis], length, *inner[axis:])
        return _mapped(d, name, example(d, length, inner), shape, axis, dtypes)

    return build


def reduced(function: str, dtypes: Any = NUMBERS) -> Build:
    """A reduction over one axis, or over one or both of two nested ones; of an array, a tree or a number as well."""

    def build(d: Draw, name: str) -> Call:
        form = d.pick("one", "tree", "nested", "number" if function == "psum" else "one")
        if form == "nested":
            names = d.pick("i", "j", ("i", "j"))
            x = d.array((*_NESTED, *d.shape(0, 1)), d.dtype(dtypes))

            def of(m: Any, x: Any) -> Any:
                inner = m.t.vmap(lambda e: getattr(m.lax, function)(e, names), axis_name="j")
                return m.t.vmap(inner, axis_name="i")(x)

            return d.call(f"{name} over {names}", x, of=of)

        def example(m: Any, e: Any, i: str) -> Any:
            f = getattr(m.lax, function)
            if form == "tree":
                out = f({"a": e, "b": (e * 2,)}, i)
                return [out["a"], out["b"][0], e + out["a"]]
            return e * f(2, i) if form == "number" else f(e, i)

        return one_axis(lambda *_: example, (*FLOATS, "int32") if form == "number" else dtypes)(d, name)

    return build


def _all_gather(d: Draw, length: int, inner: tuple[int, ...]) -> Example:
    tiled = bool(inner) and d.flag()
    axis = d.integer(0, len(inner) - tiled)
    return lambda m, e, i: m.lax.all_gather(e, i, axis=axis, tiled=tiled)


def _psum_scatter(d: Draw, length: int, inner: tuple[int, ...]) -> Example:
    tiled = d.flag()
    axes = [a for a, n in enumerate(inner) if n == length or tiled]
    axis = d.pick(*axes)
    return lambda m, e, i: m.lax.psum_scatter(e, i, scatter_dimension=axis, tiled=tiled)


def _all_to_all(d: Draw, length: int, inner: tuple[int, ...]) -> Example:
    tiled = d.flag()
    split = d.pick(*[a for a, n in enumerate(inner) if n == length or tiled])
    joined = d.integer(0, len(inner) - 1)
    return lambda m, e, i: m.lax.all_to_all(e, i, split, joined, tiled=tiled)


def _pswapaxes(d: Draw, length: int, inner: tuple[int, ...]) -> Example:
    return lambda m, e, i: m.lax.pswapaxes(e, i, 0)


def _ppermute(d: Draw, length: int, inner: tuple[int, ...]) -> Example:
    """A whole permutation: jax has no other under vmap."""
    to = d.permutation(length)
    return lambda m, e, i: m.lax.ppermute(e, i, list(enumerate(to)))


def _pshuffle(d: Draw, length: int, inner: tuple[int, ...]) -> Example:
    order = list(d.permutation(length))
    return lambda m, e, i: m.lax.pshuffle(e, i, order)


def _place(function: str) -> Build:
    """axis_index and axis_size, of one name or of two."""

    def build(d: Draw, name: str) -> Call:
        names = d.pick("i", "j", ("i", "j"), ("j", "i"))
        x = d.array((*_NESTED, *d.shape(0, 1)), d.dtype((*FLOATS, "int32")))

        def of(m: Any, x: Any) -> Any:
            inner = m.t.vmap(lambda e: e * getattr(m.lax, function)(names), axis_name="j")
            return m.t.vmap(inner, axis_name="i")(x)

        return d.call(f"{name} of {names}", x, of=of)

    return build


spec("lax.psum", reduced("psum"))
spec("lax.pmean", reduced("pmean"))
spec("lax.pmax", reduced("pmax"))
spec("lax.pmin", reduced("pmin"))
spec("lax.all_gather", one_axis(_all_gather))
spec("lax.psum_scatter", one_axis(_psum_scatter, square=True))
spec("lax.all_to_all", one_axis(_all_to_all, square=True))
spec("lax.pswapaxes", one_axis(_pswapaxes, square=True))
spec("lax.ppermute", one_axis(_ppermute))
spec("lax.pshuffle", one_axis(_pshuffle))
spec("lax.axis_index", _place("axis_index"))
spec("lax.axis_size", _place("axis_size"))
