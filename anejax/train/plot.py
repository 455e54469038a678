"""Draws the curves of a run as a PNG picture. This needs matplotlib, which is optional."""

from __future__ import annotations

from pathlib import Path

from anejax.errors import AnejaxError
from anejax.paths import atomic_path
from anejax.train.journal import Journal

_TRAIN, _TEST = "#8da0cb", "#d95f02"


class PlotError(AnejaxError):
    """The picture cannot be drawn."""


def available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def curves(journal: Journal, path: Path, title: str) -> None:
    """Draws each metric that training and test have (loss, accuracy) against steps."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as err:
        raise PlotError("[plot] drawing curves needs matplotlib: install it, or anejax with its extra 'plot'.") from err
    names = _metrics(journal)
    figure = Figure(figsize=(4.5 * len(names), 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        axes.plot(*_points(journal.curve, name), color=_TRAIN, linewidth=1, label="train")
        axes.plot(*_points(journal.epochs, f"test_{name}"), "o-", color=_TEST, label="test")
        axes.set(xlabel="step", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_path(path) as part:
        figure.savefig(part, format="png", dpi=120)


def _metrics(journal: Journal) -> list[str]:
    tested = [name.removeprefix("test_") for row in journal.epochs[:1] for name in row if name.startswith("test_")]
    return tested or ["loss"]


def _points(rows: list[dict[str, float]], name: str) -> tuple[list[float], list[float]]:
    rows = [row for row in rows if name in row]
    return [row["step"] for row in rows], [row[name] for row in rows]
