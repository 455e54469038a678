"""Steps for a classifier: cross-entropy with label smoothing, and its accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax as aj
import anejax.numpy as jnp
from anejax import amp, nn, optim, random
from anejax.train import parallel


class TrainState(NamedTuple):
    """Everything that training changes."""

    params: Any
    model_state: Any
    opt_state: Any
    key: Any
    scale: Any = ()  # scale of the loss, in mixed precision


def picture(size: int) -> aj.ShapeDtypeStruct:
    """The type of one picture of ``size`` pixels on a side."""
    return aj.ShapeDtypeStruct((1, 3, size, size), "float32")


def init_state(model: Any, optimizer: Any, example: Any, seed: int) -> TrainState:
    """The state before the first step, in float32. ``example`` has the shape and dtype of an input."""
    key, init_key = random.split(random.PRNGKey(seed))
    params, model_state = model.init(init_key, example)
    return TrainState(params, model_state, optimizer.init(params), key)


def make_loss(model: Any, smoothing: float) -> Callable[..., Any]:
    """(params, model_state, images, labels, key) -> (loss, (model_state, accuracy)) in training."""

    def loss(params: Any, model_state: Any, images: Any, labels: Any, key: Any) -> Any:
        logits, model_state = model.apply(params, model_state, images, key=key, train=True)
        correct = (jnp.argmax(logits, -1) == labels).astype(jnp.float32)
        return jnp.mean(cross_entropy(logits, labels, smoothing)), (model_state, jnp.mean(correct))

    return loss


def train_step(model: Any, optimizer: Any, smoothing: float) -> Callable[..., Any]:
    """(state, images, labels) -> (state, {loss, accuracy}), compiled."""
    optimizer = parallel.averaged(optimizer)
    value_and_grad = aj.value_and_grad(make_loss(model, smoothing), has_aux=True)

    def step(state: TrainState, images: Any, labels: Any) -> Any:
        key, step_key = random.split(state.key)
        (value, (model_state, accuracy)), grads = value_and_grad(
            state.params, state.model_state, images, labels, step_key
        )
        value, accuracy = parallel.mean((value, accuracy))
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optim.apply_updates(state.params, updates)
        return TrainState(params, model_state, opt_state, key), {"loss": value, "accuracy": accuracy}

    return aj.jit(parallel.divided(step), donate_argnums=0)


def mixed_train_step(
    model: Any, optimizer: Any, smoothing: float, policy: str, **scaling: Any
) -> tuple[Callable[..., Any], Callable[[TrainState], TrainState]]:
    """``train_step`` in mixed precision, and a function that adds the initial loss scale to a state.

    ``scaling`` are options of ``amp.value_and_grad``. A step whose gradients overflow changes nothing but the scale and
    the key; its metric ``skipped`` is 1.
    """
    grad = amp.value_and_grad(make_loss(model, smoothing), has_aux=True, policy=policy, keep_argnums=1, **scaling)

    def step(state: TrainState, images: Any, labels: Any) -> Any:
        key, step_key = random.split(state.key)
        ((value, (model_state, accuracy)), grads), scale = grad(
            state.scale, state.params, state.model_state, images, labels, step_key
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        new = (optim.apply_updates(state.params, updates), model_state, opt_state)
        params, model_state, opt_state = scale.select(new, (state.params, state.model_state, state.opt_state))
        metrics = {"loss": value, "accuracy": accuracy, "loss_scale": scale.scale}
        skipped = jnp.where(scale.finite, 0, 1)
        return TrainState(params, model_state, opt_state, key, scale), metrics | {"skipped": skipped}

    return aj.jit(step, donate_argnums=0), lambda state: state._replace(scale=grad.init())


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
    with aj.named_scope("loss"):
        logits = logits.astype(jnp.float32)
        target = optim.smooth_labels(nn.one_hot(labels, logits.shape[-1]), smoothing)
        return optim.softmax_cross_entropy(logits, target)
