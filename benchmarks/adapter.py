"""anejax as an external framework of a training-step benchmark: ``make(workload, opts) -> stepper``.

A workload offers ``params`` (name -> float32 array; linear [in, out], conv OIHW), ``x`` (NCHW images), ``y``, ``cfg``
and ``opt``; a stepper has ``step() -> loss`` (a complete, synchronous training step) and ``info``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, optim


def cross_entropy(logits: Any, labels: Any) -> Any:
    log_p = nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, labels[..., None], -1).mean()


def mlp(workload: Any) -> Callable[..., Any]:
    layers = len(workload.cfg["dims"]) - 1

    def loss(p: Any, x: Any, y: Any) -> Any:
        for i in range(layers):
            x = x @ p[f"l{i}.w"] + p[f"l{i}.b"]
            x = nn.relu(x) if i < layers - 1 else x
        return cross_entropy(x, y)

    return loss


def cnn(workload: Any) -> Callable[..., Any]:
    def conv(p: Any, name: str, x: Any) -> Any:
        y = lax.conv_general_dilated(x, p[name + ".w"], (1, 1), [(1, 1)] * 2)
        return nn.relu(y + p[name + ".b"][:, None, None])

    def pool(x: Any) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss(p: Any, x: Any, y: Any) -> Any:
        x = pool(conv(p, "c1", conv(p, "c0", x)))
        x = pool(conv(p, "c3", conv(p, "c2", x))).mean((2, 3))
        x = nn.relu(x @ p["f0.w"] + p["f0.b"])
        return cross_entropy(x @ p["f1.w"] + p["f1.b"], y)

    return loss


MODELS = {"mlp": mlp, "cnn": cnn}


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

        def step(params: Any, state: Any, x: Any, y: Any) -> Any:
            value, grads = aj.value_and_grad(loss)(params, x, y)
            updates, state = tx.update(grads, state, params)
            return optim.apply_updates(params, updates), state, value

        self._params = aj.device_put(workload.params)
        self._state = tx.init(self._params)
        self._x, self._y = aj.device_put(workload.x), aj.device_put(workload.y)
        self._step = aj.jit(step, donate_argnums=(0, 1))
        begun = time.perf_counter()
        lowered = self._step.lower(self._params, self._state, self._x, self._y)
        traced = time.perf_counter()
        self.plan = lowered.compile()
        self.info = {"version": f"anejax {aj.__version__}", "trace_s": traced - begun,
                     "compile_s": time.perf_counter() - begun}  # fmt: skip

    def step(self) -> float:
        self._params, self._state, value = self._step(self._params, self._state, self._x, self._y)
        return float(value)


def make(workload: Any, opts: dict[str, Any]) -> Stepper:
    """The entry point that benchmark drivers call."""
    return Stepper(workload)
