"""Mixed precision: policies, the loss scale beside plain training, forced overflows, and a CNN in 16 bits."""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import amp, nn, optim, random, tree
from anejax.errors import DtypeError
from anejax.train import classify
from anejax.train.checkpoint import load, newest, save

HALF = "params=float32,compute=float16,output=float32"
X = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(16,)).astype(np.float32)


def loss(params, x, y):
    hidden = jnp.tanh(x @ params["w"] + params["b"])
    return jnp.mean((hidden @ params["v"] - y).astype(jnp.float32) ** 2)


def params():
    rng = np.random.default_rng(2)
    w, v = rng.normal(size=(6, 8)), rng.normal(size=8)
    return {"w": jnp.asarray(w, jnp.float32), "b": jnp.zeros(8), "v": jnp.asarray(v, jnp.float32)}


def test_policies_in_words():
    assert amp.get_policy(HALF) == amp.Policy("float32", "float16", "float32")
    assert amp.get_policy("o=f32, p=f32, c=bf16").compute_dtype == jnp.bfloat16
    assert amp.get_policy("bfloat16") == amp.Policy(*["bfloat16"] * 3)
    assert str(amp.get_policy(HALF)) == HALF and amp.get_policy(str(amp.Policy())) == amp.Policy()
    assert amp.get_policy(amp.Policy()) == amp.Policy()


def test_casts_change_floats_only():
    values = {"f": np.ones(2, np.float32), "i": np.arange(2), "b": jnp.asarray(True), "k": random.key(0), "n": None}
    cast = amp.get_policy(HALF).cast_to_compute(values)
    assert cast["f"].dtype == np.float16 and cast["i"] is values["i"] and cast["k"].dtype == values["k"].dtype
    assert cast["b"].dtype == bool and cast["n"] is None
    assert amp.get_policy(HALF).cast_to_param(cast)["f"].dtype == np.float32
    assert amp.get_policy("o=bf16").cast_to_output(cast)["f"].dtype == jnp.bfloat16


def make_step(grad, opt):
    def step(p, state, scale, x, y):
        (value, grads), scale = grad(scale, p, x, y)
        updates, new = opt.update(grads, state, p)
        p, state = scale.select((optim.apply_updates(p, updates), new), (p, state))
        return p, state, scale, value

    return aj.jit(step)


def test_without_overflow_it_is_plain_training_to_the_bit():
    """A power of two scales exactly, so in float32 nothing differs."""
    opt, grad = optim.adamw(0.01), amp.value_and_grad(loss, policy="float32", initial_scale=2.0**10, growth_interval=3)
    step = make_step(grad, opt)
    p, state, scale = params(), opt.init(params()), grad.init()
    q, other = params(), opt.init(params())

    @aj.jit
    def plain(q, other, x, y):
        value, grads = aj.value_and_grad(loss)(q, x, y)
        updates, other = opt.update(grads, other, q)
        return optim.apply_updates(q, updates), other, value

    for _ in range(10):
        p, state, scale, value = step(p, state, scale, X, Y)
        q, other, expected = plain(q, other, X, Y)
        assert float(value) == float(expected)
    for a, b in zip(tree.leaves((p, state)), tree.leaves((q, other)), strict=True):
        assert np.array_equal(a, b)
    assert float(scale.scale) == 2.0**13 and int(scale.streak) == 1 and int(scale.skipped) == 0


def test_an_overflow_skips_the_step_halves_the_scale_and_it_grows_again():
    grad = amp.value_and_grad(loss, policy=HALF, growth_interval=3)
    opt = optim.adam(0.01)
    step = make_step(grad, opt)
    p, state, scale = params(), opt.init(params()), grad.init()
    assert float(scale.scale) == 2.0**15
    p, state, scale, _ = step(p, state, scale, X / 8, Y / 8)
    assert bool(scale.finite) and int(scale.streak) == 1
    after, after_state, scale, value = step(p, state, scale, X / 8, Y * 1e5)  # targets are infinite in float16
    assert not bool(scale.finite) and int(scale.skipped) == 1 and float(scale.scale) == 2.0**14
    assert not np.isfinite(float(value))
    for a, b in zip(tree.leaves((p, state)), tree.leaves((after, after_state)), strict=True):
        assert np.array_equal(a, b)
    seen = []
    for _ in range(6):
        after, after_state, scale, _ = step(after, after_state, scale, X / 8, Y / 8)
        seen.append(float(scale.scale))
    assert seen == [2.0**14] * 2 + [2.0**15] * 3 + [2.0**16]
    assert not np.array_equal(after["w"], p["w"]) and int(scale.skipped) == 1


def test_an_overflow_that_only_the_scale_causes():
    """The loss is small and the scaled gradients do not fit: skipped, the scale halves until they do."""
    grad = amp.value_and_grad(lambda w: jnp.sum(w * 4).astype(jnp.float32), policy=HALF, initial_scale=2.0**17)
    w, scale = jnp.ones(4), grad.init()
    history = []
    for _ in range(6):
        (value, grads), scale = grad(scale, w)
        history.append((float(scale.scale), bool(scale.finite)))
        assert float(value) == 16.0
    # 2**17 and 2**16 do not fit as they are, 2**15 and 2**14 times 4 do not either.
    assert history == [(2.0**n, False) for n in (16, 15, 14, 13)] + [(2.0**13, True)] * 2
    assert history[-1][1] and np.array_equal(grads, np.full(4, 4.0, np.float32)) and grads.dtype == np.float32


def test_scaling_saves_what_float16_would_lose():
    tiny = np.float32(2.0**-20)
    f = lambda w: (jnp.sum(w * 1) * 1).astype(jnp.float32) * tiny * tiny  # noqa: E731
    w = jnp.ones(3)
    lost = amp.value_and_grad(f, policy=HALF, initial_scale=1.0)
    kept = amp.value_and_grad(f, policy=HALF, initial_scale=2.0**20)
    assert not np.any(lost(lost.init(), w)[0][1])
    assert np.array_equal(kept(kept.init(), w)[0][1], np.full(3, tiny * tiny))


def test_limits_of_the_scale():
    f = lambda w, x=1.0: jnp.sum(w * x).astype(jnp.float32)  # noqa: E731
    grad = amp.value_and_grad(f, policy=HALF, initial_scale=4.0, min_scale=2.0,
                              growth_interval=1, max_scale=16.0)  # fmt: skip
    scale = grad.init()
    for expected in (8.0, 16.0, 16.0):
        _, scale = grad(scale, jnp.ones(2))
        assert float(scale.scale) == expected
    for expected in (8.0, 4.0, 2.0, 2.0):
        (_, grads), scale = grad(scale, jnp.ones(2), np.float32("inf"))
        assert float(scale.scale) == expected and not np.all(np.isfinite(np.asarray(grads)))


def test_aux_argnums_kept_arguments_and_keywords():
    seen = {}

    def f(a, stats, b, *, c):
        seen.update(a=a.dtype, stats=stats.dtype, b=b.dtype, c=c.dtype)
        return jnp.sum(a * b * c).astype(jnp.float32), stats + 1

    grad = amp.value_and_grad(f, argnums=(0, 2), has_aux=True, policy=HALF, keep_argnums=1, initial_scale=256.0)
    one = jnp.ones(3)
    ((value, aux), grads), _ = grad(grad.init(), one, one, one * 2, c=one * 3)
    assert seen == {"a": np.float16, "stats": np.float32, "b": np.float16, "c": np.float16}
    assert float(value) == 18.0 and aux.dtype == np.float32
    assert np.array_equal(grads[0], np.full(3, 6.0)) and np.array_equal(grads[1], np.full(3, 3.0))
    assert {g.dtype for g in grads} == {np.dtype(np.float32)}


def test_bfloat16_needs_no_scale():
    grad = amp.value_and_grad(loss, policy="compute=bfloat16", growth_interval=1)
    (_, grads), scale = grad(grad.init(), params(), X, Y)
    assert float(scale.scale) == 1.0 and grads["w"].dtype == np.float32
    exact = aj.grad(loss)(params(), X, Y)
    for a, b in zip(tree.leaves(grads), tree.leaves(exact)):
        assert np.max(np.abs(np.asarray(a) - np.asarray(b))) <= 0.03 * np.max(np.abs(np.asarray(b)))


def test_the_scale_goes_into_checkpoints(tmp_path):
    scale = amp.value_and_grad(loss, policy=HALF).init()
    save(tmp_path, 1, scale, {})
    again = load(newest(tmp_path, print), scale)
    assert isinstance(again, amp.LossScale) and float(again.scale) == 2.0**15 and bool(again.finite)


IMAGES = np.random.default_rng(3).normal(size=(32, 3, 8, 8)).astype(np.float32)
LABELS = np.random.default_rng(4).integers(0, 4, 32).astype(np.int32)
IMAGES += LABELS[:, None, None, None] * 0.5


def cnn():
    return nn.Sequential(nn.Conv2D(8, 3, bias=False), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2),
                         nn.Conv2D(16, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4))  # fmt: skip


def losses(precision: str, steps: int = 30) -> list[float]:
    model, opt = cnn(), optim.sgd(0.05, momentum=0.9)
    state = classify.init_state(model, opt, IMAGES, 0)
    if precision == "float32":
        step = classify.train_step(model, opt, 0.0)
    else:
        step, scaled = classify.mixed_train_step(model, opt, 0.0, f"compute={precision}", growth_interval=10)
        state = scaled(state)
    found = []
    for _ in range(steps):
        state, metrics = step(state, IMAGES, LABELS)
        found.append(float(metrics["loss"]))
    assert {leaf.dtype for leaf in tree.leaves((state.params, state.model_state))} == {np.dtype(np.float32)}
    return found


def test_a_cnn_in_16_bits_trains_like_one_in_float32():
    """Losses of 30 steps within 0.5 % (float16) and 4 % (bfloat16) of the first loss, everywhere on the curve."""
    exact = losses("float32")
    assert exact[-1] < 0.6 * exact[0]
    for precision, share in (("float16", 0.005), ("bfloat16", 0.04)):
        assert np.max(np.abs(np.subtract(losses(precision), exact))) < share * exact[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: amp.get_policy("weights=float16"), ValueError, "expected a policy like"),
        (lambda: amp.get_policy("compute="), ValueError, "expected a policy like"),
        (lambda: amp.get_policy("compute=float16,c=f32"), ValueError, "expected a policy like"),
        (lambda: amp.get_policy("compute=int8"), DtypeError, "float dtype, got int8"),
        (lambda: amp.value_and_grad(loss, policy=HALF, growth_factor=1.0), ValueError, "growth_factor > 1"),
        (lambda: amp.value_and_grad(loss, policy=HALF, min_scale=0.0), ValueError, "0 < min_scale"),
        (lambda: amp.value_and_grad(loss, policy=HALF, initial_scale=2.0**30), ValueError, "max_scale"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
