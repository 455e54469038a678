"""Steps for a classifier: cross-entropy with label smoothing, and its accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim, random


class TrainState(NamedTuple):
    """Everything that training changes."""

    params: Any
    model_state: Any
    opt_state: Any
    key: Any


def init_state(model: Any, optimizer: Any, images: Any, seed: int) -> TrainState:
    """The state before the first step; ``images`` gives shapes only."""
    key, init_key = random.split(random.PRNGKey(seed))
    params, model_state = model.init(init_key, images)
    return TrainState(params, model_state, optimizer.init(params), key)


def train_step(model: Any, optimizer: Any, smoothing: float) -> Callable[..., Any]:
    """(state, images, labels) -> (state, {loss, accuracy}), compiled."""

    def loss(params: Any, model_state: Any, images: Any, labels: Any, key: Any) -> Any:
        logits, model_state = model.apply(params, model_state, images, key=key, train=True)
        correct = (jnp.argmax(logits, -1) == labels).astype(jnp.float32)
        return jnp.mean(cross_entropy(logits, labels, smoothing)), (model_state, jnp.mean(correct))

    def step(state: TrainState, images: Any, labels: Any) -> Any:
        key, step_key = random.split(state.key)
        (value, (model_state, accuracy)), grads = aj.value_and_grad(loss, has_aux=True)(
            state.params, state.model_state, images, labels, step_key
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optim.apply_updates(state.params, updates)
        metrics = {"loss": value, "accuracy": accuracy}
        return TrainState(params, model_state, opt_state, key), metrics

    return aj.jit(step, donate_argnums=0)


def eval_step(model: Any) -> Callable[..., Any]:
    """(state, images, labels, weight) -> weighted sums {loss, accuracy, count}, compiled."""

    def step(params: Any, model_state: Any, images: Any, labels: Any, weight: Any) -> Any:
        logits, _ = model.apply(params, model_state, images)
        correct = (jnp.argmax(logits, -1) == labels).astype(jnp.float32)
        sums = {"loss": jnp.sum(weight * cross_entropy(logits, labels, 0.0))}
        return sums | {"accuracy": jnp.sum(weight * correct), "count": jnp.sum(weight)}

    compiled = aj.jit(step)
    return lambda state, *batch: compiled(state.params, state.model_state, *batch)


def cross_entropy(logits: Any, labels: Any, smoothing: float) -> Any:
    """One loss per example; ``smoothing`` of the target is spread over all classes."""
    target = optim.smooth_labels(nn.one_hot(labels, logits.shape[-1]), smoothing)
    return optim.softmax_cross_entropy(logits, target)
