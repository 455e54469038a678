"""What surrounds the transformations: scopes, devices, closures, custom batching, segments, flat trees; against jax."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import custom_batching as jax_batching
from jax import flatten_util as jax_flatten

import anejax as aj
import anejax.numpy as anp
from anejax import custom_batching, flatten_util
from anejax.errors import AbsentError, DeviceError, DtypeError, NanError, ShapeError, TypePromotionError
from tests.numpy.compare import assert_close, assert_same_type, sample

X = sample((7, 3))
IDS = np.array([0, 2, 2, 5, 1, 9, -1], np.int32)


@pytest.mark.parametrize("name", ["segment_sum", "segment_prod", "segment_max", "segment_min"])
@pytest.mark.parametrize(
    "case", [(X, IDS, 6), (X.astype(np.int32), IDS, 10), (X[:0], IDS[:0], 2)], ids=("floats", "ints", "none")
)
def test_segments(name, case):
    x, ids, count = case
    ours, theirs = getattr(aj.ops, name), getattr(jax.ops, name)
    out, expected = ours(anp.asarray(x), anp.asarray(ids), count), theirs(jnp.asarray(x), jnp.asarray(ids), count)
    assert_same_type(out, expected)
    assert_close(out, expected)
    assert_close(aj.jit(ours, static_argnums=2)(x, ids, count), out)


def test_segments_count_and_errors():
    assert aj.ops.segment_sum(anp.ones(3), anp.array([0, 4, 0])).tolist() == [2.0, 0.0, 0.0, 0.0, 1.0]
    grad = aj.grad(lambda x: (aj.ops.segment_sum(x, IDS, 6) ** 2).sum())(anp.asarray(X))
    assert_close(grad, jax.grad(lambda x: (jax.ops.segment_sum(x, IDS, 6) ** 2).sum())(jnp.asarray(X)))
    with pytest.raises(ShapeError, match=r"\[segment_sum\] .*leading axes of float32\[7,3\], got int32\[2\]"):
        aj.ops.segment_sum(anp.asarray(X), IDS[:2])
    with pytest.raises(DtypeError, match=r"\[segment_max\] expected integer segment_ids"):
        aj.ops.segment_max(anp.asarray(X), anp.ones(7))
    with pytest.raises(ShapeError, match="bucket_size"):
        aj.ops.segment_sum(anp.asarray(X), IDS, 3, bucket_size=0)


@pytest.mark.parametrize("size", [1, 2, 7, 20])
def test_segments_in_buckets_and_of_bools(size):
    for name, reduce in (("sum", np.add), ("prod", np.multiply), ("max", np.maximum), ("min", np.minimum)):
        out = getattr(aj.ops, f"segment_{name}")(X, IDS, 6, bucket_size=size)
        bools = getattr(aj.ops, f"segment_{name}")(X > 0, IDS, 6, bucket_size=size)
        for k in set(IDS.tolist()) & set(range(6)):
            np.testing.assert_allclose(out[k], reduce.reduce(X[k == IDS], 0), rtol=1e-6)
            np.testing.assert_array_equal(bools[k], reduce.reduce(X[k == IDS] > 0, 0))
        np.testing.assert_array_equal(bools[4], np.full(3, name in ("prod", "min")))  # of a segment without elements


def test_ravel_pytree():
    trees = [{"a": X, "b": (X[0].astype(np.float16), np.int32(4))}, [], {"i": np.arange(3, dtype=np.int32)}, X[:0]]
    for tree in trees:
        flat, back = flatten_util.ravel_pytree(tree)
        expected, theirs = jax_flatten.ravel_pytree(jax.tree.map(jnp.asarray, tree))
        assert_same_type(flat, expected)
        assert_close(flat, expected)
        for a, b in zip(aj.tree.leaves(back(flat)), jax.tree.leaves(theirs(expected)), strict=True):
            assert_same_type(a, b)
            assert_close(a, b)
    flat, back = flatten_util.ravel_pytree(trees[0])
    assert aj.jit(aj.grad(lambda v: back(v)["a"].sum()))(flat).sum() == X.size
    with pytest.raises(ShapeError, match=r"\[ravel_pytree\] expected a vector of type float32\[25\], got float32\[2\]"):
        back(flat[:2])
    with pytest.raises(DtypeError, match="Convert it first"):
        back(flat.astype("int32"))


def test_closure_convert_hoists_what_is_differentiated():
    def program(m):
        def f(y):
            converted, consts = m.closure_convert(lambda x: {"out": x * y + 2}, 1.0)
            assert len(consts) == 1
            return converted(3.0, *consts)["out"] * converted(1.0, consts[0] * 2)["out"]

        return m.grad(f)(5.0), m.jit(m.grad(f))(5.0)

    assert [float(v) for v in program(aj)] == [float(v) for v in program(jax)]


def test_custom_gradient():
    def program(m):
        @m.custom_gradient
        def f(x, y):
            z = m.numpy.sin(x)
            return z * y, lambda g: (g * z * 10, g * x)

        def loss(x, y):
            return f(x, y) * 2

        return [*m.grad(loss, (0, 1))(1.0, 2.0), *m.jit(m.grad(loss, (0, 1)))(1.0, 2.0),
                *m.vmap(m.grad(loss), (0, None))(m.numpy.arange(3.0), 2.0)]  # fmt: skip

    for a, b in zip(program(aj), program(jax), strict=True):
        assert_close(a, b)


def test_custom_vmap():
    def program(m, batching):
        @batching.custom_vmap
        def f(x, y):
            return {"a": m.numpy.sin(x) * y}

        @f.def_vmap
        def rule(axis_size, in_batched, x, y):
            assert in_batched == [True, False] and axis_size == 4
            return {"a": m.numpy.sin(x) * y + 100.0}, {"a": True}

        xs = m.numpy.arange(4.0)
        run = lambda g: g(xs, 3.0)["a"]  # noqa: E731
        mapped = m.vmap(f, in_axes=(0, None))
        return [f(xs[1], 3.0)["a"], run(mapped), run(m.jit(mapped)), run(m.vmap(m.jit(f), in_axes=(0, None)))]

    for a, b in zip(program(aj, custom_batching), program(jax, jax_batching), strict=True):
        assert_close(a, b)


def test_custom_vmap_differentiates_as_its_function():
    f = custom_batching.custom_vmap(lambda x: x**3)
    with pytest.raises(AttributeError, match="has no rule yet"):
        f(1.0)
    f.def_vmap(lambda size, batched, x: (x**3 + 1, True))
    assert float(aj.grad(f)(2.0)) == 12.0 and float(aj.jit(aj.grad(f))(2.0)) == 12.0
    assert aj.vmap(aj.grad(f))(anp.arange(3.0)).tolist() == [0.0, 3.0, 12.0]
    f.def_vmap(lambda size, batched, x: x)
    with pytest.raises(TypeError, match=r"\[custom_vmap\] the rule of <lambda> must return"):
        aj.vmap(f)(anp.ones(2))


def test_sequential_vmap():
    def program(m, batching):
        f = batching.sequential_vmap(lambda x, y: (x @ y, x.sum()))
        x, y = m.numpy.asarray(sample((4, 2, 3))), m.numpy.asarray(sample((3, 2)))
        return [*m.vmap(f, in_axes=(0, None))(x, y), *m.jit(m.vmap(f, in_axes=(0, None)))(x, y)]

    for a, b in zip(program(aj, custom_batching), program(jax, jax_batching), strict=True):
        assert_close(a, b, scale=8.0)


PAIRS = [("int32", "float32"), ("int32", "int32"), ("bool", "int32"), ("float16", "float32"), ("bool", 1),
         ("int32", 2), ("int32", 2.5), ("float32", 2), ("float16", 2.5), ("bool", 1.5), (1, 2.5), (1, 2)]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_strict_promotion_as_jax(pair):
    def program(m):
        a, b = (m.numpy.ones(2, p) if isinstance(p, str) else p for p in pair)
        with m.numpy_dtype_promotion("strict"):
            return m.numpy.add(a, b)

    try:
        expected = program(jax)
    except jax.dtypes.TypePromotionError:
        with pytest.raises(TypePromotionError, match=r"\[promotion\] operands of .* strict. Convert one"):
            program(aj)
    else:
        assert_same_type(program(aj), expected)


def test_rank_promotion():
    with aj.numpy_rank_promotion("raise"):
        assert (anp.ones((2, 3)) + 1.0).shape == (2, 3)
        with pytest.raises(ShapeError, match=r"\[add\] operands of different ranks: float32\[2,3\], float32\[3\]"):
            anp.ones((2, 3)) + anp.ones(3)
    with aj.numpy_rank_promotion("warn"), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert (anp.ones((2, 3)) + anp.ones(3)).shape == (2, 3)
    assert len(seen) == 1 and "different ranks" in str(seen[0].message)
    with pytest.raises(ValueError, match="expected one of allow, warn, raise"):
        aj.numpy_rank_promotion("sometimes")


def test_debugging_scopes():
    with aj.debug_nans(), pytest.raises(NanError, match=r"\[log\] made a NaN of type float32"):
        anp.log(-1.0)
    with aj.debug_infs():
        with pytest.raises(NanError, match=r"\[log\] made an infinity"):
            anp.log(0.0)
        with pytest.raises(NanError, match=r"\[jit\] made an infinity"):
            aj.jit(anp.log)(0.0)
    with aj.enable_checks(), aj.default_matmul_precision("float32"), aj.default_device(aj.devices()[0]):
        assert float(aj.jit(lambda x: x + 1)(1.0)) == 2.0
    with pytest.raises(DeviceError), aj.default_device("tpu"):
        pass


def test_compile_time_evaluation():
    def f(m, x):
        with m.ensure_compile_time_eval():
            n = int(m.numpy.sum(m.numpy.arange(4)))
        return x * n

    assert float(aj.jit(lambda x: f(aj, x))(2.0)) == float(jax.jit(lambda x: f(jax, x))(2.0)) == 12.0


def test_names_and_scopes():
    named = aj.named_call(lambda x: x + 1, name="step")
    assert named.__name__ == "step" and "step" in repr(aj.jit(named))

    @aj.named_scope("inner")
    def f(x):
        with aj.named_scope("deep"):
            return x + 1

    assert float(aj.jit(f)(1.0)) == 2.0
    with pytest.raises(TypeError, match=r"\[named_scope\]"), aj.named_scope(3):
        pass


def test_scopes_that_change_nothing():
    guards = [aj.transfer_guard, aj.transfer_guard_device_to_host, aj.transfer_guard_host_to_device]
    scopes = [g("disallow") for g in guards]
    scopes += [aj.check_tracer_leaks(), aj.checking_leaks(), aj.threefry_partitionable(True)]
    scopes += [aj.default_prng_impl("threefry2x32"), aj.profiler.TraceAnnotation("step")]
    scopes += [aj.profiler.StepTraceAnnotation("step", step_num=1)]
    for scope in scopes:
        with scope:
            assert float(aj.jit(anp.sin)(0.0)) == 0.0
    assert aj.profiler.annotate_function(lambda x: x + 1)(2) == 3
    for refused in (lambda: aj.default_prng_impl("rbg"), lambda: aj.threefry_partitionable(False)):
        with pytest.raises(ValueError, match="random bits are threefry2x32"):
            refused()
    with pytest.raises(AbsentError, match="start_server is not supported"):
        aj.profiler.start_server  # noqa: B018


def test_compiles_are_logged(caplog):
    f = aj.jit(lambda x, y: x + y)
    with aj.log_compiles(), caplog.at_level("WARNING", "anejax"):
        f(anp.ones(3), 1)
        f(anp.ones(3), 1)
        f(anp.ones(2), 1)
    assert caplog.messages == [f"[jit] compiling <lambda> for float32[{n}], int32[]" for n in (3, 2)]
    assert all(r.pathname == __file__ for r in caplog.records)
    f(anp.ones(5), 1)
    assert len(caplog.messages) == 2


def test_devices_and_processes():
    assert aj.device_count() == aj.local_device_count() == len(aj.local_devices()) == aj.process_count() == 1
    cpu = aj.devices()[0]
    assert str(cpu) == str(jax.devices("cpu")[0]) == "cpu:0" and cpu.memory_stats() is None
    assert cpu.process_index == cpu.host_id == cpu.local_hardware_id == 0
    assert aj.device_put(1.0, cpu, donate=True, may_alias=False).weak_type
    assert aj.process_index() == 0 and aj.process_indices() == [0] and isinstance(aj.devices()[0], aj.Device)
    kept = anp.arange(12345.0)
    assert any(x is kept for x in aj.live_arrays())
    assert aj.copy_to_host_async(kept) is kept and aj.effects_barrier() is None
    assert "jax_enable_x64" in aj.print_environment_info(return_string=True)
    assert isinstance(aj.jit(anp.sin), aj.stages.Wrapped) and aj.typeof(kept) == kept.aval


def test_clear_caches():
    f = aj.jit(lambda x: x * 3.5)
    f(1.0)
    assert f._cache_size() == 1
    aj.clear_caches()
    assert f._cache_size() == 0 and float(f(2.0)) == 7.0


def test_absent_things_raise_what_hasattr_understands():
    assert not hasattr(aj, "set_mesh") and not hasattr(aj.lax, "with_sharding_constraint")
    with pytest.raises(AbsentError, match=r"\[anejax\] set_mesh is not supported: .*whole.* Instead, use shard_map"):
        aj.set_mesh  # noqa: B018


def test_callbacks_and_logs(caplog):
    def run(m, seen):
        @m.jit
        def f(x):
            m.debug.callback(lambda v, *, scale: seen.append((v.tolist(), int(scale))), x, scale=2)
            return m.numpy.sin(x)

        f(m.numpy.arange(2.0))
        m.effects_barrier()
        return seen

    assert run(aj, []) == run(jax, []) == [([0.0, 1.0], 2)]
    seen = []
    aj.vmap(lambda x: aj.debug.callback(lambda v: seen.append(float(v)), x))(anp.arange(3.0))
    aj.grad(lambda x: (aj.debug.callback(lambda v: seen.append(float(v)), x), x)[1])(7.0)
    aj.debug.callback()(lambda v: seen.append(float(v)))(8.0)
    assert seen == [0.0, 1.0, 2.0, 7.0, 8.0]
    with caplog.at_level("INFO", "anejax.debug"):
        aj.jit(lambda x: aj.debug.log("x = {x}", x=x))(3.0)
    assert caplog.messages == ["x = 3.0"]
    with pytest.raises(TypeError, match=r"\[debug.callback\] expected a function, got int"):
        aj.debug.callback(3, 1.0)


def test_prints_what_is_no_array_too(capsys):
    def program(m):
        show = m.debug.print
        show("{} {x:.2f} {name} {nothing}", 1, x=m.numpy.float32(2), name="text", nothing=None)
        m.jit(lambda a: show("{} {s}", a, s="inside"))(m.numpy.ones(2))
        m.lax.scan(lambda c, a: (show("{} {}", "step", a, ordered=True), (c, a))[1], 0.0, m.numpy.arange(2.0))
        show("{0} {0:{w}}", 1, w=5)
        m.effects_barrier()
        return capsys.readouterr().out

    assert program(aj) == program(jax)
    seen = []
    aj.jit(lambda x: aj.debug.callback(lambda name, v: seen.append((name, v.tolist())), "name", x))(anp.ones(1))
    assert seen == [("name", [1.0])]


@pytest.mark.parametrize(
    ("fmt", "args", "text"),
    [
        ("x", (3,), r"'x' does not name 0, which were given. Give a plain string, not an f-string"),
        ("{}", (), "'{}' names 0, which were not given"),
        ("{y.shape} {}", (1,), "names y, which were not given"),
    ],
)
def test_formats_and_values_must_agree(fmt, args, text):
    with pytest.raises((ValueError, IndexError, KeyError)):
        jax.debug.print(fmt, *args)
    with pytest.raises(ValueError, match=text):
        aj.debug.print(fmt, *args)


def test_log1mexp():
    x = np.array([1e-30, 1e-6, 0.5, np.log(2.0), 3.0, 50.0, 200.0], np.float32)
    wide = x.astype(np.float64)
    expected = np.log(-np.expm1(-wide))
    expected[wide > 1] = np.log1p(-np.exp(-wide[wide > 1]))
    np.testing.assert_allclose(aj.nn.log1mexp(x)[:6], expected[:6], rtol=1e-6)
    assert np.isfinite(np.asarray(aj.grad(lambda v: aj.nn.log1mexp(v).sum())(anp.asarray(x)))).all()
    assert_same_type(aj.nn.log1mexp(3), jax.nn.log1mexp(3))
