"""The mistakes everybody makes, and what they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import errors, lax

X = np.ones((4, 8), np.float32)


def raises(error: type[Exception], text: str) -> Any:
    return pytest.raises(error, match=text)


def test_what_tracing_must_know() -> None:
    with raises(errors.TracerIntegerConversionError, r"\[arange\] the bounds decide the length.*static_argnums"):
        aj.jit(jnp.arange)(3)
    inner = aj.jit(lambda x, n: x, static_argnums=1)
    with raises(TypeError, "is a traced value of type float32.*Make it static in the outer function too"):
        aj.jit(lambda n: inner(1.0, n))(2.0)


def test_an_array_that_becomes_a_tuple_is_named() -> None:
    with raises(TypeError, r"carry\['a'\]: expected an array, got tuple of length 2\.$"):
        lax.scan(lambda c, _: ({"a": (c["a"], c["a"])}, None), {"a": 0.0}, X)
    with raises(TypeError, r"unexpected \['a'\]\.$"):
        lax.cond(True, lambda x: {"a": x}, lambda x: {"b": x}, 1.0)


def test_shapes() -> None:
    with raises(errors.ShapeError, r"\[add\] expected equal shapes \(or rank 0\), got float32\[4,8\], float32\[8\]"):
        lax.add(X, X[0])
    with raises(TypeError, r"float32\[4,8\].*float32\[4,8\].* 8 with 4"):
        X_ = jnp.asarray(X)
        X_ @ X_
    with raises(ValueError, r"\[reshape\] expected a shape of 32 elements"):
        lax.reshape(X, (5, 6))
    with raises(errors.ShapeError, r"expected an axis between -2 and 1, got 2"):
        lax.argmax(X, 2)


def test_dtypes() -> None:
    with raises(TypeError, r"\[add\] expected equal dtypes, got float32\[4,8\], int32\[4,8\]"):
        lax.add(X, X.astype(np.int32))
    with raises(TypeError, r"\[exp\] expected a float or complex array, got int32\[\]"):
        lax.exp(np.int32(1))
    with raises(TypeError, "the complex number 1j does not fit float32"):
        jnp.asarray(1j, np.float32)
    with raises(OverflowError, "does not fit int32"):
        jnp.asarray(2**40)


def test_an_array_is_no_dtype() -> None:
    for dtype in (jnp.ones(2), [1]):
        with raises(errors.DtypeError, r"\[dtype\] expected a dtype, got \w+. That of an array is x.dtype."):
            jnp.zeros(2, dtype)


def test_grad_of_what_has_none() -> None:
    with raises(TypeError, r"\[grad\] expected f to return a scalar, got float32\[4,8\]"):

        def f(x: Any) -> Any: return x * 2  # fmt: skip

        aj.grad(f)(X)
    with raises(TypeError, r"\[grad\] expected float inputs, got int32\[\] for argument p\['n'\]"):
        aj.grad(lambda p, k: p["x"])({"x": 1.0, "n": np.int32(1)}, 2.0)
    with raises(TypeError, "has_aux=True"):
        aj.grad(lambda x: (x, x))(1.0)
    with raises(TypeError, "to return floats, got int32"):
        aj.grad(lambda x: jnp.int32(1))(1.0)
    with raises(ValueError, "argnums 2 names argument 2"):
        aj.grad(lambda x: x, argnums=2)(1.0)


def test_trees() -> None:
    with raises(ValueError, r"\['w'\]\[1\]|missing"):
        aj.jvp(lambda p: p["w"][0], ({"w": [1.0, 2.0]},), ({"w": [1.0]},))
    with raises(TypeError, r"\[jvp\] expected float32\[4,8\].*got float32\[8\]"):
        aj.jvp(jnp.sin, (X,), (X[0],))
    with raises(ValueError, "mapped axes must have one length.*args"):
        aj.vmap(jnp.add)(X, X[:3])
    with raises(ValueError, "maps axis 2 of argument x: float32"):
        aj.vmap(jnp.sin, in_axes=2)(X)
    with raises(TypeError, r"\['s'\] is an argument and must be an array or a number, got str"):
        aj.jit(lambda p: p)({"s": "text"})


def test_values_of_traced_code() -> None:
    @aj.jit
    def branch(x: Any) -> Any:
        return 1 if x > 0 else 2

    with raises(errors.TracerBoolConversionError, r"test_errors.py:\d+ \(branch\).*anejax.numpy.where"):
        branch(1.0)
    with raises(errors.TracerArrayConversionError, "function of the same name in anejax.numpy"):
        aj.jit(lambda x: np.sin(x))(X)
    with raises(errors.ConcretizationError, r"\[float\]"):
        aj.jit(lambda x: float(x))(1.0)
    with raises(errors.TracerIntegerConversionError, "static"):
        aj.jit(lambda n: jnp.zeros(n))(3)
    with raises(errors.NonConcreteBooleanIndexError, "a mask must be concrete"):
        aj.jit(lambda x: x[x > 0])(X)
    assert issubclass(errors.NonConcreteBooleanIndexError, (IndexError)), "as in jax"
    assert errors.ConcretizationTypeError is errors.ConcretizationError
    assert float(aj.grad(lambda x: x * 2 if x > 0 else x)(1.0)) == 2.0  # grad alone shows values


def test_leaked_tracers() -> None:
    kept: list[Any] = []
    aj.jit(lambda x: kept.append(x + 1))(1.0)
    aj.vmap(lambda x: (kept.append(x), x)[1])(X)
    aj.grad(lambda x: (kept.append(x), x)[1])(1.0)
    assert issubclass(errors.UnexpectedTracerError, TypeError), "as in jax"
    for tracer in kept:
        with raises(errors.UnexpectedTracerError, r"used after its transformation had finished.*test_errors"):
            jnp.add(tracer, 1)
        with raises(errors.UnexpectedTracerError, "return it from the function"):
            aj.jit(lambda y, t=tracer: y + t)(1.0)


def test_custom_rules() -> None:
    @aj.custom_vjp
    def f(x: Any) -> Any:
        return jnp.sin(x)

    with raises(AttributeError, "f.defvjp"):
        f(1.0)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda res, g: (g, g))
    with raises(ValueError, r"one cotangent per differentiable argument \(1\), got tuple of 2"):
        aj.grad(f)(1.0)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda res, g: (jnp.ones(3),))
    with raises(TypeError, r"cotangent of type float32\[\], got float32\[3\]"):
        aj.grad(f)(1.0)
    with raises(NotImplementedError, "custom_jvp, from which both modes follow"):
        aj.jvp(f, (1.0,), (1.0,))


def test_not_linear() -> None:
    with raises(NotImplementedError, "not linear"):
        aj.linear_transpose(lambda x: jnp.sin(x), 1.0)(1.0)


def test_names_that_are_not_there_say_why() -> None:
    with raises(AttributeError, "rng_uniform is not supported: it belongs to XLA"):
        _ = lax.rng_uniform
    with raises(AttributeError, "set_mesh is not supported: arrays are whole.*use shard_map"):
        _ = aj.set_mesh


def test_arguments_go_by_their_names() -> None:
    def f(params: Any, x: Any, *rest: Any, scale: Any = 1.0) -> Any:
        return params["w"] * x * scale

    ones = jnp.ones
    with raises(errors.ShapeError, r"params\['w'\]: float32\[3\] maps axis 0 .*; x: .*; rest\[0\]: .*; scale: "):
        aj.vmap(f)({"w": ones(3)}, ones(4), ones(3), scale=ones(3))
    with raises(errors.ShapeError, r"\[vmap\] in_axes maps axis 0 of argument x: float32\[\], which has 0 axes"):
        aj.vmap(f)({"w": ones(3)}, 2.0)
    with raises(errors.DtypeError, r"\[grad\] .*, got int32\[\] for argument params\['w'\]. Convert it"):
        aj.grad(f)({"w": 3}, 2.0)
    with raises(errors.DtypeError, r"\[grad\] .* for argument x\."):
        aj.grad(f, argnums=(0, 1))({"w": 3.0}, 2)
    with raises(errors.DtypeError, r"\[jacfwd\] .* for argument x\."):
        aj.jacfwd(f, argnums=1)({"w": 3.0}, 2)
    with raises(errors.DtypeError, r"\[f\] params\['w'\] is an argument and must be an array .* str 'a'. Mark"):
        aj.jit(f)({"w": "a"}, 2.0)
    with raises(errors.DtypeError, r"\[f\] scale is an argument"):
        aj.jit(f)({"w": 1.0}, 2.0, scale="b")
    with raises(errors.DtypeError, r"\[f\] x is an argument"):
        aj.grad(f, argnums=1)({"w": 1.0}, "b")


def test_results_whose_number_is_traced() -> None:
    with raises(errors.ConcretizationError, r"\[nonzero\] the values of a traced value .*Pass size=n"):
        aj.jit(jnp.nonzero)(jnp.ones(3))
    with raises(errors.ConcretizationError, r"\[unique\] the values of .*Pass size=n"):
        aj.jit(jnp.unique)(jnp.ones(3))
    with raises(errors.ConcretizationError, r"\[item\] expected a concrete value.*item\(\) needs a value"):
        aj.jit(lambda x: x.item())(1.0)
    with raises(errors.ConcretizationError, r"\[format\] expected a concrete value.*anejax.debug.print"):
        aj.jit(lambda x: f"{x:.2f}")(1.0)
