"""A network of 110 million parameters trains within 6 GiB."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_stories110m_trains_within_6_gib() -> None:
    """In a process of its own, whose peak of resident memory the benchmark prints: 4 sequences of 256 tokens."""
    command = [sys.executable, "-m", "benchmarks.stories", "--memory", "110M", "--steps", "3"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(float, row)) for row in re.findall(r"loss ([\d.]+), .* peak ([\d.]+) GiB", printed)]
    losses = [loss for loss, _ in rows]
    assert len(losses) == 3 and losses == sorted(losses, reverse=True) and losses[-1] < losses[0] - 0.1
    assert max(peak for _, peak in rows) < 6
