"""Core ML's packages of random bits, uint32 and operations on bits: to the last bit what the CPU device has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, random
from anejax.coreai import asset
from anejax.engine.doctor.bench import execute
from anejax.errors import RefusedError
from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from anejax.ops.random import threefry2x32
from anejax.passes.legalize import signed_words
from anejax.passes.pipeline import optimize
from anejax.runtime.coreai.program import CoreAIProgram
from tests.export.evaluate import WEIGHTS, Package
from tests.export.test_export_coreml_operations import normal, results, same

RNG = np.random.default_rng(0)
KEY = random.PRNGKey(42)
EDGES = np.array([0, 1, 2, 7, 65535, 65536, 123456789, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1], np.uint32)
U, V = (v.ravel() for v in np.meshgrid(EDGES, EDGES))
COUNTS = np.arange(-3, 36, dtype=np.int32)
EACH, COUNT = np.repeat(EDGES, len(COUNTS)), np.tile(COUNTS, len(EDGES))
FLOATS = np.array([0, -0.0, 1, -1, np.inf, -np.inf, 1e-40, -1e-45, 3e38, np.nan], np.float32)
TO_WORDS = np.array([0, -1, 1.5, 65536.5, 2.0**31, 2.0**32, 4294967040, 3e38, np.nan, -np.inf, np.inf], np.float32)


def words(*shape: int) -> np.ndarray:
    return RNG.integers(0, 2**32, shape, dtype=np.uint64).astype(np.uint32)


def shifts(x: Any, n: Any) -> Any:
    return lax.shift_left(x, n), lax.shift_right_logical(x, n), lax.shift_right_arithmetic(x, n)


def by_constants(x: Any, y: Any) -> Any:
    counts = (0, 1, 9, 15, 16, 17, 31, 32, 40)
    return [shift for k in counts for shift in (*shifts(x, np.uint32(k)), *shifts(y, np.int32(k)))]


def logic(x: Any, y: Any) -> Any:
    return x & y, x | y, x ^ y, ~x, lax.population_count(x), lax.clz(x)


def arithmetic(x: Any, y: Any) -> Any:
    return x + y, x - y, x * y, lax.div(x, y), lax.rem(x, y), -x, lax.square(x), lax.sign(x), x * 3 + 1


def order(x: Any, y: Any) -> Any:
    compared = [f(x, y) for f in (lax.lt, lax.le, lax.gt, lax.ge, lax.eq, lax.ne, lax.max, lax.min)]
    low, high = (np.asarray(v, np.uint32).astype(x.dtype) for v in (5, 2**31 + 5))
    extremes = jnp.sort(x), jnp.argmax(x), jnp.argmin(x), x.max(), x.min(), lax.cummax(x)
    return *compared, *extremes, jnp.clip(x, low, high), jnp.sum(x), jnp.cumsum(y)


def narrow(x: Any, y: Any) -> Any:
    return *arithmetic(x, y), *order(x, y)[:-2], lax.reduce_sum(x, (0,)), lax.cumsum(y)


def casts(x: Any, f: Any) -> Any:
    dtypes = ("float32", "float16", "int32", "uint8", "int8", "uint16", "int16", "bool")
    return *(x.astype(d) for d in dtypes), f.astype("uint32"), x.astype("int32").astype("uint32")


def bit_casts(x: Any, f: Any, h: Any) -> Any:
    half = lax.bitcast_convert_type(x.astype(jnp.uint16), np.float16)
    return (
        lax.bitcast_convert_type(x, np.float32),
        half,
        *(lax.bitcast_convert_type(*pair) for pair in ((f, np.uint32), (f, np.int32), (h, np.int16))),
    )


def folded(x: Any, b: Any) -> Any:
    each = (lax.reduce_and, lax.reduce_or, lax.reduce_xor)
    return [f(v, axes) for f in each for v in (x, b) for axes in ((0,), (0, 1))]


def moves(x: Any, k: Any) -> Any:
    return (x.reshape(12, 12).T, jnp.concatenate([x, x[:3]]), jnp.pad(x, 2), jnp.take(x, k), x[::-1],
            jnp.where(x > 5, x, np.uint32(7)), lax.dynamic_slice(x, (k,), (3,)), x.at[k].set(np.uint32(9)))  # fmt: skip


def turned(k: Any) -> Any:
    turn = lambda i, c: (random.split(c[0])[0], c[1] ^ random.bits(c[0], (3,)))  # noqa: E731
    return lax.fori_loop(0, 3, turn, (k, jnp.zeros(3, jnp.uint32)))


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "threefry": (lambda k, x: threefry2x32(k[0], k[1], x, x + np.uint32(1)), (KEY, words(7))),
    "bits": (lambda k: [random.bits(k, (1, 5), d) for d in (np.uint8, np.uint16, np.uint32)], (KEY,)),
    "keys": (lambda k, n: (*random.split(k, 3), random.fold_in(k, n)), (KEY, np.int32(17))),
    "uniform": (lambda k: random.uniform(k, (3, 7)), (KEY,)),
    "uniform of float16": (lambda k: random.uniform(k, (3, 7), np.float16), (KEY,)),
    "uniform in a range": (lambda k: random.uniform(k, (3000,), minval=-0.3, maxval=1.8), (KEY,)),
    "bernoulli": (lambda k: random.bernoulli(k, 0.3, (3, 7)), (KEY,)),
    "randint": (lambda k: (random.randint(k, (31,), 0, 10), random.randint(k, (5,), -(2**31), 2**31 - 5)), (KEY,)),
    "permutation": (lambda k: random.permutation(k, 11), (KEY,)),
    "categorical": (lambda k, x: random.categorical(k, x), (KEY, normal(4, 9))),
    "arithmetic": (arithmetic, (U, V)),
    "order": (order, (U, V)),
    "casts": (casts, (U, TO_WORDS)),
    "logic of uint32": (logic, (U, V)),
    "logic of int32": (logic, (U.view(np.int32), V.view(np.int32))),
    "logic of int8": (logic, (U.astype(np.int8), V.astype(np.int8))),
    "logic of uint16": (logic, (U.astype(np.uint16), V.astype(np.uint16))),
    **{f"arithmetic of {d}": (narrow, (U.astype(d), V.astype(d))) for d in ("int8", "uint8", "int16", "uint16")},
    "shifts of uint32": (shifts, (EACH, COUNT.view(np.uint32))),
    "shifts of int32": (shifts, (EACH.view(np.int32), COUNT)),
    "shifts of int8": (shifts, (EACH.astype(np.int8), COUNT.astype(np.int8))),
    "shifts of uint16": (shifts, (EACH.astype(np.uint16), COUNT.astype(np.uint16))),
    "shifts by constants": (by_constants, (U, V.view(np.int32))),
    "bit casts": (bit_casts, (np.concatenate([U, words(500)]), np.concatenate([FLOATS, np.nan_to_num(words(500)
                              .view(np.float32))]), np.arange(0, 0x7C01, 7).astype(np.uint16).view(np.float16))),
    "reductions": (folded, (words(5, 3), RNG.random((5, 3)) > 0.5)),
    "moves": (moves, (U, np.int32(4))),
    "branches": (lambda x, k: lax.cond(k > 2, lambda v: v + np.uint32(1), lambda v: v ^ np.uint32(3), x),
                 (U, np.int32(4))),
    "a loop": (turned, (KEY,)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_bit(tmp_path: Path, name: str) -> None:
    function, args = FUNCTIONS[name]
    got = results(tmp_path, {"main": (function, args)})["main"]
    for want, found in zip(aj.tree.leaves(aj.jit(function)(*args)), got, strict=True):
        same(want, found, 0)


def _cut(key: Any, shape: tuple[int, ...]) -> Any:
    return random.truncated_normal(key, -1.0, 2.0, shape)


@pytest.mark.parametrize("draw", [random.normal, random.exponential, random.gumbel, random.laplace, _cut])
def test_distributions(tmp_path: Path, draw: Any) -> None:
    """Of the same bits; logarithms and roots are Core ML's."""
    function = lambda k: draw(k, (50,))  # noqa: E731
    same(aj.jit(function)(KEY), results(tmp_path, {"main": (function, (KEY,))})["main"][0], 8)


def test_no_sum_overflows(tmp_path: Path) -> None:
    """What Core ML does with an int32 that does not fit is not documented, so none may."""
    package = Package(aj.export.coreml(lambda k: random.bits(k, (64,)), KEY, path=tmp_path / "f.mlpackage"))
    seen: list[int] = []

    def watch(kind: str, value: np.ndarray) -> None:
        if kind in ("add", "sub", "mul") and value.dtype == np.int32:
            seen.append(int(np.abs(value[1:].astype(np.int64)).max(initial=0)))

    package.watch = watch
    with np.errstate(over="raise"):
        package({"k": np.asarray(KEY).view(np.int32)})
    assert len(seen) > 100 and max(seen) < 2**26


def test_tables_are_stored_once(tmp_path: Path) -> None:
    function = lambda k: (random.bits(k, (3,)), random.split(k))  # noqa: E731
    path = aj.export.coreml(function, random.key(0), path=tmp_path / "f.mlpackage")
    assert 2**18 < (path / WEIGHTS / "weight.bin").stat().st_size < 2**18 + 4096
    (port,) = Package(path).spec.description.input
    assert port.name == "k"


def test_dropout_in_a_training_step(tmp_path: Path) -> None:
    """The key goes in and comes out as the two words of int32 that it is; losses are those of the CPU device."""
    model = nn.Sequential(nn.Linear(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(3))
    x, y = normal(8, 5), np.arange(8) % 3
    params, state = model.init(random.key(0), x)

    def step(params: Any, key: Any, x: Any) -> Any:
        key, drawn = random.split(key)

        def loss(p: Any) -> Any:
            out, _ = model.apply(p, state, x, train=True, key=drawn)
            return -jnp.mean(nn.log_softmax(out)[jnp.arange(8), y])

        value, slope = aj.value_and_grad(loss)(params)
        return value, aj.tree.map(lambda w, g: w - 0.1 * g, params, slope), key

    key = random.key(3)
    package = Package(aj.export.coreml(step, params, key, x, path=tmp_path / "step.mlpackage"))
    names = [i.name for i in package.spec.description.input]
    assert names[-2:] == ["key", "x"]
    leaves = [np.asarray(v) for v in aj.tree.leaves(params)]
    carried = dict(zip(names, [*leaves, np.asarray(random.key_data(key)).view(np.int32), x]))
    for _ in range(5):
        value, params, key = aj.jit(step)(params, key, x)
        got = list(package(carried).values())
        same(value, got[0], 8)
        carried.update(zip(names, got[1:]))
    np.testing.assert_array_equal(carried["key"], np.asarray(random.key_data(key)).view(np.int32))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: jnp.prod(x), "reduce_prod of uint32 cannot be had on coreml"),
        (lambda x: jnp.sum(jnp.broadcast_to(x, (20000, 4))), "a sum of uint32 over 80000 elements"),
        (lambda x: x.at[jnp.asarray([1, 1])].add(np.uint32(1)), "scatter_add of uint32"),
    ],
)
def test_what_is_refused(tmp_path: Path, function: Any, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        aj.export.coreml(function, words(4), path=tmp_path / "f.mlpackage")


def test_float16_has_not_the_bits(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="float16 has not the bits of float32"):
        aj.export.coreml(lambda k: random.uniform(k, (3,)), KEY, path=tmp_path / "f.mlpackage", precision="float16")


@pytest.mark.long
@pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
def test_the_same_operations_on_core_ai() -> None:
    """Apple's runtime executes the operations that a Core ML package has, in 15 seconds."""
    graph = aj.jit(lambda k: random.bits(k, (5,))).trace(KEY).jaxpr.graph
    text = to_text(lower(signed_words(optimize(graph, "coreml")), "coreml"))
    (got,) = execute(CoreAIProgram.of_mil(text), [np.asarray(KEY).view(np.int32)])
    np.testing.assert_array_equal(got, np.asarray(random.bits(KEY, (5,))).view(np.int32))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_next_float(tmp_path: Path, dtype: type[np.floating[Any]]) -> None:
    """Between numbers of all kinds, to the last bit; and towards a constant, as truncated_normal does. Core ML has the
    greatest number for an infinite constant."""
    info = np.finfo(dtype)
    ends = [0, info.smallest_subnormal, info.smallest_normal, 1, 1.5, 2 - info.eps, info.max, np.inf]
    some = np.array([*ends, *np.negative(ends), np.nan], dtype)
    x, y = (v.ravel() for v in np.meshgrid(some, some))
    finite = x[np.abs(x) < info.max]
    up = lambda x: lax.nextafter(x, jnp.full_like(x, np.inf))  # noqa: E731
    one = (x[3:4], y[3:4])
    got = results(tmp_path, {"next": (lax.nextafter, (x, y)), "up": (up, (finite,)), "one": (lax.nextafter, one)})
    with np.errstate(all="ignore"):
        wanted = {"next": np.where(x == y, y, np.nextafter(x, y)), "up": np.nextafter(finite, dtype(np.inf)),
                  "one": np.nextafter(*one)}  # fmt: skip
    for name, want in wanted.items():
        np.testing.assert_array_equal(got[name][0], want)
        np.testing.assert_array_equal(np.signbit(got[name][0]) & (want == want), np.signbit(want) & (want == want))
