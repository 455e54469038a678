"""The command ``anejax train chars``: trains a character-level LSTM."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anejax.cli import options, training
from anejax.data import files
from anejax.data.fetch import Progress
from anejax.train import chars as recipes
from anejax.train.loop import Run, Task
from anejax.train.report import Report

_DEFAULT = "tinyshakespeare.txt"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    shakespeare = "a text in UTF-8 (default: Shakespeare, downloaded if needed)"
    add("--text", "--data", dest="text", type=options.path, metavar="FILE", help=shakespeare)
    add("--hidden", type=options.count, metavar="N", help="units in each layer (default: 256)")
    add("--layers", type=options.count, metavar="N", help="LSTM layers (default: 1)")
    add("--steps", type=options.count, metavar="N", help="total steps, rounded up to whole epochs (default: 1000)")
    add("--eval-every", type=options.count, metavar="N", help="steps per epoch; an evaluation ends each epoch")
    add("--batch", type=options.count, metavar="N", help="sequences in a step (default: 32)")
    add("--length", type=options.count, metavar="N", help="characters in a sequence (default: 100)")
    add("--lr", type=options.positive, metavar="X", help="the highest learning rate (default: 0.004)")
    training.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted."""
    return training.run(_TRAINING, args)


def _choose(args: argparse.Namespace) -> recipes.CharsRecipe:
    return recipes.CharsRecipe(**{"text": str(files.path_of(_DEFAULT)), **training.given(_TRAINING, args)})


def _make(recipe: recipes.CharsRecipe, args: argparse.Namespace, progress: Progress) -> tuple[Task, Any]:
    if Path(recipe.text) == files.path_of(_DEFAULT):
        files.ensure(_DEFAULT, progress)
    return recipes.make(recipe, resumed=args.resume is not None)


def _finish(run: Run, report: Report) -> None:
    report.say("a sample:")
    report.say(recipes.sample(run))


_TRAINING = training.Training(
    name="chars",
    recipe=recipes.CharsRecipe,
    options={
        "text": "--text",
        "hidden": "--hidden",
        "layers": "--layers",
        "steps": "--steps",
        "eval_every": "--eval-every",
        "batch": "--batch",
        "length": "--length",
        "lr": "--lr",
        "seed": "--seed",
    },
    changeable=("lr", "steps", "batch", "text"),
    choose=_choose,
    make=_make,
    label=lambda recipe: Path(recipe.text).stem,
    finish=_finish,
)
