"""The command ``anejax train cifar10``: trains a convolutional network on CIFAR-10."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from anejax.cli import options, training
from anejax.data import cifar10 as data
from anejax.data.fetch import Progress
from anejax.train import cifar10 as recipes
from anejax.train.loop import Task


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add("--preset", dest="network", choices=recipes.PRESETS, help="the recipe (default: full)")
    add("--epochs", type=options.count, metavar="N", help="passes over the training images")
    add("--batch", type=options.count, metavar="N", help="images in a step")
    add("--lr", type=options.positive, metavar="X", help="the highest learning rate")
    add("--precision", choices=recipes.PRECISIONS, help="dtype of the computation (default: float32)")
    add("--subset", type=options.count, metavar="N", help="use only N training images and N test images")
    add("--data", type=Path, metavar="DIR", help="folder of the data set, downloaded if missing")
    training.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted."""
    return training.run(_TRAINING, args)


def _choose(args: argparse.Namespace) -> recipes.Cifar10Recipe:
    return dataclasses.replace(recipes.PRESETS[args.network or "full"], **training.given(_TRAINING, args))


def _make(recipe: recipes.Cifar10Recipe, args: argparse.Namespace, progress: Progress) -> tuple[Task, Any]:
    return recipes.make(recipe, data.load(args.data, progress), resumed=args.resume is not None)


_TRAINING = training.Training(
    name="cifar10",
    recipe=recipes.Cifar10Recipe,
    options={
        "network": "--preset",
        "epochs": "--epochs",
        "batch": "--batch",
        "lr": "--lr",
        "seed": "--seed",
        "precision": "--precision",
        "subset": "--subset",
    },
    choose=_choose,
    make=_make,
    label=lambda recipe: recipe.network,
)
