"""Training steps for a language model. The loss is the mean cross-entropy of the next token, in nats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim
from anejax.train import parallel
from anejax.train.loop import Metrics, means


class TrainState(NamedTuple):
    """Everything that training changes."""

    params: Any
    opt_state: Any


TOKENS = aj.ShapeDtypeStruct((1, 1), "int32")  # the type of the shortest input


def train_step(model: nn.Layer, optimizer: Any) -> Callable[..., Any]:
    """(state, tokens, targets) -> (state, {loss}), compiled; both arrays are int32[N,T]."""
    return step_of(lambda params, *batch: jnp.mean(losses(model, params, *batch)), optimizer)


def step_of(loss: Callable[..., Any], optimizer: Any) -> Callable[..., Any]:
    """``train_step`` for ``loss``, a function of (params, tokens, targets)."""
    optimizer = parallel.averaged(optimizer)

    def step(state: TrainState, tokens: Any, targets: Any) -> Any:
        value, grads = aj.value_and_grad(loss)(state.params, tokens, targets)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        return TrainState(optim.apply_updates(state.params, updates), opt_state), {"loss": parallel.mean(value)}

    return aj.jit(parallel.divided(step), donate_argnums=0)


def eval_step(model: nn.Layer) -> Callable[..., Any]:
    """(state, tokens, targets, weight) -> weighted sums {loss, count}, compiled."""

    def step(params: Any, tokens: Any, targets: Any, weight: Any) -> Any:
        return {"loss": jnp.sum(weight * losses(model, params, tokens, targets)), "count": jnp.sum(weight)}

    compiled = aj.jit(step)
    return lambda state, *batch: compiled(state.params, *batch)


def evaluate(model: nn.Layer, params: Any, batches: Iterable[tuple], done: Callable[[int], None]) -> float:
    """The mean loss over all batches (tokens, targets, weight); ``done`` hears how many are behind us."""
    step, state = eval_step(model), TrainState(params, ())

    def sums() -> Iterator[Metrics]:
        for number, batch in enumerate(batches, 1):
            yield step(state, *batch)
            done(number)

    return means(sums())["loss"]


def losses(model: nn.Layer, params: Any, tokens: Any, targets: Any) -> Any:
    """One loss per token, float32[N,T]."""
    logits, _ = model.apply(params, (), tokens)
    with aj.named_scope("loss"):
        return optim.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), targets)
