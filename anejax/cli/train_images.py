"""The command ``anejax train images``: trains a convolutional network on a folder of images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anejax.cli import options, training
from anejax.cli.options import UsageError
from anejax.data.fetch import Progress
from anejax.train import images as recipes
from anejax.train.loop import Run, Task
from anejax.train.report import Report


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add("--data", type=options.path, metavar="FOLDER", help="a folder of images per class, or `train` and `test`")
    add("--size", type=options.count, metavar="N", help="resize images to N x N pixels (default: 32)")
    add("--width", type=options.count, metavar="N", help="features of the first block (default: 32)")
    add("--held", type=options.positive, metavar="X", help="fraction of each class held out for tests (default: 0.2)")
    add("--no-flip", dest="flip", action="store_false", default=None, help="do not mirror and shift images in training")
    add("--epochs", type=options.count, metavar="N", help="passes over the training images (default: 10)")
    add("--batch", type=options.count, metavar="N", help="images in a step (default: 64)")
    add("--lr", type=options.positive, metavar="X", help="the highest learning rate (default: 0.1)")
    training.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted."""
    return training.run(_TRAINING, args)


def _choose(args: argparse.Namespace) -> recipes.ImagesRecipe:
    if args.data is None:
        raise UsageError("[train] expected --data FOLDER, with a folder of images for each class.")
    return recipes.ImagesRecipe(**training.given(_TRAINING, args))


def _make(recipe: recipes.ImagesRecipe, args: argparse.Namespace, progress: Progress) -> tuple[Task, Any]:
    progress(f"reading {recipe.data}", 0, 1)
    return recipes.make(recipe, resumed=args.resume is not None)


def _finish(run: Run, report: Report) -> None:
    report.say(f"classes: {', '.join(run.task.config['classes'])}")


_TRAINING = training.Training(
    name="images",
    recipe=recipes.ImagesRecipe,
    options={
        "data": "--data",
        "size": "--size",
        "width": "--width",
        "held": "--held",
        "flip": "--no-flip",
        "epochs": "--epochs",
        "batch": "--batch",
        "lr": "--lr",
        "seed": "--seed",
    },
    changeable=("lr", "epochs", "data"),
    choose=_choose,
    make=_make,
    label=lambda recipe: Path(recipe.data).name,
    finish=_finish,
)
