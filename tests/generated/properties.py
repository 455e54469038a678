"""What must hold of every call: the values and types of jax; jit, vmap and the derivatives likewise."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy
import numpy as np

import anejax as aj
from anejax.errors import ShapeError, TypePromotionError
from tests.answers import answers
from tests.generated.draw import Call, is_array, is_float
from tests.generated.judge import EPS, Scale, close, exponential, leaves_of, same_types, total
from tests.generated.libraries import JAX, OURS
from tests.generated.spec import Spec

ERRORS = (TypeError, ValueError, IndexError, NotImplementedError, OverflowError, ZeroDivisionError, AttributeError)


@contextlib.contextmanager
def wide(on: bool) -> Iterator[None]:
    with jax.enable_x64(on), aj.enable_x64() if on else contextlib.nullcontext(), np.errstate(all="ignore"):
        yield


def of_arrays(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The arrays of a function's result, as a list."""
    return lambda *xs: [y for y in leaves_of(function(*xs)) if hasattr(y, "dtype") and hasattr(y, "shape")]


class Derivatives:
    """jvp and vjp of a call with respect to its float inputs, in random directions, for either library."""

    def __init__(self, call: Call, seed: int) -> None:
        self.inputs = call.inputs()
        self.places = [i for i, x in enumerate(self.inputs) if is_float(x)]
        self.rng = np.random.default_rng(seed)
        self.tangents = [self.like(self.inputs[i]) for i in self.places]
        self.call = call

    def like(self, x: Any) -> np.ndarray:
        return np.asarray(self.rng.standard_normal(x.shape)).astype(x.dtype)

    def cotangents(self, outs: list[Any]) -> list[np.ndarray]:
        """One for each float result; made once the results are known."""
        return [self.like(y) for y in outs if is_float(np.empty(0, y.dtype))]

    def floats(self, m: Any) -> Callable[..., list[Any]]:
        """The call on the library ``m``, from its float inputs to its float results."""
        function = of_arrays(self.call.function(m))

        def floats(*xs: Any) -> list[Any]:
            whole = [m.np.asarray(x) for x in self.inputs]
            for i, x in zip(self.places, xs):
                whole[i] = x
            return [y for y in function(*whole) if m.np.issubdtype(y.dtype, m.np.floating)]

        return floats

    def both(self, m: Any, second: bool) -> Callable[..., Any]:
        """(primals, tangents, cotangents) -> (jvp, vjp[, jvp of vjp]) on the library ``m``."""
        floats = self.floats(m)

        def pull_back(cts: Any, *xs: Any) -> Any:
            return m.t.vjp(floats, *xs)[1](list(cts))

        def both(xs: Any, ts: Any, cts: Any) -> Any:
            out = [m.t.jvp(floats, tuple(xs), tuple(ts))[1], pull_back(cts, *xs)]
            if second:
                out.append(m.t.jvp(functools.partial(pull_back, cts), tuple(xs), tuple(ts))[1])
            return out

        return both


def to(m: Any, xs: Any) -> list[Any]:
    return [m.np.asarray(x) for x in xs]


def check(spec: Spec, call: Call, seed: int, second: bool) -> None:
    """Everything that the spec asks for, of one call."""
    with wide(call.x64):
        theirs = _theirs(call)
        if isinstance(theirs, Exception):
            _raises(call, theirs)
            return
        ours = leaves_of(call.function(OURS)(*to(OURS, call.inputs())))
        same_types(ours, theirs)
        exact = functools.lru_cache(1)(lambda: _exact(spec, call))
        sizes = {"value": 0.0, "one": 1.0, "exp": exponential}
        scale = sizes[spec.size] if spec.size in sizes else total(call.inputs())
        for i, (a, b) in enumerate(zip(ours, theirs)):
            if hasattr(b, "dtype"):
                if spec.oracle:
                    b = np.where(np.isfinite(exact()[i]), exact()[i], b)
                close(a, b, lambda i=i: exact()[i], spec.ulps, scale, f"result {i}", _narrowest(call, a))
            else:
                assert a == b, f"result {i}: {a!r}, jax has {b!r}"
        _strict(call, ours)
        arrays = [y for y in ours if isinstance(y, aj.Array)]
        if spec.staged and call.inputs():
            _jit(spec, call, arrays, scale)
        if spec.mapped and call.inputs():
            _vmap(spec, call, arrays, scale, seed)
        if spec.derivatives and not call.special and any(map(is_float, call.inputs())):
            _derivatives(spec, call, [y for y in theirs if hasattr(y, "dtype")], seed, second)


def _strict(call: Call, ours: list[Any]) -> None:
    """Under the strictest settings the same, or, where operands differ in dtype or rank, an error about them."""
    if call.of:
        return  # computes with arrays of its own, as users do
    with aj.numpy_rank_promotion("raise"), aj.numpy_dtype_promotion("strict"):
        try:
            again = leaves_of(call.function(OURS)(*to(OURS, call.inputs())))
        except (TypePromotionError, ShapeError) as error:
            numbers = [x for x in jax.tree.leaves((list(call.args), call.kwargs)) if isinstance(x, (int, float))]
            kinds = {(x.dtype, x.ndim) for x in call.inputs()} | {(type(x), 0) for x in numbers}
            assert len(kinds) > 1, f"{call} is refused under strict settings: {error}"
            return
    for a, b in zip(again, ours, strict=True):
        if isinstance(b, aj.Array):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), f"under strict settings {a.aval}, else {b.aval}"
            one, two = (np.asarray(v).astype(np.complex128) for v in (a, b))
            np.testing.assert_array_equal(one, two, err_msg="under strict settings")


def _theirs(call: Call) -> Any:
    """jax's results, or the error it raises."""
    live = lambda: leaves_of(call.function(JAX)(*to(JAX, call.inputs())))  # noqa: E731
    return answers(live, call, errors=ERRORS)


def _raises(call: Call, theirs: Exception) -> None:
    try:
        out = call.function(OURS)(*to(OURS, call.inputs()))
    except ERRORS as ours:
        assert str(ours).startswith("["), f"not in the form of our errors: {ours!r}"
        return
    raise AssertionError(f"jax raises {type(theirs).__name__}: {str(theirs)[:300]}\nwe give {out!r}")


def _widened(call: Call) -> list[np.ndarray]:
    return [x.astype(np.float64) if is_float(x) else x for x in call.inputs()]


def _exact(spec: Spec, call: Call) -> list[Any]:
    """The results for the same inputs in float64: the oracle's, or jax's."""
    if spec.oracle:
        numbers = lambda x: np.float64(x) if is_array(x) or isinstance(x, float) else x  # noqa: E731
        return [np.asarray(y, np.float64) for y in leaves_of(spec.oracle(*map(numbers, call.args), **call.kwargs))]
    live = lambda: leaves_of(call.function(JAX)(*map(jax.numpy.asarray, _widened(call))))  # noqa: E731
    with jax.enable_x64(True):
        return answers(live, "exact", call)


def _narrowest(call: Call, *outs: Any) -> Any:
    """The float dtype of fewest digits among inputs and results: what errors are measured in."""
    known = [x.dtype for x in [*call.inputs(), *(np.empty(0, y.dtype) for y in outs)] if is_float(x)]
    return min(known, key=lambda d: (d.itemsize, d.name != "bfloat16")) if known else np.dtype(np.float32)


def _jit(spec: Spec, call: Call, eager: list[Any], scale: Scale) -> None:
    outs = aj.jit(of_arrays(call.function(OURS)))(*call.inputs())
    for i, (a, b) in enumerate(zip(outs, eager, strict=True)):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, b.weak_type), (
            f"jit, result {i}: {a.aval}, eager {b.aval}"
        )
        close(a, b, lambda b=b: b, 2 * spec.ulps, scale, f"jit, result {i}", _narrowest(call, a))


def _vmap(spec: Spec, call: Call, eager: list[Any], scale: Scale, seed: int) -> None:
    """Some inputs mapped along some axis each: the stack of single calls, the second one of reversed inputs."""
    rng = np.random.default_rng(seed + 1)
    first = call.inputs()
    chosen = [rng.random() < 0.7 for _ in first]
    chosen[int(rng.integers(len(first)))] = True
    axes = [int(rng.integers(x.ndim + 1)) if c else None for x, c in zip(first, chosen)]
    second = [np.flip(x) if c else x for x, c in zip(first, chosen)]
    whole = [x if ax is None else np.stack([x, y], ax) for x, y, ax in zip(first, second, axes)]
    function = of_arrays(call.function(OURS))
    try:
        other = function(*to(OURS, second))
        outs = aj.vmap(function, in_axes=tuple(axes))(*whole)
    except Exception as err:
        err.add_note(f"vmap in_axes={axes}")
        raise
    for i, (a, *pair) in enumerate(zip(outs, eager, other, strict=True)):
        want = np.stack([np.asarray(p) for p in pair])
        assert (a.shape, a.dtype) == (want.shape, want.dtype), (
            f"vmap {axes}, result {i}: {a.aval}, expected {want.shape}"
        )
        close(a, want, lambda w=want: w, 2 * spec.ulps, scale, f"vmap {axes}, result {i}", _narrowest(call, a))


def _integer_size(x: np.ndarray) -> float:
    """The greatest magnitude among integers, with which derivatives of the floats beside them are multiplied."""
    return float(np.abs(x.astype(np.float64)).max(initial=0)) if x.dtype.kind in "iu" else 0.0


def _derivatives(spec: Spec, call: Call, outs: list[Any], seed: int, second: bool) -> None:
    if not all(np.isfinite(np.asarray(y, np.float64)).all() for y in outs if is_float(np.empty(0, y.dtype))):
        return
    d = Derivatives(call, seed)
    cts = d.cotangents(outs)
    if not cts:
        return
    xs = [d.inputs[i] for i in d.places]
    text = Derivatives.floats, Derivatives.both, second
    theirs = answers(
        lambda: jax.tree.leaves(jax.jit(d.both(JAX, second))(xs, d.tangents, cts)),
        call, d.tangents, cts, *text, errors=ERRORS,
    )  # fmt: skip
    if isinstance(theirs, Exception):
        return  # jax has no derivative here
    ours = jax.tree.leaves(d.both(OURS, second)(*(to(OURS, v) for v in (xs, d.tangents, cts))))
    count = len(cts), len(cts) + len(xs)

    @functools.lru_cache(1)
    def exact() -> list[Any]:
        """In float64, but for cotangents of results whose dtype the call itself names."""

        def live() -> list[Any]:
            wide_xs, wide_ts = ([x.astype(np.float64) for x in v] for v in (xs, d.tangents))
            avals = jax.eval_shape(d.floats(JAX), *wide_xs)
            wide_cts = [ct.astype(a.dtype) for ct, a in zip(cts, avals, strict=True)]
            return jax.tree.leaves(jax.jit(d.both(JAX, second))(wide_xs, wide_ts, wide_cts))

        with jax.enable_x64(True):
            return answers(live, "exact", call, d.tangents, cts, *text)

    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs)):
        what = (
            f"jvp, result {i}"
            if i < count[0]
            else f"vjp, input {d.places[i - count[0]]}"
            if i < count[1]
            else "second order"
        )
        assert a.dtype == b.dtype, f"{what}: {a.dtype}, jax has {b.dtype}"
        size = np.abs(np.asarray(b, np.float64))
        size = float(size[np.isfinite(size)].max(initial=max(1.0, *map(_integer_size, call.inputs()))))
        narrowest = _narrowest(call, a, *outs)
        ulps = max(spec.slope_ulps, spec.slope_error / EPS[narrowest.name])
        close(a, b, lambda i=i: exact()[i], ulps, size, what, narrowest)
