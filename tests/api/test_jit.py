"""What jit promises beyond values: when it stages, what it captures, donation, forwarding, threads, compiles."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
import weakref
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import errors
from anejax.runtime import execute, library


class Pair(NamedTuple):
    a: Any
    b: Any


def test_stages_once_per_types_and_structure() -> None:
    calls = []

    @aj.jit
    def f(x: Any) -> Any:
        calls.append(1)
        return x["a"] + 1

    f({"a": 1.0})
    f({"a": 2.0})
    assert len(calls) == 1
    f({"a": jnp.ones(2)})
    f({"a": 1})
    f({"a": np.float32(1)})  # not weak, unlike 1.0
    assert len(calls) == 4


def test_trees_of_every_kind_go_through() -> None:
    tree = Pair([1.0, {"b": 2.0, "a": None}], (3.0,))
    out = aj.jit(lambda t: t)(tree)
    assert isinstance(out, Pair) and out.a[1]["a"] is None and float(out.b[0]) == 3.0


def test_static_arguments() -> None:
    f = aj.jit(lambda x, n, mode="up": x * n if mode == "up" else x, static_argnums=1, static_argnames="mode")
    assert float(f(2.0, 3)) == 6.0 and float(f(2.0, 3, mode="down")) == 2.0 and float(f(2.0, n=4)) == 8.0
    with pytest.raises(ValueError, match=r"must be hashable, got list \[3\]"):
        f(2.0, [3])
    with pytest.raises(ValueError, match="static_argnames names 'z'"):
        aj.jit(lambda x: x, static_argnames="z")


def test_equal_code_shares_one_program_whatever_its_data() -> None:
    def make(seed: int) -> Any:
        weights = jnp.asarray(np.random.default_rng(seed).standard_normal((3, 7)).astype(np.float32))
        return weights, aj.jit(lambda x: x @ weights + 41)

    (w0, f0), (w1, f1) = make(0), make(1)
    x = np.ones((2, 3), np.float32)
    first = f0(x)
    before = execute.compile_count()
    second = f1(x)
    assert execute.compile_count() == before
    np.testing.assert_allclose(first, x @ np.asarray(w0) + 41, rtol=1e-6)
    np.testing.assert_allclose(second, x @ np.asarray(w1) + 41, rtol=1e-6)


def test_captured_numpy_arrays_are_copied() -> None:
    table = np.arange(3, dtype=np.float32)
    f = aj.jit(lambda x: x + table)
    f(0.0)
    table[:] = 100
    assert f(0.0).tolist() == [0, 1, 2]


def test_closed_over_tracers() -> None:
    def f(x: Any) -> Any:
        return aj.jit(lambda y: jnp.sin(x) * y)(x)

    np.testing.assert_allclose(float(aj.grad(f)(0.7)), np.cos(0.7) * 0.7 + np.sin(0.7), rtol=1e-6)
    np.testing.assert_allclose(aj.vmap(f)(jnp.arange(3.0)), np.sin(np.arange(3.0)) * np.arange(3), rtol=1e-6)


def test_outputs_that_are_inputs_constants_or_duplicates() -> None:
    x = jnp.ones(3)
    a, b, c, d, e = aj.jit(lambda x: (x, 2.0, x + 1, x + 1, np.arange(2)))(x)
    assert (
        a is not x
        and a.pointer == x.pointer
        and float(b) == 2.0
        and c.tolist() == d.tolist() == [2, 2, 2]
        and e.tolist() == [0, 1]
    )
    assert aj.jit(lambda: ())() == ()


def test_donation_reuses_and_deletes() -> None:
    step = aj.jit(lambda p, g: p - 0.5 * g, donate_argnums=0)
    p = step(jnp.ones(1000), jnp.ones(1000))
    pointer = p.pointer
    q = step(p, jnp.ones(1000))
    assert p.is_deleted() and q.pointer == pointer and q[0] == 0
    with pytest.raises(errors.DeletedArrayError, match=r"float32\[1000\] was deleted"):
        p + 1


def test_donated_memory_with_live_views_is_copied() -> None:
    step = aj.jit(lambda p: p + 1, donate_argnums=0)
    p = step(jnp.zeros(4))
    view = np.asarray(p)
    q = step(p)
    assert p.is_deleted() and view.tolist() == [1, 1, 1, 1] and q.tolist() == [2, 2, 2, 2]
    part = np.asarray(q)[1:]
    r = step(q)
    assert part.tolist() == [2, 2, 2] and r.tolist() == [3, 3, 3, 3]


def test_an_argument_donated_twice_is_copied() -> None:
    both = aj.jit(lambda a, b: (a + 1, b * 2), donate_argnums=(0, 1))
    x = aj.jit(lambda v: v + 0)(jnp.ones(5))
    a, b = both(x, x)
    assert a.tolist() == [2] * 5 and b.tolist() == [2] * 5 and x.is_deleted()


def test_duplicate_outputs_share_memory_until_one_is_donated() -> None:
    a, b = aj.jit(lambda x: (x + 1, x + 1))(jnp.ones(6))
    assert a.pointer == b.pointer
    c = aj.jit(lambda x: x * 3, donate_argnums=0)(a)
    assert b.tolist() == [2] * 6 and c.tolist() == [6] * 6


def test_numpy_arguments_are_borrowed_only() -> None:
    x = np.ones(4, np.float32)
    y = aj.jit(lambda v: v + 1, donate_argnums=0)(x)
    x[:] = 7
    assert y.tolist() == [2, 2, 2, 2]
    assert aj.jit(lambda v: v * 2)(np.arange(6, dtype=np.float32)[::-2]).tolist() == [10, 6, 2]


def test_asarray_copies_and_views_are_read_only() -> None:
    source = np.ones(3, np.float32)
    x = jnp.asarray(source)
    source[0] = 5
    assert x.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 1
    made = np.asarray(aj.jit(lambda v: v + 1)(x))
    with pytest.raises(ValueError, match="read-only"):
        made[0] = 1


def test_views_keep_their_memory_alive() -> None:
    view = np.asarray(aj.jit(lambda v: v * 3)(jnp.ones(100_000)))
    others = [aj.jit(lambda v: v * 5)(jnp.ones(100_000)) for _ in range(4)]
    assert view.min() == view.max() == 3 and float(others[0][0]) == 5


def test_eight_threads_on_one_function() -> None:
    f = aj.jit(lambda x, w: jnp.sum(jnp.tanh(x @ w), axis=0))
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((16, 32)).astype(np.float32) for _ in range(8)]
    w = rng.standard_normal((32, 8)).astype(np.float32)
    expected = [np.asarray(f(x, w)) for x in xs]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(50):
            if not np.array_equal(np.asarray(f(xs[i], w)), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_trace_state_is_thread_local() -> None:
    out = []

    @aj.jit
    def f(x: Any) -> Any:
        t = threading.Thread(target=lambda: out.append(float(jnp.sin(1.0) + 1)))
        t.start()
        t.join()
        return x

    f(1.0)
    assert out == [pytest.approx(np.sin(1) + 1)]


def test_training_compiles_once() -> None:
    @aj.jit
    def step(w: Any, x: Any) -> Any:
        loss, g = aj.value_and_grad(lambda w: jnp.mean((x @ w - 1.25) ** 2))(w)
        return w - 0.1 * g, loss

    w, x = jnp.zeros(5), np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    w, first = step(w, x)
    count = execute.compile_count()
    for _ in range(10):
        w, loss = step(w, x)
    assert execute.compile_count() == count and float(loss) < float(first)


def test_lower_and_compile() -> None:
    lowered = aj.jit(lambda x: {"y": jnp.sin(x) * 2}).lower(aj.ShapeDtypeStruct((3,), jnp.float32))
    assert "func main<ios18>(tensor<fp32, [3]> a0)" in lowered.as_text()
    assert "sin" in lowered.as_text("graph")
    assert lowered.out_info == {"y": aj.ShapeDtypeStruct((3,), jnp.float32)}
    compiled = lowered.compile()
    np.testing.assert_allclose(compiled(np.ones(3, np.float32))["y"], 2 * np.sin(1), rtol=1e-6)
    assert "arena" in compiled.as_text()
    with pytest.raises(TypeError, match=r"was compiled for float32\[3\], got float32\[4\]"):
        compiled(np.ones(4, np.float32))


def _add(params: Any, x: Any, *, scale: Any) -> Any:
    return {"out": params["w"] * x + scale}


def test_stages_say_what_jax_says() -> None:
    def told(m: Any) -> list[Any]:
        f = m.jit(_add, donate_argnums=1)
        args = ({"w": m.ShapeDtypeStruct((3,), "float32")}, m.numpy.ones(3)), {"scale": 2.0}
        traced = f.trace(*args[0], **args[1])
        lowered = f.lower(*args[0], **args[1])
        compiled = traced.lower().compile(compiler_options=None)
        found: list[Any] = [traced.fun_name, len(traced.jaxpr.eqns) > 0]
        for stage in (lowered, compiled):
            infos = m.tree.leaves(stage.args_info, is_leaf=lambda x: hasattr(x, "donated"))
            found += [[(str(i.shape), str(i.dtype), i.donated) for i in infos], stage.donate_argnums]
            found += [stage.in_tree == m.tree.structure(args), stage.out_tree == m.tree.structure({"out": 0})]
            found += [[(a.shape, a.weak_type) for a in m.tree.leaves(stage.in_avals)]]
            found += [stage.out_info["out"].shape, str(stage.out_info["out"].dtype)]
        memory = compiled.memory_analysis()
        found += [memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.generated_code_size_in_bytes]
        return [*found, str(m.eval_shape(lambda x: (x, 1), 2.0))]

    assert told(aj) == told(jax)


def test_compiled_functions_are_not_transformed() -> None:
    compiled = aj.jit(jnp.sin).lower(1.0).compile()
    for outer in (aj.jit, aj.grad):
        with pytest.raises(TypeError, match=r"\[sin\] is compiled and cannot be transformed, got a traced value"):
            outer(lambda x: compiled(x))(1.0)
    with pytest.raises(ValueError, match="StableHLO and HLO are XLA's"):
        aj.jit(jnp.sin).lower(1.0).as_text("stablehlo")
    with pytest.raises(ValueError, match="expected no compiler_options"):
        aj.jit(jnp.sin).lower(1.0).compile({"xla_flag": 1})


def test_arguments_of_jit_that_place_or_promise() -> None:
    here = aj.devices()[0]
    f = aj.jit(lambda x: x + 1, in_shardings=None, out_shardings=jnp.ones(1).sharding, backend="cpu", inline=True)
    assert float(f(1.0)) == float(aj.jit(in_shardings=(here,), keep_unused=True)(lambda x: x + 1)(1.0)) == 2.0
    with pytest.raises(errors.DeviceError, match="'gpu'"):
        aj.jit(jnp.sin, backend="gpu")
    for wrong in (3, -3):
        for m in (jax, aj):
            with pytest.raises(ValueError, match=r"only accepts 1|takes 1 by position"):
                m.jit(lambda x: x, static_argnums=wrong)(1.0)
    assert float(aj.jit(lambda *x: x[0], static_argnums=(1, 2))(1.0, "a", "b")) == 1.0
    for given in ({"static_argnums": 0, "donate_argnums": 0}, {"static_argnames": "x", "donate_argnums": 0}):
        for m in (jax, aj):
            with pytest.raises(ValueError, match="static"):
                m.jit(lambda x, y: y, **given)(1.0, 2.0)


def test_shape_dtype_structs_as_jax() -> None:
    for m in (jax, aj):
        s = m.ShapeDtypeStruct((2, 3), m.numpy.float32, sharding=None, weak_type=True)
        assert repr(s) == "ShapeDtypeStruct(shape=(2, 3), dtype=float32, weak_type=True)"
        assert len(s) == 2 and s.sharding is None and hash(s) == hash(pickle.loads(pickle.dumps(s)))
        assert s.update(shape=(1,), weak_type=False) == m.ShapeDtypeStruct((1,), "float32")
        assert repr(s.update(shape=())) == "ShapeDtypeStruct(shape=(), dtype=float32, weak_type=True)"
        with pytest.raises((AttributeError, RuntimeError), match="immutable"):
            s.shape = (1,)
        with pytest.raises((ValueError, TypeError), match="dtype"):
            m.ShapeDtypeStruct((1,), None)
        with pytest.raises(TypeError):
            len(m.ShapeDtypeStruct((), "float32"))
    a = aj.core.ShapedArray((2,), jnp.float32)
    assert a is jnp.ones(2).aval and a.str_short() == "float32[2]" and jnp.asarray(1.0).aval.strip_weak_type().size == 1


def test_a_function_is_traced_once_however_often_it_is_jitted() -> None:
    traced = []

    def f(x: Any, n: int = 1) -> Any:
        traced.append(n)
        return x + n

    assert [float(aj.jit(f)(2.0)) for _ in range(3)] == [3, 3, 3] and traced == [1]
    assert [float(aj.jit(f, static_argnums=1)(2.0, n)) for n in (1, 3, 3)] == [3, 5, 5] and traced == [1, 1, 3]
    x = jnp.ones(3)
    aj.jit(f, donate_argnums=0)(x)
    assert x.is_deleted() and traced == [1, 1, 3, 1]
    aj.clear_caches()
    aj.jit(f)(2.0)
    assert len(traced) == 5


def test_forms_are_shared_under_the_same_settings() -> None:
    def mixed(x: Any) -> Any:
        return x + jnp.ones((), jnp.float16)

    x = jnp.ones(3)
    assert aj.jit(mixed)(x).dtype == jnp.float32
    with aj.numpy_dtype_promotion("strict"), pytest.raises(TypeError):
        aj.jit(mixed)(x)
    assert aj.jit(mixed)(x).dtype == jnp.float32


def test_staged_forms_go_with_their_function() -> None:
    def make() -> Any:
        big = np.ones(3)
        return weakref.ref(big), lambda x: x + jnp.asarray(big)

    kept, f = make()
    assert aj.jit(f)(1.0).tolist() == [2, 2, 2]
    del f
    gc.collect()
    assert kept() is None


def test_disable_jit_runs_python() -> None:
    seen = []
    f = aj.jit(lambda x: (seen.append(float(x)), x + 1)[1])
    with aj.disable_jit():
        f(1.0)
        f(2.0)
    assert seen == [1.0, 2.0]


def test_null_device_compiles_and_never_runs() -> None:
    text = aj.jit(lambda x: x + 1).lower(1.0).as_text()
    program = library.NativeProgram("null", text)
    with pytest.raises(errors.DeviceError, match="UNSUPPORTED"):
        buffers, _ = library.create_buffers([4, 4])
        program.run([buffers[0].pointer], [buffers[1].pointer])


def test_dlpack_and_x64() -> None:
    x = jnp.arange(4.0)
    assert np.from_dlpack(x).tolist() == [0, 1, 2, 3]
    with aj.enable_x64():
        y = aj.jit(lambda v: jnp.exp(v) @ v)(jnp.arange(4.0))
        assert y.dtype == np.float64
        np.testing.assert_allclose(float(y), np.exp(np.arange(4.0)) @ np.arange(4.0), rtol=1e-14)
    assert aj.jit(lambda v: v)(jnp.arange(4.0)).dtype == np.float32


def test_debug_nans() -> None:
    with aj.config.override("jax_debug_nans", True), pytest.raises(FloatingPointError, match=r"\[log\] made a NaN"):
        jnp.log(-1.0)


FORK = """
import os
import jax
import numpy as np
import anejax as aj, anejax.numpy as jnp
f = aj.jit(lambda x: jnp.tanh(x @ x).sum())
x = np.random.default_rng(0).standard_normal((200, 200)).astype(np.float32)
expected = float(f(x))
child = os.fork()
if child == 0:
    os._exit(0 if float(f(x)) == expected and float(aj.jit(lambda v: v * 2)(3.0)) == 6.0 else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_runs_in_a_forked_child() -> None:
    """In a process of its own: this one may hold jax, whose threads do not survive a fork."""
    assert subprocess.run([sys.executable, "-c", FORK], timeout=120).returncode == 0


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (7,), (1, 13), (5, 1, 3)])
def test_odd_sizes_and_strides(shape: tuple[int, ...]) -> None:
    f = aj.jit(lambda a, b: (jnp.exp(a) * b[..., :1] + 2, (a + b).sum(-1), a.T @ b))
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((2, *shape[:-1], 2 * shape[-1])).astype(np.float32)
    a, b = wide[0][..., ::2], wide[1][..., 1::2]
    if a.ndim == 3:
        a, b = a[:, 0], b[:, 0]
    one, two, three = f(a, b)
    first = b[..., :1] if b.size else b[..., :0]
    np.testing.assert_allclose(one, np.exp(a) * first + 2, rtol=1e-6)
    np.testing.assert_allclose(two, (a + b).sum(-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(three, a.T @ b, rtol=1e-5, atol=1e-6)
