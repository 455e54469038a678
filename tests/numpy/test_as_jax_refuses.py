"""Arguments that jax refuses, and some that it takes: lists, orders in memory, sides and limits below zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.scipy import linalg, special

X = np.float32([1, 2, 3])
LISTS: dict[str, Any] = {
    **{f"nn.{name}": getattr(nn, name) for name in (
        "elu", "gelu", "hard_silu", "hard_swish", "hard_tanh", "identity", "leaky_relu", "log1mexp", "log_sigmoid",
        "log_softmax", "logmeanexp", "logsumexp", "mish", "selu", "soft_sign", "softmax", "sparse_plus", "squareplus",
        "standardize")},
    **{f"linalg.{name}": getattr(linalg, name) for name in ("block_diag", "circulant", "fiedler", "hankel",
        "toeplitz")},
    **{f"special.{name}": getattr(special, name) for name in ("log_softmax", "logsumexp", "softmax")},
    **{f"numpy.{name}": getattr(jnp, name) for name in ("copy", "ix_", "poly")},
    "linalg.convolution_matrix": lambda a: linalg.convolution_matrix(a, 3),
    "numpy.compress": lambda a: jnp.compress(a, X),
    "numpy.delete": lambda a: jnp.delete(X, a),
    "numpy.insert": lambda a: jnp.insert(X, a, 0),
    "numpy.repeat": lambda a: jnp.repeat(X, a),
    "numpy.unravel_index": lambda a: jnp.unravel_index(a, (2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_no_arrays(name: str) -> None:
    with pytest.raises(TypeError, match=r"expected an array or a number, got list"):
        LISTS[name]([1, 2, 0])
    with pytest.raises(TypeError, match=r"expected an array or a number, got tuple"):
        LISTS[name]((1, 2, 0))
    LISTS[name](jnp.asarray([1, 2, 0]))


@pytest.mark.parametrize(
    ("f", "error"),
    [
        *((lambda order=order: jnp.asarray(X, order=order), NotImplementedError) for order in "CFA"),
        (lambda: jnp.array(X, order="C"), NotImplementedError),
        (lambda: jnp.copy(jnp.ones(2), order="F"), NotImplementedError),
        (lambda: lax.iota(None, 3), ValueError),
        *((lambda f=f: f(1.0, 1), TypeError) for f in (lax.igamma, lax.igammac, lax.zeta, lax.polygamma)),
        (lambda: lax.betainc(np.float32(1), np.float32(2), True), TypeError),
        (lambda: lax.bessel_i0e(1), TypeError),
        (lambda: lax.mulhi(np.int8(1), 3), TypeError),
        (lambda: lax.mulhi(np.int8(1), 1j), TypeError),
        (lambda: lax.broadcasted_iota(None, (2,), 0), ValueError),
        (lambda: lax.slice_in_dim(X, 2, 1), ValueError),
        (lambda: jnp.tril_indices(2.0), TypeError),
        (lambda: jnp.triu_indices(2, 0, -1), ValueError),
        (lambda: jnp.quantile(X, np.zeros((2, 1), "f")), ValueError),
        (lambda: jnp.nanquantile(X, np.zeros((2, 1), "f")), ValueError),
    ],
)
def test_refused(f: Any, error: type[Exception]) -> None:
    with pytest.raises((error, aj.errors.ShapeError)):
        f()


def test_taken() -> None:
    assert jnp.shape([[1, 2]]) == (1, 2) and jnp.ndim([1]) == 1 and jnp.size([[1, 2], [3, 4]]) == 4
    assert jnp.array_equal([1, 2], X[:2]) and not jnp.array_equiv([1], [2])
    assert jnp.broadcast_shapes(np.int32(2), (3, 1)) == (3, 2) and jnp.resize(X, np.int32(2)).shape == (2,)
    assert jnp.frombuffer(jnp.asarray(X), np.float32).tolist() == [1, 2, 3]
    assert lax.full_like(1.0, 2).weak_type and not lax.full_like(1.0, 2, dtype="float32").weak_type
    assert lax.round(0.5).weak_type and lax.round(jnp.float16(2.5)) == 3 and lax.round(-0.5) == -1


def test_weak_types_are_those_of_jax() -> None:
    weak = {
        True: [
            jnp.unique(2.0), jnp.union1d(2.0, 1.0), jnp.setdiff1d(2.0, 1.0), jnp.logaddexp2(1.0, 2.0), jnp.ediff1d(1.0),
        ],
        False: [
            jnp.unique(2j), jnp.union1d(2j, 1.0), jnp.setxor1d(2j, 1.0), jnp.intersect1d(2j, 1.0),
            jnp.setdiff1d(2j, 1.0),
            jnp.log2(2.0), jnp.log2(2), jnp.log2(2j), jnp.choose(0, [1, 2]), jnp.ediff1d(1.0, 2.0),
            jnp.logaddexp2(1.0, np.float32(2)),
        ],
    }  # fmt: skip
    for kind, results in weak.items():
        assert [result.weak_type for result in results] == [kind] * len(results)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32"])
def test_segment_ids_of_any_integers(dtype: str) -> None:
    ids, data = np.array([0, 3, 1, 3], dtype), np.arange(1.0, 5.0, dtype=np.float32)
    want = {"sum": [1, 3, 0, 6], "max": [1, 3, -np.inf, 4], "min": [1, 3, np.inf, 2], "prod": [1, 3, 1, 8]}
    for name, values in want.items():
        segment = getattr(aj.ops, f"segment_{name}")
        assert segment(data, ids).tolist() == values and segment(data, ids, 2).tolist() == values[:2]
        assert segment(data[:0], ids[:0]).shape == (0,)
