"""The command ``anejax train text``: fine-tunes a pretrained language model on the user's texts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anejax.cli import options, training
from anejax.cli.options import UsageError
from anejax.data.fetch import Progress
from anejax.train import text as recipes
from anejax.train.loop import Run, Task
from anejax.train.report import Report


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add(
        "--model",
        type=options.path,
        metavar="DIR",
        help="a folder with config.json, weights and tokenizer, or a GGUF file",
    )
    add("--data", type=options.path, metavar="PATH", help="a text file, a .jsonl file, or a folder of them")
    add("--valid", type=options.path, metavar="PATH", help="held-out data (default: the last twentieth of the data)")
    add("--lora", type=options.count, metavar="R", help="train only adapters of rank R (default: all parameters)")
    add("--targets", metavar="NAMES", help="matrices that get adapters (default: q,v)")
    add("--alpha", type=options.positive, metavar="X", help="adapters are scaled by X / R (default: 16)")
    add("--steps", type=options.count, metavar="N", help="total steps, rounded up to whole epochs (default: 200)")
    add("--eval-every", type=options.count, metavar="N", help="steps per epoch; an evaluation ends each epoch")
    add("--batch", type=options.count, metavar="N", help="sequences in a step (default: 4)")
    add("--length", type=options.count, metavar="N", help="tokens in a sequence (default: 128)")
    add("--lr", type=options.positive, metavar="X", help="the highest learning rate (default: 0.0001)")
    add(
        "--save",
        type=options.path,
        metavar="DIR",
        help="the folder for the trained model (default: in the run's folder)",
    )
    training.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted."""
    return training.run(_TRAINING, args)


def _choose(args: argparse.Namespace) -> recipes.TextRecipe:
    if args.model is None or args.data is None:
        raise UsageError("[train] expected --model DIR and --data PATH.")
    return recipes.TextRecipe(**training.given(_TRAINING, args))


def _make(recipe: recipes.TextRecipe, args: argparse.Namespace, progress: Progress) -> tuple[Task, Any]:
    for folder in recipes.folders(recipe, Path(recipe.save)) if recipe.save else ():
        if folder.exists():
            raise UsageError(
                f"[train] {folder} is there already, where the model is to be written. Remove it, or give another"
                " folder to --save."
            )
    progress(f"encoding {recipe.data}", 0, 1)
    return recipes.make(recipe, resumed=args.resume is not None)


def _finish(run: Run, report: Report) -> None:
    for folder in recipes.write(run):
        report.say(f"written: {folder}")


_TRAINING = training.Training(
    name="text",
    recipe=recipes.TextRecipe,
    options={
        "model": "--model",
        "data": "--data",
        "valid": "--valid",
        "lora": "--lora",
        "targets": "--targets",
        "alpha": "--alpha",
        "steps": "--steps",
        "eval_every": "--eval-every",
        "batch": "--batch",
        "length": "--length",
        "lr": "--lr",
        "save": "--save",
        "seed": "--seed",
    },
    changeable=("lr", "steps", "batch", "data", "valid", "save"),
    choose=_choose,
    make=_make,
    label=lambda recipe: Path(recipe.model).name,
    finish=_finish,
)
