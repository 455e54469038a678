"""The code that all ``anejax train`` commands share: run folders, resuming, the loop, curves and the summary.

A command describes itself as a ``Training``. Its module has ``configure(parser)`` and ``run(args)``, which call the
functions of the same names here.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from anejax import tree
from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.cli.profiling import Profiled
from anejax.config import config
from anejax.data.fetch import Progress as FetchProgress
from anejax.paths import locked, sweep
from anejax.runtime.engine import device_in_words
from anejax.terminal import printable
from anejax.train import checkpoint, parallel, plot
from anejax.train.journal import Journal, Log
from anejax.train.loop import Run, Task, fit, resume
from anejax.train.recipe import Recipe
from anejax.train.report import Report


@dataclass(frozen=True)
class Training:
    """One ``anejax train`` command.

    Attributes:
        name: the command's, also the first part of the run's directory.
        recipe: the kind of its recipes.
        options: field of a recipe -> its option. A resumed run has these from its checkpoint; the command line may
            repeat but not change them. The parsed value is in ``args`` under the field's name, None when not given.
        choose: the recipe of a new run.
        make: the task of a recipe, and the state in which it starts. A resumed run takes only its shapes.
        label: the second part of the run's directory.
        changeable: fields that a resumed run may change, since the state means the same: the learning rate, how long
            the run is, where data lies (whose fingerprint is in the recipe).
        finish: what a finished run says at its end, besides the figures of its last test.
    """

    name: str
    recipe: type[Recipe]
    options: Mapping[str, str]
    choose: Callable[[argparse.Namespace], Any]
    make: Callable[[Any, argparse.Namespace, FetchProgress], tuple[Task, Any]]
    label: Callable[[Any], str]
    finish: Callable[[Run, Report], None] = lambda run, report: None
    changeable: Sequence[str] = ("lr", "epochs")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options that every training command has."""
    add = parser.add_argument
    add("--seed", type=options.whole, metavar="N", help="seed of all random numbers (default: 0)")
    add("--out", type=Path, metavar="DIR", help="folder of the run (default: a new folder in runs)")
    add("--resume", type=Path, metavar="DIR", help="continue the run in DIR")
    add("--log", type=Path, metavar="FILE", help="log file of JSON lines (default: log.jsonl in the run)")
    add(
        "--save-every",
        type=options.positive,
        metavar="S",
        default=30.0,
        help="seconds between checkpoints (default: 30)",
    )
    add(
        "--profile",
        type=options.count,
        metavar="N",
        help="profile N steps: print tables, and write a page and a trace into the run's folder",
    )
    options.add_common(parser)


def run(training: Training, args: argparse.Namespace) -> int:
    """Trains; returns 0 when the run was finished and 130 when it was interrupted.

    Of several processes the first one shows progress and writes files.
    """
    console = Console(quiet=not parallel.is_first())
    options.use_device(args.device)
    if args.resume:
        say = lambda text: console.print(printable(text), highlight=False, markup=False, soft_wrap=True)  # noqa: E731
        index = checkpoint.newest(_checkpoints(args.resume), say)
        directory, recipe = args.resume, _resumed_recipe(training, args, index)
    else:
        index, recipe = None, training.choose(args)
        directory = Path(parallel.from_first(str(args.out or _fresh_directory(training, recipe))))
        _refuse_used(directory)
    with _owned(directory):
        with fetching(console) as progress:
            task, state = training.make(recipe, args, progress)
        parallel.check_alike(task.config)
        changes: dict[str, tuple[Any, Any]] = {}
        if index is None:
            run = Run(task, _checkpoints(directory), state)
        else:
            changes = _changes(training, args, index)
            _check_position(task, index, changes)
            run = resume(task, _checkpoints(directory), index, state)
        return _train(training, run, directory, args, console, changes)


@contextlib.contextmanager
def _owned(directory: Path) -> Iterator[None]:
    """While no other command trains in ``directory``. Of several processes the first one sees to that."""
    if not parallel.is_first():
        yield
        return
    with locked(directory / ".lock", lambda: _refuse_busy(directory)):
        sweep(directory)
        checkpoint.sweep(_checkpoints(directory))
        yield


def _train(
    training: Training,
    run: Run,
    directory: Path,
    args: argparse.Namespace,
    console: Console,
    changes: Mapping[str, Any],
) -> int:
    task, journal = run.task, run.journal
    report = Report(console, task.epochs, len(task.train), task.train.items, task.unit)
    size = sum(leaf.size for leaf in tree.leaves(run.state.params))
    report.say(f"{task.name}: {size:,} parameters, {task.epochs} epochs; writing to {directory}")
    report.say(f"device: {device_in_words(config.device)}")
    if journal.step:
        report.say(f"going on after {journal.epoch} epochs and {journal.batch} batches")
    first = parallel.is_first()
    log = Log((args.log or directory / "log.jsonl") if first else None, task.config, journal)
    if changes:
        said = (f"{training.options[name]} from {was} to {now}" for name, (was, now) in changes.items())
        report.say(f"changed: {', '.join(said)}")
        log.write("change", {"step": journal.step} | {name: now for name, (_, now) in changes.items()})
    profiled = Profiled(task.train_step, args.profile, directory, report.say) if args.profile and first else None
    if profiled is not None:
        run.task = replace(task, train_step=profiled)
    finished = fit(run, report, log, args.save_every)
    if profiled is not None:
        profiled.close()
    if first:
        _draw(run, directory / "curves.png", report)
    if not finished:
        log.write("stop", {"step": journal.step})
        report.say(f"stopped at step {journal.step}; nothing is lost. To go on:")
        report.say(f"  anejax train {training.name} --resume {shlex.quote(str(directory))}")
        return 130
    seconds = sum(row["seconds"] for row in journal.epochs)
    log.write("end", {k: v for k, v in journal.epochs[-1].items() if k.startswith("test_")} | {"seconds": seconds})
    report.end(journal.epochs[-1], seconds)
    training.finish(run, report)
    return 0


def _draw(run: Run, path: Path, report: Report) -> None:
    if plot.available():
        plot.curves(run.journal, path, run.task.name)
        report.say(f"curves: {path}")
    else:
        report.say("no curves were drawn, since matplotlib is not installed (extra 'plot')")


def given(training: Training, args: argparse.Namespace) -> dict[str, Any]:
    """The fields of the recipe that the command line sets."""
    values = {name: getattr(args, name) for name in training.options}
    return {name: value for name, value in values.items() if value is not None}


def _resumed_recipe(training: Training, args: argparse.Namespace, index: Path) -> Any:
    """The recipe of the checkpoint, which the command line may repeat but not change."""
    try:
        recipe = training.recipe.from_json(checkpoint.record(index)["config"])
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise checkpoint.CheckpointError(
            f"[checkpoint] {index} is not of `anejax train {training.name}`: {err}."
        ) from err
    changes = _changes(training, args, index)
    for name, (was, now) in changes.items():
        if name not in training.changeable:
            may = ", ".join(training.options[n] for n in training.changeable if n in training.options)
            raise UsageError(
                f"[train] the run was started with {training.options[name]} {was} and cannot go on with {now}. What may"
                f" change is {may}."
            )
    if args.out is not None:
        raise UsageError("[train] --resume writes to the directory of the run; leave out --out.")
    new: Any = recipe
    return replace(new, **{name: now for name, (_, now) in changes.items()})


def _changes(training: Training, args: argparse.Namespace, index: Path) -> dict[str, tuple[Any, Any]]:
    """The fields in which the command line differs from the recipe of the run: field -> (old, new)."""
    was = checkpoint.record(index)["config"]
    return {name: (was[name], now) for name, now in given(training, args).items() if was[name] != now}


def _check_position(task: Task, index: Path, changes: Mapping[str, tuple[Any, Any]]) -> None:
    """Raises UsageError if the changed options do not fit the position that the run has reached."""
    if not changes:
        return
    try:
        Journal.from_json(checkpoint.record(index).get("journal")).check_position(task.epochs, len(task.train))
    except ValueError as err:
        said = ", ".join(f"{name} from {was} to {now}" for name, (was, now) in changes.items())
        raise UsageError(f"[train] the run cannot change {said}: {err}.") from None


def _checkpoints(directory: Path) -> Path:
    return directory / "checkpoints"


def _fresh_directory(training: Training, recipe: Any) -> Path:
    """The first of runs/cifar10-demo-1, -2, ... that is not there."""
    names = (Path("runs") / f"{training.name}-{training.label(recipe)}-{i}" for i in itertools.count(1))
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
def fetching(console: Console) -> Iterator[FetchProgress]:
    """Prints the name of a download, and shows its progress; nothing when all is there."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        shown: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in shown:
                console.print(printable(what), highlight=False, markup=False)
                shown[what] = bars.add_task(what, total=total)
            bars.update(shown[what], completed=done)

        yield progress
