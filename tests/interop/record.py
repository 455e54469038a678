"""What jax says of the programs of ``programs``: the record that ``python -m tests.compat.losses`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

RECORD = json.loads((Path(__file__).parents[1] / "compat" / "losses.json").read_text())
UNITS = 8  # see ``distance``


def distance(program: str, losses: Any) -> float:
    """How far ten losses of a program are from those of jax, in units of what jax's own losses move by when each float
    of the state is rounded once more before each step. So a program whose steps enlarge every rounding, such as one
    with batch norms over few examples, is held to what its sums can know."""
    theirs = RECORD[program]
    return float((np.abs(np.asarray(losses) - theirs["losses"]) / theirs["units"]).max())
