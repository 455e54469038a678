"""The strict settings of promotion apply to the operands of users, not to what functions of anejax compute with."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.errors import ShapeError, TypePromotionError

x, row, whole = np.ones((2, 3), np.float32), np.ones(3, np.float32), np.ones((2, 3), np.int32)
INSIDE = {
    "resize": lambda: aj.image.resize(np.ones((4, 4, 1), np.float32), (2, 3, 1), "cubic"),
    "dct": lambda: aj.scipy.fft.dct(x),
    "stft": lambda: aj.scipy.signal.stft(np.ones(40, np.float32), nperseg=8),
    "multigammaln": lambda: aj.scipy.special.multigammaln(np.full(3, 5.0, np.float32), 2),
    "vq": lambda: aj.scipy.cluster.vq.vq(x, x),
    "sqrtm": lambda: aj.scipy.linalg.sqrtm(np.eye(3, dtype=np.float32)),
    "where": lambda: jnp.sum(x, where=row > 0),
    "nanmean": lambda: jnp.nanmean(x, where=row > 0),
    "orthogonal": lambda: aj.random.orthogonal(aj.random.key(0), 3),
    "choice": lambda: aj.random.choice(aj.random.key(0), 5, (2,), p=np.full(5, 0.2, np.float32)),
    "norm": lambda: jnp.linalg.norm(x, axis=0),
    "pinv": lambda: jnp.linalg.pinv(x),
    "slogdet": lambda: jnp.linalg.slogdet(np.eye(3, dtype=np.float32)),
    "fftfreq": lambda: jnp.fft.fftfreq(5, 0.5),
    "rfft": lambda: jnp.fft.rfft(x, norm="ortho"),
    "logsumexp": lambda: aj.nn.logsumexp(x, axis=1, b=np.float32(2)),
    "percentile": lambda: jnp.percentile(whole, np.float32(30)),
    "median": lambda: jnp.median(whole, axis=1),
    "jit": lambda: aj.jit(lambda x: jnp.linalg.norm(x, axis=0) + aj.nn.softmax(x)[0])(x),
    "grad": lambda: aj.grad(lambda x: jnp.std(x, axis=1).sum())(x),
}
REFUSED = {
    "add": lambda: jnp.add(x, row), "+": lambda: jnp.asarray(x) + row, "jit": lambda: aj.jit(jnp.add)(x, row),
    "in jit": lambda: aj.jit(lambda x, y: x * y)(x, row), "vmap": lambda: aj.vmap(jnp.add, (0, None))(x[None], row),
    "where": lambda: jnp.where(x > 0, x, row),
}  # fmt: skip
MIXED = {
    "add": lambda: jnp.add(x, whole), "*": lambda: jnp.asarray(x) * whole, "jit": lambda: aj.jit(jnp.add)(x, whole),
    "concatenate": lambda: jnp.concatenate([x, whole]), "matmul": lambda: jnp.matmul(x, whole.T),
    "result_type": lambda: jnp.result_type(np.float32, np.int32),
}  # fmt: skip


@pytest.fixture
def strict():
    with aj.numpy_rank_promotion("raise"), aj.numpy_dtype_promotion("strict"):
        yield


@pytest.mark.parametrize("name", INSIDE)
def test_functions_compute_as_always(name, strict):
    out = INSIDE[name]()
    with aj.numpy_rank_promotion("allow"), aj.numpy_dtype_promotion("standard"):
        for a, b in zip(aj.tree.leaves(out), aj.tree.leaves(INSIDE[name]()), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", REFUSED)
def test_operands_of_users_have_one_rank(name, strict):
    with pytest.raises(ShapeError, match="different ranks"):
        REFUSED[name]()


@pytest.mark.parametrize("name", MIXED)
def test_operands_of_users_have_one_dtype(name, strict):
    with pytest.raises(TypePromotionError, match="strict"):
        MIXED[name]()


def test_limits_and_dtypes_of_classes():
    for kind in (np.float32, jnp.float32, "float32", np.dtype("float32"), x, jnp.asarray(x)):
        assert jnp.finfo(kind).eps == 2.0**-23 and jnp.finfo(kind).bits == 32
    assert jnp.finfo(np.complex64).eps == 2.0**-23 and jnp.finfo("bfloat16").eps == 2.0**-7
    for kind in (np.int8, jnp.int8, "int8", np.int8(3)):
        assert (jnp.iinfo(kind).min, jnp.iinfo(kind).max) == (-128, 127)
    for wrong in (lambda: jnp.finfo(np.int32), lambda: jnp.iinfo(np.float32), lambda: jnp.finfo("x")):
        with pytest.raises(ValueError, match=r"info\] expected a dtype of"):
            wrong()
    assert [lax.dtype(k) for k in (np.float32, jnp.int8, 1, 2.0, True, x)] == [
        "float32", "int8", "int32", "float32", "bool", "float32",
    ]  # fmt: skip
    assert [dtypes.itemsize_bits(k) for k in (np.float32, jnp.int8, "bool")] == [32, 8, 8]


def test_scalar_types_are_classes():
    assert jnp.float32 == np.float32 and np.float32 == jnp.float32 and np.dtype("float32") == jnp.float32
    for other in ("x", "float32", 3, None, np.float64, jnp.float16, [1]):
        assert jnp.float32 != other and other != jnp.float32
    assert isinstance(jnp.float32, type) and not isinstance(jnp.float32(1), jnp.float32)
    assert jnp.float32(1).dtype == np.dtype(jnp.float32) and {np.float32: 1}[jnp.float32] == 1
    assert jnp.bool_.__name__ == "bool_" and "anejax.numpy.int8" in repr(jnp.int8)
