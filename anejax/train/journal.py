"""The progress of a training run and its measurements: the part of a checkpoint that is not arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from anejax.paths import append, atomic_file
from anejax.records import Between, Count, Finite, decode

_CURVE_STEPS = 10  # the training curve has one point per so many steps
_ROW = {"epoch", "step", "seconds"}  # in the row of each epoch


@dataclass
class Journal:
    """The position, the sums of the running epoch, and the rows of past epochs.

    All sums are of Python floats in a fixed order, so a resumed run prints what an unbroken one would.
    """

    epoch: Count = 0  # epochs behind us
    batch: Count = 0  # batches of this epoch behind us
    step: Count = 0
    seconds: Annotated[float, Between(0, 1e12)] = 0.0  # seconds of training in this epoch
    sums: dict[str, Finite] = field(default_factory=dict)  # sums over this epoch
    recent: dict[str, Finite] = field(default_factory=dict)  # sums since the curve's last point
    recent_steps: Annotated[int, Between(0, _CURVE_STEPS)] = 0  # in those sums
    skipped: Count = 0  # steps of this epoch that changed nothing, since gradients overflowed
    skipped_in_a_row: Count = 0  # up to now
    curve: list[dict[str, Finite]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    def add_step(self, metrics: Mapping[str, float], seconds: float) -> None:
        """Counts one step and its metrics."""
        self.skipped_in_a_row = 0
        _add(self.sums, metrics)
        _add(self.recent, metrics)
        self.recent_steps += 1
        self._count(seconds)

    def skip_step(self, seconds: float) -> None:
        """Counts a step that changed nothing; its metrics say nothing."""
        self.skipped += 1
        self.skipped_in_a_row += 1
        self._count(seconds)

    def _count(self, seconds: float) -> None:
        self.step += 1
        self.batch += 1
        self.seconds += seconds
        if self.step % _CURVE_STEPS == 0 and self.recent_steps:
            self.curve.append({"step": self.step, **_divide(self.recent, self.recent_steps)})
            self.recent, self.recent_steps = {}, 0

    def means(self) -> dict[str, float]:
        """The mean of each metric over the epoch so far."""
        return _divide(self.sums, max(self.batch - self.skipped, 1))

    def end_epoch(self, test: Mapping[str, float], items: int, unit: str) -> dict[str, float]:
        """Closes the epoch, in which ``items`` of ``unit`` (images, characters) were seen, and returns its row."""
        row = {"epoch": self.epoch + 1, "step": self.step}
        row |= {f"train_{name}": value for name, value in self.means().items()}
        row |= {f"test_{name}": value for name, value in test.items()}
        row |= {"skipped": self.skipped} if self.skipped else {}
        row |= {"seconds": self.seconds, f"{unit}_per_second": items / max(self.seconds, 1e-9)}
        self.epochs.append(row)
        self.epoch, self.batch, self.seconds, self.sums, self.skipped = self.epoch + 1, 0, 0.0, {}, 0
        return row

    def to_json(self) -> dict[str, Any]:
        """The journal as JSON values; floats keep every bit."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Journal:
        """The inverse of ``to_json``. Raises ValueError when a field is missing or wrong, or does not fit another."""
        journal = decode(cls, values)
        if journal.epoch != len(journal.epochs):
            raise ValueError(f"field 'epochs' is wrong: expected {journal.epoch} rows, got {len(journal.epochs)}")
        if not journal.skipped <= journal.batch <= journal.step:
            raise ValueError("fields 'skipped', 'batch' and 'step' are wrong: expected each to be at most the next")
        for name, rows, needed in (("curve", journal.curve, {"step"}), ("epochs", journal.epochs, _ROW)):
            if any(not needed <= row.keys() for row in rows):
                raise ValueError(f"field {name!r} is wrong: expected {', '.join(sorted(needed))} in each row")
        return journal

    def check_position(self, epochs: int, batches: int) -> None:
        """Raises ValueError unless a run of so many ``epochs`` of ``batches`` each can stand here."""
        if self.epoch > epochs or self.batch > batches or (self.batch and self.epoch == epochs):
            raise ValueError(
                f"it is at epoch {self.epoch}, batch {self.batch} of a run of {epochs} epochs of {batches} batches"
            )
        if self.step != self.epoch * batches + self.batch:
            raise ValueError(f"it is at step {self.step}, but at epoch {self.epoch}, batch {self.batch} of {batches}")


class Log:
    """A file of JSON lines: one for the start, one for each epoch, one for the end of a run."""

    def __init__(self, path: Path | None, start: Mapping[str, Any], journal: Journal) -> None:
        """Begins the file anew; a resumed run writes the epochs that it remembers again. None: nothing is written."""
        self.path = path
        if path is None:
            return
        with atomic_file(path, "w") as file:
            file.write(_line("start", start))
            file.writelines(_line("epoch", row) for row in journal.epochs)

    def write(self, event: str, values: Mapping[str, Any]) -> None:
        if self.path is not None:
            append(self.path, _line(event, values))


def _line(event: str, values: Mapping[str, Any]) -> str:
    return json.dumps({"event": event, **values}) + "\n"


def _add(sums: dict[str, float], metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        sums[name] = sums.get(name, 0.0) + value


def _divide(sums: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: value / count for name, value in sums.items()}
