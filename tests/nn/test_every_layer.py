"""What holds for every layer of the table: values and gradients of its formula, and each transformation."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, random, tree
from tests.answers import of_jax
from tests.nn.table import TABLE

KEY = random.key(0)
BASES = {nn.Layer, nn.Cell, nn.Recurrent}
NAMES = pytest.mark.parametrize("name", TABLE)


def moved(params: Any) -> Any:
    """Parameters none of which is 0 or 1, as biases and scales are at first."""
    rng = np.random.default_rng(7)
    return tree.map(lambda p: p + rng.normal(size=p.shape).astype(np.float32) * np.float32(0.3), params)


def start(name: str) -> tuple[nn.Layer, Any, Any, np.ndarray]:
    layer, x = TABLE[name][:2]
    params, state = layer.init(KEY, x)
    return layer, moved(params), state, x


def close(got: Any, expected: Any, rtol: float = 2e-5) -> None:
    """Within ``rtol`` of the largest magnitude of each array, or of a hundredth of the largest of all: the gradient of
    a bias of keys is 0 but for what the sums of the others leave."""
    largest = max((float(np.max(np.abs(b), initial=0)) for b in map(np.asarray, tree.leaves(expected))), default=0)
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=max(largest / 100, 1e-30)))


def weight_of(y: Any) -> np.ndarray:
    return np.random.default_rng(9).normal(size=y.shape).astype(np.float32)


def test_every_layer_is_in_the_table():
    public = {c for _, c in inspect.getmembers(nn, inspect.isclass) if issubclass(c, nn.Layer)} - BASES
    assert public == {type(row.layer) for row in TABLE.values()}


@NAMES
def test_values_and_gradients_are_those_of_the_formula(name: str) -> None:
    layer, params, state, x = start(name)
    y, _ = layer.apply(params, state, x)
    weight, reference = weight_of(y), TABLE[name].reference
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
        inputs = x if x.dtype.kind == "i" else x.astype(np.float64)
        pair = (0,) if x.dtype.kind == "i" else (0, 1)

        def total(p: Any, v: Any) -> Any:
            value = reference(p, v)
            return (value * weight).sum(), value

        both = lambda p, v: jax.jit(jax.grad(total, pair, has_aux=True))(p, v)  # noqa: E731
        *expected, value = of_jax(both, wide, inputs)
    close(y, value)
    got = aj.grad(lambda p, v: jnp.sum(layer.apply(p, state, v)[0] * weight), pair)(params, x)
    close(got, expected, rtol=5e-5)


@NAMES
def test_shapes_alone_are_enough_to_start(name: str) -> None:
    layer, x = TABLE[name][:2]
    spec = aj.ShapeDtypeStruct(x.shape, x.dtype)
    by_array, by_shape = layer.init(KEY, x), layer.init(KEY, spec)
    assert tree.structure(by_array) == tree.structure(by_shape)
    assert all(np.array_equal(a, b) for a, b in zip(tree.leaves(by_array), tree.leaves(by_shape), strict=True))
    y, state = layer.apply(*by_array, x)
    out = layer.out_shape(*by_array, spec)
    assert (out.shape, out.dtype) == (y.shape, y.dtype)
    assert tree.structure(state) == tree.structure(by_array[1])
    assert [s.shape for s in tree.leaves(state)] == [s.shape for s in tree.leaves(by_array[1])]


@NAMES
def test_jit_of_training_and_its_gradient_equal_eager(name: str) -> None:
    layer, params, state, x = start(name)
    weight = weight_of(layer.out_shape(params, state, x))

    def loss(p: Any) -> Any:
        y, new = layer.apply(p, state, x, key=KEY, train=True)
        return jnp.sum(y * weight), (y, new)

    both = aj.grad(loss, has_aux=True)
    close(aj.jit(both)(params), both(params), rtol=5e-5)


@NAMES
def test_vmap_over_an_ensemble_of_parameters_and_over_the_data(name: str) -> None:
    """Three models made, run and differentiated at once equal each on its own."""
    layer, x = TABLE[name][:2]
    keys, inputs = random.split(KEY, 3), np.stack([np.roll(x, i, axis=-1) for i in range(3)])
    axis = 0 if tree.leaves(layer.init(KEY, x)) else None  # without parameters there is nothing to make three of
    params, state = aj.vmap(lambda k: layer.init(k, x), out_axes=axis)(keys)
    weight = weight_of(layer.out_shape(*layer.init(KEY, x), x))

    def loss(p: Any, s: Any, v: Any) -> Any:
        y, _ = layer.apply(p, s, v)
        return jnp.sum(y * weight), y

    gradient = aj.grad(loss, has_aux=True)
    grads, ys = aj.jit(aj.vmap(gradient, in_axes=(axis, axis, 0)))(params, state, inputs)
    for i in range(3):
        alone, other = layer.init(keys[i], x)
        if axis == 0:
            close([p[i] for p in tree.leaves(params)], tree.leaves(alone), rtol=1e-6)
        grad, y = gradient(alone, other, inputs[i])
        close(ys[i], y)
        close([g[i] for g in tree.leaves(grads)], tree.leaves(grad), rtol=5e-5)


@NAMES
def test_forward_and_reverse_derivatives_agree(name: str) -> None:
    """<w, J v> = <J' w, v> for the derivative in the parameters, and in the input where it is of floats."""
    layer, params, state, x = start(name)
    floats = (params, x) if x.dtype.kind == "f" else (params,)
    f = lambda p, v=x: layer.apply(p, state, v)[0]  # noqa: E731
    direction = tree.map(lambda a: np.random.default_rng(3).normal(size=a.shape).astype(np.float32), floats)
    y, tangent = aj.jvp(f, floats, direction)
    weight = weight_of(y)
    _, pull = aj.vjp(f, *floats)
    cotangents = pull(jnp.asarray(weight))
    left = np.sum(np.asarray(tangent, np.float64) * weight)
    right = sum(np.sum(np.asarray(c, np.float64) * d) for c, d in zip(tree.leaves(cotangents), tree.leaves(direction)))
    size = np.sum(np.abs(np.asarray(tangent, np.float64) * weight))
    assert abs(left - right) <= 1e-5 * max(size, 1e-30)
