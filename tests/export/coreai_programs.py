"""Whole functions exported to Core AI and run by Apple's runtime: control flow, what its compiler must not rewrite,
states and training steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.cli import main
from anejax.coreai.text import INLINE
from anejax.data.cifar10 import CLASSES
from anejax.errors import ExportError
from anejax.export.compress import COREAI, SCHEMES
from anejax.mil.program import Type, Value
from anejax.models.llama import SIZES
from anejax.train import deploy
from tests.export.coreai_samples import call, error
from tests.export.models import MODELS
from tests.export.runs import PREFILL, RUNS, SIZE
from tests.export.worker import serve

RNG = np.random.default_rng(0)
X, Y = np.array([0.1, 0.2, 0.3], np.float32), np.array([1, 2, 3], np.float32)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def same(function: Callable[..., Any], *args: Any, most: float = 2) -> None:
    """The function's results are those of the CPU device."""
    for want, got in zip(aj.tree.leaves(aj.jit(function)(*args)), call(function, *args), strict=True):
        assert error(want, got) <= most, f"wanted {want}\ngot {got}"


def equal(function: Callable[..., Any], *args: Any, want: Any) -> None:
    """The result has the bits of NumPy's."""
    (got,) = call(function, *args)
    np.testing.assert_array_equal(got, want)


# ---- hazards, numbered as in docs/export.md

I = np.array([7, -7, 100, -100, 2**30, -(2**31) + 5, 0], np.int32)
F = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.5, -2.5, 1e38, 1e-40], np.float32)
SMALL = np.array([1e-9, 1e-7, 0.3, -1e-5], np.float32)
f32 = np.float32


def no_integer_is_divided_by_folding() -> None:  # 1
    quotient = lambda x, c: np.trunc(x.astype(np.float64) / c).astype(x.dtype)  # noqa: E731
    equal(lambda x: lax.div(x, np.int32(4)) * 4, I, want=quotient(I, 4) * 4)
    equal(lambda x: lax.div(x * 3, np.int32(2)), I, want=quotient(I * np.int32(3), 2))
    equal(lambda x: (x // 4) * 4, I, want=I // 4 * 4)


def no_sum_is_reassociated() -> None:  # 2
    equal(lambda x: (x + 1) - 1, SMALL, want=(SMALL + f32(1)) - f32(1))
    equal(lambda x: 1 - (x + 1), SMALL, want=f32(1) - (SMALL + f32(1)))
    equal(lambda x: (x * 1e38) * 1e-38, Y, want=(Y * f32(1e38)) * f32(1e-38))
    equal(lambda x: (x / 3) * 3, X, want=(X / f32(3)) * f32(3))
    equal(lambda x: 1 / (1 / x), F[3:], want=1 / (1 / F[3:].astype(f32)))
    same(lambda x: (jnp.log1p(x), jnp.expm1(x)), SMALL)


def a_cast_to_integers_truncates() -> None:  # 3
    x = np.array([1.7, -1.7, 2.0**30 + 64, 3e9, -3e9, np.nan, np.inf], np.float32)
    same(lambda x: x.astype(np.int32).astype(np.float32), x, most=0)
    equal(lambda i: i.astype(np.float32).astype(np.int32), np.array([2**24 + 1, 5], np.int32), want=[2**24, 5])
    equal(lambda i: i.astype(np.uint32).astype(np.int32), I, want=I)


def moved_elements_are_no_barrier() -> None:  # 4
    want = (SMALL + f32(1)) - f32(1)
    equal(lambda x: (x + 1).reshape(2, 2).T.T.reshape(4) - 1, SMALL, want=want)
    equal(lambda x: aj.jit(lambda y: y - 1)(aj.jit(lambda y: y + 1)(x)), SMALL, want=want)
    equal(lambda x: lax.optimization_barrier(x + 1) - 1, SMALL, want=want)
    equal(lambda x: (x * 1e38)[::-1][::-1] * 1e-38, Y, want=(Y * f32(1e38)) * f32(1e-38))


def reductions_have_names() -> None:  # 11
    x, i = normal(3, 5), RNG.integers(-9, 9, (3, 5)).astype(np.int32)
    same(lambda x: (x.sum(0), jnp.prod(x, 1), x.max(), x.min((0, 1)), jnp.any(x > 1, 0), jnp.all(x < 1)), x, most=8)
    same(
        lambda i: (i.sum(1), jnp.prod(i, 0), lax.reduce_and(i, (0,)), lax.reduce_or(i, (1,)), lax.reduce_xor(i, (0,))),
        i,
    )


def integers_divided_by_nothing() -> None:  # 5
    y = np.array([0, -1, 3, -3, -1, -1, 0], np.int32)
    x = np.where(np.arange(7) == 4, np.int32(-(2**31)), I)
    same(lambda x, y: (lax.div(x, y), lax.rem(x, y), x // y, x % y), x, y)
    same(lambda x, y: (lax.div(x, y), lax.rem(x, y)), x.astype(np.uint32), np.abs(y).astype(np.uint32))


def indices_outside() -> None:  # 6
    x, at = normal(5, 3), np.array([-9, -1, 4, 5, 2**31 - 1], np.int32)
    for mode in ("clip", "fill"):
        same(lambda x, at, mode=mode: jnp.take(x, at, axis=0, mode=mode), x, at)
        same(lambda x, at, mode=mode: x.at[at].add(1.0, mode="drop" if mode == "fill" else mode), x, at)
    same(lambda x, i: lax.dynamic_slice(x, (i, i), (2, 2)), x, np.int32(100))
    same(lambda x, i: lax.dynamic_update_slice(x, x[:2, :2] * 2, (i, -i)), x, np.int32(100))


def nothing_to_reduce() -> None:  # 7
    same(lambda x: (x[:0].sum(0), jnp.prod(x[:0], 0), jnp.concatenate([x[:0], x])), normal(4, 3))
    same(lambda x: x[:, :0] @ x[:0], normal(4, 4))
    same(lambda x: jnp.pad(x[:0], ((1, 2), (0, 0)), constant_values=3.0), normal(4, 4))


def integers_wrap() -> None:  # 8
    x = np.array([300, -300, 2**31 - 1, -(2**31), -1], np.int32)
    for dtype in ("int8", "uint8", "int16", "uint16", "uint32"):
        same(lambda x, dtype=dtype: x.astype(dtype), x)
    same(lambda x: x.astype(np.int8), np.array([1e9, -1e9, np.nan, 1.9], np.float32))


def rests_have_the_right_sign() -> None:  # 9
    x, y = np.array([7, -7, 7, -7, 6], np.float32), np.array([3, 3, -3, -3, 3], np.float32)
    same(lambda x, y: (lax.rem(x, y), x % y, x.astype(np.int32) % y.astype(np.int32)), x, y)


def the_first_nan_is_the_greatest() -> None:  # 10
    x = np.array([[1, np.nan, 3, np.nan], [2, 2, 1, 2], [np.inf, 0, np.inf, -np.inf]], np.float32)
    same(lambda x: (jnp.argmax(x, 1), jnp.argmin(x, 1), jnp.argmax(x > 1, 1)), x)


def slices_go_down() -> None:  # 13
    same(lambda x: (x[::-2], x[3:0:-1], x[:, ::-1]), normal(5, 4), most=0)


def mixed_dtypes() -> None:  # 14
    x, y = normal(3, 4).astype(np.float16), normal(4, 2).astype(np.float16)
    same(lambda x, y: jnp.matmul(x, y, preferred_element_type=np.float32), x, y, most=8)
    same(lambda x: jnp.mean(x, 0).astype(np.int32), np.arange(12, dtype=np.int32).reshape(3, 4))


def scalars_are_arrays_without_axes() -> None:  # 16
    same(lambda x, i: x * i, np.float32(3), np.int32(2))


def branches_hand_on() -> None:  # 17
    for p in (True, False):
        p = np.array(p)
        same(lambda p, x, y: lax.cond(p, lambda a, b: (b, a), lambda a, b: (a, a), x, y), p, X, Y)
        same(lambda p, x, y: lax.cond(p, lambda a, b: (jnp.exp(a), b), lambda a, b: (a, a), x, y), p, X, Y)
        same(lambda p, x, y: lax.cond(p, lambda a, b: (jnp.ones(3), b * 2), lambda a, b: (a, a + b), x, y), p, X, Y)
    branches = [lambda a, b: a, lambda a, b: b, lambda a, b: a * b]
    for k in (-1, 0, 1, 2, 9):
        same(lambda k, x, y: lax.switch(k, branches, x, y), np.int32(k), X, Y)


def carries_change_places() -> None:  # 18
    same(lambda x, y: lax.fori_loop(0, 5, lambda i, c: (c[1], c[0]), (x, y)), X, Y)
    same(lambda x, y: lax.fori_loop(0, 4, lambda i, c: (c[1], c[2], c[0]), (x, y, x * y)), X, Y)
    ints = lambda x, y: (x > 0.15, y > 1, jnp.array([1, 2], np.int32), jnp.array([3, 4], np.int32))  # noqa: E731
    same(lambda x, y: lax.fori_loop(0, 5, lambda i, c: (c[1], c[0], c[3], c[2]), ints(x, y)), X, Y)
    register = lambda c, t: ((c[1], c[0] + t, c[0]), c[2])  # noqa: E731
    same(lambda x, y: lax.scan(register, (x, y, x * 2), jnp.arange(7, dtype=np.float32)), X, Y)


# ---- control flow


def branches_in_loops() -> None:
    step = lambda c, t: (lax.cond(t > 1.5, lambda a: a * 2 + 1, lambda a: a, c), c)  # noqa: E731
    same(lambda x, y: lax.scan(step, x, y), X, Y)
    chosen = lambda i, c: (lax.cond(i > 2, lambda a: a * 2, lambda a: a, c[1]),  # noqa: E731
                           lax.cond(i > 1, lambda a: a + 1, lambda a: a, c[0]))  # fmt: skip
    same(lambda x, y: lax.fori_loop(0, 5, chosen, (x, y)), X, Y)


def loops_in_loops() -> None:
    inner = lambda c: lax.fori_loop(0, 2, lambda j, a: a * 2, c)  # noqa: E731
    same(lambda x, y: lax.fori_loop(0, 3, lambda i, c: (inner(c[1]), c[0] + c[1]), (x, y)), X, Y)
    step = lambda y: lambda c, t: (lambda r: (r[0], c + r[1].sum()))(  # noqa: E731
        lax.scan(lambda d, u: (d + u * t, d), c, y))  # fmt: skip
    same(lambda x, y: lax.scan(step(y), x, y), X, Y)
    same(lambda x, y: lax.scan(lambda c, t: (c + t, c), x, y, reverse=True), X, Y)
    same(lambda x, y: lax.while_loop(lambda c: c[2] < 4, lambda c: (c[1], c[0], c[2] + 1), (x, y, jnp.int32(0))), X, Y)
    same(lambda x, y: lax.fori_loop(0, y, lambda i, c: c * 1.5, x), X, np.int32(0))


# ---- ports


def returned_inputs_and_constants() -> None:
    same(lambda x, y: (x, y + 0, x, jnp.ones((2, 2)), 3.0 * x.sum()), X, Y)


def large_constants_stand_outside_the_text() -> None:
    w = normal(50, 60)
    same(lambda x: (x @ w, x @ w.astype(jnp.bfloat16), w[:, :1].astype(np.int32), w > 0), normal(3, 50), most=32)


def weights_of_one_byte() -> None:
    w, x = normal(100, 70) * 10.0 ** np.arange(-3, 4, 0.1, dtype=np.float32), normal(3, 100)
    with tempfile.TemporaryDirectory() as folder:
        sizes = {}
        for weights in (None, "int8"):
            path = Path(folder) / f"{weights}.aimodel"
            aj.export.coreai(lambda p, x: x @ p, x, path=path, params=w, weights=weights)
            sizes[weights] = (path / "main.mlirb").stat().st_size
            model = aj.export.AIModel(path)
            step = np.abs(w).max(0) / 127
            rounded = np.rint(w / step) * step if weights else w
            np.testing.assert_allclose(model({"x": x})["output"], x @ rounded, rtol=1e-4, atol=1e-4)
            model.close()
        assert sizes["int8"] < 0.3 * sizes[None]


def weights_of_few_bits() -> None:
    """Each scheme gives what it gives Core ML, in fewer bytes; on both sides of what stands in the text."""
    for shape in ((33, 13), (65, 71)):
        w, x, sizes = normal(*shape), np.eye(shape[0], dtype=np.float32), {}
        for scheme in COREAI:
            with tempfile.TemporaryDirectory() as folder:
                path = aj.export.coreai(
                    lambda p, x: x @ p, x, path=Path(folder) / "f.aimodel", params=w, weights=scheme
                )
                sizes[scheme] = (path / "main.mlirb").stat().st_size
                model = aj.export.AIModel(path)
                want = SCHEMES[scheme].make(Value("w", Type("fp32", w.shape), w), w)[1]
                np.testing.assert_allclose(model({"x": x})["output"], want, rtol=1e-6, err_msg=scheme)
                model.close()
        if w.size > INLINE:
            assert sizes["lut2"] < sizes["int4"] < sizes["int8"] - 0.4 * w.size


def half_precision() -> None:
    """Half the bytes, and float16's numbers; loops and their bodies too."""
    w, x = normal(64, 64) / 8, normal(3, 64)

    def f(p: Any, x: Any) -> Any:
        turn = lambda c, _: (jnp.tanh(c @ p), jnp.log(jnp.sum(c * c) + 1e-12))  # noqa: E731
        return lax.scan(turn, x, None, length=3)

    sizes, found = {}, {}
    for precision in ("float32", "float16"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "f.aimodel"
            aj.export.coreai(f, x, path=path, params=w, precision=precision, outputs=("y", "logs"))
            sizes[precision] = (path / "main.mlirb").stat().st_size
            model = aj.export.AIModel(path)
            found[precision] = model({"x": x})
            model.close()
    assert sizes["float16"] < sizes["float32"] - 1.9 * w.size
    for name, want in found["float32"].items():
        assert found["float16"][name].dtype == np.float32
        off = np.abs(found["float16"][name] - want).max() / np.abs(want).max()
        assert 1e-5 < off < 1e-2, (name, off)


def an_asset_says_what_it_is() -> None:
    said = aj.export.Metadata("A. Author", "MIT", "1.2", "Adds one.", {"source": "a test"})
    with tempfile.TemporaryDirectory() as folder:
        path = aj.export.coreai(lambda x: x + 1, X, path=Path(folder) / "f.aimodel", metadata=said,
                                labels=["cat", "dog", "ape"])  # fmt: skip
        model = aj.export.AIModel(path)
        assert model.labels() == {"output": ["cat", "dog", "ape"]} and model.labels("other") == {}
        model.close()
        text = (path / "metadata.json").read_text()
    assert all(f'"{word}"' in text for word in ("A. Author", "MIT", "1.2", "Adds one.", "source", "a test")), text


def several_shapes() -> None:
    """A function for each shape, and their weights once."""
    w, sizes = normal(300, 70) / 20, {}
    for n in (1, 5):
        with tempfile.TemporaryDirectory() as folder:
            f = lambda p, x: jnp.tanh(x @ p)  # noqa: E731
            x = aj.export.Shapes((range(1, n + 1, 2), 300))
            path = aj.export.coreai(f, x, path=Path(folder) / "f.aimodel", params=w)
            sizes[n] = (path / "main.mlirb").stat().st_size
            model = aj.export.AIModel(path)
            assert model.functions == ([f"main_{k}" for k in (1, 3, 5)] if n > 1 else ["main"])
            for k, name in zip((1, 3, 5), model.functions):
                x = normal(k, 300)
                assert error(np.asarray(jnp.tanh(jnp.asarray(x) @ w)), model({"x": x}, name)["output"]) <= 64
            model.close()
    assert sizes[5] < sizes[1] + 4096


def wrong_calls_raise() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = aj.export.AIModel(aj.export.coreai(lambda x: x + 1, X, path=Path(folder) / "f.aimodel"))
        for inputs, function in (({}, "main"), ({"x": X[:2]}, "main"), ({"x": X.astype(np.int32)}, "main"),
                                 ({"x": X, "y": X}, "main"), ({"x": X}, "other")):  # fmt: skip
            try:
                model(inputs, function)
            except ExportError:
                continue
            raise AssertionError(f"{inputs} of {function} were taken")
        np.testing.assert_array_equal(model({"x": X})["output"], X + 1)
        model.close()


# ---- training steps, with parameters and moments as states


def trains(
    step: Callable[..., Any], state: Any, batch: tuple[Any, ...], turns: int, loss: float, states: float
) -> None:
    """An asset of `step` and `predict`-like reading trains itself in place, with our losses."""
    state = aj.tree.map(np.asarray, state)
    with tempfile.TemporaryDirectory() as folder:
        function = aj.export.Function(step, *batch, state=state, outputs="loss")
        model = aj.export.AIModel(aj.export.coreai({"step": function}, path=Path(folder) / "f.aimodel"))
        names = model.ports("step")[0]
        inputs = dict(zip(names, map(np.asarray, aj.tree.leaves(batch))))
        ours, jitted, losses = state, aj.jit(step), []
        for _ in range(turns):
            value, ours = jitted(ours, *batch)
            theirs = model(inputs, "step")["loss"]
            assert abs(float(theirs) - float(value)) <= loss * max(1, abs(float(value))), (float(value), float(theirs))
            losses.append(float(value))
        assert losses[-1] < losses[0]
        kept = sorted(model.states)
        for name, want in zip(kept, sorted_leaves(ours), strict=True):
            got, want = model.states[name].astype(np.float64), np.asarray(want, np.float64)
            assert np.abs(got - want).max() <= states * max(1e-3, np.abs(want).max()), name
        model.close()


def sorted_leaves(state: Any) -> list[Any]:
    """The leaves in the order of the names that an asset has for them."""
    from anejax.export.ports import readable

    paths = aj.tree_util.tree_leaves_with_path(state)
    named = {readable("state" + aj.tree_util.keystr(path)): leaf for path, leaf in paths}
    return [named[name] for name in sorted(named)]


def cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], 1))


def mlp_by_sgd() -> None:
    def step(state: Any, x: Any, y: Any) -> Any:
        f = lambda p: cross_entropy(jnp.tanh(x @ p["w"] + p["b"]) @ p["v"], y)  # noqa: E731
        value, slope = aj.value_and_grad(f)(state)
        return value, aj.tree.map(lambda a, g: a - 0.3 * g, state, slope)

    state = {"w": normal(7, 33) / 3, "b": np.zeros(33, np.float32), "v": normal(33, 5) / 6}
    trains(step, state, (normal(13, 7), RNG.integers(0, 5, 13).astype(np.int32)), 100, 1e-5, 1e-4)


def cnn_by_adam() -> None:
    model = nn.Sequential(
        nn.Conv2D(4, 3, bias=False), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2, 2), nn.Flatten(), nn.Linear(3)
    )
    x, y = normal(4, 2, 7, 6), RNG.integers(0, 3, 4).astype(np.int32)
    params, running = model.init(aj.random.key(0), x)
    optimizer = aj.optim.adam(1e-2)

    def step(state: Any, x: Any, y: Any) -> Any:
        def loss(params: Any) -> Any:
            logits, running = model.apply(params, state["running"], x, train=True)
            return cross_entropy(logits, y), running

        (value, running), slope = aj.value_and_grad(loss, has_aux=True)(state["params"])
        updates, moments = optimizer.update(slope, state["moments"], state["params"])
        return value, {
            "params": aj.optim.apply_updates(state["params"], updates),
            "running": running,
            "moments": moments,
        }

    trains(step, {"params": params, "running": running, "moments": optimizer.init(params)}, (x, y), 10, 1e-4, 2e-2)


def lstm_by_sgd() -> None:
    def step(state: Any, x: Any, y: Any) -> Any:
        def loss(p: Any) -> Any:
            def cell(c: Any, x: Any) -> Any:
                h, s = c
                i, f, o, u = jnp.split(jnp.concatenate([x, h], -1) @ p["w"] + p["b"], 4, -1)
                s = nn.sigmoid(f) * s + nn.sigmoid(i) * jnp.tanh(u)
                h = nn.sigmoid(o) * jnp.tanh(s)
                return (h, s), h

            zero = jnp.zeros((3, 8))
            (h, _), hs = lax.scan(cell, (zero, zero), x)
            return cross_entropy(h @ p["v"], y) + (hs * hs).mean()

        value, slope = aj.value_and_grad(loss)(state)
        return value, aj.tree.map(lambda a, g: a - 0.1 * g, state, slope)

    state = {"w": normal(16, 32) / 4, "b": np.zeros(32, np.float32), "v": normal(8, 5) / 3}
    trains(step, state, (normal(6, 3, 8), RNG.integers(0, 5, 3).astype(np.int32)), 10, 1e-5, 1e-4)


def dropout_with_its_key_as_state() -> None:
    def step(state: Any, x: Any, y: Any) -> Any:
        key, now = aj.random.split(state["key"])
        kept = aj.random.bernoulli(now, 0.8, (8, 12))
        f = lambda p: cross_entropy((jnp.maximum(x @ p["w"], 0) * kept / 0.8) @ p["v"], y)  # noqa: E731
        value, slope = aj.value_and_grad(f)(state["params"])
        return value, {"key": key, "params": aj.tree.map(lambda a, g: a - 0.1 * g, state["params"], slope)}

    state = {"key": aj.random.PRNGKey(3), "params": {"w": normal(6, 12), "v": normal(12, 4)}}
    trains(step, state, (normal(8, 6), RNG.integers(0, 4, 8).astype(np.int32)), 10, 1e-5, 1e-4)


def functions_share_their_states() -> None:
    def step(state: Any, x: Any) -> Any:
        return (state * x).sum(), state + x

    def predict(state: Any, x: Any) -> Any:
        return state * x, state

    with tempfile.TemporaryDirectory() as folder:
        functions = {n: aj.export.Function(f, X, state=Y) for n, f in (("step", step), ("predict", predict))}
        model = aj.export.AIModel(aj.export.coreai(functions, path=Path(folder) / "f.aimodel"))
        assert sorted(model.functions) == ["initial", "predict", "step"]
        np.testing.assert_array_equal(model({"x": X}, "predict")["output"], X * Y)
        model({"x": X}, "step")
        np.testing.assert_array_equal(model({"x": X}, "predict")["output"], X * (Y + X))
        model.states["state"] = Y
        np.testing.assert_array_equal(model({"x": X}, "predict")["output"], X * Y)
        model.close()


def network(name: str) -> None:
    function, params, args = MODELS[name]
    same(lambda *xs: function(params, *xs), *args, most=64)


def run(name: str) -> None:
    """`anejax export` of a run of each kind."""
    deploy.PREFILL, SIZES["260K"] = PREFILL, SIZE
    with tempfile.TemporaryDirectory() as folder:
        trained, path = RUNS[name].write(Path(folder)), Path(folder) / "net.aimodel"
        assert main(["export", str(Path(folder) / "run"), "--to", str(path)]) == 0
        asset = aj.export.AIModel(path)
        RUNS[name].check(trained, lambda f, inputs: asset(inputs, f), 1e-5)
        classes = {"images": ["blau", "grün", "rot"], "cifar10": CLASSES}.get(name)
        assert asset.labels() == ({"probabilities": classes} if classes else {})
        asset.close()


CASES: dict[str, Callable[[], None]] = {
    **{name: partial(network, name) for name in MODELS},
    **{f"a run: {name}": partial(run, name) for name in RUNS},
}
CASES |= {
    f.__name__: f
    for f in (
        no_integer_is_divided_by_folding, no_sum_is_reassociated, a_cast_to_integers_truncates,
        moved_elements_are_no_barrier, reductions_have_names,
        integers_divided_by_nothing, indices_outside, nothing_to_reduce, integers_wrap, rests_have_the_right_sign,
        the_first_nan_is_the_greatest, slices_go_down, mixed_dtypes, scalars_are_arrays_without_axes, branches_hand_on,
        carries_change_places, branches_in_loops, loops_in_loops, returned_inputs_and_constants,
        large_constants_stand_outside_the_text, weights_of_one_byte, weights_of_few_bits, half_precision,
        an_asset_says_what_it_is, wrong_calls_raise, several_shapes,
        mlp_by_sgd, cnn_by_adam, lstm_by_sgd,
        dropout_with_its_key_as_state, functions_share_their_states,
    )
}  # fmt: skip

if __name__ == "__main__":
    serve(CASES)
