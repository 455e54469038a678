"""Layers: values against jax, shapes without computing, states, keys, composition, and kind errors."""

import jax
import numpy as np
import pytest
from jax import lax as jax_lax

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, random, tree
from anejax.errors import DtypeError, ShapeError, TreeError

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 9, 8)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
KEY = random.PRNGKey(0)


def run(layer, x, **options):
    params, state = layer.init(KEY, x)
    return layer.apply(params, state, x, **options)[0]


def close(got, expected, rtol=2e-5, atol=1e-5):
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


def test_linear():
    layer = nn.Linear(3)
    params, state = layer.init(KEY, ROWS)
    assert state == () and {n: p.shape for n, p in params.items()} == {"w": (12, 3), "b": (3,)}
    params = {"w": params["w"], "b": jnp.arange(3.0)}
    y, state = layer.apply(params, state, ROWS)
    close(y, ROWS @ np.asarray(params["w"]) + np.arange(3))
    assert set(nn.Linear(3, bias=False).init(KEY, ROWS)[0]) == {"w"}
    assert run(nn.Linear(3), ROWS.reshape(5, 3, 4)).shape == (5, 3, 3)


CONVOLUTIONS = [
    {},
    {"stride": 2},
    {"padding": "VALID"},
    {"padding": 1, "stride": (2, 1)},
    {"padding": [(0, 1), (2, 0)]},
    {"dilation": 2},
    {"groups": 2},
    {"groups": 4, "kernel": (3, 1)},
    {"kernel": 1, "bias": False},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_conv2d_is_that_of_jax(options):
    layer = nn.Conv2D(8, **{"kernel": 3, **options})
    params, _ = layer.init(KEY, IMAGES)
    pair = lambda v: (v, v) if isinstance(v, int) else v  # noqa: E731
    padding = options.get("padding", "SAME")
    expected = jax_lax.conv_general_dilated(
        IMAGES,
        np.asarray(params["w"]),
        pair(options.get("stride", 1)),
        [(padding, padding)] * 2 if isinstance(padding, int) else padding,
        rhs_dilation=pair(options.get("dilation", 1)),
        feature_group_count=options.get("groups", 1),
    )
    assert params["w"].shape == (8, 4 // options.get("groups", 1), *pair(options.get("kernel", 3)))
    close(layer.apply(params, (), IMAGES)[0], expected)
    if "b" in params:
        moved = {**params, "b": params["b"] + 2}
        close(layer.apply(moved, (), IMAGES)[0], expected + 2)


def test_conv1d_and_conv_transpose_are_those_of_jax():
    x = IMAGES[:, :, :, 0]
    layer = nn.Conv1D(6, 3, stride=2)
    params, _ = layer.init(KEY, x)
    close(layer.apply(params, (), x)[0], jax_lax.conv_general_dilated(x, np.asarray(params["w"]), (2,), "SAME"))
    for options in ({"kernel": 3, "stride": 2}, {"kernel": (2, 4), "stride": (1, 3), "padding": "VALID"}):
        layer = nn.ConvTranspose2D(5, **options)
        params, _ = layer.init(KEY, IMAGES)
        strides = options["stride"] if isinstance(options["stride"], tuple) else (options["stride"],) * 2
        expected = jax_lax.conv_transpose(
            IMAGES, np.asarray(params["w"]), strides, layer.padding, dimension_numbers=("NCHW", "IOHW", "NCHW")
        )
        close(layer.apply(params, (), IMAGES)[0], expected)


def test_pooling_is_that_of_jax():
    for window, stride, padding in ((2, None, "VALID"), ((3, 2), 2, "SAME"), (3, 1, 1)):
        pads = [(0, 0)] * 2 + [(padding, padding)] * 2 if isinstance(padding, int) else padding
        windows = (1, 1, *((window,) * 2 if isinstance(window, int) else window))
        strides = windows if stride is None else (1, 1, stride, stride)
        largest = jax_lax.reduce_window(IMAGES, -np.inf, jax_lax.max, windows, strides, pads)
        total = jax_lax.reduce_window(IMAGES, 0.0, jax_lax.add, windows, strides, pads)
        counts = jax_lax.reduce_window(np.ones_like(IMAGES), 0.0, jax_lax.add, windows, strides, pads)
        close(run(nn.MaxPool(window, stride, padding), IMAGES), largest)
        close(run(nn.AvgPool(window, stride, padding), IMAGES), total / np.prod(windows))
        close(run(nn.AvgPool(window, stride, padding, count_include_pad=False), IMAGES), total / counts)
    close(run(nn.GlobalAvgPool(), IMAGES), IMAGES.mean((2, 3)))


@pytest.mark.parametrize("x", [IMAGES, ROWS])
def test_batch_norm(x):
    layer, axes = nn.BatchNorm(momentum=0.8), tuple(i for i in range(x.ndim) if i != 1)
    shape = [-1 if i == 1 else 1 for i in range(x.ndim)]
    params, state = layer.init(KEY, x)
    params = {"scale": params["scale"] * 3, "bias": params["bias"] + 0.5}
    y, trained = layer.apply(params, state, x, train=True)
    mean, var = x.mean(axes), x.var(axes)
    close(y, 3 * (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5) + 0.5)
    close(trained["mean"], 0.2 * mean)
    close(trained["var"], 0.8 + 0.2 * var)
    y, after = layer.apply(params, trained, x)
    running = (np.asarray(trained["mean"]).reshape(shape), np.asarray(trained["var"]).reshape(shape))
    close(y, 3 * (x - running[0]) / np.sqrt(running[1] + 1e-5) + 0.5)
    assert after is trained


def test_batch_norm_gradient_is_that_of_its_formula_in_jax():
    weight = np.random.default_rng(2).normal(size=IMAGES.shape).astype(np.float32)

    def normalised(x, xp, rsqrt):
        mean = xp.mean(x, (0, 2, 3), keepdims=True)
        return xp.sum(weight * (x - mean) * rsqrt(xp.mean((x - mean) ** 2, (0, 2, 3), keepdims=True) + 1e-5))

    layer = nn.BatchNorm()
    params, state = layer.init(KEY, IMAGES)
    got = aj.grad(lambda x: jnp.sum(weight * layer.apply(params, state, x, train=True)[0]))(IMAGES)
    close(got, jax.grad(lambda x: normalised(x, jax.numpy, jax_lax.rsqrt))(IMAGES))


def test_the_other_norms():
    mean, var = ROWS.mean(-1, keepdims=True), ROWS.var(-1, keepdims=True)
    close(run(nn.LayerNorm(), ROWS), (ROWS - mean) / np.sqrt(var + 1e-5))
    close(run(nn.RMSNorm(), ROWS), ROWS / np.sqrt((ROWS**2).mean(-1, keepdims=True) + 1e-6))
    grouped = IMAGES.reshape(2, 2, -1)
    expected = (grouped - grouped.mean(-1, keepdims=True)) / np.sqrt(grouped.var(-1, keepdims=True) + 1e-5)
    close(run(nn.GroupNorm(2), IMAGES), expected.reshape(IMAGES.shape))
    assert nn.LayerNorm(scale=False, bias=False).init(KEY, ROWS) == ({}, ())


@pytest.mark.parametrize("layer", [nn.BatchNorm(), nn.LayerNorm(), nn.RMSNorm(), nn.GroupNorm(2)])
def test_norms_of_16_bits_take_statistics_in_float32(layer):
    x = (IMAGES + 100).astype(np.float16)
    y = run(layer, x, train=True)
    assert y.dtype == np.float16
    close(y, run(layer, x.astype(np.float32), train=True), rtol=2e-3, atol=2e-3)


def test_activation_layers():
    for layer, f in (
        (nn.ReLU(), nn.relu), (nn.GELU(), nn.gelu), (nn.SiLU(), nn.silu), (nn.Sigmoid(), nn.sigmoid),
        (nn.Tanh(), jnp.tanh), (nn.Softmax(), nn.softmax), (nn.LeakyReLU(0.2), lambda x: nn.leaky_relu(x, 0.2)),
        (nn.Softmax(0), lambda x: nn.softmax(x, 0)), (nn.GELU(False), lambda x: nn.gelu(x, False)),
    ):  # fmt: skip
        assert layer.init(KEY, ROWS) == ((), ())
        assert np.array_equal(run(layer, ROWS), f(ROWS))


def test_dropout():
    layer = nn.Dropout(0.25)
    x = np.ones((100, 100), np.float32)
    assert run(layer, x) is x
    y = np.asarray(run(layer, x, key=KEY, train=True))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)} and abs(y.mean() - 1) < 0.02
    assert not np.array_equal(y, run(layer, x, key=random.PRNGKey(1), train=True))
    assert np.array_equal(y, run(layer, x, key=random.wrap_key_data(KEY), train=True))


def test_every_layer_has_a_key_of_its_own():
    drop = nn.Dropout(0.5)
    x = np.ones((100, 100), np.float32)
    kept = np.mean(np.asarray(run(nn.Sequential(drop, drop), x, key=KEY, train=True)) > 0)
    assert abs(kept - 0.25) < 0.02
    both = np.asarray(run(nn.Residual(drop, drop), x, key=KEY, train=True))
    assert abs(np.mean(both == 2.0) - 0.5) < 0.02
    weights = nn.Sequential(nn.Linear(4), nn.Linear(4)).init(KEY, ROWS[:, :4])[0]
    assert not np.array_equal(weights[0]["w"], weights[1]["w"])


def test_embedding_and_flatten_and_lambda():
    layer = nn.Embedding(10, 4)
    params, _ = layer.init(KEY, np.int32([[1, 2]]))
    y, _ = layer.apply(params, (), np.int32([[3, 9, 3]]))
    assert np.array_equal(y, np.asarray(params["w"])[[[3, 9, 3]]])
    assert run(nn.Flatten(), IMAGES).shape == (2, 288)
    assert np.array_equal(run(nn.Lambda(lambda x: x * 2), ROWS), ROWS * 2)


def network():
    main = nn.Sequential(nn.Conv2D(8, 3, bias=False), nn.BatchNorm(), nn.ReLU())
    return nn.Sequential(
        nn.Conv2D(8, 3), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2), nn.Residual(main), nn.Dropout(0.5),
        nn.Residual(main, nn.Conv2D(8, 1)), nn.GlobalAvgPool(), nn.Linear(5),
    )  # fmt: skip


def test_a_network_from_the_shape_of_its_input_alone():
    model = network()
    by_array = model.init(KEY, IMAGES)
    by_shape = model.init(KEY, aj.ShapeDtypeStruct(IMAGES.shape, np.float32))
    for a, b in zip(tree.leaves(by_array), tree.leaves(by_shape), strict=True):
        assert np.array_equal(a, b)
    shapes = aj.eval_shape(lambda k: model.init(k, aj.ShapeDtypeStruct(IMAGES.shape, np.float32)), KEY)
    assert [s.shape for s in tree.leaves(shapes)] == [a.shape for a in tree.leaves(by_array)]


def test_a_network_trains_and_its_state_and_keys_are_threaded():
    model = network()
    params, state = model.init(KEY, IMAGES)
    y, new_state = model.apply(params, state, IMAGES, key=KEY, train=True)
    assert y.shape == (2, 5)
    assert tree.structure(new_state) == tree.structure(state)
    changed = [not np.array_equal(a, b) for a, b in zip(tree.leaves(state), tree.leaves(new_state))]
    assert all(changed) and len(changed) == 6
    again, _ = model.apply(params, state, IMAGES, key=random.PRNGKey(9), train=True)
    assert not np.array_equal(y, again)
    grads = aj.grad(lambda p: jnp.sum(model.apply(p, state, IMAGES, key=KEY, train=True)[0] ** 2))(params)
    assert tree.structure(grads) == tree.structure(params)
    assert all(np.isfinite(np.asarray(g)).all() for g in tree.leaves(grads))
    assert sum(bool(np.any(np.asarray(g))) for g in tree.leaves(grads)) >= 10


def test_a_network_under_jit_and_vmap():
    model = network()
    params, state = model.init(KEY, IMAGES)
    y, _ = model.apply(params, state, IMAGES)
    jitted = aj.jit(lambda p, s, x: model.apply(p, s, x)[0])(params, state, IMAGES)
    close(jitted, np.asarray(y))
    one_by_one = aj.vmap(lambda x: model.apply(params, state, x[None])[0][0])(IMAGES)
    close(one_by_one, np.asarray(y))


def test_layers_are_values():
    assert nn.Conv2D(8, 3) == nn.Conv2D(8, 3) != nn.Conv2D(8, 5)
    assert hash(network()) == hash(network()) and network() == network()
    assert repr(nn.Sequential(nn.ReLU(), nn.Dropout(0.1))) == "Sequential(ReLU(), Dropout(rate=0.1))"
    with pytest.raises(AttributeError):
        nn.Dropout(0.1).rate = 0.2
    assert nn.count_parameters(nn.Linear(3).init(KEY, ROWS)[0]) == 39


def params_of(layer, x):
    return layer.init(KEY, x)[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Conv2D(8, 3).init(KEY, ROWS), ShapeError, r"\[Conv2D\] expected images.*float32\[5,12\]"),
        (lambda: run(nn.Conv2D(8, (3, 3, 3)), IMAGES), ShapeError, "kernel as a positive int or 2 of them"),
        (lambda: run(nn.Conv2D(8, 3, padding="BIG"), IMAGES), ValueError, "padding 'SAME' or 'VALID'"),
        (lambda: run(nn.Conv2D(8, 3, groups=3), IMAGES), ShapeError, "groups=3 to divide the 4 channels"),
        (lambda: nn.Conv2D(8, 3).apply(params_of(nn.Conv2D(8, 3), IMAGES), (), IMAGES[:, :2]), ShapeError,
         "expected 4 features along axis 1"),
        (lambda: nn.Linear(3).apply(params_of(nn.Linear(3), ROWS), (), ROWS[:, :4]), ShapeError, "12 features"),
        (lambda: nn.Linear(3).apply({"w": 1}, (), ROWS), TreeError, r"keys \['b', 'w'\], got keys \['w'\]"),
        (lambda: nn.Linear(3).apply((), (), ROWS), TreeError, "got a tuple"),
        (lambda: nn.Linear(3).init(KEY, 3.0), DtypeError, "expected an array or a ShapeDtypeStruct"),
        (lambda: nn.MaxPool(2).apply((), (), ROWS), ShapeError, r"\[MaxPool\] expected images"),
        (lambda: run(nn.Dropout(0.5), ROWS, train=True), ValueError, "expected a key when training"),
        (lambda: nn.Dropout(1.0), ValueError, "rate in"),
        (lambda: nn.BatchNorm().init(KEY, ROWS[0]), ShapeError, r"\[BatchNorm\]"),
        (lambda: nn.GroupNorm(3).init(KEY, IMAGES), ShapeError, "divide the channels"),
        (lambda: nn.Embedding(3, 2).init(KEY, ROWS), DtypeError, "expected integers"),
        (lambda: nn.Sequential(nn.ReLU(), jnp.tanh), TypeError, r"position 1. Wrap functions in nn.Lambda"),
        (lambda: nn.Sequential(nn.ReLU()).apply((), (), ROWS), TreeError, "parameters of 1 layers, got 0"),
        (lambda: run(nn.Residual(nn.Linear(3)), ROWS), ShapeError, "Give a shortcut"),
    ],
)  # fmt: skip
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
