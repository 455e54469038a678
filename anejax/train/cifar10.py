"""Recipes for CIFAR-10, and the task that a recipe describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax import optim
from anejax.data import cifar10
from anejax.data.batches import TestBatches, TrainBatches
from anejax.models import cifar
from anejax.train import classify
from anejax.train.loop import Task
from anejax.train.recipe import Recipe

NETWORKS = {"demo": cifar.demo, "full": cifar.full}
PRECISIONS = ("float32", "bfloat16", "float16")
_TEST_BATCH = 250


@dataclass(frozen=True)
class Cifar10Recipe(Recipe):
    """How a run on CIFAR-10 goes.

    The learning rate rises linearly over the first fifth of the steps and falls as a cosine.
    """

    network: str
    epochs: int
    batch: int
    lr: float
    seed: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    precision: str = "float32"  # of the computing; parameters are float32
    subset: int = 0  # the first images of each part only; 0 for all

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"there is no network {self.network!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"there is no precision {self.precision!r}")


PRESETS = {
    "demo": Cifar10Recipe(network="demo", epochs=5, batch=128, lr=0.1),
    "full": Cifar10Recipe(network="full", epochs=8, batch=128, lr=0.1),
}


def make(recipe: Cifar10Recipe, data: cifar10.Cifar10) -> tuple[Task, classify.TrainState]:
    """The task of ``recipe`` on ``data``, and the state in which it starts."""
    train, test = (_first(split, recipe.subset) for split in data)
    train_batches = TrainBatches(*train, recipe.batch, cifar10.MEAN, cifar10.STD, recipe.seed)
    test_batches = TestBatches(*test, min(_TEST_BATCH, len(test.labels)), cifar10.MEAN, cifar10.STD)
    model = NETWORKS[recipe.network]()
    optimizer = _optimizer(recipe, len(train_batches) * recipe.epochs)
    example = np.zeros((recipe.batch, 3, 32, 32), np.float32)
    state = classify.init_state(model, optimizer, example, recipe.seed)
    if recipe.precision == "float32":
        train_step = classify.train_step(model, optimizer, recipe.smoothing)
    else:
        policy = f"compute={recipe.precision}"
        train_step, scaled = classify.mixed_train_step(model, optimizer, recipe.smoothing, policy)
        state = scaled(state)
    task = Task(
        name=f"CIFAR-10, {recipe.network} network",
        config=recipe.to_json(),
        epochs=recipe.epochs,
        train=train_batches,
        test=test_batches,
        train_step=train_step,
        eval_step=classify.eval_step(model),
    )
    return task, state


def _optimizer(recipe: Cifar10Recipe, steps: int) -> Any:
    """SGD with Nesterov momentum and weight decay."""
    schedule = optim.warmup_cosine_decay_schedule(
        init_value=recipe.lr / 10,
        peak_value=recipe.lr,
        warmup_steps=steps // 5,
        decay_steps=max(steps, 1),
        end_value=recipe.lr / 100,
    )
    return optim.chain(
        optim.add_decayed_weights(recipe.weight_decay),
        optim.sgd(schedule, momentum=recipe.momentum, nesterov=True),
    )


def _first(split: cifar10.Split, count: int) -> cifar10.Split:
    return cifar10.Split(split.images[:count], split.labels[:count]) if count else split
