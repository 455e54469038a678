"""What a training run shows: a progress bar on a terminal, and one line per epoch anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anejax.train.journal import Journal


class Report:
    """Shows a run on ``console``; a context manager, since the bar has to be taken down."""

    def __init__(self, console: Console, epochs: int, batches: int, batch: int) -> None:
        self._console = console
        self._epochs, self._batches, self._batch = epochs, batches, batch
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
        facts = " ".join(f"{name} {value:.3f}" for name, value in journal.means().items())
        rate = journal.batch * self._batch / max(journal.seconds, 1e-9)
        self._progress.update(
            self._bar,
            completed=journal.epoch * self._batches + journal.batch,
            description=f"epoch {min(journal.epoch + 1, self._epochs)}/{self._epochs}",
            facts=f"{facts} {rate:,.0f} img/s",
        )

    def epoch(self, row: Mapping[str, float]) -> None:
        """Prints the line of an epoch."""
        self.say(
            f"epoch {row['epoch']:.0f}/{self._epochs}"
            f"  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.2%}"
            f"  test loss {row['test_loss']:.4f} accuracy {row['test_accuracy']:.2%}"
            f"  {row['images_per_second']:,.0f} img/s  {row['seconds']:.1f} s"
        )

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
