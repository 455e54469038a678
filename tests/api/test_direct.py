"""Eager calls that go straight to the primitive give what the long way gives, in every bit and type."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import dtypes
from anejax.config import config
from anejax.core import direct
from anejax.core.array import from_numpy
from anejax.errors import DeletedArrayError, NanError

TYPES = ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32", "complex64")
BINARY = (jnp.add, jnp.subtract, jnp.multiply, jnp.true_divide, jnp.maximum, jnp.equal, jnp.less, jnp.arctan2,
          jnp.left_shift, jnp.bitwise_and, jnp.logical_or, jnp.matmul)  # fmt: skip
UNARY = (jnp.exp, jnp.tanh, jnp.negative, jnp.square, jnp.bitwise_not, jnp.log, jnp.sqrt)
NUMBERS = (True, 0, 1, -1, 127, 128, -129, 300, 2**31 - 1, 2**40, 0.1, -0.0, 1e300, float("nan"), 1j)


def sample(name: str, shape: tuple[int, ...]) -> Any:
    numbers = np.resize([0, 1, 3, 2, 1, 7, 0, 5, 4], shape)
    return jnp.asarray(numbers.astype(dtypes.canonical(name)))


def outcome(f: Any, *args: Any) -> Any:
    """Type and bits of the result, or type and words of the error."""
    try:
        out = f(*args)
    except Exception as err:
        return type(err), str(err)
    return out.aval, np.asarray(out).tobytes()


def both_ways(f: Any, *args: Any) -> None:
    with config.override("check", config.check):  # no fast path while a thread has settings of its own
        assert config.stamp is None
        expected = outcome(f, *args)
    assert config.stamp is not None
    assert outcome(f, *args) == expected  # learns
    assert outcome(f, *args) == expected  # what it has learnt


@pytest.mark.parametrize("f", BINARY, ids=lambda f: f.__name__)
def test_two_arrays(f: Any) -> None:
    for name in TYPES:
        for shape in ((3, 3), (0, 0)):
            x = sample(name, shape)
            both_ways(f, x, x)
            both_ways(f, x, sample("float32", shape))
        both_ways(f, sample(name, (3, 1)), sample(name, (1, 3)))
        both_ways(f, sample(name, (5,)), sample(name, ()))
        both_ways(f, sample(name, ()), sample(name, ()))


@pytest.mark.parametrize("f", BINARY, ids=lambda f: f.__name__)
def test_an_array_and_a_number(f: Any) -> None:
    for name in TYPES:
        x = sample(name, (3,))
        for number in NUMBERS:  # what was learnt with one number serves the others of its type
            both_ways(f, x, number)
            both_ways(f, number, x)
        for number in NUMBERS:
            both_ways(f, x, number)


@pytest.mark.parametrize("f", UNARY, ids=lambda f: f.__name__)
def test_one_array(f: Any) -> None:
    for name in TYPES:
        for shape in ((7,), (), (0, 3), (2, 1)):
            both_ways(f, sample(name, shape))
    both_ways(f, jnp.asarray(2.0))


def test_a_weak_type_stays_weak() -> None:
    weak = jnp.asarray(2.0) * 1
    for _ in range(3):
        assert (weak + 1.0).weak_type and (weak + 1.0).dtype == jnp.float32
        assert not (jnp.ones(2) + weak).weak_type


def test_what_was_learnt_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    x = jnp.ones((2, 5))
    for _ in range(2):
        _ = x + 1, jnp.tanh(x), x @ x.T, x < x, -x, x / 2

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an operation went the long way")

    monkeypatch.setattr(direct.EvalTrace, "process", never)
    np.testing.assert_array_equal(np.asarray(x + 5), np.full((2, 5), 6.0))
    np.testing.assert_array_equal(np.asarray(x / 4), np.full((2, 5), 0.25))
    np.testing.assert_allclose(np.asarray(jnp.tanh(-x)), np.full((2, 5), np.tanh(-1.0)), rtol=1e-6)
    assert not np.asarray(x < x).any()
    with pytest.raises(AssertionError, match="long way"):
        _ = x + np.ones(5)


def test_results_are_read_only_and_share_nothing() -> None:
    own = np.ones(3, np.float32)
    for _ in range(3):
        out = jnp.abs(own) + own
        assert not np.asarray(out).flags.writeable
        assert not np.shares_memory(np.asarray(out), own)


def test_borrowed_memory_goes_the_long_way() -> None:
    lent = from_numpy(np.zeros(0, np.float32), borrowed=True)
    for f in (jnp.exp, jnp.arccos):
        _ = f(jnp.zeros(0)), f(jnp.zeros(0))
        assert not f(lent).is_borrowed()


def test_deleted_arrays_raise() -> None:
    x = jnp.ones(3)
    _ = x + 1, x + 1
    x.delete()
    with pytest.raises(DeletedArrayError):
        _ = x + 1


def test_settings_count_at_once() -> None:
    x = jnp.asarray(np.float32(0.0))
    with np.errstate(all="raise"):
        assert np.isnan(float(x / x)) and np.isnan(float(x / x))
    with config.override("jax_debug_nans", True), pytest.raises(NanError):
        _ = x / x
    config.update("jax_debug_nans", True)
    try:
        with pytest.raises(NanError):
            _ = x / x
    finally:
        config.update("jax_debug_nans", False)
    assert [(jnp.arange(3) / 2).dtype for _ in range(3)] == [jnp.float32] * 3
    with aj.enable_x64():
        assert [(jnp.arange(3) + 1).dtype for _ in range(3)] == [np.int64] * 3
    assert (jnp.arange(3) + 1).dtype == np.int32


def test_a_block_of_another_thread_ends_with_the_same_stamp() -> None:
    stamp, seen = config.stamp, []

    def inside() -> None:
        with config.override("jax_debug_infs", False):
            seen.append(config.stamp)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [None] and config.stamp is stamp
    config.update("check", config.check)
    assert config.stamp is not stamp and config.stamp is not None


def test_transformations_see_every_operation() -> None:
    x = jnp.asarray(np.float32(0.5))
    f = lambda v: jnp.tanh(v * 3.0 + x) - v  # noqa: E731
    _ = f(x), f(x)
    slope = 3 * (1 - np.tanh(2.0) ** 2) - 1
    np.testing.assert_allclose(float(aj.grad(f)(x)), slope, rtol=1e-5)
    np.testing.assert_allclose(float(aj.jit(aj.grad(f))(x)), slope, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(aj.vmap(f)(jnp.ones(2) * x)), [float(f(x))] * 2, rtol=1e-6)
    assert "tanh" in str(aj.make_jaxpr(f)(x))


def test_short_calls_of_jitted_functions() -> None:
    captured = jnp.arange(3.0)
    f = aj.jit(lambda x, y: {"sum": x + y * captured, "x": y - x})
    x, y = jnp.ones(3), jnp.full(3, 2.0)
    for _ in range(3):
        out = f(x, y)
        np.testing.assert_array_equal(np.asarray(out["sum"]), [1.0, 3.0, 5.0])
        np.testing.assert_array_equal(np.asarray(out["x"]), np.ones(3))
    assert len(f._short) == 1
    g = aj.jit(lambda x: x * 3.0)
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(g(y)), np.full(3, 6.0))
    assert len(g._short) == 1
    np.testing.assert_array_equal(np.asarray(g(jnp.arange(2))), [0.0, 3.0])
    np.testing.assert_array_equal(np.asarray(aj.vmap(g)(y)), np.full(3, 6.0))
    assert float(aj.grad(lambda v: g(v))(jnp.asarray(1.0))) == 3.0
    with aj.disable_jit():
        assert "mul" in str(aj.make_jaxpr(lambda v: g(v))(y))
    x = jnp.ones(3)
    g(x)
    x.delete()
    with pytest.raises(DeletedArrayError):
        g(x)
    aj.clear_caches()
    assert not g._short and float(g(jnp.ones(()))) == 3.0


@pytest.mark.parametrize("reads", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (2, 0, 1)])
@pytest.mark.parametrize("results", [1, 2])
def test_short_calls_give_a_program_the_inputs_that_it_reads(reads: tuple[int, ...], results: int) -> None:
    given = [jnp.full((2,), float(10**i)) for i in range(3)]
    f = aj.jit(lambda *args: [jnp.arange(2) * 0 + sum((args[i] for i in reads), 1.0) + k for k in range(results)])
    want = [1 + sum(10**i for i in reads) + k for k in range(results)]
    for _ in range(3):
        assert [y.tolist() for y in f(*given)] == [[w, w] for w in want]


def test_short_calls_of_trees() -> None:
    """Calls of one structure share a form; another structure of as many arrays has its own."""
    f = aj.jit(lambda t, *, scale: aj.tree.map(lambda x: x * scale, t))
    x, two = jnp.ones(3), jnp.asarray(2.0)
    for _ in range(3):
        assert f({"b": x, "a": x + 1}, scale=two)["a"].tolist() == [4.0] * 3
        assert f((x + 1, x), scale=two)[1].tolist() == [2.0] * 3
        assert f([x + 1, {}, None, x], scale=two)[3].tolist() == [2.0] * 3
    assert len(f._short) == 3
    assert f({"b": np.ones(3, np.float32), "a": x}, scale=two)["b"].tolist() == [2.0] * 3
    state = {"w": jnp.ones(4), "m": jnp.zeros(4)}
    step = aj.jit(lambda s, g: {"w": s["w"] - g, "m": s["m"] + g}, donate_argnums=0)
    for i in range(4):
        old, state = state, step(state, two)
        assert old["w"].is_deleted() and old["m"].is_deleted() and not two.is_deleted()
        assert state["w"].tolist() == [1.0 - 2 * (i + 1)] * 4
    with pytest.raises(DeletedArrayError):
        step(old, two)


def test_short_calls_forward_and_print(capsys: pytest.CaptureFixture[str]) -> None:
    same = aj.jit(lambda x: x)
    says = aj.jit(lambda x: (aj.debug.print("{}", x), x + 1)[1])
    for i in range(3):
        y = jnp.full((), i)
        z = same(y)
        assert z is not y
        y.delete()
        assert float(z) == i and float(says(z)) == i + 1
    assert capsys.readouterr().out.split() == ["0", "1", "2"]


def test_calls_with_static_arguments_are_not_shortened() -> None:
    static = aj.jit(lambda x, n: x["a"] * n, static_argnums=1)
    for n in (2, 3, 2):
        assert float(static({"a": jnp.ones(())}, n)) == n
    assert not static._short
