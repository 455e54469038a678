"""Recipes for a folder of images, and the task that a recipe describes."""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from anejax.data import pictures
from anejax.data.batches import TestBatches, TrainBatches
from anejax.models import cifar
from anejax.records import Between
from anejax.train import classify, naming, parallel
from anejax.train.cifar10 import optimizer
from anejax.train.loop import Task
from anejax.train.recipe import Name, Positive, Recipe, Seed, Size, initial

_TEST_BATCH = 250


@dataclass(frozen=True)
class ImagesRecipe(Recipe):
    """The recipe of a run on a folder of images: that of CIFAR-10, with images of ``size`` pixels on a side.

    ``classes``, ``mean`` and ``deviation`` (of each channel, from 0 to 1) and ``found``, a fingerprint of the images,
    are made when a run begins, and are what using the network needs.
    """

    data: Name
    size: Annotated[int, Between(8, 1024)] = 32
    width: Annotated[int, Between(1, 1024)] = 32  # features of the first block
    epochs: Size = 10
    batch: Size = 64
    lr: Positive = 0.1
    seed: Seed = 0
    held: Annotated[float, Between(0.0, 0.9)] = 0.2  # of each class, unless there are folders for tests
    flip: bool = True  # crop and mirror
    momentum: Annotated[float, Between(0, 1)] = 0.9
    weight_decay: Positive = 5e-4
    smoothing: Annotated[float, Between(0, 1)] = 0.1
    classes: list[Name] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    deviation: list[float] = field(default_factory=list)
    found: Name = ""


def make(recipe: ImagesRecipe, resumed: bool = False) -> tuple[Task, classify.TrainState]:
    """The task of ``recipe``, and the state in which it starts; a resumed run takes only its types.

    Raises PictureError when the images have changed since the run began.
    """
    train, test = pictures.load(recipe.data, recipe.size, recipe.held, recipe.seed)
    recipe = _with_facts(recipe, train, test)
    mean, deviation = tuple(recipe.mean), tuple(recipe.deviation)
    batch = min(recipe.batch, len(train.images))
    parallel.check_batch(batch)
    batches = TrainBatches(train.images, train.labels, batch, mean, deviation, recipe.seed, recipe.flip)
    model = cifar.network(recipe.width, parallel.axis_name(), len(train.classes))
    how = parallel.averaged(optimizer(recipe.lr, recipe.momentum, recipe.weight_decay, len(batches) * recipe.epochs))
    task = Task(
        name=f"images of {len(train.classes)} classes",
        config=recipe.to_json(),
        epochs=recipe.epochs,
        train=batches,
        test=TestBatches(test.images, test.labels, min(_TEST_BATCH, len(test.labels)), mean, deviation),
        train_step=classify.train_step(model, how, recipe.smoothing),
        eval_step=classify.eval_step(model),
        naming=naming.by_layers(model, classify.picture(recipe.size)),
    )

    def state() -> classify.TrainState:
        example = np.zeros((batch, 3, recipe.size, recipe.size), np.float32)
        return classify.init_state(model, how, example, recipe.seed)

    return task, initial(state, resumed)


def _with_facts(recipe: ImagesRecipe, train: pictures.Pictures, test: pictures.Pictures) -> ImagesRecipe:
    if not len(test.labels):
        raise pictures.PictureError(f"[images] {recipe.data}: expected images to test with, got none.")
    crc = zlib.crc32(test.images.data, zlib.crc32(train.images.data))
    found = f"{len(train.labels)}-{len(test.labels)}-{crc:08x}"
    if recipe.found not in ("", found):
        raise pictures.PictureError(
            f"[images] {recipe.data} has changed since the run began: expected {recipe.found}, got {found}."
        )
    values = train.images.reshape(len(train.images), 3, -1)
    mean = (values.mean((0, 2), dtype=np.float64) / 255).tolist()
    deviation = np.maximum(values.std((0, 2), dtype=np.float64) / 255, 1e-3).tolist()
    return dataclasses.replace(recipe, classes=list(train.classes), mean=mean, deviation=deviation, found=found)
