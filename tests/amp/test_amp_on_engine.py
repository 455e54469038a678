"""Loss scales on the engine device, over the stand-in for Espresso, and with its numerics on the CPU device.

The engine makes 0 of inf - inf and of every NaN that arises, so a gradient of 0 may be all that an overflow leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import amp, lax, nn, optim, tree
from anejax.config import config
from anejax.errors import NumericsWarning
from anejax.mil.limits import MAX_PROGRAM_OPS
from anejax.train import classify, language
from tests.train.test_on_engine import CASES, EPS, NETWORKS, STEPS, Case, train, weights

HALF = "params=float32,compute=float16,output=float32"
HOW: dict[str, dict[str, Any]] = {"ane": {"device": "ane"}, "cpu-fp16": {"precision": "fp16"}}


@pytest.fixture(params=HOW)
def how(request: pytest.FixtureRequest, espresso: Path) -> Iterator[dict[str, Any]]:
    """Options of ``jit``: the engine has all that it can have, and a fall-back is an error."""
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        yield HOW[request.param]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


X, W, V = normal(16, 6), normal(6, 8, seed=1), normal(8, 8, seed=2) / 3
LABELS = np.random.default_rng(3).integers(0, 8, 16)


def squares(p: Any) -> Any:
    return jnp.mean((jnp.tanh(jnp.asarray(X, p["w"].dtype) @ p["w"]) @ p["v"]).astype("float32") ** 2)


def cross_entropy(p: Any) -> Any:
    """Its softmax subtracts what is infinite from what is infinite."""
    logits = jnp.tanh(jnp.asarray(X, p["w"].dtype) @ p["w"]) @ p["v"]
    return jnp.mean(optim.softmax_cross_entropy(logits.astype("float32"), nn.one_hot(LABELS, 8)))


def residual(p: Any) -> Any:
    """Cotangents of opposite signs meet where the paths do."""
    h = jnp.asarray(X, p["w"].dtype) @ p["w"]
    return jnp.mean(jnp.square((h - h @ p["v"]).astype("float32")))


def sorted_between(p: Any) -> Any:
    """The engine has no sort: what is finite in float32 comes from the CPU device, and crosses as infinite float16."""
    h = jnp.asarray(X, p["w"].dtype) @ p["w"]
    return jnp.mean(jnp.sort(h.astype("float32") * 4, axis=0) ** 2) + jnp.sum(p["v"].astype("float32") ** 2)


def loop(p: Any) -> Any:
    """A recurrence, which is one equation: what overflows does so inside it."""
    cell = lambda h, x: (jnp.tanh(x @ p["w"] + h @ p["v"]), ())  # noqa: E731
    last, _ = lax.scan(cell, jnp.zeros((2, 8), p["w"].dtype), jnp.asarray(X.reshape(8, 2, 6), p["w"].dtype))
    return jnp.mean((last.astype("float32") * 3) ** 2)


def choice(p: Any) -> Any:
    """Both branches run on the engine."""
    h = jnp.asarray(X, p["w"].dtype) @ p["w"]
    y = lax.cond(jnp.sum(h) > 0, lambda h: h @ p["v"] - h, lambda h: h @ p["v"] + h, h)
    return jnp.mean(jnp.square(y.astype("float32")))


LOSSES = [squares, cross_entropy, residual, sorted_between, loop, choice]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("policy", [HALF, "float32"])
def test_what_counts_as_finite_is_right_whatever_the_scale(loss: Any, policy: str, how: dict[str, Any]) -> None:
    """For each scale from 1 to 2^24 gradients are near those of float32, or the step is to be skipped."""
    p = {"w": W, "v": V}
    value, expected = aj.value_and_grad(loss)(p)
    grad = amp.value_and_grad(loss, policy=policy, initial_scale=1.0)
    step = aj.jit(grad, **how)
    finite = []
    for exponent in range(25):
        scale = grad.init()._replace(scale=jnp.float32(2.0**exponent))
        (got, grads), scale = step(scale, p)
        np.testing.assert_allclose(got, value, rtol=8 * EPS)
        finite.append(bool(scale.finite))
        assert float(scale.scale) == 2.0**exponent * (1 if finite[-1] else 0.5) or exponent == 0
        for name in p if finite[-1] else ():
            most = np.abs(expected[name]).max()
            np.testing.assert_allclose(grads[name], expected[name], rtol=0, atol=16 * EPS * most, err_msg=f"{exponent}")
    assert finite == sorted(finite, reverse=True), "from some scale on all overflow"
    assert 10 <= sum(finite) < 25, "scales that matter are there to be had, and the largest is not"


def test_plain_gradients_would_be_zero(how: dict[str, Any]) -> None:
    """That the above is about something: without being watched, zeros come out, and they are finite."""
    gradient = aj.jit(lambda p, s: aj.grad(lambda p: cross_entropy(p) * s)(p), **how)
    with pytest.warns(NumericsWarning, match="beyond float16"):
        zero = gradient({"w": W, "v": V}, np.float32(2.0**24))
    assert not np.any(zero["w"]) and not np.any(zero["v"])


def test_gradients_below_float16_survive(how: dict[str, Any]) -> None:
    """Of 2^-26 to 2^-30, from a function that returns gradients alone: they leave the engine with the scale in them."""
    small = np.float32(2.0**-26)
    loss = lambda w, x: jnp.sum((x @ w).astype("float32")) * small  # noqa: E731
    x = 2.0 ** -np.arange(5, dtype=np.float32).reshape(1, 5) * np.ones((4, 1), np.float32) / 4
    exact = np.repeat(x[:1].T * 4 * small, 3, 1)
    grad = amp.value_and_grad(loss, policy=HALF, initial_scale=2.0**24)
    (_, grads), scale = aj.jit(grad, **how)(grad.init(), np.ones((5, 3), np.float32), x)
    assert bool(scale.finite)
    np.testing.assert_array_equal(grads, exact)
    by_hand = aj.jit(lambda w, x, s: aj.grad(lambda w: loss(w, x) * s)(w) * (1 / s), **how)
    np.testing.assert_array_equal(by_hand(np.ones((5, 3), np.float32), x, np.float32(2.0**24)), exact)


# --- training --------------------------------------------------------------------------------------------------------


def of_images(model: nn.Layer, case: Case) -> tuple[Callable[..., Any], Any]:
    optimizer = optim.chain(optim.add_decayed_weights(5e-4), optim.sgd(0.05, momentum=0.9, nesterov=True))
    step, scaled = classify.mixed_train_step(model, optimizer, 0.1, "compute=float16", initial_scale=2.0**24)
    return step.__wrapped__, scaled(case.state)


def of_tokens(model: nn.Layer, case: Case) -> tuple[Callable[..., Any], Any]:
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-2))
    loss = lambda params, *batch: jnp.mean(language.losses(model, params, *batch))  # noqa: E731
    grad = amp.value_and_grad(loss, policy=HALF, initial_scale=2.0**24)

    def step(state: Any, *batch: Any) -> Any:
        (value, grads), scale = grad(state.scale, state.params, *batch)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optim.apply_updates(state.params, updates)
        params, opt_state = scale.select((params, opt_state), (state.params, state.opt_state))
        return classify.TrainState(params, (), opt_state, (), scale), {"loss": value}

    return step, classify.TrainState(case.state.params, (), case.state.opt_state, (), grad.init())


MIXED = {name: of_images if name in ("mlp", "cifar10") else of_tokens for name in NETWORKS}
# in units of 2^-11 of the loss, and of the way that training moved the weights; about twice what was found
BOUNDS = {"mlp": (9, 0.025), "cifar10": (18, 0.18), "stories": (8, 0.07), "vocabulary": (8, 0.07), "lstm": (5, 0.007)}


# tests/train/test_on_engine.py trains a large vocabulary in the short run, too
LATER = [pytest.param(name, marks=[pytest.mark.long] * (name == "vocabulary")) for name in MIXED]


# The cube of a norm's factor overflows in a row of stories whose values are near 0: scales do not cross segments
# (docs/engine.md), and the division of the step puts the factor into one segment and the cube into another.
@pytest.mark.filterwarnings("ignore:.*norm .backward.* went beyond:anejax.errors.NumericsWarning")
@pytest.mark.parametrize("name", LATER)
def test_training_from_a_scale_that_is_too_large(name: str, how: dict[str, Any]) -> None:
    """Skips steps, which change nothing, until the scale fits, and then goes as in float32."""
    case = CASES[name]()
    with aj.default_device("cpu"):
        expected, there, _ = train(case.make_step(), case)
    step, state = MIXED[name](NETWORKS[name](), case)
    step, losses, skipped = aj.jit(step, **how), [], 0
    while len(losses) < STEPS:
        before, (state, metrics) = state, step(state, *case.batch)
        if state.scale.finite:
            losses.append(float(metrics["loss"]))
            continue
        skipped += 1
        assert skipped < 24 and float(state.scale.scale) == 2.0 ** (24 - skipped)
        kept = (before.params, before.model_state, before.opt_state), (state.params, state.model_state, state.opt_state)
        assert all(map(np.array_equal, *map(tree.leaves, kept)))
    assert skipped >= 6 and int(state.scale.skipped) == skipped
    of_loss, of_way = BOUNDS[name]
    assert np.max(np.abs(losses - expected) / expected) / EPS < of_loss
    way = np.linalg.norm(there - weights(case.state))
    assert np.linalg.norm(weights(state) - there) / way < of_way


@pytest.mark.parametrize("name", LATER)
def test_watching_takes_no_more_dispatches(name: str, espresso: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is watched stays where it is, and one number leaves the engine."""
    case = CASES[name]()
    with config.override("engine_partition", "all"):
        step, state = MIXED[name](NETWORKS[name](), case)
        found = aj.explain(step, state, *case.batch)
        monkeypatch.setattr(amp, "watched", lambda fun, value: (fun(value), np.float32(0)))
        step, state = MIXED[name](NETWORKS[name](), case)
        plain = aj.explain(step, state, *case.batch)
    engine = lambda e: [s for s in e.segments if s.device == "ane"]  # noqa: E731
    operations = [sum(s.operations for s in engine(e)) for e in (plain, found)]
    assert operations[0] < operations[1]
    on_host = {p for s in found.segments if s.device == "cpu" for p in s.primitives}
    assert not on_host & {"dot_general", "conv_general_dilated", "scan"}
    if operations[1] > MAX_PROGRAM_OPS:
        assert name in ("cifar10", "stories", "vocabulary"), "the others fit into one program"
        assert len(engine(found)) <= len(engine(plain)) + 1, "it has grown too large for one"
    else:
        ports = [sum(len(s.outputs) for s in engine(e)) for e in (plain, found)]
        assert len(found.segments) <= len(plain.segments) and ports[1] <= ports[0] + 2
