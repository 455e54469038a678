"""Shows the progress of a training run: a progress bar on a terminal, and one line per epoch anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anejax.terminal import printable
from anejax.train.journal import Journal

_PERCENT = {"accuracy"}


class Report:
    """Shows a run on ``console``; a context manager, since the bar has to be taken down."""

    def __init__(self, console: Console, epochs: int, batches: int, items: int, unit: str) -> None:
        """``items`` of ``unit`` are in a batch, ``batches`` in an epoch."""
        self._console = console
        self._epochs, self._batches, self._items, self._unit = epochs, batches, items, unit
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=epochs * batches, facts="")

    def __enter__(self) -> Report:
        self._progress.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def step(self, journal: Journal) -> None:
        """Moves the bar to where the journal stands."""
        facts = _facts(journal.means(), "")
        rate = journal.batch * self._items / max(journal.seconds, 1e-9)
        self._progress.update(
            self._bar,
            completed=journal.epoch * self._batches + journal.batch,
            description=f"epoch {min(journal.epoch + 1, self._epochs)}/{self._epochs}",
            facts=f"{facts}  {rate:,.0f} {self._unit}/s",
        )

    def epoch(self, row: Mapping[str, float]) -> None:
        """Prints the line of an epoch."""
        self.say(
            f"epoch {row['epoch']:.0f}/{self._epochs}"
            f"  train {_facts(row, 'train_')}  test {_facts(row, 'test_')}"
            f"  {row[f'{self._unit}_per_second']:,.0f} {self._unit}/s  {row['seconds']:.1f} s"
        )

    def end(self, row: Mapping[str, float], seconds: float) -> None:
        """Prints the results of the last test, after so many seconds of training."""
        self.say(f"test {_facts(dict(sorted(row.items())), 'test_')} after {seconds / 60:.1f} minutes of training")

    def say(self, text: str) -> None:
        """Prints a line above the bar; nothing in it acts on the terminal."""
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def _facts(values: Mapping[str, float], prefix: str) -> str:
    """``loss 0.4021 accuracy 81.20%`` of the values whose names begin with ``prefix``."""
    named = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return " ".join(f"{name} {value:{_format(name, value)}}" for name, value in named.items())


def _format(name: str, value: float) -> str:
    if name in _PERCENT:
        return ".2%"
    return ".4f" if abs(value) < 1000 else ",.0f"
