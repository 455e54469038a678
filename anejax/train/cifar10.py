"""Recipes for CIFAR-10, and the task that a recipe describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from anejax import optim
from anejax.data import cifar10
from anejax.data.batches import TestBatches, TrainBatches
from anejax.models import cifar
from anejax.records import Between
from anejax.train import classify, naming, parallel
from anejax.train.loop import Task
from anejax.train.recipe import Name, Positive, Recipe, RecipeError, Seed, Size, initial

NETWORKS = {"demo": cifar.demo, "full": cifar.full}
PRECISIONS = ("float32", "bfloat16", "float16")
_TEST_BATCH = 250


@dataclass(frozen=True)
class Cifar10Recipe(Recipe):
    """The recipe of a run on CIFAR-10.

    The learning rate rises linearly over the first fifth of the steps and falls as a cosine.
    """

    network: Name
    epochs: Size
    batch: Size
    lr: Positive
    seed: Seed = 0
    momentum: Annotated[float, Between(0, 1)] = 0.9
    weight_decay: Positive = 5e-4
    smoothing: Annotated[float, Between(0, 1)] = 0.1
    precision: Name = "float32"  # dtype of the computation; parameters are float32
    subset: Annotated[int, Between(0, (1 << 32) - 1)] = 0  # the first images of each part only; 0 for all

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network not in NETWORKS:
            raise RecipeError(f"[train] expected a network of {', '.join(NETWORKS)}, got {self.network!r}.")
        if self.precision not in PRECISIONS:
            raise RecipeError(f"[train] expected a precision of {', '.join(PRECISIONS)}, got {self.precision!r}.")


PRESETS = {
    "demo": Cifar10Recipe(network="demo", epochs=5, batch=128, lr=0.1),
    "full": Cifar10Recipe(network="full", epochs=8, batch=128, lr=0.1),
}


def make(recipe: Cifar10Recipe, data: cifar10.Cifar10, resumed: bool = False) -> tuple[Task, classify.TrainState]:
    """The task of ``recipe`` on ``data``, and the state in which it starts; a resumed run takes only its types."""
    train, test = (_first(split, recipe.subset) for split in data)
    train_batches = TrainBatches(*train, recipe.batch, cifar10.MEAN, cifar10.STD, recipe.seed)
    test_batches = TestBatches(*test, min(_TEST_BATCH, len(test.labels)), cifar10.MEAN, cifar10.STD)
    parallel.check_batch(recipe.batch)
    model = NETWORKS[recipe.network](parallel.axis_name())
    how = parallel.averaged(
        optimizer(recipe.lr, recipe.momentum, recipe.weight_decay, len(train_batches) * recipe.epochs)
    )
    scaled: Callable[[Any], Any] = lambda state: state  # noqa: E731
    if recipe.precision == "float32":
        train_step = classify.train_step(model, how, recipe.smoothing)
    elif parallel.axis_name() is not None:
        raise parallel.ParallelError("[train] several processes train in float32 only; leave out --precision.")
    else:
        policy = f"compute={recipe.precision}"
        train_step, scaled = classify.mixed_train_step(model, how, recipe.smoothing, policy)
    task = Task(
        name=f"CIFAR-10, {recipe.network} network",
        config=recipe.to_json(),
        epochs=recipe.epochs,
        train=train_batches,
        test=test_batches,
        train_step=train_step,
        eval_step=classify.eval_step(model),
        naming=naming.by_layers(model, classify.picture(32)),
    )

    def state() -> classify.TrainState:
        example = np.zeros((recipe.batch, 3, 32, 32), np.float32)
        return scaled(classify.init_state(model, how, example, recipe.seed))

    return task, initial(state, resumed)


def optimizer(lr: float, momentum: float, weight_decay: float, steps: int) -> Any:
    """SGD with Nesterov momentum and weight decay."""
    schedule = optim.warmup_cosine_decay_schedule(
        init_value=lr / 10,
        peak_value=lr,
        warmup_steps=steps // 5,
        decay_steps=max(steps, 1),
        end_value=lr / 100,
    )
    return optim.chain(
        optim.add_decayed_weights(weight_decay),
        optim.sgd(schedule, momentum=momentum, nesterov=True),
    )


def _first(split: cifar10.Split, count: int) -> cifar10.Split:
    return cifar10.Split(split.images[:count], split.labels[:count]) if count else split
