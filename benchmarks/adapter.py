"""anejax as an external framework of a training-step benchmark: ``make(workload, opts) -> stepper``.

A workload offers ``params`` (name -> float32 array; linear [in, out], conv OIHW, LSTM gates i, f, g, o), ``bn_state``
(name -> channels), ``x`` (NCHW images, sequences or tokens), ``y``, ``cfg`` and ``opt``; a stepper has ``step() ->
loss`` (a complete, synchronous training step) and ``info``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, optim

# (params, state, x, y) -> (loss, new state); only batch norm has a state
Loss = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def cross_entropy(logits: Any, labels: Any) -> Any:
    log_p = nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, labels[..., None], -1).mean()


def mlp(workload: Any) -> Loss:
    layers = len(workload.cfg["dims"]) - 1

    def loss(p: Any, s: Any, x: Any, y: Any) -> Any:
        for i in range(layers):
            x = x @ p[f"l{i}.w"] + p[f"l{i}.b"]
            x = nn.relu(x) if i < layers - 1 else x
        return cross_entropy(x, y), s

    return loss


def conv(x: Any, w: Any, stride: int = 1, pad: int = 1) -> Any:
    return lax.conv_general_dilated(x, w, (stride, stride), [(pad, pad)] * 2)


def cnn(workload: Any) -> Loss:
    def layer(p: Any, name: str, x: Any) -> Any:
        return nn.relu(conv(x, p[name + ".w"]) + p[name + ".b"][:, None, None])

    def pool(x: Any) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss(p: Any, s: Any, x: Any, y: Any) -> Any:
        x = pool(layer(p, "c1", layer(p, "c0", x)))
        x = pool(layer(p, "c3", layer(p, "c2", x))).mean((2, 3))
        x = nn.relu(x @ p["f0.w"] + p["f0.b"])
        return cross_entropy(x @ p["f1.w"] + p["f1.b"], y), s

    return loss


def normalized(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """x with mean 0 and variance 1 over ``axes``, and both."""
    mean = x.mean(axes, keepdims=True)
    var = jnp.square(x - mean).mean(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5), mean, var


def batch_norm(x: Any, running: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
    y, mean, var = normalized(x, (0, 2, 3))
    count = x.size // mean.size
    mean, var = lax.stop_gradient(mean).ravel(), lax.stop_gradient(var).ravel() * (count / (count - 1))
    return y, (0.9 * running[0] + 0.1 * mean, 0.9 * running[1] + 0.1 * var)


def resnet(workload: Any) -> Loss:
    groups = workload.cfg.get("groups")

    def loss(p: Any, s: Any, x: Any, y: Any) -> Any:
        new = {}

        def norm(name: str, x: Any) -> Any:
            if groups is None:
                x, new[name] = batch_norm(x, s[name])
            else:
                x = normalized(x.reshape(x.shape[0], groups, -1, *x.shape[2:]), (2, 3, 4))[0].reshape(x.shape)
            return x * p[name + ".g"][:, None, None] + p[name + ".b"][:, None, None]

        x = nn.relu(norm("stem.n", conv(x, p["stem.w"])))
        for block, stride, projects in workload.blocks:
            h = nn.relu(norm(block + ".n0", conv(x, p[block + ".c0.w"], stride)))
            h = norm(block + ".n1", conv(h, p[block + ".c1.w"]))
            if projects:
                x = norm(block + ".nsc", conv(x, p[block + ".sc.w"], stride, 0))
            x = nn.relu(x + h)
        return cross_entropy(x.mean((2, 3)) @ p["fc.w"] + p["fc.b"], y), new

    return loss


def lstm(workload: Any) -> Loss:
    def loss(p: Any, s: Any, x: Any, y: Any) -> Any:
        def cell(carry: Any, projected: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(projected + h @ p["w_hh"], 4, -1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            return (nn.sigmoid(o) * jnp.tanh(c), c), None

        zero = jnp.zeros((x.shape[0], workload.cfg["hidden"]))
        (h, _), _ = lax.scan(cell, (zero, zero), jnp.swapaxes(x @ p["w_ih"] + p["b"], 0, 1))
        return cross_entropy(h @ p["fc.w"] + p["fc.b"], y), s

    return loss


def llama(workload: Any) -> Loss:
    heads, layers = workload.cfg["heads"], workload.cfg["layers"]
    cos, sin = jnp.asarray(workload.cos)[:, None], jnp.asarray(workload.sin)[:, None]

    def rms(x: Any, gain: Any) -> Any:
        return x * lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5) * gain

    def rope(t: Any) -> Any:
        pairs = t.reshape(*t.shape[:-1], -1, 2)
        a, b = pairs[..., 0], pairs[..., 1]
        return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(t.shape)

    def layer(h: Any, w: Callable[[str], Any]) -> Any:
        n = rms(h, w("an.g"))
        q, k, v = ((n @ w(name)).reshape(*h.shape[:2], heads, -1) for name in ("wq.w", "wk.w", "wv.w"))
        h = h + nn.dot_product_attention(rope(q), rope(k), v, is_causal=True).reshape(h.shape) @ w("wo.w")
        n = rms(h, w("fn.g"))
        return h + (nn.silu(n @ w("w1.w")) * (n @ w("w3.w"))) @ w("w2.w")

    def loss(p: Any, s: Any, x: Any, y: Any) -> Any:
        h = p["tok"][x]
        for i in range(layers):
            h = layer(h, lambda name, i=i: p[f"l{i}.{name}"])
        return cross_entropy(rms(h, p["norm.g"]) @ p["tok"].T, y), s

    return loss


MODELS = {"mlp": mlp, "cnn": cnn, "resnet": resnet, "lstm": lstm, "llama": llama}


def optimizer(o: dict[str, Any]) -> Any:
    if o["kind"] == "adam":
        return optim.adam(o["lr"], o["b1"], o["b2"], o["eps"])
    if o["kind"] == "adamw":
        return optim.adamw(o["lr"], o["b1"], o["b2"], o["eps"], weight_decay=o["wd"])
    return optim.sgd(o["lr"], o.get("momentum"))


class Stepper:
    """Holds the state of a training run and makes one step at a time."""

    def __init__(self, workload: Any) -> None:
        loss = MODELS[workload.model](workload)
        tx = optimizer(workload.opt)

        def step(params: Any, opt_state: Any, state: Any, x: Any, y: Any) -> Any:
            (value, state), grads = aj.value_and_grad(loss, has_aux=True)(params, state, x, y)
            updates, opt_state = tx.update(grads, opt_state, params)
            return optim.apply_updates(params, updates), opt_state, state, value

        params = aj.device_put(workload.params)
        state = {name: (jnp.zeros(c), jnp.ones(c)) for name, c in workload.bn_state.items()}
        self._state = params, tx.init(params), state
        self._data = aj.device_put(workload.x), aj.device_put(workload.y)
        self._step = aj.jit(step, donate_argnums=(0, 1, 2))
        begun = time.perf_counter()
        lowered = self._step.lower(*self._state, *self._data)
        traced = time.perf_counter()
        self.plan = lowered.compile()
        self.info = {"version": f"anejax {aj.__version__}", "trace_s": traced - begun,
                     "compile_s": time.perf_counter() - traced}  # fmt: skip

    def step(self) -> float:
        *state, value = self._step(*self._state, *self._data)
        self._state = tuple(state)
        return float(value)


def make(workload: Any, opts: dict[str, Any]) -> Stepper:
    """The entry point that benchmark drivers call."""
    return Stepper(workload)
