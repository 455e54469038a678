# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
"""Functions of elements with methods, against NumPy's: frompyfunc, reduce, accumulate, reduceat, at."""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp

X = np.arange(1, 7, dtype=np.int32)
A = np.arange(6, dtype=np.float32).reshape(2, 3)


def digits(x, y):
    return x * 10 + y


OURS, THEIRS = jnp.frompyfunc(digits, 2, 1, identity=0), np.frompyfunc(digits, 2, 1, identity=0)


def same(ours, theirs):
    np.testing.assert_array_equal(ours, np.asarray(theirs, ours.dtype))


@pytest.mark.parametrize("axis", [0, 1, -1, None, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_function_of_mine_reduces_from_the_first_element_on(axis, keepdims):
    theirs = A.astype(object).ravel() if axis in (None, (0, 1)) else A.astype(object)
    expected = THEIRS.reduce(theirs, axis=0 if axis in (None, (0, 1)) else axis)
    out = OURS.reduce(A, axis=axis, keepdims=keepdims)
    same(out.ravel(), np.ravel(expected))
    assert out.shape == np.sum(A, axis=axis, keepdims=keepdims).shape


def test_initial_where_and_dtype():
    same(OURS.reduce(A, axis=0, initial=3), [303, 314, 325])
    same(OURS.reduce(A, axis=0, where=A > 2, initial=0), [3, 4, 5])
    assert OURS.reduce(X, dtype="float32").dtype == "float32"
    same(jnp.add.reduce(A, axis=(0, 1)), 15)
    same(jnp.maximum.reduce(A, axis=1, where=A < 2, initial=-1), [1, -1])
    with pytest.raises(ValueError, match="identity"):
        jnp.maximum.reduce(A, where=A > 2)
    with pytest.raises(ValueError, match="at least one element"):
        jnp.frompyfunc(digits, 2, 1).reduce(np.zeros(0, np.float32))


@pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("indices", [[0, 3, 1], [5, 0], [2, 2, 4], [0]])
def test_reductions_between_indices(indices, jit):
    index = np.array(indices)
    same(jit(OURS.reduceat)(X, index), THEIRS.reduceat(X.astype(object), index))
    for name in ("add", "multiply", "maximum", "subtract"):
        same(jit(getattr(jnp, name).reduceat)(X, index), getattr(np, name).reduceat(X, index))
    same(jnp.add.reduceat(A, np.array([0, 2]), axis=1), np.add.reduceat(A, [0, 2], axis=1))


def test_accumulate_outer_and_at():
    same(OURS.accumulate(X), THEIRS.accumulate(X.astype(object)))
    same(OURS.accumulate(A, axis=1), [[0, 1, 12], [3, 34, 345]])
    same(OURS.outer(X, X[:2]), THEIRS.outer(X, X[:2]))
    same(OURS.at(X, np.array([0, 0]), 5, inplace=False), [155, 2, 3, 4, 5, 6])
    same(jnp.negative.at(X, np.array([0, 2]), inplace=False), [-1, 2, -3, 4, 5, 6])
    same(jnp.subtract.at(X, np.array([0, 0]), 5, inplace=False), [-9, 2, 3, 4, 5, 6])


def test_attributes_and_identity():
    assert (OURS.nin, OURS.nout, OURS.nargs, OURS.identity, OURS.__name__) == (2, 1, 2, 0, "digits")
    again = jnp.frompyfunc(digits, 2, 1, identity=0)
    assert again == OURS and hash(again) == hash(OURS)
    assert jnp.frompyfunc(digits, 2, 1) != OURS and isinstance(jnp.negative, jnp.ufunc)
    both = jnp.frompyfunc(lambda x: (x, x + 1), 1, 2)
    same(both(X)[1], X + 1)
    same(jnp.frompyfunc(lambda x, y, z: x + y + z, 3, 1)(X, 1, X), 2 * X + 1)
    for method in ("reduce", "accumulate", "reduceat", "outer"):
        with pytest.raises(ValueError, match="two elements"):
            getattr(both, method)(X, *(() if method in ("reduce", "accumulate") else (X,)))
    faster = jnp.ufunc(digits, 2, 1, reduce=lambda a, **options: "mine")
    assert faster.reduce(X) == "mine" and faster(1, 2) == 12


def test_derivatives_of_reductions():
    same(aj.grad(lambda x: OURS.reduce(x))(np.float32([1, 2, 3])), [100, 10, 1])
    same(aj.grad(lambda x: jnp.add.reduceat(x, np.array([0, 2])).sum())(np.ones(4, np.float32)), np.ones(4))


def test_vectorize_checks_what_comes_back():
    bad = {"(n)->()": lambda x: x, "(n)->(n)": lambda x: x.sum(), "(n)->(),()": lambda x: x.sum(),
           "(n)->(n,n)": lambda x: x}  # fmt: skip
    for signature, function in bad.items():
        with pytest.raises((TypeError, ValueError), match=r"\[vectorize\]"):
            jnp.vectorize(function, signature=signature)(A)
    out = jnp.vectorize(lambda x: (x.sum(), x[:2]), signature="(n)->(),(m)")(A)
    assert [y.shape for y in out] == [(2,), (2, 2)]
