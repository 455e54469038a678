"""The command ``anejax train stories``: trains a transformer of llama2.c's sizes."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from typing import Any

from anejax.cli import options, training
from anejax.cli.options import UsageError
from anejax.data.fetch import Progress
from anejax.models import llama2c
from anejax.models.llama import SIZES
from anejax.train import stories as recipes
from anejax.train.loop import Run, Task
from anejax.train.report import Report


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add("--size", choices=SIZES, help="size of the network (default: 260K)")
    add("--from", dest="start", type=options.path, metavar="FILE", help="a llama2.c checkpoint to start from")
    add("--data", type=options.path, metavar="FILE", help="a text, or tokens (.bin) (default: TinyStories, see fetch)")
    add("--valid", type=options.path, metavar="FILE", help="held-out data (default: the last twentieth of the data)")
    add(
        "--tokenizer",
        type=options.path,
        metavar="FILE",
        help="a llama2.c tokenizer (default: the one of `anejax fetch`)",
    )
    add("--steps", type=options.count, metavar="N", help="total steps, rounded up to whole epochs")
    add("--eval-every", type=options.count, metavar="N", help="steps per epoch; an evaluation ends each epoch")
    add("--eval-tokens", type=options.count, metavar="N", help="held-out tokens that each evaluation predicts")
    add("--batch", type=options.count, metavar="N", help="sequences in a step")
    add("--length", type=options.count, metavar="N", help="tokens in a sequence")
    add("--lr", type=options.positive, metavar="X", help="the highest learning rate")
    add("--remat", action="store_true", default=None, help="recompute blocks in the backward pass, to save memory")
    training.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted."""
    return training.run(_TRAINING, args)


def _choose(args: argparse.Namespace) -> recipes.StoriesRecipe:
    size = args.size or (_size_of(args.start) if args.start else "260K")
    return dataclasses.replace(recipes.preset(size), **training.given(_TRAINING, args))


def _size_of(path: str) -> str:
    """The size of the network in a checkpoint."""
    found, _ = llama2c.read(path)
    like = lambda config: dataclasses.replace(config, vocabulary=1, length=1, shared=True)  # noqa: E731
    size = next((name for name, config in SIZES.items() if like(config) == like(found)), None)
    if size is None:
        raise UsageError(f"[train] {path}: expected a network of {', '.join(SIZES)}, got {found}.")
    return size


def _make(recipe: recipes.StoriesRecipe, args: argparse.Namespace, progress: Progress) -> tuple[Task, Any]:
    return recipes.make(recipe, progress, resumed=args.resume is not None)


def _finish(run: Run, report: Report) -> None:
    """Writes the network for ``anejax eval`` and ``anejax generate``."""
    path = run.directory.parent / "model.bin"
    llama2c.write(path, recipes.config_of(run.task), run.state.params)
    report.say(f"the network: {path}. To hear it:")
    command = ["anejax", "generate", "--checkpoint", str(path), "--tokenizer", run.task.config["tokenizer"]]
    report.say(f"  {shlex.join(command)}")


_TRAINING = training.Training(
    name="stories",
    recipe=recipes.StoriesRecipe,
    options={
        "size": "--size",
        "start": "--from",
        "data": "--data",
        "valid": "--valid",
        "tokenizer": "--tokenizer",
        "steps": "--steps",
        "eval_every": "--eval-every",
        "eval_tokens": "--eval-tokens",
        "batch": "--batch",
        "length": "--length",
        "lr": "--lr",
        "seed": "--seed",
        "remat": "--remat",
    },
    changeable=("lr", "steps", "batch", "data", "valid", "tokenizer", "remat"),
    choose=_choose,
    make=_make,
    label=lambda recipe: recipe.size,
    finish=_finish,
)
