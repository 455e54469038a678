"""The array object: operators, methods, properties and the Python protocol, against jax.Array."""
# ruff: noqa: E501  (tables: one call per line)

from __future__ import annotations

import copy
import operator
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax.errors import AbsentError, ConcretizationError, DeviceError, DtypeError, RefusedError, ShapeError
from tests.numpy.compare import check, sample

M = sample((3, 4))
I = sample((3, 4), "int32", low=-5, high=5)

# names of jax.Array that arrays here do not have, and why
LEFT_OUT = {
    "__cuda_array_interface__": "no GPU",
    "__array_module__": "an abandoned NumPy protocol",
    "__hex__": "Python 2", "__oct__": "Python 2",
    "__dict__": "internal", "__numpy_dtype__": "internal", "__annotations__": "internal", "__del__": "internal",
    "device_buffer": "deprecated", "device_buffers": "deprecated", "format": "layouts belong to the device",
    "platform": "internal", "traceback": "internal", "byteswap": "not useful",
}  # fmt: skip


def test_every_name_of_jax_array():
    ours, theirs = set(dir(anp.ones(3))), {n for n in dir(jnp.ones(3)) if not n.startswith("_") or n.startswith("__")}
    missing = theirs - ours - set(LEFT_OUT)
    assert not missing, sorted(missing)


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
          operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, divmod]  # fmt: skip
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]


@pytest.mark.parametrize("op", BINARY)
def test_operators_and_reflections(op):
    for other in (2, 2.5, np.float32(3), np.full((3, 4), 2, np.int32)):
        host = isinstance(other, np.ndarray)
        check(lambda m, x, o=other: op(x, o), np.abs(M) + 1, ulps=8)
        check(lambda m, x, o=other: op(o, x), np.abs(M) + 1, ulps=8)
        if host:  # NumPy arrays on the left leave the operation to us
            assert isinstance(op(other, anp.asarray(M))[0] if op is divmod else op(other, anp.asarray(M)), aj.Array)


@pytest.mark.parametrize("op", BITS)
def test_bit_operators(op):
    check(lambda m, x: op(x, 3), np.abs(I))
    check(lambda m, x: op(m.asarray(x), m.asarray(I[0] % 4)), np.abs(I))
    check(lambda m, x: op(5, x), np.abs(I))


def test_unary_operators():
    check(lambda m, x: [-x, +x, abs(x), x @ x.T], M, ulps=16)
    check(lambda m, x: [~x, ~(x > 0), -x, abs(x), round(x)], I)


@pytest.mark.parametrize("other", [[1, 2], (1, 2), {1, 2}, {}], ids=str)
def test_operators_refuse_containers(other):
    for op in (operator.add, operator.mul, operator.matmul, operator.eq, operator.ne, operator.lt, operator.and_):
        for m in (jnp, anp):  # a list times an integer array would be a longer list
            for x in (m.arange(2), m.asarray(2)):
                with pytest.raises(TypeError):
                    op(x, other)
                with pytest.raises(TypeError):
                    op(other, x)
    with pytest.raises(DtypeError, match=r"\[equal\] expected an array or a number, got list. Convert it with"):
        anp.ones(2) == [1, 2]  # noqa: B015
    assert (anp.ones(2) == None) is False and (anp.ones(2) != "a") is True  # noqa: E711


METHODS = {
    "reductions": lambda m, x: [x.sum(), x.mean(0), x.max(1), x.min(), x.prod(), x.std(), x.var(1), x.ptp()],
    "logic": lambda m, x: [(x > 0).all(), (x > 0).any(1), x.argmax(), x.argmin(0), x.nonzero()[0]],
    "shape": lambda m, x: [x.reshape(4, 3), x.reshape((2, -1)), x.reshape(12, order="F"), x.ravel(), x.flatten(), x.T, x.mT],
    "transpose": lambda m, x: [x.transpose(), x.transpose(1, 0), x.transpose((1, 0)), x.swapaxes(0, 1), x[None].squeeze()],
    "cumulative": lambda m, x: [x.cumsum(), x.cumprod(1), x.trace(), x.diagonal(1)],
    "selection": lambda m, x: [x.clip(-1, 1), x.clip(max=0), x.round(1), x.take(m.asarray([0, 5])), x.repeat(2, axis=0)],
    "sorting": lambda m, x: [x.sort(), x.argsort(0), x.searchsorted(0.5) if x.ndim == 1 else x, x.compress(m.asarray([True, False, True]), axis=0)],
    "conversion": lambda m, x: [x.astype("int32"), x.astype(bool), x.copy(), x.conj(), x.real, x.imag, x.dot(x.T)],
    "views": lambda m, x: [x.view("int32"), x.view("uint8"), x.astype("int8").view("uint8")],
    "values": lambda m, x: [x.tolist(), x.tobytes(), x[0, 0].item(), x.item(1), x.item(2, 3), x.size, x.ndim, x.nbytes, x.itemsize],
    "iteration": lambda m, x: [len(x), list(x), float(x[0, 0]) in x[0], 99.0 in x[0]],
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_method(name):
    check(METHODS[name], M, ulps=16, scale=1.0)


def test_numbers():
    assert float(anp.float32(1.5)) == 1.5 and int(anp.asarray(3)) == 3 and complex(anp.asarray(2.0)) == 2 + 0j
    assert bool(anp.asarray(True)) and not anp.zeros((1, 1))
    assert [10, 20, 30][anp.asarray(1)] == 20
    assert f"{anp.asarray(1.23456):.2f}" == "1.23" and f"{anp.ones(2)}" == "[1. 1.]"
    for f in (float, int, operator.index):
        with pytest.raises(TypeError):
            f(anp.ones(3))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(anp.ones(3))
    with pytest.raises(TypeError, match="integer"):
        operator.index(anp.asarray(1.0))
    with pytest.raises(TypeError, match="hash"):
        hash(anp.ones(3))
    with pytest.raises(TypeError, match="length"):
        len(anp.asarray(1))
    with pytest.raises(TypeError, match="iterated"):
        iter(anp.asarray(1))


@pytest.mark.parametrize("make", [
    lambda m: m.arange(3), lambda m: m.ones((2, 2)), lambda m: m.asarray(1.5), lambda m: m.zeros((0, 3)), lambda m: m.zeros(0),
    lambda m: m.arange(2000), lambda m: m.ones(2, "bfloat16"), lambda m: m.asarray([True]), lambda m: m.asarray(2),
    lambda m: m.arange(24.0).reshape(2, 3, 4), lambda m: m.linspace(0, 1, 20), lambda m: m.float16(0.1), lambda m: m.asarray([np.nan, np.inf]),
])  # fmt: skip
def test_prints_as_jax(make):
    assert repr(make(anp)) == repr(make(jnp))
    assert str(make(anp)) == str(make(jnp))


def test_numpy_interplay():
    x = anp.arange(3.0)
    host = np.asarray(x)
    assert host.dtype == np.float32 and not host.flags.writeable
    source = np.arange(3.0, dtype=np.float32)
    y = anp.asarray(source)
    source[0] = 99
    assert float(y[0]) == 0.0
    for f in (
        lambda v: anp.reshape(v, (3, 1)),
        lambda v: anp.broadcast_to(v, (1, 3)),
        lambda v: anp.transpose(v),
        anp.positive,
    ):
        source = np.arange(3.0, dtype=np.float32)
        out = f(source)
        source[:] = 99
        assert float(out.ravel()[1]) == 1.0, "the result shares the caller's memory"
    assert isinstance(np.float32(2) * x, aj.Array) and isinstance(np.ones(3) + x, aj.Array)
    assert isinstance(np.float64(2) / x, aj.Array) and isinstance(np.int32(1) < x, aj.Array)
    assert isinstance(np.sin(x), np.ndarray)  # NumPy's functions take arrays and give NumPy's
    y = aj.make_jaxpr(lambda v: [np.ones(3) * v, np.float32(2) - v, np.ones((3, 3)) @ v, np.arange(3) >= v])(x)
    assert [a.shape for a in y.out_avals] == [(3,), (3,), (3,), (3,)]
    np.testing.assert_array_equal(np.ones(3) @ x, 3.0)
    np.testing.assert_array_equal(np.from_dlpack(x), x)
    np.testing.assert_array_equal(anp.from_dlpack(np.arange(3)), np.arange(3))


def test_copies_and_pickles():
    x = anp.asarray([1.0, 2.0])
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.copy(), anp.array(x)):
        np.testing.assert_array_equal(x, y)
    z = anp.array(x)
    x.delete()
    assert x.is_deleted() and z.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="deleted"):
        x + 1


def test_refused_properties():
    x = anp.ones(3)
    with pytest.raises(RefusedError, match="flat"):
        x.flat  # noqa: B018
    with pytest.raises(DtypeError):
        x.view(bool)
    with pytest.raises(ShapeError):
        x.mT  # noqa: B018


@pytest.mark.parametrize("x", [2.5, -3.5, 7, True, np.float16(1.5), [0.5, 1.5]], ids=str)
def test_round_as_python(x):
    check(lambda m, v: [round(v), round(v, 1)] if v.dtype != bool else round(v.astype(int)), np.asarray(x))


def test_formats():
    for spec in (".2f", "e", ">9", ""):
        for x in (3.14159, 31.0):
            assert format(anp.asarray(x), spec) == format(jnp.asarray(x), spec)
    assert f"{anp.ones(2)}" == f"{jnp.ones(2)}"
    for m in (jnp, anp):
        with pytest.raises(TypeError):
            format(m.ones(2), ".2f")


def test_where_it_lies():
    x = anp.ones((2, 3))
    (shard,) = x.addressable_shards
    assert shard.data is x and shard.index == (slice(None), slice(None)) and shard.replica_id == 0
    s = x.sharding
    assert s == anp.zeros(1).sharding and hash(s) == hash(anp.zeros(1).sharding) and s.is_equivalent_to(s, 2)
    assert s.device_set == x.devices() == s.addressable_devices and s.num_devices == 1
    assert s.is_fully_replicated and s.is_fully_addressable and s.shard_shape(x.shape) == x.shape
    assert s.devices_indices_map(x.shape) == {x.device: shard.index} and s.memory_kind == "device"
    assert isinstance(s, aj.sharding.Sharding) and s == aj.sharding.SingleDeviceSharding(aj.devices()[0])
    assert aj.device_put(x, s) is x and aj.device_put({"a": x}, {"a": s})["a"] is x and x.to_device(s) is x
    assert anp.zeros(2, device=s).tolist() == [0.0, 0.0] and x.addressable_data(0) is x
    with pytest.raises(DeviceError, match="expected a device"):
        aj.sharding.SingleDeviceSharding("gpu")
    with pytest.raises(AbsentError, match="AbstractMesh is not supported: arrays are whole in every process"):
        aj.sharding.AbstractMesh  # noqa: B018


def test_memory():
    x = anp.arange(3.0)
    assert x.unsafe_buffer_pointer() == np.asarray(x).ctypes.data and x.on_device_size_in_bytes() == 12
    assert x.is_ready() and x.copy_to_host_async() is None and bytes(x) == np.asarray(x).tobytes()
    for name in ("is_ready", "unsafe_buffer_pointer", "on_device_size_in_bytes", "is_deleted", "delete"):
        with pytest.raises(ConcretizationError, match="is_deleted" if name == "delete" else name):
            aj.jit(lambda v, n=name: getattr(v, n)())(x)
    assert np.array(x, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy is False"):
        np.array(x, np.float64, copy=False)
    x.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        x.is_ready()


def test_what_is_no_array():
    masked = np.ma.masked_array([1.0, 2.0], [0, 1])
    for f in (
        anp.asarray,
        anp.sin,
        lambda v: anp.ones(2) + v,
        aj.jit(lambda v: v),
        aj.device_put,
        lambda v: anp.stack([v]),
    ):
        with pytest.raises(ValueError, match=r"got a masked one, whose mask would be lost. Use x.filled"):
            f(masked)
    for data, dtype in (([1, None], "float32"), ([1j, 2], "float32"), ([[1j]], "int32")):
        for m in (jnp, anp):
            with pytest.raises((TypeError, ValueError)):
                m.asarray(data, dtype)
    for m in (jnp, anp):
        for x in (3, [1]):
            with pytest.raises(TypeError):
                m.from_dlpack(x)
    with pytest.raises(ConcretizationError, match=r"\[dlpack\]"):
        aj.jit(np.from_dlpack)(anp.ones(2))
    with pytest.raises(DtypeError):
        anp.zeros_like(memoryview(b"abc"))


FOREIGN = {
    "functions": lambda m, j, x: [m.sin(j), m.dot(j, x), m.where(j > 1, j, x), m.concatenate([j, x]), m.stack([x, j])],
    "lists": lambda m, j, x: [m.asarray([j, x]), m.array([j[0], 2.0])],
    "operators": lambda m, j, x: [x + j, j + x, x @ j, x == j, j < x, j - x],
    "indices": lambda m, j, x: [x[j.astype(int)], x.at[j.astype(int)[:2]].add(j[:2]), x.at[0].set(j[1])],
    "numbers": lambda m, j, x: [m.zeros(j.astype(int)[2]), m.float16(j)],
}


@pytest.mark.parametrize("case", FOREIGN)
def test_arrays_of_jax_are_operands(case):
    j = jnp.arange(3.0)
    for a, b in zip(FOREIGN[case](anp, j, anp.arange(3.0)), FOREIGN[case](jnp, j, j), strict=True):
        assert isinstance(a, aj.Array) and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_arrays_of_jax_are_arguments():
    j, square = jnp.arange(3.0), lambda x: (x["a"] * x["a"]).sum()
    f = aj.jit(square)
    for x in ({"a": j}, {"a": anp.arange(3.0)}, {"a": j}):
        assert float(f(x)) == 5.0
    assert f._cache_size() == 1 and type(f.trace({"a": j}).graph.in_avals[0]) is type(anp.ones(1).aval)
    assert aj.grad(square)({"a": j})["a"].tolist() == [0.0, 2.0, 4.0]
    assert aj.vmap(lambda x: x + 1)(jnp.ones(2, "bfloat16")).dtype == anp.bfloat16
    assert aj.lax.scan(lambda c, x: (c + x, c), j[0], j)[1].tolist() == [0.0, 0.0, 1.0]
    assert aj.jit(lambda x: [x + j, j])(anp.ones(3))[1].tolist() == [0.0, 1.0, 2.0]
    assert isinstance(aj.device_put({"a": j})["a"], aj.Array)
    assert aj.random.normal(jax.random.PRNGKey(0)).item() == aj.random.normal(aj.random.PRNGKey(0)).item()
    assert isinstance(jnp.asarray(anp.ones(2, "bfloat16")), jax.Array) and jnp.from_dlpack(anp.arange(3.0)).shape == (
        3,
    )


def test_on_tracers():
    x = anp.asarray(M)

    def f(x):
        y = (2 * x + 1).T @ x
        return y.sum(0) + x.max() - x[0, 1:].mean() + np.ones(4) * x[0]

    np.testing.assert_allclose(aj.jit(f)(x), f(x), rtol=1e-5)
    assert aj.make_jaxpr(lambda x: [*x])(x).out_avals[0].shape == (4,)
    for g in (bool, float, int):
        with pytest.raises(ConcretizationError):
            aj.jit(lambda x, g=g: g(x.sum()))(x)
    with pytest.raises(ConcretizationError):
        aj.jit(lambda x: np.sin(x))(x)
    with pytest.raises(TypeError, match="hash"):
        aj.make_jaxpr(hash)(x)
    assert aj.jit(lambda v: copy.deepcopy([v, copy.copy(v)]))(x)[0].shape == x.shape
    assert aj.jit(lambda v: anp.asarray(isinstance(v, aj.core.Tracer)))(x) and not isinstance(x, aj.core.Tracer)


def test_dtypes_and_questions():
    for a in ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32"):
        for b in ("bool", "int8", "uint16", "int32", "float16", "bfloat16", "float32"):
            assert anp.promote_types(a, b) == jnp.promote_types(a, b)
            assert anp.result_type(anp.ones(2, a), b, 1.0) == jnp.result_type(jnp.ones(2, a), b, 1.0)
        for kind in ("floating", "integer", "inexact", "number", "signedinteger", "unsignedinteger", "generic"):
            assert anp.issubdtype(a, getattr(anp, kind)) == jnp.issubdtype(a, getattr(jnp, kind)), (a, kind)
        for kind in ("bool", "integral", "real floating", "numeric", ("bool", "signed integer")):
            assert anp.isdtype(anp.dtype(a), kind) == jnp.isdtype(jnp.dtype(a), kind), (a, kind)
        assert anp.issubdtype(anp.dtype(a), getattr(anp, a if a != "bool" else "bool_"))
    assert anp.float32 == np.float32 and anp.float32 == anp.dtype("float32") and anp.bfloat16 != anp.float16
    assert np.dtype(anp.float32) == np.float32 and anp.zeros(2, anp.bfloat16).dtype == anp.bfloat16
    for d in ("float32", "bfloat16", "float16"):
        assert float(anp.finfo(d).eps) == float(jnp.finfo(d).eps) and float(anp.finfo(d).max) == float(jnp.finfo(d).max)
    assert anp.iinfo("int8").max == 127 and anp.iinfo(anp.uint8).min == 0
    assert anp.isscalar(1.0) and anp.isscalar(anp.asarray(1)) and not anp.isscalar(anp.ones(1))
    with pytest.raises(DtypeError, match="not supported"):
        anp.zeros(2, "complex256")
