"""``anejax train cifar10``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from anejax import tree
from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.data import cifar10 as data
from anejax.data.fetch import Progress as FetchProgress
from anejax.paths import locked
from anejax.train import checkpoint, plot
from anejax.train import cifar10 as recipes
from anejax.train.journal import Log
from anejax.train.loop import Run, fit, resume
from anejax.train.report import Report

# Field of a recipe -> its option. A resumed run has these from its checkpoint.
_RECIPE_OPTIONS = {
    "network": "--preset",
    "epochs": "--epochs",
    "batch": "--batch",
    "lr": "--lr",
    "seed": "--seed",
    "subset": "--subset",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    presets, add = recipes.PRESETS, parser.add_argument
    add("--preset", dest="network", choices=presets, help="the recipe (default: full)")
    add("--epochs", type=options.count, metavar="N", help="how often to see the training images")
    add("--batch", type=options.count, metavar="N", help="images in a step")
    add("--lr", type=options.positive, metavar="X", help="the highest learning rate")
    add("--seed", type=options.whole, metavar="N", help="of all randomness (default: 0)")
    add("--subset", type=options.count, metavar="N", help="use only N images for training, N for test")
    add("--out", type=Path, metavar="DIR", help="where to write (default: a new directory in runs)")
    add("--resume", type=Path, metavar="DIR", help="go on with the run that was written to DIR")
    add("--log", type=Path, metavar="FILE", help="JSON lines (default: log.jsonl in the directory)")
    add("--data", type=Path, metavar="DIR", help="where the data set is, or is to be put")
    add(
        "--save-every",
        type=options.positive,
        metavar="S",
        default=30.0,
        help="seconds between checkpoints (default: 30)",
    )
    options.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted."""
    console = Console()
    options.use_device(args.device)
    if args.resume:
        index = checkpoint.newest(_checkpoints(args.resume), console.print)
        directory, recipe = args.resume, _resumed_recipe(args, index)
    else:
        index, recipe = None, _recipe(args)
        directory = args.out or _fresh_directory(recipe)
        _refuse_used(directory)
    with locked(directory / ".lock", lambda: _refuse_busy(directory)):
        with _fetching(console) as progress:
            images = data.load(args.data, progress)
        task, state = recipes.make(recipe, images)
        if index is None:
            run = Run(task, _checkpoints(directory), state)
        else:
            run = resume(task, _checkpoints(directory), index, state)
        return _train(run, directory, args, console)


def _train(run: Run, directory: Path, args: argparse.Namespace, console: Console) -> int:
    task, journal = run.task, run.journal
    report = Report(console, task.epochs, len(task.train), task.train.batch)
    size = sum(leaf.size for leaf in tree.leaves(run.state.params))
    report.say(f"{task.name}: {size:,} parameters, {task.epochs} epochs; writing to {directory}")
    if journal.step:
        report.say(f"going on after {journal.epoch} epochs and {journal.batch} batches")
    log = Log(args.log or directory / "log.jsonl", task.config, journal)
    finished = fit(run, report, log, args.save_every)
    _draw(run, directory / "curves.png", report)
    if not finished:
        log.write("stop", {"step": journal.step})
        report.say(f"stopped at step {journal.step}; nothing is lost. To go on:")
        report.say(f"  anejax train cifar10 --resume {shlex.quote(str(directory))}")
        return 130
    last = journal.epochs[-1]
    seconds = sum(row["seconds"] for row in journal.epochs)
    log.write("end", {"test_accuracy": last["test_accuracy"], "seconds": seconds})
    report.say(f"test accuracy {last['test_accuracy']:.2%} after {seconds / 60:.1f} minutes of training")
    return 0


def _draw(run: Run, path: Path, report: Report) -> None:
    if plot.available():
        plot.curves(run.journal, path, run.task.name)
        report.say(f"curves: {path}")
    else:
        report.say("no curves were drawn, since matplotlib is not installed (extra 'plot')")


def _recipe(args: argparse.Namespace) -> recipes.Recipe:
    preset = recipes.PRESETS[args.network or "full"]
    given = {name: getattr(args, name) for name in _RECIPE_OPTIONS}
    return dataclasses.replace(preset, **{k: v for k, v in given.items() if v is not None})


def _resumed_recipe(args: argparse.Namespace, index: Path) -> recipes.Recipe:
    """The recipe of the checkpoint, which the command line may repeat but not change."""
    try:
        recipe = recipes.Recipe.from_json(checkpoint.record(index)["config"])
    except (KeyError, TypeError, ValueError) as err:
        raise checkpoint.CheckpointError(f"[checkpoint] {index} is not of CIFAR-10: {err}.") from err
    for name, option in _RECIPE_OPTIONS.items():
        was, now = getattr(recipe, name), getattr(args, name)
        if now not in (None, was):
            raise UsageError(f"[train] the run was started with {option} {was} and cannot go on with {now}.")
    if args.out is not None:
        raise UsageError("[train] --resume writes to the directory of the run; leave out --out.")
    return recipe


def _checkpoints(directory: Path) -> Path:
    return directory / "checkpoints"


def _fresh_directory(recipe: recipes.Recipe) -> Path:
    """The first of runs/cifar10-demo-1, -2, ... that is not there."""
    names = (Path("runs") / f"cifar10-{recipe.network}-{i}" for i in itertools.count(1))
    return next(path for path in names if not path.exists())


def _refuse_used(directory: Path) -> None:
    if checkpoint.exists(_checkpoints(directory)):
        raise UsageError(
            f"[train] {directory} holds a run. Go on with it by --resume {directory},"
            " or give another directory to --out."
        )


def _refuse_busy(directory: Path) -> None:
    raise UsageError(f"[train] another process is training in {directory}.")


@contextlib.contextmanager
def _fetching(console: Console) -> Iterator[FetchProgress]:
    """Says what is being fetched, and shows how far it is; nothing when all is there."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        shown: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in shown:
                console.print(what, highlight=False, markup=False)
                shown[what] = bars.add_task(what, total=total)
            bars.update(shown[what], completed=done)

        yield progress
